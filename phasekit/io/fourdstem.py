"""4D-STEM scans: any file of diffraction patterns -> PATTERNS, lazily."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import xarray as xr

from ..errors import ReadError, SchemaError
from ..schema import PATTERNS, describe, require
from .formats.fourdstem.hdf5 import read_tree
from .formats.fourdstem.rosettasciio import read_npy, read_plugin, read_tiff
from .formats.fourdstem.scan import Chunks, RawScan, assemble, select_blocks
from .formats.frames import damaged, located, open_zarr
from .formats.hdf5_heaps import check_heaps

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def open_4dstem(
    path: str | PathLike[str],
    *,
    chunks: Chunks = "auto",
    scan_shape: Sequence[int] | None = None,
    dataset: str | None = None,
) -> xr.Dataset:
    """Open a scan of diffraction patterns; nothing but headers is read until a block is computed.

    The content decides, then the ending: HyperSpy ``.hspy``/``.zspy``, py4DSTEM and EMD HDF5, plain HDF5 and zarr,
    ``.npy``, TIFF, our own ``.nc``/``.zarr``, and what rosettasciio reads (``.blo .mib .dm3 .dm4 .tvips .app5 .emd
    .mrc`` ...).

    Parameters
    ----------
    path
        File, or folder of a zarr store.
    chunks
        Blocks of the lazy array. "auto": whole patterns, at most 64 MiB (about 16 blocks where the file is smaller);
        an int or two sizes: scan positions per block; a dict by dimension; four sizes also cut the detector.
    scan_shape
        ``(scan_y, scan_x)`` of patterns that lie in one line; without it a line becomes one row, ``scan_y`` = 1, and
        ``attrs["comment"]`` says so. For a file with a map it must have as many positions.
    dataset
        Which array (HDF5, zarr: its path) or signal (by number or title) when the file has several.

    Returns
    -------
    xarray.Dataset
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` in the file's own dtype; ``scan_y, scan_x`` in nm (step 1 with
        a ``comment`` where the file has none); ``qy, qx`` in 1/angstrom where the file is calibrated, with its origin
        (the middle of the detector, and a ``comment``, where it has none), else in px from 0. Lengths, reciprocal
        lengths and, when the voltage is known, angles are converted. Our own files keep all their variables
        (``truth_*``). ``attrs["voltage_kv"]`` when known. The blocks can be pickled and sent to another process.

    Raises
    ------
    ReadError
        The file is missing, empty, cut, damaged or of another kind; several arrays to choose from; a scan_shape that
        does not fit. Damage inside a compressed block shows when that block is computed, as a ReadError too.
    SchemaError
        ``chunks`` is not understood.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "scan.npy"
    >>> np.save(path, np.zeros((6, 8, 8), dtype=np.uint16))
    >>> patterns = open_4dstem(path, scan_shape=(2, 3))
    >>> dict(patterns.sizes), patterns.intensity.dtype, patterns.qx.attrs["units"]
    ({'scan_y': 2, 'scan_x': 3, 'qy': 8, 'qx': 8}, dtype('uint16'), 'px')
    """
    source = located(path)
    settings = {"path": source.name, "chunks": chunks, "scan_shape": scan_shape, "dataset": dataset}
    try:
        found = _read(source, dataset)
        if isinstance(found, xr.Dataset):
            return _rechunked(found, source, chunks)
        made = assemble(found, source, chunks, scan_shape)
    except (ReadError, SchemaError):
        raise
    except Exception as error:
        # file libraries raise nearly anything on a damaged file
        raise damaged(source, error) from error
    return describe(made, PATTERNS, step="open_4dstem", settings=settings)


def _read(path: Path, dataset: str | None) -> RawScan | xr.Dataset:
    """Choose the reader by the first bytes, or by the ending where these say nothing."""
    if not path.exists():
        raise ReadError(path, found="nothing of that name", cure="check the path")
    if path.is_dir() or path.suffix.lower() in (".zspy", ".zarr"):
        return _read_zarr(path, dataset)
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise ReadError(path, found="an empty file (0 bytes)", cure="copy the file again")
    if head.startswith(_HDF5):
        return _read_hdf5(path, dataset)
    if head.startswith(b"\x93NUMPY"):
        return read_npy(path)
    if head.startswith(_TIFF):
        return read_tiff(path)
    if head.startswith(b"CDF") or path.suffix.lower() in (".nc", ".npy", ".tif", ".tiff", ".hspy", ".h5", ".hdf5"):
        found = f"a file that begins with {head!r}, not what '{path.suffix}' promises (HDF5, NumPy or TIFF)"
        raise ReadError(path, found=found, cure="copy the file again, or give it the ending of its format")
    return read_plugin(path, dataset)


def _read_hdf5(path: Path, dataset: str | None) -> RawScan | xr.Dataset:
    import h5py

    check_heaps(path)
    with h5py.File(path, "r") as file:
        if _is_ours(file.attrs.get("schema"), path):
            return _load(path)
        if path.suffix.lower() == ".app5" or (path.suffix.lower() == ".emd" and "Data/Image" in file):
            return read_plugin(path, dataset)
        return read_tree(path, file, zarr=False, dataset=dataset)


def _read_zarr(path: Path, dataset: str | None) -> RawScan | xr.Dataset:
    if path.is_dir() and not any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray")):
        raise ReadError(path, found="a folder that is no zarr store", cure="give a file, or a .zarr or .zspy folder")
    root = open_zarr(str(path))
    if _is_ours(root.attrs.get("schema"), path):
        return _load(path)
    return read_tree(path, root, zarr=True, dataset=dataset)


def _is_ours(schema: object, path: Path) -> bool:
    """Whether a file is one of our PATTERNS; another kind of ours is refused with the right door."""
    if schema is None:
        return False
    if str(schema) != PATTERNS.name:
        raise ReadError(path, found=f"a phasekit dataset of kind {schema}", cure="open it with pk.io.load")
    return True


def _load(path: Path) -> xr.Dataset:
    from .results import load

    return load(path, lazy=True)


def _rechunked(data: xr.Dataset, path: Path, chunks: Chunks) -> xr.Dataset:
    """Our own dataset with the blocks asked for; truth and maps beside the patterns are kept."""
    try:
        require(data, PATTERNS, step="open_4dstem")
    except SchemaError as error:
        raise ReadError(path, found=str(error), cure="save a PATTERNS dataset with pk.io.save") from error
    patterns = data["intensity"]
    stored = None if patterns.chunks is None else tuple(sizes[0] for sizes in patterns.chunks)
    blocks = select_blocks(chunks, patterns.shape, patterns.dtype.itemsize, stored)
    return data.assign(intensity=patterns.chunk(dict(zip(map(str, patterns.dims), blocks, strict=True))))
