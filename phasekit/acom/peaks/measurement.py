"""Compiled kernels of peak finding: sub-pixel positions and intensities."""

import numpy as np
from numba import njit

from . import kernels as k


@njit(cache=True, nogil=True, error_model="numpy")
def _bell(first: float, step: float, out: k.Floats) -> None:
    """Values exp(-x^2 / 2 sigma^2) at x = first, first + 1, ... by two exponentials; ``step`` = exp(-1 / sigma^2)."""
    square = -np.log(step) / 2
    value, ratio = np.exp(-square * first * first), np.exp(-square * (2 * first + 1))
    for i in range(out.size):
        out[i] = value
        value, ratio = value * ratio, ratio * step


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _weighted(row: k.Image, weight: k.Floats, first: float) -> tuple[float, float]:
    """Sum of weight * row, and of weight * row * x with x = first, first + 1, ..."""
    total, moment = 0.0, 0.0
    for x in range(row.size):
        value = weight[x] * row[x]
        total += value
        moment += value * (first + x)
    return total, moment


@njit(cache=True, nogil=True, error_model="numpy")
def mean_shift(image: k.Image, y: float, x: float, sigma: float, half: int) -> tuple[float, float]:
    """Maximum of the image blurred with a Gaussian, between pixels: the window moves with the estimate (no bias).

    A fixed window pulls towards its own centre; here the weights are centred on the current sub-pixel position.
    Returns the start where the position runs away (more than ``half`` px) or nothing positive is left.
    """
    ny, nx = image.shape
    start_y, start_x = y, x
    wx, wy, step = np.empty(2 * half + 2), np.empty(2 * half + 2), np.exp(-1 / (sigma * sigma))
    for _ in range(k._STEPS):
        y0, x0 = max(int(np.floor(y)) - half, 0), max(int(np.floor(x)) - half, 0)
        y1, x1 = min(int(np.floor(y)) + half + 2, ny), min(int(np.floor(x)) + half + 2, nx)
        _bell(x0 - x, step, wx[: x1 - x0])
        _bell(y0 - y, step, wy[: y1 - y0])
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for yy in range(y0, y1):
            row, row_x = _weighted(image[yy, x0:x1], wx, x0 - x)
            weight = wy[yy - y0]
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


@njit(cache=True, nogil=True, error_model="numpy")
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


@njit(cache=True, nogil=True, error_model="numpy")
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
