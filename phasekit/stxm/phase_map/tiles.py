"""Large maps in tiles of a fixed size that overlap.

The tiles do not depend on the chunks of the data, so the same map comes out of any chunking.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.floating]
_SIDE = 512  # pixels of a tile
_OVERLAP = 16  # pixels shared with the neighbouring tiles; domains influence each other over shorter distances


def apply_over_tiles(
    channels: xr.DataArray, kernel: Callable[[Array], Array], n_out: int, dim: str = "part"
) -> xr.DataArray:
    """Apply a kernel (y, x, channel) -> (y, x, n_out) to every tile of a map; lazy where the map is."""
    ordered = channels.transpose("scan_y", "scan_x", "channel")
    grid = ordered.isel(channel=0, drop=True)
    if max(ordered.shape[:2]) <= _SIDE and ordered.chunks is None:
        return xr.DataArray(kernel(ordered.values), dims=("scan_y", "scan_x", dim), coords=grid.coords)
    import dask.array

    da: Any = dask.array  # only partly typed
    is_lazy = ordered.chunks is not None
    # small maps take the direct way above; here chunks are first made equal to the tiles
    blocks = da.asarray(ordered.data).rechunk((_split_axis(ordered.shape[0]), _split_axis(ordered.shape[1]), -1))
    # an axis with a single tile needs none, and may be shorter than the overlap
    overlap_px = {axis: _OVERLAP if ordered.shape[axis] > _SIDE else 0 for axis in (0, 1)} | {2: 0}
    wide = da.overlap.overlap(blocks, depth=overlap_px, boundary="none")
    chunks = (*wide.chunks[:2], (n_out,))
    out = wide.map_blocks(kernel, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    out = da.overlap.trim_internal(out, overlap_px, boundary="none")
    return xr.DataArray(out if is_lazy else out.compute(), dims=("scan_y", "scan_x", dim), coords=grid.coords)


def _split_axis(n: int) -> tuple[int, ...]:
    """Sizes [px] of the tiles along an axis of ``n`` pixels: as few and as equal as possible."""
    count = -(-n // _SIDE)
    edges = np.linspace(0, n, count + 1).round().astype(int)
    return tuple(int(size) for size in np.diff(edges))
