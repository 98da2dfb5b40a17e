"""Explorers in a real browser: each gesture, compared with what the library computes. Nothing may leave the machine."""

import os
import re
import socket
from pathlib import Path

import nbformat
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import StxmStatus
from tests.viz.explorer_data import make_orientations, make_references, make_stack

from .conftest import ROOT
from .test_notebooks_in_lab import run_all

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

#: Data of a figure in the page: the visible map as a flat list, or the lines of a plot by name.
MAP = """name => {
  const layers = Bokeh.documents[0].get_model_by_name(name).renderers;
  const shown = layers.find(r => r.visible && r.data_source.get_column('image'));
  return Array.from(shown.data_source.get_column('image')[0]);
}"""
LINES = """name => {
  const glyphs = Bokeh.documents[0].get_model_by_name(name).renderers;
  const data = glyphs.find(r => r.glyph.type === 'MultiLine').data_source.data;
  return Object.fromEntries(Array.from(data.name).map((line, i) => [line, Array.from(data.y[i])]));
}"""


@pytest.fixture
def open_explorer(page, request):
    """Function that serves an explorer in this process and opens it; the page may ask nobody else."""
    servers = []

    def open_page(make):
        import panel as pn

        pk.viz.setup(interactive=True)
        explorer = make()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = {"port": port, "address": "127.0.0.1", "threaded": True, "show": False, "verbose": False}
        servers.append(pn.serve(lambda: pn.Column(explorer), **options))
        # The fixture `page` answers content servers from disk. Here they must not be asked at all.
        page.on("request", lambda request: _note_outside(page, request.url))
        wait_for(page, lambda: is_open(port), 60)
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("[data-pk=map]").wait_for(timeout=60_000)
        page.wait_for_timeout(500)
        return explorer

    yield open_page
    if servers:
        keep_screenshot(page, request.node.name)
        # The page is left first: a server that stops while it sends warns of messages that nobody took.
        page.goto("about:blank")
        page.wait_for_timeout(500)
    for server in servers:
        server.stop()
    pk.viz.setup(interactive=False)


def keep_screenshot(page, name) -> None:
    folder = os.environ.get("PHASEKIT_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"explorer_{re.sub(r'[^a-z0-9]+', '_', name)}.png"))


def is_open(port) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _note_outside(page, url):
    if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
        page.problems.append(("request to the outside", url))


def figure(page, name):
    return page.locator(f"[data-pk={name}]")


def place(page, explorer, name, x, y) -> tuple[float, float]:
    """Position on the page of a point in the coordinates of a figure."""
    at = page.evaluate(
        """([name, x, y]) => {
          const figure = Bokeh.documents[0].get_model_by_name(name);
          const view = Bokeh.index.find_one(figure);
          const box = view.el.getBoundingClientRect();
          return [box.x + view.frame.x_scale.compute(x),
                  box.y + view.frame.y_scale.compute(y)];
        }""",
        [name, x, y],
    )
    return float(at[0]), float(at[1])


def wait_for(page, condition, seconds=10.0):
    for _ in range(int(seconds * 20)):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("the explorer did not follow")


def wait_for_lines(page, name, expected: dict):
    def agree():
        shown = page.evaluate(LINES, name)
        return all(key in shown and np.allclose(shown[key], value, atol=1e-6) for key, value in expected.items())

    wait_for(page, agree)


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=6)
    page.mouse.up()


@pytest.fixture
def stack():
    return make_stack()


def explore_stack(stack):
    return pk.viz.stxm.explorer(stack[0], od=stack[1], refs=make_references(), margin=0.01)


def test_the_cursor_shows_the_spectrum_under_the_mouse(page, open_explorer, stack):
    explorer = open_explorer(lambda: explore_stack(stack))
    plot = page.locator(".bk-Figure").nth(1)
    before = plot.screenshot()
    page.mouse.move(*place(page, explorer, "map", 100.0, 60.0))
    wait_for(page, lambda: explorer.values["pixel"] == (3, 5))
    wait_for_lines(page, "spectrum", {"pixel": stack[1]["optical_density"].values[:, 3, 5]})
    wait_for(page, lambda: plot.screenshot() != before)
    assert not page.problems


def test_arrow_keys_move_the_cursor_pixel_by_pixel(page, open_explorer, stack):
    explorer = open_explorer(lambda: explore_stack(stack))
    explorer.choose(pixel=(5, 5))
    page.wait_for_timeout(500)
    figure(page, "map").focus()
    for key, expected in (
        ("ArrowRight", (5, 6)),
        ("ArrowDown", (6, 6)),
        ("ArrowLeft", (6, 5)),
        ("ArrowUp", (5, 5)),
        ("Shift+ArrowRight", (5, 15)),
        ("ArrowUp", (4, 15)),
    ):
        page.keyboard.press(key)
        wait_for(page, lambda expected=expected: explorer.values["pixel"] == expected)
    wait_for_lines(page, "spectrum", {"pixel": stack[1]["optical_density"].values[:, 4, 15]})
    page.keyboard.press("Enter")
    wait_for(page, lambda: explorer.values["pins"] == [(4, 15)])
    wait_for_lines(page, "spectrum", {"pin row 4, column 15": stack[1]["optical_density"].values[:, 4, 15]})
    assert not page.problems


