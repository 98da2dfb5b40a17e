"""open_4dstem: every layout keeps shape, axes, units, dtype and laziness."""

import json
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

from phasekit.diffraction import wavelength
from phasekit.errors import ReadError, SchemaError
from phasekit.io.formats import lazy_sources
from phasekit.io.fourdstem import open_4dstem
from phasekit.io.results import save
from phasekit.schema import PATTERNS, describe, require
from tests.io.files_4d import write_hspy, write_py4dstem

SHAPE = (3, 4, 6, 10)  # no two sizes alike: a swapped axis cannot hide


@pytest.fixture
def counts():
    return np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)


def check(patterns, data):
    """What holds for every reader."""
    require(patterns, PATTERNS, step="test")
    assert patterns["intensity"].chunks is not None
    assert patterns["intensity"].dtype == data.dtype
    assert patterns["intensity"].shape == data.shape
    np.testing.assert_array_equal(patterns["intensity"].values, data)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(patterns))["intensity"].values, data)
    np.testing.assert_array_equal(patterns["intensity"][1:, ::2, ::-1, 3].values, data[1:, ::2, ::-1, 3])
    np.testing.assert_array_equal(patterns["intensity"][2, 1].values, data[2, 1])
    assert json.loads(patterns.attrs["provenance"])[-1]["step"] == "open_4dstem"


def test_hspy(tmp_path, counts):
    patterns = open_4dstem(write_hspy(tmp_path / "scan.hspy", counts))
    check(patterns, counts)
    np.testing.assert_allclose(patterns["scan_y"], [10, 12, 14])
    np.testing.assert_allclose(patterns["scan_x"], [20, 23, 26, 29])
    np.testing.assert_allclose(patterns["qy"], -0.03 + 0.01 * np.arange(6))
    np.testing.assert_allclose(patterns["qx"], -0.08 + 0.02 * np.arange(10))
    assert patterns.attrs["voltage_kv"] == 200
    assert {patterns[dim].attrs["units"] for dim in ("qy", "qx")} == {"1/angstrom"}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("packed", [False, True])
def test_zspy(tmp_path, counts, version, packed):
    folder = tmp_path / "scan.zspy"
    write_hspy(folder, counts, group=zarr.open_group(folder, mode="w", zarr_format=version))
    if packed:
        with zipfile.ZipFile(tmp_path / "packed.zspy", "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder).as_posix())
        folder = tmp_path / "packed.zspy"
    patterns = open_4dstem(folder)
    check(patterns, counts)
    np.testing.assert_allclose(patterns["qx"], -0.08 + 0.02 * np.arange(10))


@pytest.mark.parametrize("layout", ["0.14", "0.12"])
def test_py4dstem(tmp_path, counts, layout):
    patterns = open_4dstem(write_py4dstem(tmp_path / "cube.h5", counts, layout=layout))
    check(patterns, counts)
    np.testing.assert_allclose(patterns["scan_x"], [0, 0.5, 1, 1.5])
    np.testing.assert_allclose(patterns["qy"], 0.02 * (np.arange(6) - 2))  # py4DSTEM's x is the first axis
    np.testing.assert_allclose(patterns["qx"], 0.02 * (np.arange(10) - 7))
    assert ("QR_flip" in patterns.attrs.get("comment", "")) == (layout == "0.14")


def test_emd_dim_vectors_without_calibration(tmp_path, counts):
    path = tmp_path / "scan.emd"
    with h5py.File(path, "w") as file:
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group.create_dataset("data", data=counts)
        for n, (size, unit) in enumerate(zip(SHAPE, ("[u_m]", "um", "1/nm", "1/nm"), strict=True), start=1):
            group.create_dataset(f"dim{n}", data=1.0 + 0.5 * np.arange(size)).attrs["units"] = np.bytes_(unit)
    patterns = open_4dstem(path, accept="direct_beam")  # the detector lies beside the direct beam
    check(patterns, counts)
    np.testing.assert_allclose(patterns["scan_x"], [1000, 1500, 2000, 2500])
    np.testing.assert_allclose(patterns["qx"], 0.1 + 0.05 * np.arange(10))
    np.testing.assert_allclose(patterns["scan_y"], [1000, 1500, 2000])


@pytest.mark.parametrize(
    ("unit", "factor"), [("1/nm", 0.1), ("Å^-1", 1.0), ("nm⁻¹", 0.1), ("1/m", 1e-10), ("mrad", 1e-3 / wavelength(200))]
)
def test_units_of_the_detector(tmp_path, counts, unit, factor):
    path = write_hspy(tmp_path / "scan.hspy", counts, units=("µm", "A", unit, unit))
    patterns = open_4dstem(path, accept="q_step" if unit == "1/m" else ())  # 2e-12 1/angstrom per pixel
    np.testing.assert_allclose(patterns["qx"], (-0.08 + 0.02 * np.arange(10)) * factor)
    np.testing.assert_allclose(patterns["scan_y"], [10e3, 12e3, 14e3])
    np.testing.assert_allclose(patterns["scan_x"], [2, 2.3, 2.6, 2.9])


def test_uncalibrated_detector_is_in_pixels(tmp_path, counts):
    patterns = open_4dstem(write_hspy(tmp_path / "scan.hspy", counts, units=("", "px", "mm", "1/nm")))
    for dim, size in (("qy", 6), ("qx", 10)):
        assert patterns[dim].attrs["units"] == "px"
        np.testing.assert_array_equal(patterns[dim], np.arange(size))
    np.testing.assert_array_equal(patterns["scan_x"], np.arange(4))
    assert "1 nm assumed" in patterns["scan_x"].attrs["comment"]


def test_unknown_origin_is_the_middle_and_falling_axes_are_turned(tmp_path, counts):
    path = write_hspy(tmp_path / "scan.hspy", counts)
    with h5py.File(path, "a") as file:
        axes = file["Experiments/__unnamed__"]
        axes["axis-3"].attrs["offset"] = 0.0
        axes["axis-0"].attrs["scale"] = -2.0
    patterns = open_4dstem(path)
    np.testing.assert_allclose(patterns["qx"], 0.02 * (np.arange(10) - 4.5))
    assert "middle" in patterns["qx"].attrs["comment"]
    np.testing.assert_allclose(patterns["scan_y"], [6, 8, 10])
    np.testing.assert_array_equal(patterns["intensity"].values, counts[::-1])


def test_plain_hdf5_zarr_and_npy(tmp_path, counts):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["entry/data"] = counts
        file["entry/energy"] = np.arange(5.0)
    zarr.create_array(tmp_path / "scan.zarr", data=counts, chunks=(1, 1, 6, 10))
    np.save(tmp_path / "scan.npy", counts)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(counts))
    for name in ("scan.h5", "scan.zarr", "scan.npy", "fortran.npy"):
        patterns = open_4dstem(tmp_path / name)
        check(patterns, counts)
        assert patterns["qx"].attrs["units"] == "px"


