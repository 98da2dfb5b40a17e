"""Rotations as unit quaternions (w, x, y, z), w >= 0, as in docs/conventions.md: ``v_crystal = O * v_sample``.

Functions on plain arrays, shared by simulation, template bank, matching and maps. The last axis holds the quaternion.
The other axes broadcast.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

__all__ = [
    "about_axis",
    "from_matrix",
    "from_vector",
    "inverse",
    "multiply",
    "positive",
    "random",
    "symmetric_angle_deg",
    "to_matrix",
]


def __dir__() -> list[str]:
    return list(__all__)


def multiply(first: ArrayLike, second: ArrayLike) -> Array:
    r"""Product ``first * second``: the rotation that applies ``second``, then ``first``.

    .. math:: (w_1, v_1) (w_2, v_2) = (w_1 w_2 - v_1 \cdot v_2, \; w_1 v_2 + w_2 v_1 + v_1 \times v_2)

    Examples
    --------
    >>> half = about_axis([0, 0, 1], 45.0)
    >>> multiply(half, half).round(4)
    array([0.7071, 0.    , 0.    , 0.7071])
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    w = a[..., 0] * b[..., 0] - np.sum(a[..., 1:] * b[..., 1:], axis=-1)
    v = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    # One sign for each rotation, so that equal rotations have equal numbers.
    return positive(np.concatenate([w[..., None], v], axis=-1))


def positive(quaternion: ArrayLike) -> Array:
    """Same rotations (..., 4) with w >= 0: q and -q are one rotation."""
    q = np.asarray(quaternion, dtype=float)
    return np.where(q[..., :1] < 0, -q, q)


def inverse(quaternion: ArrayLike) -> Array:
    """Inverse rotations (..., 4)."""
    return np.asarray(quaternion, dtype=float) * np.array([1.0, -1.0, -1.0, -1.0])


def about_axis(axis: ArrayLike, angle_deg: ArrayLike) -> Array:
    """Rotation by an angle [degrees] about an axis of any length, right-handed."""
    n = np.asarray(axis, dtype=float)
    n = n / np.linalg.norm(n, axis=-1, keepdims=True)
    half = np.radians(np.asarray(angle_deg, dtype=float))[..., None] / 2
    return positive(_join_components(np.cos(half), np.sin(half) * n))


def _join_components(w: Array, v: Array) -> Array:
    """Quaternions (..., 4) of scalar parts (..., 1) and vector parts (..., 3), broadcast."""
    shape = np.broadcast_shapes(w.shape[:-1], v.shape[:-1])
    return np.concatenate([np.broadcast_to(w, (*shape, 1)), np.broadcast_to(v, (*shape, 3))], axis=-1)


def from_vector(rotation_vector: ArrayLike) -> Array:
    """Rotation whose axis is the direction and whose angle [radians] is the length of the vector (..., 3)."""
    v = np.asarray(rotation_vector, dtype=float)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    # sinc has the limit 1: the identity needs no case of its own.
    return positive(_join_components(np.cos(angle / 2), 0.5 * np.sinc(angle / (2 * np.pi)) * v))


def to_matrix(quaternion: ArrayLike) -> Array:
    """Rotation matrices R (..., 3, 3) with ``v_crystal = R @ v_sample``.

    Examples
    --------
    >>> to_matrix(about_axis([0, 0, 1], 90.0)).round(6) @ [1.0, 0.0, 0.0]
    array([0., 1., 0.])
    """
    w, x, y, z = np.moveaxis(np.asarray(quaternion, dtype=float), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def from_matrix(matrix: ArrayLike) -> Array:
    """Quaternions (..., 4) of proper rotation matrices (..., 3, 3)."""
    from scipy.spatial.transform import Rotation

    m = np.asarray(matrix, dtype=float)
    xyzw = Rotation.from_matrix(m.reshape(-1, 3, 3)).as_quat()
    return positive(np.roll(xyzw, 1, axis=-1)).reshape(*m.shape[:-2], 4)


def random(count: int, rng: np.random.Generator) -> Array:
    """Random rotations (count, 4), uniform over all orientations.

    The direction of a normal deviate in four dimensions is uniform on the sphere of quaternions.
    """
    q = rng.normal(size=(count, 4))
    return positive(q / np.linalg.norm(q, axis=-1, keepdims=True))


def symmetric_angle_deg(first: ArrayLike, second: ArrayLike, symmetry: ArrayLike) -> Array:
    r"""Disorientation [degrees]: the smallest angle between ``first`` and any equivalent ``S * second``.

    .. math:: \omega = \min_{S} \, 2 \arccos \left| \langle q_1 q_2^{-1}, S \rangle \right|

    Parameters
    ----------
    first, second
        Orientations (..., 4), broadcast against each other. NaN gives NaN.
    symmetry
        Proper rotations of the crystal (n, 4), in the crystal frame.

    See Also
    --------
    phasekit.diffraction.diffraction_symmetry : Proper rotations of a phase.

    Examples
    --------
    >>> quarter = about_axis([0, 0, 1], [0.0, 90.0, 180.0, 270.0])
    >>> float(symmetric_angle_deg([1, 0, 0, 0], about_axis([0, 0, 1], 80.0), quarter).round(6))
    10.0
    """
    relative = multiply(first, inverse(second))  # S * second is nearest first where |<relative, S>| is largest
    # q and -q are one rotation, hence the absolute value.
    cosine = np.abs(relative @ np.asarray(symmetry, dtype=float).T).max(axis=-1)
    return np.degrees(2 * np.arccos(np.clip(cosine, -1, 1)))
