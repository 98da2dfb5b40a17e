"""I and I0 are compared as counts per time and per ring current; noise is that of what was counted."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.stxm import IntensityWarning

N, NY, NX = 8, 36, 40
EDGE = np.exp(-((np.arange(N) - 4) ** 2) / 2)
DWELL = np.array([1, 1, 4, 4, 4, 1, 1, 2]) * 1e-3
DIMS = ("energy", "scan_y", "scan_x")


def truth():
    density = np.zeros((N, NY, NX))
    density[:, 8:28, 8:30] = 0.2 + EDGE[:, None, None]
    return density


def stack_of(density, dwell, *, current=None, dark=0.0, seed=0, rate=4e6):
    """Counts of ``rate`` photons per second at 400 mA, by dwell of energies or pixels, with dark counts per second."""
    rng = np.random.default_rng(seed)
    dwell = np.asarray(dwell, dtype=float)
    full = dwell if dwell.ndim == 3 else dwell[:, None, None]
    light = rate * (1 if current is None else np.asarray(current)[:, None, None] / 400)
    counts = rng.poisson(full * (light * np.exp(-density) + dark)).astype(float)
    energy = ("energy", 700.0 + np.arange(density.shape[0]), {"units": "eV"})
    out = xr.Dataset({"intensity": (DIMS, counts)}, coords={"energy": energy})
    out["dwell"] = ("energy", full.mean(axis=(1, 2)))
    if dwell.ndim == 3:
        out["pixel_dwell"] = (DIMS, dwell)
    return out if current is None else out.assign(ring_current=("energy", np.asarray(current)))


def error_of(od):
    return (od["optical_density"].values - truth()).mean(axis=(1, 2))


def empty_scan(dwell, **settings):
    return stack_of(np.zeros((N, 12, 14)), dwell, seed=9, **settings)


@pytest.mark.parametrize("own", [np.full(N, 1e-3), np.full(N, 0.5), DWELL[::-1].copy()])
def test_an_i0_scan_at_another_dwell(own):
    stack = stack_of(truth(), DWELL)
    for i0 in (empty_scan(own), _spectrum(empty_scan(own))):
        od = pk.stxm.optical_density(stack, i0=i0)
        assert np.abs(error_of(od)).max() < 0.01
        np.testing.assert_allclose(od["i0"], 4e6 * DWELL, rtol=0.01)


def _spectrum(scan):
    mean = scan["intensity"].mean(("scan_y", "scan_x"))
    return mean.assign_coords(dwell=("energy", scan["dwell"].values))


def test_ring_current_and_dark_counts_are_each_scaled_as_they_grow():
    current = np.linspace(400, 300, N)
    stack = stack_of(truth(), DWELL, current=current, dark=2e5)
    scan = empty_scan(np.full(N, 2e-3), current=np.linspace(250, 240, N), dark=2e5)
    dark = xr.DataArray(2e5 * DWELL, dims="energy")
    od = pk.stxm.optical_density(stack, i0=scan, dark=dark)
    assert np.abs(error_of(od)).max() < 0.01
    np.testing.assert_allclose(od["i0"], 4e6 * DWELL * current / 400, rtol=0.01)


def test_the_scan_may_have_other_energies():
    scan = empty_scan(np.full(N, 1e-3)).isel(energy=[0, 3, 7])
    assert np.abs(error_of(pk.stxm.optical_density(stack_of(truth(), DWELL), i0=scan))).max() < 0.01


def test_dwell_of_every_pixel():
    rng = np.random.default_rng(3)
    dwell = DWELL[:, None, None] * rng.uniform(0.5, 1.5, (N, NY, NX))
    stack = stack_of(truth(), dwell)
    od = pk.stxm.optical_density(stack, gain=1.0, despike_sigma=None)
    error = od["optical_density"].values - truth()
    assert np.abs(error.mean(axis=(1, 2))).max() < 0.01
    # A pixel of half the dwell has half the counts, whatever its frame is scaled to.
    np.testing.assert_allclose((error / od["noise"].values).std(axis=(1, 2)), 1, atol=0.06)
    lazy = pk.stxm.optical_density(stack.chunk(energy=3, scan_y=10), gain=1.0, despike_sigma=None)
    assert isinstance(lazy["optical_density"].data, da.Array)
    np.testing.assert_allclose(lazy["optical_density"], od["optical_density"], atol=1e-5)
    measured = pk.stxm.optical_density(stack)
    np.testing.assert_allclose(measured["gain"], 1, atol=0.5)


def test_alignment_keeps_counts_and_dwell_together():
    rng = np.random.default_rng(4)
    column = np.linspace(0.7, 1.3, NX) * np.ones((N, NY, NX))
    moved = np.stack([np.roll(frame, step, axis=1) for frame, step in zip(truth(), rng.integers(0, 3, N), strict=True)])
    aligned = pk.stxm.align(stack_of(moved, DWELL[:, None, None] * column), progress=False)
    od = pk.stxm.optical_density(aligned, i0=empty_scan(np.full(N, 1e-3)))
    inside = od["optical_density"].values[:, 12:24, 14:24]
    np.testing.assert_allclose(inside.mean(axis=(1, 2)), 0.2 + EDGE, atol=0.02)


def test_only_one_states_a_dwell():
    stack, scan = stack_of(truth(), DWELL), empty_scan(np.full(N, 1e-3))
    with pytest.warns(IntensityWarning, match=r"dwell of the stack changes from 0.001 to 0.004 s .* i0 states none"):
        pk.stxm.optical_density(stack, i0=scan.drop_vars("dwell"))
    with pytest.warns(IntensityWarning, match=r"dwell of i0 changes .* the stack states none"):
        pk.stxm.optical_density(stack_of(truth(), np.full(N, 1e-3)).drop_vars("dwell"), i0=empty_scan(DWELL))
    with pytest.warns(IntensityWarning):
        pk.stxm.optical_density(stack, i0=4000.0)
    # A constant factor is a constant in optical density: nothing to say.
    pk.stxm.optical_density(stack_of(truth(), np.full(N, 1e-3)), i0=scan.drop_vars("dwell"))
    # An I0 of the stack itself was exposed as its frames were.
    assert np.abs(error_of(pk.stxm.optical_density(stack))).max() < 0.01


def test_dwell_that_was_not_recorded_is_not_used():
    stack = stack_of(truth(), np.full(N, 1e-3))
    scan = empty_scan(np.full(N, 1e-3)).assign(dwell=("energy", np.zeros(N)))
    assert np.abs(error_of(pk.stxm.optical_density(stack, i0=scan))).max() < 0.01


def test_dark_as_number_spectrum_and_frame():
    dark = 300.0
    frame = np.linspace(200, 400, NX) * np.ones((NY, 1))
    stack = stack_of(truth(), np.full(N, 1e-3))
    one = stack.assign(intensity=stack["intensity"] + dark)
    two = stack.assign(intensity=stack["intensity"] + xr.DataArray(frame, dims=("scan_y", "scan_x")))
    places = {"scan_y": np.arange(NY) * 9.0, "scan_x": np.arange(NX) * 9.0}
    spectrum = xr.DataArray(np.full(N, dark), dims="energy", coords={"energy": np.arange(N)})
    shifted = xr.DataArray(frame, dims=("scan_y", "scan_x"), coords=places)
    for given, value in ((one, dark), (one, spectrum), (two, shifted), (two, shifted.transpose())):
        od = pk.stxm.optical_density(given, dark=value)
        assert {dim: od.sizes[dim] for dim in stack.dims} == dict(stack.sizes)
        assert np.abs(error_of(od)).max() < 0.01
    for wrong in (spectrum.rename(energy="e"), spectrum[:3], shifted[:5]):
        with pytest.raises(SchemaError, match="dark has"):
            pk.stxm.optical_density(one, dark=wrong)


def test_dark_counts_are_noise_as_well():
    stack = stack_of(np.full((N, NY, NX), 1.5), np.full(N, 1e-3), dark=2e6)
    od = pk.stxm.optical_density(stack, i0=4000.0 + 2000.0, dark=2000.0)
    scatter = od["optical_density"].std(("scan_y", "scan_x"))
    np.testing.assert_allclose(od["noise"].mean(("scan_y", "scan_x")), scatter, rtol=0.12)


@pytest.mark.parametrize("photons", [6.0, 15.0, 30.0, 100.0])
def test_the_logarithm_of_few_counts_is_not_biased(photons):
    rng = np.random.default_rng(0)
    energy = ("energy", 700.0 + np.arange(4), {"units": "eV"})
    counts = xr.DataArray(rng.poisson(photons, (4, 80, 90)).astype(float), dims=DIMS, coords={"energy": energy})
    od = pk.stxm.optical_density(xr.Dataset({"intensity": counts}), i0=photons, gain=1.0)
    assert abs(float(od["optical_density"].mean())) < 0.2 / photons


def test_no_light_at_all_names_the_cure():
    rng = np.random.default_rng(0)
    energy = ("energy", 700.0 + np.arange(4), {"units": "eV"})
    dim = xr.Dataset({"intensity": (DIMS, rng.poisson(2.0, (4, 30, 30)).astype(float))}, coords={"energy": energy})
    with pytest.raises(SchemaError, match="max_od"):
        pk.stxm.optical_density(dim, i0=900.0)
    shares = stack_of(truth(), np.full(N, 1e-3))
    shares = shares.assign(intensity=shares["intensity"] / 4000).drop_vars("dwell")
    with pytest.raises(SchemaError, match="1 for a transmission"):
        pk.stxm.optical_density(shares, i0=4000.0)
    od = pk.stxm.optical_density(shares, i0=1.0)
    assert "transmission" in od["i0"].attrs["comment"]
    assert np.abs(error_of(od)).max() < 0.01
