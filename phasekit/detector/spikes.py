"""Compiled test for spikes: pixels that are too bright beside their neighbours to belong to a disk."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float64] | NDArray[np.float32]

_CHANCE = 5e-11  # of a false spike in one pixel of one pattern
_DEVIATIONS = 7.0  # standard deviations with the same chance
#: Radius [px] of the narrowest disk that is kept where the disks are not known.
NARROWEST_RADIUS = 0.6
_TEXTURE = 2.0  # how much brighter than a disk of one level the middle of a true disk may be


class SpikeLimits(NamedTuple):
    r"""Coefficients of the brightest value that the six darkest of eight neighbours allow.

    With the sum s of these six, above the offset, a value v is a spike if

    .. math:: v > R \left(s + z \sqrt{6 v_0 + g s}\right) + c

    Parameters
    ----------
    offset
        Value without an electron [counts].
    ratio
        R: the brightest pixel of a disk over the sum of its six darkest neighbours.
    least
        c [counts]: what chance can put into one pixel alone.
    constant
        :math:`6 v_0` [counts^2].
    gain
        g [counts per electron].
    """

    offset: float
    ratio: float
    least: float
    constant: float
    gain: float


def make_spike_limits(offset: float, v0: float, gain: float, radius: float) -> SpikeLimits:
    r"""Limits for disks of ``radius`` [px] and pixels of variance :math:`v_0 + g m` at a level m above the offset.

    Electrons of one disk fall into its brightest pixel, or into the six darkest pixels around it, with the odds R. That
    c electrons all fall into the brightest pixel has the chance :math:`(R / (1 + R))^c`.
    """
    ratio = _TEXTURE * compute_disk_ratio(max(radius, NARROWEST_RADIUS))
    alone = np.log(_CHANCE) / np.log(ratio / (1 + ratio))
    least = gain * alone + _DEVIATIONS * np.sqrt(max(v0, 0.0))
    return SpikeLimits(float(offset), float(ratio), float(least), float(6 * max(v0, 0.0)), float(gain))


def compute_disk_ratio(radius: float, subpixels: int = 20) -> float:
    """Middle pixel of a disk of ``radius`` [px] over the sum of the six darkest of its eight neighbours."""
    fine = (np.arange(3 * subpixels) + 0.5) / subpixels - 1.5
    inside = np.hypot(fine[:, None], fine) <= radius
    cover = inside.reshape(3, subpixels, 3, subpixels).mean(axis=(1, 3))
    around = np.sort(np.delete(cover.ravel(), 4))[:6]
    return float(cover[1, 1] / around.sum())


@njit(cache=True, nogil=True, error_model="numpy")
def list_spikes(image: Image, limits: SpikeLimits, found: NDArray[np.int64]) -> int:
    """Write the flat indices of the spikes of ``image`` (qy, qx) [counts] into ``found``, and return their number.

    NaN is no spike. ``found`` holds as many indices as the image has pixels.
    """
    ny, nx = image.shape
    first = limits.offset + limits.least
    around = np.empty(8)
    n = 0
    for y in range(ny):
        row = image[y]
        if not count_outside(row, -np.inf, first):
            continue
        for x in range(nx):
            if row[x] > first and is_spike(image, y, x, limits, around):
                found[n] = y * nx + x
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def count_outside(row: NDArray[np.float64] | NDArray[np.float32], least: float, most: float) -> int:
    """Number of values of a row (x,) that are not within ``least`` and ``most``; NaN is outside.

    The compiler makes vector instructions of this loop, so that rows without such a value cost next to nothing.
    """
    low, high = row.dtype.type(least), row.dtype.type(most)
    n = np.int32(0)
    for value in row:
        n += np.int32(not (low <= value <= high))
    return int(n)


@njit(cache=True, nogil=True, error_model="numpy")
def is_spike(image: Image, y: int, x: int, limits: SpikeLimits, around: NDArray[np.float64]) -> bool:
    """True where a pixel exceeds what its neighbours allow; ``around`` (8,) is scratch."""
    ny, nx = image.shape
    n = 0
    for yy in range(y - 1, y + 2):
        for xx in range(x - 1, x + 2):
            if (yy == y and xx == x) or yy < 0 or xx < 0 or yy >= ny or xx >= nx:
                continue
            if np.isfinite(image[yy, xx]):
                # Sorted as they come: the two brightest may be bad as well.
                value, place = np.float64(image[yy, xx]) - limits.offset, n
                while place > 0 and around[place - 1] > value:
                    around[place] = around[place - 1]
                    place -= 1
                around[place] = value
                n += 1
    if n == 8:
        total = max(around[:6].sum(), 0.0)
    elif n >= 2:
        # At an edge or a gap the rim of a disk may have two neighbours only: the second brightest stands for all.
        total = max(6.0 * around[n - 2], 0.0)
    else:
        return False
    noise = np.sqrt(limits.constant + limits.gain * total)
    return image[y, x] - limits.offset > limits.ratio * (total + 7.0 * noise) + limits.least


@njit(cache=True, nogil=True, error_model="numpy")
def bridge_pixels(image: Image, found: NDArray[np.int64]) -> None:
    """Give the listed pixels (flat indices) of ``image`` (qy, qx) the mean of their finite neighbours, one by one."""
    ny, nx = image.shape
    for i in found:
        total, n = 0.0, 0
        y, x = i // nx, i % nx
        for yy in range(max(y - 1, 0), min(y + 2, ny)):
            for xx in range(max(x - 1, 0), min(x + 2, nx)):
                if np.isfinite(image[yy, xx]):
                    total += image[yy, xx]
                    n += 1
        # A pixel without a finite neighbour stays as it is.
        if n > 0:
            image[y, x] = total / n
