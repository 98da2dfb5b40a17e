"""STXM stacks of particles of known phases, for phase maps."""

import json
from dataclasses import asdict, dataclass, fields

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, shift

from phasekit.errors import SchemaError
from phasekit.schema import REFERENCES, STACK, describe, require

from .digits import round_truth
from .particles import Particles, draw_particles
from .vanadium import vanadium_references

Array = NDArray[np.float64]

#: Two energies before the edge, ten over L3 and L2, one behind [eV].
PLANNED_ENERGIES = (509.0, 512.5, 515.0, 516.2, 516.8, 517.4, 518.2, 519.6, 521.0, 522.6, 524.2, 525.6, 528.0)


@dataclass(frozen=True)
class Nuisances:
    """Instrumental effects on the images; zero switches an effect off (``photons=inf``: no noise).

    Attributes
    ----------
    photons
        Mean counts per pixel and energy without a specimen. The noise of OD d is exp(d / 2) / sqrt(photons).
    i0_drift
        Relative spread of the incident intensity over the stack, a random walk from frame to frame.
    frame_drift_px
        Standard deviation [px] of the drift from one frame to the next; the first frame does not move.
    frame_jitter_px
        Standard deviation [px] of an independent shift of every frame but the first, on top of the drift.
    hot_pixels
        Share of counts that are 3 to 10 times too high, at random places of every frame.
    probe_fwhm_nm
        Full width at half maximum [nm] of the Gaussian probe.
    stray_light
        Share of I0 that reaches the detector whatever the specimen (dark counts, higher harmonics). It lowers high OD.
    energy_offset
        True photon energy minus the energy written on the axis [eV].
    pre_edge_slope
        OD per eV added to a pixel of mean thickness, zero at the first energy (a substrate's background).
    """

    photons: float = 1500.0
    i0_drift: float = 0.03
    frame_drift_px: float = 0.5
    frame_jitter_px: float = 0.0
    hot_pixels: float = 2e-4
    probe_fwhm_nm: float = 35.0
    stray_light: float = 0.01
    energy_offset: float = 0.0
    pre_edge_slope: float = 0.0


