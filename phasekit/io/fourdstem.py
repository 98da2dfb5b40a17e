"""Open a 4D-STEM scan, a map of diffraction patterns, lazily and from any file."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import xarray as xr

from ..schema import PATTERNS, describe
from .formats.file_errors import resolve_path
from .formats.fourdstem.scan import Chunks, RawScan, ScanOptions, build_patterns
from .formats.registry import read_file, report_damage
from .plausibility.rule import check_accept
from .plausibility.scans import SCAN_RULES


def open_4dstem(  # noqa: PLR0913  settings, keyword-only
    path: str | PathLike[str],
    *,
    chunks: Chunks = "auto",
    scan_shape: Sequence[int] | None = None,
    dataset: str | None = None,
    dims: Sequence[str] | None = None,
    voltage_kv: float | None = None,
    step_nm: float | Sequence[float] | None = None,
    q_step: float | Sequence[float] | None = None,
    direct_beam_px: Sequence[float] | None = None,
    accept: str | Iterable[str] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Open a 4D-STEM scan lazily as PATTERNS; only headers are read until a block is computed.

    The formats are HyperSpy ``.hspy``/``.zspy``, py4DSTEM and EMD, plain HDF5 and zarr, ``.npy``, TIFF and phasekit's
    own files. RosettaSciIO reads the formats of makers (``.blo .mib .dm3 .dm4 .tvips .app5 .emd .mrc`` ...).
    :func:`phasekit.io.formats.list_formats` lists formats and endings. The content of a file decides about its
    format; the ending decides only where the content cannot.

    Parameters
    ----------
    path
        File, or folder of a zarr store; or the address of an HDF5 or TIFF file or zarr store (``s3://...``).
    chunks
        Blocks of the lazy array. "auto" takes whole patterns and at most 64 MiB, or about 16 blocks of a smaller
        file. An int or two sizes are scan positions per block; a dict names dimensions. Four sizes also cut the
        detector.
    scan_shape
        ``(scan_y, scan_x)`` of patterns that are stored in one line. Without it a line becomes one row, ``scan_y`` = 1,
        and ``attrs["comment"]`` says so. A file with a map must have as many positions. A recording that was stopped
        may be given the shape of its complete rows; the comment says what is left out.
    dataset
        Which array (HDF5, zarr: its path) or signal (by number or title) to read when the file has several.
    dims
        Names of the file's axes in its order, e.g. ``("qy", "qx", "scan_y", "scan_x")``. Without it, units decide,
        then the flags and names of HyperSpy, and the last two axes where the file marks none.
    voltage_kv
        Accelerating voltage [kV], for files that give angles and no voltage. It wins over that of the file.
    step_nm
        Scan step [nm], one number or ``(y, x)``. It wins over that of the file.
    q_step
        Detector pixel [1/angstrom], one number or ``(y, x)``. It wins over that of the file.
    direct_beam_px
        Pixel ``(row, column)`` of the direct beam, counted from 0. It becomes ``qy`` = ``qx`` = 0.
    accept
        Rules of plausibility that are not applied: ``step_nm``, ``q_step``, ``direct_beam``, ``voltage``,
        ``camera_length``, ``counts``. The message of a refusal names the rule.
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/scan.zarr``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

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
        ``scan_shape`` or ``dims`` does not fit. It marks its axes so that neither units nor flags tell the detector.
        It states a value that is not plausible. Damage inside a compressed block raises the error when that block is
        computed.
    SchemaError
        An argument is not understood.

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
    source = resolve_path(path, storage_options, "open_4dstem")
    accepted = check_accept("open_4dstem", accept, SCAN_RULES)
    options = ScanOptions(chunks, scan_shape, dataset, dims, voltage_kv, step_nm, q_step, direct_beam_px)
    found: RawScan | xr.Dataset = read_file(source, "fourdstem", options)
    if isinstance(found, xr.Dataset):
        return found  # what phasekit saved keeps its kind, its attributes and its history
    # Shapes and axes of a damaged file may contradict each other only here.
    with report_damage(source):
        patterns = build_patterns(found, source, options, accepted)
    settings = {"path": source.name, **options._asdict(), "accept": accepted}
    return describe(patterns, PATTERNS, step="open_4dstem", settings=settings)
