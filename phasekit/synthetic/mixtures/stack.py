"""STXM stacks of mixtures, with their truth."""

from dataclasses import asdict, fields, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from phasekit.errors import SchemaError
from phasekit.schema import STACK, describe

from ..digits import round_truth
from ..stxm import (
    draw_frame_drift,
    label_frame_truth,
    label_stack,
    make_incident_spectrum,
    make_spectra,
)
from .fields import MixtureSettings, draw_mixture, list_pairs
from .images import MeasuredNuisances, compute_transmission, draw_stack, perturb_spectra
from .iron import iron_references
from .truth import label_mixture_truth

#: Kinds of specimens, and what their particles are filled with.
KINDS: dict[str, tuple[str, ...]] = {
    "sharp grains": ("grains",),
    "solid solution": ("solid",),
    "nano-mixture": ("nano",),
    "gradual rims": ("rims",),
    "mixed population": ("pure", "grains", "solid", "nano", "rims", "halves"),
}
#: Four energies before the edge, twenty over L3, six behind [eV].
_ENERGIES = (*np.linspace(700, 705, 4), *np.linspace(706, 712, 20), *np.linspace(713, 725, 6))


def mixture_stack(
    kind: str = "solid solution",
    *,
    shape: tuple[int, int] = (64, 64),
    energies: ArrayLike | None = None,
    references: xr.Dataset | None = None,
    n_particles: int = 6,
    pixel_nm: float = 40.0,
    mixing: MixtureSettings | None = None,
    seed: int = 0,
    **nuisances: float,
) -> xr.Dataset:
    r"""Stack of transmission images of particles that are mixtures, with its truth.

    The specimen is made on a grid of three points per pixel side. Let :math:`w_k` be the share of a reference with
    absorption :math:`\mu_k` and :math:`t` the thickness. The counts are Poisson distributed about

    .. math:: I_0(E) \left[(1 - s)\, G * e^{-\sum_k \mu_k(E + \delta)\, w_k t} + s\right]

    The probe :math:`G` and the pixel average intensities. So a mixture of grains is not seen as their mean when it is
    thick. Stray light :math:`s`, energy offset :math:`\delta` and all other effects are as in :func:`stxm_stack`.

    Parameters
    ----------
    kind
        "sharp grains": grains of pure phases. "solid solution": one composition per particle, uniform or slowly
        varying. "nano-mixture": random grains of two phases below the probe's width. "gradual rims": composition that
        falls from the surface to the core. "mixed population": all of these, pure particles, and particles of which
        half is pure and half a solution.
    shape
        Pixels (y, x), at least 16 each.
    energies
        Photon energies on the axis [eV], increasing. ``None``: 30 energies in 700..725.
    references
        REFERENCES with ``composition``, spectra in 1/um, covering ``energies`` plus the energy offset. Neighbours in
        composition mix. ``None``: :func:`iron_references`.
    n_particles
        Particles to place; one that finds no room is left out.
    pixel_nm
        Scan step [nm].
    mixing
        Sizes of grains and rims and range of the shares, a :class:`MixtureSettings`. ``None``: its defaults.
    seed
        Same seed, same stack. The specimen does not depend on energies, dose or nuisances.
    nuisances
        Fields of :class:`Nuisances`; further ``interpolation_px``, ``reference_error`` and ``gain``
        (:class:`MeasuredNuisances`).

    Returns
    -------
    xarray.Dataset
        STACK with ``intensity`` (uint32 counts; floats after interpolation or gain, or without noise) and coordinate
        ``reference``. Truth in the frame of the first image: ``truth_fraction(scan_y, scan_x, reference)``, the
        fraction of the mass under the probe, which a spectrometer without errors sees of a thin specimen. At optical
        densities up to 2 a fit without noise differs from it by about 0.01. ``truth_specimen_fraction``: that of the
        pixel itself. Both are NaN where empty. ``truth_phase``: the largest
        fraction, -1 where empty. ``truth_class``: 0 empty, 1 pure (lesser references at most 0.1), 2 boundary made by
        the probe, 3 transition (most of the mass is a mixture). ``truth_thickness`` [nm], ``truth_composition``.
        Per energy as in :func:`stxm_stack`.

    Raises
    ------
    SchemaError
        A setting is unknown or out of range, or the references do not suit.

    See Also
    --------
    stxm_stack : Sharp grains of pure phases with thin rims.
    sample_mixture : A random specimen with random nuisances.
    phasekit.stxm.label_phases : The map to compare with its truth.

    Examples
    --------
    >>> stack = mixture_stack("gradual rims", shape=(32, 40), n_particles=2)
    >>> dict(stack["truth_fraction"].sizes)
    {'scan_y': 32, 'scan_x': 40, 'reference': 2}
    >>> sorted(set(stack["truth_class"].values.ravel().tolist()))
    [0, 1, 3]
    """
    refs = iron_references() if references is None else references
    mixing = mixing or MixtureSettings()
    _check_specimen(kind, shape, n_particles, pixel_nm, mixing)
    effects = _check_nuisances(nuisances)
    energy = np.asarray(_ENERGIES if energies is None else energies, dtype=float).ravel()
    true_energy = energy + effects.energy_offset
    spectra, compositions = make_spectra(refs, true_energy)
    # One stream each: the particles stay the same when the dose or the number of energies changes.
    streams = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(4)]
    specimen = draw_mixture(
        shape,
        KINDS[kind],
        mixing,
        pairs=list_pairs(compositions),
        n_references=len(spectra),
        n_particles=n_particles,
        rng=streams[0],
    )
    drift = draw_frame_drift(energy.size, effects, streams[1])
    i0 = make_incident_spectrum(energy.size, effects, streams[1]) * effects.gain
    spectra = perturb_spectra(spectra, true_energy, effects.reference_error, streams[3])
    probe_px = effects.probe_fwhm_nm / pixel_nm
    slope = effects.pre_edge_slope * (energy - energy[0])
    transmission = compute_transmission(specimen, spectra, slope, probe_px)
    counts = draw_stack(transmission, i0, drift, effects, streams[2])
    stack = label_stack(counts, energy, pixel_nm)
    stack = stack.assign(label_mixture_truth(specimen, refs, probe_px) | label_frame_truth(drift, i0))
    stack = round_truth(stack.assign_coords(reference=refs["reference"]))
    stack.attrs |= _list_attributes(effects, probe_px)
    settings = {"kind": kind, "seed": seed, "n_particles": n_particles, "pixel_nm": pixel_nm}
    settings |= {**asdict(mixing), **asdict(effects)}
    return describe(stack, STACK, step="mixture_stack", settings={**settings, "photons": str(effects.photons)})


