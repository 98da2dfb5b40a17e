"""Datasets in netCDF-4 files and zarr stores, block by block, compressed without loss."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import xarray as xr
from dask.base import get_scheduler
from dask.system import CPU_COUNT

from ...errors import SchemaError
from ..formats.remote import RemotePath, check_store_name, is_remote
from ..formats.stored_attributes import encode_attributes
from .atomic import rename_when_complete

NAME = "netCDF-4 and zarr"
EXTENSIONS = (".nc", ".h5", ".zarr")
KEEPS = "everything"
FUNCTIONS = ("save", "save_results")

_LONGEST_WAIT_S = 60.0  # for blocks that a cluster still writes after an error
_COMPRESSED_FROM = 4096  # [bytes] below, compression costs more than it saves


def check_target(path: Path, step: str) -> None:
    """Refuse a name with another ending."""
    if path.suffix.lower() not in EXTENSIONS:
        raise SchemaError(
            f"{step}: '{path.name}' ends in '{path.suffix}', needs one of {', '.join(EXTENSIONS)}. Rename it."
        )
    if path.suffix.lower() == ".zarr":
        check_store_name(path)
    if is_remote(path) and path.suffix.lower() != ".zarr":
        raise SchemaError(
            f"{step}: '{path.name}' at an address would be a netCDF file, which is written on this machine alone. End "
            "it in .zarr, or save it here and copy it."
        )


def write_groups(groups: Mapping[str, xr.Dataset], path: Path, step: str) -> None:
    """Write datasets as groups of one file; the name "" is the root. An existing file is replaced at the very end.

    Parameters
    ----------
    groups
        Group names and their datasets.
    path
        Target, with an ending that :func:`check_target` accepts.
    step
        Name of the public function, for the message.

    Raises
    ------
    SchemaError
        A variable or attribute cannot be stored.
    """
    zarr = path.suffix.lower() == ".zarr"
    plain = {name: encode_attributes(data, arrays_as_text=zarr) for name, data in groups.items()}
    if not is_remote(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with rename_when_complete(path) as temporary:
        try:
            _write_all_groups(plain, temporary, zarr=zarr)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise SchemaError(
                f"{step}: a variable or attribute cannot be stored in '{path.name}' ({error}). "
                "Convert it to numbers, booleans or text first."
            ) from error


def _write_all_groups(groups: Mapping[str, xr.Dataset], path: Path, *, zarr: bool) -> None:
    """Write group after group, their blocks by the workers of a cluster where there is one."""
    client = _find_cluster()
    # A pool of our own, because leaving it waits for the blocks still under way: after an error they would go on
    # writing and bring the removed file back. It is passed and not set: settings of dask are those of all threads.
    workers = dask.config.get("num_workers", None) or CPU_COUNT
    with ThreadPoolExecutor(workers) as pool:
        # The first group makes the file, the others are added to it.
        for number, (name, data) in enumerate(groups.items()):
            blocks = _prepare_group(data, path, name or None, mode="a" if number else "w", zarr=zarr)
            # A netCDF file has one writer: its blocks come here one after another.
            if client is None or not zarr:
                blocks.compute(pool=pool)
            else:
                _compute_on_cluster(client, blocks)


def _find_cluster() -> Any:
    """The client of ``dask.distributed`` that computes by default; None without one."""
    client = getattr(get_scheduler(), "__self__", None)  # type: ignore[no-untyped-call]
    return client if hasattr(client, "scheduler_info") else None


def _compute_on_cluster(client: Any, blocks: Any) -> None:
    """Compute on the workers; after an error or an interruption, wait for the blocks that are still being written."""
    future = client.compute(blocks)
    try:
        future.result()
    except BaseException:
        client.cancel([future], force=True)
        end = time.monotonic() + _LONGEST_WAIT_S
        while time.monotonic() < end and any(client.run(_count_running).values()):
            time.sleep(0.05)
        raise


def _count_running(dask_worker: Any) -> int:
    return len(dask_worker.state.executing) + len(dask_worker.state.long_running)


def _prepare_group(data: xr.Dataset, path: Path, group: str | None, *, mode: Any, zarr: bool) -> Any:
    """Write what is in memory; return the writing of the lazy blocks as a delayed object."""
    if zarr:
        even = _make_even_blocks(data)
        encoding = _choose_zarr_encoding(even)
        return even.to_zarr(
            path,
            group=group,
            mode=mode,
            zarr_format=3,
            consolidated=False,
            encoding=encoding,
            compute=False,
            storage_options=path.options if isinstance(path, RemotePath) else None,
        )
    encoding = _choose_netcdf_encoding(data)
    return data.to_netcdf(path, group=group, mode=mode, engine="h5netcdf", encoding=encoding, compute=False)


def _choose_netcdf_encoding(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Lossless compression of the larger variables, stored in the blocks of lazy ones; no fill value is invented."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in data.variables.items():
        # xarray would otherwise invent NaN as the fill value of floats.
        options: dict[str, Any] = {} if variable.dtype.kind in "OSUT" else {"_FillValue": None}
        if variable.ndim and variable.nbytes >= _COMPRESSED_FROM and variable.dtype.kind in "iufb":
            options |= {"zlib": True, "complevel": 4, "shuffle": True}
            if variable.chunks is not None:
                options["chunksizes"] = tuple(sizes[0] for sizes in variable.chunks)
        encoding[str(name)] = options
    return encoding


def _make_even_blocks(data: xr.Dataset) -> xr.Dataset:
    """Lazy variables in blocks of one size, because zarr stores no others and two tasks may not share one."""
    out = data.copy(deep=False)
    for name, variable in data.variables.items():
        if variable.chunks is not None:
            # Blocks of .isel or of a reader need not be equal.
            sizes = {dim: max(blocks) for dim, blocks in zip(variable.dims, variable.chunks, strict=True)}
            out[name] = data[name].chunk(sizes)
    return out


def _choose_zarr_encoding(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Stored blocks equal to those of lazy variables."""
    return {
        str(name): {"chunks": tuple(sizes[0] for sizes in variable.chunks)}
        for name, variable in data.variables.items()
        if variable.chunks is not None
    }
