"""Orientations of the bank -> continuous orientations, with an uncertainty for every pixel."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ...deprecation import renamed_arguments
from ...diffraction import diffraction_symmetry, reflections, wavelength
from ...errors import SchemaError
from ...schema import ORIENTATIONS, describe, require
from ..matching import solutions as _solutions
from ..matching.bank import check_inputs, evidence, per_pattern
from ..symmetry import read_phases
from .centre_and_scale import corrected
from .kernels import Crystals
from .pixels import Settings, refine_patterns

Array = NDArray[np.float64]
_REACH_DEG = 2.0  # the simplex is at least as large: a smaller one stays in a side maximum, however fine the bank
_FINALISTS = 4
_RESTARTS = 3
_WEAK = 1e-4  # of the strongest |F|^2; weaker ones show in no pattern, those above may where no strong one is excited


@renamed_arguments(found="orientations", blur="position_tolerance")
def refine_orientations(  # noqa: PLR0913 -- settings are keyword-only with defaults
    peaks: xr.Dataset,
    bank: xr.Dataset,
    orientations: xr.Dataset,
    *,
    position_tolerance: float | None = None,
    fit_centre: bool = False,
    fit_scale: bool = False,
    intensity_power: float = 0.5,
    min_correlation: float = 0.35,
    min_reliability: float = 5.0,
) -> xr.Dataset:
    """Fit every orientation continuously to positions and intensities of the peaks, then rank the solutions again.

    Every solution of ``orientations`` is refined: all matches, and the best one of another phase. The simplex method
    maximises the correlation index between the peaks and the spots computed for the momentary orientation. These spots
    have the excitation errors, the precession and the thickness of the bank, but not its sampling. The refined scores
    decide anew which solution is the best.

    Parameters
    ----------
    peaks, bank, orientations
        PEAKS in 1/angstrom, the TEMPLATES and the ORIENTATIONS that ``match_orientations`` made of the two.
    position_tolerance
        Tolerance of a spot's position [1/angstrom]: at twice this distance a spot counts 1/e. ``None``: 0.8
        detector pixels, at least 0.008 and at most 0.03 (0.02 where the pixel is not known).
    fit_centre, fit_scale
        Whether the pattern's centre and scale are fitted too, on the spots that the best solution predicts near a peak;
        the solutions then climb again. For what registration leaves: a beam off by half a pixel, a specimen that is not
        flat. Both need 6 such spots, else nothing is corrected.
    intensity_power
        Spots weigh |g| I^power. 0 = positions only; 1 = the strongest spots decide alone.
    min_correlation, min_reliability
        Limits of the status, as in ``match_orientations``.

    Returns
    -------
    xarray.Dataset
        ORIENTATIONS on the same pixels, with ``uncertainty_deg(scan_y, scan_x)`` [degree]: the standard deviation of
        the orientation (all three rotation components together) from the curvature of the score at its maximum and the
        unexplained part of the pattern; NaN where the maximum is flat in some direction. It knows nothing of a wrong
        solution: for that there is the reliability. With a fit also ``centre_y, centre_x`` [1/angstrom], where the
        centre was found, and ``scale_correction``, what positions were multiplied by.

    Raises
    ------
    SchemaError
        Data of another kind or unit, on another scan, or made with another bank; a setting outside its range.

    Notes
    -----
    The score is Q = sum(P T) / sqrt(sum P^2 sum T^2) of Gaussian spots. With 2 (1 - Q) as the squared distance of two
    unit vectors, n peaks give 2 n numbers, and the covariance is (1 - Q) H^-1 / (n - 1.5), with H minus the Hessian.

    Examples
    --------
    >>> from phasekit.acom import build_templates, match_orientations, simulate_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> peaks = simulate_peaks(bank, [7, 11])
    >>> refined = refine_orientations(peaks, bank, match_orientations(peaks, bank))
    >>> refined.uncertainty_deg.dims
    ('scan_y', 'scan_x')
    """
    check_inputs(peaks, bank, "refine_orientations")
    require(orientations, ORIENTATIONS, step="refine_orientations")
    position_tolerance = _tolerance(peaks) if position_tolerance is None else position_tolerance
    _check(peaks, bank, orientations, position_tolerance, intensity_power)
    n_matches = orientations.sizes["match"]
    window = float(np.radians(max(5.0, 2.5 * float(bank.attrs["resolution_deg"]))))
    crystals, symmetries = collect_crystals(bank)
    reach = float(np.radians(max(_REACH_DEG, bank.attrs["resolution_deg"])))
    setup = (crystals, symmetries, Settings(reach, window, position_tolerance, intensity_power, _FINALISTS, _RESTARTS))

    def kernel(*arrays: Array) -> Array:
        return _refine(arrays, setup, n_matches)

    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}

    def refined(spots: list[xr.DataArray], starts: xr.Dataset) -> tuple[xr.DataArray, xr.Dataset]:
        rows = per_pattern(kernel, [*spots, *_starts(starts)], _solutions.width(n_matches))
        return rows, _solutions.unpack(rows, n_matches, limits, peaks["status"])

    spots = evidence(peaks, bank)
    fitted: dict[Any, xr.DataArray] = {}
    rows, out = refined(spots, orientations)
    if fit_centre or fit_scale:
        spots, fitted = corrected(
            spots, out, crystals, centre=fit_centre, scale=fit_scale, position_tolerance=position_tolerance
        )
        rows, out = refined(spots, out)
    uncertainty = rows.isel(value=5 * (n_matches + 1) + len(_solutions.TAIL) - 1).astype(np.float32)
    uncertainty.attrs = {"long_name": "standard deviation of the orientation", "units": "degree"}
    out = out.assign({"uncertainty_deg": uncertainty, **fitted})
    kept = ("phases", "voltage_kv", "precession_deg")
    out.attrs |= {key: orientations.attrs[key] for key in kept if key in orientations.attrs}
    settings = {
        "position_tolerance": position_tolerance,
        "intensity_power": intensity_power,
        "fit_centre": fit_centre,
        "fit_scale": fit_scale,
    }
    return describe(out, ORIENTATIONS, step="refine_orientations", settings=settings | limits, source=orientations)


def _tolerance(peaks: xr.Dataset) -> float:
    """Blur for these peaks [1/angstrom]: positions of weak spots scatter by half a pixel."""
    step = peaks.attrs.get("detector_step")
    return 0.02 if step is None else float(np.clip(0.8 * np.mean(np.asarray(step, float)), 0.008, 0.03))


def _check(
    peaks: xr.Dataset, bank: xr.Dataset, orientations: xr.Dataset, position_tolerance: float, power: float
) -> None:
    if orientations.attrs.get("phases") != bank.attrs.get("phases"):
        raise SchemaError(
            "refine_orientations: result and bank hold different phases. Use the bank that match_orientations used."
        )
    scans = [tuple(data.sizes[dim] for dim in ("scan_y", "scan_x")) for data in (peaks, orientations)]
    if scans[0] != scans[1]:
        raise SchemaError(
            f"refine_orientations: peaks have {scans[0]} scan positions, the result {scans[1]}. Cut both alike."
        )
    if not 0 < position_tolerance < 0.2 or not 0 <= power <= 2:
        raise SchemaError(
            f"refine_orientations: position_tolerance = {position_tolerance}, intensity_power = {power}; needs "
            "0 < position_tolerance < 0.2 [1/angstrom] and 0 <= intensity_power <= 2. Leave both out for the defaults."
        )


def collect_crystals(bank: xr.Dataset) -> tuple[Crystals, tuple[Array, NDArray[np.int64]]]:
    """Reflections of all phases one after the other, and their symmetries."""
    g, strength, symmetries = [], [], []
    for phase in read_phases(bank):
        known = reflections(phase, float(bank.attrs["g_max"]))
        strong = known.strength > _WEAK * known.strength.max()
        g.append(known.g[strong])
        strength.append(known.strength[strong])
        symmetries.append(diffraction_symmetry(phase))
    beam = (
        wavelength(float(bank.attrs["voltage_kv"])),
        1 / (np.pi * float(bank.attrs["thickness_nm"]) * 10),
        float(np.sin(np.radians(bank.attrs["precession_deg"]))),
    )
    first = np.concatenate([[0], np.cumsum([len(one) for one in g])]).astype(np.int64)
    vectors = np.concatenate(g)
    x, y, z = np.ascontiguousarray(vectors.T)
    strengths = (np.linalg.norm(vectors, axis=1), np.concatenate(strength))
    return Crystals(x, y, z, *strengths, first, *beam), _solutions.stack_symmetries(symmetries)


def _starts(orientations: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Solutions to start from: quaternions (scan_y, scan_x, known) flattened, and phases (scan_y, scan_x, owner)."""
    if "candidate_quaternion" in orientations:
        quaternion = orientations["candidate_quaternion"].transpose("scan_y", "scan_x", "candidate", "wxyz")
        phase = orientations["candidate_phase"]
        return _flat(quaternion, "candidate"), phase.rename(candidate="owner").transpose("scan_y", "scan_x", "owner")
    quaternion = orientations["quaternion"].transpose("scan_y", "scan_x", "match", "wxyz")
    known = quaternion.notnull().all("wxyz")
    phase = orientations["phase"].where(known, -1).transpose("scan_y", "scan_x", "match")
    if "other_quaternion" in orientations:
        quaternion = xr.concat([quaternion, orientations["other_quaternion"].expand_dims("match", -2)], "match")
        phase = xr.concat([phase, orientations["other_phase"].expand_dims("match", -1)], "match")
    return _flat(quaternion, "match"), phase.rename(match="owner").transpose("scan_y", "scan_x", "owner")


