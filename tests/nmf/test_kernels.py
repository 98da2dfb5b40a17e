"""The array kernels: sweeps, compression, dealing of electrons, passes over blocks."""

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr

from phasekit.nmf.fitting import hals
from phasekit.nmf.fitting.blocks import InMemoryRows, LazyRows, compress_rows
from phasekit.nmf.fitting.penalties import Penalties
from phasekit.nmf.fitting.polish import refine_fits
from phasekit.nmf.fitting.starts import fit_from_starts, make_random_start, make_starts, make_svd_start
from phasekit.nmf.rank_selection.thinning import MAX_EXACT_COUNT, ThinnedCounts, binomial_count


@pytest.fixture(scope="module")
def mixture():
    """Loadings (5, 300), factors (5, 200), and their product without noise."""
    rng = np.random.default_rng(0)
    loading, factor = rng.gamma(0.5, 1, (5, 300)), rng.gamma(0.5, 1, (5, 200))
    return (loading.T @ factor).astype(np.float32)


def test_sweep_in_python_and_torch_equal_compiled():
    import torch

    rng = np.random.default_rng(0)
    x, product = rng.random((2, 6, 40), dtype=np.float32)
    rows = rng.random((6, 9), dtype=np.float32)
    gram = rows @ rows.T
    compiled, plain, tensor = x.copy(), x.copy(), torch.as_tensor(x.copy())
    hals.sweep_rows(compiled, product, gram, 3)
    hals._sweep_compiled.py_func(plain, product, gram, 3)
    hals.sweep_rows(tensor, torch.as_tensor(product), torch.as_tensor(gram), 3)
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(compiled, tensor.numpy(), rtol=1e-4, atol=1e-5)


def test_nonnegative_loading_solves_the_least_squares():
    from scipy.optimize import nnls

    rng = np.random.default_rng(1)
    factor, data = rng.random((4, 30), dtype=np.float32), rng.random((7, 30), dtype=np.float32)
    found = hals.fit_nonnegative_loading(factor @ data.T, factor @ factor.T, 400)
    expected = np.array([nnls(factor.T.astype(float), row.astype(float))[0] for row in data]).T
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_compression_keeps_the_singular_values(mixture):
    low = compress_rows(InMemoryRows(mixture), 5, np.random.default_rng(0))
    exact = np.linalg.svd(mixture, compute_uv=False)[:5]
    np.testing.assert_allclose(np.linalg.norm(low.left, axis=0), exact, rtol=1e-4)
    np.testing.assert_allclose(low.left @ low.right, mixture, atol=1e-3)


def test_weak_component_near_the_noise_is_kept():
    """A component whose singular value is 1.3 times the noise edge; one power iteration would lose half of it."""
    rng = np.random.default_rng(2)
    n, p = 1500, 1200
    u, v = rng.standard_normal(n), rng.standard_normal(p)
    strength = 1.3 * (np.sqrt(n) + np.sqrt(p))
    data = rng.standard_normal((n, p)) + strength * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    low = compress_rows(InMemoryRows(data.astype(np.float32)), 20, np.random.default_rng(0))
    exact = np.linalg.svd(data, compute_uv=False)[0]
    assert np.linalg.norm(low.left[:, 0]) > 0.995 * exact
    edge = np.sqrt(n) + np.sqrt(p)
    above = np.linalg.norm(low.left, axis=0) / edge
    assert above[0] > 1.2
    assert (above[1:5] < 1.01).all()


def test_polish_finds_an_exact_mixture_and_any_blocks_agree(mixture):
    low = compress_rows(InMemoryRows(mixture), 12, np.random.default_rng(0))
    fit = fit_from_starts(low, make_starts(low, 5, 3, None, np.random.default_rng(0)))[0]
    (whole,) = refine_fits(InMemoryRows(mixture), [fit], max_iterations=60, tolerance=0.0)
    values = xr.DataArray(da.from_array(mixture.reshape(20, 15, 200), chunks=(3, 7, 90)), dims=("y", "x", "f"))
    lazy = LazyRows(values.rename(y="scan_y", x="scan_x", f="feature"), "test")
    (blocks,) = refine_fits(lazy, [fit], max_iterations=60, tolerance=0.0)
    assert whole.error < 1e-3
    np.testing.assert_allclose(blocks.error, whole.error, rtol=0.02)
    assert [rows for rows, _ in lazy.read_blocks()][-1].stop == 300


