"""The sampler of phase maps against posteriors worked out by counting every map, and against its own model."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from phasekit.stxm.phase_map import potts_kernels as kernels
from phasekit.stxm.phase_map.potts_sampler import START_FAR, START_NEAR, sample_phase_maps
from phasekit.stxm.phase_map.potts_state import (
    compute_log_posterior,
    compute_mixture,
    initialise_state,
    make_probe_kernel,
    refresh_state,
)
from phasekit.stxm.phase_map.sufficient_statistics import compute_block_statistics, compute_mixture_chi_square

TEMPLATES = np.array([[0.0, 1.0, 3.0, 2.0, 1.0, 0.5], [0.0, 2.0, 2.0, 3.0, 1.0, 0.2], [1.0, 0.0, 2.0, 2.5, 2.0, 0.1]])
ADJACENT = np.array([[False, True, False], [True, False, True], [False, True, False]])
WITH_MIXTURE = np.pad(ADJACENT, ((0, 1), (0, 1)), constant_values=True)
PURE = np.array([[0, 0]])  # no two phases mix
PAIRS = np.array([[0, 1], [1, 2]])


def _pixels(label, noise, blur, seed, thickness=0.4):
    """Statistics of a map of labels (-1: empty) whose mixtures are blurred."""
    rng = np.random.default_rng(seed)
    kernel = make_probe_kernel(blur) if blur else np.ones((1, 1))
    shares = [ndimage.convolve((label == index).astype(float), kernel, mode="constant") for index in range(3)]
    mixture = np.stack(shares, axis=-1)
    mixture /= np.maximum(mixture.sum(axis=-1, keepdims=True), 1e-12)
    x = thickness * mixture @ TEMPLATES + rng.normal(0, noise, (*label.shape, 6))
    return compute_block_statistics(x, np.full_like(x, noise), label >= 0, templates=TEMPLATES, n_references=3)


def _grains(shape, n, seed):
    rng = np.random.default_rng(seed)
    seeds, y, x = rng.uniform(0, shape, (n, 2)), *np.mgrid[: shape[0], : shape[1]]
    nearest = np.hypot(y[..., None] - seeds[:, 0], x[..., None] - seeds[:, 1]).argmin(axis=-1)
    return rng.integers(0, 3, n)[nearest]


@pytest.mark.parametrize(("pairs", "adjacent"), [(PURE, ADJACENT), (PAIRS, WITH_MIXTURE)])
def test_marginals_equal_those_of_all_maps(pairs, adjacent):
    """2 x 3 pixels of 3 phases, with a mixture or without: every map has its blurred chi-square and its costs."""
    label = np.array([[0, 0, 1], [0, 2, 1]])
    statistics = _pixels(label, 0.35, 1.6, seed=3)
    cost, blur, n = 0.6, 1.6, len(adjacent)
    drawn = sample_phase_maps(
        statistics, np.ones(label.shape), adjacent, pairs, neighbours=cost, blur_px=blur, seed=0, n_draws=4000
    )
    state = initialise_state(statistics, np.ones(label.shape), pairs)
    kernel = refresh_state(state, blur)
    total, weight_of, stated = np.zeros((2, 3, n)), [], []
    pixels = [((a, b), (c, d)) for a, b, c, d in product(range(2), range(3), range(2), range(3)) if (a, b) < (c, d)]
    near = [
        (p, q, 1.0 if p[0] == q[0] or p[1] == q[1] else 0.7)
        for p, q in pixels
        if max(abs(p[0] - q[0]), abs(p[1] - q[1])) == 1
    ]
    maps = [np.array(one).reshape(2, 3) for one in product(range(n), repeat=6)]
    for one in maps:
        state.label[:] = one
        refresh_state(state, blur)
        energy = 0.5 * compute_mixture_chi_square(statistics, compute_mixture(state, kernel)).sum()
        energy += cost * sum(weight for p, q, weight in near if one[p] != one[q])
        energy += state.field.cost[one == 3].sum()
        weight_of.append(-energy)
        stated.append(compute_log_posterior(state, adjacent, cost, cost))
    # the stated log posterior differs from this one by the same number for every map
    np.testing.assert_allclose(np.array(stated) - weight_of, stated[0] - weight_of[0], atol=1e-2)
    weights = np.exp(np.array(weight_of) - max(weight_of))
    for one, weight in zip(maps, weights / weights.sum(), strict=True):
        total += weight * np.eye(n)[one]
    np.testing.assert_allclose(drawn.probability, total, atol=0.03)
    assert n == 3 or total[..., 3].mean() > 0.01  # the mixture takes part


def test_running_sums_stay_those_of_the_labels():
    """After sweeps that change labels, what was kept up step by step equals what is made anew."""
    statistics = _pixels(_grains((12, 14), 6, 1), 0.3, 1.8, seed=1)
    state = initialise_state(statistics, np.ones((12, 14)), PAIRS)
    kernel = refresh_state(state, 1.8)
    rng, probability = np.random.default_rng(0), np.zeros((12, 14, 4), np.float32)
    before = state.label.copy()
    for _ in range(3):
        uniform = rng.random((12, 14), dtype=np.float32)
        kernels.gibbs_sweep(state, kernel, WITH_MIXTURE, 0.3, 0.3, uniform, probability, np.zeros(5))
    assert (before != state.label).any()
    assert (state.label == 3).any()
    assert (state.label < 3).any()
    kept = [part.copy() for part in (state.gram_mix, state.model_norm, state.projection)]
    refresh_state(state, 1.8)
    for was, anew in zip(kept, (state.gram_mix, state.model_norm, state.projection), strict=True):
        np.testing.assert_allclose(was, anew, rtol=1e-3, atol=1e-3 * np.abs(anew).max())
    np.testing.assert_allclose(probability.sum(axis=-1), 3.0, rtol=1e-5)


def test_the_compiled_kernel_is_the_python_one():
    statistics = _pixels(_grains((6, 7), 4, 2), 0.3, 1.8, seed=2)
    results = []
    for compiled in (True, False):
        state = initialise_state(statistics, np.ones((6, 7)), PAIRS)
        kernel = refresh_state(state, 1.8)
        probability, slopes = np.zeros((6, 7, 4), np.float32), np.zeros(5)
        uniform = np.random.default_rng(0).random((6, 7), dtype=np.float32)
        sweep = kernels.gibbs_sweep if compiled else kernels.gibbs_sweep.py_func
        sweep(state, kernel, WITH_MIXTURE, 0.5, 0.9, uniform, probability, slopes)
        results.append((state.label.copy(), probability, slopes))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4)
    np.testing.assert_allclose(results[0][2], results[1][2], rtol=1e-4)


def test_boundaries_are_sharper_than_the_blur_and_confidence_is_a_rate():
    """Blurred grains: many more pixels are right than one by one, and as often as stated."""
    right, stated, alone = [], [], []
    for seed in range(3):
        label = _grains((60, 60), 25, seed + 10)
        statistics = _pixels(label, 0.25, 1.8, seed)
        drawn = sample_phase_maps(
            statistics, np.ones(label.shape), ADJACENT, PURE, neighbours=None, blur_px=None, seed=0
        )
        right.append(drawn.probability.argmax(axis=-1) == label)
        stated.append(drawn.probability.max(axis=-1))
        single = statistics.weighted_norm[..., None] - np.maximum(statistics.template_projection, 0) ** 2 / np.einsum(
            "yxii->yxi", statistics.normal_matrix
        )
        alone.append(single.argmin(axis=-1) == label)
        assert 1.2 <= drawn.prior.blur_px <= 2.4
    right, stated = np.concatenate(right).ravel(), np.concatenate(stated).ravel()
    assert right.mean() > np.mean(alone) + 0.1
    assert right.mean() == pytest.approx(stated.mean(), abs=0.03)
    for low, high in ((0.4, 0.7), (0.7, 0.9), (0.9, 0.99)):
        those = (stated >= low) & (stated < high)
        assert right[those].mean() == pytest.approx(stated[those].mean(), abs=0.1)


def test_learning_starts_where_a_boundary_costs_what_the_rim_behind_it_costs():
    """Phases 0 and 2 beside each other, and with one pixel of phase 1 between them."""
    sharp = np.zeros((7, 9), dtype=int)
    sharp[:, 4:] = 2
    rim = sharp.copy()
    rim[:, 4] = 1
    same = np.ones((1, 1, 6)) * TEMPLATES.mean(axis=0)  # spectra that say nothing: what is left is the prior
    statistics = compute_block_statistics(
        np.broadcast_to(same, (7, 9, 6)), np.full((7, 9, 6), 1e6), sharp >= 0, templates=TEMPLATES, n_references=3
    )
    prior = []
    for label in (sharp, rim):
        state = initialise_state(statistics, np.ones(label.shape), PURE)
        state.label[:] = label
        refresh_state(state, 1.8)
        prior.append(compute_log_posterior(state, ADJACENT, START_NEAR, START_FAR))
    assert prior[0] == pytest.approx(prior[1], rel=1e-6)


def test_noise_alone_finds_no_domains_without_cost_and_one_phase_stays_one():
    lone = np.zeros((10, 12), dtype=int)
    statistics = _pixels(lone, 0.05, 1.8, seed=4)
    drawn = sample_phase_maps(statistics, np.ones(lone.shape), ADJACENT, PURE, neighbours=None, blur_px=None, seed=0)
    assert (drawn.probability.argmax(axis=-1) == 0).all()
    noisy = _pixels(lone, 2.0, 0.0, seed=5)
    free = sample_phase_maps(noisy, np.ones(lone.shape), ADJACENT, PURE, neighbours=0.0, blur_px=0.0, seed=0)
    own = np.exp(0.5 * np.maximum(noisy.template_projection, 0) ** 2 / np.einsum("yxii->yxi", noisy.normal_matrix))
    np.testing.assert_allclose(free.probability, own / own.sum(axis=-1, keepdims=True), atol=0.02)


def test_no_material_is_nan_and_does_not_pull():
    label = np.full((8, 9), -1)
    label[:, :3], label[:, 6:] = 0, 1
    drawn = sample_phase_maps(
        _pixels(label, 0.1, 1.0, seed=6), np.ones(label.shape), ADJACENT, PURE, neighbours=None, blur_px=None, seed=0
    )
    assert np.isnan(drawn.probability[label < 0]).all()
    assert (drawn.probability[:, :3].argmax(axis=-1) == 0).all()
    assert (drawn.probability[:, 6:].argmax(axis=-1) == 1).all()
    empty = _pixels(np.full((4, 4), -1), 0.1, 1.0, seed=7)
    none = sample_phase_maps(empty, np.ones((4, 4)), ADJACENT, PURE, neighbours=None, blur_px=None, seed=0)
    assert np.isnan(none.probability).all()


def test_same_seed_same_draws():
    statistics = _pixels(_grains((20, 20), 6, 8), 0.4, 1.8, seed=8)
    first, again, other = (
        sample_phase_maps(statistics, np.ones((20, 20)), ADJACENT, PURE, neighbours=None, blur_px=None, seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.probability, again.probability)
    assert (first.probability != other.probability).any()
