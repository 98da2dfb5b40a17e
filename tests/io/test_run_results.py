"""Results of one run come back identical from one file, each with its kind and provenance."""

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import AcomStatus, ReadError, SchemaError, status_attributes
from phasekit.schema import PHASES, REFERENCE_FIT, describe, provenance
from tests.io.test_results import SUFFIXES, assert_same, rich


def phases():
    status = (("scan_y", "scan_x"), np.eye(3, 5, dtype=np.int8), status_attributes(AcomStatus))
    data = xr.Dataset({"status": status, "residual": (("scan_y", "scan_x"), np.full((3, 5), np.nan))})
    data["energy_offset"] = 0.2
    return describe(data, PHASES, step="label_phases", settings={"margin": None, "deep": {"a": True}})


def fit():
    """Names and sizes that contradict those of ``phases``."""
    data = xr.Dataset({"residual": (("scan_y", "scan_x"), np.ones((2, 2), np.float32))})
    data["energy_offset"] = ("reference", [0.1, 0.3])
    data["reference"] = np.array(["Na3", "Å"])
    return describe(data, REFERENCE_FIT, step="fit_references", settings={})


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("lazy", [False, True, None])
def test_identical(tmp_path, suffix, lazy):
    saved = {"phases": phases(), "fit": fit(), "everything": rich()}
    path = pk.io.save_results(tmp_path / "runs" / f"result{suffix}", **saved)
    results = pk.io.load_results(path, lazy=lazy)
    assert list(results.children) == list(saved)
    for name, data in saved.items():
        assert_same(data, results[name].to_dataset())
    assert (results["everything"]["a_f8"].chunks is not None) == bool(lazy)
    assert results["phases"].attrs["schema"] == "PHASES"
    assert provenance(results["fit"].to_dataset())[-1]["step"] == "fit_references"
    results.close()
    xr.testing.assert_identical(saved["everything"], rich())  # the input is untouched


def test_tree_can_be_saved_again(tmp_path):
    first = pk.io.load_results(pk.io.save_results(tmp_path / "a.nc", phases=phases(), fit=fit()))
    nodes = {name: node.to_dataset() for name, node in first.children.items()}
    xr.testing.assert_identical(pk.io.load_results(pk.io.save_results(tmp_path / "b.zarr", **nodes)), first)


def test_any_program_reads_the_groups(tmp_path):
    path = pk.io.save_results(tmp_path / "a.nc", phases=phases(), fit=fit())
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        assert set(tree.children) == {"phases", "fit"}
        assert tree["fit"].sizes["reference"] == 2


def test_steps_that_were_left_out(tmp_path):
    results = pk.io.load_results(pk.io.save_results(tmp_path / "a.nc", phases=phases(), fit=None))
    assert list(results.children) == ["phases"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_broken_off_write_leaves_the_old_file(tmp_path, suffix):
    path = pk.io.save_results(tmp_path / f"a{suffix}", phases=phases(), fit=fit())

    def fail(block, block_info=None):
        if block_info:
            raise RuntimeError("in the middle")
        return block

    lazy = da.zeros((4, 100), chunks=(1, 100)).map_blocks(fail, dtype=float)
    with pytest.raises(RuntimeError, match="in the middle"):
        pk.io.save_results(path, phases=fit(), other=xr.Dataset({"a": (("x", "y"), lazy)}))
    again = pk.io.load_results(path, lazy=False)
    assert_same(phases(), again["phases"].to_dataset())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_function_says_what_to_call(tmp_path, suffix):
    results = pk.io.save_results(tmp_path / f"results{suffix}", phases=phases())
    for function in (pk.io.load, pk.io.open_4dstem):
        with pytest.raises(ReadError, match=r"pk\.io\.load_results"):
            function(results)
    with pytest.raises(ReadError, match=r"pk\.io\.load_results"):
        pk.io.open_stxm(results)
    single = pk.io.save(phases(), tmp_path / f"single{suffix}")
    with pytest.raises(ReadError, match=r"pk\.io\.load\b"):
        pk.io.load_results(single)


def test_refuses(tmp_path):
    path = tmp_path / "a.nc"
    with pytest.raises(SchemaError, match="at least one"):
        pk.io.save_results(path)
    with pytest.raises(SchemaError, match="'fit' is a DataArray"):
        pk.io.save_results(path, fit=fit()["residual"])
    with pytest.raises(SchemaError, match="cannot name a group"):
        pk.io.save_results(path, **{"a/b": fit()})
    with pytest.raises(SchemaError, match=r"save_results: 'a\.txt' ends in '\.txt'"):
        pk.io.save_results(tmp_path / "a.txt", fit=fit())
    with pytest.raises(SchemaError, match=r"save_results: .* cannot be stored"):
        pk.io.save_results(path, fit=xr.Dataset({"a": ("x", np.array([{}, object()], dtype=object))}))
    assert not list(tmp_path.iterdir())


def test_wrong_files(tmp_path):
    (tmp_path / "empty.nc").touch()
    (tmp_path / "text.nc").write_text("not a netCDF file", encoding="utf-8")
    (tmp_path / "hollow.zarr").mkdir()
    for path in (*sorted(tmp_path.iterdir()), tmp_path / "nowhere.nc"):
        with pytest.raises(ReadError, match="To fix it") as caught:
            pk.io.load_results(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_group_that_is_missing(tmp_path, lazy):
    path = pk.io.save_results(tmp_path / "a.nc", phases=phases(), fit=fit())
    with h5py.File(path, "a") as file:
        del file["fit"]
    with pytest.raises(ReadError, match="damaged"):
        pk.io.load_results(path, lazy=lazy)


def test_lazy_results_are_read_in_blocks_and_pickled(tmp_path):
    import pickle

    lazy = xr.Dataset({"a": (("x", "y"), da.from_array(np.arange(800.0).reshape(8, 100), chunks=(2, 100)))})
    path = pk.io.save_results(tmp_path / "a.nc", other=lazy)
    results = pk.io.load_results(path, lazy=True)
    again = pickle.loads(pickle.dumps(results["other"].to_dataset()))
    np.testing.assert_array_equal(again["a"], lazy["a"])
    results.close()
