import warnings

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import ConvergenceError, SchemaError
from phasekit.nmf import _hals


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=4, shape=(20, 24), detector=(40, 40), dose=5000, seed=8)


@pytest.fixture(scope="module")
def features(scan):
    return pk.nmf.to_features(scan)


@pytest.fixture(scope="module")
def factors(features):
    return pk.nmf.factorise(features, 5)


def test_finds_the_true_components(factors, scan):
    found = pk.nmf.match_components(factors, scan)
    assert sorted(found.component.values) == [0, 1, 2, 3, 4]
    assert float(found.pattern_cosine.min()) >= 0.95
    assert float(found.loading_correlation[:4].min()) >= 0.97
    assert pk.nmf.propose_background(factors) == int(found.component[4])


def test_normalised_and_ordered(factors):
    np.testing.assert_allclose(factors.factor.sum(("qy", "qx")), 1, rtol=1e-4)
    total = factors.loading.sum(("scan_y", "scan_x")).to_numpy()
    assert (np.diff(total) <= 0).all()
    assert float(factors.explained.sum()) == pytest.approx(1)
    assert float(factors.loading.min()) >= 0
    assert float(factors.factor.min()) >= 0


def test_model_gives_the_counts_of_the_scan_back(factors, scan):
    used = factors.factor[0].notnull()
    model = factors.loading.sum("component")
    assert float(model.sum() / scan.intensity.where(used).sum()) == pytest.approx(1, abs=0.02)


def test_same_seed_same_result_and_lazy_input(features, factors, scan):
    again = pk.nmf.factorise(pk.nmf.to_features(scan.chunk(scan_y=7)), 5)
    np.testing.assert_allclose(again.factor, factors.factor, atol=1e-5)


def test_gain_changes_the_loadings_only(scan, factors):
    louder = scan.assign(intensity=3 * scan.intensity.astype(np.float32))
    found = pk.nmf.factorise(pk.nmf.to_features(louder), 5)
    np.testing.assert_allclose(found.factor, factors.factor, atol=2e-4)
    np.testing.assert_allclose(found.loading.sum(), 3 * factors.loading.sum(), rtol=1e-3)


def test_as_good_as_scikit_learn(features, factors):
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    data = features.feature_value.to_numpy().reshape(-1, features.sizes["feature"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # enough iterations to compare, not to converge
        theirs = NMF(5, init="nndsvda", max_iter=150, tol=1e-5).fit(data)
    error = theirs.reconstruction_err_**2 / float((data.astype(float) ** 2).sum())
    assert factors.attrs["relative_error"] <= error * 1.001


def test_stopping_early_gives_the_partial_result(features):
    with pytest.raises(ConvergenceError, match="max_iterations") as caught:
        pk.nmf.factorise(features, 9, max_iterations=2, tolerance=0.0)
    assert caught.value.partial.attrs["converged"] == 0
    assert caught.value.partial.sizes["component"] == 9


@pytest.mark.parametrize("k", [0, -1, 481, 2.5, True])
def test_impossible_k_is_refused(features, k):
    with pytest.raises(SchemaError, match="needs a whole number"):
        pk.nmf.factorise(features, k)


def test_k_above_the_rank_is_refused(scan):
    flat = scan.assign(intensity=xr.ones_like(scan.intensity))
    with pytest.raises(SchemaError, match="rank 1"):
        pk.nmf.factorise(pk.nmf.to_features(flat, mask=None), 2)


def test_one_pattern_is_its_own_component(scan):
    one = scan.isel(scan_y=[3], scan_x=[4])
    found = pk.nmf.factorise(pk.nmf.to_features(one, mask=None), 1)
    pattern = one.intensity[0, 0] / one.intensity.sum()
    np.testing.assert_allclose(found.factor[0], pattern, atol=1e-5)


def test_negative_features_are_refused(features):
    with pytest.raises(SchemaError, match="goes down"):
        pk.nmf.factorise(features.assign(feature_value=features.feature_value - 1), 3)


def test_sweep_in_python_equals_compiled():
    rng = np.random.default_rng(0)
    x, product = rng.random((2, 3, 700), dtype=np.float32)
    rows = rng.random((3, 5), dtype=np.float32)
    gram = rows @ rows.T
    compiled = x.copy()
    _hals._sweep(compiled, product, gram, 1)
    short = x[:, :40].copy()
    _hals._sweep.py_func(short, np.ascontiguousarray(product[:, :40]), gram, 1)
    np.testing.assert_allclose(compiled[:, :40], short, rtol=1e-4, atol=1e-5)


def test_round_trip(factors, tmp_path):
    pk.io.save(factors, tmp_path / "factors.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "factors.nc").compute(), factors)
