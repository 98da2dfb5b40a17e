import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


def test_counts_follow_the_truth():
    scan = pk.synthetic.overlapping_grains(n_components=3, shape=(20, 24), detector=(32, 40), dose=3000)
    expected = np.einsum("cyx,cqr->yxqr", scan.truth_loading, scan.truth_factor)
    counts = scan.intensity.to_numpy()
    assert ((counts - expected) ** 2).sum() / expected.sum() == pytest.approx(1, abs=0.02)  # Poisson: variance = mean
    assert scan.intensity.dtype == np.uint16
    np.testing.assert_allclose(scan.truth_factor.sum(("qy", "qx")), 1, rtol=1e-5)


def test_seed_and_settings():
    first, second, other = (pk.synthetic.overlapping_grains(shape=(8, 9), seed=s) for s in (1, 1, 2))
    xr.testing.assert_identical(first, second)
    assert not first.intensity.equals(other.intensity)


def test_no_background_means_no_background():
    scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), background=0, direct_beam=0, vacuum=0)
    assert scan.attrs["truth_n_components"] == 2
    assert scan.attrs["truth_background"] == -1


@pytest.mark.parametrize(
    "setting", [{"dose": 0}, {"n_components": 0}, {"background": 0.9}, {"detector": (8, 8)}, {"hot": 3}, {"vacuum": 1}]
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(SchemaError, match="overlapping_grains"):
        pk.synthetic.overlapping_grains(**setting)


def test_sample_is_what_the_recipe_makes():
    from phasekit.synthetic.recipes_nmf import nmf_grains

    made = nmf_grains()["nmf_grains"]
    stored = pk.io.load(pk.samples.path("nmf_grains"))
    np.testing.assert_array_equal(stored.intensity, made.intensity)
