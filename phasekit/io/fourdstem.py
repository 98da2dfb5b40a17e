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
    """Open a 4D-STEM scan lazily as PATTERNS; only headers are read until a block is computed.

    The formats are HyperSpy ``.hspy``/``.zspy``, py4DSTEM and EMD, plain HDF5 and zarr, ``.npy``, TIFF and phasekit's
    own files. RosettaSciIO reads the formats of makers (``.blo .mib .dm3 .dm4 .tvips .app5 .emd .mrc`` ...).
    :func:`phasekit.io.formats.list_formats` lists formats and endings. The content of a file decides about its
    format; the ending decides only where the content cannot.

    Parameters
    ----------
    path
        File, or folder of a zarr store.
    chunks
        Blocks of the lazy array. "auto" takes whole patterns and at most 64 MiB, or about 16 blocks of a smaller
        file. An int or two sizes are scan positions per block; a dict names dimensions. Four sizes also cut the
        detector.
    scan_shape
        ``(scan_y, scan_x)`` of patterns that are stored in one line. Without it a line becomes one row, ``scan_y`` = 1,
        and ``attrs["comment"]`` says so. A file with a map must have as many positions.
    dataset
        Which array (HDF5, zarr: its path) or signal (by number or title) to read when the file has several.

    Returns
    -------
    xarray.Dataset
        ``intensity(scan_y, scan_x, qy, qx)`` in the file's own dtype. Its blocks can be sent to another process.

        ``scan_y`` and ``scan_x`` are in nm. Where the file has no step it is 1 nm, and a ``comment`` says so. ``qy``
        and ``qx`` are in 1/angstrom where the file is calibrated, else in px from 0. The origin is that of the file,
        else the middle of the detector with a ``comment``. Lengths and reciprocal lengths are converted, and angles
        where the voltage is known.

        ``attrs["voltage_kv"]`` is there when known. Files of phasekit keep all their variables (``truth_*``).

    Raises
    ------
    ReadError
        The file is missing, empty, cut, damaged or of another format. It has several arrays and none was chosen, or
        ``scan_shape`` does not fit. Damage inside a compressed block raises the error when that block is computed.
    SchemaError
        ``chunks`` or ``scan_shape`` is not understood.

    See Also
    --------
    save_blo : Write patterns as a NanoMEGAS block file.
    phasekit.acom.find_peaks : Find the diffraction disks of every pattern.
    phasekit.nmf.to_features : Make the matrix that is factorised.

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
    # Shapes and axes of a damaged file may contradict each other only here.
    with report_damage(source):
        patterns = build_patterns(found, source, chunks, scan_shape)
    settings = {"path": source.name, **options._asdict()}
    return describe(patterns, PATTERNS, step="open_4dstem", settings=settings)
