"""Pole figure, unit cell, preview of the peak search and scale bars in a real browser, against the library."""

import time

import numpy as np
import pytest

import phasekit as pk
from phasekit.acom.maps.pole_links import find_pixels_with_pole, merge_poles, project_poles
from phasekit.acom.maps.poles import find_equivalent_normals
from phasekit.acom.maps.unit_cell import place_unit_cell
from phasekit.rotations import random
from phasekit.viz.acom import peak_preview
from tests.acom.maps import NICKEL, orientation_map
from tests.viz.explorer_data import make_orientations

from . import test_explorers as shared

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

open_explorer = shared.open_explorer  # the fixture
wait_for, place, drag = shared.wait_for, shared.place, shared.drag

#: Pixels under the dark veil of a map, or null; points of one colour; lines of a drawing.
SHADE = """name => {
  const layers = Bokeh.documents[0].get_model_by_name(name).renderers;
  const veil = layers.find(r => r.glyph.color_mapper?.palette?.length === 2);
  return veil.visible ? Array.from(veil.data_source.get_column('image')[0]) : null;
}"""
POINTS = """([name, marker]) => {
  const layers = Bokeh.documents[0].get_model_by_name(name).renderers;
  const data = layers.find(r => r.data_source.data.marker).data_source.data;
  const kept = Array.from(data.marker).map((m, i) => [m, data.x[i], data.y[i]]).filter(p => p[0] === marker);
  return kept.map(p => [p[1], p[2]]);
}"""
ENDS = """name => {
  const glyphs = Bokeh.documents[0].get_model_by_name(name).renderers;
  const data = glyphs.find(r => r.glyph.type === 'MultiLine').data_source.data;
  const at = Array.from(data.width).map((w, i) => [w, i]).filter(p => p[0] === 3).map(p => p[1]);
  return at.map(i => [data.x[i][1] - data.x[i][0], data.y[i][1] - data.y[i][0]]);
}"""
#: Text of the scale bar, its length in units of the axis, and the width of the map in them.
BAR = """name => {
  const figure = Bokeh.documents[0].get_model_by_name(name);
  const bar = figure.center.find(model => model.type === 'ScaleBar');
  if (bar === undefined) return null;
  const view = Bokeh.index.find_one(bar), frame = view.parent.frame;
  const span = Math.abs(figure.x_range.end - figure.x_range.start);
  return [view.label_layout.text.text, view.axis_view.bbox.width / frame.bbox.width * span, span];
}"""
ZOOM = """([name, share]) => {
  const range = Bokeh.documents[0].get_model_by_name(name).x_range;
  const [start, end] = [range.start, range.end];
  range.setv({start: start, end: start + share * (end - start)});
}"""


@pytest.fixture(scope="module")
def textured():
    """A map of two grains of nickel with some spread, and its quaternions."""
    rng = np.random.default_rng(4)
    grains = random(2, rng)
    quaternion = grains[(np.arange(14) > 6).astype(int)][None].repeat(12, axis=0)
    quaternion = quaternion + rng.normal(0, 0.01, quaternion.shape)
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    return orientation_map(quaternion, step_nm=20.0), quaternion


def keep_theme(page, theme):
    if theme == "dark":
        dark = "background: #111; color: #ddd; --panel-on-background-color: #ddd; --jp-content-font-color1: #ddd;"
        page.add_style_tag(content=f"body {{ {dark} }}")
        page.wait_for_timeout(300)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_box_in_the_pole_figure_marks_its_pixels_on_the_map(page, open_explorer, textured, theme):
    orientations, quaternion = textured
    poles = project_poles(quaternion, find_equivalent_normals(NICKEL, (1, 1, 1)))
    explorer = open_explorer(lambda: pk.viz.acom.explorer(orientations, reliability=5.0, pole=(1, 1, 1)))
    keep_theme(page, theme)
    map_ = page.locator(".bk-Figure").first
    before = map_.screenshot()
    assert page.evaluate(SHADE, "map") is None
    x, y = np.median(poles[:, :7, 0], axis=(0, 1)).tolist()  # one pole of the left grain
    corners = [place(page, explorer, "pole figure", x + d, y + d) for d in (-0.15, 0.15)]
    drag(page, *corners)
    wait_for(page, lambda: explorer.values["pole_region"] is not None)
    box = explorer.values["pole_region"]
    inside = find_pixels_with_pole(poles, np.column_stack([box["x"], box["y"]]))
    assert inside[:, :7].mean() > 0.9
    assert not inside.all()
    wait_for(page, lambda: np.array_equal(page.evaluate(SHADE, "map"), (~inside).astype(int).ravel()))
    wait_for(page, lambda: map_.screenshot() != before)
    # A pixel under the cursor shows its poles, and a double click removes the box.
    page.mouse.move(*place(page, explorer, "map", 40.0, 60.0))
    wait_for(page, lambda: explorer.values["pixel"] == (3, 2))
    wait_for(page, lambda: np.allclose(page.evaluate(POINTS, ["pole figure", "diamond"]), poles[3, 2], atol=1e-6))
    page.mouse.dblclick(*place(page, explorer, "pole figure", 0.0, 0.0))
    wait_for(page, lambda: explorer.values["pole_region"] is None)
    wait_for(page, lambda: page.evaluate(SHADE, "map") is None)
    assert not page.problems


