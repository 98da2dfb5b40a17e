"""The compiled loop of refinement over patterns: which solutions are refined, and which of them are kept."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ..matching.candidates import is_distinct
from ..matching.result import PixelResults, SymmetryStack, write_result
from .kernels import Crystals, Spots, find_excited_reflections, make_spots, rotate_orientation
from .score import compute_score
from .simplex import maximise_score
from .uncertainty import estimate_uncertainty

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_ROUGH_STEPS, _FINE_STEPS = 24, 60
_RESTART = -0.6  # first step of a restart in steps of the bank: smaller, and to the other side
_HALF_TURN = np.array([0.0, 0.0, np.pi])


class RefineSettings(NamedTuple):
    """Settings of the refinement, the same for all patterns.

    Parameters
    ----------
    step
        Edge of the first simplex, about the step of the bank [radian].
    window
        Two orientations nearer than this are one [radian].
    position_tolerance
        Standard deviation of the Gaussian spots of the score [1/angstrom].
    intensity_power
        Power of the intensity in the weight of a spot.
    n_fine
        Number of solutions that are refined finely, after all were refined roughly.
    n_restarts
        Number of these that are refined again with another simplex.
    """

    step: float
    window: float
    position_tolerance: float
    intensity_power: float
    n_fine: int
    n_restarts: int


class Starts(NamedTuple):
    """Solutions to start from: orientations (pattern, start, 4) and phases (pattern, start), -1 where there is none."""

    quaternion: Array
    phase: Integers


class Solutions(NamedTuple):
    """Solutions of one pattern: orientations (n, 4), scores (n,) and phases (n,); score and phase -1 if unused.

    The first third of the slots, one per start, is for refined solutions. The second holds the starts themselves.
    The last slot is for the best solution rotated by 180 degrees about the beam.
    """

    quaternion: Array
    score: Array
    phase: Integers


@njit(cache=True, nogil=True, error_model="numpy")
def refine_patterns(
    qy: Array,
    qx: Array,
    intensity: Array,
    starts: Starts,
    crystals: Crystals,
    symmetries: SymmetryStack,
    settings: RefineSettings,
    results: PixelResults,
) -> None:
    """Refine the solutions of every pattern, and write the best ones into ``results``.

    Parameters
    ----------
    qy, qx
        Positions (pattern, peak) [1/angstrom].
    intensity
        Intensities (pattern, peak); peaks with 0 are not used.
    starts
        Solutions to start from.
    crystals
        Reflections of all phases.
    symmetries
        Proper rotations of all phases.
    settings
        Settings of the refinement.
    results
        Written.
    """
    for b in range(len(qy)):
        results.n_peaks[b] = np.sum(intensity[b] > 0)
        if not np.any(starts.phase[b] >= 0) or results.n_peaks[b] == 0:
            continue
        # Peaks are sorted and weighted once per pattern, not once per start.
        spots = make_spots(qy[b], qx[b], intensity[b], settings.position_tolerance, settings.intensity_power)
        solutions = _refine_starts(spots, starts.quaternion[b], starts.phase[b], crystals, settings)
        _write_distinct(results, b, solutions, symmetries, settings.window)
        # The uncertainty is that of the best solution alone.
        if results.phase[b] >= 0:
            best = results.quaternion[b, 0].copy()
            excited = find_excited_reflections(crystals, results.phase[b], best, settings.step, spots)
            results.uncertainty_deg[b] = estimate_uncertainty(excited, spots, best, results.correlation[b, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def _refine_starts(
    spots: Spots, starts: Array, phases: Integers, crystals: Crystals, settings: RefineSettings
) -> Solutions:
    """Refine the starts (start, 4) of the phases (start,): all roughly, the best finely, and their half turns.

    The first simplex is as large as the step of the bank. A smaller one stays in the nearest of several maxima.
    """
    count = len(starts)
    total = 2 * count + 1
    solutions = Solutions(np.empty((total, 4)), np.full(total, -1.0), np.full(total, -1))
    rough = _refine_roughly(solutions, spots, starts, phases, crystals, settings)
    _refine_finely(solutions, rough, spots, crystals, settings)
    best = np.argmax(solutions.score)
    if not solutions.score[best] > 0:
        return solutions
    # A half turn about the beam scores nearly alike where the Ewald sphere looks flat, and the bank may lack it.
    half_turn = total - 1
    solutions.quaternion[half_turn] = rotate_orientation(solutions.quaternion[best], _HALF_TURN)
    solutions.phase[half_turn], solutions.score[half_turn] = solutions.phase[best], 0.0
    _refine_again(solutions, half_turn, spots, crystals, settings, settings.step)
    # The order is fixed before the restarts, which change the scores.
    again = np.argsort(-solutions.score)[: settings.n_restarts]
    for c in again:
        if solutions.score[c] > 0:
            _refine_again(solutions, c, spots, crystals, settings, _RESTART * settings.step)
    # The half turn had only one refinement so far, the others two.
    if solutions.score[half_turn] > 0 and not np.any(again == half_turn):
        _refine_again(solutions, half_turn, spots, crystals, settings, _RESTART * settings.step)
    return solutions


@njit(cache=True, nogil=True, error_model="numpy")
def _refine_roughly(
    solutions: Solutions, spots: Spots, starts: Array, phases: Integers, crystals: Crystals, settings: RefineSettings
) -> Array:
    """Refine all starts with wide spots and added rocking; return their rough scores (start,), -1 if unused.

    The starts are kept as solutions too. They count where their refinement ends in another solution.
    """
    count = len(starts)
    rough = np.full(count, -1.0)
    for c in range(count):
        if phases[c] < 0:
            continue
        excited = find_excited_reflections(crystals, phases[c], starts[c], 2 * settings.step, spots)
        # The start itself is a solution too, with the score by which all are compared.
        solutions.quaternion[count + c], solutions.phase[count + c] = starts[c], phases[c]
        solutions.score[count + c] = _compute_final_score(starts[c], phases[c], spots, crystals, settings)
        # Wide spots and rocking smooth the score, so that a start a bank step away still finds the maximum.
        wide, rocking = 2 * settings.position_tolerance, settings.step / 4
        top, rough[c] = maximise_score(excited, spots, starts[c], settings.step, _ROUGH_STEPS, wide, rocking)
        solutions.quaternion[c], solutions.phase[c] = top, phases[c]
    return rough


@njit(cache=True, nogil=True, error_model="numpy")
def _refine_finely(
    solutions: Solutions, rough: Array, spots: Spots, crystals: Crystals, settings: RefineSettings
) -> None:
    """Refine the solutions with the best rough scores (start,) to the end; at least one of every phase."""
    phase_seen = np.zeros(len(crystals.first) - 1, np.bool_)
    refined = 0
    for c in np.argsort(-rough):
        if rough[c] < 0:
            continue
        phase = solutions.phase[c]
        # Every phase keeps at least one solution, because rough scores of phases are not comparable.
        if refined >= settings.n_fine and phase_seen[phase]:
            solutions.score[c] = -1.0
            continue
        phase_seen[phase] = True
        refined += 1
        excited = find_excited_reflections(crystals, phase, solutions.quaternion[c], 1.5 * settings.step, spots)
        solutions.quaternion[c] = maximise_score(
            excited, spots, solutions.quaternion[c], settings.step / 2, _FINE_STEPS, settings.position_tolerance, 0.0
        )[0]
        solutions.score[c] = _compute_final_score(solutions.quaternion[c], phase, spots, crystals, settings)


@njit(cache=True, nogil=True, error_model="numpy")
def _refine_again(
    solutions: Solutions, c: int, spots: Spots, crystals: Crystals, settings: RefineSettings, first_step: float
) -> None:
    """Refine solution ``c`` again with another first step [radian], and keep the result if its score is higher.

    A simplex on the other side can leave a maximum for a higher one nearby.
    """
    phase = solutions.phase[c]
    excited = find_excited_reflections(crystals, phase, solutions.quaternion[c], 2 * settings.step, spots)
    top = maximise_score(
        excited, spots, solutions.quaternion[c], first_step, _FINE_STEPS, settings.position_tolerance, 0.0
    )[0]
    value = _compute_final_score(top, phase, spots, crystals, settings)
    # Only scores with the reflections of the final orientation are compared.
    if value > solutions.score[c]:
        solutions.quaternion[c], solutions.score[c] = top, value


@njit(cache=True, nogil=True, error_model="numpy")
def _compute_final_score(
    quaternion: Array, phase: int, spots: Spots, crystals: Crystals, settings: RefineSettings
) -> float:
    """Score with the reflections near this very orientation (4,), so that all solutions are compared alike."""
    excited = find_excited_reflections(crystals, phase, quaternion, settings.step, spots)
    return compute_score(excited, spots, quaternion, settings.position_tolerance, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_distinct(
    results: PixelResults, b: int, solutions: Solutions, symmetries: SymmetryStack, window: float
) -> None:
    """Write pattern ``b`` from the best solutions of each phase that differ by more than half the window [radian]."""
    n_phases, n_matches = len(symmetries.n_rotations), results.correlation.shape[1]
    quaternions = np.full((n_phases, n_matches, 4), np.nan)
    scores = np.full((n_phases, n_matches), np.nan)
    filled = np.zeros(n_phases, np.int64)
    for c in np.argsort(-solutions.score):
        k = solutions.phase[c]
        if k < 0 or not solutions.score[c] > 0 or filled[k] == n_matches:
            continue
        symmetry = symmetries.rotations[k, : symmetries.n_rotations[k]]
        # Half of the matching window: refined solutions have their own maxima, and may lie nearer than a bank step.
        if is_distinct(solutions.quaternion[c], quaternions[k, : filled[k]], symmetry, np.cos(window / 4)):
            quaternions[k, filled[k]], scores[k, filled[k]] = solutions.quaternion[c], solutions.score[c]
            filled[k] += 1
    write_result(results, b, quaternions, scores, symmetries, window)
