"""Save and load results: ``.nc`` (netCDF-4) and ``.zarr``, never half-written, identical after the round trip."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import dask
import numpy as np
import xarray as xr
from dask.system import CPU_COUNT

from ..errors import ReadError, SchemaError
from .formats.hdf5_heaps import check_heaps
from .formats.stored_variables import damaged, guarded
from .writers.atomic import renamed_when_complete

_NETCDF = (".nc", ".h5")
_SUFFIXES = (*_NETCDF, ".zarr")
_JSON = "json:"  # marks an attribute that netCDF has no type for
_WIDTH = "fixed_width_dtype"  # remembers <U8 where formats only know text of any length
_EAGER_BYTES = 256 * 2**20
_COMPRESSED_FROM = 4096  # [bytes] below, compression costs more than it saves


def save(data: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write a dataset so that :func:`load` gives back the same, or leave the old file as it was.

    The data go to a temporary name in the same folder and are renamed when complete, so an interrupted run leaves no
    half file and an existing one is replaced only at the very end. Lazy data are computed and written block by block.

    Parameters
    ----------
    data
        Any dataset; dimensions, dtypes, coordinates and attributes are kept (netCDF and zarr know no dict, bool or
        None as attribute: these are stored as JSON text and come back as they were).
    path
        File ending in ``.nc`` or ``.h5`` (netCDF-4, compressed without loss) or folder ending in ``.zarr`` (version
        3). Its folder is made when missing.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``data`` is not a Dataset, the suffix is another one, or a variable has a type that cannot be stored.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.nc"
    >>> made = xr.Dataset({"phase": (("scan_y", "scan_x"), [[0, 1, -1]])}, attrs={"note": None})
    >>> xr.testing.assert_identical(load(save(made, path)), made)
    """
    target = Path(fspath(path))
    if not isinstance(data, xr.Dataset):
        raise SchemaError(f"save: got a {type(data).__name__}, needs an xarray.Dataset. Use .to_dataset(name=...).")
    if target.suffix.lower() not in _SUFFIXES:
        raise SchemaError(
            f"save: '{target.name}' ends in '{target.suffix}', needs one of {', '.join(_SUFFIXES)}. Rename it."
        )
    zarr = target.suffix.lower() == ".zarr"
    plain = _encode(data, arrays_as_text=zarr)  # JSON, zarr's metadata, would lose their dtype
    target.parent.mkdir(parents=True, exist_ok=True)
    with renamed_when_complete(target) as temporary:
        try:
            _write(plain, temporary, zarr=zarr)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise SchemaError(
                f"save: a variable or attribute cannot be stored in '{target.name}' ({error}). "
                "Convert it to numbers, booleans or text first."
            ) from error
    return target


def load(path: str | PathLike[str], *, lazy: bool | None = None) -> xr.Dataset:
    """Read a dataset that :func:`save` wrote (or any netCDF-4 file or zarr store).

    Parameters
    ----------
    path
        File ``.nc``/``.h5`` or folder ``.zarr``.
    lazy
        True: dask arrays that are read when computed; False: all in memory and the file closed; None: lazy when it
        takes more than 256 MiB in memory.

    Returns
    -------
    xarray.Dataset
        What was saved: same dtypes, coordinates and attributes.

    Raises
    ------
    ReadError
        The file is missing, empty, truncated or something else.

    Examples
    --------
    >>> load("nowhere.nc")
    Traceback (most recent call last):
    ...
    phasekit.errors.ReadError: nowhere.nc: found nothing of that name. To mend it: check the path.
    """
    source = Path(fspath(path))
    zarr = source.suffix.lower() == ".zarr"
    _check_readable(source, zarr)
    if not zarr:
        check_heaps(source)
    try:
        if not zarr:
            _walk(source)
        opened = xr.open_dataset(source, **_open_options(zarr))
        eager = opened.nbytes <= _EAGER_BYTES if lazy is None else not lazy
        if eager:
            with opened:
                return _decode(opened.load()).drop_encoding()
        data = _decode(guarded(opened, source)).drop_encoding()
        data.set_close(opened.close)
        return data
    except Exception as error:
        # h5py, h5netcdf, zarr and xarray raise nearly anything on a damaged file
        raise damaged(source, error) from error


def _open_options(zarr: bool) -> dict[str, Any]:
    if zarr:
        return {"engine": "zarr", "consolidated": False, "chunks": None, "cache": False, "decode_timedelta": False}
    return {"engine": "h5netcdf", "chunks": None, "cache": False, "decode_timedelta": False}


def _walk(path: Path) -> None:
    """Reach every object of an HDF5 file once: h5netcdf, meeting a damaged one, leaves its handle half closed."""
    import h5py

    with h5py.File(path, "r") as file:
        file.visititems(lambda _name, _object: None)


