"""What is known of one pixel after matching or refinement, packed into one row of numbers, and back into a dataset."""

from typing import Any

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ...errors import AcomStatus, status_attributes
from .candidates import symmetric_cosine

Array = NDArray[np.float64]

# Row: per match [w x y z score], then the best solution of another phase [w x y z score], then these, then
# per candidate (matching only: what refinement starts from) [w x y z score phase].
TAIL = ("phase", "other_phase", "n_peaks", "half_turn", "uncertainty_deg")
_N_TAIL = len(TAIL)
TWIN_AXIS = np.cos(np.radians(15.0))  # an axis of a half turn this near to the beam leaves a thin foil's spots alike


def width(n_matches: int, n_candidates: int = 0) -> int:
    """Numbers per pixel."""
    return 5 * (n_matches + 1) + _N_TAIL + 6 * n_candidates


def empty(count: int, n_matches: int, n_candidates: int = 0) -> Array:
    """Rows of pixels nothing is known of: NaN, and phase -1."""
    rows = np.full((count, width(n_matches, n_candidates)), np.nan)
    tail = 5 * (n_matches + 1)
    rows[:, tail : tail + 2] = -1
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def is_half_turn(first, second, symmetry, window):  # type: ignore[no-untyped-def]
    """Whether two orientations are each other turned by 180 degrees about the beam or an axis near it.

    Half a turn about the beam leaves a flat Ewald sphere's pattern as it is; half a turn about a zone axis near the
    beam leaves every spot of the zero-order zone as it is, curvature and tilt regarded. ``window`` [radian].
    """
    for k in range(len(symmetry)):
        s = symmetry[k]
        a = np.empty(4)  # s * second
        a[0] = s[0] * second[0] - s[1] * second[1] - s[2] * second[2] - s[3] * second[3]
        a[1] = s[0] * second[1] + s[1] * second[0] + s[2] * second[3] - s[3] * second[2]
        a[2] = s[0] * second[2] - s[1] * second[3] + s[2] * second[0] + s[3] * second[1]
        a[3] = s[0] * second[3] + s[1] * second[2] - s[2] * second[1] + s[3] * second[0]
        f = first  # conj(first) * a: the turn between them in the sample frame
        w = f[0] * a[0] + f[1] * a[1] + f[2] * a[2] + f[3] * a[3]
        z = f[0] * a[3] - f[1] * a[2] + f[2] * a[1] - f[3] * a[0]
        if abs(w) < np.sin(window / 2) and abs(z) > TWIN_AXIS:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def fill_row(row, quaternions, scores, symmetries, n_symmetries, n_matches, n_peaks, window):  # type: ignore[no-untyped-def]
    """Write one pixel from the solutions of each phase, best first: (phase, match, 4), (phase, match); NaN = none."""
    n_phases = len(scores)
    tail = row[5 * (n_matches + 1) :]
    tail[2] = n_peaks
    best, other = -1, -1
    for k in range(n_phases):
        if not scores[k, 0] > 0:
            continue
        if best < 0 or scores[k, 0] > scores[best, 0]:
            best, other = k, best
        elif other < 0 or scores[k, 0] > scores[other, 0]:
            other = k
    if best < 0:
        return
    for k in range(n_matches):
        row[5 * k : 5 * k + 4] = quaternions[best, k]
        row[5 * k + 4] = scores[best, k]
    tail[0] = best
    if other >= 0:
        row[5 * n_matches : 5 * n_matches + 4] = quaternions[other, 0]
        row[5 * n_matches + 4], tail[1] = scores[other, 0], other
    if n_matches > 1 and scores[best, 1] > 0:
        symmetry = symmetries[best, : n_symmetries[best]]
        tail[3] = is_half_turn(quaternions[best, 0], quaternions[best, 1], symmetry, window)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_candidates(row, quaternions, scores, start):  # type: ignore[no-untyped-def]
    """Write the best solutions of all phases into the row from ``start``, best first, the best of each phase first."""
    n_phases, kept = scores.shape
    ranked = scores.copy()
    for k in range(n_phases):
        ranked[k, 0] += 10.0  # no phase goes unheard
    order = np.argsort(-ranked.ravel())
    place = start
    for c in order:
        phase, rank = c // kept, c % kept
        if place + 6 > len(row):
            break
        if scores[phase, rank] > 0:
            row[place : place + 4] = quaternions[phase, rank]
            row[place + 4], row[place + 5] = scores[phase, rank], phase
            place += 6


