"""Kernels applied to all frames of a stack, lazily where the stack is lazy.

A kernel sees either whole frames, or every pixel with its neighbours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .count_statistics import estimate_frame_gains, replace_spikes

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
    frames: xr.DataArray, kernel: Callable[..., Any], reach: int, by_frame: xr.DataArray | None = None
) -> xr.DataArray:
    """Apply a kernel (.., y, x) -> (.., y, x) that looks ``reach`` pixels around.

    Blocks of a lazy stack share a rim of that width. ``by_frame`` is one number per frame, passed to the kernel as
    (.., 1, 1).
    """
    ordered = frames.transpose(..., *SCAN)
    numbers = () if by_frame is None else (by_frame.expand_dims({"scan_y": 1, "scan_x": 1}, axis=(-2, -1)),)
    # Without chunks the kernel sees the whole stack, and no graph is needed.
    if ordered.chunks is None:
        return ordered.copy(data=kernel(ordered.values, *(np.asarray(one) for one in numbers)))
    import dask.array

    da: Any = dask.array  # only partly typed
    blocks = ordered.data
    arrays = [blocks, *(da.from_array(np.asarray(one), chunks=(blocks.chunks[0], 1, 1)) for one in numbers)]
    # Only the frames need a rim; the numbers by frame have a single pixel.
    rims = [{blocks.ndim - 2: reach, blocks.ndim - 1: reach}, *([{}] * len(numbers))]
    out = da.map_overlap(kernel, *arrays, depth=rims, boundary="none", dtype=np.float32, meta=np.empty(0, np.float32))
    return ordered.copy(data=out)


def select_middle(frames: xr.DataArray, side: int) -> xr.DataArray:
    """Select a window of at most ``side`` pixels a side around the middle of the frames."""
    start = {dim: max((frames.sizes[dim] - side) // 2, 0) for dim in SCAN}
    return frames.isel({dim: slice(first, first + side) for dim, first in start.items()})


def estimate_gains(frames: xr.DataArray, n_sigma: float | None = None) -> xr.DataArray:
    """Estimate variance over mean of the counts of each frame, in a window around its middle, without its spikes.

    The window of a lazy stack is read here. Every block waits for these numbers, and would be kept in memory until
    then.
    """
    # One number per frame needs no more pixels, and drift hardly moves the middle out of view.
    window = select_middle(frames, _WINDOW)

    # Spikes are removed inside the window alone: the whole stack need not be filtered for a number.
    def estimate_block(block: Array) -> NDArray[np.float64]:
        return estimate_frame_gains(block if n_sigma is None else replace_spikes(block, n_sigma))

    return apply_over_frames(window, estimate_block, out_dims=()).compute()


def remove_spikes(frames: xr.DataArray, n_sigma: float | None) -> xr.DataArray:
    """Replace single hot and dead pixels by the median of their neighbours; None returns the frames unchanged."""
    if n_sigma is None:
        return frames
    # One gain per frame and not per block, so that the result does not depend on the chunks.
    gain = estimate_gains(frames)
    return apply_around_pixels(frames, lambda block, gains: replace_spikes(block, n_sigma, gains), 2, gain)
