import warnings

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import ConvergenceError, SchemaError


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


def perfect(kind, rng):
    """Data (scan point, feature) that k components explain without rest: values, shape of the scan, k."""
    return {
        "one pattern": (rng.poisson(3, (1, 400)), (1, 1), 1),
        "rank one": (np.outer(rng.uniform(1, 2, 48), rng.uniform(0, 1, 400)), (6, 8), 1),
        "rank three": (rng.gamma(0.5, 1, (240, 3)) @ rng.gamma(0.3, 1, (3, 400)), (12, 20), 3),
        "as many as patterns": (rng.poisson(3, (6, 400)), (2, 3), 6),
        "constant": (np.ones((48, 400)), (6, 8), 1),
        "apart": (np.kron(np.eye(4), np.ones((12, 100))) * rng.uniform(1, 2, (48, 1)), (6, 8), 4),
    }[kind]


PERFECT = ("one pattern", "rank one", "rank three", "as many as patterns", "constant", "apart")


def scanned(values, shape):
    axes = {"scan_y": shape[0], "scan_x": shape[1], "qy": 20, "qx": 20}
    coords = {d: (d, np.arange(float(n)), {"units": "nm" if "scan" in d else "px"}) for d, n in axes.items()}
    intensity = xr.DataArray(
        np.reshape(values, tuple(axes.values())).astype(np.float32), dims=tuple(axes), attrs={"units": "counts"}
    )
    return xr.Dataset({"intensity": intensity}, coords=coords)


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
@pytest.mark.parametrize("scale", ["poisson", None])
@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e12, 1e-18])
@pytest.mark.parametrize("kind", PERFECT)
def test_a_perfect_fit_is_no_failure_in_any_unit(kind, unit, scale, loss):
    values, shape, k = perfect(kind, np.random.default_rng(0))
    features = pk.nmf.to_features(scanned(unit * values, shape), mask=None, scale=scale)
    found = pk.nmf.factorise(features, k, loss=loss)
    assert found.attrs["converged"] == 1
    # A fit may stop where 100 more passes would gain 3e-6 of the squares; rounding adds some 1e-7.
    assert found.attrs["relative_error"] < 3.1e-6
    model = (found.loading * found.factor).sum("component").transpose("scan_y", "scan_x", "qy", "qx") / unit
    missed = float(((model - values.reshape(model.shape)) ** 2).sum() / (values.astype(float) ** 2).sum())
    assert missed < 1e-4  # squares of the counts, where the fit saw them scaled


@pytest.mark.parametrize("unit", [1e16, 1e19])
def test_data_whose_squares_single_precision_cannot_hold(unit):
    values, shape, k = perfect("rank three", np.random.default_rng(0))
    features = pk.nmf.to_features(scanned(unit * values, shape), mask=None, scale=None)
    found = pk.nmf.factorise(features, k)
    assert found.attrs["relative_error"] < 3.1e-6
    np.testing.assert_allclose(found.loading.sum("component").to_numpy().ravel(), unit * values.sum(1), rtol=0.01)


def test_negative_features_are_refused(features):
    with pytest.raises(SchemaError, match="goes down"):
        pk.nmf.factorise(features.assign(feature_value=features.feature_value - 1), 3)


def test_blocks_from_disk_give_the_same(scan, factors):
    lazy = pk.nmf.to_features(scan.chunk(scan_y=6, scan_x=9))
    found = pk.nmf.factorise(lazy, 5, in_memory=False)
    np.testing.assert_allclose(found.factor, factors.factor, atol=1e-4)
    assert found.attrs["relative_error"] == pytest.approx(factors.attrs["relative_error"], rel=1e-5)


def test_holes_and_negative_values_are_refused_from_disk_too(features):
    lazy = features.chunk(scan_y=6)
    for bad, message in (
        (lazy.feature_value.where(lazy.scan_y > lazy.scan_y[0]), "NaN"),
        (lazy.feature_value - 1, "goes down"),
    ):
        with pytest.raises(SchemaError, match=message):
            pk.nmf.factorise(lazy.assign(feature_value=bad), 3, in_memory=False)


def test_start_is_taken_up_and_grown(features, factors):
    fewer = pk.nmf.factorise(features, 4)
    for start in (factors, fewer):
        found = pk.nmf.factorise(features, 5, start=start)
        assert found.attrs["relative_error"] == pytest.approx(factors.attrs["relative_error"], rel=1e-4)
    with pytest.raises(SchemaError, match="start has 4 components"):
        pk.nmf.factorise(features, 7, start=fewer)


def test_likelihood_fit_lowers_the_divergence(scan, features, factors):
    likely = pk.nmf.factorise(features, 5, loss="kullback-leibler")
    used = (features.feature_index >= 0).to_numpy()
    counts = scan.intensity.to_numpy()[:, :, used]

    def divergence(found):
        model = np.einsum("cyx,cf->yxf", found.loading, found.factor.to_numpy()[:, used]).clip(1e-9)
        return float(
            np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / model), 0).sum() + (model - counts).sum()
        )

    assert divergence(likely) < divergence(factors)
    assert likely.attrs["relative_error"] > factors.attrs["relative_error"]
    assert float(pk.nmf.match_components(likely, scan).pattern_cosine.min()) >= 0.95


def test_penalties_do_what_they_say(features, factors):
    def roughness(found):
        maps = found.loading / found.loading.mean(("scan_y", "scan_x"))
        return float((maps.diff("scan_x") ** 2).mean() + (maps.diff("scan_y") ** 2).mean())

    def likeness(found):
        rows = found.factor.fillna(0).to_numpy().reshape(5, -1)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return float((rows @ rows.T).sum() - 5)

    sparse = pk.nmf.factorise(features, 5, sparsity=0.3)
    assert float((sparse.loading == 0).mean()) > float((factors.loading == 0).mean())
    assert roughness(pk.nmf.factorise(features, 5, smoothness=1.0)) < 0.8 * roughness(factors)
    assert likeness(pk.nmf.factorise(features, 5, orthogonality=0.1)) < 0.8 * likeness(factors)
    for settings in ({"sparsity": -1.0}, {"loss": "kullback-leibler", "smoothness": 1.0}, {"loss": "l1"}):
        with pytest.raises(SchemaError, match="factorise"):
            pk.nmf.factorise(features, 5, **settings)


def test_device_that_is_not_there_is_refused(features):
    with pytest.raises(SchemaError, match="device = 'nowhere'"):
        pk.nmf.factorise(features, 5, device="nowhere")


def test_converged_fit_is_stationary(factors):
    assert factors.attrs["converged"] == 1
    assert factors.attrs["optimality"] < 0.01


def test_all_ranks_at_once_are_as_good_as_single_fits(features):
    fits = pk.nmf.factorise_ranks(features, [2, 5, 7], progress=False)
    for k, found in fits.items():
        single = pk.nmf.factorise(features, k).attrs["relative_error"]
        assert found.attrs["relative_error"] <= 1.001 * single
        assert found.sizes["component"] == k


def test_round_trip(factors, tmp_path):
    pk.io.save(factors, tmp_path / "factors.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "factors.nc").compute(), factors)


def test_unknown_settings_are_refused(features):
    with pytest.raises(TypeError, match="sparse"):
        pk.nmf.factorise(features, 5, sparse=0.1)
