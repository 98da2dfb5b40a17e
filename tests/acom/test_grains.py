"""Grains of maps whose grains are known, and what must not change them."""

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import label_grains
from phasekit.errors import SchemaError
from phasekit.io import load, save
from phasekit.rotations import about_axis, multiply, random, symmetric_angle_deg
from tests.acom.maps import NICKEL, orientation_map

CUBIC = np.asarray(NICKEL.point_group.laue_proper_subgroup.data)


def two_halves(angle: float, shape=(5, 7)):
    base = random(1, np.random.default_rng(4))[0]
    other = multiply(about_axis([1, 2, 3], angle), base)
    return np.where((np.arange(shape[1]) < 3)[None, :, None], base, other) * np.ones((*shape, 1))


@pytest.mark.parametrize(("angle", "grains"), [(0.0, 1), (4.9, 1), (5.1, 2), (40.0, 2)])
def test_the_limit_is_the_limit(angle, grains):
    orientations = label_grains(orientation_map(two_halves(angle)), max_disorientation_deg=5)
    assert orientations.sizes["grain_number"] == grains


def test_symmetry_equivalents_are_one_grain():
    rng = np.random.default_rng(0)
    base = random(1, rng)[0]
    mixed = multiply(CUBIC[rng.integers(0, 24, (6, 8))], base)
    orientations = label_grains(orientation_map(mixed))
    assert orientations.sizes["grain_number"] == 1
    assert float(orientations["spread"][0]) < 1e-4
    assert symmetric_angle_deg(orientations["mean_quaternion"].values[0], base, CUBIC) < 1e-4


def test_a_slow_bend_is_followed():
    bend = about_axis([0, 0, 1], np.linspace(0, 30, 16))[None] * np.ones((3, 1, 1))
    assert label_grains(orientation_map(bend)).sizes["grain_number"] == 1


def test_phases_and_vacuum_part_grains_and_keep_their_place():
    same = np.ones((4, 6, 1)) * np.array([1.0, 0, 0, 0])
    same[:, 2] = np.nan
    phase = np.zeros((4, 6), dtype=int)
    phase[:, 4:] = 1
    orientations = label_grains(orientation_map(same, phase))
    np.testing.assert_array_equal(orientations["grain"].values[0], [0, 0, -1, 1, 2, 2])
    np.testing.assert_array_equal(orientations["grain_phase"], [0, 0, 1])
    np.testing.assert_array_equal(orientations["size"], [8, 4, 8])
    np.testing.assert_allclose(orientations["diameter"], 2 * np.sqrt(np.array([8, 4, 8]) * 4.0 / np.pi))


def test_small_and_unreliable_grains_are_left_out():
    halves = orientation_map(two_halves(30.0))
    assert label_grains(halves, min_pixels=16).sizes["grain_number"] == 1
    assert label_grains(halves, min_reliability=21).sizes["grain_number"] == 0
    assert (label_grains(halves, min_reliability=21)["grain"] == -1).all()


def test_half_turn_about_the_beam_is_folded_on_request_only():
    base = random(1, np.random.default_rng(9))[0]
    flipped = multiply(base, about_axis([0, 0, 1], 180.0))
    islands = np.where(np.eye(5, dtype=bool)[..., None], flipped, base)
    assert label_grains(orientation_map(islands)).sizes["grain_number"] > 1
    folded = label_grains(orientation_map(islands), fold_180=True)
    assert folded.sizes["grain_number"] == 1
    assert float(folded["spread"][0]) < 1e-4


def test_lazy_input_and_a_file_make_no_difference(tmp_path):
    orientations = orientation_map(two_halves(30.0))
    before = orientations.copy(deep=True)
    grains = label_grains(orientations)
    xr.testing.assert_identical(orientations, before)
    xr.testing.assert_identical(label_grains(orientations.chunk(scan_y=2, scan_x=3)), grains)
    save(grains, tmp_path / "grains.nc")
    xr.testing.assert_identical(load(tmp_path / "grains.nc").compute(), grains)


def test_bad_input_is_refused_with_a_cure():
    orientations = orientation_map(two_halves(30.0))
    with pytest.raises(SchemaError, match="needs 0 or more"):
        label_grains(orientations, max_disorientation_deg=-1)
    with pytest.raises(SchemaError, match=r"attrs\['phases'\]"):
        label_grains(orientations.drop_attrs(deep=False))
    with pytest.raises(SchemaError, match="match_orientations"):
        label_grains(orientations.drop_vars("quaternion"))
