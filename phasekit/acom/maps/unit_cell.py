"""The unit cell of a phase in the sample frame, as it is drawn beside the map."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...crystals import direct_basis
from ...rotations import to_matrix

Array = NDArray[np.float64]
_EDGE_ON = 1e-6  # cosine: a face with a smaller one is seen from its edge


class PlacedCell(NamedTuple):
    """Unit cell in the sample frame (x right, y down, z along the beam), about its middle.

    Lengths are in units of half the longest diagonal, so that any orientation fits into a circle of radius 1.
    """

    edges: Array  # (edge, end, xyz)
    hidden: NDArray[np.bool_]  # (edge,): behind the cell, seen along the beam
    origin: Array  # (xyz,) of the corner that the axes start from
    axes: Array  # (axis, xyz): ends of a, b and c
    axis_hidden: NDArray[np.bool_]  # (axis,)


def place_unit_cell(lattice: ArrayLike, quaternion: ArrayLike) -> PlacedCell:
    r"""Place the cell (a, b, c, alpha, beta, gamma) of a crystal with this quaternion (w, x, y, z) in the sample.

    The quaternion rotates the sample frame into the crystal frame (docs/conventions.md), hence

    .. math:: v_{sample} = R^T v_{crystal}
    """
    basis = direct_basis(lattice) @ to_matrix(np.asarray(quaternion, dtype=float))
    steps = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners = (steps - 0.5) @ basis
    size = np.linalg.norm(corners, axis=1).max()
    basis, corners = basis / size, corners / size
    # Corners that differ by one step along one axis share an edge.
    pairs = [(i, j) for i in range(8) for j in range(i) if np.abs(steps[i] - steps[j]).sum() == 1]
    hidden = np.array([_is_hidden(steps[i], steps[j], basis) for i, j in pairs])
    edges = np.array([[corners[i], corners[j]] for i, j in pairs])
    # The axes are the edges at the first corner: its neighbours along a, b and c have the numbers 4, 2 and 1.
    along = [pairs.index((end, 0)) for end in (4, 2, 1)]
    return PlacedCell(edges, hidden, corners[0], corners[0] + basis, hidden[along])


def _is_hidden(start: Array, end: Array, basis: Array) -> bool:
    """Whether an edge between two corners (steps along a, b, c) lies behind the cell, seen along +z."""
    # The planes of a cell are normal to its reciprocal vectors; the normal points outwards on the side of step 1.
    normals = np.linalg.inv(basis).T
    towards = normals[:, 2] / np.linalg.norm(normals, axis=1) * np.where(start == 1, 1.0, -1.0)
    # The edge belongs to the two faces on which it has one step: both turn away, or one does and one is edge-on.
    faces = towards[start == end]
    return bool(faces.min() > -_EDGE_ON and faces.max() > _EDGE_ON)