def test_a_box_on_the_map_marks_its_poles(page, open_explorer, textured):
    orientations, quaternion = textured
    explorer = open_explorer(lambda: pk.viz.acom.explorer(orientations, reliability=5.0, pole=(0, 0, 1)))
    figure = page.locator(".bk-Figure").nth(1)
    before = figure.screenshot()
    drag(page, place(page, explorer, "map", -5.0, -5.0), place(page, explorer, "map", 90.0, 50.0))
    wait_for(page, lambda: explorer.values["region"] is not None)
    normals = find_equivalent_normals(NICKEL, (0, 0, 1))
    expected, _ = merge_poles(project_poles(quaternion[:3, :5], normals), 1000)
    wait_for(page, lambda: len(page.evaluate(POINTS, ["pole figure", "circle"])) == len(expected))
    np.testing.assert_allclose(page.evaluate(POINTS, ["pole figure", "circle"]), expected, atol=1e-6)
    wait_for(page, lambda: figure.screenshot() != before)
    # Another form: the density and the marks follow.
    page.locator("select").nth(1).select_option("1 1 1")
    wait_for(page, lambda: len(page.evaluate(POINTS, ["pole figure", "diamond"])) == 4)
    assert explorer.draw("pole figure").title.startswith("{1 1 1}")
    assert not page.problems


def test_the_unit_cell_turns_with_the_cursor(page, open_explorer, textured):
    orientations, quaternion = textured
    explorer = open_explorer(lambda: pk.viz.acom.explorer(orientations, reliability=5.0, pole=(0, 0, 1)))
    drawing = page.locator(".bk-Figure").nth(2)
    before = drawing.screenshot()
    explorer.choose(pixel=(5, 6))
    page.wait_for_timeout(1000)
    page.locator("[data-pk=map]").focus()
    for key, pixel in (("ArrowRight", (5, 7)), ("ArrowDown", (6, 7))):
        page.keyboard.press(key)
        wait_for(page, lambda pixel=pixel: explorer.values["pixel"] == pixel)
        cell = place_unit_cell((3.52, 3.52, 3.52, 90, 90, 90), quaternion[pixel])
        axes = (cell.axes - cell.origin)[:, :2]
        wait_for(page, lambda axes=axes: np.allclose(page.evaluate(ENDS, "unit cell"), axes, atol=1e-6))
    wait_for(page, lambda: drawing.screenshot() != before)
    assert not page.problems


def test_the_preview_follows_the_newest_setting_and_lets_the_cursor_move(page, open_explorer, monkeypatch):
    result = make_orientations()
    asked = []

    def count_slowly(patterns, **settings):
        asked.append(settings["min_distance_px"])
        time.sleep(4)  # as a scan of large patterns takes
        return original(patterns, **settings)

    original = peak_preview.count_peaks
    monkeypatch.setattr(peak_preview, "count_peaks", count_slowly)
    explorer = open_explorer(lambda: pk.viz.acom.explorer(**result))
    preview = page.locator(".bk-Figure").nth(3)
    before = preview.screenshot()
    handle = page.locator(".noUi-handle").nth(2)
    handle.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    busy = page.get_by_text("computing preview")
    wait_for(page, lambda: busy.count() == 1)
    page.mouse.move(*place(page, explorer, "map", *shared.reversed_place(result["patterns"], 2, 3)))
    wait_for(page, lambda: explorer.values["pixel"] == (2, 3), 3.0)  # long before the preview is there
    assert busy.count() == 1
    handle.focus()
    for _ in range(22):
        page.keyboard.press("ArrowRight")
    wait_for(page, lambda: explorer.values["min_distance"] == 15.0)
    wait_for(page, lambda: busy.count() == 0, 30)
    # Thirty steps, but the first rest and the newest setting only.
    assert len(asked) <= 3
    assert asked[-1] == 15.0
    found = pk.acom.find_peaks(result["patterns"], min_distance_px=15.0, weak_peaks=0, mask=None)["count"].values
    assert found.sum() < result["found_peaks"]["count"].sum()
    expected = (np.clip(found.astype(np.float32).ravel() / found.max(), 0, 1) * 254).astype(np.uint8)
    wait_for(page, lambda: np.array_equal(page.evaluate(shared.MAP, "preview"), expected))
    wait_for(page, lambda: preview.screenshot() != before)
    empty = 100 * float((found <= 1).mean())
    title = page.evaluate("() => Bokeh.documents[0].get_model_by_name('preview').title.text")
    assert title == f"peaks: median {np.median(found):.3g}, {empty:.3g} % empty"
    assert not page.problems


def test_the_scale_bar_is_right_at_every_zoom(page, open_explorer, textured):
    orientations, _ = textured
    explorer = open_explorer(lambda: pk.viz.acom.explorer(orientations, reliability=5.0, pole=(0, 0, 1)))
    texts = []
    for share in (1.0, 0.3, 0.3, 40.0):
        page.evaluate(ZOOM, ["map", share])
        page.wait_for_timeout(400)
        text, length, span = page.evaluate(BAR, "map")
        number, unit = text.split()
        nm = float(number) * {"nm": 1, "µm": 1000, "pm": 1e-3}[unit]
        assert float(number) in (1, 2, 5, 10, 20, 50, 100, 200, 500)
        assert length == pytest.approx(nm, rel=0.03)  # a bar ends at whole pixels of the screen
        assert 0.1 < nm / span < 0.35
        texts.append(text)
    assert len(set(texts)) == 4
    assert texts[-1].endswith("nm")
    assert page.evaluate(BAR, "pole figure") is None  # no unit, no bar
    assert explorer.values["pixel"] is not None
    assert not page.problems
