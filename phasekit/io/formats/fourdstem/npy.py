"""Scans in NumPy's ``.npy`` files, which are mapped and never loaded whole."""

import math
from pathlib import Path

import numpy as np

from ....errors import ReadError
from ..lazy_sources import MemorySource
from .scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "NumPy"
EXTENSIONS = (".npy",)
KEEPS = "the counts alone"
OPTIONS = SCAN_OPTIONS
CONTENT = "NumPy"


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its first bytes."""
    return head.startswith(b"\x93NUMPY")


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the header, and compare the size it promises with that of the file."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        offset = file.tell()
    # Objects would need pickle, which can run code; records have no single intensity.
    if dtype.hasobject or dtype.names:
        raise ReadError(path, found=f"values of type {dtype}", cure="save plain numbers")
    # A cut file is refused here with its size, not later when its last block is computed.
    expected = offset + math.prod(shape) * dtype.itemsize
    if expected != path.stat().st_size:
        found = f"{path.stat().st_size} bytes where shape {shape} of {dtype} needs {expected}"
        raise ReadError(path, found=found, cure="copy the file again (is it cut?)")
    return RawScan(MemorySource(str(path), tuple(shape), dtype, offset, bool(fortran)))
