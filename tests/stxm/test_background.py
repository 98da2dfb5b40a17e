"""Pre-edge backgrounds, and I0 from a scan of its own."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from tests.stxm.field import field

ENERGY = np.array([505.0, 507, 509, 511, 516, 518, 521, 524, 528])
EDGE = np.where(ENERGY > 512, 1.0 + 0.5 * np.exp(-((ENERGY - 517) ** 2)), 0.0)
SHAPES = {
    "constant": 0.4 + 0 * ENERGY,
    "linear": 0.4 + 0.01 * (ENERGY - 505),
    "power": 0.5 * (ENERGY / 505) ** -3.0 + 0.1 * (ENERGY / 505) ** -4.0,
}


def _od(background, noise=1e-4, shape=(8, 9)):
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.2, 1.0, shape)
    cube = (background + EDGE)[:, None, None] * depth + rng.normal(0, noise, (ENERGY.size, *shape))
    return depth, xr.Dataset(
        {
            "optical_density": (("energy", "scan_y", "scan_x"), cube),
            "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, noise)),
            "valid": (("scan_y", "scan_x"), np.ones(shape, bool)),
        },
        coords={"energy": ("energy", ENERGY, {"units": "eV"})},
    )


@pytest.mark.parametrize("model", list(SHAPES))
def test_each_model_takes_its_own_background_off(model):
    depth, od = _od(SHAPES[model])
    before = od.copy(deep=True)
    found = pk.stxm.subtract_pre_edge(od, (504, 512), model=model)
    np.testing.assert_allclose(found["optical_density"], EDGE[:, None, None] * depth, atol=4e-3)
    xr.testing.assert_identical(od, before)
    lazy = pk.stxm.subtract_pre_edge(od.chunk({"energy": 4, "scan_y": 3}), (504, 512), model=model)
    assert isinstance(lazy["optical_density"].data, da.Array)
    np.testing.assert_allclose(lazy["optical_density"], found["optical_density"], atol=1e-6)


@pytest.mark.parametrize("model", list(SHAPES))
def test_the_stated_noise_is_the_scatter(model):
    depth, od = _od(SHAPES[model], noise=0.02, shape=(60, 60))
    found = pk.stxm.subtract_pre_edge(od, (504, 512), model=model)
    error = (found["optical_density"].values - EDGE[:, None, None] * depth)[4:]
    claimed = found["noise"].values[4:]
    np.testing.assert_allclose(error.std(axis=(1, 2)), claimed.mean(axis=(1, 2)), rtol=0.06)


def test_too_few_energies_and_unknown_models_are_refused():
    _, od = _od(SHAPES["linear"])
    with pytest.raises(SchemaError, match="needs 2"):
        pk.stxm.subtract_pre_edge(od, (504, 506), model="linear")
    with pytest.raises(SchemaError, match="needs one of"):
        pk.stxm.subtract_pre_edge(od, (504, 512), model="spline")


def test_incident_intensity_from_its_own_scan_follows_the_ring_current():
    stack = field(photons=4000, seed=2)
    truth = stack["truth_i0"].values
    currents = np.linspace(400, 300, truth.size)
    rng = np.random.default_rng(0)
    empty = xr.Dataset(
        {
            "intensity": (
                ("energy", "scan_y", "scan_x"),
                rng.poisson((0.5 * truth)[:, None, None], (truth.size, 20, 20)),
            ),
            "ring_current": ("energy", 0.5 * currents),
        },
        coords={"energy": stack["energy"], "scan_y": np.arange(20.0), "scan_x": np.arange(20.0)},
    )
    for name in ("scan_y", "scan_x"):
        empty[name].attrs["units"] = "nm"
    stack = stack.assign(ring_current=("energy", currents))
    found = pk.stxm.optical_density(stack, i0=empty)
    np.testing.assert_allclose(found["i0"], truth, rtol=0.01)
    plain = pk.stxm.optical_density(stack.drop_vars("ring_current"), i0=empty)
    np.testing.assert_allclose(plain["i0"], 0.5 * truth, rtol=0.01)
    with pytest.raises(SchemaError):
        pk.stxm.optical_density(stack, i0=empty.rename(intensity="counts"))
