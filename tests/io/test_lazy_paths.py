"""Relative names of lazily read files: still right after a change of folder, and in a worker that starts elsewhere."""

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr

import phasekit as pk

COUNTS = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)


def as_dataset():
    return xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), COUNTS)})


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["scan"] = COUNTS


WRITERS = {
    "scan.npy": lambda path: np.save(path, COUNTS),
    "scan.h5": hdf5,
    "scan.tif": lambda path: tifffile.imwrite(path, COUNTS.reshape(6, 8, 8), compression="zlib"),
    "scan.blo": lambda path: pk.io.save_blo(as_dataset(), path, scale=1),
    "scan.zarr": lambda path: pk.io.save(as_dataset(), path),
    "scan.nc": lambda path: pk.io.save(as_dataset(), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_patterns_opened_by_a_relative_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    WRITERS[name](name)
    patterns = pk.io.open_4dstem(name, scan_shape=(2, 3) if name == "scan.tif" else None)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    np.testing.assert_array_equal(patterns.intensity.values, COUNTS)


def test_stack_opened_by_a_relative_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames = COUNTS.reshape(6, 8, 8)
    tifffile.imwrite("stack.tif", frames)
    stack = pk.io.open_stxm("stack.tif", energies=np.arange(510.0, 516.0))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    np.testing.assert_array_equal(stack.intensity.values, frames)