def stxm_stack(
    *,
    shape: tuple[int, int] = (96, 128),
    energies: ArrayLike | None = None,
    references: xr.Dataset | None = None,
    n_particles: int = 9,
    pixel_nm: float = 20.0,
    rim_nm: float = 15.0,
    seed: int = 0,
    **nuisances: float,
) -> xr.Dataset:
    r"""Stack of transmission images of particles with known grains, with its truth.

    Each particle is divided into Voronoi grains of one reference phase each. Where grains of a particle meet, the
    composition changes gradually. The counts are Poisson distributed about

    .. math:: \lambda(E, \mathbf r) = I_0(E) \left[(1 - s)\, \left(G * e^{-\mu(E + \delta)\, t - b(E)\, t / \bar t}
        \right)(\mathbf r - \mathbf d_E) + s\right]

    This is Beer and Lambert's law with the absorption :math:`\mu`, thickness :math:`t`, energy offset :math:`\delta`
    and pre-edge background :math:`b`. It is blurred by the Gaussian probe :math:`G`. Then come the stray light
    :math:`s`, the incident intensity :math:`I_0` with its drift, and the frame drift :math:`\mathbf d_E`. The support
    around the particles continues outside the frame. Hot pixels are added to the counts.

    Parameters
    ----------
    shape
        Pixels (y, x), at least 16 each.
    energies
        Photon energies on the axis [eV], increasing. ``None``: 13 planned energies in 509..528.
    references
        REFERENCES with ``composition``, spectra in 1/um, covering ``energies`` plus the energy offset.
        ``None``: :func:`vanadium_references`.
    n_particles
        Particles to place; one that finds no room is left out.
    pixel_nm
        Scan step [nm].
    rim_nm
        Standard deviation [nm] of the composition's profile between two grains; 0 gives sharp grains.
    seed
        Same seed, same stack. The specimen depends on ``seed``, ``shape``, phases, ``n_particles`` and the two lengths
        only. Dose, energies and nuisances can be varied on the same particles.
    nuisances
        Fields of :class:`Nuisances`: ``photons, i0_drift, frame_drift_px, frame_jitter_px, hot_pixels,
        probe_fwhm_nm, stray_light, energy_offset, pre_edge_slope``.

    Returns
    -------
    xarray.Dataset
        STACK with ``intensity`` (uint32 counts; floats when ``photons`` is infinite) and coordinate ``reference``.
        Maps of the truth in the frame of the first image: ``truth_composition`` (NaN where empty), ``truth_thickness``
        [nm], ``truth_phase`` and ``truth_transition``. The phase is the nearest in composition, as index into
        ``reference``, -1 where empty. Transition is true where the composition lies between two phases. Per energy:
        ``truth_shift_y, truth_shift_x`` [px], ``truth_i0`` [counts]. Attributes: ``truth_energy_offset`` [eV],
        ``truth_stray_light``.

    Raises
    ------
    SchemaError
        A setting is unknown or out of range, or the references have no composition or do not cover the energies.

    See Also
    --------
    vanadium_references : The spectra it is made of.
    phasekit.stxm.label_phases : The map to compare with its truth.

    Examples
    --------
    >>> stack = stxm_stack(seed=0)
    >>> dict(stack["intensity"].sizes), stack["intensity"].dtype.name
    ({'energy': 13, 'scan_y': 96, 'scan_x': 128}, 'uint32')
    >>> sorted(set(stack["truth_phase"].values.ravel().tolist()))
    [-1, 0, 1, 2, 3, 4]
    """
    effects = _make_effects(nuisances, shape, n_particles, pixel_nm)
    energy = np.asarray(PLANNED_ENERGIES if energies is None else energies, dtype=float).ravel()
    refs = vanadium_references() if references is None else references
    spectra, compositions = make_spectra(refs, energy + effects.energy_offset)
    # One stream each: the particles stay the same when the dose or the number of energies changes.
    rng_specimen, rng_drift, rng_counts = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3))
    drift = draw_frame_drift(energy.size, effects, rng_drift)
    specimen = draw_particles(shape, compositions, n_particles=n_particles, rim_px=rim_nm / pixel_nm, rng=rng_specimen)
    i0 = make_incident_spectrum(energy.size, effects, rng_drift)
    transmission = _compute_transmission(specimen, spectra, compositions, effects.pre_edge_slope * (energy - energy[0]))
    expected = make_images(transmission, i0, drift, effects, pixel_nm)
    counts = draw_counts(expected, effects, rng_counts)
    stack = label_stack(counts, energy, pixel_nm)
    stack = round_truth(stack.assign(_label_specimen_truth(specimen, refs) | label_frame_truth(drift, i0)))
    stack = stack.assign_coords(reference=refs["reference"])
    stack.attrs |= {"truth_energy_offset": effects.energy_offset, "truth_stray_light": effects.stray_light}
    settings = {"seed": seed, "n_particles": n_particles, "pixel_nm": pixel_nm, "rim_nm": rim_nm, **asdict(effects)}
    return describe(stack, STACK, step="stxm_stack", settings={**settings, "photons": str(effects.photons)})


def _make_effects(nuisances: dict[str, float], shape: tuple[int, int], n_particles: int, pixel_nm: float) -> Nuisances:
    """Nuisances from keyword arguments, refused when unknown or out of range."""
    settings = [field.name for field in fields(Nuisances)]
    if unknown := sorted(set(nuisances) - set(settings)):
        raise SchemaError(f"stxm_stack: got unknown settings {unknown}, needs some of {settings}. Check the spelling.")
    if len(shape) != 2 or min(shape) < 16 or n_particles < 1 or not pixel_nm > 0:
        raise SchemaError(
            f"stxm_stack: got shape {shape}, n_particles {n_particles}, pixel_nm {pixel_nm}; needs two sizes of at "
            "least 16 px, at least 1 particle and a positive step. Change the one that is out of range."
        )
    effects = Nuisances(**nuisances)
    # Only these two may be negative; `not value >= 0` refuses NaN, too.
    free = ("energy_offset", "pre_edge_slope")
    negative = [name for name, value in asdict(effects).items() if name not in free and not value >= 0]
    if negative or effects.photons == 0 or effects.hot_pixels > 1 or effects.stray_light >= 1:
        raise SchemaError(
            f"stxm_stack: got {effects}, needs photons > 0, shares within 0..1 and widths >= 0. "
            "Leave out what should not be simulated."
        )
    return effects


