"""Pairs of scan positions that share an edge: their numbers, their disorientation, and connected components."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...rotations import about_axis, inverse, multiply, symmetric_angle_deg
from ..matching.candidates import TWIN_AXIS

Array = NDArray[np.float64]
Index = NDArray[np.int64]
HALF_TURN = about_axis([0, 0, 1], 180.0)


def find_neighbour_pairs(shape: tuple[int, ...]) -> tuple[Index, Index]:
    """Flat numbers of the two positions of every pair in a map (y, x): first those side by side, then those below."""
    number = np.arange(int(np.prod(shape))).reshape(shape)
    first = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    second = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    return first, second


def compute_disorientation(first: Array, second: Array, symmetry: Array, fold: bool) -> Array:
    """Disorientation [degrees] of orientations (n, 4); with ``fold``, also after half a turn about the beam if less."""
    angle = symmetric_angle_deg(first, second, symmetry)
    if fold:
        angle = np.minimum(angle, symmetric_angle_deg(multiply(first, HALF_TURN), second, symmetry))
    return angle


def is_half_turn_pair(first: Array, second: Array, symmetry: Array, tolerance_deg: float) -> NDArray[np.bool_]:
    """Whether orientations (n, 4) differ by 180 degrees about the beam or an axis within 15 degrees of it.

    It applies the rule of ``is_half_turn`` in ``acom/matching/candidates.py`` to whole arrays.
    """
    out = np.zeros(len(first), dtype=bool)
    for equivalent in symmetry:
        # The rotation between the two in the sample frame, where the beam is z.
        turn = multiply(inverse(first), multiply(equivalent, second))
        # A rotation by 180 degrees has the scalar part 0, and its vector part is the axis.
        out |= (turn[:, 0] < np.sin(np.radians(tolerance_deg) / 2)) & (np.abs(turn[:, 3]) > TWIN_AXIS)
    return out


def label_connected(first: Any, second: Any, count: int) -> NDArray[Any]:
    """Number of the connected component of each of ``count`` nodes, from the pairs of nodes that are joined."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int32)