def test_fast_keys_lose_no_step(page, open_explorer, stack):
    explorer = open_explorer(lambda: explore_stack(stack))
    explorer.choose(pixel=(5, 0))
    page.wait_for_timeout(500)
    figure(page, "map").focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    wait_for(page, lambda: explorer.values["pixel"] == (5, 15))
    wait_for_lines(page, "spectrum", {"pixel": stack[1]["optical_density"].values[:, 5, 15]})
    assert not page.problems


def test_a_drawn_box_gives_the_mean_spectrum(page, open_explorer, stack):
    phases, od = stack
    explorer = open_explorer(lambda: explore_stack(stack))
    corners = (place(page, explorer, "map", -5.0, -5.0), place(page, explorer, "map", 90.0, 50.0))
    drag(page, *corners)
    wait_for(page, lambda: explorer.values["region"] is not None)
    inside = xr.zeros_like(phases["phase"], dtype=bool)
    inside[:3, :5] = True
    mean = pk.stxm.average_spectrum(od, inside)["optical_density"].values.ravel()
    name = explorer.draw("spectrum").lines[-1].name
    assert name.startswith("region, 15 pixels")
    wait_for_lines(page, "spectrum", {name: mean})
    assert not page.problems


def test_the_slider_greys_what_the_library_flags(page, open_explorer, stack):
    explorer = open_explorer(lambda: explore_stack(stack))
    map_ = page.locator(".bk-Figure").first
    before = map_.screenshot()
    page.locator(".noUi-handle").first.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    wait_for(page, lambda: abs(explorer.values["margin"] - 0.02) < 1e-9)
    flagged = pk.stxm.flag_ambiguous(stack[0], **explorer.thresholds)
    greyed = ((flagged["status"] == StxmStatus.AMBIGUOUS) & (flagged["phase"] >= 0)).values.ravel()
    wait_for(page, lambda: np.array_equal(np.array(page.evaluate(MAP, "map")) == 3, greyed))
    share = 100 * pk.stxm.ambiguous_fraction(stack[0], **explorer.thresholds)
    wait_for(page, lambda: page.locator(".pk-readout p").first.inner_text() == f"ambiguous: {share:.1f} % of pixels")
    wait_for(page, lambda: map_.screenshot() != before)
    assert not page.problems


def test_the_slider_over_k_and_the_gallery(page, open_explorer):
    scan = pk.synthetic.overlapping_grains(n_components=3, shape=(14, 16), detector=(32, 32), dose=5000)
    fits = pk.nmf.factorise_ranks(pk.nmf.to_features(scan), [2, 3, 4], progress=False)
    explorer = open_explorer(lambda: pk.viz.nmf.explorer(fits[3], patterns=scan, fits=fits))
    page.locator(".noUi-handle").nth(1).focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, lambda: explorer.values["k"] == 4)
    overlap = pk.nmf.find_overlap(fits[4])["overlap"].values.ravel()
    wait_for(page, lambda: np.array_equal(np.array(page.evaluate(MAP, "map")) == 4, overlap))
    page.locator("select").first.select_option("weight")
    wait_for(page, lambda: explorer.values["show"] == "weight")
    page.mouse.click(*place(page, explorer, "gallery", 2.0, 0.0))
    wait_for(page, lambda: explorer.values["component"] == (0, 2))
    assert explorer.draw("map").title == "weight of component 2"
    page.mouse.move(*place(page, explorer, "map", *reversed_place(scan, 4, 5)))
    wait_for(page, lambda: explorer.values["pixel"] == (4, 5))
    assert not page.problems


def reversed_place(scan, row, column) -> tuple[float, float]:
    return float(scan["scan_x"][column]), float(scan["scan_y"][row])


