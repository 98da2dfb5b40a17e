"""Compiled kernels of peak finding, second part: sub-pixel positions, intensities and the loop over patterns."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import _peak_kernels as k

# Short aliases: numba resolves module-level functions once.
_blur, _order, _flood, _threshold = k.blur, k.brightness_order, k.flood, k.threshold
_corners, _gaps, _clipped, _opening = k.corner_statistics, k.fill_gaps, k.clipped_background, k.parabolic_opening

#: Columns of the table of peaks and of the per-pattern figures.
COLUMNS = ("qy", "qx", "intensity", "prominence")
FIGURES = ("noise", "min_prominence", "count", "status")

_ROUNDING = 1e-5  # of the maximum: what float32 makes out of a flat pattern
_HOT = 0.7  # a peak with more than this part of its counts in one pixel is no disk


@njit(cache=True, nogil=True)
def mean_shift(image: k.Image, y: float, x: float, sigma: float, half: int) -> tuple[float, float]:
    """Maximum of the image blurred with a Gaussian, between pixels: the window moves with the estimate (no bias).

    A fixed window pulls towards its own centre; here the weights are centred on the current sub-pixel position.
    Returns the start where the position runs away (more than ``half`` px) or nothing positive is left.
    """
    ny, nx = image.shape
    start_y, start_x = y, x
    wx = np.empty(2 * half + 2)
    for _ in range(k._STEPS):
        y0, x0 = max(int(np.floor(y)) - half, 0), max(int(np.floor(x)) - half, 0)
        y1, x1 = min(int(np.floor(y)) + half + 2, ny), min(int(np.floor(x)) + half + 2, nx)
        for xx in range(x0, x1):
            wx[xx - x0] = np.exp(-((xx - x) ** 2) / (2 * sigma * sigma))
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for yy in range(y0, y1):
            row, row_x = 0.0, 0.0
            for xx in range(x0, x1):
                value = wx[xx - x0] * image[yy, xx]
                row += value
                row_x += value * (xx - x)
            weight = np.exp(-((yy - y) ** 2) / (2 * sigma * sigma))
            total += weight * row
            sum_y += weight * row * (yy - y)
            sum_x += weight * row_x
        if total <= 0:
            return start_y, start_x
        step_y, step_x = sum_y / total, sum_x / total
        y, x = y + 1.6 * step_y, x + 1.6 * step_x  # over-relaxed: halves the number of steps
        if abs(y - start_y) > half or abs(x - start_x) > half:
            return start_y, start_x
        if abs(step_y) + abs(step_x) < k._SETTLED:
            break
    return y, x


@njit(cache=True, nogil=True)
def centre_of_mass(image: k.Image, y: float, x: float, box: float, steps: int) -> tuple[float, float]:
    """Centre of mass in a box, iterated; pixels cut by the box's edge count with the part inside (no 0.5 px bias)."""
    ny, nx = image.shape
    for _ in range(steps):
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for yy in range(max(int(np.ceil(y - box / 2 - 0.5)), 0), min(int(np.floor(y + box / 2 + 0.5)) + 1, ny)):
            wy = min(yy + 0.5, y + box / 2) - max(yy - 0.5, y - box / 2)
            for xx in range(max(int(np.ceil(x - box / 2 - 0.5)), 0), min(int(np.floor(x + box / 2 + 0.5)) + 1, nx)):
                wx = min(xx + 0.5, x + box / 2) - max(xx - 0.5, x - box / 2)
                value = max(wy, 0.0) * max(wx, 0.0) * max(image[yy, xx], 0.0)
                total += value
                sum_y += value * yy
                sum_x += value * xx
        if total <= 0:
            return y, x
        y, x = sum_y / total, sum_x / total
    return y, x


