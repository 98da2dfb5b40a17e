"""Compiled image filters of peak finding, and the threshold that a peak must exceed.

All images are float32 arrays ``(qy, qx)``. Positions are in pixels, and integer values are pixel centres.
The caller passes the scratch images, because allocating them takes as long as the arithmetic.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


class Threshold(NamedTuple):
    r"""Coefficients of the smallest significant prominence, as a function of the background level.

    With the level m [counts per pixel] the threshold is

    .. math:: t(m) = \max\left(\sqrt{a + b\, m} + c,\; d\right)

    Parameters
    ----------
    constant
        a [counts^2]: the part of the squared threshold that does not depend on the level.
    per_level
        b [counts]: its increase per count of the level.
    one_count
        c [counts per pixel]: the term of Bernstein's bound for the height of a single count.
    least
        d [counts per pixel]: the threshold is never lower.
    """

    constant: float
    per_level: float
    one_count: float
    least: float


@njit(cache=True, nogil=True, error_model="numpy")
def fill_gaps(image: Image) -> int:
    """Replace NaN and infinite pixels of ``image`` (qy, qx) in place, and return their number.

    A gap takes the value of the last finite pixel of its row, or 0 at the start of the row.
    """
    gaps = 0
    for y in range(image.shape[0]):
        last = np.float32(0.0)
        for x in range(image.shape[1]):
            if np.isfinite(image[y, x]):
                last = image[y, x]
            else:
                image[y, x] = last
                gaps += 1
    return gaps


@njit(cache=True, nogil=True, error_model="numpy")
def compute_corner_statistics(image: Image) -> tuple[float, float]:
    """Mean and standard deviation [counts] of the finite pixels of ``image`` (qy, qx) outside the inscribed circle."""
    ny, nx = image.shape
    cy, cx = (ny - 1) / 2, (nx - 1) / 2
    # Corners are at the highest angles, where the fewest spots are.
    limit = (min(ny, nx) / 2) ** 2
    total, squares, n = 0.0, 0.0, 0
    for y in range(ny):
        rest = limit - (y - cy) ** 2
        # First column inside the circle, and first column to the right of it.
        inner = nx if rest < 0 else max(int(np.ceil(cx - np.sqrt(rest))), 0)
        outer = nx if rest < 0 else min(int(np.floor(cx + np.sqrt(rest))) + 1, nx)
        for part in (image[y, :inner], image[y, outer:]):
            for value in part:
                if np.isnan(value):
                    continue
                total += value
                squares += value * np.float64(value)
                n += 1
    mean = total / max(n, 1)
    return mean, np.sqrt(max(squares / max(n, 1) - mean * mean, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def blur_image(image: Image, kernel: Image, scratch: Image, out: Image) -> None:
    """Write into ``out`` the separable convolution of an image with a symmetric kernel.

    The sum is divided by the part of the kernel inside the image, so a flat image stays flat at the edges.

    Parameters
    ----------
    image, scratch, out
        Arrays (qy, qx), float32 [counts]. ``scratch`` is overwritten.
    kernel
        One-dimensional kernel of odd length and sum 1.
    """
    ny, nx = image.shape
    half = kernel.size // 2
    norm = np.empty(max(ny, nx), np.float32)
    # Rows are padded with zeros, so that the inner loop needs no test for the edge.
    padded = np.zeros(nx + 2 * half, np.float32)
    _compute_kernel_mass(kernel, nx, norm)
    for y in range(ny):
        # Symmetric weights: pixels at equal distances are added first, which halves the products.
        padded[half : half + nx] = image[y]
        scratch[y] = padded[half : half + nx] * kernel[half]
        for k in range(1, half + 1):
            _add_row_pair(kernel[half + k], padded[half - k :], padded[half + k :], scratch[y])
        for x in range(nx):
            scratch[y, x] /= norm[x]
    _compute_kernel_mass(kernel, ny, norm)
    for y in range(ny):
        _scale_row(kernel[half] / norm[y], scratch[y], out[y])
        for k in range(1, half + 1):
            weight = kernel[half + k] / norm[y]
            if y >= k and y + k < ny:
                _add_row_pair(weight, scratch[y - k], scratch[y + k], out[y])
            elif y >= k:
                _add_row(weight, scratch[y - k], out[y])
            elif y + k < ny:
                _add_row(weight, scratch[y + k], out[y])


# These loops run on plain views of rows, which the compiler vectorises: 5 times faster than indexing the image.
@njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"}, error_model="numpy")
def _scale_row(weight: float, source: Image, target: Image) -> None:
    """Write ``weight`` times a row (x,) into ``target`` (x,)."""
    for x in range(target.size):
        target[x] = np.float32(weight) * source[x]


@njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"}, error_model="numpy")
def _add_row(weight: float, source: Image, target: Image) -> None:
    """Add ``weight`` times a row (x,) to ``target`` (x,)."""
    for x in range(target.size):
        target[x] += np.float32(weight) * source[x]


@njit(cache=True, nogil=True, forceinline=True, fastmath={"contract"}, error_model="numpy")
def _add_row_pair(weight: float, first: Image, second: Image, target: Image) -> None:
    """Add ``weight`` times the sum of two rows (x,) to ``target`` (x,); the second row may be longer."""
    for x in range(target.size):
        target[x] += np.float32(weight) * (first[x] + second[x])


@njit(cache=True, nogil=True, error_model="numpy")
def _compute_kernel_mass(kernel: Image, n: int, norm: Image) -> None:
    """Write into ``norm`` (n,) the part of the kernel's sum inside a line of ``n`` pixels, for each centre."""
    half = kernel.size // 2
    for x in range(n):
        norm[x] = kernel[max(0, half - x) : min(kernel.size, half + n - x)].sum()


