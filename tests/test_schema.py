"""The contract between steps: what is refused, with which words, and what is written at the exit."""

import json

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.schema import (
    DIMENSION_UNITS,
    OD,
    PATTERNS,
    PEAKS,
    STACK,
    TEMPLATES,
    Schema,
    describe,
    provenance,
    require,
)


@pytest.fixture
def stack():
    return xr.Dataset(
        {"intensity": (("energy", "scan_y", "scan_x"), np.ones((2, 3, 4)))},
        coords={"energy": ("energy", [700.0, 710.0], {"units": "eV"})},
    )


def schemas():
    from phasekit import schema

    return [value for value in vars(schema).values() if isinstance(value, Schema)]


def test_require_accepts_what_it_asks_for(stack):
    require(stack, STACK, step="demo")


def test_require_never_reads_lazy_data(stack):
    def explode(block):
        raise AssertionError("a block was read")

    lazy = da.ones((2, 3, 4)).map_blocks(explode, dtype=float, meta=np.empty((0, 0, 0)))
    require(stack.assign(intensity=(("energy", "scan_y", "scan_x"), lazy)), STACK, step="demo")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: d.drop_vars("intensity"), ["no variable 'intensity'", "pk.io.open_stxm"]),
        (lambda d: d.transpose("energy", "scan_x", "scan_y"), ["has dimensions", ".transpose"]),
        (lambda d: d.isel(energy=[]), ["is empty"]),
        (lambda d: d.assign_coords(energy=("energy", [0.7, 0.71], {"units": "keV"})), ["is in 'keV'", "needs 'eV'"]),
        (lambda d: d.assign_coords(energy=("energy", [0.7, 0.71])), ["has no unit", "needs 'eV'"]),
        (lambda d: d["intensity"], ["is a DataArray", "xarray.Dataset"]),
    ],
)
def test_require_says_where_what_and_the_cure(stack, damage, words):
    with pytest.raises(SchemaError, match=r"^demo: ") as caught:
        require(damage(stack), STACK, step="demo")
    for word in words:
        assert word in str(caught.value)


def test_require_names_the_cure_for_uncalibrated_peaks():
    peaks = xr.Dataset({name: (v.dims, np.ones((2,) * len(v.dims))) for v in PEAKS.variables for name in [v.name]})
    peaks["qx"].attrs["units"] = peaks["qy"].attrs["units"] = "px"
    with pytest.raises(SchemaError, match=r"match: 'qx' is in 'px', needs '1/angstrom'\. Run calibrate_peaks first"):
        require(peaks, PEAKS, step="match", units={"qx": "1/angstrom"})


def test_describe_replaces_stale_attributes_and_leaves_the_input(stack):
    stack["intensity"].attrs = {"units": "furlong", "stale": "yes", "flag_meanings": "a b"}
    done = describe(stack, STACK, step="demo", settings={})
    assert done["intensity"].attrs == {"long_name": "transmitted intensity", "units": "counts", "flag_meanings": "a b"}
    assert stack["intensity"].attrs["units"] == "furlong"
    assert "schema" not in stack.attrs


def test_provenance_grows_step_by_step(stack):
    first = describe(stack, STACK, step="open", settings={"path": "a.h5"})
    second = describe(stack, STACK, step="align", settings={"mask": np.ones(3), "k": np.int64(3)}, source=first)
    assert [record["step"] for record in provenance(second)] == ["open", "align"]
    assert provenance(second)[1]["settings"] == {"mask": "ndarray(3,)", "k": 3}
    assert isinstance(json.loads(second.attrs["provenance"])[0]["versions"]["phasekit"], str)


def test_described_data_survive_a_file(stack, tmp_path):
    described = describe(stack, STACK, step="demo", settings={"flag": True, "none": None, "nested": {"a": [1, 2]}})
    described.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), described)


@pytest.mark.parametrize("schema", schemas(), ids=lambda schema: schema.name)
def test_every_kind_is_written_in_known_words(schema):
    names = [variable.name for variable in schema.variables]
    assert len(set(names)) == len(names)
    assert schema.made_by.startswith("pk.")
    for variable in schema.variables:
        assert variable.long_name
        assert variable.units


def test_scan_and_energy_have_one_unit_only():
    assert DIMENSION_UNITS["scan_y"] == ("nm",)
    assert DIMENSION_UNITS["energy"] == ("eV",)
    assert OD["noise"].units == "1"
    assert PATTERNS["intensity"].dims == ("scan_y", "scan_x", "qy", "qx")


@pytest.mark.parametrize("kind", [complex, object, str])
def test_values_that_are_no_real_numbers_are_refused(kind):
    data = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), np.ones((1, 2, 3, 4)).astype(kind))})
    with pytest.raises(SchemaError, match=r"demo: 'intensity' holds values of type .*, needs real numbers"):
        require(data, PATTERNS, step="demo")


def test_require_names_the_argument_that_is_wrong(stack):
    with pytest.raises(SchemaError, match=r"^match: 'bank' has no variable 'quaternion'"):
        require(stack, TEMPLATES, step="match", argument="bank")
