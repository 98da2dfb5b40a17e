"""Kernels applied to all frames of a stack, lazily where the stack is lazy.

A kernel sees either whole frames, or every pixel with its neighbours.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .count_statistics import (
    estimate_frame_gains,
    find_brightest_counts,
    replace_lone_spikes,
    replace_spikes,
)

Array = NDArray[np.floating]
SCAN = ("scan_y", "scan_x")
#: a frame's gain is measured on at most this many pixels a side, around its middle
_WINDOW = 512


def apply_over_frames(
    frames: xr.DataArray, kernel: Callable[..., Any], out_dims: tuple[str, ...] = SCAN
) -> xr.DataArray:
    """Apply a kernel to the two scan dimensions of every frame; each frame is read whole."""
    return xr.apply_ufunc(
        kernel,
        frames,
        input_core_dims=[list(SCAN)],
        output_core_dims=[list(out_dims)],
        dask="parallelized",
        output_dtypes=[np.float64 if not out_dims else np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )


def apply_around_pixels(
    frames: xr.DataArray,
    kernel: Callable[..., Any],
    reach: int,
    beside: tuple[xr.DataArray, ...] = (),
    *,
    frame_reach: int = 0,
    n_out: int = 1,
) -> tuple[xr.DataArray, ...]:
    """Apply a kernel (energy, y, x) -> tuple of ``n_out`` (energy, y, x) that looks around in pixels and frames.

    ``reach`` pixels and ``frame_reach`` frames are looked at; blocks of a lazy stack share a rim of that width. Arrays
    ``beside`` are numbers by energy, passed to the kernel as (energy, 1, 1), or have the dimensions of the scan.
    """
    ordered = frames.transpose(..., *SCAN)
    # Without chunks the kernel sees the whole stack, and no graph is needed.
    if ordered.chunks is None:
        numbers = [_arrange_beside(one, ordered).values for one in beside]
        return tuple(ordered.copy(data=out) for out in kernel(ordered.values, *numbers))
    import dask.array

    da: Any = dask.array  # only partly typed
    arrays = [ordered.data, *(_chunk_beside(_arrange_beside(one, ordered), ordered) for one in beside)]
    rims = [
        {axis: rim if array.shape[axis] > 1 else 0 for axis, rim in enumerate((frame_reach, reach, reach))}
        for array in arrays
    ]
    wide = [da.overlap.overlap(array, depth=rim, boundary="none") for array, rim in zip(arrays, rims, strict=True)]
    together = da.map_blocks(
        lambda *blocks: np.stack(kernel(*blocks)),
        *wide,
        new_axis=0,
        chunks=((n_out,), *wide[0].chunks),
        dtype=np.float32,
        meta=np.empty((0, 0, 0, 0), np.float32),
    )
    trimmed = da.overlap.trim_internal(together, {0: 0} | {axis + 1: rim for axis, rim in rims[0].items()}, "none")
    return tuple(ordered.copy(data=trimmed[index]) for index in range(n_out))


def _arrange_beside(values: xr.DataArray, frames: xr.DataArray) -> xr.DataArray:
    """Values as (energy, y, x), of size 1 along the dimensions they do not have."""
    missing = [dim for dim in frames.dims if dim not in values.dims]
    return values.astype(np.float64).drop_vars(list(values.coords)).expand_dims(missing).transpose(*frames.dims)


def _chunk_beside(values: xr.DataArray, frames: xr.DataArray) -> Any:
    """Dask array in the blocks of the frames."""
    sizes = dict(zip(frames.dims, frames.data.chunks, strict=True))
    return values.chunk({dim: sizes[dim] if values.sizes[dim] > 1 else 1 for dim in values.dims}).data


def select_middle(frames: xr.DataArray, side: int = _WINDOW) -> xr.DataArray:
    """Select a window of at most ``side`` pixels a side around the middle of the frames."""
    start = {dim: max((frames.sizes[dim] - side) // 2, 0) for dim in SCAN}
    return frames.isel({dim: slice(first, first + side) for dim, first in start.items()})


def estimate_gains(frames: xr.DataArray, n_sigma: float | None = None) -> xr.DataArray:
    """Estimate variance over mean of the counts of each frame, in a window around its middle, without its spikes.

    The window of a lazy stack is read here. Every block waits for these numbers, and would be kept in memory until
    then.
    """
    # One number per frame needs no more pixels, and drift hardly moves the middle out of view.
    window = select_middle(frames)

    # Spikes are removed inside the window alone: the whole stack need not be filtered for a number.
    def estimate_block(block: Array) -> NDArray[np.float64]:
        return estimate_frame_gains(block if n_sigma is None else replace_spikes(block, n_sigma))

    return apply_over_frames(window, estimate_block, out_dims=()).compute()


def remove_spikes(frames: xr.DataArray, n_sigma: float | None, gain: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Replace single hot and dead pixels by the median of their neighbours; return the frames and the number by energy.

    ``gain(energy)`` is the measured variance over mean of the counts. None for ``n_sigma`` changes nothing. One number
    per frame and not per block, so that the result does not depend on the chunks.
    """
    if n_sigma is None:
        return frames, xr.zeros_like(gain, dtype=np.int64).drop_attrs()
    kernel = partial(replace_lone_spikes, n_sigma=n_sigma)
    (cleaned,) = apply_around_pixels(
        frames, lambda *parts: (kernel(*parts),), 2, (gain, find_brightest(frames)), frame_reach=1
    )
    return cleaned, count_changes(frames, cleaned)


def find_brightest(frames: xr.DataArray) -> xr.DataArray:
    """Find the counts (energy) of the brightest place in the middle of each frame; it is read."""
    return apply_over_frames(select_middle(frames), find_brightest_counts, out_dims=()).compute()


def count_changes(frames: xr.DataArray, cleaned: xr.DataArray) -> xr.DataArray:
    """Count the pixels of each frame that cleaning changed; lost ones are none."""
    changed = frames.astype(np.float32).notnull() & (cleaned != frames.astype(np.float32))
    return changed.sum(SCAN).astype(np.int64)
