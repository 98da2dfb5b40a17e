"""Noise measured on a stack: white, interpolated, smoothed, scaled; against the spread of repeated stacks."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

import phasekit as pk
from phasekit.errors import NoiseSource, SchemaError

ENERGIES = {4: np.array([700.0, 707.7, 709.5, 720.0]), 10: np.linspace(700, 730, 10), 40: np.linspace(700, 730, 40)}
SHAPE = (56, 64)


def as_stack(counts, energy):
    return xr.Dataset(
        {"intensity": (("energy", "scan_y", "scan_x"), counts, {"units": "counts"})},
        coords={"energy": ("energy", energy, {"units": "eV"})},
    )


def transmission(energy, seed=0):
    """Particles of two phases, some of them mixed, in vacuum."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    amount = np.zeros((2, *SHAPE))
    for number in range(9):
        centre, radius = rng.uniform(0, SHAPE), rng.uniform(4, 10)
        disk = rng.uniform(0.2, 0.8) * np.clip(1.5 - np.hypot(y - centre[0], x - centre[1]) / radius, 0, 1)
        share = rng.uniform(0, 0.4)
        amount[number % 2] += (1 - share) * disk
        amount[1 - number % 2] += share * disk
    step = 0.1 + 0.3 / (1 + np.exp(-(energy - 709)))
    peaks = [np.exp(-((energy - centre) ** 2) / 2) for centre in (709.5, 707.7)]
    density = np.einsum("ke,kyx->eyx", [step + peak for peak in peaks], amount)
    return ndimage.gaussian_filter(np.exp(-density), (0, 0.8, 0.8))


def interpolate(counts, order, seed=7):
    """Move every frame by its own fraction of a pixel."""
    shifts = np.random.default_rng(seed).uniform(-0.5, 0.5, (len(counts), 2))
    return np.stack(
        [ndimage.shift(frame, s, order=order, mode="nearest") for frame, s in zip(counts, shifts, strict=True)]
    )


TREATMENTS = {
    "none": lambda counts: counts,
    "linear": lambda counts: interpolate(counts, 1),
    "cubic": lambda counts: interpolate(counts, 3),
    "smooth": lambda counts: ndimage.gaussian_filter(counts, (0, 0.8, 0.8)),
    "binned": lambda counts: counts.reshape(len(counts), SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).sum(axis=(2, 4)),
    "scaled": lambda counts: 0.13 * counts,
}


def true_gain(mean, treat, n=30):
    """Variance over mean by energy, from repeated stacks, without the rim."""
    rng = np.random.default_rng(99)
    repeats = np.stack([treat(rng.poisson(mean).astype(float)) for _ in range(n)])[..., 2:-2, 2:-2]
    return (repeats.var(axis=0, ddof=1) / repeats.mean(axis=0)).mean(axis=(1, 2))


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize(("n", "photons"), [(4, 1000), (10, 15), (10, 20000), (40, 100)])
def test_noise_is_the_spread_of_repeated_stacks(n, photons, treatment):
    treat, mean = TREATMENTS[treatment], photons * transmission(ENERGIES[n])
    noise = pk.stxm.estimate_noise(as_stack(treat(np.random.default_rng(1).poisson(mean).astype(float)), ENERGIES[n]))
    truth = true_gain(mean, treat)
    # Standard deviations: half the relative difference of the variances.
    ratio = np.sqrt(noise["gain"].values / truth)
    # 28 x 32 pixels after binning are few flat ones.
    assert np.sqrt(float(noise["gain"].mean()) / truth.mean()) == pytest.approx(
        1, abs=0.15 if treatment == "binned" else 0.1
    )
    assert np.std(ratio) < 0.15
    white = treatment in ("none", "binned", "scaled")
    assert not white or abs(float(noise["noise_correlation"])) < 4 * float(noise["noise_correlation_error"])
    assert white or int(noise["noise_source"]) == NoiseSource.LOW_RANK