def stack_symmetries(symmetries: list[Array]) -> tuple[Array, NDArray[np.int64]]:
    """Symmetries of all phases (phase, n, 4), padded with the identity, and their numbers."""
    count = np.array([len(one) for one in symmetries])
    out = np.zeros((len(symmetries), count.max(), 4))
    out[..., 0] = 1.0
    for row, one in zip(out, symmetries, strict=True):
        row[: len(one)] = one
    return out, count


def unpack(rows: xr.DataArray, n_matches: int, limits: dict[str, float], pattern_status: xr.DataArray) -> xr.Dataset:
    """ORIENTATIONS of packed rows (scan_y, scan_x, value); lazy where they are."""
    matches = [rows.isel(value=slice(5 * k, 5 * k + 4)).rename(value="wxyz") for k in range(n_matches + 1)]
    scores = [rows.isel(value=5 * k + 4) for k in range(n_matches + 1)]
    tail = {name: rows.isel(value=5 * (n_matches + 1) + k) for k, name in enumerate(TAIL)}
    correlation = xr.concat(scores[:n_matches], "match").transpose("scan_y", "scan_x", "match")
    quaternion = xr.concat(matches[:n_matches], "match").transpose("scan_y", "scan_x", "match", "wxyz")
    best = scores[0]
    second = scores[1] if n_matches > 1 else xr.full_like(best, np.nan)
    out = xr.Dataset(
        {
            "quaternion": quaternion,
            "correlation": correlation.astype(np.float32),
            "phase": tail["phase"].astype(np.int16),
            "reliability": _reliability(best, second),
            "phase_reliability": _reliability(best, scores[n_matches]),
            "other_phase": tail["other_phase"].astype(np.int16),
            "other_quaternion": matches[n_matches],
            "other_correlation": scores[n_matches].astype(np.float32),
        }
    )
    out["status"] = _status(out, tail, limits, pattern_status)
    return out.assign_coords(wxyz=list("wxyz"))


def unpack_candidates(rows: xr.DataArray, n_matches: int, n_candidates: int) -> dict[str, xr.DataArray]:
    """``candidate_quaternion, candidate_correlation, candidate_phase`` of packed rows."""
    start = width(n_matches)
    parts = [
        rows.isel(value=slice(start + 6 * k, start + 6 * k + 6)).rename(value="number") for k in range(n_candidates)
    ]
    table = xr.concat(parts, "candidate").transpose("scan_y", "scan_x", "candidate", "number")
    phase = table.isel(number=5)
    return {
        "candidate_quaternion": table.isel(number=slice(0, 4)).rename(number="wxyz").astype(np.float32),
        "candidate_correlation": table.isel(number=4).astype(np.float32),
        "candidate_phase": phase.where(phase >= 0, -1).astype(np.int16),
    }


def _reliability(best: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """100 (1 - Q2 / Q1), NaN without a second solution; 0 where refinement left the second one ahead."""
    return (100 * (1 - second / best)).clip(0, 100).astype(np.float32)


def _status(
    out: xr.Dataset, tail: dict[str, Any], limits: dict[str, float], pattern_status: xr.DataArray
) -> xr.DataArray:
    close = out["reliability"] < limits["min_reliability"]
    indexed = out["phase"] >= 0
    empty = (pattern_status == AcomStatus.VACUUM) | (tail["n_peaks"] == 0)
    # Each line overrules the ones before it.
    codes = xr.zeros_like(out["phase"])
    codes = codes.where(~(close & (tail["half_turn"] == 1)), AcomStatus.AMBIGUOUS_180.value)
    codes = codes.where(~(close & (tail["half_turn"] == 0)), AcomStatus.PSEUDO_SYMMETRIC.value)
    codes = codes.where(
        ~(out["correlation"].isel(match=0, drop=True) < limits["min_correlation"]), AcomStatus.POOR_FIT.value
    )
    codes = codes.where(indexed, AcomStatus.TOO_FEW_PEAKS.value)
    codes = codes.where(indexed | ~empty, AcomStatus.VACUUM.value).astype(np.int8)
    codes.attrs = status_attributes(AcomStatus)
    return codes.transpose("scan_y", "scan_x")


__all__ = [
    "TAIL",
    "empty",
    "fill_candidates",
    "fill_row",
    "is_half_turn",
    "stack_symmetries",
    "symmetric_cosine",
    "unpack",
    "unpack_candidates",
    "width",
]
