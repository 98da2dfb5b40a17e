"""Measured scans as PATTERNS: diffraction patterns of any format, spectrum images of X-ray detectors, ptychography.

A spectrum image becomes patterns of one row: ``qy`` has length 1 and ``qx`` is the energy channel. Its counts are
photons, which the factorisation treats as it treats electrons.
"""

import bz2
import hashlib
import io
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import phasekit as pk

#: Reader of RosettaSciIO for the spectrum images of each ending.
SPECTRUM_READERS = {".bcf": "bruker", ".pts": "jeol", ".spd": "edax"}
POSITIONS_SUFFIX = ".npz.bz2"  # tike: an array (1, point, y, x) and the positions of the points


def open_measured(path: Path, *, scan_bin: int, channel_bin: int, first_channel: int = 0) -> xr.Dataset:
    """PATTERNS of a file; ``scan_bin`` x ``scan_bin`` points are summed, and ``channel_bin`` energy channels.

    Channels below ``first_channel`` are left out: the zero peak of a spectrometer is no X-ray.
    """
    if path.name.endswith(POSITIONS_SUFFIX):
        patterns = _read_positions(path)
    elif path.suffix in SPECTRUM_READERS:
        patterns = _read_spectra(path, channel_bin, first_channel)
    else:
        patterns = pk.io.open_4dstem(path)[["intensity"]]
    return sum_points(patterns, scan_bin) if scan_bin > 1 else patterns


def is_spectrum_image(patterns: xr.Dataset) -> bool:
    """True where the patterns are spectra: one detector row."""
    return patterns.sizes["qy"] == 1


def sum_points(patterns: xr.Dataset, n: int) -> xr.Dataset:
    """Sum ``n`` x ``n`` neighbouring scan points; the counts stay whole."""
    counts = patterns["intensity"].astype(np.int64)
    summed = counts.coarsen(scan_y=n, scan_x=n, boundary="trim").sum()
    return xr.Dataset({"intensity": summed.assign_attrs(patterns["intensity"].attrs)})


def compute_sha256(path: Path) -> str:
    """Hash of the file, so that a reader knows which one was used."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_spectra(path: Path, channel_bin: int, first_channel: int) -> xr.Dataset:
    """Largest array with an energy axis of the file; channels without any count are left out at both ends."""
    signals = import_module(f"rsciio.{SPECTRUM_READERS[path.suffix]}").file_reader(str(path))
    data = max((np.asarray(signal["data"]) for signal in signals), key=lambda a: a.size if a.ndim == 3 else 0)
    rows, columns, _ = data.shape
    kept = data[..., first_channel:]
    kept = kept[..., : kept.shape[-1] // channel_bin * channel_bin]
    counts = kept.reshape(rows, columns, -1, channel_bin).sum(axis=-1, dtype=np.int32)
    lit = np.flatnonzero(counts.any(axis=(0, 1)))
    first, last = int(lit[0]), int(lit[-1]) + 1
    return _label(
        counts[:, :, None, first:last], first_channel + np.arange(first, last, dtype=np.float64) * channel_bin
    )


def _read_positions(path: Path) -> xr.Dataset:
    """Patterns of scattered points, on the grid of rows and columns that comes nearest to their positions."""
    content: Any = np.load(io.BytesIO(bz2.decompress(path.read_bytes())), allow_pickle=False)
    data, positions = content["data"][0], content["scan"][0]
    n_rows = int(np.sqrt(len(data)))
    n_columns = len(data) // n_rows
    rows = np.array_split(np.argsort(positions[:, 0], kind="stable")[: n_rows * n_columns], n_rows)
    order = np.stack([row[np.argsort(positions[row, 1], kind="stable")] for row in rows])
    centred = np.fft.fftshift(data, axes=(-2, -1))  # tike keeps the direct beam in the corner
    return _label(centred[order].astype(np.int32), np.arange(data.shape[-1], dtype=float))


def _label(counts: NDArray[np.integer], qx: NDArray[np.float64]) -> xr.Dataset:
    """PATTERNS of counts with steps of 1 and detector axes in pixels or channels."""
    rows, columns, height, _ = counts.shape
    coords = {
        "scan_y": ("scan_y", np.arange(rows, dtype=float), {"units": "nm"}),
        "scan_x": ("scan_x", np.arange(columns, dtype=float), {"units": "nm"}),
        "qy": ("qy", np.arange(height, dtype=float), {"units": "px"}),
        "qx": ("qx", qx, {"units": "px"}),
    }
    dims = ("scan_y", "scan_x", "qy", "qx")
    return xr.Dataset({"intensity": (dims, counts, {"units": "counts"})}, coords=coords)