def test_several_arrays_need_a_choice(tmp_path, counts):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"] = counts
        file["deep/b"] = counts[:2]
    with pytest.raises(ReadError, match=r"2 arrays of 4 dimensions.*dataset='a'"):
        open_4dstem(tmp_path / "two.h5")
    assert open_4dstem(tmp_path / "two.h5", dataset="deep/b").sizes["scan_y"] == 2
    with pytest.raises(ReadError, match="no single dataset 'c'"):
        open_4dstem(tmp_path / "two.h5", dataset="c")


@pytest.mark.parametrize("contiguous", [True, False])
def test_tiff(tmp_path, counts, contiguous):
    flat = counts.reshape(12, 6, 10)
    options = {} if contiguous else {"compression": "zlib", "metadata": None}
    tifffile.imwrite(tmp_path / "scan.tif", flat, photometric="minisblack", **options)
    patterns = open_4dstem(tmp_path / "scan.tif", scan_shape=SHAPE[:2])
    check(patterns, counts)
    row = open_4dstem(tmp_path / "scan.tif")
    assert dict(row.sizes) == {"scan_y": 1, "scan_x": 12, "qy": 6, "qx": 10}
    assert "scan_shape" in row.attrs["comment"]


def test_scan_shape_folds_lines_whatever_the_blocks(tmp_path, counts):
    np.save(tmp_path / "line.npy", counts.reshape(12, 6, 10))
    for chunks in ("auto", 1, (2, 3), {"scan_x": 3}, (1, 2, 3, 4)):
        check(open_4dstem(tmp_path / "line.npy", scan_shape=SHAPE[:2], chunks=chunks), counts)
    np.save(tmp_path / "map.npy", counts)
    other = open_4dstem(tmp_path / "map.npy", scan_shape=(6, 2), chunks=(1, 1))
    np.testing.assert_array_equal(other["intensity"].values, counts.reshape(6, 2, 6, 10))
    with pytest.raises(ReadError, match="12 patterns, but scan_shape=\\(5, 2\\)"):
        open_4dstem(tmp_path / "map.npy", scan_shape=(5, 2))


def test_one_pattern(tmp_path, counts):
    np.save(tmp_path / "one.npy", counts[0, 0])
    check_shape = open_4dstem(tmp_path / "one.npy")
    assert check_shape["intensity"].shape == (1, 1, 6, 10)
    np.testing.assert_array_equal(check_shape["intensity"].values[0, 0], counts[0, 0])


def own_patterns(counts):
    axes = {dim: (dim, np.arange(n) * 2.0) for dim, n in zip(("scan_y", "scan_x", "qy", "qx"), SHAPE, strict=True)}
    data = xr.Dataset({"intensity": (tuple(axes), counts)}, coords=axes)
    data["scan_y"].attrs["units"] = data["scan_x"].attrs["units"] = "nm"
    data["qy"].attrs["units"] = data["qx"].attrs["units"] = "1/angstrom"
    data["truth_phase"] = (("scan_y", "scan_x"), np.arange(12).reshape(3, 4) - 1)
    data.attrs["voltage_kv"] = 200.0
    return describe(data, PATTERNS, step="demo", settings={})


