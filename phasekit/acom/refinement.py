"""Orientations of the bank -> continuous orientations, with an uncertainty for every pixel."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import rotations
from ..diffraction import diffraction_symmetry, reflections, wavelength
from ..errors import SchemaError
from ..schema import ORIENTATIONS, describe, require
from . import _solutions
from ._bank import check_inputs, per_pattern, usable_intensity
from ._refine_kernels import Crystal, Spots, near_ewald, refine_one, score, sharpness
from .symmetry import phases_of

Array = NDArray[np.float64]
_STEPS = 60
_HALF_TURN = rotations.about_axis([0, 0, 1], 180.0)
_WEAK = 1e-3  # reflections below this fraction of the strongest |F|^2 are never seen beside it


def refine_orientations(
    peaks: xr.Dataset,
    bank: xr.Dataset,
    found: xr.Dataset,
    *,
    blur: float = 0.02,
    intensity_power: float = 0.5,
    min_correlation: float = 0.35,
    min_reliability: float = 5.0,
) -> xr.Dataset:
    """Fit every orientation continuously to positions and intensities of the peaks, then rank the solutions again.

    Every solution of ``found`` - all matches and the best one of another phase - climbs the correlation index between
    the peaks and the spots computed for its momentary orientation, with the excitation errors, the precession and the
    thickness of the bank but without its sampling. What the refined solutions reach decides anew which is the best.

    Parameters
    ----------
    peaks, bank, found
        PEAKS in 1/angstrom, the TEMPLATES and the ORIENTATIONS that ``match_orientations`` made of the two.
    blur
        Tolerance of a spot's position [1/angstrom]: at a distance of two blurs a spot counts 1/e.
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
        solution: for that there is the reliability.

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
    >>> from phasekit.acom import build_templates, match_orientations, template_peaks
    >>> from phasekit.diffraction import crystal
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> bank = build_templates([nickel], resolution_deg=4, precession_deg=1)
    >>> peaks = template_peaks(bank, [7, 11])
    >>> refined = refine_orientations(peaks, bank, match_orientations(peaks, bank))
    >>> refined.uncertainty_deg.dims
    ('scan_y', 'scan_x')
    """
    check_inputs(peaks, bank, "refine_orientations")
    require(found, ORIENTATIONS, step="refine_orientations")
    _check(peaks, bank, found, blur, intensity_power)
    n_matches = found.sizes["match"]
    crystals, symmetries = _crystals(bank)
    reach = float(np.radians(bank.attrs["resolution_deg"]))
    window = max(5.0, 2.5 * float(bank.attrs["resolution_deg"]))

    def kernel(qy: Array, qx: Array, intensity: Array, known: Array) -> Array:
        setup = (crystals, symmetries, reach, window, blur, intensity_power)
        return _refine(qy, qx, intensity, known, setup)

    arrays = [peaks["qy"], peaks["qx"], usable_intensity(peaks, bank), _packed(found)]
    rows = per_pattern(kernel, arrays, _solutions.width(n_matches))
    limits = {"min_correlation": min_correlation, "min_reliability": min_reliability}
    out = _solutions.unpack(rows, n_matches, limits, peaks["status"])
    uncertainty = rows.isel(value=-1).astype(np.float32)
    uncertainty.attrs = {"long_name": "standard deviation of the orientation", "units": "degree"}
    out["uncertainty_deg"] = uncertainty
    out.attrs |= {key: found.attrs[key] for key in ("phases", "voltage_kv", "precession_deg") if key in found.attrs}
    settings = {"blur": blur, "intensity_power": intensity_power, **limits}
    return describe(out, ORIENTATIONS, step="refine_orientations", settings=settings, source=found)


def _check(peaks: xr.Dataset, bank: xr.Dataset, found: xr.Dataset, blur: float, power: float) -> None:
    if found.attrs.get("phases") != bank.attrs.get("phases"):
        raise SchemaError(
            "refine_orientations: result and bank hold different phases. Use the bank that match_orientations used."
        )
    scans = [tuple(data.sizes[dim] for dim in ("scan_y", "scan_x")) for data in (peaks, found)]
    if scans[0] != scans[1]:
        raise SchemaError(
            f"refine_orientations: peaks have {scans[0]} scan positions, the result {scans[1]}. Cut both alike."
        )
    if not 0 < blur < 0.2 or not 0 <= power <= 2:
        raise SchemaError(
            f"refine_orientations: blur = {blur}, intensity_power = {power}; needs 0 < blur < 0.2 [1/angstrom] and "
            "0 <= intensity_power <= 2. Correct it."
        )


def _crystals(bank: xr.Dataset) -> tuple[list[Crystal], list[Array]]:
    half_width = 1 / (np.pi * float(bank.attrs["thickness_nm"]) * 10)
    tilt = float(np.sin(np.radians(bank.attrs["precession_deg"])))
    wave = wavelength(float(bank.attrs["voltage_kv"]))
    crystals, symmetries = [], []
    for phase in phases_of(bank):
        known = reflections(phase, float(bank.attrs["g_max"]))
        strong = known.strength > _WEAK * known.strength.max()
        crystals.append(Crystal(known.g[strong], known.strength[strong], wave, half_width, tilt))
        symmetries.append(diffraction_symmetry(phase))
    return crystals, symmetries


def _packed(found: xr.Dataset) -> xr.DataArray:
    """Solutions of each pixel (scan_y, scan_x, known): matches [w x y z] and phase, then the other phase's."""
    parts = [found["quaternion"].isel(match=k, drop=True).rename(wxyz="known") for k in range(found.sizes["match"])]
    extra = [found["phase"]]
    if "other_quaternion" in found:
        parts.append(found["other_quaternion"].rename(wxyz="known"))
        extra.append(found["other_phase"])
    columns = [part.drop_vars("known", errors="ignore").transpose("scan_y", "scan_x", "known") for part in parts]
    columns += [column.astype(np.float64).expand_dims("known", -1) for column in extra]
    return xr.concat(columns, "known", join="override", coords="minimal", compat="override")