def test_all_estimators_are_reported_and_neighbours_are_too_low_after_an_interpolation():
    mean = 1000 * transmission(ENERGIES[40])
    counts = interpolate(np.random.default_rng(1).poisson(mean).astype(float), 1)
    noise = pk.stxm.estimate_noise(as_stack(counts, ENERGIES[40]))
    assert noise["estimator"].values.tolist() == ["neighbours", "distant", "energies", "low_rank"]
    near, rank = (float(noise["noise_estimate"].sel(estimator=name)) for name in ("neighbours", "low_rank"))
    assert near < 0.85 * rank
    assert (noise["noise_estimate_error"] > 0).all()
    assert (noise["gain_error"] < 0.3 * noise["gain"]).all()


def test_optical_density_uses_the_measured_noise_and_says_so():
    energy = ENERGIES[10]
    mean = 5000 * transmission(energy)
    counts = interpolate(np.random.default_rng(3).poisson(mean).astype(float), 1)
    od = pk.stxm.optical_density(as_stack(counts, energy), i0=5000.0)
    repeats = np.random.default_rng(4)
    spread = np.std([-np.log(interpolate(repeats.poisson(mean).astype(float), 1) / 5000) for _ in range(20)], axis=0)
    inner = np.s_[:, 3:-3, 3:-3]
    assert np.median(od["noise"].values[inner]) == pytest.approx(np.median(spread[inner]), rel=0.1)
    assert od["noise_source"].attrs["flag_meanings"].split()[int(od["noise_source"])] == "low_rank"
    assert {"gain_error", "noise_estimate", "noise_estimate_error", "noise_correlation"} <= set(od)


def test_a_given_gain_wins_and_align_keeps_its_own(stack):
    given = pk.stxm.optical_density(stack, gain=2.0)
    assert int(given["noise_source"]) == NoiseSource.GIVEN
    assert (given["gain"] == 2.0).all()
    aligned = pk.stxm.align(stack, progress=False)
    od = pk.stxm.optical_density(aligned)
    assert int(od["noise_source"]) == NoiseSource.ALIGNED
    xr.testing.assert_equal(od["gain"], aligned["gain"])


def test_what_align_predicts_is_what_is_measured_afterwards():
    mean = 2000 * transmission(ENERGIES[10])
    drift = np.random.default_rng(5).uniform(-1, 1, (10, 2))
    moved = np.stack([ndimage.shift(frame, d, mode="nearest") for frame, d in zip(mean, drift, strict=True)])
    stack = as_stack(np.random.default_rng(1).poisson(np.clip(moved, 0, None)).astype(float), ENERGIES[10])
    aligned = pk.stxm.align(stack, order=1, progress=False)
    measured = pk.stxm.estimate_noise(aligned)
    predicted = aligned["gain"] * aligned["noise_factor"]
    assert float(np.sqrt(measured["gain"].mean() / predicted.mean())) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("damage", ["hot", "lost", "drift"])
def test_damaged_stacks_have_the_noise_of_whole_ones(damage):
    mean = 500 * transmission(ENERGIES[10])
    rng = np.random.default_rng(2)
    counts = rng.poisson(mean).astype(float)
    if damage == "drift":
        counts = np.stack([np.roll(frame, rng.integers(-1, 2, 2), axis=(0, 1)) for frame in counts])
    place = rng.random(counts.shape) < 0.002
    counts[place] = {"hot": 20000.0, "lost": np.nan, "drift": counts[place]}[damage]
    gain = pk.stxm.estimate_noise(as_stack(counts, ENERGIES[10]))["gain"]
    assert float(np.sqrt(gain.mean())) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_tiny_fields_and_few_energies_still_have_a_noise(n):
    counts = np.random.default_rng(0).poisson(400.0, (n, 10, 10)).astype(float)
    noise = pk.stxm.estimate_noise(as_stack(counts, 700.0 + np.arange(n)))
    assert float(np.sqrt(noise["gain"].mean())) == pytest.approx(1, abs=0.3)


def test_a_frame_without_light_has_no_gain_and_does_not_spoil_the_others():
    counts = np.random.default_rng(0).poisson(400.0, (6, 40, 40)).astype(float)
    counts[2] = 0
    gain = pk.stxm.estimate_noise(as_stack(counts, 700.0 + np.arange(6)))["gain"]
    assert np.isnan(gain).values.tolist() == [False, False, True, False, False, False]
    assert float(gain.mean()) == pytest.approx(1, abs=0.15)
    with pytest.raises(SchemaError, match=r"estimate_noise: no frame .* Check dark="):
        pk.stxm.estimate_noise(as_stack(counts, 700.0 + np.arange(6)), dark=1e6)


