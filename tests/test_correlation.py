"""Pearson correlation: the labelled function and its kernel, and what cancels."""

import numpy as np
import pytest
import xarray as xr

from phasekit.correlation import pearson, pearson_coefficient
from phasekit.errors import SchemaError


@pytest.fixture
def pair():
    rng = np.random.default_rng(1)
    data = xr.DataArray(
        rng.normal(size=(7, 5, 20)), dims=("scan_y", "scan_x", "energy"), coords={"energy": np.arange(20.0)}
    )
    refs = xr.DataArray(rng.normal(size=(3, 20)), dims=("reference", "energy"), coords={"energy": np.arange(20.0)})
    return data, refs


def test_agrees_with_numpy(pair):
    data, refs = pair
    ours = pearson(data, refs, "energy")
    assert ours.dims == ("scan_y", "scan_x", "reference")
    assert ours.values[2, 3, 1] == pytest.approx(np.corrcoef(data[2, 3], refs[1])[0, 1], abs=1e-12)


def test_gain_and_offset_cancel(pair):
    data, refs = pair
    np.testing.assert_allclose(pearson(3 * data - 100, refs, "energy"), pearson(data, refs, "energy"), atol=1e-12)
    np.testing.assert_allclose(pearson(-data, refs, "energy"), -pearson(data, refs, "energy"), atol=1e-12)


def test_a_large_offset_does_not_eat_the_digits():
    x = np.arange(10, dtype=np.float32)
    assert pearson_coefficient(x + 1e6, x) == pytest.approx(1.0, abs=1e-6)


def test_constant_spectra_mean_nothing(pair):
    data, refs = pair
    data = data.copy()
    data[0, 0] = 4.0
    found = pearson(data, refs, "energy")
    assert np.isnan(found.values[0, 0]).all()
    assert np.isfinite(found.values[1:]).all()


@pytest.mark.parametrize("chunks", [{"scan_y": 2}, {"energy": 6}, {"scan_x": 1, "energy": 7}])
def test_any_chunking_gives_the_same_and_stays_lazy(pair, chunks):
    data, refs = pair
    lazy = pearson(data.chunk(chunks), refs, "energy")
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute(), pearson(data, refs, "energy"))


def test_inputs_stay_as_they_were(pair):
    data, refs = pair
    before = data.copy(deep=True), refs.copy(deep=True)
    pearson(data, refs, "energy")
    xr.testing.assert_identical(data, before[0])
    xr.testing.assert_identical(refs, before[1])


def test_refuses_other_energies_and_single_points(pair):
    data, refs = pair
    with pytest.raises(SchemaError, match=r"coordinates differ.*interp"):
        pearson(data, refs.assign_coords(energy=np.arange(20.0) + 0.5), "energy")
    with pytest.raises(SchemaError, match="at least 2 points"):
        pearson(data.isel(energy=[0]), refs.isel(energy=[0]), "energy")
    with pytest.raises(SchemaError, match="'qx'"):
        pearson(data, refs, "qx")
