"""The ruler itself: known rotations must give known disorientations and shares."""

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import compare_with_truth
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis, multiply, random
from tests.acom.maps import NICKEL, orientation_map

CUBIC = np.asarray(NICKEL.point_group.laue_proper_subgroup.data)


@pytest.fixture
def truth():
    quaternion = random(20, np.random.default_rng(3)).reshape(4, 5, 4)
    phase = np.zeros((4, 5), dtype=np.int16)
    phase[0] = -1
    quaternion[0] = np.nan
    scan = ("scan_y", "scan_x")
    interior = phase >= 0
    interior[3] = False
    return xr.Dataset(
        {
            "truth_phase": (scan, phase),
            "truth_quaternion": ((*scan, "wxyz"), quaternion),
            "truth_interior": (scan, interior),
        }
    )


def test_a_known_turn_is_measured(truth):
    turned = multiply(about_axis([3, 1, 2], 1.5), truth["truth_quaternion"].values)
    equivalent = multiply(CUBIC[7], turned)
    score = compare_with_truth(orientation_map(equivalent), truth)
    np.testing.assert_allclose(score["median"], 1.5, atol=1e-5)
    assert score["within_2"].values.tolist() == [1.0, 1.0]
    assert int(score["n_pixels"]) == 10
    assert float(score["phase_accuracy"]) == 1.0
    assert float(score["vacuum_indexed"]) == 0.0


def test_half_turns_count_as_right_only_when_folded(truth):
    flipped = multiply(truth["truth_quaternion"].values, about_axis([0, 0, 1], 180.0))
    score = compare_with_truth(orientation_map(flipped), truth)
    assert float(score["median"].sel(counting="folded")) < 1e-4
    assert float(score["median"].sel(counting="unfolded")) > 10


def test_missing_and_wrong_phase_count_as_wrong(truth):
    quaternion = truth["truth_quaternion"].values.copy()
    quaternion[1, 0] = np.nan
    quaternion[0, 0] = (1, 0, 0, 0)  # vacuum that was indexed
    phase = np.zeros((4, 5), dtype=int)
    phase[1, 1] = 1
    score = compare_with_truth(orientation_map(quaternion, phase), truth)
    assert float(score["phase_accuracy"]) == pytest.approx(0.8)
    assert float(score["within_5"].sel(counting="unfolded")) == pytest.approx(0.8)
    assert float(score["vacuum_indexed"]) == pytest.approx(0.2)
    assert np.isnan(score["disorientation"].values[:, 1, :2]).all()


def test_other_shapes_and_missing_truth_are_refused(truth):
    orientations = orientation_map(truth["truth_quaternion"].values)
    with pytest.raises(SchemaError, match="differ in shape"):
        compare_with_truth(orientations, truth.isel(scan_x=slice(3)))
    with pytest.raises(SchemaError, match="'truth_quaternion'"):
        compare_with_truth(orientations, truth.drop_vars("truth_quaternion"))
