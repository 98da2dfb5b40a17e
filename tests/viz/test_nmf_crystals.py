import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, phase_record
from phasekit.errors import SchemaError
from phasekit.rotations import about_axis


@pytest.fixture
def maps():
    """Two maps of a nickel foil: the second turned by 3 degrees, one of its points not indexed."""
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    scan = ("scan_y", "scan_x")
    coords = {d: (d, np.arange(float(n)) * 5, {"units": "nm"}) for d, n in zip(scan, (4, 6), strict=True)}
    data = {name: (scan, np.zeros((4, 6), int)) for name in ("phase", "status")}
    data |= {name: (scan, np.full((4, 6), 20.0)) for name in ("reliability", "phase_reliability")}
    data["correlation"] = ((*scan, "match"), np.ones((4, 6, 1)))
    data["component"] = (scan, np.repeat([[0, 0, 0, 2, 2, 2]], 4, axis=0))
    made = []
    for angle in (0.0, 3.0):
        turned = about_axis([1, 2, 3], np.full((4, 6), angle))[:, :, None]
        quaternion = ((*scan, "match", "wxyz"), turned)
        made.append(
            xr.Dataset({**data, "quaternion": quaternion}, coords, {"phases": json.dumps([phase_record(nickel)])})
        )
    made[1]["phase"][0, 0] = -1
    made[1]["quaternion"][0, 0] = np.nan
    return made


def test_figure_tells_both_maps_and_the_angle_between_them(maps, tmp_path):
    before = [one.copy(deep=True) for one in maps]
    figure = pk.viz.nmf.crystals_figure(*maps)
    assert [text.get_text() for text in figure.axes[0].texts if text.get_text().isdigit()] == ["0", "2"]
    assert figure.axes[2].get_title() == "same phase: 100 %, median 3.0°"
    drawn = figure.axes[2].images[0].get_array()
    assert np.isnan(drawn.filled(np.nan)[0, 0])
    np.testing.assert_allclose(drawn.filled(np.nan)[1:], 3, atol=1e-3)
    assert figure.get_label().endswith(".")
    path = pk.viz.save_figure(figure, tmp_path / "crystals.png", alt=figure.get_label())
    assert path.stat().st_size > 5000
    for one, was in zip(maps, before, strict=True):
        xr.testing.assert_identical(one, was)


def test_both_colour_keys_and_directions(maps):
    figure = pk.viz.nmf.crystals_figure(*maps, direction="x", ipf_key="cvd")
    assert figure.axes[0].get_title() == "from components (IPF-x)"


def test_refusals(maps):
    first, second = maps
    with pytest.raises(SchemaError, match="map_component_orientations"):
        pk.viz.nmf.crystals_figure(first.drop_vars("component"), second)
    with pytest.raises(SchemaError, match="shape"):
        pk.viz.nmf.crystals_figure(first, second.isel(scan_x=slice(3)))
    with pytest.raises(SchemaError, match="different phases"):
        pk.viz.nmf.crystals_figure(first, second.assign_attrs(phases="[]"))
