"""Maps too large for one go: tiles of a fixed size that overlap, whatever the chunks of the data are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.floating]
_SIDE = 512  # pixels of a tile
_OVERLAP = 16  # pixels borrowed from the neighbours: domains feel each other over fewer


def apply_over_tiles(
    channels: xr.DataArray, kernel: Callable[[Array], Array], n_out: int, dim: str = "part"
) -> xr.DataArray:
    """Kernel (y, x, channel) -> (y, x, n_out) on every tile of a map; lazy where the map is."""
    ordered = channels.transpose("scan_y", "scan_x", "channel")
    grid = ordered.isel(channel=0, drop=True)
    if max(ordered.shape[:2]) <= _SIDE and ordered.chunks is None:
        return xr.DataArray(kernel(ordered.values), dims=("scan_y", "scan_x", dim), coords=grid.coords)
    import dask.array

    da: Any = dask.array  # only partly typed
    lazy = ordered.chunks is not None
    blocks = da.asarray(ordered.data).rechunk((_sides(ordered.shape[0]), _sides(ordered.shape[1]), -1))
    rim = {0: _OVERLAP, 1: _OVERLAP, 2: 0}
    wide = da.overlap.overlap(blocks, depth=rim, boundary="none")
    chunks = (*wide.chunks[:2], (n_out,))
    out = wide.map_blocks(kernel, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    out = da.overlap.trim_internal(out, rim, boundary="none")
    return xr.DataArray(out if lazy else out.compute(), dims=("scan_y", "scan_x", dim), coords=grid.coords)


def _sides(n: int) -> tuple[int, ...]:
    """Sizes of the tiles along an axis: as many as are needed, as equal as can be."""
    count = -(-n // _SIDE)
    edges = np.linspace(0, n, count + 1).round().astype(int)
    return tuple(int(size) for size in np.diff(edges))