def test_a_frame_that_is_there_twice_has_the_same_gain_and_changes_no_other():
    counts = interpolate(np.random.default_rng(1).poisson(900 * transmission(ENERGIES[10])).astype(float), 1)
    stack = as_stack(counts, ENERGIES[10])
    once = pk.stxm.estimate_noise(stack)["gain"].values
    twice = pk.stxm.estimate_noise(stack.isel(energy=[0, 1, 2, 2, *range(3, 10)]))["gain"].values
    np.testing.assert_array_equal(twice, once[[0, 1, 2, 2, *range(3, 10)]])


def test_dark_counts_are_no_mean():
    counts = np.random.default_rng(0).poisson(400.0, (4, 40, 40)) + 300.0
    gain = pk.stxm.estimate_noise(as_stack(counts, 700.0 + np.arange(4)), dark=300)["gain"]
    assert float(gain.mean()) == pytest.approx(1, abs=0.12)


def test_any_chunking_same_answer_input_untouched_and_round_trip(tmp_path):
    counts = interpolate(np.random.default_rng(1).poisson(300 * transmission(ENERGIES[10])).astype(float), 1)
    stack = as_stack(counts, ENERGIES[10])
    before = stack.copy(deep=True)
    noise = pk.stxm.estimate_noise(stack)
    xr.testing.assert_identical(stack, before)
    lazy = stack.chunk({"energy": 3, "scan_y": 17, "scan_x": 20})
    assert isinstance(lazy["intensity"].data, da.Array)
    xr.testing.assert_allclose(pk.stxm.estimate_noise(lazy), noise, rtol=1e-5)
    pk.io.save(noise, tmp_path / "noise.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "noise.nc").compute(), noise)


def test_another_unit_of_the_counts_scales_the_gain_and_not_the_noise():
    counts = interpolate(np.random.default_rng(1).poisson(300 * transmission(ENERGIES[10])).astype(float), 1)
    one, other = (pk.stxm.estimate_noise(as_stack(factor * counts, ENERGIES[10])) for factor in (1.0, 1024.0))
    np.testing.assert_allclose(other["gain"], 1024 * one["gain"], rtol=1e-5)
    np.testing.assert_allclose(other["noise_estimate"], one["noise_estimate"], rtol=1e-5)


def test_a_dataset_that_is_no_stack_is_refused():
    with pytest.raises(SchemaError, match=r"estimate_noise: 'stack' has no variable 'intensity'"):
        pk.stxm.estimate_noise(xr.Dataset())


def test_random_positions_make_noise_where_the_specimen_is_steep():
    """Every pixel of every frame is measured 0.15 px away from its place."""
    energy, rng = ENERGIES[40], np.random.default_rng(6)
    sharp = transmission(energy)
    places = [np.add(np.mgrid[: SHAPE[0], : SHAPE[1]], rng.normal(0, 0.15, (2, *SHAPE))) for _ in energy]
    moved = [
        ndimage.map_coordinates(frame, at, order=3, mode="nearest") for frame, at in zip(sharp, places, strict=True)
    ]
    still, shaken = (rng.poisson(20000 * np.clip(mean, 0, None)).astype(float) for mean in (sharp, np.stack(moved)))
    assert float(pk.stxm.estimate_noise(as_stack(still, energy))["position_noise"]) == 0
    found = pk.stxm.estimate_noise(as_stack(shaken, energy))
    assert float(found["position_noise"]) == pytest.approx(0.15, abs=0.03)
    od = pk.stxm.optical_density(as_stack(shaken, energy), i0=20000.0)
    error = od["optical_density"].values + np.log(sharp)
    chi = (error / od["noise"].values)[:, 3:-3, 3:-3]
    steep = np.hypot(*np.gradient(np.log(sharp), axis=(1, 2)))[:, 3:-3, 3:-3] > 0.05
    assert 1.4826 * np.median(np.abs(chi[steep])) == pytest.approx(1, abs=0.2)
    assert 1.4826 * np.median(np.abs(chi[~steep])) == pytest.approx(1, abs=0.1)
