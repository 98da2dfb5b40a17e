"""Kernels applied to blocks of patterns, on all cores or lazily, with outputs that have names."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

SCAN = ("scan_y", "scan_x")


class Output(NamedTuple):
    """Dimensions per pattern and type of one output of a kernel."""

    dims: tuple[str, ...]
    dtype: type[np.generic]


def apply_per_pattern(
    kernel: Any, arrays: list[xr.DataArray], outputs: dict[str, Output], sizes: dict[str, int], shared: Any
) -> dict[str, xr.DataArray]:
    """Apply a kernel to blocks of patterns, lazily where an input is lazy.

    Parameters
    ----------
    kernel
        Function of ``shared`` and NumPy arrays ``(scan_y, scan_x, ...)``, one per input. It returns a tuple, one array
        per output.
    arrays
        Inputs; all their dimensions but the scan's stay whole.
    outputs
        Name, dimensions and type of each output, in the order of the tuple.
    sizes
        Length of every dimension of the outputs.
    shared
        What every pattern needs, such as the bank. Lazily it is one entry of the graph: a worker of a cluster gets it
        once, and all its blocks use the same object.

    Returns
    -------
    dict
        Arrays ``(scan_y, scan_x, ...)`` by name.
    """
    whole = [
        array.chunk({dim: -1 for dim in array.dims if dim not in SCAN}) if array.chunks is not None else array
        for array in arrays
    ]
    lazy = any(array.chunks is not None for array in arrays)
    # dask brings threads of its own
    run, inputs = (kernel, [_make_graph_entry(shared), *whole]) if lazy else (_run_on_all_cores(kernel, shared), whole)
    found = xr.apply_ufunc(
        run if len(outputs) > 1 else lambda *blocks: run(*blocks)[0],  # apply_ufunc wants one output without a tuple
        *inputs,
        input_core_dims=[[str(dim) for dim in array.dims if dim not in SCAN] for array in inputs],
        output_core_dims=[list(output.dims) for output in outputs.values()],
        dask="parallelized",
        output_dtypes=[output.dtype for output in outputs.values()],
        dask_gufunc_kwargs={"output_sizes": sizes},
    )
    maps = found if isinstance(found, tuple) else (found,)
    return {name: one.transpose(*SCAN, *outputs[name].dims) for name, one in zip(outputs, maps, strict=True)}


def _make_graph_entry(shared: Any) -> xr.DataArray:
    """An object as a lazy scalar, so that it is stored once in the graph and not once in every task."""
    import dask.array as da
    from dask.delayed import delayed

    entry = da.from_delayed(delayed(shared, traverse=False), (), object)  # type: ignore[no-untyped-call]
    return xr.DataArray(entry)


def _run_on_all_cores(kernel: Any, shared: Any) -> Any:
    """The kernel, run on slices of the first scan axis with one thread per core."""

    def run(*arrays: Any) -> tuple[Any, ...]:
        threads = min(count_available_threads(), len(arrays[0]))
        # One thread needs no pool, which also keeps tracebacks short.
        if threads < 2:
            return kernel(shared, *arrays)
        # Four slices per core even out that some take longer, where each still has enough rows.
        cuts = np.array_split(np.arange(len(arrays[0])), 4 * threads if len(arrays[0]) >= 16 * threads else threads)
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(lambda rows: kernel(shared, *(a[rows[0] : rows[-1] + 1] for a in arrays)), cuts))
        return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))

    return run


def count_available_threads() -> int:
    """Number of cores this process may use, fewer where the environment variable OMP_NUM_THREADS asks for that."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Batch systems and tests limit threads by this variable.
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wanted))) if wanted.isdigit() and int(wanted) > 0 else cores
