"""What a factorisation knows of its own rounding, and that the unit of the data changes nothing else."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.nmf.fitting.factors import read_scan_weight, sum_to_features
from phasekit.nmf.fitting.residual import estimate_rounding
from tests.rounding import EPSILON, EPSILON_DOUBLE, SURE

from .arithmetic_cases import CASES, EXACT, NOISY, make_scan

#: Powers of 16: the weights of counts are square roots, and sides of a fit have the square root of their unit.
UNITS = (2.0**-40, 2.0**-8, 2.0**8, 2.0**40)
FAR = (1e-30, 1e-18, 1e-12, 1e12, 1e18, 1e25)
SCALES = ("poisson", None)


def make_features(case, unit=1.0, dtype=np.float32, **settings):
    return pk.nmf.to_features(make_scan(case, unit, dtype), **{"mask": None, **settings})


def compute_error(features, factors):
    """Relative squared error of FACTORS on FEATURES, from the residuals in double precision."""
    values = features["feature_value"].to_numpy().reshape(-1, features.sizes["feature"]).astype(float)
    patterns = sum_to_features(features, factors["factor"]) / features["feature_weight"].to_numpy()
    maps = factors["loading"].to_numpy().reshape(len(patterns), -1) / read_scan_weight(features)
    return float(np.nansum((values - maps.T @ patterns) ** 2) / np.nansum(values**2))


def check_same_but_unit(found, expected, unit, least=1e-30):
    """The same FACTORS to the last bit, loadings in another unit; below ``least`` of the largest it may underflow."""
    for name, factor in (("factor", 1), ("loading", unit)):
        other = expected[name].to_numpy()
        np.testing.assert_allclose(found[name].to_numpy() / factor, other, rtol=0, atol=least * np.nanmax(other))
    assert found.attrs["iterations"] == expected.attrs["iterations"]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CASES)
def test_unit_changes_the_loadings_and_nothing_else(name, scale):
    case = CASES[name]
    expected = pk.nmf.factorise(make_features(case, scale=scale), case.k)
    for unit in UNITS:
        check_same_but_unit(pk.nmf.factorise(make_features(case, unit, scale=scale), case.k), expected, unit)


@pytest.mark.parametrize("settings", [{"sparsity": 0.1}, {"smoothness": 0.5}, {"orthogonality": 0.1}])
@pytest.mark.parametrize("name", NOISY)
def test_unit_changes_no_penalty(name, settings):
    case = NOISY[name]
    expected = pk.nmf.factorise(make_features(case), case.k, **settings)
    found = pk.nmf.factorise(make_features(case, UNITS[0]), case.k, **settings)
    check_same_but_unit(found, expected, UNITS[0])


@pytest.mark.parametrize("name", ["few counts", "rank three"])
def test_unit_changes_no_likelihood(name):
    case, settings = CASES[name], {"loss": "kullback-leibler"}
    expected = pk.nmf.factorise(make_features(case), case.k, **settings)
    for unit in UNITS:
        found = pk.nmf.factorise(make_features(case, unit), case.k, **settings)
        # Multiplicative updates shrink a value for ever: it underflows sooner in a small unit.
        check_same_but_unit(found, expected, unit, least=1e-18)


@pytest.mark.parametrize("unit", FAR)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["rank one", "apart", "counts", "one pixel lit", "every second pattern zero"])
def test_decimal_units_too(name, scale, unit):
    case = CASES[name]
    expected, found = (pk.nmf.factorise(make_features(case, u, scale=scale), case.k) for u in (1.0, unit))
    # The values themselves are rounded anew: a fit stops elsewhere by what its tolerance allows.
    assert found.attrs["relative_error"] == pytest.approx(expected.attrs["relative_error"], rel=1e-3, abs=3.1e-6)
    model, other = (
        np.einsum("cyx,cqr->yxqr", f["loading"].astype(float) / u, f["factor"])
        for f, u in ((found, unit), (expected, 1.0))
    )
    assert np.linalg.norm(model - other) < 0.01 * np.linalg.norm(other)


_LIKELY = ["rank one", "rank three", "one pixel lit", "every second pattern zero", "few counts"]  # these are slower
_ROOTS = [name for name, case in CASES.items() if name not in EXACT or case.k == 1]  # the root of a mixture is none


@pytest.mark.parametrize(
    ("name", "scale", "loss"),
    [(name, scale, "frobenius") for name in CASES for scale in SCALES]
    + [(name, "anscombe", "frobenius") for name in _ROOTS]
    + [(name, "poisson", "kullback-leibler") for name in _LIKELY],
)
def test_stated_error_is_the_error(name, scale, loss):
    case = CASES[name]
    features = make_features(case, scale=scale)
    found = pk.nmf.factorise(features, case.k, loss=loss)
    assert found.attrs["converged"] == 1
    true = compute_error(features, found)
    # The factors are rounded once more when they are labelled: each value by a half of EPSILON, on both sides.
    assert found.attrs["relative_error"] == pytest.approx(true, rel=0.02, abs=2 * EPSILON**2)
    assert found.attrs["relative_error"] >= 0


@pytest.mark.parametrize("name", EXACT)
def test_errors_of_all_ranks_are_exact_where_they_are_small(name):
    case = EXACT[name]
    features = make_features(case)
    for found in pk.nmf.factorise_ranks(features, {1, case.k}, progress=False).values():
        assert found.attrs["relative_error"] == pytest.approx(compute_error(features, found), rel=0.02, abs=1e-13)


@pytest.mark.parametrize(
    "settings",
    [
        {"sparsity": 0.3},
        {"sparsity": 0.3, "smoothness": 1e-6},
        {"smoothness": 1.0},
        {"smoothness": 1e-6},
        {"orthogonality": 1e-6},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", EXACT)
def test_rounding_does_not_keep_a_penalty_from_converging(name, settings):
    case = EXACT[name]
    assert pk.nmf.factorise(make_features(case), case.k, **settings).attrs["converged"] == 1


@pytest.mark.parametrize("name", CASES)
def test_double_precision_is_the_same_as_single(name):
    case = CASES[name]._replace(values=CASES[name].values.astype(np.float32))
    first, second = (pk.nmf.factorise(make_features(case, dtype=d), case.k) for d in (np.float32, np.float64))
    check_same_but_unit(second, first, 1.0)


@pytest.mark.parametrize("unit", [1.0, 1e-18, 1e18])
@pytest.mark.parametrize("name", ["rank three", "one pixel of one pattern lit", "one pattern among zeros", "counts"])
def test_block_by_block_in_any_unit(name, unit):
    case = CASES[name]
    features = pk.nmf.to_features(make_scan(case, unit).chunk(scan_y=2), mask=None)
    found = pk.nmf.factorise(features, case.k, in_memory=False)
    expected = pk.nmf.factorise(make_features(case, unit), case.k)
    assert found.attrs["relative_error"] == pytest.approx(expected.attrs["relative_error"], rel=1e-4, abs=3.1e-6)
    assert compute_error(make_features(case, unit), found) == pytest.approx(found.attrs["relative_error"], abs=1e-6)


@pytest.mark.parametrize("unit", [1.0, 2.0**-40, 2.0**40])
def test_missing_values_in_any_unit(unit):
    case = CASES["rank three"]
    hole = np.random.default_rng(3).random(case.values.shape) < 0.05
    case = case._replace(values=np.where(hole, np.nan, case.values))
    features = make_features(case, unit, missing="keep")
    found = pk.nmf.factorise(features, case.k)
    assert found.attrs["relative_error"] == pytest.approx(compute_error(features, found), rel=0.02, abs=1e-13)
    check_same_but_unit(found, pk.nmf.factorise(make_features(case, missing="keep"), case.k), unit)


def test_values_of_any_size_that_the_type_holds():
    case = CASES["rank three"]
    expected = pk.nmf.factorise(make_features(case, scale=None), 3)
    for unit in (2.0**-110, 2.0**100):
        found = pk.nmf.factorise(make_features(case, unit, scale=None), 3)
        np.testing.assert_array_equal(found["factor"], expected["factor"])


def test_rounding_adds_no_rank():
    for name in ("rank one", "constant", "one pixel lit", "one pattern among zeros"):
        with pytest.raises(SchemaError, match="rank 1"):
            pk.nmf.factorise(make_features(CASES[name]), 2)


@pytest.mark.parametrize("lazy", [False, True])
def test_root_of_a_small_number_keeps_its_digits(lazy):
    case = CASES["rank one"]
    scan = make_scan(case, 1e-12)
    features = pk.nmf.to_features(scan.chunk(scan_y=2) if lazy else scan, mask=None, scale="anscombe")
    root = 2 * scan["intensity"].to_numpy().astype(float).reshape(6, 8, -1) / (2 * 0.375**0.5)  # to first order
    np.testing.assert_allclose(features["feature_value"], root, rtol=4 * EPSILON)


@pytest.mark.parametrize("mask", [None, "auto"])
def test_numbers_that_cannot_show_it_are_no_counts(mask):
    case = CASES["counts"]
    for unit, expected in ((1.0, 1), (1e-12, 0), (1e12, 0), (0.3, 0)):
        for dtype in (np.float32, np.float64):
            features = make_features(case, unit, dtype, mask=mask)
            assert features.attrs["counts"] == (1 if unit == 1e12 and dtype == np.float64 else expected)
    assert make_features(case, 1e-12, np.float64, gain=1e-12, mask=mask).attrs["counts"] == 1


@pytest.mark.parametrize("scale", [*SCALES, "anscombe"])
@pytest.mark.parametrize("name", CASES)
def test_loadings_and_their_covariance(name, scale):
    case = CASES[name]
    features = make_features(case, scale=scale)
    factors = pk.nmf.factorise(features, case.k)
    found = pk.nmf.fit_loadings(features, factors)
    covariance = found["loading_covariance"].to_numpy()
    np.testing.assert_array_equal(covariance, covariance.swapaxes(0, 1))
    assert np.isfinite(covariance).all()
    assert (np.einsum("iiyx->iyx", covariance) >= 0).all()
    empty = (make_scan(case)["intensity"].sum(("qy", "qx")) == 0).to_numpy()
    np.testing.assert_array_equal(np.isnan(found["chi_square"]), empty)
    np.testing.assert_array_equal(np.isnan(found["share"]).all("component"), empty)
    if case.k > 1:
        chance = pk.nmf.overlap_probability(found, factors)["probability"]
        assert np.isfinite(chance).all()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["rank three", "counts", "every second pattern zero", "one pixel of one pattern lit"])
def test_unit_changes_the_unit_of_the_covariance(name, scale):
    case = CASES[name]
    features = make_features(case, scale=scale)
    factors = pk.nmf.factorise(features, case.k)
    expected = pk.nmf.fit_loadings(features, factors)
    for unit in UNITS:
        found = pk.nmf.fit_loadings(make_features(case, unit, scale=scale), factors)
        # Counting noise: the variance has the unit of the counts, not its square.
        for variable, power in (("loading", 1), ("loading_covariance", 1), ("chi_square", 1), ("share", 0)):
            np.testing.assert_array_equal(found[variable].to_numpy() / unit**power, expected[variable].to_numpy())


@pytest.mark.parametrize("name", CASES)
def test_components_with_themselves(name):
    case = CASES[name]
    factors = pk.nmf.factorise(make_features(case), case.k)
    found = pk.nmf.match_components(factors, factors)
    assert (found["pattern_cosine"] <= 1).all()
    np.testing.assert_allclose(found["pattern_cosine"], 1, atol=SURE * EPSILON_DOUBLE * 20)
    maps = factors["loading"].to_numpy().reshape(case.k, -1).astype(float)
    constant = np.ptp(maps, axis=1) <= 4 * EPSILON * maps.max(axis=1)
    # A map without contrast has no correlation; its rounding is none.
    np.testing.assert_array_equal(np.isnan(found["loading_correlation"]), constant)
    assert (found["loading_correlation"][~constant] <= 1).all()
    for background in (None, 0):
        cleaned = pk.nmf.separate_background(factors, background=background)
        np.testing.assert_allclose(cleaned["factor"].sum(("qy", "qx")), 1, rtol=1e-4)


SCANNED = [name for name, case in CASES.items() if min(case.values.shape) >= 6]


@pytest.mark.parametrize(("name", "scale"), [(name, SCALES[i % len(SCALES)]) for i, name in enumerate(SCANNED)])
def test_evidence_in_any_unit(name, scale):
    case, settings = CASES[name], {"n_runs": 2, "progress": False}
    features = make_features(case, scale=scale).assign_attrs(counts=0)
    expected = pk.nmf.scan_ranks(features, [1, 2, 3], **settings)
    for variable in set(expected) - {"deviance", "gain"}:
        assert np.isfinite(expected[variable]).all()
    assert np.isfinite(expected["gain"][1:]).all()
    assert (expected["held_out_error"] >= 0).all()
    for unit in (2.0**-40, 2.0**40) if case.k >= 3 else ():  # above the rank of the data k fits rounding
        found = pk.nmf.scan_ranks(make_features(case, unit, scale=scale).assign_attrs(counts=0), [1, 2, 3], **settings)
        for variable in ("held_out_error", "relative_error", "gain", "scree"):
            np.testing.assert_array_equal(found[variable], expected[variable])


@pytest.mark.parametrize("name", [n for n in SCANNED if (CASES[n].values == np.rint(CASES[n].values)).all()])
def test_evidence_of_counts(name):
    case = CASES[name]
    found = pk.nmf.scan_ranks(make_features(case), [1, 2, 3], n_runs=2, progress=False)
    assert found.attrs["held_out"] == "poisson_thinning"
    for variable in set(found) - {"gain"}:
        assert np.isfinite(found[variable]).all()


def test_no_k_wins_by_rounding():
    # Data of rank one, hardly disturbed: what k = 2 and 3 predict better is less than single precision resolves.
    rng = np.random.default_rng(5)
    base = EXACT["rank one"]
    case = base._replace(values=base.values * (1 + 1e-4 * rng.uniform(-1, 1, base.values.shape)))
    for unit in (1.0, 1e12):
        found = pk.nmf.scan_ranks(make_features(case, unit), [1, 2, 3], n_runs=2, progress=False)
        assert found.attrs["held_out"] == "bi_cross_validation"
        np.testing.assert_array_equal(found["gain"][1:], 0)
        np.testing.assert_allclose(found["held_out_error"], estimate_rounding(400), rtol=1e-6)


def test_input_untouched_far_from_one():
    features = make_features(CASES["counts"], 1e18)
    before = features.copy(deep=True)
    found = pk.nmf.factorise(features, 3)
    xr.testing.assert_identical(features, before)
    again = pk.nmf.factorise(features, 3, start=found)
    assert again.attrs["relative_error"] == pytest.approx(found.attrs["relative_error"], rel=1e-4)
