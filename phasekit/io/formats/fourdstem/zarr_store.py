"""Scans in zarr stores, version 2 or 3, as a folder or a zip file: HyperSpy's ``.zspy`` and plain arrays."""

from pathlib import Path

from ..lazy_sources import is_zarr_store, open_zarr
from .array_tree import read_tree
from .scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "zarr"
EXTENSIONS = (".zspy", ".zarr")
KEEPS = "axes and voltage of HyperSpy, axes of xarray, else the counts alone"
OPTIONS = (*SCAN_OPTIONS, "dataset")
REMOTE = True
FOLDER = "zarr store"
DIALECTS = ("HyperSpy", "xarray", "plain arrays")


def recognise(head: bytes, path: Path) -> bool:
    """Recognise a folder or a ``.zip`` by zarr's metadata in it, and other zip files by their ending."""
    return is_zarr_store(path)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the axes of the array with the patterns."""
    return read_tree(path, open_zarr(str(path)), zarr=True, dataset=options.dataset)
