"""Point groups on the axes of a crystal, and the rotation that brings them onto the axes on which orix holds them."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..code_cache import import_alone
from ..errors import SchemaError

Array = NDArray[np.float64]

# Elements of matrices of one operation differ by the rounding of the cell only.
_SAME_MATRIX = 0.02
_LAUE_NAMES = frozenset(("-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m"))


def point_symmetry(operations: ArrayLike, basis: Array) -> Any:
    r"""Point group as ``orix.quaternion.Symmetry`` on the axes given; orix's own object where it is the same.

    Orix holds one setting of each group: ``2/m`` about c, ``-3m`` with the twofold axis along a. A group's name, or a
    space group's number, may therefore place its axes wrongly. An operation W on fractional coordinates becomes

    .. math:: R = B^T \, W \, B^{-T}

    in the crystal frame, with the rows of B as the cell.

    Parameters
    ----------
    operations
        Rotations of the space group on fractional coordinates (n, 3, 3), integers; repeated ones count once.
    basis
        Rows a, b, c of the cell in the crystal frame, as :func:`direct_basis` gives them.

    Examples
    --------
    >>> from phasekit.crystals import direct_basis
    >>> about_b = [np.diag([1, 1, 1]), np.diag([-1, 1, -1]), np.diag([-1, -1, -1]), np.diag([1, -1, 1])]
    >>> point_symmetry(about_b, direct_basis((5, 6, 7, 90, 100, 90))).name
    '2/m on the axes given'
    """
    import scipy.spatial

    import_alone("orix.quaternion.symmetry")
    from orix.quaternion import Symmetry
    from orix.quaternion.symmetry import _groups

    # Screw axes and glide planes differ by translations only, so that their rotation parts repeat.
    matrices = np.unique(np.rint(np.asarray(operations, dtype=float)), axis=0)
    to_crystal = basis.T @ matrices @ np.linalg.inv(basis.T)
    # The group is compared by proper parts and a flag, as orix stores it.
    improper = np.linalg.det(to_crystal) < 0
    turns = _find_nearest_rotation(to_crystal * np.where(improper, -1, 1)[:, None, None])
    wanted = _make_signature(turns, improper)
    # The object of orix itself keeps its colour keys and sectors.
    for group in _groups:
        if group.size == len(turns) and _make_signature(group.to_matrix(), group.improper) == wanted:
            return group
    quaternions = scipy.spatial.transform.Rotation.from_matrix(turns).as_quat(scalar_first=True)
    symmetry = Symmetry(quaternions)
    symmetry.improper = improper
    symmetry.name = _make_group_name(matrices, improper)
    return symmetry


def contains_group(group: Any, part: Any) -> bool:
    """Whether every operation of ``part`` is one of ``group`` (both orix ``Symmetry``), within 0.02 per matrix element.

    Examples
    --------
    >>> from orix.quaternion.symmetry import D2h, Oh
    >>> contains_group(Oh, D2h), contains_group(D2h, Oh)
    (True, False)
    """
    whole, pieces = (one.to_matrix().reshape(-1, 9) for one in (group, part))
    flags = np.ravel(group.improper)[None, :] == np.ravel(part.improper)[:, None]
    near = np.abs(pieces[:, None, :] - whole[None, :, :]).max(axis=-1) < _SAME_MATRIX
    return bool((near & flags).any(axis=1).all())


def find_laue_rotations(group: Any) -> Array:
    """Proper rotations (n, 4) of the Laue group of ``group`` (orix ``Symmetry``), on any axes.

    Orix finds the proper part of a group among the groups that it holds, which have their own axes only.

    Examples
    --------
    >>> from orix.quaternion.symmetry import Td
    >>> find_laue_rotations(Td).shape
    (24, 4)
    """
    # The inversion that diffraction adds turns every improper operation into its rotation.
    return select_up_to_sign(np.asarray(group.data, dtype=float).reshape(-1, 4), 1e-4)


def select_up_to_sign(vectors: Array, tolerance: float) -> Array:
    """Unit vectors (n, k) of which v and -v, whose cosine is 1 within the tolerance, are one: the first of each."""
    kept: list[Array] = []
    for one in vectors:
        if all(abs(one @ other) < 1 - tolerance for other in kept):
            kept.append(one)
    return np.array(kept)


def find_standard_group(group: Any) -> tuple[Any, Array]:
    r"""Laue group of orix that equals the Laue group of ``group`` after a rotation, and this rotation (3, 3).

    Orix holds each group on one choice of axes, and its colour keys and sectors are made for these. A primitive cell or
    another setting has the same group on other axes. With the rotation R a direction v of the crystal frame becomes
    :math:`R v` in the frame of orix. Of several rotations the one by the smallest angle is taken.

    Examples
    --------
    >>> about_b = [np.diag([1, 1, 1]), np.diag([-1, 1, -1])]
    >>> standard, turn = find_standard_group(point_symmetry(about_b, np.eye(3)))
    >>> standard.name, (turn @ [0, 1, 0]).round(6).tolist()
    ('2/m', [0.0, 0.0, 1.0])
    """
    import_alone("orix.quaternion.symmetry")
    from orix.quaternion.symmetry import _groups

    turns = _make_matrices(find_laue_rotations(group))
    shape = _count_orders(turns)
    for standard in _groups:
        if standard.name not in _LAUE_NAMES:
            continue
        wanted = _make_matrices(find_laue_rotations(standard))
        if len(wanted) == len(turns) and _count_orders(wanted) == shape:
            turn = _find_turn(turns.tobytes(), wanted.tobytes())
            return standard, turn.copy()
    raise SchemaError(f"find_standard_group: '{group.name}' is no crystallographic point group. Open the CIF again.")


def _make_matrices(quaternions: Array) -> Array:
    """Rotation matrices (n, 3, 3) of quaternions (n, 4)."""
    import scipy.spatial

    rotations = scipy.spatial.transform.Rotation.from_quat(quaternions, scalar_first=True)
    return np.ascontiguousarray(rotations.as_matrix())


@lru_cache(maxsize=256)
def _find_turn(turns_bytes: bytes, wanted_bytes: bytes) -> Array:
    """Smallest rotation R (3, 3) with R T R^T = W for two sets of rotations (n, 3, 3) of one kind."""
    turns, wanted = (np.frombuffer(text, dtype=float).reshape(-1, 3, 3) for text in (turns_bytes, wanted_bytes))
    if _is_same_set(turns, wanted):
        return np.eye(3)
    best = np.eye(3)
    largest_trace = -2.0
    for source in _list_frames(turns):
        for target in _list_frames(wanted, first_only=True):
            turn = target.T @ source
            # The trace of a rotation is 1 + 2 cos(angle).
            if np.trace(turn) > largest_trace + 1e-6 and _is_same_set(turn @ turns @ turn.T, wanted):
                best, largest_trace = turn, float(np.trace(turn))
    return best


def _list_frames(turns: Array, *, first_only: bool = False) -> list[Array]:
    """Right-handed frames (rows) whose first axis is one of highest order and whose second lies in a plane of axes."""
    orders = np.array([_find_order(turn) for turn in turns])
    vectors = [_find_axis(turn) for turn, order in zip(turns, orders, strict=True) if order > 1]
    orders = orders[orders > 1]
    if not vectors:
        return [np.eye(3)]
    highest = [sign * v for v, order in zip(vectors, orders, strict=True) if order == orders.max() for sign in (1, -1)]
    frames = []
    for first in highest[:1] if first_only else highest:
        second = [v * sign for v in vectors for sign in (1, -1) if abs(v @ first) < 1 - 1e-3]
        # One frame of the target is enough, because the source lists all of its own.
        second = second[:1] if first_only else second
        # A group with one axis leaves the turn about it free; the smallest of a few is taken.
        second = second or [axis for axis in np.eye(3) if abs(axis @ first) < 0.9]
        for other in second:
            middle = other - (other @ first) * first
            middle /= np.linalg.norm(middle)
            frames.append(np.array([first, middle, np.cross(first, middle)]))
    return frames


def _find_axis(turn: Array) -> Array:
    """Axis of a rotation (3, 3), as a unit vector."""
    values, vectors = np.linalg.eigh(turn + turn.T)
    return np.asarray(vectors[:, np.argmax(values)])


def _find_order(turn: Array) -> int:
    return _ORDERS[round(float(np.trace(turn)))]


def _count_orders(turns: Array) -> tuple[int, ...]:
    return tuple(sorted(_find_order(turn) for turn in turns))


def _is_same_set(turns: Array, wanted: Array) -> bool:
    near = np.abs(turns[:, None] - wanted[None, :]).max(axis=(-1, -2)) < _SAME_MATRIX
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def _find_nearest_rotation(matrices: Array) -> Array:
    """Nearest orthogonal matrices (n, 3, 3): a cell with rounded angles does not turn exactly into itself."""
    left, _, right = np.linalg.svd(matrices)
    return left @ right


def _make_signature(turns: Array, improper: NDArray[np.bool_]) -> set[tuple[int, ...]]:
    """Set of the rotations (n, 3, 3), rounded to 0.02, with their improper flags: groups compare equal in any order."""
    rounded = np.rint(np.asarray(turns).reshape(len(turns), 9) * 50).astype(int)
    return {(*map(int, row), int(flag)) for row, flag in zip(rounded, improper, strict=True)}


def _make_group_name(matrices: Array, improper: NDArray[np.bool_]) -> str:
    """Name of a group that orix does not hold on these axes, as '2/m on the axes given', from traces."""
    proper = matrices * np.where(improper, -1, 1)[:, None, None]
    # The trace of a rotation gives its order: 1 + 2 cos(angle).
    orders = sorted(int(_ORDERS[round(float(np.trace(matrix)))]) for matrix in proper)
    mirrors = int(sum(round(float(np.trace(matrix))) == 1 for matrix in matrices[improper]))
    centred = bool(any(round(float(np.trace(matrix))) == -3 for matrix in matrices))
    key = (len(matrices), max(orders), mirrors, centred)
    return f"{_NAMES.get(key, f'order {len(matrices)}')} on the axes given"


_ORDERS = {3: 1, -1: 2, 0: 3, 1: 4, 2: 6}
#: (order, highest rotation, number of mirrors, has a centre) of the groups, for axes on which orix does not hold them.
_NAMES = {
    (2, 2, 0, False): "2",
    (4, 2, 0, False): "222",
    (8, 2, 3, True): "mmm",
    (12, 3, 0, False): "23",
    (24, 3, 3, True): "m-3",
    (24, 4, 0, False): "432",
    (24, 4, 6, False): "-43m",
    (48, 4, 9, True): "m-3m",
    (2, 2, 1, False): "m",
    (4, 2, 1, True): "2/m",
    (4, 2, 2, False): "mm2",
    (4, 4, 0, False): "4 or -4",
    (8, 4, 1, True): "4/m",
    (8, 4, 0, False): "422",
    (8, 4, 4, False): "4mm",
    (8, 4, 2, False): "-4m2",
    (16, 4, 5, True): "4/mmm",
    (3, 3, 0, False): "3",
    (6, 3, 0, True): "-3",
    (6, 3, 0, False): "312",
    (6, 3, 3, False): "31m",
    (12, 3, 3, True): "-31m",
    (6, 6, 0, False): "6",
    (6, 6, 1, False): "-6",
    (12, 6, 4, False): "-62m",
    (12, 6, 0, False): "622",
    (12, 6, 6, False): "6mm",
    (12, 6, 1, True): "6/m",
    (24, 6, 7, True): "6/mmm",
}
