"""Figures and explorer of orientation mapping: they draw what the library computes, and say what is missing."""

import json

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.acom import calibrate_peaks, find_peaks, reliable_fraction, virtual_images
from phasekit.crystals import crystal, phase_record
from phasekit.errors import SchemaError
from phasekit.viz import acom as draw
from phasekit.viz.acom.colour_key import draw_colour_key
from phasekit.viz.acom.colour_mask import mask_unreliable
from phasekit.viz.style import panels
from tests.acom.spots import scan_of_disks

SCAN = ("scan_y", "scan_x")


@pytest.fixture(scope="module")
def scan():
    return scan_of_disks(41, (3, 4))[0]


@pytest.fixture(scope="module")
def peaks(scan):
    return find_peaks(scan)


@pytest.fixture
def found():
    """Two phases, random orientations, one column of vacuum."""
    rng = np.random.default_rng(0)
    quaternion = rng.normal(size=(4, 6, 2, 4))
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    phase = np.tile([0, 0, 1, 1, 0, -1], (4, 1))
    reliability = np.where(phase >= 0, np.linspace(0, 60, 24).reshape(4, 6), np.nan)
    data = dict.fromkeys(("reliability", "phase_reliability"), (SCAN, reliability))
    data |= {"phase": (SCAN, phase), "status": (SCAN, (phase < 0).astype(np.int8))}
    data["quaternion"] = ((*SCAN, "match", "wxyz"), quaternion)
    data["correlation"] = ((*SCAN, "match"), rng.uniform(size=(4, 6, 2)))
    coords = {"scan_y": ("scan_y", np.arange(4) * 5.0, {"units": "nm"})}
    coords["scan_x"] = ("scan_x", np.arange(6) * 5.0, {"units": "nm"})
    cells = [("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90)), ("LiFePO4", 62, (10.33, 6.01, 4.69, 90, 90, 90))]
    records = [phase_record(crystal(*cell, [("Ni", 0, 0, 0)])) for cell in cells]
    return xr.Dataset(data, coords, attrs={"phases": json.dumps(records)})


@pytest.fixture
def truth(found):
    return xr.Dataset(
        {
            "truth_quaternion": found.quaternion.isel(match=0).where(found.phase >= 0),
            "truth_phase": found.phase,
        }
    )


def test_pattern_figure_rings_every_peak(scan, peaks):
    figure = draw.pattern_figure(scan, peaks, scan_y=1, scan_x=2)
    rings = figure.axes[1].collections[0]
    assert len(rings.get_offsets()) == int(peaks["count"][1, 2])
    np.testing.assert_allclose(rings.get_offsets()[:, 0], peaks.qx[1, 2].dropna("peak"))
    np.testing.assert_allclose(rings.get_offsets()[:, 1], peaks.qy[1, 2].dropna("peak"))


def test_pattern_figure_reads_one_pattern_of_lazy_data(scan, peaks):
    figure = draw.pattern_figure(scan.chunk(scan_y=1), peaks.chunk(scan_y=1), scan_y=2)
    assert figure.axes[0].get_title() == "pattern (2, 0)"


def test_registered_peaks_do_not_fit_on_the_pattern(scan, peaks):
    with pytest.raises(SchemaError, match="calibrated already"):
        draw.pattern_figure(scan, calibrate_peaks(peaks, pixel_size=0.0125))


def test_virtual_figure_shows_the_maps(peaks):
    images = virtual_images(peaks)
    figure = draw.virtual_figure(images)
    shown = [axis.images[0].get_array() for axis in figure.axes[:4]]
    np.testing.assert_allclose(shown[0], images.bright_field)
    np.testing.assert_array_equal(shown[2], images.spot_count)


def test_orientation_figure_has_maps_keys_and_truth(found, truth):
    alone = draw.orientation_figure(found)
    both = draw.orientation_figure(found, truth)
    titles = [axis.get_title() for axis in both.axes]
    assert {"orientation (IPF-z)", "phase", "reliability", "truth: phase"} <= set(titles)
    assert sum(title.startswith("key: ") for title in titles) == 2
    assert len(both.axes) > len(alone.axes)
    drawn = {axis.get_title(): axis.images[0].get_array() for axis in both.axes if axis.images}
    np.testing.assert_allclose(drawn["orientation (IPF-z)"], drawn["truth: orientation (IPF-z)"])


def test_reliability_greys_out_and_nothing_else(found):
    colours = pk.acom.ipf_colours(found)
    shown = mask_unreliable(found, colours, 30.0)
    kept = (found.reliability >= 30).values
    np.testing.assert_allclose(shown.values[kept], colours.values[kept])
    assert len(np.unique(shown.values[~kept], axis=0)) == 1
    assert np.isfinite(shown).all()


def test_headless_explorer_is_the_same_view_as_a_figure(found):
    pk.viz.setup(interactive=False)
    figure = draw.explorer(found, reliability=25.0).view
    percent = 100 * reliable_fraction(found, 25.0)
    assert f"{percent:.1f} %" in figure.axes[0].get_title()
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array(), mask_unreliable(found, pk.acom.ipf_colours(found), 25.0)
    )


def test_live_explorer_shows_what_the_library_computes(found):
    pytest.importorskip("panel")
    pk.viz.setup(interactive=True)
    try:
        explorer = draw.explorer(found, reliability=10.0)
        app = explorer.view
        slider, readout = explorer.controls["threshold"], explorer.readout
        for value in (10.0, 40.0):
            slider.value = value
            assert f"{100 * reliable_fraction(found, value):.1f} %" in readout.object
        assert explorer.values == {"threshold": 40.0}
        assert slider.label == "reliability threshold"
        assert "pk-readout" in readout.css_classes
        app.get_root().destroy()
    finally:
        pk.viz.setup(interactive=False)


def test_grains_figure_counts_grains():
    grains = xr.Dataset({"grain": (SCAN, [[0, 0, 1], [2, -1, 1]])})
    figure = draw.grains_figure(grains)
    assert figure.axes[0].get_title() == "3 grains"
    with pytest.raises(SchemaError, match="label_grains"):
        draw.grains_figure(xr.Dataset())


@pytest.mark.parametrize(
    ("group", "cell", "corners"),
    [
        (225, (3.5, 3.5, 3.5, 90, 90, 90), {"[0 0 1]", "[1 0 1]", "[1 1 1]"}),
        (62, (10.3, 6.0, 4.7, 90, 90, 90), {"[0 0 1]", "[1 0 0]", "[0 1 0]"}),
        (194, (3.0, 3.0, 5.0, 90, 90, 120), {"[0 0 1]", "[1 0 0]", "[2 1 0]"}),
    ],
)
def test_key_names_its_corners_in_crystal_directions(group, cell, corners):
    _, axes = panels()
    draw_colour_key(axes[0, 0], phase_record(crystal("phase", group, cell, [("Ni", 0, 0, 0)])))
    assert {text.get_text() for text in axes[0, 0].texts} == corners
    assert axes[0, 0].images[0].get_array()[..., 3].any()


@pytest.mark.parametrize("group", [2, 14, 146, 166])
def test_every_laue_group_has_a_key(group):
    _, axes = panels()
    angles = {2: (80, 95, 100), 14: (90, 110, 90)}.get(group, (90, 90, 120))
    cell = (5.0, 6.0, 7.0, *angles) if group < 100 else (5.0, 5.0, 7.0, *angles)
    draw_colour_key(axes[0, 0], phase_record(crystal("phase", group, cell, [("Ni", 0, 0, 0)])))
    assert axes[0, 0].images[0].get_array()[..., 3].mean() > 0.1