def test_an_aperture_drawn_on_the_pattern_makes_a_virtual_image(page, open_explorer):
    result = make_orientations()
    explorer = open_explorer(lambda: pk.viz.acom.explorer(**result))
    page.locator("select").first.select_option("virtual image")
    wait_for(page, lambda: explorer.values["show"] == "virtual image")
    page.wait_for_timeout(500)
    before = page.locator(".bk-Figure").first.screenshot()
    drag(page, place(page, explorer, "pattern", 0.4, 0.1), place(page, explorer, "pattern", 0.8, 0.5))
    wait_for(page, lambda: explorer.values["aperture"] is not None)
    box = explorer.values["aperture"]
    y, x = ((min(box[axis]) + max(box[axis])) / 2 for axis in ("y", "x"))
    radius = (np.ptp(box["y"]) + np.ptp(box["x"])) / 4
    assert (y, x, radius) == pytest.approx((0.3, 0.6, 0.2), abs=0.02)
    image = pk.acom.virtual_images(result["found_peaks"], aperture=(y, x, radius))["dark_field"].values
    np.testing.assert_allclose(explorer.draw("map").values, image)
    shown = np.array(page.evaluate(MAP, "map"))
    wait_for(page, lambda: np.array_equal(np.array(page.evaluate(MAP, "map")), _as_bytes(image)))
    assert shown.size == image.size
    wait_for(page, lambda: page.locator(".bk-Figure").first.screenshot() != before)
    page.mouse.move(*place(page, explorer, "map", *reversed_place(result["patterns"], 2, 3)))
    wait_for(page, lambda: explorer.values["pixel"] == (2, 3))
    assert not page.problems


def _as_bytes(image):
    low, high = pk.viz.display_range(image)
    share = np.clip((image.astype(np.float32).ravel() - low) / (high - low), 0, 1)
    return (share * 254).astype(np.uint8)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_is_readable_on_light_and_on_dark_paper(page, open_explorer, stack, theme):
    open_explorer(lambda: explore_stack(stack))
    if theme == "dark":
        dark = "background: #111; color: #ddd; --panel-on-background-color: #ddd; --jp-content-font-color1: #ddd;"
        page.add_style_tag(content=f"body {{ {dark} }}")
    paper, ink = page.evaluate(
        """() => {
          const figure = Bokeh.documents[0].get_model_by_name('map');
          return [figure.border_fill_alpha, figure.below[0].major_label_text_color];
        }"""
    )
    assert paper == 0  # no white box
    assert {contrast(ink, colour) > 3.5 for colour in ("#FFFFFF", "#111111")} == {True}
    page.wait_for_timeout(300)  # the screenshot is kept as an artefact
    assert not page.problems


def contrast(first: str, second: str) -> float:
    """Contrast of two colours as WCAG defines it, 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


CELL = """
import sys

sys.path.insert(0, {root!r})
import phasekit as pk
from tests.viz.explorer_data import make_references, make_stack

pk.viz.setup(interactive=True)
phases, od = make_stack()
explorer = pk.viz.stxm.explorer(phases, od=od, refs=make_references(), margin=0.01)
explorer
"""


def test_the_same_explorer_in_jupyterlab(page, lab, stack):
    address, suite = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL.format(root=str(ROOT)))])
    nbformat.write(notebook, suite / "notebooks" / "explorer.ipynb")
    run_all(page, f"{address}/lab/tree/notebooks/explorer.ipynb?reset")
    page.locator("[data-pk=map]").wait_for(timeout=60_000)
    page.locator("[data-pk=map]").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    document = "window.Bokeh.documents.find(d => d.get_model_by_name('map'))"
    in_lab = {name: text.replace("Bokeh.documents[0]", document) for name, text in (("map", MAP), ("lines", LINES))}
    start = page.evaluate(f"() => {document}.get_model_by_name('map').renderers.length")
    assert start > 3
    page.locator("[data-pk=map]").focus()
    row, column = shown_pixel(page, document)
    page.keyboard.press("ArrowUp")
    expected = stack[1]["optical_density"].values[:, row - 1, column]
    wait_for(page, lambda: np.allclose(page.evaluate(in_lab["lines"], "spectrum")["pixel"], expected), 30)
    page.locator(".noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(100)
    flagged = pk.stxm.flag_ambiguous(stack[0], 0.015)
    greyed = ((flagged["status"] == StxmStatus.AMBIGUOUS) & (flagged["phase"] >= 0)).values.ravel()
    wait_for(page, lambda: np.array_equal(np.array(page.evaluate(in_lab["map"], "map")) == 3, greyed), 30)
    assert_is_drawn(page)
    keep_screenshot(page, "lab_light")
    page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_timeout(2000)
    keep_screenshot(page, "lab_dark")
    assert_is_drawn(page)
    assert not page.problems


def assert_is_drawn(page) -> None:
    """The map is as large as it should be, and the spectrum stands beside it."""
    boxes = [page.locator(".bk-Figure").nth(i).bounding_box() for i in range(2)]
    assert min(boxes[0]["width"], boxes[1]["width"]) > 300, boxes
    assert boxes[1]["x"] > boxes[0]["x"] + 300, boxes


def shown_pixel(page, document) -> tuple[int, int]:
    """Pixel that the cursor of the map stands on."""
    title = page.evaluate(f"() => {document}.get_model_by_name('spectrum').title.text")
    row, column = re.match(r"row (\d+), column (\d+)", title).groups()
    return int(row), int(column)