def _flat(quaternion: xr.DataArray, dim: str) -> xr.DataArray:
    bare = quaternion.drop_vars([name for name in ("wxyz", dim) if name in quaternion.coords])
    parts = [bare.isel({dim: k}, drop=True).rename(wxyz="known") for k in range(bare.sizes[dim])]
    return xr.concat(parts, "known").transpose("scan_y", "scan_x", "known").astype(np.float64)


def _refine(arrays: tuple[Array, ...], setup: tuple[Any, ...], n_matches: int) -> Array:
    """Packed rows (..., value) of patterns (..., peak) and their solutions (..., known), (..., owner)."""
    shape = arrays[0].shape[:-1]
    qy, qx, intensity, known, phase = (np.ascontiguousarray(a, float).reshape(-1, a.shape[-1]) for a in arrays)
    rows = _solutions.empty(len(qy), n_matches)
    starts = known.reshape(len(known), -1, 4)
    owner = np.where(np.isfinite(starts).all(axis=2), np.nan_to_num(phase, nan=-1), -1).astype(np.int64)
    with threadpool_limits(1, "blas"):
        crystals, symmetries, settings = setup
        refine_patterns(np.stack([qy, qx, intensity]), starts, owner, crystals, symmetries, settings, rows)
    return rows.reshape(*shape, -1)
