"""Save and load the results of one run: several datasets in one file, each with its kind and its provenance."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import Any

import xarray as xr

from ..errors import ReadError, SchemaError
from ..schema.checks import package_version
from .formats.file_errors import damaged_file
from .formats.remote import make_path
from .formats.safe_dask_arrays import SAVE_AGAIN
from .results import RESULTS, check_readable, read_group
from .writers.netcdf_zarr import check_target, write_groups

_GROUPS = "groups"  # attribute of the root: names of the datasets, in their order


def save_results(
    path: str | PathLike[str], *, storage_options: Mapping[str, Any] | None = None, **datasets: xr.Dataset | None
) -> Path:
    """Write the result datasets of one run into one file, each as a group of its own.

    Datasets need no common variables or dimensions, and equal names in two of them do not collide. Each group keeps
    the ``schema`` (its kind) and ``provenance`` of its dataset. As with :func:`save`, the file appears under its name
    only when it is complete.

    Parameters
    ----------
    path
        File ending in ``.nc`` or ``.h5`` (netCDF-4 with groups) or folder ending in ``.zarr`` (version 3). Its folder
        is made when missing; an existing file is replaced at the very end.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/map.zarr``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.
    **datasets
        Datasets by the name of their group, such as ``phases=...``. Lazy data are computed block by block. None is
        left out, so that an optional step needs no condition.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        There is no dataset, or one is not a Dataset. A name is not a plain word. The ending is another one, or a
        variable has a type that cannot be stored.

    See Also
    --------
    load_results : Read the file.
    save : Write a single dataset.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "result.nc"
    >>> phases = xr.Dataset({"phase": (("scan_y", "scan_x"), [[0, 1, -1]])}, attrs={"schema": "PHASES"})
    >>> fit = xr.Dataset({"phase": ("reference", ["Na3", "Na1"])})
    >>> results = load_results(save_results(path, phases=phases, fit=fit))
    >>> list(results.children), results["phases"].attrs["schema"]
    (['phases', 'fit'], 'PHASES')
    >>> xr.testing.assert_identical(results["phases"].to_dataset(), phases)
    """
    target = make_path(path, storage_options, "save_results")
    check_target(target, "save_results")
    chosen = {name: data for name, data in datasets.items() if data is not None}
    if not chosen:
        raise SchemaError("save_results: got no dataset. Give at least one by name, for example phases=phases.")
    for name, data in chosen.items():
        if not name.isidentifier():
            raise SchemaError(
                f"save_results: '{name}' cannot name a group. Use letters, digits and '_' only, with a letter first."
            )
        if not isinstance(data, xr.Dataset):
            raise SchemaError(
                f"save_results: '{name}' is a {type(data).__name__}, needs an xarray.Dataset. "
                "Use .to_dataset(name=...), or .to_dataset() of a DataTree node."
            )
    # The root tells the kind of the file, and the order of its groups, which netCDF does not keep for certain.
    root = xr.Dataset(
        attrs={"schema": RESULTS, _GROUPS: json.dumps(list(chosen)), "phasekit_version": package_version("phasekit")}
    )
    write_groups({"": root, **chosen}, target, "save_results")
    return target


def load_results(
    path: str | PathLike[str], *, lazy: bool | None = None, storage_options: Mapping[str, Any] | None = None
) -> xr.DataTree:
    """Read the results of one run that :func:`save_results` wrote.

    Parameters
    ----------
    path
        File ``.nc``/``.h5`` or folder ``.zarr``.
    lazy
        True: dask arrays that are read when computed; False: all in memory and the file closed; None: a dataset is
        lazy when it takes more than 256 MiB in memory.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/map.zarr``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

    Returns
    -------
    xarray.DataTree
        One child per dataset, in the order in which they were saved. ``results["phases"]`` is a node that can be used
        like a dataset; ``results["phases"].to_dataset()`` is the dataset that was saved, with the same dtypes,
        coordinates and attributes. ``results.close()`` closes the file of lazy data.

    Raises
    ------
    ReadError
        The file is missing, empty, truncated, or holds a single dataset.

    See Also
    --------
    save_results : Write such a file.
    load : Read a file with a single dataset.

    Examples
    --------
    >>> load_results("nowhere.nc")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: nowhere.nc: found no such file. To fix it: check the path.
    """
    source = make_path(path, storage_options, "load_results")
    check_readable(source)
    try:
        root = read_group(source, None, lazy=False)
        if root.attrs.get("schema") != RESULTS:
            raise ReadError(source, found="a single dataset, not the results of a run", cure="open it with pk.io.load")
        groups = _read_groups(source, json.loads(root.attrs.pop(_GROUPS)), lazy)
    except ReadError:
        raise
    except Exception as error:
        # h5py, h5netcdf, zarr and xarray raise nearly anything on a damaged file
        raise damaged_file(source, error, cure=SAVE_AGAIN) from error
    tree = xr.DataTree.from_dict({"/": root, **groups})
    for name, data in groups.items():
        tree.children[name].set_close(data.close)
    return tree


def _read_groups(path: Path, names: list[str], lazy: bool | None) -> dict[str, xr.Dataset]:
    groups = {}
    with ExitStack() as opened:
        for name in names:
            groups[name] = read_group(path, name, lazy)
            opened.callback(groups[name].close)
        opened.pop_all()  # all could be read: they stay open until the tree is closed
    return groups
