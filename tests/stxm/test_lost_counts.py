"""Dead pixels, lost frames and saturated readings: flagged where they are, harmless elsewhere, named when fatal."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def stack():
    return pk.synthetic.stxm_stack(shape=(40, 56), n_particles=3, seed=5)


def damaged(stack: xr.Dataset, place: tuple, value: float) -> xr.Dataset:
    counts = stack["intensity"].values.astype(np.float64)
    counts[place] = value
    return stack.assign(intensity=(stack["intensity"].dims, counts))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_dead_pixel_costs_itself_and_its_neighbours_only(stack, value):
    bad = damaged(stack, np.s_[:, 12, 20], value)
    whole = pk.stxm.optical_density(pk.stxm.align(stack, progress=False))
    od = pk.stxm.optical_density(pk.stxm.align(bad, progress=False))
    lost = whole["valid"].values & ~od["valid"].values
    # The drift moves the dead pixel over the field: each place lacks a few energies and keeps the others.
    missing = od["n_missing"].values - whole["n_missing"].values
    assert missing[12, 20] > 0
    assert (missing > 0).sum() < 80
    assert not (missing[:6] > 0).any()
    assert lost.sum() <= (missing > 0).sum()
    assert np.isfinite(od["noise"].values[:, od["valid"].values]).all()


def test_a_dead_pixel_does_not_stop_the_fit(stack):
    od = pk.stxm.optical_density(damaged(stack, np.s_[:, 12, 20], np.nan))
    fit = pk.stxm.fit_references(od, pk.synthetic.vanadium_references())
    assert np.isnan(fit["amount"].values[12, 20]).all()
    assert np.isfinite(fit["amount"].values[12, 30]).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_dark_frame_is_a_failed_one_and_optical_density_names_the_cure(stack, value):
    bad = damaged(stack, np.s_[2], value)
    aligned = pk.stxm.align(bad, progress=False)
    assert aligned["frame_status"].values.tolist() == [2 * (index == 2) for index in range(bad.sizes["energy"])]
    for given in (bad, aligned):
        with pytest.raises(SchemaError, match=r"no counts at all in frame 2 .*isel\(energy=\[0, 1, 3"):
            pk.stxm.optical_density(given)


def test_a_pixel_that_lacks_an_energy_stays_usable(stack):
    bad = damaged(stack, np.s_[3, 12:15, 20:23], np.nan)
    od = pk.stxm.optical_density(bad)
    whole = pk.stxm.optical_density(stack)
    assert od["n_missing"].values[13, 21] == 1
    assert od["valid"].values[13, 21]
    assert np.isnan(od["optical_density"].values[3, 13, 21])
    assert np.isfinite(np.delete(od["optical_density"].values[:, 13, 21], 3)).all()
    changed = (od["empty"] != whole["empty"]) | (od["valid"] != whole["valid"])
    assert int(changed.sum()) <= 3


def test_a_pixel_that_lacks_most_energies_is_not_valid(stack):
    n = stack.sizes["energy"]
    for lost, valid in ((n // 2, True), (n // 2 + 1, False)):
        od = pk.stxm.optical_density(damaged(stack, np.s_[:lost, 12, 20], np.nan))
        assert bool(od["valid"].values[12, 20]) is valid
        assert od["n_missing"].values[12, 20] == lost


@pytest.mark.parametrize("n_energies", [1, 2, 3])
def test_few_energies_are_all_needed(stack, n_energies):
    few = damaged(stack, np.s_[0, 12, 20], np.nan).isel(energy=slice(n_energies))
    od = pk.stxm.optical_density(few)
    assert not od["valid"].values[12, 20]
    assert od["valid"].values[30, 50]


@pytest.fixture(scope="module")
def scattered(stack):
    """A stack in which one value in fifty is lost, so that a quarter of the pixels lack some energy."""
    lost = np.random.default_rng(1).random(stack["intensity"].shape) < 0.02
    return damaged(stack, lost, np.nan)


def test_every_step_keeps_scattered_losses_to_themselves(stack, scattered):
    od, whole = pk.stxm.optical_density(scattered), pk.stxm.optical_density(stack)
    lost = np.isnan(od["optical_density"].values)
    assert 0.1 < float((od["n_missing"] > 0).mean()) < 0.4
    assert float((od["valid"] == whole["valid"]).mean()) > 0.99
    region = (float(stack["energy"][0]) - 1, float(stack["energy"][2]) + 0.1)
    steps = {
        "smooth": lambda data: pk.stxm.smooth_od(data, 0.8),
        "pre-edge": lambda data: pk.stxm.subtract_pre_edge(data, region),
        "stray": lambda data: pk.stxm.remove_stray_light(data, 0.02),
    }
    for step in steps.values():
        found, right = step(od)["optical_density"].values, step(whole)["optical_density"].values
        np.testing.assert_array_equal(np.isnan(found), lost | np.isnan(right))
        use = np.isfinite(found) & od["valid"].values
        # A step that took a lost value for 0 would be wrong by the optical density itself.
        assert np.abs(found - right)[use].max() < 0.25
        assert np.sqrt(np.mean((found - right)[use] ** 2)) < 0.02


def test_clusters_use_pixels_that_lack_an_energy(stack, scattered):
    training = pk.stxm.Training(n_steps=80, batch=256)
    od = pk.stxm.optical_density(scattered).compute()
    gmvae = pk.stxm.fit_gmvae(od, n_clusters=4, seed=0, progress=False, training=training)
    clusters = pk.stxm.assign_clusters(od, gmvae)
    material = (od["valid"] & ~od["empty"]).values
    assert np.isfinite(clusters["responsibility"].values[material]).all()
    used = clusters["share"].values > 0.01
    assert np.isfinite(clusters["spectrum"].values[used]).all()
    assert np.isfinite(clusters["spectrum_error"].values[used]).all()
    # The same network gives a pixel the same cluster with one energy less, as far as it was sure.
    whole = pk.stxm.optical_density(stack).compute()
    full = pk.stxm.assign_clusters(whole, gmvae)
    sure = material & (full["responsibility"].max("cluster") > 0.99).values & (od["n_missing"] > 0).values
    assert (clusters["label"] == full["label"]).values[sure].mean() > 0.9
    lazy = pk.stxm.assign_clusters(pk.stxm.optical_density(scattered.chunk(scan_y=11)), gmvae).compute()
    np.testing.assert_allclose(lazy["spectrum"].values[used], clusters["spectrum"].values[used], atol=1e-4)
