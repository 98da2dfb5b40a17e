import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def scene():
    scan = pk.synthetic.overlapping_grains(n_components=3, detector=(32, 32), boundary_width=4, direct_beam=0, seed=3)
    truth = pk.nmf.truth_as_factors(scan)
    return scan, truth, pk.nmf.find_overlap(truth, background=3)


def test_sum_of_two_components_is_the_pattern(scene):
    found = pk.nmf.overlap_pattern(*scene)
    expected = found.measured - found.residual
    rest = found.residual / np.sqrt(expected / found.attrs["n_points"])
    assert float(rest.std()) == pytest.approx(1, abs=0.1)  # with the truth, photon noise is all that is left
    np.testing.assert_allclose(found.modelled, found["first"] + found["second"])
    first, second = found.attrs["pair"]
    turned = pk.nmf.overlap_pattern(*scene, pair=(second, first))
    np.testing.assert_allclose(turned["first"], found["second"])
    assert turned.attrs["n_points"] == found.attrs["n_points"]


def test_lazy_patterns_and_untouched_input(scene):
    scan, truth, overlap = scene
    before = overlap.copy(deep=True)
    lazy = pk.nmf.overlap_pattern(scan.chunk(scan_y=5), truth, overlap)
    np.testing.assert_allclose(lazy.measured, pk.nmf.overlap_pattern(*scene).measured)
    xr.testing.assert_identical(overlap, before)


def test_refusals(scene):
    scan, truth, overlap = scene
    with pytest.raises(SchemaError, match="overlap nowhere"):
        pk.nmf.overlap_pattern(scan, truth, overlap, pair=(0, 3))
    with pytest.raises(SchemaError, match="need the same"):
        pk.nmf.overlap_pattern(scan.isel(qy=slice(20)), truth, overlap)
    none = overlap.assign(overlap=overlap.overlap & False)
    assert pk.nmf.overlap_pattern(scan, truth, none).attrs["n_points"] == 1  # the nearest to an overlap
    with pytest.raises(SchemaError, match="no point has a second"):
        pk.nmf.overlap_pattern(scan, truth, none.assign(ratio=none.ratio * np.nan))


def test_variants_are_compared_with_the_truth_or_with_the_first():
    scan = pk.synthetic.overlapping_grains(n_components=3, shape=(16, 16), detector=(32, 32), dose=6000, seed=3)
    variants = {"scaled": {}, "mean": {"scan_mean": True}, "binned": {"bin": 2}}
    found = pk.nmf.compare_variants(scan, 4, variants)
    assert found.pattern_cosine.shape == (3, 4)
    assert float(found.pattern_cosine[0, :3].min()) > 0.9
    assert int(found.n_features.sel(variant="binned")) < int(found.n_features.sel(variant="scaled"))
    alone = pk.nmf.compare_variants(scan[["intensity"]], 4, {"scaled": {}, "unscaled": {"scale": None}})
    np.testing.assert_allclose(alone.pattern_cosine.sel(variant="scaled"), 1, atol=1e-5)
    with pytest.raises(SchemaError, match="no variant"):
        pk.nmf.compare_variants(scan, 4, {})
