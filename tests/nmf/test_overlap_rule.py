import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


def hand_made(*weights):
    """FACTORS of unit patterns and one row of scan points, weights[point][component]."""
    maps = np.array(weights, dtype=float).T[:, None, :]
    patterns = np.eye(len(maps)).reshape(len(maps), 1, -1)
    return xr.Dataset(
        {"loading": (("component", "scan_y", "scan_x"), maps), "factor": (("component", "qy", "qx"), patterns)}
    )


def test_published_rule_by_hand():
    factors = hand_made(
        (1.0, 0.8, 0.0),  # grain 0 with 1
        (1.0, 0.7, 0.0),  # below the threshold
        (0.8, 0.0, 1.0),  # background first, grain 0 at 0.8 of it shines through
        (0.5, 0.0, 1.0),  # background
        (0.9, 0.8, 1.0),  # grain 0 through the background, with 1
        (1.0, 0.0, 0.9),  # the background is no partner
        (0.0, 0.0, 0.0),  # nothing
    )
    found = pk.nmf.find_overlap(factors, threshold=0.75, background=2)
    assert found.label.values.tolist() == [[0, 0, 0, 2, 0, 0, -1]]
    assert found.overlap.values.tolist() == [[True, False, False, False, True, False, False]]
    assert found.partner.values.tolist() == [[1, 1, -1, -1, 1, -1, -1]]
    np.testing.assert_allclose(found.ratio[0, [0, 1, 4]], [0.8, 0.7, 0.8 / 0.9])
    assert pk.nmf.overlap_fraction(factors, 0.75, background=2) == pytest.approx(2 / 7)


def test_scale_between_loading_and_factor_does_not_matter():
    factors = hand_made((1.0, 0.8, 0.1), (0.3, 0.9, 0.7), (0.2, 0.0, 1.0))
    scale = xr.DataArray([1.0, 50.0, 0.01], dims="component")
    other = factors.assign(loading=factors.loading * scale, factor=factors.factor / scale)
    for name in ("label", "partner", "overlap"):
        first, second = (pk.nmf.find_overlap(f, background=-1)[name] for f in (factors, other))
        np.testing.assert_array_equal(first, second)


def test_evolution_follows_the_thresholds():
    factors = hand_made((1.0, 0.7), (1.0, 0.76), (1.0, 0.92), (1.0, 0.97), (1.0, 0.0))
    evolution = pk.nmf.overlap_evolution(factors, background=-1)
    np.testing.assert_allclose(evolution[0], [np.nan, 0.75, 0.9, 0.95, np.nan])


def test_fit_finds_the_overlap_of_the_truth():
    scan = pk.synthetic.overlapping_grains(n_components=4, detector=(48, 48), boundary_width=3, dose=6000, seed=5)
    factors = pk.nmf.factorise(pk.nmf.to_features(scan), 5)
    truth = pk.nmf.truth_as_factors(scan, like=factors)
    found, true = (pk.nmf.find_overlap(f).overlap.to_numpy() for f in (factors, truth))
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.8
    matches = pk.nmf.match_components(factors, truth)
    label = pk.nmf.relabel(pk.nmf.find_overlap(truth).label, matches)
    assert float((label == pk.nmf.find_overlap(factors).label).mean()) > 0.93


def test_lazy_stays_lazy_and_input_untouched():
    factors = hand_made((1.0, 0.8), (0.2, 1.0))
    before = factors.copy(deep=True)
    found = pk.nmf.find_overlap(factors.chunk(component=1, scan_x=1), background=-1)
    assert found.ratio.chunks is not None
    xr.testing.assert_identical(factors, before)
    np.testing.assert_array_equal(found.label, [[0, 1]])


def test_refusals():
    factors = hand_made((1.0, 0.8), (0.2, 1.0))
    with pytest.raises(SchemaError, match="threshold = 75"):
        pk.nmf.find_overlap(factors, threshold=75)
    with pytest.raises(SchemaError, match="background = 2"):
        pk.nmf.find_overlap(factors, background=2)
    with pytest.raises(SchemaError, match="no 'truth_factor'"):
        pk.nmf.truth_as_factors(factors)
