"""Hot and dead readings are replaced; structure of the sample is not; their number is in the result."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk

NY, NX, N = 40, 44, 12
EDGE = np.exp(-((np.arange(N) - 6) ** 2) / 4)


def stack_of(density, photons=2000.0, gain=1.0, seed=0):
    rng = np.random.default_rng(seed)
    counts = gain * rng.poisson(photons / gain * np.exp(-density)).astype(float)
    energy = ("energy", 700.0 + np.arange(density.shape[0]), {"units": "eV"})
    return xr.Dataset({"intensity": (("energy", "scan_y", "scan_x"), counts)}, coords={"energy": energy})


def with_events(stack, n=60, value=None, seed=1):
    """The stack with single readings far above the light, or dead, none beside another."""
    rng = np.random.default_rng(seed)
    counts = stack["intensity"].values.copy()
    hit = np.zeros(counts.shape, dtype=bool)
    while hit.sum() < n:
        e, y, x = (int(rng.integers(1, size - 1)) for size in counts.shape)
        if not hit[e - 1 : e + 2, y - 1 : y + 2, x - 1 : x + 2].any():
            hit[e, y, x] = True
    counts[hit] = counts.max() * 2 if value is None else value
    return stack.assign(intensity=(stack["intensity"].dims, counts)), hit


@pytest.mark.parametrize(
    ("photons", "gain", "value"), [(2000, 1.0, None), (2000, 1.0, 0.0), (300, 0.1, None), (60, 1.0, None)]
)
def test_every_event_is_replaced_and_counted(photons, gain, value):
    clean = stack_of(np.zeros((N, NY, NX)), photons, gain)
    bad, hit = with_events(clean, value=value)
    od = pk.stxm.optical_density(bad, i0=float(photons))
    error = np.abs(od["optical_density"].values) / od["noise"].values
    assert error[hit].max() < 6
    assert int(od["n_replaced"].sum()) == hit.sum()
    np.testing.assert_array_equal(od["n_replaced"], hit.sum(axis=(1, 2)))
    aligned = pk.stxm.align(bad, progress=False)
    assert int(aligned["n_replaced"].sum()) == hit.sum()
    again = pk.stxm.optical_density(aligned, i0=float(photons))
    np.testing.assert_array_equal(again["n_replaced"], aligned["n_replaced"])
    assert int(pk.stxm.optical_density(bad, i0=float(photons), despike_sigma=None)["n_replaced"].sum()) == 0


@pytest.mark.parametrize("amount", [0.8, 1.6])
def test_a_particle_of_one_pixel_is_structure(amount):
    density = np.zeros((N, NY, NX))
    density[:, 10::8, 10::8] = amount * EDGE[:, None, None]
    od = pk.stxm.optical_density(stack_of(density), i0=2000.0)
    assert int(od["n_replaced"].sum()) == 0


def test_a_pinhole_is_structure_and_more_than_the_light_is_not():
    density = np.full((N, NY, NX), 1.0)
    density[:, :8] = 0.0
    density[:, 20, 20] = 0.2
    stack = stack_of(density)
    assert int(pk.stxm.optical_density(stack, i0=2000.0)["n_replaced"].sum()) == 0
    stack["intensity"][:, 30, 30] = 9000.0
    od = pk.stxm.optical_density(stack, i0=2000.0)
    np.testing.assert_array_equal(od["n_replaced"], 1)
    assert np.abs(od["optical_density"].values[:, 30, 30] - 1).max() < 0.2


def test_any_chunking_gives_the_same_and_stays_lazy():
    bad, _ = with_events(stack_of(np.zeros((N, NY, NX)) + EDGE[:, None, None] * np.linspace(0, 1, NX)))
    whole = pk.stxm.optical_density(bad, i0=2000.0)
    for chunks in ({"energy": 1, "scan_y": 17}, {"energy": 5, "scan_x": 9}, {"energy": -1}):
        lazy = pk.stxm.optical_density(bad.chunk(chunks), i0=2000.0)
        assert isinstance(lazy["n_replaced"].data, da.Array)
        np.testing.assert_array_equal(lazy["n_replaced"], whole["n_replaced"])
        np.testing.assert_allclose(lazy["optical_density"], whole["optical_density"], atol=1e-6)


def test_a_single_image_has_no_neighbours_and_loses_its_events_all_the_same():
    bad, hit = with_events(stack_of(np.zeros((3, NY, NX))), n=10)
    index = int(np.argmax(hit.sum(axis=(1, 2))))
    od = pk.stxm.optical_density(bad.isel(energy=[index]), i0=2000.0)
    assert int(od["n_replaced"].sum()) == hit[index].sum()
