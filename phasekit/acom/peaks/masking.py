"""Compiled kernels for bad pixels: found in every pattern, left out of the blur, replaced by symmetry in a disk."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...detector.spikes import SpikeLimits, bridge_pixels, count_outside, list_spikes
from . import kernels as k
from .background import bin_image

#: Share of the blur's weight that good pixels must hold for its value to count.
LEAST_WEIGHT = 0.5
_LEAST_KNOWN = 0.25  # of the weight of four pixels, for their mean to be known
_FEW = 48  # bad pixels of one pattern that are bridged; with more the weights are computed for that pattern
_LARGEST = float(np.finfo(np.float32).max)
_blur_image = k.blur_image


class PatternGaps(NamedTuple):
    """Bad pixels of one pattern.

    Parameters
    ----------
    n_listed
        Number of pixels that are bad in all patterns.
    found
        Flat indices of those that are bad in this one only.
    weight
        As in ``BadPixels``.
    """

    n_listed: int
    found: NDArray[np.int64]
    weight: k.Image


class BadPixels(NamedTuple):
    """What is known about bad pixels before a pattern is read.

    Parameters
    ----------
    listed
        Flat indices of the pixels that are bad in all patterns.
    limits
        Limits of the spike test.
    least
        Smaller values are marks of masked pixels [counts].
    weight
        Blurred share of good pixels in the binned pattern (y, x); empty where no pixel is listed.
    """

    listed: NDArray[np.int64]
    limits: SpikeLimits
    least: float
    weight: k.Image


def make_bad_pixels(used: NDArray[np.bool_], limits: NDArray[np.float64], kernel: k.Image, bin_size: int) -> BadPixels:
    """Bad pixels of a block; ``limits`` are those of ``SpikeLimits`` and, last, the smallest count.

    ``kernel`` (x,) is the Gaussian of the blur on the pattern binned by ``bin_size``.
    """
    listed = np.flatnonzero(~used)
    ny, nx = (n // bin_size for n in used.shape)
    weight = np.empty((0, 0), np.float32)
    if listed.size:
        weight = np.empty((ny, nx), np.float32)
        blur_weight(np.ascontiguousarray(used, np.float32), bin_size, kernel, weight)
    values = [float(value) for value in limits]
    return BadPixels(listed, SpikeLimits(*values[:5]), values[5], weight)


@njit(cache=True, nogil=True, error_model="numpy")
def blur_weight(good: k.Image, bin_size: int, kernel: k.Image, out: k.Image) -> None:
    """Write into ``out`` (y, x) the blurred share of good pixels; ``good`` (qy, qx) is 1 where a pixel counts."""
    small, between = np.empty_like(out), np.empty_like(out)
    bin_image(good, bin_size, small)
    _blur_image(small, kernel, between, out)


@njit(cache=True, nogil=True, error_model="numpy")
def remove_bad_pixels(image: k.Image, bad: BadPixels, found: NDArray[np.int64]) -> int:
    """Set bad pixels of one pattern (qy, qx) to NaN; list in ``found`` those of it alone, and return their number."""
    flat = image.ravel()
    n, nx = 0, image.shape[1]
    for y in range(image.shape[0]):
        # The largest finite number: infinite values are outside.
        if not count_outside(image[y], bad.least, _LARGEST):
            continue
        for i in range(y * nx, (y + 1) * nx):
            if not (bad.least <= flat[i] <= _LARGEST):
                flat[i] = np.nan
                if not _is_listed(bad.listed, i):
                    found[n] = i
                    n += 1
    for i in bad.listed:
        flat[i] = np.nan
    n_spikes = list_spikes(image, bad.limits, found[n:])
    for i in found[n : n + n_spikes]:
        flat[i] = np.nan
    return n + n_spikes


@njit(cache=True, nogil=True, error_model="numpy")
def _is_listed(listed: NDArray[np.int64], i: int) -> bool:
    """True where the sorted list holds ``i``."""
    place = np.searchsorted(listed, i)
    return bool(place < listed.size and listed[place] == i)


@njit(cache=True, nogil=True, error_model="numpy")
def blur_good_pixels(image: k.Image, gaps: PatternGaps, bin_size: int, kernel: k.Image, smooth: k.Image) -> k.Image:
    r"""Write into ``smooth`` (y, x) the blur of the good pixels alone, and return the weight (y, x) they hold in it.

    With the pattern I, its good pixels g and the Gaussian k,

    .. math:: s = \frac{k * (g I)}{k * g}

    Parameters
    ----------
    image
        Pattern (qy, qx) [counts], NaN where it is bad.
    gaps
        What is bad in this pattern.
    bin_size
        Side of the squares that are averaged before the blur [px].
    kernel
        Gaussian of the blur (x,).
    """
    whole = image.copy()
    small, between = np.empty_like(smooth), np.empty_like(smooth)
    if gaps.found.size <= _FEW:
        # A few single pixels change the weights by little, and new weights cost as much as the blur itself.
        bridge_pixels(whole, gaps.found)
        weight = gaps.weight if gaps.n_listed else np.ones_like(smooth)
    else:
        weight = np.empty_like(smooth)
        good = np.where(np.isfinite(image), np.float32(1), np.float32(0))
        blur_weight(good, bin_size, kernel, weight)
    flat = whole.ravel()
    for i in range(flat.size):
        if not np.isfinite(flat[i]):
            flat[i] = 0
    bin_image(whole, bin_size, small)
    _blur_image(small, kernel, between, smooth)
    for y in range(smooth.shape[0]):
        for x in range(smooth.shape[1]):
            smooth[y, x] = smooth[y, x] / weight[y, x] if weight[y, x] >= LEAST_WEIGHT else 0
    return weight


@njit(cache=True, nogil=True, error_model="numpy")
def count_missing(window: k.Image) -> int:
    """Number of NaN pixels of a window (y, x)."""
    n = 0
    for value in window.ravel():
        n += np.isnan(value)
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def fill_by_symmetry(window: k.Image, y: float, x: float, out: k.Image) -> None:
    """Write into ``out`` the window (y, x) with each NaN pixel replaced by the one opposite (y, x) [px].

    A disk looks the same from both sides, so that neither its centre of mass nor its sum is changed. Between pixels the
    opposite value is interpolated. Where it is missing too, the neighbours stand in; without any it is 0.
    """
    ny, nx = window.shape
    out[:, :] = window
    for i in range(ny):
        for j in range(nx):
            if not np.isnan(window[i, j]):
                continue
            value = _interpolate_known(window, 2 * y - i, 2 * x - j)
            out[i, j] = value if not np.isnan(value) else _interpolate_known(window, i + 0.5, j + 0.5)
            if np.isnan(out[i, j]):
                out[i, j] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _interpolate_known(window: k.Image, y: float, x: float) -> float:
    """Value of a window (y, x) between pixels, from those of the four around that are not NaN; NaN without any."""
    ny, nx = window.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    total, weights = 0.0, 0.0
    for yy in range(max(top, 0), min(top + 2, ny)):
        for xx in range(max(left, 0), min(left + 2, nx)):
            weight = (1 - abs(y - yy)) * (1 - abs(x - xx))
            if weight > 0 and not np.isnan(window[yy, xx]):
                total += weight * window[yy, xx]
                weights += weight
    return total / weights if weights > _LEAST_KNOWN else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def compute_missing_share(window: k.Image, y: float, x: float, radius: float) -> float:
    """Share of the pixels within ``radius`` [px] of (y, x) that are NaN in the window."""
    missing, n = 0, 0
    for yy in range(max(int(y - radius), 0), min(int(y + radius) + 2, window.shape[0])):
        for xx in range(max(int(x - radius), 0), min(int(x + radius) + 2, window.shape[1])):
            if np.hypot(yy - y, xx - x) <= radius:
                n += 1
                missing += np.isnan(window[yy, xx])
    return missing / max(n, 1)
