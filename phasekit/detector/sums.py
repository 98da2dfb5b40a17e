"""Compiled sums over patterns, from which mean, variance and covariance of every detector pixel follow."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .spikes import Image, SpikeLimits, list_spikes

#: Images that are added up over blocks, and images of which the smallest value is kept.
N_SUMS, N_LOWS = 11, 3
MEASURED, TOTAL, SQUARE, RIGHT, DOWN, PAIRS_RIGHT, PAIRS_DOWN, MISSING, MARKED, AT_LIMIT, SPIKES = range(N_SUMS)
LOWEST, MINUS_HIGHEST, ROUNDING = range(N_SUMS, N_SUMS + N_LOWS)


def add_patterns(
    patterns: NDArray[np.float64], ceilings: NDArray[np.float64], least: float, limits: SpikeLimits, out: Image
) -> None:
    """Add patterns (pattern, qy, qx) [counts] to the sums ``out`` (image, qy, qx); the patterns are overwritten.

    ``ceilings`` (value,) and ``least`` [counts] say which values are no counts, ``limits`` which pixels are too bright.
    """
    out[[MEASURED, PAIRS_RIGHT, PAIRS_DOWN]] += len(patterns)
    removed = _remove_bad(patterns, ceilings, least, limits, out)
    # fmin and fmax pass over NaN.
    np.fmin(out[LOWEST], np.fmin.reduce(patterns, axis=0), out=out[LOWEST])
    np.fmin(out[MINUS_HIGHEST], -np.fmax.reduce(patterns, axis=0), out=out[MINUS_HIGHEST])
    if removed:
        patterns[np.isnan(patterns)] = 0
    # Removed pixels are 0 now: they add nothing, and the numbers of patterns and pairs have been lowered for them.
    out[TOTAL] += patterns.sum(axis=0)
    out[SQUARE] += np.einsum("nyx,nyx->yx", patterns, patterns)
    out[RIGHT, :, :-1] += np.einsum("nyx,nyx->yx", patterns[:, :, :-1], patterns[:, :, 1:])
    out[DOWN, :-1] += np.einsum("nyx,nyx->yx", patterns[:, :-1], patterns[:, 1:])


@njit(cache=True, nogil=True, error_model="numpy")
def _remove_bad(
    patterns: NDArray[np.float64], ceilings: NDArray[np.float64], least: float, limits: SpikeLimits, out: Image
) -> int:
    """Set pixels that hold no count to NaN, count them in ``out``, and return their number."""
    size = patterns.shape[1] * patterns.shape[2]
    marks, limited, spikes = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.int64)
    removed = 0
    for p in range(len(patterns)):
        image = patterns[p]
        n_marks, n_limited = _list_marks(image, ceilings, least, marks, limited, out)
        _remove_listed(image, marks[:n_marks], out)
        n_spikes = list_spikes(image, limits, spikes)
        # Pixels at the limit are neighbours until here.
        _count_listed(limited[:n_limited], out[AT_LIMIT])
        _count_listed(spikes[:n_spikes], out[SPIKES])
        _remove_listed(image, limited[:n_limited], out)
        _remove_listed(image, spikes[:n_spikes], out)
        removed += n_marks + n_limited + n_spikes
    return removed


@njit(cache=True, nogil=True, error_model="numpy")
def _list_marks(
    image: Image,
    ceilings: NDArray[np.float64],
    least: float,
    marks: NDArray[np.int64],
    limited: NDArray[np.int64],
    out: Image,
) -> tuple[int, int]:
    """List pixels without a number or below ``least``, and pixels at a ceiling; return how many there are of both."""
    nx = image.shape[1]
    n_marks, n_limited, lowest_ceiling = 0, 0, ceilings[0]
    for y in range(image.shape[0]):
        row = image[y]
        for x in range(nx):
            value = row[x]
            # One comparison passes nearly every pixel; it is false for NaN.
            if value >= least and value < lowest_ceiling:
                continue
            if not np.isfinite(value):
                out[MISSING, y, x] += 1
                # An infinite value makes the lowest one infinite, so that those who refuse it can see it.
                if not np.isnan(value):
                    out[LOWEST, y, x] = -np.inf
                marks[n_marks] = y * nx + x
                n_marks += 1
                row[x] = 0  # until it is removed, so that each pair is lowered once
            elif value < least:
                out[MARKED, y, x] += 1
                marks[n_marks] = y * nx + x
                n_marks += 1
                row[x] = 0
            elif (ceilings == value).any():
                limited[n_limited] = y * nx + x
                n_limited += 1
    return n_marks, n_limited


@njit(cache=True, nogil=True, error_model="numpy")
def _count_listed(found: NDArray[np.int64], count: Image) -> None:
    """Count the listed pixels (flat indices) in ``count`` (qy, qx)."""
    for i in found:
        count[i // count.shape[1], i % count.shape[1]] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _remove_listed(image: Image, found: NDArray[np.int64], out: Image) -> None:
    """Set the listed pixels to NaN, and lower the numbers of patterns and pairs that they were counted in."""
    nx = image.shape[1]
    for i in found:
        y, x = i // nx, i % nx
        # A spike at the detector's limit is listed twice.
        if not np.isnan(image[y, x]):
            _remove_pixel(image, y, x, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _remove_pixel(image: Image, y: int, x: int, out: Image) -> None:
    """Set one pixel to NaN; a pair that has lost its other pixel already was lowered then."""
    ny, nx = image.shape
    out[MEASURED, y, x] -= 1
    if x + 1 >= nx or not np.isnan(image[y, x + 1]):
        out[PAIRS_RIGHT, y, x] -= 1
    if y + 1 >= ny or not np.isnan(image[y + 1, x]):
        out[PAIRS_DOWN, y, x] -= 1
    if x > 0 and not np.isnan(image[y, x - 1]):
        out[PAIRS_RIGHT, y, x - 1] -= 1
    if y > 0 and not np.isnan(image[y - 1, x]):
        out[PAIRS_DOWN, y - 1, x] -= 1
    image[y, x] = np.nan
