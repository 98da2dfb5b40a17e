"""Adaptive peak finding, one pattern at a time: blur, local background, prominence, positions and intensities.

Written for speed: a pattern of 128 x 128 pixels takes about a third of a millisecond. The background is smooth and is
computed on a coarse grid. Large disks are detected in a binned pattern. Only pixels clearly above the background are
flooded, and only significant peaks are refined, on the full pattern.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from . import flooding
from . import kernels as k
from .background import bin_image, cut_window, estimate_background, interpolate_background
from .masking import (
    LEAST_WEIGHT,
    PatternGaps,
    blur_good_pixels,
    compute_missing_share,
    count_missing,
    fill_by_symmetry,
)
from .measurement import refine_by_mean_shift, sum_aperture
from .settings import AdaptiveSettings

_HOT = 0.7  # a peak with more than this fraction of its counts in one pixel is no disk
_FLOODED_FROM = 0.35  # of the threshold above the background: below, pixels are background, where no regions meet
_MOST_MISSING = 0.5  # of a disk's pixels, as at the edge of the detector
_ROUNDS = 10  # of filling a disk by symmetry
_STANDS_STILL = 0.02  # [px] change of the centre from which on there is no further round
_NO_IMAGE = np.empty((0, 0), np.float32)
# Numba resolves module-level functions once; attributes of a module it would look up at every compilation.
_blur_image, _compute_threshold = k.blur_image, k.compute_threshold
_find_saddles, _sort_by_bits = flooding.find_saddles, flooding.sort_by_bits


class Maxima(NamedTuple):
    """Maxima of a blurred pattern.

    Parameters
    ----------
    pixel
        Flat index (maximum,).
    prominence
        Height above the saddle or the background (maximum,) [counts per pixel].
    strength
        Prominence over threshold (maximum,): a peak from 1 on, below that a weak peak.
    """

    pixel: NDArray[np.int32]
    prominence: k.Floats
    strength: k.Floats


class PeakTable(NamedTuple):
    """Peaks of one pattern: positions (peak,) [px], intensity [counts], prominence [counts per pixel] and strength."""

    y: k.Floats
    x: k.Floats
    intensity: k.Floats
    prominence: k.Floats
    strength: k.Floats


@njit(cache=True, nogil=True, error_model="numpy")
def select_bright_pixels(
    smooth: k.Image, background: k.Image, noise: k.Threshold, cell: int, order: NDArray[np.int32]
) -> int:
    """Write into ``order`` the flat indices of the pixels clearly above the background, and return their number.

    ``smooth`` (y, x) and ``background`` (y / cell, x / cell) are in counts per pixel. Flooding the few bright pixels
    only is what makes the adaptive mode fast.
    """
    ny, nx = smooth.shape
    cells = background.shape
    n = 0
    # The threshold needs a root, so it is computed once per row of cells and not once per pixel.
    floor = np.empty(nx, np.float32)
    last = -1
    for y in range(ny):
        row = min(y // cell, cells[0] - 1)
        if row != last:
            for x in range(nx):
                level = background[row, min(x // cell, cells[1] - 1)]
                floor[x] = level + np.float32(_FLOODED_FROM * _compute_threshold(np.float64(level), noise))
            last = row
        source = smooth[y]
        for x in range(nx):
            if source[x] > floor[x]:
                order[n] = y * nx + x
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def find_maxima(
    smooth: k.Image,
    background: k.Image,
    noise: k.Threshold,
    weak: k.Threshold,
    cell: int,
    margin: float,
    weight: k.Image,
    scratch: NDArray[np.int32],
) -> Maxima:
    """Find the maxima that are peaks or weak peaks, away from the edge.

    Prominence is the height above the saddle to a higher maximum, or above the background where that is higher.
    The threshold is that of the level it is measured from.

    Parameters
    ----------
    smooth
        Blurred pattern (y, x), float32 [counts per pixel].
    background
        Background (y / cell, x / cell) [counts per pixel].
    noise, weak
        Thresholds of peaks and of weak peaks.
    cell
        Side of a cell of the background [px of ``smooth``].
    margin
        Maxima nearer than this to an edge are left out [px of ``smooth``].
    weight
        Share (y, x) of the blur that good pixels hold; empty where all are good. Noise grows with its inverse root.
    scratch
        Indices (3, pixels with a rim of one), overwritten.
    """
    ny, nx = smooth.shape
    flat = smooth.ravel()
    kept = select_bright_pixels(smooth, background, noise, cell, scratch[0])
    if kept == 0:
        return Maxima(np.empty(0, np.int32), np.empty(0), np.empty(0))
    keys = flat - flat[scratch[0, :kept]].min()  # not negative, so that their bit patterns sort like the numbers
    _sort_by_bits(keys.view(np.uint32), scratch[0], scratch[1], kept)
    # Only bright pixels are in the list, so regions that meet at lower levels stay apart.
    saddle = np.empty(kept, np.float32)
    n = _find_saddles(smooth, scratch[0, :kept], scratch[1], scratch[2], saddle)
    peak, prominence, strength, count = scratch[2], np.empty(n), np.empty(n), 0
    for i in range(n):
        pixel = peak[i]
        y, x = pixel // nx, pixel % nx
        # Disks cut by the edge have no reliable centre or intensity.
        if y < margin or x < margin or y > ny - 1 - margin or x > nx - 1 - margin:
            continue
        local = interpolate_background(background, y, x, cell)
        # A saddle at the lowest flooded level is none: there the maximum rises from the background.
        level = max(np.float64(saddle[i]) if saddle[i] > flat[scratch[0, kept - 1]] else local, local)
        rise = flat[pixel] - level
        if weight.size:
            rise *= np.sqrt(np.float64(weight[y, x]))
        # The weak threshold is the lower of the two; strength tells peaks from weak peaks.
        if rise >= _compute_threshold(level, weak):
            peak[count], prominence[count], strength[count] = pixel, rise, rise / _compute_threshold(level, noise)
            count += 1
    return Maxima(peak[:count].copy(), prominence[:count], strength[:count])


@njit(cache=True, nogil=True, error_model="numpy")
def _compute_least_strength(strength: k.Floats, slots: int) -> float:
    """Strength from which on maxima are measured; ``strength`` (maximum,).

    There are ``slots`` places for weak peaks. Four more are measured, because hot pixels are removed later.
    """
    # Refinement is the most expensive step, so weak maxima that no slot is left for are not measured.
    weak = np.sort(strength[strength < 1.0])
    return weak[-slots - 4] if weak.size > slots + 4 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def find_adaptive_peaks(
    image: k.Image,
    work: k.Image,
    scratch: NDArray[np.int32],
    kernel: k.Image,
    noise: k.Threshold,
    weak: k.Threshold,
    settings: AdaptiveSettings,
    gaps: PatternGaps,
) -> tuple[PeakTable, float]:
    """Peaks and weak peaks of one pattern, and its threshold on the median background [counts per pixel].

    Parameters
    ----------
    image
        Pattern (qy, qx), float32 [counts], NaN where it is bad.
    work, scratch
        Images (5, qy, qx) and indices (3, pixels with a rim of one), overwritten.
    kernel
        Gaussian of the blur on the binned pattern (x,).
    noise, weak
        Thresholds of peaks and of weak peaks.
    settings
        Lengths and sizes, the same for all patterns.
    gaps
        What is bad in this pattern.
    """
    size, cell = settings.bin_size, settings.cell
    ny, nx = image.shape[0] // size, image.shape[1] // size
    smooth, weight, valid = np.empty((ny, nx), np.float32), _NO_IMAGE, _NO_IMAGE
    if gaps.n_listed + gaps.found.size:
        weight = blur_good_pixels(image, gaps, size, kernel, smooth)
        valid = np.where(weight >= LEAST_WEIGHT, np.float32(1), np.float32(0))
    else:
        # Copies of the scratch are contiguous, which the vectorised loops of the blur need.
        small, between = work[0, :ny, :nx].copy(), work[1, :ny, :nx].copy()
        bin_image(image, size, small)
        _blur_image(small, kernel, between, smooth)
    background = np.empty((max(ny // cell, 1), max(nx // cell, 1)), np.float32)
    # The window is at least three cells wide, so that a spot never fills it.
    half = max(round(settings.background_half_width / (size * cell)), 1)
    estimate_background(smooth, half, noise, cell, valid, work[2:5], background)
    # What does not count must not be flooded.
    if valid.size:
        for y in range(ny):
            for x in range(nx):
                if valid[y, x] == 0:
                    smooth[y, x] = -np.inf
    # Nearer to the edge than half a radius, too much of the disk is missing.
    margin = max(1.0, settings.aperture_radius / (2 * size))
    maxima = find_maxima(smooth, background, noise, weak, cell, margin, weight, scratch)
    table = _measure_maxima(image, maxima, background, nx, settings)
    return table, _compute_threshold(np.float64(np.median(background[::2, ::2])), noise)


@njit(cache=True, nogil=True, error_model="numpy")
def _refine_incomplete(
    window: k.Image, y: float, x: float, settings: AdaptiveSettings
) -> tuple[float, float, float, k.Image]:
    """Position (y, x) [px] in a window with NaN, missing share of the disk, and the window filled by symmetry."""
    whole = np.empty_like(window)
    start_y, start_x = y, x
    # Centre and filling depend on each other: each round halves the error where a quarter of the disk is missing.
    for _ in range(_ROUNDS):
        fill_by_symmetry(window, y, x, whole)
        before_y, before_x = y, x
        y, x = refine_by_mean_shift(whole, y, x, settings.sigma, int(settings.refine_half_box))
        # A position that leaves the window belongs to a neighbouring spot.
        if max(abs(y - start_y), abs(x - start_x)) > settings.refine_half_box:
            y, x = start_y, start_x
            break
        if abs(y - before_y) + abs(x - before_x) < _STANDS_STILL:
            break
    return y, x, compute_missing_share(window, y, x, settings.aperture_radius), whole


@njit(cache=True, nogil=True, error_model="numpy")
def _measure_maxima(
    image: k.Image, maxima: Maxima, background: k.Image, nx: int, settings: AdaptiveSettings
) -> PeakTable:
    """Positions and intensities of the maxima on the full pattern ``image`` (qy, qx) [counts], without hot pixels.

    ``background`` (row, column) is in counts per pixel; ``nx`` is the width of the binned pattern.
    """
    size, radius, half_box = settings.bin_size, settings.aperture_radius, settings.refine_half_box
    least_strength = _compute_least_strength(maxima.strength, settings.weak_slots)
    room, n = maxima.pixel.size, 0
    table = PeakTable(np.empty(room), np.empty(room), np.empty(room), np.empty(room), np.empty(room))
    # The window holds the box and the circle wherever the refinement may move them.
    reach = int(half_box + max(3, half_box // 2, np.ceil(radius) - half_box + 3))
    for i in range(room):
        if maxima.strength[i] < least_strength:
            continue
        # The middle of the bin in pixels of the full pattern is the start of the refinement.
        y = size * (maxima.pixel[i] // nx) + (size - 1) // 2
        x = size * (maxima.pixel[i] % nx) + (size - 1) // 2
        # The window without background is small enough to stay in the first-level cache.
        window, top, left = cut_window(image, background, y, x, reach, size * settings.cell)
        missing = 0.0
        fine_y, fine_x = float(y - top), float(x - left)
        if count_missing(window):
            fine_y, fine_x, missing, window = _refine_incomplete(window, fine_y, fine_x, settings)
        else:
            fine_y, fine_x = refine_by_mean_shift(window, fine_y, fine_x, settings.sigma, int(half_box))
        # Of a disk that is mostly missing neither centre nor intensity is known.
        if missing > _MOST_MISSING:
            continue
        total, _, brightest = sum_aperture(window, fine_y, fine_x, radius)
        # A hot pixel holds nearly all counts of its circle; few counts cannot tell it from a faint disk.
        if total > 0 and not (brightest > _HOT * total and total > settings.hot_pixel_sum):
            table.y[n], table.x[n], table.intensity[n] = fine_y + top, fine_x + left, total
            table.prominence[n], table.strength[n] = maxima.prominence[i], maxima.strength[i]
            n += 1
    return PeakTable(table.y[:n], table.x[:n], table.intensity[:n], table.prominence[:n], table.strength[:n])
