"""Peak finding as published (Folastre et al., Sci. Rep. 14, 12385, 2024), one pattern at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import kernels as k
from .adaptive import PeakTable
from .flooding import find_saddles, sort_by_brightness
from .measurement import refine_by_centroid, sum_aperture
from .settings import PublishedSettings

# Numba resolves module-level functions once; attributes of a module it would look up at every compilation.
_blur_image, _compute_threshold = k.blur_image, k.compute_threshold

_CENTROID_STEPS = 5


@njit(cache=True, nogil=True, error_model="numpy")
def find_significant_maxima(
    image: k.Image, floor: k.Image, noise: k.Threshold, margin: float, scratch: NDArray[np.int32]
) -> tuple[NDArray[np.int32], k.Floats]:
    """Flat indices and prominences [counts] of the maxima that exceed the threshold, away from the edge.

    Parameters
    ----------
    image
        Blurred pattern without background (qy, qx) [counts per pixel]. Pixels that are not positive are left out.
    floor
        Background (qy, qx) [counts per pixel]. The threshold is that of the level the maximum rises from: the
        saddle, or the background if that is higher.
    noise
        Threshold of the prominence.
    margin
        Maxima nearer than this to an edge are left out [px].
    scratch
        Indices (3, pixels with a rim of one), overwritten.
    """
    ny, nx = image.shape
    flat, bottom = image.ravel(), floor.ravel()
    n_pixels = sort_by_brightness(flat.view(np.uint32), scratch[0], scratch[1])
    if n_pixels == 0:
        return np.empty(0, np.int32), np.empty(0)
    saddle = np.empty(flat.size, np.float32)
    n = find_saddles(image, scratch[0, :n_pixels], scratch[1], scratch[2], saddle)
    peak, prominence, kept = scratch[2], np.empty(n), 0
    for i in range(n):
        pixel = peak[i]
        y, x = pixel // nx, pixel % nx
        rise = np.float64(flat[pixel]) - saddle[i]
        inside = y >= margin and x >= margin and y <= ny - 1 - margin and x <= nx - 1 - margin
        if inside and rise >= _compute_threshold(max(saddle[i] + 0.0, bottom[pixel]), noise):
            peak[kept], prominence[kept] = pixel, rise
            kept += 1
    return peak[:kept].copy(), prominence[:kept]


@njit(cache=True, nogil=True, error_model="numpy")
def find_published_peaks(
    image: k.Image,
    work: k.Image,
    scratch: NDArray[np.int32],
    kernel: k.Image,
    least: float,
    curvature: float,
    settings: PublishedSettings,
) -> PeakTable:
    """Peaks of one pattern (qy, qx) [counts] by the published recipe.

    Parameters
    ----------
    image
        Pattern (qy, qx), float32 [counts].
    work, scratch
        Images (5, qy, qx) and indices (3, pixels with a rim of one), overwritten.
    kernel
        Gaussian of the blur (x,).
    least
        P_min [counts per pixel].
    curvature
        Curvature of the sliding paraboloid [counts per px^2].
    settings
        Widths of the box and the circle; lengths in pixels.
    """
    smooth, background, clean = work[0], work[1], work[2]
    k.compute_parabolic_opening(image, curvature, background)
    # The article subtracts the background first, and blurs only the copy that positions are found in.
    clean[:, :] = image - background
    _blur_image(clean, kernel, work[3], smooth)
    pixel, prominence = find_significant_maxima(smooth, background, k.Threshold(0.0, 0.0, 0.0, least), 1.0, scratch)
    ny, nx = image.shape
    n = pixel.size
    table = PeakTable(np.empty(n), np.empty(n), np.empty(n), prominence, np.ones(n))
    # The maximum nearest the middle is the direct beam; its box is twice as wide, as in the article.
    direct, nearest = -1, np.inf
    for i in range(n):
        distance = (pixel[i] // nx - (ny - 1) / 2) ** 2 + (pixel[i] % nx - (nx - 1) / 2) ** 2
        if distance < nearest:
            direct, nearest = i, distance
    for i in range(n):
        width = 2 * settings.refine_box if i == direct else settings.refine_box
        y, x = refine_by_centroid(smooth, pixel[i] // nx, pixel[i] % nx, width, _CENTROID_STEPS)
        # The published intensity is a mean over the circle, not a sum.
        total, area, _ = sum_aperture(clean, y, x, settings.aperture_radius)
        table.y[i], table.x[i], table.intensity[i] = y, x, total / area
    return table