def make_spectra(refs: xr.Dataset, true_energy: Array) -> tuple[Array, Array]:
    """Absorption (reference, energy) [1/um] at the true energies, and the compositions."""
    require(refs, REFERENCES, step="stxm_stack", argument="refs", units={"reference_spectrum": "1/um"})
    if "composition" not in refs:
        raise SchemaError("stxm_stack: the references have no 'composition'. Add one value per reference.")
    grid = refs["energy"].values
    if not true_energy.size or (np.diff(true_energy) <= 0).any():
        raise SchemaError("stxm_stack: needs at least one energy, increasing. Sort them with np.unique(...).")
    if true_energy[0] < grid[0] or true_energy[-1] > grid[-1]:
        raise SchemaError(
            f"stxm_stack: references cover {grid[0]:g}..{grid[-1]:g} eV, needs {true_energy[0]:g}.."
            f"{true_energy[-1]:g}. "
            "Choose energies inside, or references over a wider range."
        )
    # Linear between the points of the references, as every workflow interpolates them.
    spectra = np.stack([np.interp(true_energy, grid, row) for row in refs["reference_spectrum"].values])
    return spectra, np.asarray(refs["composition"].values, dtype=float)


def draw_frame_drift(n: int, effects: Nuisances, rng: np.random.Generator) -> Array:
    """Shift (energy, 2) [px] of each frame against the first: a random walk, and jitter of its own."""
    walk = np.cumsum(rng.standard_normal((n, 2)) * effects.frame_drift_px, axis=0)
    if effects.frame_jitter_px:  # drawn only where asked for: without it the same seed gives the same stack as before
        walk = walk + rng.standard_normal((n, 2)) * effects.frame_jitter_px
    return np.asarray(walk - walk[0])


def make_incident_spectrum(n: int, effects: Nuisances, rng: np.random.Generator) -> Array:
    """Incident intensity per energy [counts]."""
    walk = np.cumsum(rng.standard_normal(n))
    # Scaled after the walk, so that `i0_drift` is the spread whatever the number of energies.
    walk = (walk - walk.mean()) / max(float(walk.std()), 1e-12)
    level = 1.0 if np.isinf(effects.photons) else effects.photons
    return np.asarray(level * (1 + effects.i0_drift * walk))


def _compute_transmission(specimen: Particles, spectra: Array, compositions: Array, slope: Array) -> Array:
    r"""Transmission (energy, y, x) by Beer and Lambert's law, :math:`\exp(-\mu t - b\, t / \bar t)`.

    Between two phases the absorption is interpolated along the composition.
    """
    order = np.argsort(compositions)
    nodes = compositions[order]
    inside = specimen.thickness > 0
    thickness = specimen.thickness[inside]
    transmission = np.ones((spectra.shape[1], *inside.shape))
    # The background grows with thickness, so that it has no effect where the specimen is empty.
    for index, column in enumerate(spectra.T):
        mu = np.interp(specimen.composition[inside], nodes, column[order]) * 1e-3  # 1/nm
        transmission[index][inside] = np.exp(-(mu * thickness + slope[index] * thickness / thickness.mean()))
    return transmission


