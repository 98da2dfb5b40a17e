"""Results of single pixels after matching or refinement, as arrays with names, and the dataset made of them."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ...errors import AcomStatus, status_attributes
from .candidates import is_half_turn
from .parallel import Output

Array = NDArray[np.float64]

_FIRST = 10.0  # added to the score of the best solution of each phase; scores are at most 1

#: Outputs per pixel in the order of ``PixelResults``, and of ``Candidates``.
RESULT_OUTPUTS = {
    "quaternion": Output(("match", "wxyz"), np.float64),
    "correlation": Output(("match",), np.float64),
    "phase": Output((), np.int16),
    "other_quaternion": Output(("wxyz",), np.float64),
    "other_correlation": Output((), np.float64),
    "other_phase": Output((), np.int16),
    "n_peaks": Output((), np.int64),
    "half_turn": Output((), np.int8),
    "uncertainty_deg": Output((), np.float64),
}
CANDIDATE_OUTPUTS = {
    "candidate_quaternion": Output(("candidate", "wxyz"), np.float64),
    "candidate_correlation": Output(("candidate",), np.float64),
    "candidate_phase": Output(("candidate",), np.int16),
}


class PixelResults(NamedTuple):
    """Results of a list of patterns, written in place. NaN, and phase -1, where there is no such solution.

    Parameters
    ----------
    quaternion, correlation
        Solutions of the best phase, best first: (pattern, match, 4) and (pattern, match).
    phase
        Index of the best phase (pattern,).
    other_quaternion, other_correlation, other_phase
        Best solution of another phase: (pattern, 4), (pattern,) and (pattern,).
    n_peaks
        Number of peaks that were used (pattern,).
    half_turn
        Whether the second solution is the first rotated by 180 degrees: 1, 0, or -1 without a second (pattern,).
    uncertainty_deg
        Standard deviation of the best orientation (pattern,) [degree]; refinement only.
    """

    quaternion: Array
    correlation: Array
    phase: NDArray[np.int16]
    other_quaternion: Array
    other_correlation: Array
    other_phase: NDArray[np.int16]
    n_peaks: NDArray[np.int64]
    half_turn: NDArray[np.int8]
    uncertainty_deg: Array


class Candidates(NamedTuple):
    """Distinct solutions of all phases that refinement starts from; NaN, and phase -1, where there are fewer.

    Parameters
    ----------
    quaternion, correlation, phase
        (pattern, candidate, 4), (pattern, candidate) and (pattern, candidate).
    """

    quaternion: Array
    correlation: Array
    phase: NDArray[np.int16]


class SymmetryStack(NamedTuple):
    """Proper rotations of all phases (phase, n, 4), padded with the identity, and how many each has (phase,)."""

    rotations: Array
    n_rotations: NDArray[np.int64]


def make_empty_results(count: int, n_matches: int) -> PixelResults:
    """Results of ``count`` patterns without any solution."""
    return PixelResults(
        quaternion=np.full((count, n_matches, 4), np.nan),
        correlation=np.full((count, n_matches), np.nan),
        phase=np.full(count, -1, np.int16),
        other_quaternion=np.full((count, 4), np.nan),
        other_correlation=np.full(count, np.nan),
        other_phase=np.full(count, -1, np.int16),
        n_peaks=np.zeros(count, np.int64),
        half_turn=np.full(count, -1, np.int8),
        uncertainty_deg=np.full(count, np.nan),
    )


def make_empty_candidates(count: int, n_candidates: int) -> Candidates:
    """Candidates of ``count`` patterns without any solution."""
    return Candidates(
        np.full((count, n_candidates, 4), np.nan),
        np.full((count, n_candidates), np.nan),
        np.full((count, n_candidates), -1, np.int16),
    )


def stack_symmetries(symmetries: list[Array]) -> SymmetryStack:
    """Symmetries (n, 4) of every phase, in one array."""
    count = np.array([len(one) for one in symmetries])
    out = np.zeros((len(symmetries), count.max(), 4))
    out[..., 0] = 1.0
    for row, one in zip(out, symmetries, strict=True):
        row[: len(one)] = one
    return SymmetryStack(out, count)


@njit(cache=True, nogil=True, error_model="numpy")
def write_result(
    results: PixelResults, b: int, quaternions: Array, scores: Array, symmetries: SymmetryStack, window: float
) -> None:
    """Write pattern ``b`` from the solutions of each phase, best first.

    Parameters
    ----------
    results
        Written at index ``b``.
    b
        Index of the pattern.
    quaternions, scores
        Solutions (phase, solution, 4) and (phase, solution); NaN where there is none.
    symmetries
        Proper rotations of the phases.
    window
        Two orientations nearer than this are one [radian].
    """
    # The best phase, and the best of the other phases, in one pass.
    best, other = -1, -1
    for k in range(len(scores)):
        if not scores[k, 0] > 0:
            continue
        if best < 0 or scores[k, 0] > scores[best, 0]:
            best, other = k, best
        elif other < 0 or scores[k, 0] > scores[other, 0]:
            other = k
    if best < 0:
        return
    # There may be more solutions than matches; the others compete as candidates only.
    n_matches = results.correlation.shape[1]
    results.quaternion[b] = quaternions[best, :n_matches]
    results.correlation[b] = scores[best, :n_matches]
    results.phase[b] = best
    if other >= 0:
        results.other_quaternion[b] = quaternions[other, 0]
        results.other_correlation[b], results.other_phase[b] = scores[other, 0], other
    if n_matches > 1 and scores[best, 1] > 0:
        symmetry = symmetries.rotations[best, : symmetries.n_rotations[best]]
        results.half_turn[b] = is_half_turn(quaternions[best, 0], quaternions[best, 1], symmetry, window)


@njit(cache=True, nogil=True, error_model="numpy")
def write_candidates(candidates: Candidates, b: int, quaternions: Array, scores: Array) -> None:
    """Write the best solutions of all phases as candidates of pattern ``b``, best first.

    The best solution of every phase comes before all others, so that refinement can decide between the phases.
    ``quaternions`` (phase, solution, 4) and ``scores`` (phase, solution) hold NaN where there is no solution.
    """
    n_phases, n_solutions = scores.shape
    ranked = scores.copy()
    for k in range(n_phases):
        ranked[k, 0] += _FIRST
    slot = 0
    # Sorting the raised scores puts the best of each phase first.
    for c in np.argsort(-ranked.ravel()):
        phase, rank = c // n_solutions, c % n_solutions
        if slot == candidates.phase.shape[1]:
            break
        if scores[phase, rank] > 0:
            candidates.quaternion[b, slot] = quaternions[phase, rank]
            candidates.correlation[b, slot], candidates.phase[b, slot] = scores[phase, rank], phase
            slot += 1


@njit(cache=True, nogil=True, error_model="numpy")
def write_batch(
    results: PixelResults,
    candidates: Candidates,
    batch: NDArray[np.int64],
    quaternions: Array,
    scores: Array,
    symmetries: SymmetryStack,
    window: float,
) -> None:
    """Write the solutions of the patterns with the indices ``batch`` (pattern,); see ``write_result``."""
    for i in range(len(batch)):
        write_result(results, batch[i], quaternions[i], scores[i], symmetries, window)
        write_candidates(candidates, batch[i], quaternions[i], scores[i])


def make_orientations(
    maps: dict[str, xr.DataArray], limits: dict[str, float], pattern_status: xr.DataArray
) -> xr.Dataset:
    """ORIENTATIONS of the maps of ``PixelResults``, lazy where they are.

    ``limits`` holds ``min_correlation`` and ``min_reliability``; ``pattern_status`` is the status of the peaks.
    """
    # Reliabilities are computed in double precision, before the scores are stored as float32.
    best = maps["correlation"].isel(match=0)
    second = maps["correlation"].isel(match=1) if maps["correlation"].sizes["match"] > 1 else xr.full_like(best, np.nan)
    out = xr.Dataset(
        {
            "quaternion": maps["quaternion"],
            "correlation": maps["correlation"].astype(np.float32),
            "phase": maps["phase"],
            "reliability": _compute_reliability(best, second),
            "phase_reliability": _compute_reliability(best, maps["other_correlation"]),
            "other_phase": maps["other_phase"],
            "other_quaternion": maps["other_quaternion"],
            "other_correlation": maps["other_correlation"].astype(np.float32),
        }
    )
    out["status"] = _find_status(out, maps, limits, pattern_status)
    return out.assign_coords(wxyz=list("wxyz"))


def make_candidate_maps(maps: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    """The maps of ``Candidates`` with the types that they have in ORIENTATIONS."""
    return {
        "candidate_quaternion": maps["candidate_quaternion"].astype(np.float32),
        "candidate_correlation": maps["candidate_correlation"].astype(np.float32),
        "candidate_phase": maps["candidate_phase"],
    }


def _compute_reliability(best: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """100 (1 - Q2 / Q1), NaN without a second solution; 0 where refinement left the second one ahead."""
    return (100 * (1 - second / best)).clip(0, 100).astype(np.float32)


def _find_status(
    out: xr.Dataset, maps: dict[str, xr.DataArray], limits: dict[str, float], pattern_status: xr.DataArray
) -> xr.DataArray:
    """``AcomStatus`` of every pixel (scan_y, scan_x)."""
    # A NaN reliability means no second solution, which is not close.
    close = out["reliability"] < limits["min_reliability"]
    indexed = out["phase"] >= 0
    empty = (pattern_status == AcomStatus.VACUUM) | (maps["n_peaks"] == 0)
    # Each line overrides the ones before it.
    codes = xr.zeros_like(out["phase"])
    codes = codes.where(~(close & (maps["half_turn"] == 1)), AcomStatus.AMBIGUOUS_180.value)
    codes = codes.where(~(close & (maps["half_turn"] == 0)), AcomStatus.PSEUDO_SYMMETRIC.value)
    codes = codes.where(
        ~(out["correlation"].isel(match=0, drop=True) < limits["min_correlation"]), AcomStatus.POOR_FIT.value
    )
    codes = codes.where(indexed, AcomStatus.TOO_FEW_PEAKS.value)
    codes = codes.where(indexed | ~empty, AcomStatus.VACUUM.value).astype(np.int8)
    codes.attrs = status_attributes(AcomStatus)
    return codes.transpose("scan_y", "scan_x")