def test_many_fits_in_one_pass_equal_single_ones(mixture):
    low = compress_rows(InMemoryRows(mixture), 12, np.random.default_rng(0))
    fits = [hals.fit_hals(low, make_svd_start(low, k), 5) for k in (2, 4)]
    together = refine_fits(InMemoryRows(mixture), fits, max_iterations=4, tolerance=0.0)
    for fit, found in zip(fits, together, strict=True):
        (alone,) = refine_fits(InMemoryRows(mixture), [fit], max_iterations=4, tolerance=0.0)
        np.testing.assert_allclose(found.factor, alone.factor, rtol=1e-3, atol=1e-5)
        assert found.iterations == fit.iterations + 4


def test_torch_runs_the_same_code(mixture):
    import torch

    low = compress_rows(InMemoryRows(mixture), 12, np.random.default_rng(0))
    fit = hals.fit_hals(low, make_svd_start(low, 4), 10)
    there = hals.Fit(torch.as_tensor(fit.loading), torch.as_tensor(fit.factor), fit.error)
    for wish in (Penalties(), Penalties(0.05, 0.5, 0.05, (20, 15))):
        (here,) = refine_fits(InMemoryRows(mixture), [fit], max_iterations=5, tolerance=0.0, penalties=wish)
        (found,) = refine_fits(
            InMemoryRows(torch.as_tensor(mixture)), [there], max_iterations=5, tolerance=0.0, penalties=wish
        )
        np.testing.assert_allclose(found.factor.numpy(), here.factor, rtol=2e-3, atol=1e-4)


def test_missing_values_are_filled_by_the_fit(mixture):
    holed = mixture.copy()
    holes = np.random.default_rng(3).random(mixture.shape) < 0.1
    holed[holes] = np.nan
    filled = np.where(holes, np.nanmean(holed, axis=0), holed)
    low = compress_rows(InMemoryRows(filled), 12, np.random.default_rng(0))
    start = fit_from_starts(low, [make_random_start(low, 5, np.random.default_rng(seed)) for seed in range(3)])[0]
    (fit,) = refine_fits(InMemoryRows(holed), [start], max_iterations=300, tolerance=0.0)
    model = fit.loading.T @ fit.factor
    assert np.linalg.norm((model - mixture)[holes]) < 0.1 * np.linalg.norm((filled - mixture)[holes])


def test_folds_add_up_to_the_counts_and_do_not_depend_on_the_blocks():
    rng = np.random.default_rng(4)
    counts = rng.poisson(rng.gamma(1, 6, (70, 90)))
    scan, feature = rng.uniform(0.5, 2, 70).astype(np.float32), rng.uniform(0.5, 2, 90).astype(np.float32)
    scaled = (counts / scan[:, None] / feature).astype(np.float32)
    thinned = ThinnedCounts(InMemoryRows(scaled), scan, feature, seed=9)
    folds = [np.concatenate([block for _, block in thinned.select_test(fold).read_counts()]) for fold in range(8)]
    np.testing.assert_array_equal(np.sum(folds, axis=0), counts)
    (train,) = [block for _, block in thinned.select_train(3).read_counts()]
    np.testing.assert_array_equal(train + folds[3], counts)
    lines = xr.DataArray(
        da.from_array(scaled.reshape(7, 10, 90), chunks=(2, 10, 90)), dims=("scan_y", "scan_x", "feature")
    )
    lazily = thinned._replace(base=LazyRows(lines, "test"))
    np.testing.assert_array_equal(np.concatenate([block for _, block in lazily.select_test(3).read_counts()]), folds[3])
    other = np.concatenate([block for _, block in thinned._replace(seed=10).select_test(3).read_counts()])
    assert (other != folds[3]).any()