@njit(cache=True, nogil=True)
def aperture(image: k.Image, y: float, x: float, radius: float) -> tuple[float, float, float]:
    """Sum, area [px] and brightest pixel in a circle; pixels at its rim count in part."""
    ny, nx = image.shape
    total, area, brightest = 0.0, 0.0, 0.0
    for yy in range(max(int(y - radius), 0), min(int(y + radius) + 2, ny)):
        for xx in range(max(int(x - radius), 0), min(int(x + radius) + 2, nx)):
            part = min(max(radius + 0.5 - np.hypot(yy - y, xx - x), 0.0), 1.0)
            total += part * image[yy, xx]
            area += part
            brightest = max(brightest, image[yy, xx])
    return total, area, brightest


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _adaptive_peaks(
    image: k.Image, work: k.Image, scratch: NDArray[np.int32], kernel: k.Image, noise: k.Floats, s: k.Floats
) -> tuple[k.Floats, float]:
    """Table (peak, column) of one pattern in adaptive mode, and its threshold on the median background."""
    sigma, half, radius = s[0], int(s[1]), s[3]
    smooth, background, clean = work[0], work[1], work[2]
    _blur(image, kernel, work[3], smooth)
    _clipped(smooth, half, noise, 4, work[3:5], background)
    clean[:, :] = image - background
    lowest = min(smooth.min(), np.float32(0.0))
    smooth -= lowest
    where, prominence = summits(smooth, background, lowest, noise, max(1.0, radius / 2), scratch)
    table, n = np.empty((where.size, 4)), 0
    for i in range(where.size):
        y, x = where[i] // image.shape[1], where[i] % image.shape[1]
        fine_y, fine_x = mean_shift(clean, y, x, sigma, int(s[2]))
        total, _, brightest = aperture(clean, fine_y, fine_x, radius)
        if total > 0 and not (brightest > _HOT * total and total > s[4]):
            table[n, 0], table[n, 1], table[n, 2], table[n, 3] = fine_y, fine_x, total, prominence[i]
            n += 1
    return table[:n], _threshold(np.median(background), noise)


@njit(cache=True, nogil=True)
def _published_peaks(
    image: k.Image, work: k.Image, scratch: NDArray[np.int32], kernel: k.Image, noise: k.Floats, s: k.Floats
) -> k.Floats:
    """Table (peak, column) of one pattern by the published recipe; ``noise[3]`` is P_min."""
    box, radius, curvature = s[2], s[3], s[5]
    smooth, background, clean = work[0], work[1], work[2]
    _opening(image, curvature, background)
    clean[:, :] = image - background
    _blur(clean, kernel, work[3], smooth)
    where, prominence = summits(smooth, background, 0.0, noise, 1.0, scratch)
    ny, nx = image.shape
    table = np.empty((where.size, 4))
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
    return table


@njit(cache=True, nogil=True)
def find_in_patterns(
    patterns: k.Image,
    kernel: k.Image,
    noise: k.Floats,
    settings: k.Floats,
    published: bool,
    peaks: k.Image,
    figures: k.Image,
) -> None:
    """Peaks of every pattern of ``patterns(n, qy, qx)`` into ``peaks(n, 4, max_peaks)`` and ``figures(n, 4)``.

    ``settings``: blur sigma, background half window, refinement box, aperture radius, smallest sum a hot pixel
    could be told by, curvature of the paraboloid, user's prominence (published), its unit per maximum (published).
    """
    n_patterns, ny, nx = patterns.shape
    work = np.empty((5, ny, nx), np.float32)
    scratch = np.empty((3, (ny + 2) * (nx + 2)), np.int32)
    limit = peaks.shape[2]
    for p in range(n_patterns):
        image = patterns[p].copy()
        peaks[p] = np.nan
        gaps = _gaps(image)
        noise_p, settings_p = noise.copy(), settings.copy()
        sigma = _corners(image)[1]
        if published:
            grey = max(image.max(), 0.0) * settings[7] if settings[7] > 0 else 1.0
            noise_p[3] = max(settings[6] * grey, sigma)
            settings_p[5] = settings[5] * max(grey, 1e-30)
            table = _published_peaks(image, work, scratch, kernel, noise_p, settings_p)
            least = noise_p[3]
        else:
            noise_p[3] = max(noise[3], _ROUNDING * image.max())
            table, least = _adaptive_peaks(image, work, scratch, kernel, noise_p, settings_p)
        if gaps == image.size:
            table = table[:0]
        brightest = np.argsort(-table[:, 2])[:limit]
        for i in range(brightest.size):
            for column in range(4):
                peaks[p, column, i] = table[brightest[i], column]
        n = brightest.size
        figures[p, 0], figures[p, 1], figures[p, 2] = sigma, least, n
        figures[p, 3] = 1 if n < 2 else (2 if n < 4 else 0)
