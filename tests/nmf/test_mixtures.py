import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.nmf.components import mixtures
from tests.rounding import EPSILON_DOUBLE


def make(seed, dose=4000, side=32):
    scan = pk.synthetic.overlapping_grains(
        n_components=4, shape=(side, side), detector=(48, 48), boundary_width=3, dose=dose, seed=seed
    )
    features = pk.nmf.to_features(scan)
    return scan, features, pk.nmf.factorise(features, 5)


@pytest.fixture(scope="module")
def known():
    """A scan, its features, and the true patterns as factors."""
    scan, features, factors = make(31)
    return scan, features, pk.nmf.truth_as_factors(scan, like=factors)


@pytest.fixture(scope="module")
def fitted(known):
    return pk.nmf.fit_loadings(known[1], known[2])


def test_errors_are_as_large_as_the_errors_made(known, fitted):
    truth = known[2].loading
    pull = ((fitted.loading - truth) / fitted.loading_error).where(fitted.loading > 0)
    spread = pull.std(("scan_y", "scan_x")).to_numpy()
    assert (spread[:4] > 0.85).all()
    assert (spread[:4] < 1.15).all()
    assert float(abs(fitted.chi_square.mean() - 1)) < 0.05


def test_shares_and_covariance_are_consistent(fitted):
    np.testing.assert_allclose(fitted.share.sum("component"), 1, rtol=1e-6)
    diagonal = np.einsum("iiyx->iyx", fitted.loading_covariance)
    np.testing.assert_allclose(np.sqrt(diagonal), fitted.loading_error)
    np.testing.assert_array_equal(
        fitted.loading_covariance, fitted.loading_covariance.transpose("other", "component", ...)
    )


def test_covariance_of_alike_patterns_is_symmetric_and_has_no_negative_eigenvalue(known):
    # Two patterns that are nearly the same: the inverse of their Gram matrix loses most of its digits.
    _, features, truth = known
    nearly = 0.999 * truth.factor[0] + 0.001 * truth.factor[1]
    alike = truth.assign(factor=xr.where(truth.component == 1, nearly, truth.factor).transpose(*truth.factor.dims))
    found = pk.nmf.fit_loadings(features, alike.assign_attrs(truth.attrs))
    covariance = found.loading_covariance.to_numpy()
    np.testing.assert_array_equal(covariance, covariance.swapaxes(0, 1))
    free = (found.loading > 0).all("component").to_numpy()
    assert free.any()
    values = np.linalg.eigvalsh(np.moveaxis(covariance, (0, 1), (-2, -1))[free])
    pairs = truth.factor.isel(component=0).size * EPSILON_DOUBLE
    assert (values[..., 0] >= -pairs * values[..., -1]).all()


def test_gain_scales_weights_and_errors(known, fitted):
    scan, _, truth = known
    louder = scan.assign(intensity=4 * scan.intensity.astype(np.float32))
    found = pk.nmf.fit_loadings(pk.nmf.to_features(louder), truth)
    np.testing.assert_allclose(found.loading, 4 * fitted.loading, rtol=1e-3, atol=0.5)
    # counts four times as large would be known twice as well in proportion, were they counts
    ratio = (found.loading_error / fitted.loading_error).median()
    assert float(ratio) == pytest.approx(2, rel=0.05)


def test_any_chunking_same_answer_and_input_untouched(known, fitted):
    scan, features, truth = known
    before = features.copy(deep=True)
    lazy = pk.nmf.fit_loadings(pk.nmf.to_features(scan.chunk(scan_y=5, scan_x=9)), truth)
    np.testing.assert_allclose(lazy.loading, fitted.loading, rtol=1e-3, atol=0.2)
    xr.testing.assert_identical(features, before)


def test_probability_is_calibrated_on_fresh_scans():
    stated, true = [], []
    for seed in (41, 42, 43):
        scan, features, factors = make(seed, side=40)
        factors = pk.nmf.separate_background(factors)
        found = pk.nmf.overlap_probability(pk.nmf.fit_loadings(features, factors), factors)
        reference = pk.nmf.truth_as_factors(scan, like=factors)
        truth = pk.nmf.find_overlap(reference, background=scan.attrs["truth_background"])
        stated.append(found.probability.to_numpy().ravel())
        true.append(truth.overlap.to_numpy().ravel())
    stated, true = np.concatenate(stated), np.concatenate(true)
    for low, high in ((0.05, 0.35), (0.35, 0.65), (0.65, 0.95)):
        chosen = (stated >= low) & (stated < high)
        assert abs(true[chosen].mean() - stated[chosen].mean()) < 0.1 + 2 * np.sqrt(0.25 / chosen.sum())
    assert true[stated > 0.98].mean() > 0.9
    assert true[stated < 0.02].mean() < 0.01


def test_background_is_taken_out_of_the_grains(known):
    scan = known[0]
    factors = pk.nmf.factorise(known[1], 5)
    cleaned = pk.nmf.separate_background(factors)
    before, after = (pk.nmf.match_components(f, scan).pattern_cosine[:4] for f in (factors, cleaned))
    assert (after > before).all()
    assert float(after.min()) > 0.995
    for one in (factors, cleaned):  # the model is the same but for what is clipped at zero
        model = np.einsum("cyx,cqr->yxqr", one.loading, np.nan_to_num(one.factor))
        if one is factors:
            expected = model
    assert np.linalg.norm(model - expected) < 0.03 * np.linalg.norm(expected)
    np.testing.assert_allclose(cleaned.factor.sum(("qy", "qx")), 1, rtol=1e-4)
    same = pk.nmf.separate_background(factors, background=-1)
    np.testing.assert_allclose(same.loading, factors.loading, rtol=1e-6)


def test_sandwich_in_python_equals_compiled():
    rng = np.random.default_rng(0)
    rows = rng.random((3, 9))
    gram = rows @ rows.T
    noise = np.array([rows @ np.diag(rng.random(9)) @ rows.T for _ in range(4)])
    free = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0]], dtype=bool)
    first, second = np.empty((2, 3, 3, 4))
    mixtures._fill_sandwich_covariance(gram, noise, free, first)
    mixtures._fill_sandwich_covariance.py_func(gram, noise, free, second)
    np.testing.assert_allclose(first, second)
    assert (np.einsum("iij->ij", first) > 0).all()


def test_refusals(known, fitted):
    scan, features, truth = known
    with pytest.raises(SchemaError, match="detector"):
        pk.nmf.fit_loadings(features, truth.isel(qy=slice(2, None)))
    with pytest.raises(SchemaError, match="5 loadings for 4"):
        pk.nmf.overlap_probability(fitted, truth.isel(component=slice(4)))
    with pytest.raises(SchemaError, match="background = 9"):
        pk.nmf.separate_background(truth, background=9)
    with pytest.raises(SchemaError, match="fit_loadings"):
        pk.nmf.fit_loadings(scan, truth)


def test_round_trip(fitted, tmp_path):
    pk.io.save(fitted, tmp_path / "loadings.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "loadings.nc").compute(), fitted)
