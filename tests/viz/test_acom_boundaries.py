"""Boundaries are drawn where the maps say, and pole figures show the poles they were given."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis, multiply, random
from phasekit.viz import acom as draw
from tests.acom.maps import orientation_map


@pytest.fixture
def found():
    """Two columns of LiFePO4, half a turn apart in the upper rows, beside two of nickel with a low-angle boundary."""
    base = random(2, np.random.default_rng(0))
    quaternion = np.ones((6, 8, 1)) * base[0]
    quaternion[:, :2], quaternion[:3, 2:4] = base[1], multiply(base[1], about_axis([0, 0, 1], 180.0))
    quaternion[3:, 2:4] = base[1]
    quaternion[:, 6:] = multiply(base[0], about_axis([1, 0, 0], 4.0))
    return orientation_map(quaternion, np.array([1, 1, 1, 1, 0, 0, 0, 0]))


def lines_of(axis, kind):
    drawn = [c for c in axis.collections if isinstance(c, LineCollection) and c.get_label() == kind]
    return [segment.tolist() for c in drawn for segment in c.get_segments()]


def test_boundaries_lie_on_the_edges_of_the_pixels(found):
    grains = acom.label_grains(found)
    axis, *others = draw.boundary_figure(found, grains, acom.misorientation_maps(found, grains)).axes
    # 2 nm steps: the edge between pixels 3 and 4 lies at 7 nm, and the map spans -1 to 11 nm.
    assert lines_of(axis, "phase") == [[[7, -1], [7, 11]]]
    assert lines_of(axis, "low angle") == [[[11, -1], [11, 11]]]
    assert sorted(lines_of(axis, "half turn")) == [[[3, -1], [3, 5]], [[3, 5], [7, 5]]]
    assert not lines_of(axis, "high angle")
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["low angle", "phase", "half turn"]
    assert axis.get_title() == "3 grains (IPF-z)"
    assert others[1].get_ylabel().endswith("[degree]")


def test_maps_without_boundaries_or_orientations_are_drawn_too(found):
    one = found.isel(scan_x=slice(4, 6))
    figure = draw.boundary_figure(one, acom.label_grains(one), acom.misorientation_maps(one))
    assert figure.axes[0].get_legend() is None
    empty = orientation_map(np.full((3, 4, 4), np.nan))
    grains = acom.label_grains(empty)
    maps = acom.misorientation_maps(empty, grains)
    assert maps["grain_misorientation"].isnull().all()
    assert draw.boundary_figure(empty, grains, maps).axes[0].get_title() == "0 grains (IPF-z)"


def test_lazy_maps_are_drawn_alike(found):
    grains = acom.label_grains(found)
    maps = acom.misorientation_maps(found, grains)
    eager = draw.boundary_figure(found, grains, maps).axes[0].images[0].get_array()
    lazy = draw.boundary_figure(found.chunk(scan_y=2), grains.chunk(scan_y=2), maps.chunk(scan_x=3))
    np.testing.assert_allclose(lazy.axes[0].images[0].get_array(), eager)


def test_pole_figure_shows_every_pole(found):
    pole = acom.pole_figure(found, (0, 0, 1), projection="stereographic")
    points, density, bar = draw.plot_pole_figure(pole).axes
    np.testing.assert_allclose(points.collections[0].get_offsets()[:, 0], pole["direction_x"])
    assert points.get_title() == "Ni {0 0 1}: poles of 24 pixels"
    assert density.get_title() == "density (stereographic)"
    assert bar.get_ylabel() == "density [multiples of random]"
    assert points.get_ylim()[0] > points.get_ylim()[1], "y grows downwards, as in the maps"


def test_a_pole_figure_of_nothing_is_empty(found):
    nothing = acom.pole_figure(found, (0, 0, 1), min_reliability=90)
    assert draw.plot_pole_figure(nothing).axes[0].get_title().endswith("0 pixels")


def test_other_data_are_refused_with_a_cure(found):
    grains = acom.label_grains(found)
    maps = acom.misorientation_maps(found)
    with pytest.raises(SchemaError, match="all three of one map"):
        draw.boundary_figure(found, grains, maps.isel(scan_x=slice(3)))
    with pytest.raises(SchemaError, match="misorientation_maps makes one"):
        draw.boundary_figure(found, grains, grains)
    with pytest.raises(SchemaError, match="pole_figure makes one"):
        draw.plot_pole_figure(found)
