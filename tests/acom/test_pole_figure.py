"""Pole figures of textures whose poles are known."""

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import pole_figure
from phasekit.acom.maps.poles import find_equivalent_normals
from phasekit.diffraction import crystal
from phasekit.errors import SchemaError
from phasekit.io import load, save
from phasekit.rotations import about_axis, multiply, random
from tests.acom.maps import NICKEL, OLIVINE, orientation_map

CUBIC = np.asarray(NICKEL.point_group.laue_proper_subgroup.data)
CUBE = np.ones((3, 4, 1)) * np.array([1.0, 0, 0, 0])


def places(pole):
    where = np.stack([pole["direction_x"], pole["direction_y"]], axis=1).round(4) + 0.0
    return {(float(x), float(y)) for x, y in where}


@pytest.mark.parametrize("projection", ["equal_area", "stereographic"])
def test_a_cube_texture_has_its_001_poles_at_centre_and_rim(projection):
    pole = pole_figure(orientation_map(CUBE), (0, 0, 1), projection=projection)
    assert places(pole) == {(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)}
    density = pole["density"]
    assert float(density.sel(pole_x=0, pole_y=0)) == pytest.approx(float(density.max()))
    assert float(density.sel(pole_x=1, pole_y=0)) == pytest.approx(float(density.max()), rel=1e-6)
    assert float(density.sel(pole_x=0.5, pole_y=0.5, method="nearest")) < 0.1
    assert int(pole["n_pixels"]) == 12
    assert float(pole["weight"].sum()) == 3 * 12


@pytest.mark.parametrize(("projection", "factor"), [("equal_area", np.sqrt(2)), ("stereographic", 1.0)])
def test_the_111_poles_of_a_cube_lie_where_they_should(projection, factor):
    pole = pole_figure(orientation_map(CUBE), (1, 1, 1), projection=projection)
    half = np.arccos(1 / np.sqrt(3)) / 2
    radius = factor * np.sin(half) if projection == "equal_area" else np.tan(half)
    np.testing.assert_allclose(np.hypot(pole["direction_x"], pole["direction_y"]), radius, atol=1e-9)
    assert pole.sizes["pole"] == 4
    assert (pole["weight"] == 12).all()


def test_turning_the_sample_turns_the_poles():
    # A crystal turned from +x towards +y has O R_z(-phi): its pole along x moves down, towards +y.
    turned = multiply(CUBE, about_axis([0, 0, 1], -30.0))
    assert (round(np.cos(np.pi / 6), 4), 0.5) in places(pole_figure(orientation_map(turned), (1, 0, 0)))


def test_random_orientations_are_flat_and_the_mean_is_one():
    rng = np.random.default_rng(0)
    pole = pole_figure(orientation_map(random(40000, rng).reshape(200, 200, 4)), (1, 1, 1))
    assert float(pole["density"].std()) < 0.05
    assert float(pole["density"].mean()) == pytest.approx(1, abs=0.01)
    assert int(pole["weight"].sum()) == 4 * 40000
    sharp = pole_figure(orientation_map(CUBE), (1, 1, 1), grid=201)  # equal areas: the mean is over the hemisphere
    assert float(sharp["density"].mean()) == pytest.approx(1, abs=0.01)
    assert float(sharp["density"].max()) > 10


def test_symmetry_equivalents_give_the_same_figure():
    rng = np.random.default_rng(1)
    base = random(30, rng).reshape(5, 6, 4)
    mixed = multiply(CUBIC[rng.integers(0, 24, (5, 6))], base)
    one, other = (pole_figure(orientation_map(q), (1, 2, 3)) for q in (base, mixed))
    xr.testing.assert_allclose(other["density"], one["density"], atol=1e-9)
    assert one.sizes["pole"] <= 24 / 2 * 2 * 30


@pytest.mark.parametrize(("hkl", "number"), [((0, 0, 1), 3), ((1, 1, 1), 4), ((1, 1, 0), 6), ((1, 2, 3), 24)])
def test_multiplicity_of_cubic_forms(hkl, number):
    assert len(find_equivalent_normals(NICKEL, hkl)) == number


def test_normals_are_reciprocal_vectors():
    normal = find_equivalent_normals(OLIVINE, (1, 1, 0))
    angle = np.degrees(np.arccos(abs(normal[0] @ normal[1])))
    assert len(normal) == 2
    assert angle == pytest.approx(2 * np.degrees(np.arctan(6.01 / 10.33)), abs=1e-6)
    hexagonal = crystal("Mg", 194, (3.2, 3.2, 5.2, 90, 90, 120), [("Mg", 1 / 3, 2 / 3, 0.25)])
    assert len(find_equivalent_normals(hexagonal, (1, 0, 0))) == 3
    assert (
        abs(find_equivalent_normals(hexagonal, (1, 0, 0))[0] @ find_equivalent_normals(hexagonal, (0, 0, 1))[0]) < 1e-12
    )


def test_only_the_chosen_pixels_count():
    quaternion = np.ones((2, 4, 1)) * random(1, np.random.default_rng(3))[0]
    quaternion[:, 0] = np.nan
    orientations = orientation_map(quaternion, np.array([0, 0, 0, 1]))
    assert int(pole_figure(orientations, (0, 0, 1))["n_pixels"]) == 4
    assert int(pole_figure(orientations, (0, 0, 1), phase=1)["n_pixels"]) == 2
    none = pole_figure(orientations, (0, 0, 1), min_reliability=21)
    assert int(none["n_pixels"]) == 0
    assert none["density"].isnull().all()
    assert none["direction_x"].isnull().all()


@pytest.mark.parametrize("name", ["pole.nc", "pole.zarr"])
def test_lazy_input_and_a_file_make_no_difference(tmp_path, name):
    orientations = orientation_map(random(30, np.random.default_rng(4)).reshape(5, 6, 4))
    before = orientations.copy(deep=True)
    pole = pole_figure(orientations, (1, 1, 1))
    xr.testing.assert_identical(orientations, before)
    xr.testing.assert_identical(pole_figure(orientations.chunk(scan_y=2, scan_x=4), (1, 1, 1)), pole)
    save(pole, tmp_path / name)
    xr.testing.assert_identical(load(tmp_path / name).compute(), pole)


def test_bad_input_is_refused_with_a_cure():
    orientations = orientation_map(CUBE)
    for hkl in ((0, 0, 0), (1, 0, 1, 2), (0.5, 0, 0)):
        with pytest.raises(SchemaError, match="three whole numbers"):
            pole_figure(orientations, hkl)
    with pytest.raises(SchemaError, match="LiFePO4"):
        pole_figure(orientations, (0, 0, 1), phase=2)
    with pytest.raises(SchemaError, match="the default"):
        pole_figure(orientations, (0, 0, 1), projection="mercator")
    with pytest.raises(SchemaError, match="Leave both out"):
        pole_figure(orientations, (0, 0, 1), half_width_deg=0)
    with pytest.raises(SchemaError, match="match_orientations"):
        pole_figure(orientations.drop_vars("phase"), (0, 0, 1))