def _check_readable(path: Path, zarr: bool) -> None:
    if not path.exists():
        raise ReadError(path, found="nothing of that name", cure="check the path")
    if path.is_dir() != zarr:
        found = "a folder" if path.is_dir() else "a file"
        raise ReadError(path, found=found, cure="give a .nc or .h5 file, or a .zarr folder")
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError(path, found="an empty file (0 bytes)", cure="write it again with pk.io.save")


# ---- writing


def _write(data: xr.Dataset, path: Path, *, zarr: bool) -> None:
    # a pool of our own, because leaving it waits for the blocks still under way: after an error they would go on
    # writing and bring the removed file back
    workers = dask.config.get("num_workers", None) or CPU_COUNT
    with ThreadPoolExecutor(workers) as pool, dask.config.set(pool=pool):
        _write_blocks(data, path, zarr=zarr)


def _write_blocks(data: xr.Dataset, path: Path, *, zarr: bool) -> None:
    if zarr:
        even = _evenly_blocked(data)
        even.to_zarr(path, mode="w", zarr_format=3, consolidated=False, encoding=_zarr_encoding(even))
    else:
        data.to_netcdf(path, engine="h5netcdf", encoding=_netcdf_encoding(data))


def _netcdf_encoding(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Lossless compression of the larger variables, stored in the blocks of lazy ones; no fill value is invented."""
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in data.variables.items():
        options: dict[str, Any] = {} if variable.dtype.kind in "OSUT" else {"_FillValue": None}
        if variable.ndim and variable.nbytes >= _COMPRESSED_FROM and variable.dtype.kind in "iufb":
            options |= {"zlib": True, "complevel": 4, "shuffle": True}
            if variable.chunks is not None:
                options["chunksizes"] = tuple(sizes[0] for sizes in variable.chunks)
        encoding[str(name)] = options
    return encoding


def _evenly_blocked(data: xr.Dataset) -> xr.Dataset:
    """Lazy variables in blocks of one size, the only ones zarr can store: two blocks may not share a stored one."""
    out = data.copy(deep=False)
    for name, variable in data.variables.items():
        if variable.chunks is not None:
            sizes = {dim: max(blocks) for dim, blocks in zip(variable.dims, variable.chunks, strict=True)}
            out[name] = data[name].chunk(sizes)
    return out


def _zarr_encoding(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Stores in the blocks of lazy variables."""
    return {
        str(name): {"chunks": tuple(sizes[0] for sizes in variable.chunks)}
        for name, variable in data.variables.items()
        if variable.chunks is not None
    }


# ---- attributes


def _encode(data: xr.Dataset, *, arrays_as_text: bool) -> xr.Dataset:
    """Copy without stale encodings whose attributes every format can hold."""
    out = data.copy(deep=False).drop_encoding()
    out.attrs = {key: _encode_attribute(value, arrays_as_text) for key, value in data.attrs.items()}
    for name, variable in data.variables.items():
        attrs = {key: _encode_attribute(value, arrays_as_text) for key, value in variable.attrs.items()}
        if variable.dtype.kind == "U":
            out[name] = out[name].astype(object)
            attrs[_WIDTH] = variable.dtype.str
        out[name].attrs = attrs
    return out


def _encode_attribute(value: Any, arrays_as_text: bool) -> Any:
    if isinstance(value, np.ndarray):
        plain = not arrays_as_text and value.dtype.kind in "iuf" and value.ndim == 1 and value.size > 1
        return value if plain else _marked({"dtype": value.dtype.str, "array": value.tolist()})
    if isinstance(value, np.bool_):
        return _marked(bool(value))
    if isinstance(value, bool | None | Mapping | list | tuple):
        return _marked(value)
    if isinstance(value, str) and (value.startswith(_JSON) or "\0" in value or not value):
        return _marked(value)
    return value


def _marked(value: Any) -> str:
    return _JSON + json.dumps(value)


def _decode(data: xr.Dataset) -> xr.Dataset:
    data.attrs = {key: _decode_attribute(value) for key, value in data.attrs.items()}
    if "schema" in data.attrs and not isinstance(json.loads(data.attrs.get("provenance", "[]")), list):
        raise ValueError("the provenance is not a list of steps")
    for name in data.variables:
        attrs = {key: _decode_attribute(value) for key, value in data[name].attrs.items()}
        width = attrs.pop(_WIDTH, None)
        if width is not None:
            data[name] = data[name].astype(width)
        data[name].attrs = attrs
    return data


def _decode_attribute(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_JSON):
        plain = json.loads(value[len(_JSON) :])
        if isinstance(plain, dict) and set(plain) == {"dtype", "array"}:
            return np.array(plain["array"], dtype=plain["dtype"])
        return plain
    if isinstance(value, np.generic):
        return value.item()
    return value
