"""Counts without spikes, their local mean and their gradient, made in one pass over the blocks of a stack."""

from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from .count_statistics import fill_lost_pixels, replace_lone_spikes
from .frames import SCAN, apply_around_pixels, count_changes, find_brightest
from .noise.position_noise import compute_squared_gradient

Array = NDArray[np.floating]
#: pixels around that are looked at: 2 for a spike, 1 for the local mean, 1 for its gradient
_REACH = 4


class FilteredCounts(NamedTuple):
    """Counts (energy, scan_y, scan_x) of a stack, and what was replaced in them."""

    intensity: xr.DataArray  # without spikes and dark counts
    local_mean: xr.DataArray  # over 3 x 3 pixels
    squared_gradient: xr.DataArray | None  # of the logarithm of the mean [1/px^2]
    n_replaced: xr.DataArray  # (energy)


def filter_counts(
    measured: xr.DataArray,
    dark: xr.DataArray | float,
    gain: xr.DataArray,
    *,
    n_sigma: float | None,
    with_gradient: bool,
) -> FilteredCounts:
    """Remove the spikes of measured counts and compute their local mean, lazily where the counts are.

    Everything is made from the same blocks of measured counts. Blocks made from filtered ones would keep these in
    memory until all their neighbours are done.
    """
    brightest = xr.zeros_like(gain) if n_sigma is None else find_brightest(measured)
    kernel = partial(_filter_block, n_sigma=n_sigma, with_gradient=with_gradient)
    beside = (gain, brightest, dark if isinstance(dark, xr.DataArray) else xr.full_like(gain, float(dark)))
    parts = apply_around_pixels(measured, kernel, _REACH, beside, frame_reach=1, n_out=2 + with_gradient)
    cleaned, local_mean, *gradient = parts
    intensity = (cleaned - dark).transpose(..., "energy", *SCAN)
    n_replaced = count_changes(measured, cleaned) if n_sigma is not None else xr.zeros_like(gain, dtype=np.int64)
    return FilteredCounts(intensity, local_mean, gradient[0] if gradient else None, n_replaced.drop_attrs())


def _filter_block(
    frames: Array, gain: Array, brightest: Array, dark: Array, *, n_sigma: float | None, with_gradient: bool
) -> tuple[NDArray[np.float32], ...]:
    """Filter a block (energy, y, x); numbers by frame are (energy, 1, 1)."""
    # Spikes first: they would spread over nine pixels in the local mean.
    if n_sigma is None:
        cleaned = np.asarray(frames, dtype=np.float32)
    else:
        cleaned = replace_lone_spikes(frames, gain, brightest, n_sigma)
    raw = cleaned - np.asarray(dark, dtype=np.float32)
    parts = [cleaned, _compute_local_mean(raw)]
    if with_gradient:
        parts.append(compute_squared_gradient(raw, gain))
    return tuple(parts)


def _compute_local_mean(frames: Array) -> NDArray[np.float32]:
    """Compute the 3 x 3 mean of each frame.

    It stands for the expected counts, which set the variance of Poisson counts; a single count would not do.
    """
    out = np.empty(frames.shape, dtype=np.float32)
    for index in np.ndindex(frames.shape[:-2]):
        # Single precision halves the memory; a mean of nine counts does not need more.
        out[index] = ndimage.uniform_filter(
            fill_lost_pixels(np.asarray(frames[index], np.float32)), size=3, mode="nearest"
        )
    return out
