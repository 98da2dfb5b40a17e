"""The pole figure of the explorer is linked with the map, the unit cell is the crystal's, and the preview is honest."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.acom.maps.pole_links import find_pixels_with_pole, merge_poles, project_poles
from phasekit.acom.maps.poles import find_equivalent_normals
from phasekit.acom.maps.unit_cell import place_unit_cell
from phasekit.acom.peaks.virtual_images import select_regularly
from phasekit.crystals import crystal, phase_record
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis, multiply, random
from tests.acom.maps import NICKEL, orientation_map
from tests.viz.explorer_data import make_orientations

HEXAGONAL = crystal("Mg", 194, (3.21, 3.21, 5.21, 90, 90, 120), [("Mg", 1 / 3, 2 / 3, 0.25)])
MONOCLINIC = crystal("ZrO2", 14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208)])
TRICLINIC = crystal("mica", 2, (5.2, 7.4, 9.1, 95, 105, 88), [("Si", 0.1, 0.2, 0.3)])
BOX = {"x": [-0.3, 0.3, 0.3, -0.3], "y": [-0.3, -0.3, 0.3, 0.3]}


@pytest.fixture(scope="module")
def result():
    return make_orientations()


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)


def group(picture, name):
    return next(marks for marks in picture.marks if marks.name.startswith(name))


def two_grains(shape=(6, 8)):
    """Two cubes side by side: the right one turned by 30 degrees about x, out of the middle of {001}."""
    quaternion = np.ones((*shape, 1)) * np.array([1.0, 0, 0, 0])
    quaternion[:, shape[1] // 2 :] = multiply(np.array([1.0, 0, 0, 0]), about_axis([1, 0, 0], 30.0))
    return orientation_map(quaternion)


def test_poles_of_the_pixels_are_those_of_the_pole_figure():
    quaternion = random(12, np.random.default_rng(0)).reshape(3, 4, 4)
    figure = pk.acom.pole_figure(orientation_map(quaternion), (1, 1, 2))
    poles = project_poles(quaternion, find_equivalent_normals(NICKEL, (1, 1, 2))).reshape(-1, 2)
    places, weight = merge_poles(poles, 10_000)
    assert weight.sum() == figure["weight"].sum() == 12 * 12
    expected = np.column_stack([figure["direction_x"], figure["direction_y"]])
    np.testing.assert_allclose(places[np.lexsort(places.T)], expected[np.lexsort(expected.T)], atol=1e-6)


def test_a_region_of_the_pole_figure_marks_its_grain_on_the_map():
    explorer = pk.viz.acom.explorer(two_grains(), reliability=5.0, pole=(0, 0, 1))
    assert explorer.draw("map").shaded is None
    explorer.choose(pole_region=BOX)
    shaded = explorer.draw("map").shaded
    assert (shaded[:, 4:].all(), shaded[:, :4].any()) == (True, False)
    assert "24 pixels" in explorer.draw("map").key
    for show in ("phase", "reliability", "status"):  # every map shows what was marked
        explorer.choose(show=show)
        np.testing.assert_array_equal(explorer.draw("map").shaded, shaded)
    # Unreliable pixels have no pole in the figure, thus none are marked.
    explorer.choose(threshold=30.0)
    assert explorer.draw("map").shaded.all()
    assert explorer.draw("pole figure").title.endswith(": 0 pixels")
    explorer.choose(threshold=5.0, pole_region=None)
    assert explorer.draw("map").shaded is None


def test_a_pole_on_the_rim_is_found_at_both_of_its_ends():
    explorer = pk.viz.acom.explorer(two_grains(), reliability=5.0, pole=(0, 0, 1))
    for x in (-1.0, 1.0):  # the pole along x lies on the rim, and both grains have it
        explorer.choose(pole_region={"x": [x - 0.1, x + 0.1, x + 0.1, x - 0.1], "y": [-0.1, -0.1, 0.1, 0.1]})
        assert not explorer.draw("map").shaded.any()
    explorer.choose(pole_region={"x": [-0.1, 0.1, 0.1, -0.1], "y": [0.9, 0.9, 1.1, 1.1]})
    assert explorer.draw("map").shaded[:, 4:].all()


def test_a_region_and_the_cursor_mark_their_poles():
    quaternion = random(48, np.random.default_rng(1)).reshape(6, 8, 4)
    orientations = orientation_map(quaternion)
    explorer = pk.viz.acom.explorer(orientations, reliability=0.0, pole=(1, 1, 1))
    normals = find_equivalent_normals(NICKEL, (1, 1, 1))
    explorer.choose(pixel=(2, 3))
    here = group(explorer.draw("pole figure"), "poles of the cursor")
    np.testing.assert_allclose(np.column_stack([here.x, here.y]), project_poles(quaternion[2, 3], normals), atol=1e-6)
    region = {"x": [-1.0, 5.0, 5.0, -1.0], "y": [-1.0, -1.0, 3.0, 3.0]}  # 2 rows and 3 columns of 2 nm
    explorer.choose(region=region)
    marked = group(explorer.draw("pole figure"), "poles of the region")
    assert len(marked.x) == 4 * 6
    places = project_poles(quaternion[:2, :3], normals).reshape(-1, 2).astype(float)
    expected = {(x, y) for x, y in places.round(4).tolist()}
    found = np.column_stack([marked.x, marked.y]).round(4)
    assert {tuple(place) for place in found.tolist()} == expected
    assert explorer.draw("map").outlines  # the region stays visible
    figure = pk.acom.pole_figure(orientations, (1, 1, 1), grid=71)
    np.testing.assert_array_equal(explorer.draw("pole figure").values, figure["density"])


def test_many_poles_of_a_region_are_merged():
    quaternion = random(10_000, np.random.default_rng(2)).reshape(100, 100, 4)
    explorer = pk.viz.acom.explorer(orientation_map(quaternion), reliability=0.0, pole=(0, 0, 1))
    explorer.choose(region={"x": [-1.0, 199.0, 199.0, -1.0], "y": [-1.0, -1.0, 199.0, 199.0]})
    assert len(group(explorer.draw("pole figure"), "poles of the region").x) == 1000
    explorer.choose(pole_region=BOX)
    assert 0 < explorer.draw("map").shaded.mean() < 1


def test_a_lasso_selects_by_its_shape():
    poles = np.array([[[[0.1, 0.1]], [[0.4, 0.4]], [[np.nan, np.nan]]]], np.float32)
    triangle = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    np.testing.assert_array_equal(find_pixels_with_pole(poles, triangle), [[True, False, False]])


@pytest.mark.parametrize("phase", [NICKEL, HEXAGONAL, MONOCLINIC, TRICLINIC], ids=lambda phase: phase.name)
def test_the_axes_of_the_cell_point_where_orix_says(phase):
    from orix.crystal_map import Phase
    from orix.quaternion import Orientation
    from orix.vector import Miller

    lattice = phase.structure.lattice.abcABG()
    for quaternion in random(5, np.random.default_rng(3)):
        cell = place_unit_cell(lattice, quaternion)
        found = cell.axes - cell.origin
        crystal_axes = Miller(uvw=np.eye(3), phase=Phase(point_group="1", structure=phase.structure))
        expected = (~Orientation(quaternion) * crystal_axes).data
        # One scale for the whole cell, so that lengths and angles are true.
        scale = np.linalg.norm(found[0]) / np.linalg.norm(expected[0])
        np.testing.assert_allclose(found, scale * expected, atol=1e-9)
        assert cell.edges.shape == (12, 2, 3)
        assert np.linalg.norm(cell.edges, axis=-1).max() == pytest.approx(1.0)


def assert_rays_agree(cell):
    """An edge is hidden if the cell lies between its middle and the viewer, who looks along +z."""
    basis = cell.axes - cell.origin
    for edge, hidden in zip(cell.edges, cell.hidden, strict=True):
        middle = edge.mean(axis=0)
        steps = np.array([middle - [0, 0, depth] for depth in np.linspace(0.01, 2.5, 250)])
        inside = np.linalg.solve(basis.T, (steps - cell.origin).T).T
        assert hidden == bool(((inside > 1e-3) & (inside < 1 - 1e-3)).all(axis=1).any())


def test_edges_behind_the_cell_are_dashed():
    # [110] towards the viewer: the cube's far edge is hidden, with the edges that end there.
    cell = place_unit_cell((4, 4, 4, 90, 90, 90), random(1, np.random.default_rng(0))[0])
    deepest = cell.edges[..., 2].max()
    assert cell.hidden.sum() == 3
    assert (cell.edges[cell.hidden][..., 2].max(axis=1) == deepest).all()
    assert (cell.edges[~cell.hidden][..., 2] < deepest).all()
    # For oblique cells: what is drawn solid is the outline and what the viewer can reach, tested by rays.
    rng = np.random.default_rng(1)
    for lattice in ((3, 3, 5, 90, 90, 120), (5, 4, 6, 90, 110, 90), (4, 4, 4, 60, 60, 60), (4, 5, 6, 80, 95, 110)):
        for quaternion in random(5, rng):
            assert_rays_agree(place_unit_cell(lattice, quaternion))
    straight = place_unit_cell((4, 4, 4, 90, 90, 90), [1.0, 0, 0, 0])
    assert straight.hidden.sum() == 4  # the face behind


def test_the_cell_follows_the_cursor_in_the_frame_of_the_map():
    explorer = pk.viz.acom.explorer(two_grains(), reliability=5.0, pole=(0, 0, 1))
    explorer.choose(pixel=(0, 0))
    picture = explorer.draw("unit cell")
    words = {label.text: (label.x, label.y) for label in picture.labels}
    # Not turned: a to the right and b down, as the sample's x and y.
    origin = next(line for line in picture.lines if line.width == 3.0)
    assert words["a"][0] > origin.x[0] + 0.5
    assert words["b"][1] > origin.y[0] + 0.5
    explorer.choose(pixel=(0, 7))
    assert {label.text: (label.x, label.y) for label in explorer.draw("unit cell").labels} != words
    assert "cell of Ni" in explorer.draw("unit cell").title


def test_the_preview_counts_the_peaks_of_a_part_of_the_scan(result):
    explorer = pk.viz.acom.explorer(**result)
    preview = explorer.draw("preview")
    np.testing.assert_array_equal(preview.values, result["found_peaks"]["count"])
    explorer.choose(prominence=3.0, min_distance=6.0, max_peaks=9)
    found = pk.acom.find_peaks(
        result["patterns"], min_prominence=3.0, min_distance_px=6.0, max_peaks=9, weak_peaks=0, mask=None
    )
    preview = explorer.draw("preview")
    np.testing.assert_array_equal(preview.values, found["count"])  # 42 patterns: all of them
    empty = 100 * float((found["count"] <= 1).mean())
    assert preview.title == f"peaks: median {float(found['count'].median()):.3g}, {empty:.3g} % empty"
    assert yaml_of(explorer)["search"]["min_distance_px"] == 6.0
    explorer.choose(pixel=(2, 3))
    drawn = group(explorer.draw("pattern"), "peaks")
    assert len(drawn.x) <= 9


def yaml_of(explorer) -> dict:
    import yaml

    return yaml.safe_load(explorer.as_parameters())


def test_sliders_start_where_the_peaks_were_found(result):
    found = pk.acom.find_peaks(result["patterns"], min_prominence=2.0, min_distance_px=5.0, max_peaks=20).compute()
    peaks = pk.acom.calibrate_peaks(found, phase=[NICKEL], detector_rotation_deg=20.0).compute()
    explorer = pk.viz.acom.explorer(**{**result, "found_peaks": found, "peaks": peaks})
    values = explorer.values
    assert (values["prominence"], values["min_distance"], values["max_peaks"]) == (2.0, 5.0, 20)
    np.testing.assert_array_equal(explorer.draw("preview").values, found["count"])
    explorer.choose(prominence=0.0)  # a new search, not the one that was given
    assert (explorer.draw("preview").values >= found["count"]).all()


def test_the_yaml_keeps_the_settings_of_the_search_that_have_no_slider(result):
    asked = {"mode": "published", "background_radius": 9.0, "min_prominence": 2.0, "weak_peaks": 5}
    found = pk.acom.find_peaks(result["patterns"], **asked, mask=None).compute()
    explorer = pk.viz.acom.explorer(**{**result, "found_peaks": found})
    explorer.choose(min_distance=4.0)
    assert yaml_of(explorer)["search"] == {**asked, "min_distance_px": 4.0, "max_peaks": 150}


def test_nothing_is_read_for_the_preview_before_a_slider_moves(result):
    patterns = result["patterns"]
    explorer = pk.viz.acom.explorer(result["orientations"], patterns=patterns)
    assert np.isnan(explorer.draw("preview").values).all()
    assert "move a slider" in explorer.draw("preview").title
    explorer.choose(min_distance=1.0)
    assert np.isfinite(explorer.draw("preview").values).all()


@pytest.mark.parametrize(
    ("scan", "detector", "expected"),
    [
        ((1, 1), 64, (1, 1)),
        ((16, 16), 64, (16, 16)),
        ((64, 64), 64, (16, 16)),
        ((1, 4000), 64, (1, 250)),
        ((2048, 2048), 256, (16, 16)),
        ((64, 64), 2048, (3, 3)),
        ((0, 5), 64, (0, 5)),
    ],
)
def test_a_part_of_the_scan_is_regular_and_bounded(scan, detector, expected):
    shape = {"scan_y": scan[0], "scan_x": scan[1], "qy": detector, "qx": detector}
    empty = xr.Dataset({"intensity": (tuple(shape), np.broadcast_to(np.float32(0), tuple(shape.values())))})
    part = empty.isel(select_regularly(empty))
    sizes = part.sizes["scan_y"], part.sizes["scan_x"]
    assert sizes == pytest.approx(expected, abs=1)
    assert sizes[0] * sizes[1] <= 256
    if 0 not in scan:
        assert min(sizes) >= 1


def test_the_static_twin_draws_all_views(result):
    explorer = pk.viz.acom.explorer(**result)
    explorer.choose(pole_region=BOX, region={"x": [0, 40, 40, 0], "y": [0, 0, 40, 40]})
    figure = explorer.figure()
    titles = [axis.get_title() for axis in figure.axes if axis.get_visible()]
    assert any(title.startswith("{0 0 1} of Ni") for title in titles)
    assert any("cell of" in title or "no orientation" in title for title in titles)
    assert any(title.startswith("peaks: median") for title in titles)


def many_phases(n, shape=(5, 6)):
    """A map with ``n`` phases of which only the first and the last have pixels, and some NaN."""
    quaternion = random(shape[0] * shape[1], np.random.default_rng(0)).reshape(*shape, 4)
    quaternion[0, 0] = np.nan
    phase = np.zeros(shape, int)
    phase[2:] = n - 1
    out = orientation_map(quaternion, phase)
    records = [phase_record(NICKEL) | {"name": f"phase {i % 20}"} for i in range(n)]
    return out.assign_attrs(phases=json.dumps(records))


def test_thirty_phases_and_a_phase_without_pixels():
    explorer = pk.viz.acom.explorer(many_phases(30), reliability=0.0, pole=(0, 0, 1))
    options = explorer._descriptions["pole_phase"].options
    assert len(set(options)) == 30  # equal names are told apart
    explorer.choose(pole_phase=options[29], show="phase")
    assert explorer.draw("pole figure").title.endswith(": 18 pixels")
    explorer.choose(pole_phase=options[3], pole_region=BOX)
    picture = explorer.draw("pole figure")
    assert picture.title.endswith(": 0 pixels")
    assert np.isnan(picture.values).all()
    assert explorer.draw("map").shaded.all()
    explorer.choose(pixel=(0, 0))  # NaN there
    assert explorer.draw("unit cell").title == "row 0, column 0: no orientation"
    assert not len(group(explorer.draw("pole figure"), "poles of the cursor").x)
    explorer.figure()


def test_one_pixel_and_a_map_of_nan():
    one = pk.viz.acom.explorer(orientation_map(np.array([[[1.0, 0, 0, 0]]])), reliability=0.0, pole=(1, 1, 1))
    one.choose(pole_region={"x": [-1, 1, 1, -1], "y": [-1, -1, 1, 1]})
    assert not one.draw("map").shaded.any()
    one.figure()
    nothing = pk.viz.acom.explorer(orientation_map(np.full((3, 3, 4), np.nan)), pole=(0, 0, 1))
    nothing.choose(pole_region=BOX, region={"x": [0, 4, 4, 0], "y": [0, 0, 4, 4]})
    assert nothing.draw("map").shaded.all()
    assert nothing.draw("unit cell").title.endswith("no orientation")
    nothing.figure()


def test_indices_that_are_no_plane_and_an_empty_scan_are_refused():
    with pytest.raises(SchemaError, match="hkl = "):
        pk.viz.acom.explorer(two_grains(), pole=(0, 0, 0))
    with pytest.raises(SchemaError, match="explorer: 'quaternion' is empty"):
        pk.viz.acom.explorer(two_grains().isel(scan_y=slice(0, 0)), pole=(0, 0, 1))


def test_a_map_alone_keeps_its_threshold_only():
    assert pk.viz.acom.explorer(two_grains()).values == {"threshold": 15.0}


def test_a_long_line_of_pixels_is_thinned_and_not_emptied():
    from phasekit.viz.linked.pictures import thin_for_screen

    line = xr.DataArray(np.zeros((1, 3000)), dims=("scan_y", "scan_x"))
    assert thin_for_screen(line).shape == (1, 500)
