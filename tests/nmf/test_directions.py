"""Directions that held-out electrons and neighbours confirm: law of noise, pure noise of every kind, weak patterns."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.nmf.rank_selection.noise_law import DEVIATION, MEAN, compute_edge, compute_log_density

SHAPE, DETECTOR = (20, 24), (24, 24)


def patterns_of(counts):
    units = {"scan_y": "nm", "scan_x": "nm", "qy": "px", "qx": "px"}
    coords = {d: (d, np.arange(float(n)), {"units": units[d]}) for d, n in zip(units, counts.shape, strict=True)}
    return xr.Dataset({"intensity": (tuple(units), counts.astype(np.float32), {"units": "counts"})}, coords=coords)


def one_pattern(dose, rng):
    """Expected counts of a ring behind a specimen of uneven thickness."""
    q = np.hypot(*(np.indices(DETECTOR) - 11.5))
    pattern = np.exp(-q / 4) + 0.05 + 0.3 * np.exp(-(((q - 7) / 1.5) ** 2))
    thickness = 1 + 0.5 * np.sin(np.linspace(0, 6, SHAPE[0]))[:, None] * np.cos(np.linspace(0, 4, SHAPE[1]))
    return dose * (thickness / thickness.mean())[..., None, None] * pattern / pattern.sum()


def add_grains(mean, maps, rng):
    """Counts of expected ones with a second pattern of spots, of so many electrons as ``maps`` (y, x) says."""
    spots = np.zeros(DETECTOR)
    spots[4::5, 3::6] = 1
    return rng.poisson(mean + maps[..., None, None] * spots / spots.sum())


def scan_of(patterns, ranks=range(1, 7), **settings):
    features = pk.nmf.to_features(patterns, mask=None, **settings)
    return pk.nmf.scan_ranks(features, ranks, n_runs=5, metrics=(), progress=False)


@pytest.mark.parametrize("n", [6, 12, 32])
def test_the_largest_eigenvalue_of_noise_follows_the_law(n):
    """The centre may be off by 0.05 at n = 6; the rest is the scatter of 2000 draws."""
    rng = np.random.default_rng(n)
    noise = rng.standard_normal((2000, n, n))
    largest = np.linalg.eigvalsh((noise + noise.transpose(0, 2, 1)) / np.sqrt(2))[:, -1]
    edge = compute_edge(n)
    x = (largest - edge.centre) / edge.scale
    assert abs(x.mean() - MEAN) < 0.05 + 4 * DEVIATION / np.sqrt(2000)
    assert abs(x.std() / DEVIATION - 1) < 4 / np.sqrt(4000) + 0.05
    grid = np.linspace(-9, 9, 3601)
    above = 1 - np.cumsum(np.exp(compute_log_density(grid))) * (grid[1] - grid[0])
    assert abs((x > grid[np.argmax(above < 0.05)]).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000) + 0.01


def test_the_mean_of_several_values_has_a_narrower_law():
    x = np.linspace(-12, 8, 4001)
    for n in (1, 5):
        density = np.exp(compute_log_density(x, n))
        centre = np.trapezoid(x * density, x)
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-3)
        assert centre == pytest.approx(MEAN, abs=1e-2)
        assert np.sqrt(np.trapezoid((x - centre) ** 2 * density, x)) == pytest.approx(DEVIATION / np.sqrt(n), rel=1e-2)


def double(mean, rng):
    return 2.0 * rng.poisson(mean)


def disperse(mean, rng):
    return rng.poisson(mean * rng.gamma(5, 1 / 5, mean.shape))


def share(mean, rng):
    counts = rng.poisson(mean)
    return counts + np.roll(rng.binomial(counts, 0.3), 1, 3)


def vary_rows(mean, rng):
    """Every detector row has another gain at every scan point, by 10 %; on average it is 1: no pattern is added."""
    return rng.poisson(mean * rng.gamma(100, 1 / 100, (*mean.shape[:3], 1)))


def ideal(mean, rng):
    return rng.poisson(mean)


@pytest.mark.parametrize("dose", [60, 3000])
@pytest.mark.parametrize("detect", [ideal, double, disperse, share, vary_rows])
def test_noise_of_any_detector_is_no_component(detect, dose):
    rng = np.random.default_rng(3)
    ranks = scan_of(patterns_of(np.asarray(detect(one_pattern(dose, rng), rng))))
    assert pk.nmf.choose_rank(ranks) == 1
    assert (np.diff(ranks["log_evidence"]) < 0).all()


def test_counts_that_the_detector_adds_everywhere_are_a_pattern_of_their_own():
    """The specimen's thickness varies and the added level does not: two maps, two patterns."""
    rng = np.random.default_rng(3)
    level = 2.0
    ranks = scan_of(patterns_of(rng.poisson(one_pattern(3000, rng)) + rng.poisson(level, (*SHAPE, *DETECTOR))))
    assert pk.nmf.choose_rank(ranks) == 2


@pytest.mark.parametrize("settings", [{"bin": 2}, {"scale": None}, {"scale": "anscombe"}])
def test_noise_in_any_preparation_is_no_component(settings):
    rng = np.random.default_rng(4)
    ranks = scan_of(patterns_of(rng.poisson(one_pattern(500, rng))), **settings)
    assert pk.nmf.choose_rank(ranks) == 1


