"""Save and load one result: netCDF-4 and zarr, never half written, identical after the round trip."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from ..errors import ReadError, SchemaError
from .formats.file_errors import damaged_file
from .formats.hdf5_file import check_text_heaps, visit_every_object
from .formats.remote import RemotePath, check_store_name, make_path, open_binary
from .formats.safe_dask_arrays import SAVE_AGAIN, make_safe_arrays
from .formats.stored_attributes import decode_attributes
from .writers.netcdf_zarr import check_target, write_groups

#: Kind of a file that holds the results of one run as groups; see ``run_results``.
RESULTS = "RESULTS"
# Results are smaller; stacks and scans of this size are better read in blocks.
_EAGER_BYTES = 256 * 2**20


def save(data: xr.Dataset, path: str | PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> Path:
    """Write a dataset so that :func:`load` returns the same, or leave the old file as it was.

    The data go to a temporary name in the same folder, which is renamed when it is complete. An interrupted run
    leaves no half file. An existing file is replaced only at the very end. Lazy data are computed and written block
    by block. With a dask cluster its workers write a ``.zarr`` store, each its own blocks.

    A store of objects (``s3://...``) cannot rename: the data are copied there from the temporary name, the entry that
    makes the store readable at the very end. An existing store is removed just before the copy.

    Parameters
    ----------
    data
        Any dataset; dimensions, dtypes, coordinates and attributes are kept. netCDF and zarr know no dict, bool or
        None as attribute, so these are stored as JSON text and come back as they were.
    path
        File ending in ``.nc`` or ``.h5`` (netCDF-4, compressed without loss), or folder ending in ``.zarr`` (version
        3). Its folder is made when missing. Or an address ending in ``.zarr``, such as ``s3://bucket/map.zarr``.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/map.zarr``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``data`` is not a Dataset, the ending is another one, or a variable has a type that cannot be stored.

    See Also
    --------
    load : Read the file again.
    save_results : Write several datasets of one run into one file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.nc"
    >>> made = xr.Dataset({"phase": (("scan_y", "scan_x"), [[0, 1, -1]])}, attrs={"note": None})
    >>> xr.testing.assert_identical(load(save(made, path)), made)
    """
    target = make_path(path, storage_options, "save")
    if not isinstance(data, xr.Dataset):
        raise SchemaError(f"save: got a {type(data).__name__}, needs an xarray.Dataset. Use .to_dataset(name=...).")
    check_target(target, "save")
    write_groups({"": data}, target, "save")
    return target


def load(
    path: str | PathLike[str], *, lazy: bool | None = None, storage_options: Mapping[str, Any] | None = None
) -> xr.Dataset:
    """Read a dataset that :func:`save` wrote, or any other netCDF-4 file or zarr store.

    Parameters
    ----------
    path
        File ``.nc``/``.h5`` or folder ``.zarr``, here or at an address (``s3://...``).
    lazy
        True: dask arrays that are read when computed. False: all in memory, and the file is closed. None: lazy when the
        dataset takes more than 256 MiB in memory.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/map.zarr``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

    Returns
    -------
    xarray.Dataset
        What was saved, with the same dtypes, coordinates and attributes.

    Raises
    ------
    ReadError
        The file is missing, empty, truncated or of another format, or holds several datasets (:func:`load_results`).

    See Also
    --------
    save : Write a dataset.
    load_results : Read a file that holds the results of a run.

    Examples
    --------
    >>> load("nowhere.nc")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: nowhere.nc: found no such file. To fix it: check the path.
    """
    source = make_path(path, storage_options, "load")
    check_readable(source)
    try:
        data = read_group(source, None, lazy)
    except ReadError:
        raise
    except Exception as error:
        # h5py, h5netcdf, zarr and xarray raise nearly anything on a damaged file
        raise damaged_file(source, error, cure=SAVE_AGAIN) from error
    if data.attrs.get("schema") == RESULTS:
        data.close()
        raise ReadError(
            source, found="the results of a run, several datasets in one file", cure="open it with pk.io.load_results"
        )
    return data


def check_readable(path: Path) -> None:
    """Refuse a path that is missing, empty, of the wrong sort, or an HDF5 file with damaged text heaps."""
    if not path.exists():
        raise ReadError(path, found="no such file", cure="check the path")
    zarr = path.suffix.lower() == ".zarr"
    if path.is_dir() != zarr:
        found = "a folder" if path.is_dir() else "a file"
        raise ReadError(path, found=found, cure="give a .nc or .h5 file, or a .zarr folder")
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError(path, found="an empty file (0 bytes)", cure="write it again with pk.io.save")
    if not zarr:
        check_text_heaps(path)


def read_group(path: Path, group: str | None, lazy: bool | None) -> xr.Dataset:
    """Read one group of a file that :func:`check_readable` accepted; None is the root.

    Parameters
    ----------
    path
        File or zarr folder.
    group
        Name of the group.
    lazy
        As for :func:`load`.
    """
    zarr = path.suffix.lower() == ".zarr"
    if not zarr:
        visit_every_object(path)
    else:
        check_store_name(path)
    options = _choose_engine(zarr)
    if zarr and isinstance(path, RemotePath):
        options["storage_options"] = path.options
    opened = xr.open_dataset(path if zarr else open_binary(path), group=group, **options)
    # Small data are read at once, so that the file can be moved or written again.
    eager = opened.nbytes <= _EAGER_BYTES if lazy is None else not lazy
    if eager:
        with opened:
            return decode_attributes(opened.load()).drop_encoding()
    data = decode_attributes(make_safe_arrays(opened, path)).drop_encoding()
    # Closing the dataset closes the file.
    data.set_close(opened.close)
    return data


def _choose_engine(zarr: bool) -> dict[str, Any]:
    if zarr:
        return {"engine": "zarr", "consolidated": False, "chunks": None, "cache": False, "decode_timedelta": False}
    return {"engine": "h5netcdf", "chunks": None, "cache": False, "decode_timedelta": False}
