"""Refinement of one pattern after the other: which solutions climb, which of them are kept."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..matching.candidates import is_new
from ..matching.solutions import TAIL, fill_row
from .kernels import climb, make_spots, near_ewald, score, turned
from .uncertainty import uncertainty

Array = NDArray[np.float64]

_N_TAIL = len(TAIL)
_ROUGH_STEPS, _FINE_STEPS = 24, 60
_HALF_TURN = np.array([0.0, 0.0, np.pi])


class Settings(NamedTuple):
    """``reach``: step of the bank, ``window``: distinct beyond [radian]; blur [1/angstrom], power of the intensity.

    ``finalists``: how many solutions climb to the end, after all have climbed roughly; ``restarts``: how many of
    these climb again from another side.
    """

    reach: float
    window: float
    blur: float
    power: float
    finalists: int
    restarts: int


@njit(cache=True, nogil=True, error_model="numpy")
def refine_patterns(peaks, known, phases, crystals, symmetries, settings, rows):  # type: ignore[no-untyped-def]
    """Packed rows of patterns: ``peaks`` (3: qy, qx, intensity; pattern; peak), ``known`` (pattern, solution, 4)."""
    for b in range(len(rows)):
        seen = np.sum(peaks[2, b] > 0)
        n_matches = (rows.shape[1] - _N_TAIL) // 5 - 1
        rows[b, 5 * (n_matches + 1) + 2] = seen
        if not np.any(phases[b] >= 0) or seen == 0:
            continue
        spots = make_spots(peaks[0, b], peaks[1, b], peaks[2, b], settings.blur, settings.power)
        quaternions, scores, owners = _climbed(spots, known[b], phases[b], crystals, settings)
        _keep(rows[b], (quaternions, scores, owners), symmetries, settings, n_matches, len(crystals.first) - 1, seen)
        best = int(rows[b, 5 * (n_matches + 1)])
        if best >= 0:
            near = near_ewald(crystals, best, rows[b, :4], settings.reach, spots)
            rows[b, 5 * (n_matches + 1) + _N_TAIL - 1] = uncertainty(near, spots, rows[b, :4].copy(), rows[b, 4])


@njit(cache=True, nogil=True, error_model="numpy")
def _climbed(spots, starts, phases, crystals, settings):  # type: ignore[no-untyped-def]
    """Orientations, scores and phases of the solutions: rough climbs, fine ones of the best, and half turns.

    The half turn about the beam of the best is nearly as good wherever the Ewald sphere looks flat, and the bank need
    not have offered it. A start itself counts only where its climb ran into another solution: then it is what the bank
    saw there. The simplex starts as large as the bank's step: a smaller one stays in the nearest of several maxima.
    """
    count = len(starts)
    quaternions, scores = np.empty((2 * count + 1, 4)), np.full(2 * count + 1, -1.0)
    owners = np.full(2 * count + 1, -1)
    rough = np.full(count, -1.0)
    for c in range(count):
        if phases[c] < 0:
            continue
        near = near_ewald(crystals, phases[c], starts[c], 2 * settings.reach, spots)
        quaternions[count + c], owners[count + c] = starts[c], phases[c]
        scores[count + c] = _score_of(starts[c], phases[c], spots, crystals, settings)
        top, rough[c] = climb(
            near, spots, starts[c], settings.reach, _ROUGH_STEPS, 2 * settings.blur, settings.reach / 4
        )
        quaternions[c], owners[c] = top, phases[c]
    order = np.argsort(-rough)
    heard = np.zeros(len(crystals.first) - 1, np.bool_)
    finals = 0
    for c in order:
        if rough[c] < 0:
            continue
        if finals >= settings.finalists and heard[owners[c]]:
            scores[c] = -1.0
            continue
        heard[owners[c]] = True
        finals += 1
        near = near_ewald(crystals, owners[c], quaternions[c], 1.5 * settings.reach, spots)
        quaternions[c] = climb(near, spots, quaternions[c], settings.reach / 2, _FINE_STEPS, settings.blur, 0.0)[0]
        scores[c] = _score_of(quaternions[c], owners[c], spots, crystals, settings)
    best = np.argmax(scores)
    if scores[best] > 0:
        quaternions[-1], owners[-1] = turned(quaternions[best], _HALF_TURN), owners[best]
        scores[-1] = 0.0
        _climb_again(2 * count, quaternions, scores, owners, (spots, crystals, settings), settings.reach)
        order = np.argsort(-scores)
        for c in order[: settings.restarts]:
            if scores[c] > 0:
                _climb_again(c, quaternions, scores, owners, (spots, crystals, settings), -0.6 * settings.reach)
        if scores[-1] > 0 and not np.any(order[: settings.restarts] == 2 * count):
            _climb_again(2 * count, quaternions, scores, owners, (spots, crystals, settings), -0.6 * settings.reach)
    return quaternions, scores, owners


@njit(cache=True, nogil=True, error_model="numpy")
def _climb_again(c, quaternions, scores, owners, setup, first_step):  # type: ignore[no-untyped-def]
    """Another climb of solution c, with a simplex to the other side: it leaves a maximum for a higher one nearby."""
    spots, crystals, settings = setup
    near = near_ewald(crystals, owners[c], quaternions[c], 2 * settings.reach, spots)
    top = climb(near, spots, quaternions[c], first_step, _FINE_STEPS, settings.blur, 0.0)[0]
    value = _score_of(top, owners[c], spots, crystals, settings)
    if value > scores[c]:
        quaternions[c], scores[c] = top, value


@njit(cache=True, nogil=True, error_model="numpy")
def _score_of(quaternion, phase, spots, crystals, settings):  # type: ignore[no-untyped-def]
    """Score with the reflections near this very orientation, so that all solutions are judged alike."""
    near = near_ewald(crystals, phase, quaternion, settings.reach, spots)
    return score(near, spots, quaternion, settings.blur, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(row, solutions, symmetries, settings, n_matches, n_phases, seen):  # type: ignore[no-untyped-def]
    """Write the best orientations of each phase that differ by more than half the window."""
    quaternions, scores, owners = solutions
    stacks, sizes = symmetries
    kept = np.full((n_phases, n_matches, 4), np.nan)
    values = np.full((n_phases, n_matches), np.nan)
    filled = np.zeros(n_phases, np.int64)
    for c in np.argsort(-scores):
        k = owners[c]
        if k < 0 or not scores[c] > 0 or filled[k] == n_matches:
            continue
        if is_new(quaternions[c], kept[k, : filled[k]], stacks[k, : sizes[k]], np.cos(settings.window / 4)):
            kept[k, filled[k]], values[k, filled[k]] = quaternions[c], scores[c]
            filled[k] += 1
    fill_row(row, kept, values, stacks, sizes, n_matches, seen, settings.window)