@pytest.mark.parametrize("name", ["scan.nc", "scan.zarr"])
def test_own_files_keep_everything(tmp_path, counts, name):
    made = own_patterns(counts)
    save(made, tmp_path / name)
    found = open_4dstem(tmp_path / name, chunks=(1, 2))
    assert found["intensity"].chunks == ((1, 1, 1), (2, 2), (6,), (10,))
    xr.testing.assert_identical(found.compute(), made)
    assert pickle.loads(pickle.dumps(found))["intensity"].sum().compute() == counts.sum()


def test_own_file_of_another_kind_is_sent_to_load(tmp_path):
    save(xr.Dataset({"phase": (("scan_y",), [1, 2])}, attrs={"schema": "PHASES"}), tmp_path / "map.nc")
    with pytest.raises(ReadError, match=r"kind PHASES.*pk\.io\.load"):
        open_4dstem(tmp_path / "map.nc")


def test_nothing_is_read_before_compute_and_blocks_are_bounded(tmp_path, monkeypatch):
    """A 160 GB file costs nothing to open; a block is a box of at most 64 MiB."""
    path = tmp_path / "huge.npy"
    shape = (400, 800, 512, 512)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": shape})
        head = file.tell()
        file.truncate(head + int(np.prod(shape)) * 2)  # sparse
    boxes = []
    read = lazy_sources.MemorySource._read_box
    monkeypatch.setattr(lazy_sources.MemorySource, "_read_box", lambda self, box: boxes.append(box) or read(self, box))
    patterns = open_4dstem(path)
    assert boxes == []
    largest = np.prod([max(sizes) for sizes in patterns["intensity"].chunks]) * 2
    assert 2**23 <= largest <= lazy_sources.BLOCK_BYTES
    assert patterns["intensity"].chunks[2:] == ((512,), (512,))
    assert patterns["intensity"][7, 9, 1, 2].compute() == 0
    assert len(boxes) == 1


def test_blocks_follow_those_of_the_file(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("data", data=np.zeros((20, 30, 64, 64), "u2"), chunks=(5, 6, 64, 64))
    sizes = [size for blocks in open_4dstem(tmp_path / "scan.h5")["intensity"].chunks[:2] for size in blocks[:-1]]
    assert all(size % 5 == 0 or size % 6 == 0 for size in sizes)


@pytest.mark.parametrize("chunks", ["large", {"energy": 3}, (1, 2, 3)])
def test_chunks_are_checked(tmp_path, counts, chunks):
    np.save(tmp_path / "scan.npy", counts)
    with pytest.raises(SchemaError, match=r"Use|Rename"):
        open_4dstem(tmp_path / "scan.npy", chunks=chunks)


def test_wrong_files(tmp_path, counts):
    cases = {
        "empty.blo": (b"", "empty"),
        "text.blo": (b"hello" * 100, "no .blo header"),
        "short.blo": (b"IMGBLO", "less than a .blo header"),
        "text.h5": (b"hello", "begins with"),
        "old.nc": (b"CDF\x01" + bytes(50), "begins with"),
        "scan.xyz": (b"hello", "unknown ending '.xyz'"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReadError, match=message):
            open_4dstem(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReadError, match="no zarr store"):
        open_4dstem(tmp_path / "folder")
    with pytest.raises(ReadError, match="no such file"):
        open_4dstem(tmp_path / "nowhere.blo")
    np.save(tmp_path / "complex.npy", counts.astype(complex))
    with pytest.raises(ReadError, match="complex128"):
        open_4dstem(tmp_path / "complex.npy")
    np.save(tmp_path / "vector.npy", counts.ravel())
    with pytest.raises(ReadError, match="shape"):
        open_4dstem(tmp_path / "vector.npy")
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((8, 9, 3), "u1"), photometric="rgb")
    with pytest.raises(ReadError, match="colour"):
        open_4dstem(tmp_path / "colour.tif")


def test_unwritten_blocks_are_refused(tmp_path):
    with h5py.File(tmp_path / "stopped.h5", "w") as file:
        data = file.create_dataset("data", (4, 4, 8, 8), "u2", chunks=(1, 4, 8, 8))
        data[:2] = 1
    with pytest.raises(ReadError, match="2 of 4 blocks"):
        open_4dstem(tmp_path / "stopped.h5")


def test_damage_inside_a_block_is_a_read_error_when_computed(tmp_path, counts):
    path = write_hspy(tmp_path / "scan.hspy", counts)
    with h5py.File(path) as file:
        start = file["Experiments/__unnamed__/data"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    patterns = open_4dstem(path)
    with pytest.raises(ReadError, match=r"scan\.hspy"):
        patterns["intensity"].compute()


@pytest.mark.parametrize("scan_shape", [6, (6,), (1, 2, 3), "ab"])
def test_scan_shape_that_is_no_pair_is_the_callers_mistake(tmp_path, scan_shape):
    np.save(tmp_path / "scan.npy", np.zeros((6, 8, 8)))
    with pytest.raises(SchemaError, match=r"scan_shape=.*needs two whole numbers. Give \(scan_y, scan_x\)"):
        open_4dstem(tmp_path / "scan.npy", scan_shape=scan_shape)
