"""Sufficient statistics against fits that were written out: every chi-square from a few numbers per pixel."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls

from phasekit.stxm.phase_map.sufficient_statistics import (
    compute_block_statistics,
    compute_mixture_chi_square,
    compute_single_chi_square,
    find_best_pair,
)


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    templates = rng.normal(size=(3, 9))
    amounts = np.abs(rng.normal(size=(40, 3)))
    x = amounts @ templates + 0.7 + rng.normal(0, 0.3, (40, 9))
    return x, rng.uniform(0.2, 0.5, x.shape), templates


@pytest.fixture(scope="module")
def statistics(pixels):
    x, noise, templates = pixels
    return compute_block_statistics(x, noise, np.ones(len(x), dtype=bool), templates=templates, n_references=3)


def _fit(x, noise, columns):
    """Chi-square with non-negative amounts of the columns and a constant of either sign, by scipy."""
    design = np.stack([*columns, np.ones(x.size), -np.ones(x.size)], axis=1) / noise[:, None]
    return nnls(design, x / noise)[1] ** 2


def test_one_template_alone_equals_the_fit(pixels, statistics):
    x, noise, templates = pixels
    expected = [[_fit(row, sigma, [template]) for template in templates] for row, sigma in zip(x, noise, strict=True)]
    np.testing.assert_allclose(compute_single_chi_square(statistics), expected, rtol=2e-4)


def test_the_best_pair_equals_the_fit_and_its_share_is_right(pixels, statistics):
    x, noise, templates = pixels
    found = find_best_pair(statistics, np.array([[0, 1], [1, 2]]))
    for index, (row, sigma) in enumerate(zip(x, noise, strict=True)):
        both = [_fit(row, sigma, templates[[i, j]]) for i, j in ((0, 1), (1, 2))]
        assert found.chi_square[index] == pytest.approx(min(both), rel=2e-4)
        assert found.pair[index] == int(np.argmin(both))
    exact = 0.3 * templates[0] + 0.9 * templates[1] + 0.2
    clean = compute_block_statistics(
        exact[None], np.full((1, 9), 0.1), np.ones(1, bool), templates=templates, n_references=3
    )
    assert find_best_pair(clean, np.array([[0, 1]])).second_share[0] == pytest.approx(0.75, abs=1e-3)


def test_mixture_chi_square_is_the_least_over_thickness_and_constant(pixels, statistics):
    x, noise, templates = pixels
    mixture = np.tile([0.2, 0.5, 0.3], (len(x), 1))
    found = compute_mixture_chi_square(statistics, mixture)
    for index in range(5):
        shown = mixture[index] @ templates

        def misfit(free, index=index, shown=shown):
            return (((x[index] - free[0] ** 2 * shown - free[1]) / noise[index]) ** 2).sum()

        assert found[index] == pytest.approx(minimize(misfit, [1.0, 0.0]).fun, rel=1e-3)


def test_a_constant_changes_nothing_and_no_material_is_nan(pixels, statistics):
    x, noise, templates = pixels
    material = np.arange(len(x)) % 2 == 0
    other = compute_block_statistics(x + 5.0, noise, material, templates=templates, n_references=3)
    np.testing.assert_allclose(other.weighted_norm[material], statistics.weighted_norm[material], rtol=1e-4)
    np.testing.assert_allclose(other.pearson[material], statistics.pearson[material], atol=1e-6)
    assert all(np.isnan(part[~material]).all() for part in other)


def test_lost_energies_leave_the_statistics_of_the_others(pixels):
    x, noise, templates = pixels
    lost = x.copy()
    lost[:, 3] = np.nan
    material = np.ones(len(x), bool)
    found = compute_block_statistics(lost, noise, material, templates=templates, n_references=3)
    kept = np.arange(x.shape[1]) != 3
    right = compute_block_statistics(x[:, kept], noise[:, kept], material, templates=templates[:, kept], n_references=3)
    for part, wanted in zip(found, right, strict=True):
        np.testing.assert_allclose(part, wanted, rtol=1e-4, atol=1e-5)
    lost[0, 2:] = np.nan
    few = compute_block_statistics(lost, noise, material, templates=templates, n_references=3)
    assert np.isnan(few.weighted_norm[0])
