"""Open a 4D-STEM scan, a map of diffraction patterns, lazily and from any file."""

from collections.abc import Sequence
from os import PathLike

import xarray as xr

from ..schema import PATTERNS, describe
from .formats.file_errors import resolve_path
from .formats.fourdstem.scan import Chunks, RawScan, ScanOptions, build_patterns
from .formats.registry import read_file, report_damage


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
    source = resolve_path(path)
    options = ScanOptions(chunks, scan_shape, dataset)
    found: RawScan | xr.Dataset = read_file(source, "fourdstem", options)
    if isinstance(found, xr.Dataset):
        return found  # what phasekit saved keeps its kind, its attributes and its history
    with report_damage(source):
        patterns = build_patterns(found, source, chunks, scan_shape)
    settings = {"path": source.name, **options._asdict()}
    return describe(patterns, PATTERNS, step="open_4dstem", settings=settings)
