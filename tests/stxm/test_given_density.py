"""A stack that is optical density already is named and taken as such; light in any unit passes."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import SchemaError
from tests.stxm.field import field, references

DIMS = ("energy", "scan_y", "scan_x")


@pytest.fixture(scope="module")
def stack():
    return field(photons=1500, seed=1)


def as_stack(stack, values, **attrs):
    return stack.assign(intensity=(DIMS, np.asarray(values), attrs))


def density_of(stack):
    counts = np.maximum(stack["intensity"].values, 0.5)
    return -np.log(counts / stack["truth_i0"].values[:, None, None])


LIGHT = {
    "counts": lambda c, i0: c,
    "kHz": lambda c, i0: 0.013 * c,
    "per ring current": lambda c, i0: c / np.linspace(400, 380, len(c))[:, None, None],
    "per monitor": lambda c, i0: c / i0 * 3.7e5,
    "transmission": lambda c, i0: c / i0,
    "per cent": lambda c, i0: 100 * c / i0,
    "interpolated": lambda c, i0: ndimage.shift(c.astype(float), (0, 0.4, 0.3), order=1, mode="nearest"),
    "dark counts taken off": lambda c, i0: c - 40.0,
    "I0 with a dip of its own": lambda c, i0: (
        c * (1 - 0.3 * np.exp(-((np.arange(len(c)) - 5) ** 2) / 6))[:, None, None]
    ),
}
DENSITY = {
    "optical density": lambda d: d,
    "above a floor": lambda d: d + 0.8,
    "without negative values": lambda d: np.maximum(d, 0),
    "in integers": lambda d: np.round(1000 * d),
    "of base ten": lambda d: d / np.log(10),
    "in single precision": lambda d: d.astype(np.float32),
}


@pytest.mark.parametrize("kind", LIGHT)
def test_light_in_any_unit_passes(stack, kind):
    values = LIGHT[kind](stack["intensity"].values, stack["truth_i0"].values[:, None, None])
    od = pk.stxm.optical_density(as_stack(stack, values))
    inside = (stack["truth_thickness"] > 0.1).values & od["valid"].values
    error = od["optical_density"].values - pk.stxm.optical_density(stack)["optical_density"].values
    if kind not in ("dark counts taken off", "interpolated"):
        np.testing.assert_allclose(error[:, inside], 0, atol=0.03)
    named = "transmission" in od["i0"].attrs["comment"]
    assert named == (kind == "transmission")


@pytest.mark.parametrize("n_energies", [6, 12])
@pytest.mark.parametrize("kind", DENSITY)
def test_optical_density_is_refused_with_the_cure(stack, kind, n_energies):
    given = as_stack(stack, DENSITY[kind](density_of(stack)))
    given = given.isel(energy=np.linspace(0, 11, n_energies).round().astype(int))
    for data in (given, given.chunk(energy=5, scan_y=20)):
        with pytest.raises(SchemaError, match=r"as_optical_density\(stack\)"):
            pk.stxm.optical_density(data)
    assert pk.stxm.optical_density(given, i0=float(given["intensity"].max()), check_kind=False)["valid"].any()


def test_a_yield_rises_with_absorption_and_is_refused(stack):
    rng = np.random.default_rng(0)
    given = as_stack(stack, rng.poisson(800 * np.maximum(1 - np.exp(-density_of(stack)), 0) + 50))
    with pytest.raises(SchemaError, match="or a yield: the pixels with the edge get brighter"):
        pk.stxm.optical_density(given)


@pytest.mark.parametrize("word", ["OD", "optical density", "Absorbance"])
def test_the_word_of_the_file_is_enough(stack, word):
    flat = as_stack(stack, np.ones(stack["intensity"].shape), units=word)
    noted = as_stack(stack, np.ones(stack["intensity"].shape), units="counts", comment=f"a; the file's unit is {word}")
    for given in (flat, noted):
        with pytest.raises(SchemaError, match=f"its values are '{word.lower()}'"):
            pk.stxm.optical_density(given)


def test_few_energies_are_told_by_values_that_scatter_about_zero(stack):
    given = as_stack(stack, density_of(stack)).isel(energy=[0, 4, 11])
    with pytest.raises(SchemaError, match="are negative"):
        pk.stxm.optical_density(given)


def test_a_stack_that_begins_on_the_edge_passes(stack):
    for first in range(4, 8):
        pk.stxm.optical_density(stack.isel(energy=slice(first, None)))


def test_vacuum_and_noise_pass():
    rng = np.random.default_rng(0)
    energy = ("energy", 700.0 + np.arange(20), {"units": "eV"})
    for seed in range(10):
        level = 1000 * (1 + 0.2 * np.random.default_rng(seed).standard_normal(20)).clip(0.3)
        counts = rng.poisson(level[:, None, None] * np.ones((20, 40, 44)))
        pk.stxm.optical_density(xr.Dataset({"intensity": (DIMS, counts)}, coords={"energy": energy}))


def test_taken_as_it_is_it_gives_the_same_map(stack):
    """The fault this was made for: optical density of optical density inverts the fraction of the phases."""
    given = as_stack(stack, density_of(stack))
    before = given.copy(deep=True)
    od, right = pk.stxm.as_optical_density(given), pk.stxm.optical_density(stack, i0=stack["truth_i0"])
    xr.testing.assert_identical(given, before)
    np.testing.assert_allclose(od["optical_density"], given["intensity"], atol=1e-6)
    inside = (stack["truth_thickness"] > 0.05).values & right["valid"].values
    assert (od["valid"].values == right["valid"].values).mean() > 0.99
    ratio = (od["noise"] / right["noise"]).values[:, inside]
    np.testing.assert_allclose(ratio.mean(), 1, atol=0.06)
    two = references().isel(reference=[0, 3])
    fractions = [pk.stxm.fit_references(data, two)["fraction"].values[..., 0] for data in (od, right)]
    np.testing.assert_allclose(*(f[inside] for f in fractions), atol=0.05)


def test_noise_that_is_given(stack):
    given = as_stack(stack, density_of(stack))
    spectrum = xr.DataArray(np.linspace(0.01, 0.02, 12), dims="energy")
    image = xr.DataArray(np.full(stack["intensity"].shape[1:], 0.03), dims=DIMS[1:])
    for noise in (0.05, spectrum, image, image * spectrum):
        od = pk.stxm.as_optical_density(given, noise=noise)
        right = noise.transpose(*[d for d in DIMS if d in noise.dims]) if isinstance(noise, xr.DataArray) else noise
        np.testing.assert_allclose(
            od["noise"], np.broadcast_to((od["noise"] * 0 + right), od["noise"].shape), rtol=1e-5
        )
    for wrong in (0.0, -1.0, spectrum[:3], spectrum.rename(energy="e")):
        with pytest.raises(SchemaError, match="noise"):
            pk.stxm.as_optical_density(given, noise=wrong)


def test_counts_are_no_optical_density(stack):
    with pytest.raises(SchemaError, match="to optical_density"):
        pk.stxm.as_optical_density(stack)


def test_lazy_chunks_files_and_lost_values(stack, tmp_path):
    values = density_of(stack)
    values[2, 20, 20] = np.nan
    given = as_stack(stack, values)
    od = pk.stxm.as_optical_density(given)
    assert od["n_missing"].values[20, 20] == 1
    assert od["valid"].values[20, 20]
    lazy = pk.stxm.as_optical_density(given.chunk(energy=5, scan_y=13))
    assert isinstance(lazy["noise"].data, da.Array)
    for name in ("optical_density", "noise", "valid", "empty"):
        np.testing.assert_allclose(lazy[name], od[name], rtol=2e-4, atol=2e-5)
    for name in ("od.nc", "od.zarr"):
        xr.testing.assert_identical(pk.io.load(pk.io.save(od, tmp_path / name)).compute(), od)
