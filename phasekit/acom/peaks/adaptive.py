"""Adaptive peak finding, one pattern at a time: blur, local background, prominence, positions and intensities.

Written for speed: a pattern of 128 x 128 pixels takes about a third of a millisecond. What is smooth lives on a coarse
grid (the background), large disks are looked for in a binned pattern, only pixels that stand out of the background
are flooded, and only peaks that stand out are refined, on the full pattern.
"""

import numpy as np
from numba import njit

from . import kernels as k
from .measurement import aperture, mean_shift

_ROUNDS = 4
_HOT = 0.7  # a peak with more than this part of its counts in one pixel is no disk
_FLOODED_FROM = 0.35  # of the threshold over the background: lower pixels are background, hills do not meet there
_blur, _box, _flood, _threshold = k.blur, k.box_mean, k.flood, k.threshold


@njit(cache=True, nogil=True, error_model="numpy")
def binned(image, size, out):  # type: ignore[no-untyped-def]
    """Mean over squares of ``size`` pixels; what does not fill a square at the end is left out."""
    ny, nx = out.shape
    if size == 1:
        out[:, :] = image[:ny, :nx]
        return
    share = np.float32(1.0 / (size * size))
    for y in range(ny):
        row = out[y]
        row[:] = 0
        for line in range(size * y, size * y + size):
            source = image[line]
            for x in range(nx):
                total = np.float32(0.0)
                for step in range(size):
                    total += source[size * x + step]
                row[x] += total
        row *= share


@njit(cache=True, nogil=True, error_model="numpy")
def coarse_background(smooth, half, noise, cell, work, out):  # type: ignore[no-untyped-def]
    """Local mean of what does not stand out, per cell of ``cell`` pixels: window means of min(cell, own + threshold).

    It starts from the plain window mean and falls, by the share of the window that spots cover, each round.
    """
    ny, nx = out.shape
    means, clipped, scratch = work[0, :ny, :nx], work[1, :ny, :nx], work[2, :ny, :nx]
    binned(smooth, cell, means)
    _box(means, half, scratch, out)
    for _ in range(_ROUNDS):
        for y in range(ny):
            for x in range(nx):
                level = out[y, x]
                clipped[y, x] = min(means[y, x], level + np.float32(0.5 * _threshold(np.float64(level), noise)))
        _box(clipped, half, scratch, out)


