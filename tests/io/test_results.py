"""What is saved comes back identical, and a write that breaks off leaves what was there."""

import os
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import phasekit as pk
from phasekit.errors import AcomStatus, ReadError, SchemaError, status_attributes
from phasekit.schema import PHASES, describe

SUFFIXES = (".nc", ".h5", ".zarr")
DTYPES = ("bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", "U3")


def rich():
    """Everything a phasekit dataset may hold."""
    rng = np.random.default_rng(0)
    data = xr.Dataset(coords={"scan_y": ("scan_y", np.arange(5) * 50.0, {"units": "nm"}), "scan_x": np.arange(40)})
    for dtype in DTYPES:
        values = rng.integers(0, 100, (5, 40)).astype(dtype)
        data[f"a_{dtype}"] = (("scan_y", "scan_x"), values, {"units": "1", "text": "Å⁻¹ Na₂ 中"})
    data["a_f8"].values[1, 3], data["a_f8"].values[2, 2] = np.nan, -np.inf
    data["status"] = (("scan_y", "scan_x"), np.zeros((5, 40), np.int8), status_attributes(AcomStatus))
    data["energy_offset"] = ((), np.float32(0.21))
    data["reference"] = ("reference", np.array(["Na3", "Na2.4", "Å"]))
    data.attrs = {
        "none": None,
        "flag": True,
        "numpy_flag": np.bool_(False),
        "settings": {"a": [1, None], "b": {"c": 2.5}},
        "list": [1, 2],
        "mixed": ["a", 1],
        "number": 3,
        "float": 0.1,
        "text": "",
        "marker": "json:not really",
        "one": np.array([4], dtype=np.int16),
        "array": np.array([1.5, np.nan]),
        "empty": [],
    }
    return data


