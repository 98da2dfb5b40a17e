"""The explorer of orientations: one pattern is read, and what lies over it is where the library puts it."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.acom.templates import simulate_indexed_spots, simulate_spots
from phasekit.crystals import crystal
from phasekit.diffraction import reflections
from phasekit.errors import SchemaError
from tests.viz.explorer_data import make_orientations


class CountingArray:
    """Array of patterns that counts those that were read."""

    def __init__(self, values):
        self._values, self.read = values, []
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, key):
        part = self._values[key]
        self.read.append(part.size // (self.shape[-1] * self.shape[-2]))
        return part


@pytest.fixture(scope="module")
def result():
    return make_orientations()


@pytest.fixture(autouse=True)
def headless():
    pk.viz.setup(interactive=False)


def group(picture, name):
    return next(marks for marks in picture.marks if marks.name == name)


def test_the_pattern_is_shown_with_its_peaks(result):
    explorer = pk.viz.acom.explorer(**result)
    explorer.choose(pixel=(2, 3))
    picture = explorer.draw("pattern")
    np.testing.assert_allclose(picture.values, result["patterns"]["intensity"][2, 3].clip(min=0))
    peaks = group(picture, "peaks")
    np.testing.assert_allclose(peaks.x, result["found_peaks"]["qx"][2, 3].dropna("peak"))
    explorer.choose(max_peaks=2)
    assert len(group(explorer.draw("pattern"), "peaks").x) == 2


def test_a_cursor_reads_one_pattern(result):
    values = result["patterns"]["intensity"].values
    counted = CountingArray(values)
    lazy = da.from_array(counted, chunks=(1, 7, 64, 64), asarray=False, fancy=False)
    patterns = result["patterns"].assign(intensity=(("scan_y", "scan_x", "qy", "qx"), lazy))
    explorer = pk.viz.acom.explorer(**{**result, "patterns": patterns})
    counted.read.clear()
    explorer.choose(pixel=(1, 1))
    explorer.draw("pattern")
    assert sum(counted.read) == 1
    explorer.choose(template="none")
    explorer.draw("pattern")
    explorer.choose(pixel=(1, 2))
    explorer.draw("pattern")
    assert sum(counted.read) == 2


def test_live_settings_are_those_of_find_peaks(result):
    explorer = pk.viz.acom.explorer(**result)
    explorer.choose(pixel=(3, 3), prominence=5.0, blur=1.5)
    alone = result["patterns"][["intensity"]].isel(scan_y=[3], scan_x=[3])
    found = pk.acom.find_peaks(alone, min_prominence=5.0, blur_px=1.5, weak_peaks=0, mask=None)
    drawn = group(explorer.draw("pattern"), "peaks")
    np.testing.assert_allclose(drawn.x, found["qx"][0, 0].dropna("peak"))


def test_the_template_lies_on_the_peaks_and_names_its_spots(result):
    # The detector was turned by 20 degrees, so that spots drawn without the calibration would miss.
    indexed = np.argwhere((result["orientations"]["reliability"] > 5).values)
    explorer = pk.viz.acom.explorer(**result)
    distances = []
    for pixel in indexed[:10]:
        explorer.choose(pixel=tuple(int(i) for i in pixel))
        picture = explorer.draw("pattern")
        best = group(picture, "best template")
        peaks = group(picture, "peaks")
        gaps = np.hypot(best.x[:, None] - peaks.x, best.y[:, None] - peaks.y)
        distances += list(gaps.min(axis=1)[:3])
    step = float(np.diff(result["patterns"]["qx"].values[:2])[0])
    assert np.median(distances) < 3 * step
    assert best.labels[0].startswith("(")
    explorer.choose(template="best and second")
    assert "second template" in [marks.name for marks in explorer.draw("pattern").marks]


def test_indexed_spots_are_the_spots():
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    table = reflections(nickel, 1.2)
    settings = {"voltage_kv": 200.0, "resolution_deg": 2.0, "precession_deg": 1.0, "thickness_nm": 20.0}
    settings["min_intensity"] = 0.01
    spots, hkl = simulate_indexed_spots(table, np.array([1.0, 0, 0, 0]), settings)
    np.testing.assert_array_equal(spots, simulate_spots(table, np.array([1.0, 0, 0, 0]), settings))
    # Along [001] the spots are (h k 0), at h / a along x.
    assert (hkl[:, 2] == 0).all()
    np.testing.assert_allclose(spots[:, 1], hkl[:, 0] / 3.52, atol=1e-6)


@pytest.mark.parametrize("kind", ["circle", "ring", "Friedel pair"])
def test_a_drawn_aperture_gives_the_virtual_image_of_the_library(result, kind):
    explorer = pk.viz.acom.explorer(**result)
    box = {"x": [0.4, 0.8, 0.8, 0.4], "y": [0.1, 0.1, 0.5, 0.5]}
    explorer.choose(show="virtual image", aperture_kind=kind, aperture=box)
    drawn = explorer.draw("map").values.values
    y0, x0 = (float(result["peaks"][name].mean()) for name in ("origin_y", "origin_x"))
    found = result["found_peaks"]

    def field(*aperture):
        return pk.acom.virtual_images(found, aperture=aperture)["dark_field"].values

    distance = float(np.hypot(0.3 - y0, 0.6 - x0))
    expected = {
        "circle": lambda: field(0.3, 0.6, 0.2),
        "ring": lambda: field(y0, x0, distance + 0.2) - field(y0, x0, distance - 0.2),
        "Friedel pair": lambda: field(0.3, 0.6, 0.2) + field(2 * y0 - 0.3, 2 * x0 - 0.6, 0.2),
    }[kind]()
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-3)
    assert expected.max() > 0
    assert explorer.draw("pattern").outlines


def test_the_threshold_is_the_notebooks_parameter(result):
    explorer = pk.viz.acom.explorer(**result, reliability=30.0)
    assert explorer.as_parameters() == "reliability: 30.0\nsearch:\n  max_peaks: 150\n"
    assert explorer.thresholds == {"threshold": 30.0}
    for show in ("orientation", "phase", "reliability", "status", "virtual image"):
        explorer.choose(show=show)
        explorer.figure()
    explorer.choose(show="orientation")
    assert "key" in explorer.draw("map").key


def test_nothing_indexed_is_a_grey_map(result):
    nothing = result["orientations"].copy(deep=True)
    nothing["phase"] = nothing["phase"] * 0 - 1
    nothing["reliability"] = nothing["reliability"] * np.nan
    nothing["quaternion"] = nothing["quaternion"] * np.nan
    explorer = pk.viz.acom.explorer(**{**result, "orientations": nothing})
    values = explorer.draw("map").values.values
    assert len(np.unique(values.reshape(-1, values.shape[-1]), axis=0)) == 1
    assert not len(group(explorer.draw("pattern"), "best template").x)


def test_peaks_in_the_wrong_frame_and_other_scans_are_refused(result):
    with pytest.raises(SchemaError, match="calibrated already"):
        pk.viz.acom.explorer(**{**result, "found_peaks": result["peaks"]})
    with pytest.raises(SchemaError, match="'patterns' has"):
        pk.viz.acom.explorer(**{**result, "patterns": result["patterns"].isel(scan_x=slice(0, 4))})
    with pytest.raises(SchemaError, match="needs TEMPLATES"):
        pk.viz.acom.explorer(**{**result, "bank": xr.Dataset()})
