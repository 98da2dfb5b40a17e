"""The measured Fe 2p stack: structure is not taken for spikes, and its optical density not for counts."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError

from .fe2p import FOLDER, MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def stack():
    return pk.io.open_stxm(FOLDER / "71214078.hdr").load()


@pytest.fixture(scope="module")
def i0():
    table = np.loadtxt(FOLDER / "i0.xsp")
    return xr.DataArray(table[:, 1], dims="energy", coords={"energy": table[:, 0]})


@pytest.fixture(scope="module")
def od(stack, i0):
    return pk.stxm.optical_density(stack, i0=i0)


def test_despiking_leaves_the_structure(stack, i0, od):
    """1476 values, by up to 0.66, were rewritten when single frames decided."""
    assert int(od["n_replaced"].sum()) <= 3
    whole = pk.stxm.optical_density(stack, i0=i0, despike_sigma=None)
    assert float(np.abs(od["optical_density"] - whole["optical_density"]).max()) < 0.1


def test_readings_that_were_put_in_are_found(stack, i0):
    rng = np.random.default_rng(0)
    counts = stack["intensity"].values.copy()
    place = rng.integers(2, 120, 100) // 4 * 4, rng.integers(2, 120, 100), rng.integers(2, 120, 100)
    counts[place] = 1500.0
    od = pk.stxm.optical_density(stack.assign(intensity=(stack["intensity"].dims, counts)), i0=i0)
    right = pk.stxm.optical_density(stack, i0=i0)
    error = np.abs(od["optical_density"] - right["optical_density"]).values[place]
    assert (error < 0.3).mean() > 0.97
    assert int(od["n_replaced"].sum()) >= 95


@pytest.mark.parametrize("n_energies", [6, 10, 123])
def test_light_passes_and_optical_density_does_not(stack, i0, od, n_energies):
    some = np.linspace(0, 122, n_energies).round().astype(int)
    few, spectrum = stack.isel(energy=some), i0.isel(energy=some)
    pk.stxm.optical_density(few, i0=spectrum)
    light = few["intensity"] / spectrum.values[:, None, None]
    for kind, floor in (("all", 0.0), ("floor taken off", 0.8)):
        given = few.assign(intensity=(light.dims, -np.log(light.values) - floor))
        with pytest.raises(SchemaError, match="as_optical_density"):
            pk.stxm.optical_density(given, i0=1.0), kind
    if n_energies < 123:
        return
    taken = pk.stxm.as_optical_density(few.assign(intensity=(light.dims, -np.log(light.values))))
    np.testing.assert_allclose(taken["noise"].median(), od["noise"].median(), rtol=0.1)
    assert float((taken["valid"] == od["valid"]).mean()) > 0.99