def make_images(transmission: Array, i0: Array, drift: Array, effects: Nuisances, pixel_nm: float) -> Array:
    """Expected counts: blurred by the probe, with stray light, scaled by I0, shifted by the drift."""
    # The probe adds intensities, so the transmission is blurred, not the optical density.
    sigma = effects.probe_fwhm_nm / pixel_nm / np.sqrt(8 * np.log(2))
    margin = 4 + int(np.ceil(np.abs(drift).max() + 3 * sigma))  # what moves in from outside is empty support
    inner = (slice(margin, -margin), slice(margin, -margin))
    images = np.empty_like(transmission)
    for index, inside in enumerate(transmission):
        frame = np.pad(inside, margin, constant_values=1.0)
        blurred = gaussian_filter(frame, sigma) if sigma else frame
        intensity = i0[index] * (blurred * (1 - effects.stray_light) + effects.stray_light)
        shifted = shift(intensity, drift[index], order=3, mode="nearest") if drift[index].any() else intensity
        images[index] = shifted[inner]
    return np.maximum(images, 0)  # a cubic spline may overshoot below zero


def draw_counts(expected: Array, effects: Nuisances, rng: np.random.Generator) -> NDArray[np.generic]:
    """Poisson counts with hot pixels."""
    if np.isinf(effects.photons):
        return expected
    # The Poisson counts are drawn first, so that the share of hot pixels does not change them.
    counts = rng.poisson(expected)
    hot = rng.random(counts.shape) < effects.hot_pixels
    return np.where(hot, counts * rng.uniform(3, 10, counts.shape), counts).astype(np.uint32)


def label_stack(counts: NDArray[np.generic], energy: Array, pixel_nm: float) -> xr.Dataset:
    """Dataset of the counts with its coordinates."""
    coords = {
        "energy": ("energy", energy, {"units": "eV", "long_name": "photon energy"}),
        "scan_y": ("scan_y", np.arange(counts.shape[1]) * pixel_nm, {"units": "nm"}),
        "scan_x": ("scan_x", np.arange(counts.shape[2]) * pixel_nm, {"units": "nm"}),
    }
    return xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts)}, coords=coords)


def _label_specimen_truth(specimen: Particles, refs: xr.Dataset) -> dict[str, xr.Variable]:
    """Truth per pixel."""
    compositions = np.asarray(refs["composition"].values, dtype=float)
    material = specimen.thickness > 0
    composition = np.where(material, specimen.composition, np.nan)
    distance = np.abs(np.nan_to_num(composition)[..., None] - compositions)
    phase = np.where(material, distance.argmin(axis=-1), -1).astype(np.int16)
    # Within a quarter of the smallest step from a phase, the composition counts as that phase.
    transition = material & (distance.min(axis=-1) > 0.25 * _find_smallest_step(compositions))
    dims = ("scan_y", "scan_x")
    # The names go with the map, which is often taken out of the stack and compared with a result of fewer phases.
    names = json.dumps([str(name) for name in refs["reference"].values])
    about = {"long_name": "true phase (index into reference)", "units": "1", "phase_names": names}
    return {
        "truth_phase": xr.Variable(dims, phase, about),
        "truth_composition": xr.Variable(dims, composition, {"long_name": "true composition", "units": "1"}),
        "truth_thickness": xr.Variable(dims, specimen.thickness, {"long_name": "true thickness", "units": "nm"}),
        "truth_transition": xr.Variable(dims, transition, {"long_name": "between two phases", "units": "1"}),
    }


def _find_smallest_step(compositions: Array) -> float:
    return float(np.diff(np.sort(compositions)).min()) if compositions.size > 1 else np.inf


def label_frame_truth(drift: Array, i0: Array) -> dict[str, xr.Variable]:
    """Truth per energy."""
    return {
        "truth_shift_y": xr.Variable("energy", drift[:, 0], {"long_name": "true frame shift along y", "units": "px"}),
        "truth_shift_x": xr.Variable("energy", drift[:, 1], {"long_name": "true frame shift along x", "units": "px"}),
        "truth_i0": xr.Variable("energy", i0, {"long_name": "true incident intensity", "units": "counts"}),
    }
