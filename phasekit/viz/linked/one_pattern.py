"""One pattern of a scan, read alone from a file whose blocks hold many."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

#: Tasks of a lazy array that was opened and not changed since.
_PLAIN_TASKS = frozenset(("getter", "getter_nofancy", "getter_inline", "getitem"))


def read_pattern(intensity: xr.DataArray, pixel: tuple[int, int]) -> NDArray[Any]:
    """Pattern (qy, qx) of a pixel (y, x) of ``intensity`` (scan_y, scan_x, qy, qx).

    dask reads the whole block of a pattern, often hundreds of them. Of an array as a reader opened it, the pattern is
    read from the file itself. Where steps were added to it, they are applied to the block, as dask does.
    """
    source = _find_source(intensity)
    if source is None:
        return np.asarray(intensity.isel(scan_y=pixel[0], scan_x=pixel[1]).values)
    array, lock = source
    y, x = pixel
    detector = (slice(0, length, None) for length in array.shape[2:])
    with lock or nullcontext():
        part = array[(slice(y, y + 1, None), slice(x, x + 1, None), *detector)]
    return np.asarray(part)[0, 0]


def _find_source(intensity: xr.DataArray) -> tuple[Any, Any] | None:
    """Array in the file, and its lock; ``None`` where the values are in memory or differ from those in the file."""
    lazy = intensity.data
    if intensity.dims[:2] != ("scan_y", "scan_x") or not hasattr(lazy, "__dask_graph__"):
        return None
    one = lazy[0, 0]
    graph = dict(one.__dask_graph__().cull(one.__dask_keys__()))
    tasks = [task for task in graph.values() if callable(getattr(task, "func", None))]
    sources = [value for value in graph.values() if not hasattr(value, "func")]
    if len(sources) != 1 or {task.func.__name__ for task in tasks} - _PLAIN_TASKS:
        return None
    array = getattr(sources[0], "value", sources[0])  # dask wraps some arrays
    if getattr(array, "shape", None) != lazy.shape:
        return None  # a part of the file was selected before
    locks = [task.kwargs.get("lock") for task in tasks if "lock" in (task.kwargs or {})]
    return array, next((lock for lock in locks if hasattr(lock, "__enter__")), None)
