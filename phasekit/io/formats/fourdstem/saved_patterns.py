"""PATTERNS datasets that :func:`phasekit.io.save` wrote: netCDF-4 files and zarr folders with their kind."""

from pathlib import Path

import xarray as xr

from ....errors import ReadError, SchemaError
from ....schema import PATTERNS, require
from ..hdf5_file import contains_hdf5, read_root_attribute
from ..lazy_sources import is_zarr_store, open_zarr
from .scan import ScanOptions, select_blocks

NAME = "phasekit"
EXTENSIONS = (".nc", ".zarr")
KEEPS = "every variable and attribute, truth and provenance included"
OPTIONS = ("chunks", "scan_shape")
REMOTE = True
CONTENT = "netCDF-4"
FOLDER = "zarr store"


def recognise(head: bytes, path: Path) -> bool:
    """Recognise a file by the kind in its attributes; another kind of ours is refused with the function to call."""
    schema = _read_kind(path)
    # A file without a kind is read like one of another program.
    if schema is None:
        return False
    if str(schema) != PATTERNS.name:
        function = "pk.io.load_results" if str(schema) == "RESULTS" else "pk.io.load"
        raise ReadError(path, found=f"a phasekit dataset of kind {schema}", cure=f"open it with {function}")
    return True


def _read_kind(path: Path) -> object:
    # Attributes of the root only are read; arrays are opened by the reader.
    if is_zarr_store(path):
        try:
            return open_zarr(str(path)).attrs.get("schema")
        except Exception:  # a damaged store: the reader it goes to says what is wrong
            return None
    return read_root_attribute(path, "schema") if contains_hdf5(path) else None


def read(path: Path, options: ScanOptions) -> xr.Dataset:
    """Read a PATTERNS dataset in the blocks asked for; truth and maps beside the patterns are kept."""
    from ...results import load

    data = load(path, lazy=True)
    try:
        require(data, PATTERNS, step="open_4dstem")
    except SchemaError as error:
        raise ReadError(path, found=str(error), cure="save a PATTERNS dataset with pk.io.save") from error
    patterns = data["intensity"]
    scan = tuple(patterns.shape[:2])
    # The positions of a saved map are known, and folding it differently would contradict them.
    if options.scan_shape is not None and tuple(options.scan_shape) != scan:
        found = f"a saved map of {scan} patterns, but scan_shape={options.scan_shape}"
        raise ReadError(path, found=found, cure="leave scan_shape out, because the file states the shape")
    # Blocks are multiples of those in the file, so that none is decompressed twice.
    stored = None if patterns.chunks is None else tuple(sizes[0] for sizes in patterns.chunks)
    blocks = select_blocks(options.chunks, patterns.shape, patterns.dtype.itemsize, stored)
    return data.assign(intensity=patterns.chunk(dict(zip(map(str, patterns.dims), blocks, strict=True))))
