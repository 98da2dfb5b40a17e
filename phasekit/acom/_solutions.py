"""What is known of one pixel after matching or refinement, packed into one row of numbers, and back into a dataset."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .. import rotations
from ..errors import AcomStatus, status_attributes

Array = NDArray[np.float64]
_HALF_TURN_Z = rotations.about_axis([0, 0, 1], 180.0)

# Row: per match [w x y z score], then the best solution of another phase [w x y z score], then these.
TAIL = ("phase", "other_phase", "n_peaks", "half_turn", "uncertainty_deg")


def width(n_matches: int) -> int:
    """Numbers per pixel."""
    return 5 * (n_matches + 1) + len(TAIL)


def matches_in(rows: Array) -> int:
    """Number of matches that rows hold."""
    return (rows.shape[-1] - len(TAIL)) // 5 - 1


def empty(count: int, n_matches: int) -> Array:
    """Rows of pixels nothing is known of: NaN, and phase -1."""
    rows = np.full((count, width(n_matches)), np.nan)
    rows[:, -len(TAIL) : -len(TAIL) + 2] = -1
    return rows


def is_half_turn(first: Array, second: Array, symmetry: Array, window_deg: float) -> bool:
    """Whether two orientations are each other turned by 180 degrees about the beam, within the window."""
    turned = rotations.multiply(first, _HALF_TURN_Z)
    return bool(rotations.symmetric_angle_deg(turned, second, symmetry) < window_deg)


def fill_row(
    row: Array, solutions: list[tuple[Array, Array]], symmetries: list[Array], n_peaks: int, window_deg: float
) -> None:
    """Write one pixel: ``solutions`` holds (quaternions, scores) of each phase, best first, NaN where there is none."""
    tops = np.array([np.nan_to_num(scores[0], nan=-np.inf) for _, scores in solutions])
    ranking = np.argsort(-tops, kind="stable")
    best = int(ranking[0])
    tail = row[-len(TAIL) :]
    tail[2] = n_peaks
    if not tops[best] > 0:
        return
    quaternions, scores = solutions[best]
    n = len(scores)
    row[: 5 * n].reshape(n, 5)[:, :4], row[: 5 * n].reshape(n, 5)[:, 4] = quaternions, scores
    tail[0] = best
    if len(ranking) > 1 and tops[ranking[1]] > 0:
        other = solutions[ranking[1]]
        row[5 * n : 5 * n + 4], row[5 * n + 4], tail[1] = other[0][0], other[1][0], ranking[1]
    if n > 1 and scores[1] > 0:
        tail[3] = is_half_turn(quaternions[0], quaternions[1], symmetries[best], window_deg)


def unpack(rows: xr.DataArray, n_matches: int, limits: dict[str, float], pattern_status: xr.DataArray) -> xr.Dataset:
    """ORIENTATIONS of packed rows (scan_y, scan_x, value); lazy where they are."""
    matches = [rows.isel(value=slice(5 * k, 5 * k + 4)).rename(value="wxyz") for k in range(n_matches + 1)]
    scores = [rows.isel(value=5 * k + 4) for k in range(n_matches + 1)]
    tail = {name: rows.isel(value=-len(TAIL) + k) for k, name in enumerate(TAIL)}
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
