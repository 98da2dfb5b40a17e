"""Compiled kernels of the local background: a coarse grid of clipped means, interpolated between its cells."""

import numpy as np
from numba import njit

from . import kernels as k

_ROUNDS = 4
_LEAST_SHARE = 0.02  # valid share of a window below which it has no background of its own
# Numba resolves module-level functions once; attributes of a module it would look up at every compilation.
_compute_box_mean, _compute_threshold = k.compute_box_mean, k.compute_threshold


@njit(cache=True, nogil=True, error_model="numpy")
def bin_image(image: k.Image, size: int, out: k.Image) -> None:
    """Write into ``out`` (qy / size, qx / size) the means of ``image`` (qy, qx) over squares of ``size`` pixels.

    Rows and columns at the end that do not fill a square are left out.
    """
    ny, nx = out.shape
    if size == 1:
        out[:, :] = image[:ny, :nx]
        return
    per_pixel = np.float32(1.0 / (size * size))
    for y in range(ny):
        row = out[y]
        row[:] = 0
        # Rows are summed into the output row, so that memory is read in order.
        for line in range(size * y, size * y + size):
            source = image[line]
            for x in range(nx):
                total = np.float32(0.0)
                for step in range(size):
                    total += source[size * x + step]
                row[x] += total
        row *= per_pixel


@njit(cache=True, nogil=True, error_model="numpy")
def estimate_background(
    smooth: k.Image, half: int, noise: k.Threshold, cell: int, valid: k.Image, work: k.Image, out: k.Image
) -> None:
    r"""Estimate the local background on a coarse grid, by window means with clipped spots.

    With the cell means c, the window mean :math:`\langle\cdot\rangle` and the threshold t, each round computes

    .. math:: b \leftarrow \langle \min(c,\; b + t(b) / 2) \rangle

    It starts from the plain window mean. Each round lowers it by about the fraction of the window that spots cover.

    Parameters
    ----------
    smooth
        Blurred pattern (y, x), float32 [counts per pixel].
    half
        Half width of the window [cells].
    noise
        Threshold of the prominence.
    cell
        Side of a cell [px of ``smooth``].
    valid
        1 where ``smooth`` (y, x) counts and 0 where it is 0 because it does not; empty where all of it counts.
    work
        Scratch images (3, y, x), overwritten.
    out
        Background (y / cell, x / cell), written [counts per pixel].
    """
    ny, nx = out.shape
    means, clipped, scratch = work[0, :ny, :nx], work[1, :ny, :nx], work[2, :ny, :nx]
    bin_image(smooth, cell, means)
    if valid.size:
        _estimate_from_valid(means, half, noise, cell, valid, out)
        return
    _compute_box_mean(means, half, scratch, out)
    # Spots raise the window mean. Clipping them and averaging again lowers it.
    for _ in range(_ROUNDS):
        for y in range(ny):
            for x in range(nx):
                # Half of the threshold clips the spots' flanks too, and is still above the noise of a cell mean.
                level = out[y, x]
                clipped[y, x] = min(means[y, x], level + np.float32(0.5 * _compute_threshold(np.float64(level), noise)))
        _compute_box_mean(clipped, half, scratch, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _estimate_from_valid(
    means: k.Image, half: int, noise: k.Threshold, cell: int, valid: k.Image, out: k.Image
) -> None:
    """The rounds of :func:`estimate_background` with every cell weighted by its valid share.

    ``means`` (row, column) are sums over valid pixels, divided by the pixels of a cell [counts per pixel]. Windows
    without a valid pixel get the mean of the others.
    """
    ny, nx = out.shape
    share, window, clipped, scratch = (
        np.empty((ny, nx), np.float32),
        np.empty((ny, nx), np.float32),
        np.empty((ny, nx), np.float32),
        np.empty((ny, nx), np.float32),
    )
    bin_image(valid, cell, share)
    _compute_box_mean(share, half, scratch, window)
    _compute_box_mean(means, half, scratch, out)
    for rounds in range(_ROUNDS + 1):
        if rounds > 0:
            for y in range(ny):
                for x in range(nx):
                    level = out[y, x]
                    least = level + np.float32(0.5 * _compute_threshold(np.float64(level), noise))
                    clipped[y, x] = min(means[y, x], least * share[y, x])
            _compute_box_mean(clipped, half, scratch, out)
        total, n = 0.0, 0
        for y in range(ny):
            for x in range(nx):
                if window[y, x] > _LEAST_SHARE:
                    out[y, x] /= window[y, x]
                    total += out[y, x]
                    n += 1
        for y in range(ny):
            for x in range(nx):
                if window[y, x] <= _LEAST_SHARE:
                    out[y, x] = total / max(n, 1)


@njit(cache=True, nogil=True, error_model="numpy")
def interpolate_background(grid: k.Image, y: float, x: float, cell: int) -> float:
    """Background [counts per pixel] at a pixel position, bilinear between the cells of ``grid`` (row, column).

    ``cell`` is the side of a cell [px]. Beyond the outermost cell centres the value is that of the border.
    """
    ny, nx = grid.shape
    # Cell centres are half a cell away from the border; outside them the nearest value holds.
    v = min(max((y + 0.5) / cell - 0.5, 0.0), ny - 1.0)
    u = min(max((x + 0.5) / cell - 0.5, 0.0), nx - 1.0)
    i, j = min(int(v), max(ny - 2, 0)), min(int(u), max(nx - 2, 0))
    di, dj = v - i, u - j
    i2, j2 = min(i + 1, ny - 1), min(j + 1, nx - 1)
    upper = (1 - dj) * grid[i, j] + dj * grid[i, j2]
    lower = (1 - dj) * grid[i2, j] + dj * grid[i2, j2]
    return (1 - di) * upper + di * lower


@njit(cache=True, nogil=True, error_model="numpy")
def cut_window(image: k.Image, background: k.Image, y: int, x: int, reach: int, cell: int) -> tuple[k.Image, int, int]:
    """Window (y, x) [counts] around a pixel without its background, and its first row and column [px].

    The background is the plane through its value and slopes at the pixel. ``reach`` is the half width of the window.
    ``cell`` is the side of a cell of ``background`` (row, column). Both are in pixels of ``image`` (qy, qx).
    """
    top, left = max(y - reach, 0), max(x - reach, 0)
    bottom, right = min(y + reach + 1, image.shape[0]), min(x + reach + 1, image.shape[1])
    # A plane through five interpolated values replaces an interpolation at every pixel.
    middle = np.float32(interpolate_background(background, y, x, cell))
    slope_y = np.float32(
        (
            interpolate_background(background, y + reach, x, cell)
            - interpolate_background(background, y - reach, x, cell)
        )
        / (2 * reach)
    )
    slope_x = np.float32(
        (
            interpolate_background(background, y, x + reach, cell)
            - interpolate_background(background, y, x - reach, cell)
        )
        / (2 * reach)
    )
    out = np.empty((bottom - top, right - left), np.float32)
    for yy in range(top, bottom):
        source, target = image[yy, left:right], out[yy - top]
        start = middle + slope_y * np.float32(yy - y) + slope_x * np.float32(left - x)
        for xx in range(target.size):
            target[xx] = source[xx] - start - slope_x * np.float32(xx)
    return out, top, left
