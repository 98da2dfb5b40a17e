"""Compiled kernels of peak finding: sub-pixel positions and intensities."""

import numpy as np
from numba import njit

from . import kernels as k

_STEPS = 20  # of the mean shift; 3 to 6 suffice above 20 electrons per peak
_TOLERANCE = 2e-3  # [px]; the counting noise of a bright disk is 0.01


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_gaussian(first: float, step: float, out: k.Floats) -> None:
    r"""Write into ``out`` (x,) the Gaussian :math:`e^{-x^2 / 2 \sigma^2}` at x = first, first + 1, ...

    The ratio of neighbouring values changes by a constant factor per step.
    That factor is ``step`` = :math:`e^{-1 / \sigma^2}`, with positions and sigma in pixels.
    """
    # Two exponentials per window and axis replace one per pixel.
    square = -np.log(step) / 2
    value, ratio = np.exp(-square * first * first), np.exp(-square * (2 * first + 1))
    for i in range(out.size):
        out[i] = value
        value, ratio = value * ratio, ratio * step


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True, fastmath={"reassoc", "contract", "nsz"})
def _sum_weighted_row(row: k.Image, weight: k.Floats, first: float) -> tuple[float, float]:
    """Sums of weight times row [counts], and of weight times row times x [counts px], with x = first, first + 1, ...

    ``row`` and ``weight`` are (x,). The sums may be reordered by the compiler, which makes them vector instructions.
    """
    total, moment = 0.0, 0.0
    for x in range(row.size):
        value = weight[x] * row[x]
        total += value
        moment += value * (first + x)
    return total, moment


@njit(cache=True, nogil=True, error_model="numpy")
def refine_by_mean_shift(image: k.Image, y: float, x: float, sigma: float, half: int) -> tuple[float, float]:
    r"""Position [px] of the maximum of the image convolved with a Gaussian, between pixels.

    Each step moves the position x to the weighted centroid of the image I, the mean-shift iteration:

    .. math:: x \leftarrow \frac{\sum_p w_p I_p\, x_p}{\sum_p w_p I_p}, \qquad
        w_p = \exp\left(-\frac{|x_p - x|^2}{2 \sigma^2}\right)

    The weights are centred on the current sub-pixel position. A fixed window would bias the result to its own centre.
    With :math:`\sigma = 0.63\, r` and N counts in a uniform disk of radius r, the standard deviation per axis is

    .. math:: 0.84\, r / \sqrt{N}

    A plain centroid has :math:`r / (2 \sqrt N)`, but only without background and neighbours.

    Parameters
    ----------
    image
        Background-subtracted window (y, x), float32 [counts].
    y, x
        Start [px].
    sigma
        Standard deviation of the Gaussian [px].
    half
        Half width of the window [px], and the farthest the position may move.

    Returns
    -------
    tuple
        Position (y, x) [px]. It is the start where the position moves too far or the weighted sum is not positive.
    """
    ny, nx = image.shape
    start_y, start_x = y, x
    wx, wy, step = np.empty(2 * half + 2), np.empty(2 * half + 2), np.exp(-1 / (sigma * sigma))
    for _ in range(_STEPS):
        # The window is cut at the edge of the image; the weights there are simply missing.
        y0, x0 = max(int(np.floor(y)) - half, 0), max(int(np.floor(x)) - half, 0)
        y1, x1 = min(int(np.floor(y)) + half + 2, ny), min(int(np.floor(x)) + half + 2, nx)
        _fill_gaussian(x0 - x, step, wx[: x1 - x0])
        _fill_gaussian(y0 - y, step, wy[: y1 - y0])
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for yy in range(y0, y1):
            row, row_x = _sum_weighted_row(image[yy, x0:x1], wx, x0 - x)
            weight = wy[yy - y0]
            total += weight * row
            sum_y += weight * row * (yy - y)
            sum_x += weight * row_x
        if total <= 0:
            return start_y, start_x
        step_y, step_x = sum_y / total, sum_x / total
        y, x = y + 1.6 * step_y, x + 1.6 * step_x  # over-relaxed: halves the number of steps
        # A position that leaves the window belongs to a neighbouring spot.
        if abs(y - start_y) > half or abs(x - start_x) > half:
            return start_y, start_x
        if abs(step_y) + abs(step_x) < _TOLERANCE:
            break
    return y, x


@njit(cache=True, nogil=True, error_model="numpy")
def refine_by_centroid(image: k.Image, y: float, x: float, box: float, steps: int) -> tuple[float, float]:
    r"""Position (y, x) [px] of the centre of mass in a square box that follows the position.

    .. math:: x \leftarrow \frac{\sum_p a_p I_p\, x_p}{\sum_p a_p I_p}

    Here :math:`a_p` is the area of pixel p inside the box. With N counts in a uniform disk of radius r and no
    background, the standard deviation per axis is :math:`r / (2 \sqrt N)`.
    Pixels cut by the edge of the box count with the fraction inside. Whole pixels would bias positions by up to half
    a pixel.

    Parameters
    ----------
    image
        Background-subtracted pattern (qy, qx), float32 [counts]. Negative pixels count as 0.
    y, x
        Start [px].
    box
        Width of the box [px].
    steps
        Number of iterations.
    """
    ny, nx = image.shape
    for _ in range(steps):
        total, sum_y, sum_x = 0.0, 0.0, 0.0
        for yy in range(max(int(np.ceil(y - box / 2 - 0.5)), 0), min(int(np.floor(y + box / 2 + 0.5)) + 1, ny)):
            # Length of the pixel inside the box, along each axis.
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
def sum_aperture(image: k.Image, y: float, x: float, radius: float) -> tuple[float, float, float]:
    """Sum [counts], area [px^2] and brightest pixel [counts] of ``image`` (y, x) in a circle.

    Pixels at the rim count with a fraction that falls linearly from 1 to 0 over one pixel.
    ``y``, ``x`` and ``radius`` are in pixels.
    """
    ny, nx = image.shape
    total, area, brightest = 0.0, 0.0, 0.0
    for yy in range(max(int(y - radius), 0), min(int(y + radius) + 2, ny)):
        for xx in range(max(int(x - radius), 0), min(int(x + radius) + 2, nx)):
            inside = min(max(radius + 0.5 - np.hypot(yy - y, xx - x), 0.0), 1.0)
            total += inside * image[yy, xx]
            area += inside
            brightest = max(brightest, image[yy, xx])
    return total, area, brightest
