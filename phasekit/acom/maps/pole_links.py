"""Links between a map and a pole figure: the poles of each pixel, and the pixels with a pole in a drawn region."""

import numpy as np
from numpy.typing import NDArray

from ...rotations import to_matrix
from .poles import bin_poles, project_directions

Floats = NDArray[np.float32]
_RIM = 1e-6  # 1 - radius of poles that stand at both ends of their line, in single precision


def project_poles(quaternion: NDArray[np.float64], normals: NDArray[np.float64]) -> Floats:
    """Equal-area places (..., pole, xy) of plane normals (pole, xyz) of the crystal, as ``pole_figure`` projects them.

    ``quaternion`` (..., wxyz) holds orientations; NaN gives NaN. Of a pole on the rim one end is given.
    """
    # v_sample = R^T v_crystal, and of n and -n the one in the hemisphere of the figure.
    poles = normals @ to_matrix(quaternion)
    poles = np.where(poles[..., 2:] < 0, -poles, poles)
    x, y = project_directions(poles.reshape(-1, 3), "equal_area")
    return np.stack([x, y], axis=-1).astype(np.float32).reshape(*poles.shape[:-1], 2)


def find_pixels_with_pole(poles: Floats, corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels (scan_y, scan_x) with at least one of their ``poles`` (scan_y, scan_x, pole, xy) inside a polygon.

    ``corners`` (corner, xy) lie in the plane of the pole figure. A pole on the rim counts at both of its ends.
    """
    inside = np.zeros(poles.shape[:-1], bool)
    low, high = corners.min(axis=0), corners.max(axis=0)
    for sign in (1, -1):
        places = sign * poles
        # Only poles in the box around the polygon are worth the test against its sides.
        near = ((places >= low) & (places <= high)).all(axis=-1)
        near = near if sign == 1 else near & (np.hypot(poles[..., 0], poles[..., 1]) > 1 - _RIM)
        if near.any():
            inside[near] |= _find_inside(places[near], corners)
    return np.asarray(inside.any(axis=-1))


def _find_inside(places: Floats, corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each of the places (n, xy) lies inside a polygon (corner, xy): a ray to the right meets an odd number."""
    x, y = places[:, 0].astype(float), places[:, 1].astype(float)
    inside = np.zeros(len(places), bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # A side along x is met by no ray, thus nothing is divided by 0.
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def merge_poles(poles: Floats, most: int) -> tuple[Floats, NDArray[np.float64]]:
    """Places (pole, xy) and numbers (pole,) of equal-area ``poles`` (..., xy); those within 1 degree are one.

    Of more than ``most`` places, those of the most poles are kept.
    """
    flat = poles.reshape(-1, 2).astype(float)
    flat = flat[np.isfinite(flat).all(axis=1)]
    square = (flat**2).sum(axis=1)
    # Inverse of the equal-area projection.
    directions = np.column_stack([flat * np.sqrt(np.clip(2 - square, 0, None))[:, None], 1 - square])
    mean, weight = bin_poles(directions)
    kept = np.argsort(-weight, kind="stable")[:most]
    x, y = project_directions(mean[kept], "equal_area")
    found = weight[kept] > 0
    return np.column_stack([x, y])[found].astype(np.float32), weight[kept][found]