@njit(cache=True, nogil=True, error_model="numpy")
def compute_box_mean(image: Image, half: int, scratch: Image, out: Image) -> None:
    """Write into ``out`` the mean over windows of 2 half + 1 pixels, over their parts inside the image.

    Running sums make the time independent of the size of the window. All arrays are (qy, qx), float32 [counts].
    """
    ny, nx = image.shape
    for y in range(ny):
        total, per_pixel, row = 0.0, 0.0, image[y]
        for x in range(min(half, nx)):
            total += row[x]
        for x in range(nx):
            if x + half < nx:
                total += row[x + half]
            if x - half - 1 >= 0:
                total -= row[x - half - 1]
            # The number of pixels in the window changes only near the two edges.
            if x <= half + 1 or x + half >= nx:
                per_pixel = 1.0 / (min(x + half, nx - 1) - max(x - half, 0) + 1)
            scratch[y, x] = total * per_pixel
    # Sums down the columns run for a whole row at a time, so that memory is read in order.
    column = np.zeros(nx, np.float64)
    for y in range(min(half, ny)):
        column += scratch[y]
    for y in range(ny):
        if y + half < ny:
            column += scratch[y + half]
        if y - half - 1 >= 0:
            column -= scratch[y - half - 1]
        per_pixel = 1.0 / (min(y + half, ny - 1) - max(y - half, 0) + 1)
        for x in range(nx):
            out[y, x] = column[x] * per_pixel


@njit(cache=True, nogil=True, error_model="numpy")
def compute_threshold(level: float, noise: Threshold) -> float:
    r"""Prominence [counts per pixel] that noise on a background of ``level`` [counts per pixel] does not reach.

    The form is Bernstein's bound. For a sum of independent counts with variance v, each of height w,

    .. math:: P\left(x - \bar x \ge \sqrt{2 L v} + L w / 3\right) \le e^{-L}

    The variance grows linearly with the level, hence the coefficients of :class:`Threshold`.
    """
    return max(np.sqrt(max(noise.constant + noise.per_level * level, 0.0)) + noise.one_count, noise.least)


@njit(cache=True, nogil=True, error_model="numpy")
def compute_parabolic_opening(image: Image, curvature: float, out: Image) -> None:
    r"""Write into ``out`` the upper envelope of all paraboloids that fit under the image.

    This is the exact form of the sliding-paraboloid background, a grey opening with the structuring function

    .. math:: h(r) = -\kappa\, r^2

    Parameters
    ----------
    image, out
        Arrays (qy, qx), float32 [counts].
    curvature
        :math:`\kappa` [counts per px^2].
    """
    ny, nx = image.shape
    # A paraboloid is a sum of two parabolas, so rows and columns can be treated one after the other.
    out[:, :] = image
    for sign in (1.0, -1.0):  # erosion, then dilation as the erosion of the negative
        for y in range(ny):
            out[y, :] = sign * _compute_lower_envelope(sign * out[y, :].astype(np.float64), curvature)
        for x in range(nx):
            out[:, x] = sign * _compute_lower_envelope(sign * out[:, x].astype(np.float64), curvature)


@njit(cache=True, nogil=True, error_model="numpy")
def _compute_lower_envelope(values: Floats, curvature: float) -> Floats:
    r"""Lower envelope (x,) of parabolas on every value (x,), in linear time.

    .. math:: e(x) = \min_u \left( f(u) + \kappa\, (x - u)^2 \right)

    The algorithm is that of Felzenszwalb and Huttenlocher (Theory of Computing 8, 415, 2012).
    """
    n = values.size
    apex, start = np.zeros(n, np.int64), np.empty(n + 1)
    # Each parabola is lowest from its start to the start of the next one.
    start[0], start[1] = -np.inf, np.inf
    last = 0
    for u in range(1, n):
        # A parabola that the new one meets before its own start is nowhere the lowest: it is removed.
        while True:
            v = apex[last]
            cross = ((values[u] + curvature * u * u) - (values[v] + curvature * v * v)) / (2 * curvature * (u - v))
            if cross > start[last]:
                break
            last -= 1
        last += 1
        apex[last], start[last], start[last + 1] = u, cross, np.inf
    out = np.empty(n)
    k = 0
    for x in range(n):
        while start[k + 1] < x:
            k += 1
        out[x] = values[apex[k]] + curvature * (x - apex[k]) ** 2
    return out