def _check_specimen(
    kind: str, shape: tuple[int, int], n_particles: int, pixel_nm: float, mixing: MixtureSettings
) -> None:
    """Refuse a specimen that is unknown or out of range."""
    if kind not in KINDS:
        raise SchemaError(f"mixture_stack: got kind {kind!r}, needs one of {list(KINDS)}. Choose one of them.")
    if len(shape) != 2 or min(shape) < 16 or n_particles < 1 or not pixel_nm > 0:
        raise SchemaError(
            f"mixture_stack: got shape {shape}, n_particles {n_particles}, pixel_nm {pixel_nm}; needs two sizes of "
            "at least 16 px, at least 1 particle and a positive step. Change the one that is out of range."
        )
    (thin, wide), (low, high) = mixing.rim_px, mixing.share
    if not (0 < thin <= wide and mixing.grain_px > 0 and mixing.variation >= 0 and 0 <= low <= high <= 1):
        raise SchemaError(
            f"mixture_stack: got {mixing}; needs widths > 0 and ranges (low, high), shares within 0..1. "
            "Change the one that is out of range."
        )


def _check_nuisances(nuisances: dict[str, float]) -> MeasuredNuisances:
    names = [field.name for field in fields(MeasuredNuisances)]
    if unknown := sorted(set(nuisances) - set(names)):
        raise SchemaError(f"mixture_stack: got unknown settings {unknown}, needs some of {names}. Check the spelling.")
    effects = MeasuredNuisances(**nuisances)
    # Only these two may be negative; `not value >= 0` refuses NaN, too.
    free = ("energy_offset", "pre_edge_slope")
    negative = [name for name, value in asdict(effects).items() if name not in free and not value >= 0]
    if negative or not effects.photons * effects.gain > 0 or effects.hot_pixels > 1 or effects.stray_light >= 1:
        raise SchemaError(
            f"mixture_stack: got {effects}, needs photons and gain > 0, shares within 0..1 and widths >= 0. "
            "Leave out what should not be simulated."
        )
    # Without noise the intensity is the share of I0, not counts.
    return replace(effects, gain=1.0) if np.isinf(effects.photons) else effects


def _list_attributes(effects: MeasuredNuisances, probe_px: float) -> dict[str, float]:
    """Truth that holds for the whole stack."""
    return {
        "truth_energy_offset": effects.energy_offset,
        "truth_stray_light": effects.stray_light,
        "truth_probe_fwhm_px": probe_px,
        "truth_gain": effects.gain,
    }