def _refine(qy: Array, qx: Array, intensity: Array, known: Array, setup: tuple[Any, ...]) -> Array:
    """Packed rows (..., value) of patterns (..., peak) and their solutions (..., known)."""
    shape = qy.shape[:-1]
    qy, qx, intensity, known = (np.ascontiguousarray(a).reshape(-1, a.shape[-1]) for a in (qy, qx, intensity, known))
    with_other = known.shape[1] % 4 == 2
    n_matches = (known.shape[1] - (2 if with_other else 1)) // 4 - with_other
    rows = _solutions.empty(len(qy), n_matches)
    for pixel, row in enumerate(rows):
        seen = intensity[pixel] > 0
        row[-len(_solutions.TAIL) + 2] = seen.sum()
        phases = known[pixel, 4 * (n_matches + with_other) :].astype(int)
        if phases[0] < 0:
            continue
        starts = known[pixel, : 4 * (n_matches + with_other)].reshape(-1, 4)
        _refine_pixel(row, (qy[pixel][seen], qx[pixel][seen], intensity[pixel][seen]), starts, phases, setup)
    return rows.reshape(*shape, -1)


def _refine_pixel(
    row: Array, measured: tuple[Array, Array, Array], starts: Array, phases: NDArray[np.intp], setup: tuple[Any, ...]
) -> None:
    crystals, symmetries, reach, window, blur, power = setup
    y, x, intensity = (np.ascontiguousarray(a, dtype=float) for a in measured)
    weight = np.hypot(y, x) * (intensity / intensity.sum()) ** power
    spots = Spots(y, x, weight, float(intensity.min() / intensity.sum()), blur, power)
    n_matches = len(starts) - (len(phases) - 1)
    solutions = [(np.full((n_matches, 4), np.nan), np.full(n_matches, np.nan)) for _ in crystals]
    for which, offered in ((0, starts[:n_matches]), (1, starts[n_matches:])):
        mine = offered[np.isfinite(offered).all(axis=1)]
        if not len(mine) or phases[which] < 0:
            continue
        phase = int(phases[which])
        pool = _climbed(crystals[phase], spots, mine, reach)
        _keep_distinct(pool, symmetries[phase], window / 2, solutions[phase])
    _solutions.fill_row(row, solutions, symmetries, len(y), window)
    best = int(row[-len(_solutions.TAIL)])
    if best >= 0:
        row[-1] = _uncertainty(crystals[best], spots, row[:4].copy(), reach, float(row[4]))


def _climbed(crystal: Crystal, spots: Spots, starts: Array, reach: float) -> list[tuple[float, Array]]:
    """Scores and orientations, best first: each start after its climb, the half turn of the best, and the starts.

    The half turn is nearly as good wherever the Ewald sphere looks flat, and the bank need not have offered it. A start
    itself counts only where its climb ran into another solution: then it is what the bank saw there.
    """
    climbs = [refine_one(crystal, spots, start, reach, _STEPS) for start in starts]
    top = max(climbs, key=lambda climb: climb[1])[0]
    climbs.append(refine_one(crystal, spots, rotations.multiply(top, _HALF_TURN), reach, _STEPS))
    pool = [(float(value), quaternion) for quaternion, value in climbs]
    pool += [(float(score(crystal, spots, start)), start) for start in starts]
    return sorted(pool, key=lambda entry: -entry[0])


def _keep_distinct(pool: list[tuple[float, Array]], symmetry: Array, window: float, kept: tuple[Array, Array]) -> None:
    """Write the best orientations that differ by more than the window [degrees] into (match, 4) and (match,)."""
    quaternions, scores = kept
    count = 0
    for value, quaternion in pool:
        before = quaternions[:count]
        if count == len(scores) or np.any(rotations.symmetric_angle_deg(quaternion, before, symmetry) < window):
            continue
        quaternions[count], scores[count] = quaternion, value
        count += 1


def _uncertainty(crystal: Crystal, spots: Spots, quaternion: Array, reach: float, best: float) -> float:
    """Standard deviation [degrees]; NaN where some direction is not determined."""
    hessian = sharpness(near_ewald(crystal, quaternion, reach), spots, quaternion, np.radians(0.15))
    freedom = len(spots.y) - 1.5
    if freedom <= 0 or np.linalg.eigvalsh(hessian).min() <= 0:
        return float("nan")
    covariance = (1 - best) / freedom * np.linalg.inv(hessian)
    return float(np.degrees(np.sqrt(np.trace(covariance))))