def test_a_pattern_that_costs_more_than_it_gains_is_still_counted():
    """Between the edge of the noise and where it pays to fit it: the held-out error alone misses it."""
    rng = np.random.default_rng(5)
    mean = one_pattern(300, rng)
    weak = np.zeros(SHAPE)
    weak[6:12, 8:14] = 15
    ranks = scan_of(patterns_of(add_grains(mean, weak, rng)))
    votes = pk.nmf.rank_votes(ranks)
    assert int(votes["vote"].sel(rule="combined")) == 2
    assert int(votes["vote"].sel(rule="held_out")) == 1


def test_single_scan_points_are_found_by_the_electrons_alone():
    """Particles smaller than the scan step: no neighbour shows them, many electrons do."""
    rng = np.random.default_rng(6)
    mean = one_pattern(400, rng)
    where = np.where(rng.permutation(SHAPE[0] * SHAPE[1]).reshape(SHAPE) < 30, 200, 0)
    ranks = scan_of(patterns_of(add_grains(mean, where, rng)))
    assert pk.nmf.choose_rank(ranks) == 2
    assert float(ranks["neighbour_excess"].sel(rank=2)) < 3 < float(ranks["electron_excess"].sel(rank=2))


def test_more_electrons_make_the_answer_surer():
    rng = np.random.default_rng(7)
    chance = [
        float(pk.nmf.rank_votes(scan_of(patterns_of(rng.poisson(one_pattern(dose, rng)))))["probability"].max())
        for dose in (60, 600, 6000)
    ]
    assert chance[0] < chance[1] < chance[2]


def test_ranks_with_gaps_and_beyond_what_the_data_hold():
    rng = np.random.default_rng(8)
    patterns = patterns_of(rng.poisson(one_pattern(500, rng))).isel(scan_y=slice(3), scan_x=slice(6))
    ranks = scan_of(patterns, ranks=[1, 3, 9])
    assert np.isfinite(ranks["log_evidence"]).all()
    assert pk.nmf.choose_rank(ranks) == 1


def test_a_loss_that_never_falls_has_no_knee_and_the_others_vote():
    rng = np.random.default_rng(10)
    ranks = scan_of(patterns_of(rng.poisson(one_pattern(60, rng))))
    rising = ranks.assign(loss=ranks["loss"].copy(data=np.sort(ranks["loss"], axis=0)))
    votes = pk.nmf.rank_votes(rising)
    assert "published" not in votes["rule"]
    assert "window_low" not in votes.attrs
    assert int(votes["vote"].sel(rule="combined")) == 1
    pk.viz.nmf.ranks_figure(rising)
    with pytest.raises(pk.errors.SchemaError, match="the loss never falls"):
        pk.nmf.choose_rank(rising, rule="published")


def test_a_scan_along_one_line():
    rng = np.random.default_rng(9)
    counts = rng.poisson(one_pattern(500, rng)).reshape(1, -1, *DETECTOR)
    assert pk.nmf.choose_rank(scan_of(patterns_of(counts))) == 1


def test_a_pattern_too_weak_for_single_points_shows_in_sums_of_them():
    rng = np.random.default_rng(11)
    mean = np.tile(one_pattern(60, rng), (2, 2, 1, 1))
    weak = np.zeros(mean.shape[:2])
    weak[9:27, 9:27] = 1.7
    patterns = patterns_of(add_grains(mean, weak, rng))
    features = pk.nmf.to_features(patterns, mask=None)
    votes = pk.nmf.rank_votes(pk.nmf.scan_ranks(features, range(1, 5), metrics=(), progress=False))
    assert int(votes["vote"].sel(rule="combined")) == 2
    assert int(votes["vote"].sel(rule="held_out")) == 1


def test_blocks_and_files_give_the_same_evidence():
    """Sums run over other blocks: single precision of a few thousand terms."""
    rng = np.random.default_rng(12)
    patterns = patterns_of(rng.poisson(one_pattern(300, rng)))
    whole, lazy = (
        pk.nmf.scan_ranks(pk.nmf.to_features(scan, mask=None), [1, 2, 3], n_runs=2, in_memory=how, progress=False)
        for scan, how in ((patterns, True), (patterns.chunk(scan_y=7, qx=9), False))
    )
    np.testing.assert_allclose(lazy["log_evidence"], whole["log_evidence"], rtol=1e-2, atol=1e-2)


def test_ranks_that_do_not_reach_into_noise_are_called_an_edge():
    scan = pk.synthetic.overlapping_grains(n_components=6, shape=(24, 24), detector=(32, 32), dose=5000)
    votes = pk.nmf.rank_votes(pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(1, 5), metrics=(), progress=False))
    assert votes.attrs["at_edge"] == 1


@pytest.mark.parametrize(("points", "match"), [((2, 2), "half of them is held out"), ((4, 5), "needs 1 to 10")])
def test_a_scan_of_few_points_says_that_half_is_held_out(points, match):
    rng = np.random.default_rng(13)
    patterns = patterns_of(rng.poisson(one_pattern(500, rng))[: points[0], : points[1]])
    with pytest.raises(pk.errors.SchemaError, match=match):
        scan_of(patterns, ranks=range(1, 12))
