"""Misorientation inside grains and across their boundaries, on maps whose angles are known."""

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import label_grains, misorientation_maps
from phasekit.errors import SchemaError
from phasekit.io import load, save
from phasekit.rotations import about_axis, multiply, random
from tests.acom.maps import NICKEL, OLIVINE, orientation_map

SYMMETRY = [np.asarray(phase.point_group.laue_proper_subgroup.data) for phase in (NICKEL, OLIVINE)]


def polycrystal(seed=0, shape=(12, 15)):
    """Three columns of grains with 1 degree of scatter: Ni, Ni, LiFePO4, a hole in the last."""
    rng = np.random.default_rng(seed)
    grain = np.arange(shape[1])[None] // 5 * np.ones((shape[0], 1), dtype=int)
    tilt = about_axis(rng.normal(size=(*shape, 3)), rng.normal(scale=1.0, size=shape))
    quaternion = multiply(random(3, rng)[grain], tilt)
    quaternion[4:6, 12] = np.nan
    return orientation_map(quaternion, np.array([0, 0, 1])[grain])


def columns(*angles, phase=None):
    """One row of pixels, turned about the beam."""
    return orientation_map(about_axis([0, 0, 1], np.array(angles, dtype=float))[None], phase)


def test_angles_and_kinds_of_a_row():
    maps = misorientation_maps(columns(0, 1, 4, 40, 40, phase=[[0, 0, 0, 0, 1]]))
    np.testing.assert_allclose(maps["boundary_x"].values[0], [1, 3, 36, np.nan, np.nan], atol=1e-6)
    np.testing.assert_array_equal(maps["boundary_kind_x"].values[0], [0, 1, 2, 3, 0])
    np.testing.assert_allclose(maps["kernel_misorientation"].values[0], [1, 2, 3, np.nan, np.nan], atol=1e-6)
    assert maps["boundary_y"].isnull().all()
    assert maps["boundary_kind_x"].attrs["flag_meanings"] == "none low_angle high_angle phase half_turn"


def test_a_column_is_a_row_turned():
    row = columns(0, 1, 4, 40)
    column = row.rename(scan_x="scan_y", scan_y="scan_x").transpose("scan_y", "scan_x", ...)
    across, down = misorientation_maps(row), misorientation_maps(column)
    np.testing.assert_array_equal(down["boundary_y"].values[:, 0], across["boundary_x"].values[0])
    np.testing.assert_array_equal(down["boundary_kind_y"].values[:, 0], across["boundary_kind_x"].values[0])


def test_half_turns_have_their_own_kind():
    rng = np.random.default_rng(2)
    base = random(1, rng)[0]
    near_beam = multiply(base, about_axis([0.15, 0.1, 1], 180.0))
    across_beam = multiply(base, about_axis([1, 0.2, 0], 179.0))
    one = orientation_map(np.array([[base, multiply(base, about_axis([0, 0, 1], 177.0)), base, near_beam]]), phase=1)
    np.testing.assert_array_equal(misorientation_maps(one)["boundary_kind_x"].values[0], [4, 4, 4, 0])
    np.testing.assert_array_equal(misorientation_maps(one, half_turn_deg=0)["boundary_kind_x"].values[0], [2, 2, 2, 0])
    two = orientation_map(np.array([[base, across_beam]]), phase=1)
    assert int(misorientation_maps(two)["boundary_kind_x"][0, 0]) == 2
    # Nickel along <001> has that half turn among its symmetries: there is no boundary at all.
    assert int(misorientation_maps(columns(0, 180))["boundary_kind_x"][0, 0]) == 0


def test_folding_joins_half_turns_in_the_kernel():
    base = random(1, np.random.default_rng(7))[0]
    pair = orientation_map(np.array([[base, multiply(base, about_axis([0, 0, 1], 179.0))]]), phase=1)
    assert misorientation_maps(pair)["kernel_misorientation"].isnull().all()
    folded = misorientation_maps(pair, label_grains(pair, fold_180=True), fold_180=True)
    np.testing.assert_allclose(folded["kernel_misorientation"], 1.0, atol=1e-6)
    np.testing.assert_allclose(folded["grain_misorientation"], 0.5, atol=1e-3)


def test_the_angle_from_the_mean_averages_to_the_spread():
    orientations = polycrystal()
    grains = label_grains(orientations)
    maps = misorientation_maps(orientations, grains)
    inside = grains["grain"].values >= 0
    assert inside.sum() == 178
    for number in range(grains.sizes["grain_number"]):
        here = maps["grain_misorientation"].values[grains["grain"].values == number]
        assert here.mean() == pytest.approx(float(grains["spread"][number]), abs=1e-6)
    np.testing.assert_array_equal(np.isnan(maps["grain_misorientation"]), ~inside)
    assert "grain_misorientation" not in misorientation_maps(orientations)


def test_holes_have_no_boundary_and_no_value():
    maps = misorientation_maps(polycrystal())
    assert maps["kernel_misorientation"][4:6, 12].isnull().all()
    assert maps["boundary_x"][4, 11:13].isnull().all()
    assert not maps["boundary_kind_x"][4, 11:13].any()
    assert (maps["boundary_kind_x"][:, 9] == 3).all()
    assert (maps["boundary_kind_x"][:, 4] == 2).all()


def test_symmetry_equivalents_give_the_same_maps():
    orientations = polycrystal(1)
    rng = np.random.default_rng(0)
    picks = [symmetry[rng.integers(0, len(symmetry), orientations["phase"].shape)] for symmetry in SYMMETRY]
    chosen = np.where((orientations["phase"].values == 0)[..., None], *picks)[:, :, None]
    turned = orientations.assign(
        quaternion=(orientations["quaternion"].dims, multiply(chosen, orientations["quaternion"].values))
    )
    xr.testing.assert_allclose(misorientation_maps(turned), misorientation_maps(orientations), atol=1e-5)


def test_turning_the_sample_changes_nothing():
    orientations = polycrystal(2)
    turned = multiply(orientations["quaternion"].values, about_axis([1, 2, 3], 33.0))
    rotated = orientations.assign(quaternion=(orientations["quaternion"].dims, turned))
    names = ["kernel_misorientation", "boundary_x", "boundary_y"]
    xr.testing.assert_allclose(misorientation_maps(rotated)[names], misorientation_maps(orientations)[names], atol=1e-5)


@pytest.mark.parametrize("name", ["maps.nc", "maps.zarr"])
def test_lazy_input_and_a_file_make_no_difference(tmp_path, name):
    orientations = polycrystal()
    before, grains = orientations.copy(deep=True), label_grains(orientations)
    maps = misorientation_maps(orientations, grains)
    xr.testing.assert_identical(orientations, before)
    lazy = misorientation_maps(orientations.chunk(scan_y=5, scan_x=4), grains.chunk(scan_y=2))
    xr.testing.assert_identical(lazy, maps)
    save(maps, tmp_path / name)
    xr.testing.assert_identical(load(tmp_path / name).compute(), maps)


def test_bad_input_is_refused_with_a_cure():
    orientations = polycrystal()
    with pytest.raises(SchemaError, match="low_angle_deg=2"):
        misorientation_maps(orientations, low_angle_deg=20)
    with pytest.raises(SchemaError, match=r"label_grains\(orientations\)"):
        misorientation_maps(orientations, label_grains(orientations.isel(scan_x=slice(5))))
    with pytest.raises(SchemaError, match="match_orientations"):
        misorientation_maps(orientations.drop_vars("phase"))
    with pytest.raises(SchemaError, match="label_grains makes one"):
        misorientation_maps(orientations, orientations)
