"""Compiled Nelder-Mead maximisation of the score over small rotations."""

import numpy as np
from numba import njit

from .kernels import Array, ExcitedReflections, Spots, rotate_orientation
from .score import compute_score

_TOLERANCE = 2e-4  # [radian], size of the simplex at which the search ends


@njit(cache=True, nogil=True, error_model="numpy")
def maximise_score(
    excited: ExcitedReflections,
    spots: Spots,
    quaternion: Array,
    first_step: float,
    steps: int,
    position_tolerance: float,
    extra_tilt: float,
) -> tuple[Array, float]:
    """Orientation (4,) of the maximum of the score near a start, and the score there.

    The search is the simplex method of Nelder and Mead (Computer Journal 7, 308, 1965) on rotation vectors. The worst
    of four points is reflected through the centroid of the others. The simplex then expands (factor 3 from the worst
    point), contracts (1.5 outside, 0.5 inside), or shrinks by half around the best point.

    Parameters
    ----------
    excited, spots
        Reflections near the start, and peaks of the pattern.
    quaternion
        Start (4,).
    first_step
        Edge of the first simplex [radian]; negative values place it on the other side.
    steps
        Largest number of iterations.
    position_tolerance, extra_tilt
        As in ``compute_score``.
    """
    # Rotation vectors relative to the start: the start itself and one step along each axis.
    points = np.zeros((4, 3))
    for k in range(3):
        points[k + 1, k] = first_step
    values = np.empty(4)
    for k in range(4):
        values[k] = -compute_score(
            excited, spots, rotate_orientation(quaternion, points[k]), position_tolerance, extra_tilt
        )
    for _ in range(steps):
        order = np.argsort(values)
        points, values = points[order], values[order]
        # The size of the simplex bounds the error of the maximum.
        if np.max(np.abs(points[1:] - points[0])) < _TOLERANCE:
            break
        centroid = (points[0] + points[1] + points[2]) / 3
        trial = 2 * centroid - points[3]
        value = -compute_score(excited, spots, rotate_orientation(quaternion, trial), position_tolerance, extra_tilt)
        # The reflected point is better than the second worst, but not the best.
        if values[0] <= value < values[2]:
            points[3], values[3] = trial, value
            continue
        # The second point lies farther out, a little outside, or inside, by how good the reflected one is.
        factor = 3.0 if value < values[0] else (1.5 if value < values[3] else 0.5)
        second = factor * centroid + (1 - factor) * points[3]
        second_value = -compute_score(
            excited, spots, rotate_orientation(quaternion, second), position_tolerance, extra_tilt
        )
        if second_value < min(value, values[3]):
            points[3], values[3] = second, second_value
        elif value < values[3]:
            points[3], values[3] = trial, value
        else:
            # Neither point is better than the worst: the maximum is inside the simplex.
            for k in range(1, 4):
                points[k] = (points[k] + points[0]) / 2
                values[k] = -compute_score(
                    excited, spots, rotate_orientation(quaternion, points[k]), position_tolerance, extra_tilt
                )
    best = np.argmin(values)
    return rotate_orientation(quaternion, points[best]), -values[best]