def assert_same(first, second):
    xr.testing.assert_identical(first, second)
    for name in first.variables:
        assert first[name].dtype == second[name].dtype, name
    for key, value in first.attrs.items():
        if isinstance(value, np.ndarray):
            assert second.attrs[key].dtype == value.dtype
        else:
            assert type(second.attrs[key]) is (bool if isinstance(value, np.bool_) else type(value)), key


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("lazy", [False, True])
def test_identical(tmp_path, suffix, lazy):
    data = rich()
    again = pk.io.load(pk.io.save(data, tmp_path / f"a{suffix}"), lazy=lazy)
    assert (again["a_f8"].chunks is not None) == lazy
    assert_same(data, again)
    again.close()
    xr.testing.assert_identical(data, rich())  # the input is untouched


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lazy_is_written_in_its_blocks(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("phasekit.io.formats.safe_dask_arrays.WORTH_A_TASK", 4096)
    values = np.arange(7 * 8 * 90).reshape(7, 8, 90)
    seen = []

    def block(part):
        seen.append(part.shape)
        return part

    lazy = da.from_array(values, chunks=(3, 8, 90)).map_blocks(block, dtype=values.dtype, meta=values[:0])
    data = xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), lazy)})
    seen.clear()
    path = pk.io.save(data, tmp_path / f"a{suffix}")
    assert sorted(seen) == [(1, 8, 90), (3, 8, 90), (3, 8, 90)]
    again = pk.io.load(path, lazy=True)
    assert again.intensity.chunks[0] == (3, 3, 1)
    np.testing.assert_array_equal(again.intensity, values)
    again.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    attrs=st.dictionaries(
        st.text("abcxyz_", min_size=1, max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
            max_leaves=4,
        ),
        max_size=4,
    )
)
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_any_attribute(tmp_path, suffix, attrs):
    path = tmp_path / f"a{suffix}"
    data = xr.Dataset({"a": ("x", np.arange(3), attrs)}, attrs=attrs)
    again = pk.io.load(pk.io.save(data, path))
    assert again.attrs == attrs
    assert again["a"].attrs == attrs


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_overwrites_and_reads_what_it_overwrites(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    pk.io.save(rich(), path)
    old = pk.io.load(path, lazy=True)
    pk.io.save(old[["a_f4"]] + 1, path)  # written from the very file it replaces
    again = pk.io.load(path)
    assert list(again.data_vars) == ["a_f4"]
    np.testing.assert_array_equal(again.a_f4, rich().a_f4 + 1)
    assert os.listdir(tmp_path) == [path.name]
    old.close()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_broken_off_write_leaves_the_old_file(tmp_path, suffix, kind):
    path = tmp_path / f"a{suffix}"
    pk.io.save(rich(), path)

    def fail(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise kind("in the middle")
        return block

    lazy = da.zeros((4, 100, 100), chunks=(1, 100, 100)).map_blocks(fail, dtype=float)
    with pytest.raises(kind):
        pk.io.save(xr.Dataset({"a": (("x", "y", "z"), lazy)}), path)
    assert_same(rich(), pk.io.load(path))
    assert os.listdir(tmp_path) == [path.name]


def test_failed_rename_brings_the_old_folder_back(tmp_path, monkeypatch):
    path = pk.io.save(rich(), tmp_path / "a.zarr")
    real = os.replace

    def fail(source, target):
        if str(source).endswith(".tmp"):
            raise OSError("no rename today")
        real(source, target)

    monkeypatch.setattr("phasekit.io.writers.atomic.os.replace", fail)
    with pytest.raises(OSError, match="no rename today"):
        pk.io.save(xr.Dataset({"a": ("x", [1])}), path)
    assert_same(rich(), pk.io.load(path))
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_described_results_keep_status_and_provenance(tmp_path):
    made = xr.Dataset({"status": (("scan_y", "scan_x"), np.eye(3, dtype=np.int8), status_attributes(AcomStatus))})
    made = describe(made, PHASES, step="demo", settings={"margin": None, "deep": {"a": True}})
    assert_same(made, pk.io.load(pk.io.save(made, tmp_path / "a.nc")))


def test_refuses(tmp_path):
    with pytest.raises(SchemaError, match=r"ends in '.txt', needs one of .nc, .h5, .zarr"):
        pk.io.save(rich(), tmp_path / "a.txt")
    with pytest.raises(SchemaError, match="got a DataArray"):
        pk.io.save(rich()["a_f8"], tmp_path / "a.nc")
    for name in ("a.nc", "a.zarr"):
        with pytest.raises(SchemaError, match="cannot be stored"):
            pk.io.save(xr.Dataset({"a": ("x", np.array([{}, object()], dtype=object))}), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_load_of_something_else(tmp_path):
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("not a netCDF file", encoding="utf-8")
    (tmp_path / "hollow.zarr").mkdir()
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "file.zarr").write_text("x", encoding="utf-8")
    for path in (*sorted(tmp_path.iterdir()), tmp_path / "nowhere.nc"):
        with pytest.raises(ReadError, match="To fix it") as caught:
            pk.io.load(path)
        assert str(path) in str(caught.value)


def test_damaged_history(tmp_path):
    for text in ('[{"step": "a', '{"step": 1}'):
        path = pk.io.save(
            xr.Dataset({"a": ("x", [1])}, attrs={"schema": "STACK", "provenance": text}), tmp_path / "a.nc"
        )
        with pytest.raises(ReadError, match="damaged"):
            pk.io.load(path)


def test_damaged_block_is_a_read_error(tmp_path):
    rng = np.random.default_rng(0)
    for suffix in (".nc", ".zarr"):
        path = pk.io.save(xr.Dataset({"a": (("x", "y"), rng.integers(0, 9, (50, 800)))}), tmp_path / f"a{suffix}")
        victim, start, size = path, 0, 10**9
        if suffix == ".nc":
            with h5py.File(path) as file:
                info = file["a"].id.get_chunk_info(0)
                start, size = info.byte_offset, info.size
        else:
            victim = next(f for f in path.rglob("0") if f.is_file() and f.parts[-4] == "a")
        content = np.frombuffer(victim.read_bytes(), np.uint8).copy()
        content[start : start + size] ^= 0xA5
        victim.write_bytes(content.tobytes())
        lazy = pk.io.load(path, lazy=True)
        with pytest.raises(ReadError, match="damaged"):
            lazy.compute()
        with pytest.raises(ReadError, match="damaged"):
            pk.io.load(path, lazy=False)
        lazy.close()


def test_makes_the_folder(tmp_path):
    assert pk.io.save(rich(), tmp_path / "runs" / "one" / "result.nc").is_file()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("chunks", [{"scan_y": (1, 3, 1)}, {"scan_x": (1, 8)}, {"scan_y": (3, 2), "qy": (2, 5)}])
def test_lazy_data_in_uneven_blocks(tmp_path, suffix, chunks):
    """What .isel or a reader's own blocks leave behind; zarr stores blocks of one size only."""
    counts = np.arange(5 * 9 * 7 * 2, dtype=np.uint16).reshape(5, 9, 7, 2)
    data = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)})
    lazy = data.chunk(chunks)
    xr.testing.assert_identical(pk.io.load(pk.io.save(lazy, tmp_path / f"scan{suffix}")), data)
    assert lazy.chunks["scan_y"] == chunks.get("scan_y", (5,))


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_several_threads_save_at_once_and_dask_goes_on(tmp_path, ending):
    """A pool that was set for the process by one thread would be closed under the others."""
    values = da.ones((40, 30), chunks=10) * np.arange(30)
    data = xr.Dataset({"intensity": (("scan_y", "scan_x"), values)})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda index: pk.io.save(data, tmp_path / f"{index}{ending}"), range(8)))
    assert float(values.sum().compute()) == 40 * 435
    for index in range(8):
        np.testing.assert_array_equal(pk.io.load(tmp_path / f"{index}{ending}")["intensity"], values)
