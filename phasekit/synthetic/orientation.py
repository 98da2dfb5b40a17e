"""4D-STEM scans of a foil of known grains, for orientation mapping.

Patterns are kinematic: spots of the grain under the beam, the direct beam, a diffuse background, Poisson counts.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..crystals import phase_record
from ..diffraction import Reflections, reflections, wavelength
from ..disks import paint_disks
from ..errors import SchemaError
from ..schema import PATTERNS, describe
from .digits import round_truth
from .specimen import VACUUM, Layout, Specimen, draw_orientations, make_voronoi_map
from .spot_painting import simulate_spots

Array = NDArray[np.float64]
_SUBPIXELS = 5  # grid points per pixel and axis of a simulated disk


@dataclass(frozen=True)
class Microscope:
    """Illumination and detector of a simulated scan.

    Attributes
    ----------
    voltage_kv, step_nm
        Accelerating voltage [kV] and scan step [nm].
    pixel_size, units
        Size of a detector pixel [1/angstrom]; ``units="px"`` writes the coordinates as uncalibrated pixels.
    disk_radius_px
        Radius of the diffraction disks [px].
    direct_fraction, diffuse_fraction
        Parts of the electrons in the direct beam and in the diffuse background; the rest is in the spots.
    drift_px, jitter_px
        Largest smooth drift of the beam over the scan, and its random jitter (standard deviation) [px].
    ellipticity, ellipse_angle_deg
        Elliptical distortion: long over short axis of a ring, and the long axis' angle from +x towards +y.
    detector_rotation_deg
        As in docs/conventions.md: a vector on the detector turned by this angle is in the sample frame.
    """

    voltage_kv: float = 200.0
    step_nm: float = 5.0
    pixel_size: float = 0.025
    units: str = "1/angstrom"
    disk_radius_px: float = 2.5
    direct_fraction: float = 0.35
    diffuse_fraction: float = 0.25
    drift_px: float = 1.5
    jitter_px: float = 0.1
    ellipticity: float = 1.0
    ellipse_angle_deg: float = 0.0
    detector_rotation_deg: float = 0.0


def orientation_scan(
    phases: Sequence[Any] | None = None,
    *,
    shape: tuple[int, int] = (32, 40),
    detector: tuple[int, int] = (128, 128),
    electrons: float = 2000.0,
    precession_deg: float = 1.0,
    specimen: Specimen | None = None,
    microscope: Microscope | None = None,
    seed: int = 0,
) -> xr.Dataset:
    r"""Scanning (precession) electron diffraction of a foil of randomly oriented grains, with its truth.

    The counts of a detector pixel are Poisson distributed about

    .. math:: \lambda(\mathbf q) = N \left[ f_\mathrm{dir}\, d(\mathbf q - \mathbf q_0) + f_\mathrm{diff}\,
        h(\mathbf q) + (1 - f_\mathrm{dir} - f_\mathrm{diff}) \sum_i w_i \frac{\sum_{\mathbf g} I_i(\mathbf g)\,
        d(\mathbf q - \mathbf q_0 - \mathbf g)}{\sum_{\mathbf g} I_i(\mathbf g)} \right]

    with :math:`N` electrons, the unit disk :math:`d` and the diffuse background :math:`h`. :math:`w_i` are the weights
    of the grains under the beam. Spot intensities :math:`I_i(\mathbf g)` are kinematic:
    :math:`|F|^2 \operatorname{sinc}^2(\pi t s)`, averaged over the precession cone. Disks lie at exact positions.

    Parameters
    ----------
    phases
        orix ``Phase`` objects (``pk.io.open_phase``); grains take them in turn. None: fcc Ni and LiFePO4.
    shape
        Scan positions (y, x).
    detector
        Detector pixels (y, x); the undrifted beam is at their middle, (n - 1) / 2.
    electrons
        Mean number of electrons per pattern, direct beam included. 200 leaves about 5 spots above the background.
    precession_deg
        Precession semi-angle; 0 = a static beam.
    specimen, microscope
        Grains and illumination, see :class:`Specimen` and :class:`Microscope`; None takes their defaults.
    seed
        Same seed, same scan.

    Returns
    -------
    xarray.Dataset
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` uint16 [counts], and ``attrs["phases"]``. The grains:
        ``truth_phase`` and ``truth_grain`` (-1 = vacuum), ``truth_thickness`` [nm],
        ``truth_quaternion(scan_y, scan_x, wxyz)`` (NaN in vacuum). The overlap: ``truth_partner`` (second grain here,
        -1 = none), its ``truth_partner_weight`` (0 to 0.5), ``truth_overlap``, ``truth_interior`` (one grain only).
        The direct beam: ``truth_origin_y, truth_origin_x``, in the unit of qy, qx.

    Raises
    ------
    SchemaError
        A size or dose that is not positive, no phases, or an unknown unit.

    See Also
    --------
    true_spots : The exact spots of the scan it makes.
    phasekit.acom.compare_with_truth : Compares a map with its truth.

    Examples
    --------
    >>> scan = orientation_scan(shape=(3, 4), detector=(64, 64), seed=1)
    >>> scan.intensity.dims, scan.truth_phase.shape
    (('scan_y', 'scan_x', 'qy', 'qx'), (3, 4))
    """
    specimen, microscope = specimen or Specimen(), microscope or Microscope()
    phases = _default_phases() if phases is None else list(phases)
    _check_settings(phases, shape, detector, electrons, specimen, microscope)
    rng = np.random.default_rng(seed)
    layout = make_voronoi_map(shape, specimen, rng)
    grains, pixels = draw_orientations(layout, specimen, rng)
    thickness = rng.uniform(*specimen.thickness_nm, size=specimen.n_grains)
    origin = _draw_beam_drift(shape, microscope, rng)
    # Reflections up to the corner of the detector: those beyond the edges are lost when they are painted.
    g_max = np.hypot(*detector) / 2 * microscope.pixel_size
    crystals = [reflections(phase, g_max) for phase in phases]
    scan = _Scan(layout, crystals, grains, pixels, thickness, origin, precession_deg, microscope)
    counts = _draw_counts(scan, detector, electrons, rng)
    out = round_truth(_label_scan(counts, scan, phases))
    settings = {"shape": shape, "detector": detector, "electrons": electrons, "precession_deg": precession_deg}
    settings |= {"specimen": asdict(specimen), "microscope": asdict(microscope), "seed": seed}
    return describe(out, PATTERNS, step="orientation_scan", settings=settings)


@dataclass(frozen=True)
class _Scan:
    """Specimen and microscope of one scan."""

    layout: Layout
    crystals: list[Reflections]  # per phase
    grains: Array  # (grain, wxyz): mean orientation
    pixels: Array  # (scan_y, scan_x, wxyz): orientation with mosaic spread
    thickness: Array  # (grain,) [nm]
    origin: Array  # (scan_y, scan_x, 2): beam relative to the detector's middle, (y, x) [px]
    precession_deg: float
    microscope: Microscope

    def phase_of(self, grain: NDArray[np.int64] | int) -> Any:
        """Grains take the phases in turn."""
        return np.where(np.asarray(grain) < 0, VACUUM, np.asarray(grain) % len(self.crystals))

    def diffract(self, grain: int, quaternion: Array) -> tuple[Array, Array]:
        """Positions (y, x) [1/angstrom] and intensities of the grain's spots."""
        return simulate_spots(
            self.crystals[grain % len(self.crystals)],
            quaternion,
            wave=wavelength(self.microscope.voltage_kv),
            thickness_nm=float(self.thickness[grain]),
            precession_deg=self.precession_deg,
        )


def _default_phases() -> list[Any]:
    from .structures import sample_phases

    return sample_phases()


def _check_settings(
    phases: list[Any],
    shape: tuple[int, int],
    detector: tuple[int, int],
    electrons: float,
    specimen: Specimen,
    microscope: Microscope,
) -> None:
    if not phases:
        raise SchemaError("orientation_scan: got no phases, needs at least one. Open one with pk.io.open_phase(...).")
    if min(*shape, *detector, specimen.n_grains) < 1 or not electrons > 0 or not microscope.pixel_size > 0:
        raise SchemaError(
            f"orientation_scan: shape = {shape}, detector = {detector}, electrons = {electrons}, n_grains = "
            f"{specimen.n_grains}, pixel_size = {microscope.pixel_size}: raise those that are not positive."
        )
    if microscope.units not in ("1/angstrom", "px"):
        raise SchemaError(f"orientation_scan: units = '{microscope.units}', needs '1/angstrom' or 'px'.")


def _draw_beam_drift(shape: tuple[int, int], microscope: Microscope, rng: np.random.Generator) -> Array:
    """Beam position relative to the detector's middle: a quadratic of at most ``drift_px`` plus jitter [px]."""
    v, u = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    terms = np.stack([u, v, u * v, u * u, v * v], axis=-1)
    smooth = terms @ rng.normal(size=(5, 2))
    # A scan of one position has no drift: the guard avoids a division by zero there.
    smooth *= microscope.drift_px / max(np.abs(smooth).max(), 1e-9)
    return smooth + rng.normal(scale=microscope.jitter_px, size=smooth.shape)


def _draw_counts(
    scan: _Scan, detector: tuple[int, int], electrons: float, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Poisson counts of every pattern; what exceeds 16 bits saturates, as on a counting detector."""
    shape = scan.layout.grain.shape
    # One pattern at a time: expected values of the whole scan would take four times the memory of the counts.
    counts = np.empty((*shape, *detector), dtype=np.uint16)
    for index in np.ndindex(*shape):
        expected = _compute_expected_pattern(scan, index, detector)
        counts[index] = np.minimum(rng.poisson(expected * electrons), np.iinfo(np.uint16).max)
    return counts


def _compute_expected_pattern(scan: _Scan, index: tuple[int, ...], detector: tuple[int, int]) -> Array:
    """Pattern of one pixel as the fraction of the electrons that each detector pixel receives."""
    optics, grain = scan.microscope, int(scan.layout.grain[index])
    beam = (np.array(detector) - 1) / 2 + scan.origin[index]
    image = np.zeros(detector)
    # Vacuum: some electrons scatter in the column and in the detector.
    diffuse, direct = (0.02, 0.98) if grain == VACUUM else (optics.diffuse_fraction, optics.direct_fraction)
    y, x = (np.arange(n) - centre for n, centre in zip(detector, beam, strict=True))
    # Diffuse scattering falls by 1/e every 0.4 1/angstrom, whatever the size of the detector.
    fall_off = np.exp(-np.hypot(y[:, None], x) * optics.pixel_size / 0.4)
    image += diffuse * fall_off / fall_off.sum()
    paint_disks(image, beam[:1], beam[1:], np.array([direct]), optics.disk_radius_px, _SUBPIXELS, False)
    weight = float(scan.layout.weight[index])
    for member, share in ((grain, 1 - weight), (int(scan.layout.partner[index]), weight)):
        if member == VACUUM or share <= 0:
            continue
        # The mosaic spread is drawn for the grain that leads here; the partner has its mean orientation.
        g, intensity = scan.diffract(member, scan.pixels[index] if member == grain else scan.grains[member])
        position = beam + distort_positions(g, optics) / optics.pixel_size
        # Normalised per grain, so that the dose in the spots does not depend on the orientation.
        part = share * max(0.0, 1 - direct - diffuse) * intensity / max(intensity.sum(), 1e-30)
        paint_disks(image, position[:, 0], position[:, 1], part, optics.disk_radius_px, _SUBPIXELS, False)
    return image


def distort_positions(g: Array, optics: Microscope) -> Array:
    """Sample-frame positions (y, x) as the rotated detector with elliptical distortion shows them."""
    turn, axis = np.radians(optics.detector_rotation_deg), np.radians(optics.ellipse_angle_deg)
    # Rotated by minus the angle: rotating what the detector shows by the angle gives the sample frame again.
    x = np.cos(turn) * g[:, 1] + np.sin(turn) * g[:, 0]
    y = np.cos(turn) * g[:, 0] - np.sin(turn) * g[:, 1]
    # Both axes change by the square root of the ratio, so that areas and the mean scale stay.
    long, short = np.sqrt(optics.ellipticity), 1 / np.sqrt(optics.ellipticity)
    along = long * (x * np.cos(axis) + y * np.sin(axis))
    across = short * (y * np.cos(axis) - x * np.sin(axis))
    return np.stack(
        [along * np.sin(axis) + across * np.cos(axis), along * np.cos(axis) - across * np.sin(axis)], axis=1
    )


def _label_scan(counts: NDArray[np.uint16], scan: _Scan, phases: list[Any]) -> xr.Dataset:
    """Dataset of the counts and their truth, with coordinates and calibration."""
    optics, layout, dims = scan.microscope, scan.layout, ("scan_y", "scan_x")
    calibrated = optics.units == "1/angstrom"
    unit = optics.pixel_size if calibrated else 1.0
    middle = [(n - 1) / 2 for n in counts.shape[2:]]
    material = layout.grain != VACUUM
    # Calibrated axes count from the middle of the detector, axes in pixels from the first pixel.
    beam = scan.origin * unit if calibrated else scan.origin + middle
    data = {
        "intensity": ((*dims, "qy", "qx"), counts),
        "truth_phase": (dims, scan.phase_of(layout.grain).astype(np.int16)),
        "truth_grain": (dims, layout.grain.astype(np.int32)),
        "truth_partner": (dims, layout.partner.astype(np.int32)),
        "truth_partner_weight": (dims, layout.weight),
        "truth_overlap": (dims, layout.weight > 0),
        "truth_interior": (dims, material & (layout.weight == 0)),
        "truth_thickness": (dims, np.where(material, scan.thickness[layout.grain], np.nan), {"units": "nm"}),
        "truth_quaternion": ((*dims, "wxyz"), scan.pixels),
        "truth_origin_y": (dims, beam[..., 0], {"units": optics.units}),
        "truth_origin_x": (dims, beam[..., 1], {"units": optics.units}),
    }
    coords = {
        dim: (dim, (np.arange(n) - (offset if calibrated else 0)) * unit, {"units": optics.units})
        for dim, n, offset in zip(("qy", "qx"), counts.shape[2:], middle, strict=True)
    }
    coords |= {
        dim: (dim, np.arange(n) * optics.step_nm, {"units": "nm"})
        for dim, n in zip(dims, layout.grain.shape, strict=True)
    }
    attrs = {
        "phases": json.dumps([phase_record(phase) for phase in phases]),
        "voltage_kv": optics.voltage_kv,
        "precession_deg": scan.precession_deg,
        "detector_rotation_deg": optics.detector_rotation_deg,
    }
    return xr.Dataset(data, coords={**coords, "wxyz": list("wxyz")}, attrs=attrs)