@njit(cache=True, nogil=True, error_model="numpy")
def cell_of(y, x, cell, shape):  # type: ignore[no-untyped-def]
    """Cell of a pixel; pixels beyond the last whole cell belong to it."""
    return min(y // cell, shape[0] - 1), min(x // cell, shape[1] - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def level_at(grid, y, x, cell):  # type: ignore[no-untyped-def]
    """Value of a coarse grid between its cells (bilinear), at a pixel position."""
    ny, nx = grid.shape
    v = min(max((y + 0.5) / cell - 0.5, 0.0), ny - 1.0)
    u = min(max((x + 0.5) / cell - 0.5, 0.0), nx - 1.0)
    i, j = min(int(v), max(ny - 2, 0)), min(int(u), max(nx - 2, 0))
    di, dj = v - i, u - j
    i2, j2 = min(i + 1, ny - 1), min(j + 1, nx - 1)
    upper = (1 - dj) * grid[i, j] + dj * grid[i, j2]
    lower = (1 - dj) * grid[i2, j] + dj * grid[i2, j2]
    return (1 - di) * upper + di * lower


@njit(cache=True, nogil=True, error_model="numpy")
def standing_out(smooth, background, noise, cell, order):  # type: ignore[no-untyped-def]
    """Flat indices of the pixels clearly above the background; returns how many."""
    ny, nx = smooth.shape
    cells = background.shape
    n = 0
    floor = np.empty(nx, np.float32)
    last = -1
    for y in range(ny):
        row = min(y // cell, cells[0] - 1)
        if row != last:
            for x in range(nx):
                level = background[row, min(x // cell, cells[1] - 1)]
                floor[x] = level + np.float32(_FLOODED_FROM * _threshold(np.float64(level), noise))
            last = row
        source = smooth[y]
        for x in range(nx):
            if source[x] > floor[x]:
                order[n] = y * nx + x
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def summits(smooth, background, noise, weak, cell, margin, scratch):  # type: ignore[no-untyped-def]
    """Flat indices, prominences and strengths of the maxima that may stand out of the noise, away from the edge.

    Prominence is the height over the saddle that leads to a higher maximum, or over the background where that is
    higher; the threshold is that of the level it is counted from. Strength is prominence over threshold: a peak from
    1 on; below, and above the threshold of ``weak``, a maximum that is only likely to be one.
    """
    ny, nx = smooth.shape
    flat = smooth.ravel()
    kept = standing_out(smooth, background, noise, cell, scratch[0])
    if kept == 0:
        return np.empty(0, np.int32), np.empty(0), np.empty(0)
    keys = flat - flat[scratch[0, :kept]].min()  # positive, so that their bits sort like them
    k.sort_by_bits(keys.view(np.uint32), scratch[0], scratch[1], kept)
    saddle = np.empty(kept, np.float32)
    n = _flood(smooth, scratch[0, :kept], scratch[1], scratch[2], saddle)
    found, prominence, strength, count = scratch[2], np.empty(n), np.empty(n), 0
    for i in range(n):
        where = found[i]
        y, x = where // nx, where % nx
        if y < margin or x < margin or y > ny - 1 - margin or x > nx - 1 - margin:
            continue
        base = level_at(background, y, x, cell)
        level = max(np.float64(saddle[i]) if saddle[i] > flat[scratch[0, kept - 1]] else base, base)
        rise = flat[where] - level
        if rise >= _threshold(level, weak):
            found[count], prominence[count], strength[count] = where, rise, rise / _threshold(level, noise)
            count += 1
    return found[:count].copy(), prominence[:count], strength[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _enough(strength, slots):  # type: ignore[no-untyped-def]
    """Strength from which on maxima are measured: there is room for ``slots`` weak ones, and some are lost later."""
    weak = np.sort(strength[strength < 1.0])
    return weak[-slots - 4] if weak.size > slots + 4 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def adaptive_peaks(image, work, scratch, kernel, noise, weak, s):  # type: ignore[no-untyped-def]
    """Table (peak, column) of one pattern and its threshold on the median background [counts per pixel].

    ``s``: blur sigma, background half window, refinement box, aperture radius, smallest sum a hot pixel could be told
    by, bin, cell and slots for weak peaks (see ``peaks._adaptive``). ``work`` (5, qy, qx) and ``scratch`` are
    overwritten.
    """
    size, cell, radius = int(s[5]), int(s[6]), s[3]
    ny, nx = image.shape[0] // size, image.shape[1] // size
    small, smooth, between = work[0, :ny, :nx].copy(), np.empty((ny, nx), np.float32), work[1, :ny, :nx].copy()
    binned(image, size, small)
    _blur(small, kernel, between, smooth)
    background = np.empty((max(ny // cell, 1), max(nx // cell, 1)), np.float32)
    half = max(round(s[1] / (size * cell)), 1)
    coarse_background(smooth, half, noise, cell, work[2:5], background)
    margin = max(1.0, radius / (2 * size))
    where, prominence, strength = summits(smooth, background, noise, weak, cell, margin, scratch)
    least_strength = _enough(strength, int(s[7]))
    table, n = np.empty((where.size, 5)), 0
    reach = int(s[2] + max(3, s[2] // 2, np.ceil(radius) - s[2] + 3))
    for i in range(where.size):
        if strength[i] < least_strength:
            continue
        y = size * (where[i] // nx) + (size - 1) // 2
        x = size * (where[i] % nx) + (size - 1) // 2
        window, top, left = _cut(image, background, y, x, reach, size * cell)
        fine_y, fine_x = mean_shift(window, float(y - top), float(x - left), s[0], int(s[2]))
        total, _, brightest = aperture(window, fine_y, fine_x, radius)
        if total > 0 and not (brightest > _HOT * total and total > s[4]):
            table[n, 0], table[n, 1], table[n, 2] = fine_y + top, fine_x + left, total
            table[n, 3], table[n, 4] = prominence[i], strength[i]
            n += 1
    return table[:n], _threshold(np.float64(np.median(background[::2, ::2])), noise)


@njit(cache=True, nogil=True, error_model="numpy")
def _cut(image, background, y, x, reach, cell):  # type: ignore[no-untyped-def]
    """Window around a pixel less the plane through the background there, and its first row and column."""
    top, left = max(y - reach, 0), max(x - reach, 0)
    bottom, right = min(y + reach + 1, image.shape[0]), min(x + reach + 1, image.shape[1])
    here = np.float32(level_at(background, y, x, cell))
    slope_y = np.float32(
        (level_at(background, y + reach, x, cell) - level_at(background, y - reach, x, cell)) / (2 * reach)
    )
    slope_x = np.float32(
        (level_at(background, y, x + reach, cell) - level_at(background, y, x - reach, cell)) / (2 * reach)
    )
    out = np.empty((bottom - top, right - left), np.float32)
    for yy in range(top, bottom):
        source, target = image[yy, left:right], out[yy - top]
        start = here + slope_y * np.float32(yy - y) + slope_x * np.float32(left - x)
        for xx in range(target.size):
            target[xx] = source[xx] - start - slope_x * np.float32(xx)
    return out, top, left
