"""Pairs of scan positions that share an edge: which they are, how their orientations differ, what hangs together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...rotations import about_axis, inverse, multiply, symmetric_angle_deg
from ..matching.candidates import TWIN_AXIS

Array = NDArray[np.float64]
Index = NDArray[np.int64]
HALF_TURN = about_axis([0, 0, 1], 180.0)


def pairs(shape: tuple[int, ...]) -> tuple[Index, Index]:
    """Flat numbers of the two positions of every pair in a map (y, x): first those side by side, then those below."""
    number = np.arange(int(np.prod(shape))).reshape(shape)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    return first, second


def disorientation(first: Array, second: Array, symmetry: Array, fold: bool) -> Array:
    """Disorientation [degrees] of rows (n, 4); with ``fold``, or after half a turn about the beam if that is less."""
    angle = symmetric_angle_deg(first, second, symmetry)
    if fold:
        angle = np.minimum(angle, symmetric_angle_deg(multiply(first, HALF_TURN), second, symmetry))
    return angle


def half_turn_pairs(first: Array, second: Array, symmetry: Array, tolerance_deg: float) -> NDArray[np.bool_]:
    """Whether rows (n, 4) are each other turned by 180 degrees about the beam or an axis within 15 degrees of it.

    The rule is that of ``_solutions.is_half_turn``, for whole arrays.
    """
    out = np.zeros(len(first), dtype=bool)
    for equivalent in symmetry:
        turn = multiply(inverse(first), multiply(equivalent, second))
        out |= (turn[:, 0] < np.sin(np.radians(tolerance_deg) / 2)) & (np.abs(turn[:, 3]) > TWIN_AXIS)
    return out


def components(first: Any, second: Any, count: int) -> NDArray[Any]:
    """Number of the connected component of each of ``count`` nodes, from the pairs of nodes that are joined."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int32)
