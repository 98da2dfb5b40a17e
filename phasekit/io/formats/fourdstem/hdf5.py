"""Scans in HDF5 files: HyperSpy's ``.hspy``, py4DSTEM and EMD, and plain datasets."""

from pathlib import Path

from ..hdf5_file import contains_hdf5, open_hdf5
from .array_tree import read_tree
from .scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "HDF5"
EXTENSIONS = (".hspy", ".h5", ".hdf5", ".emd")
KEEPS = "axes, voltage and calibration of HyperSpy, py4DSTEM and EMD, axes of NeXus and netCDF, else the counts alone"
OPTIONS = (*SCAN_OPTIONS, "dataset")
REMOTE = True
CONTENT = "HDF5"
DIALECTS = ("HyperSpy", "py4DSTEM", "EMD", "NeXus", "netCDF-4", "plain datasets")


def recognise(head: bytes, path: Path) -> bool:
    """Recognise HDF5 by its first bytes, but leave Velox' layout, which rosettasciio knows, to that reader."""
    return contains_hdf5(path) and not _is_velox(path)


def _is_velox(path: Path) -> bool:
    """Whether the file is an ``.emd`` with a group ``Data/Image``."""
    # Berkeley's EMD and Velox share the ending; only Velox has the group.
    if path.suffix.lower() != ".emd":
        return False
    try:
        with open_hdf5(path) as file:
            return "Data/Image" in file
    except Exception:  # a damaged file: reading it says what is wrong
        return False


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the axes of the dataset with the patterns; the file is closed again."""
    with open_hdf5(path) as file:
        return read_tree(path, file, zarr=False, dataset=options.dataset)