@pytest.mark.parametrize("n", [1, 5, 64, 65, 400, MAX_EXACT_COUNT + 1, 100_000])
def test_shares_of_a_fold_are_binomial(n):
    keys = np.random.default_rng(0).integers(0, 2**64, 4000, dtype=np.uint64)
    drawn = np.array([binomial_count(n, key, 3, 5) for key in keys])
    mean, deviation = n / 8, np.sqrt(n * 7 / 64)
    assert abs(drawn.mean() - mean) < 4.5 * deviation / np.sqrt(4000)
    assert drawn.std() == pytest.approx(deviation, rel=0.06)
    assert drawn.min() >= 0
    assert drawn.max() <= n


def test_dealing_in_python_equals_compiled():
    keys = np.array([3, 99, 12345], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for n in (1, 70):
            assert [binomial_count.py_func(n, key, 3, 2) for key in keys] == [
                binomial_count(n, key, 3, 2) for key in keys
            ]


@pytest.mark.parametrize("wrap", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_empty_components_stay_empty_and_warn_of_nothing(wrap):
    rng = np.random.default_rng(0)
    loading, factor = (rng.random((3, n), dtype=np.float32) * 1e6 for n in (40, 50))
    loading[1] = 0
    factor[2] = 0
    sides = wrap(loading), wrap(factor)
    hals.balance_norms(*sides)
    for side in sides:
        assert np.isfinite(np.asarray(side)).all()
    for rows in (loading, np.zeros_like(loading)):
        x = wrap(np.zeros((3, 50), np.float32))
        hals.sweep_rows(x, wrap(rows @ rng.random((40, 50), dtype=np.float32)), wrap(rows @ rows.T), 2)
        assert np.isfinite(np.asarray(x)).all()
        assert (np.asarray(x)[1] == 0).all()
    none = hals.fit_nonnegative_loading(np.zeros((2, 5), np.float32), np.zeros((2, 2), np.float32))
    assert (none == 0).all()


def test_kept_electrons_give_the_fold_that_is_computed():
    rng = np.random.default_rng(5)
    counts = rng.poisson(rng.gamma(0.1, 3, (70, 90)))
    scan, feature = rng.uniform(0.5, 2, 70).astype(np.float32), rng.uniform(0.5, 2, 90).astype(np.float32)
    scaled = (counts / scan[:, None] / feature).astype(np.float32)
    thinned = ThinnedCounts(InMemoryRows(scaled), scan, feature, seed=9)
    vectors = rng.random((90, 4), dtype=np.float32)
    for kept, computed in zip(thinned.split(2), (thinned.select_train(2), thinned.select_test(2)), strict=True):
        assert kept.kept is not None
        assert computed.is_costly
        for (_, one), (_, other) in zip(kept.read_blocks(), computed.read_blocks(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * scaled.max())
    kept, computed = thinned.split(2)[1], thinned.select_test(2)
    (dense,) = [block for _, block in computed.read_counts()]
    for part in (kept, computed):
        products = np.concatenate([electrons.project(vectors) for _, electrons in part.read_lists()])
        np.testing.assert_allclose(products, dense @ vectors, rtol=1e-5)


def test_electrons_of_a_high_dose_are_not_kept():
    scaled = np.random.default_rng(6).poisson(9, (64, 90)).astype(np.float32)
    thinned = ThinnedCounts(InMemoryRows(scaled), np.ones(64, np.float32), np.ones(90, np.float32), seed=9)
    assert all(part.kept is None for part in thinned.split(0))


@pytest.mark.parametrize("rank", [1, 3])
def test_compression_of_data_of_a_lower_rank(rank):
    rng = np.random.default_rng(7)
    data = (rng.gamma(0.5, 1, (400, rank)) @ rng.gamma(0.5, 1, (rank, 150))).astype(np.float32)
    low = compress_rows(InMemoryRows(data), 20, np.random.default_rng(0))
    assert low.left.shape == (400, 20)
    np.testing.assert_allclose(low.left @ low.right, data, atol=1e-4 * data.max())


def test_random_start_does_not_depend_on_the_unit(mixture):
    louder = np.float32(3) * mixture
    for data in (mixture, louder):
        low = compress_rows(InMemoryRows(data), 12, np.random.default_rng(0))
        loading, factor = make_random_start(low, 4, np.random.default_rng(0))
        if data is mixture:
            first = loading, factor
    np.testing.assert_allclose(loading, first[0], rtol=1e-5)
    np.testing.assert_allclose(factor, 3 * first[1], rtol=1e-3, atol=1e-3 * factor.max())
