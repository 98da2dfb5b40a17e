"""Peak finding as published (Folastre et al. 2024), one pattern at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import kernels as k
from .measurement import aperture, centre_of_mass

# Short aliases: numba resolves module-level functions once.
_blur, _order, _flood, _threshold = k.blur, k.brightness_order, k.flood, k.threshold


@njit(cache=True, nogil=True, error_model="numpy")
def summits(
    image: k.Image, floor: k.Image, lowered: float, noise: k.Floats, margin: float, scratch: NDArray[np.int32]
) -> tuple[NDArray[np.int32], k.Floats]:
    """Pixels (flat index) and prominences of the maxima that stand out of the noise, away from the edge.

    The threshold of a summit is that of the level it rises from: its saddle, or the background there if higher.
    ``image`` has no negative pixels: ``lowered`` has been subtracted from it (not from ``floor``).
    """
    ny, nx = image.shape
    flat, bottom = image.ravel(), floor.ravel()
    n_pixels = _order(flat.view(np.uint32), scratch[0], scratch[1])
    if n_pixels == 0:
        return np.empty(0, np.int32), np.empty(0)
    saddle = np.empty(flat.size, np.float32)
    n = _flood(image, scratch[0, :n_pixels], scratch[1], scratch[2], saddle)
    found, prominence, kept = scratch[2], np.empty(n), 0
    for i in range(n):
        where = found[i]
        y, x = where // nx, where % nx
        rise = np.float64(flat[where]) - saddle[i]
        inside = y >= margin and x >= margin and y <= ny - 1 - margin and x <= nx - 1 - margin
        if inside and rise >= _threshold(max(saddle[i] + lowered, bottom[where]), noise):
            found[kept], prominence[kept] = where, rise
            kept += 1
    return found[:kept].copy(), prominence[:kept]


@njit(cache=True, nogil=True, error_model="numpy")
def published_peaks(
    image: k.Image, work: k.Image, scratch: NDArray[np.int32], kernel: k.Image, noise: k.Floats, s: k.Floats
) -> k.Floats:
    """Table (peak, column) of one pattern by the published recipe; ``noise[3]`` is P_min."""
    box, radius, curvature = s[2], s[3], s[5]
    smooth, background, clean = work[0], work[1], work[2]
    k.parabolic_opening(image, curvature, background)
    clean[:, :] = image - background
    _blur(clean, kernel, work[3], smooth)
    where, prominence = summits(smooth, background, 0.0, noise, 1.0, scratch)
    ny, nx = image.shape
    table = np.empty((where.size, 5))
    direct, nearest = -1, np.inf
    for i in range(where.size):
        distance = (where[i] // nx - (ny - 1) / 2) ** 2 + (where[i] % nx - (nx - 1) / 2) ** 2
        if distance < nearest:
            direct, nearest = i, distance
    for i in range(where.size):
        width = 2 * box if i == direct else box
        y, x = centre_of_mass(smooth, where[i] // nx, where[i] % nx, width, 5)
        total, area, _ = aperture(clean, y, x, radius)
        table[i, 0], table[i, 1], table[i, 2], table[i, 3] = y, x, total / area, prominence[i]
        table[i, 4] = 1.0
    return table
