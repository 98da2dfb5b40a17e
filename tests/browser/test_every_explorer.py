"""What holds for the explorer of every workflow: keyboard, sizes on a small screen, words of controls, busy sign."""

import time

import numpy as np
import pytest
import xarray as xr

from phasekit.viz.explorer import Choice, Explorer, Slider, View
from phasekit.viz.linked.busy import PATIENCE_MS
from phasekit.viz.linked.gestures import make_grid
from phasekit.viz.linked.pictures import MapPicture
from tests.viz.explorer_data import make_explorer

from .test_explorers import contrast, figure, open_explorer, wait_for  # noqa: F401 -- a fixture

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

#: Innermost element that has the focus: what it is, whose, and its ring.
FOCUSED = """() => {
  let it = document.activeElement;
  while (it && it.shadowRoot && it.shadowRoot.activeElement) it = it.shadowRoot.activeElement;
  if (!it || it === document.body) return null;
  const style = getComputedStyle(it);
  return {kind: it.tagName.toLowerCase(), classes: it.className, view: it.getAttribute('data-pk'),
          ring: [style.outlineStyle, parseFloat(style.outlineWidth), style.outlineColor],
          box: it.getBoundingClientRect().width};
}"""
#: Size of every text that is seen, with its first letters, inside shadow roots, too.
TEXTS = """() => {
  const found = [];
  const walk = root => {
    for (const one of root.querySelectorAll('*')) {
      if (one.shadowRoot) walk(one.shadowRoot);
      const text = Array.from(one.childNodes).filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('');
      if (text && !['STYLE', 'SCRIPT'].includes(one.tagName) && one.checkVisibility())
        found.push([parseFloat(getComputedStyle(one).fontSize), text.slice(0, 30)]);
    }
  };
  walk(document.body);
  return found;
}"""
#: Pixel of the cursor of every map, as the browser has it.
CURSORS = """() => Array.from(Bokeh.documents[0].all_models)
  .filter(model => model.type === 'ColumnDataSource' && model.data.iy && model.data.width)
  .map(model => [model.data.iy[0], model.data.ix[0]])"""
#: Sizes of the texts that Bokeh draws into its canvas.
DRAWN = """() => Array.from(Bokeh.documents[0].all_models).flatMap(model =>
  ['text_font_size', 'major_label_text_font_size', 'axis_label_text_font_size', 'title_text_font_size']
    .filter(name => model[name] != null)
    .map(name => [model.type, name, String(model[name].value ?? model[name])]))"""


THEMES = {
    "light": "background: #fff;",
    "dark": "background: #111; color: #ddd; --panel-on-background-color: #ddd; --jp-content-font-color1: #ddd;",
}


def walk_with_tab(page, most: int = 120) -> list[dict]:
    """Everything that has the focus in turn, from the top of the page to its end."""
    stops = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUSED)
        if stop is None:
            return stops
        stops.append(stop)
    raise AssertionError("the focus never leaves the page")


def to_hex(colour: str) -> str:
    """``rgb(1, 2, 3)`` as ``#010203``."""
    return "#" + "".join(f"{int(part):02X}" for part in colour[colour.index("(") + 1 : -1].split(",")[:3])


@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_every_control_is_reached_by_tab_and_its_ring_is_seen(page, open_explorer, workflow):  # noqa: F811
    explorer = open_explorer(lambda: make_explorer(workflow))
    stops = walk_with_tab(page)
    controls = [stop for stop in stops if "noUi-handle" in stop["classes"] or stop["kind"] == "select"]
    # One stop for each control, in the order in which they are seen.
    expected = ["select" if isinstance(one, Choice) else "div" for one in explorer._descriptions.values()]
    assert [stop["kind"] for stop in controls] == expected
    views = [stop["view"] for stop in stops if stop["view"]]
    assert views == [name for name, view in explorer._views.items() if view.cursor]
    buttons = [stop for stop in stops if "Button" in stop["classes"]]
    assert buttons
    for stop in [*controls, *buttons, *(stop for stop in stops if stop["view"])]:
        style, width, colour = stop["ring"]
        assert (style, width) == ("solid", 2), stop
        # WCAG 2.2 asks 3 of the ring of a focus.
        assert min(contrast(to_hex(colour), paper) for paper in ("#FFFFFF", "#111111")) > 3
    explorer.choose(pixel=(2, 2))
    wait_for(page, lambda: [2, 2] in page.evaluate(CURSORS))
    for _ in range(1 + next(i for i, stop in enumerate(stops) if stop["view"] == "map")):
        page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["view"] == "map"
    for key, pixel in (("ArrowRight", (2, 3)), ("ArrowDown", (3, 3)), ("ArrowLeft", (3, 2)), ("ArrowUp", (2, 2))):
        page.keyboard.press(key)
        wait_for(page, lambda pixel=pixel: explorer.values["pixel"] == pixel)
    assert not page.problems


@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_the_page_fits_a_projector_and_its_words_are_large_enough(page, open_explorer, keep_picture, workflow):  # noqa: F811
    page.set_viewport_size({"width": 1280, "height": 720})
    explorer = open_explorer(lambda: make_explorer(workflow))
    width, shown = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= shown <= 1280
    boxes = [box.bounding_box() for box in page.locator(".bk-Figure").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1280 for box in boxes)
    # The map and the number beside it are seen without scrolling.
    assert figure(page, "map").bounding_box()["y"] < 360
    texts = page.evaluate(TEXTS)
    assert len(texts) > 5
    assert not [text for text in texts if text[0] < 11]
    sizes = [one for one in page.evaluate(DRAWN) if one[2].endswith("px")]
    assert sizes
    assert not [one for one in sizes if float(one[2].removesuffix("px")) < 11]
    words = " ".join(text for _, text in texts)
    for control in explorer._descriptions.values():
        assert control.help[:20] in words
    for theme, style in THEMES.items():
        page.add_style_tag(content=f"body {{ {style} }}")
        page.wait_for_timeout(200)
        picture = np.asarray(keep_picture(page, f"page_{workflow}_{theme}"))
        # No view has paper of its own: the upper right corner and the gap below the number are those of the page.
        assert (picture[:20, -20:].mean() > 200) == (theme == "light")
    assert not page.problems


def make_slow_explorer(seconds: float) -> Explorer:
    """An explorer whose map takes its time for every value but the first."""
    x, y = (xr.DataArray([0.0, 1.0, 2.0], dims=dim, name=dim) for dim in ("scan_x", "scan_y"))
    values = xr.DataArray([[0.0, 1, 2]] * 3, dims=("scan_y", "scan_x"))

    def draw(threshold):
        time.sleep(seconds if threshold != 0.5 else 0)
        return MapPicture(values + threshold, "slow", label="thing")

    slider = Slider("threshold", 0, 1, 0.1, 0.5, help="0 to 1")
    view = View(draw, ("threshold",), make_grid(y, x), cursor="pixel")
    return Explorer(
        {"threshold": slider},
        readout=lambda threshold: f"{threshold:.1f}",
        views={"map": view},
        start={"pixel": (0, 0)},
    )


@pytest.mark.parametrize(("seconds", "is_announced"), [(1.0, True), (0.0, False)])
def test_work_of_more_than_200_ms_is_announced_the_first_time_already(page, open_explorer, seconds, is_announced):  # noqa: F811
    explorer = open_explorer(lambda: make_slow_explorer(seconds))
    # Notes every word that the sign shows, with the time since the key.
    page.evaluate(
        """() => {
          window.shown = [];
          const sign = Array.from(Bokeh.documents[0].all_models).find(m => m.css_classes?.includes('pk-waiting'));
          sign.properties.text.change.connect(() => shown.push([sign.text, performance.now() - window.pressed]));
        }"""
    )
    page.locator(".noUi-handle").first.focus()
    page.evaluate("() => { window.pressed = performance.now(); }")
    page.keyboard.press("ArrowRight")
    wait_for(page, lambda: explorer.values["threshold"] == pytest.approx(0.6))
    wait_for(page, lambda: page.locator(".pk-readout p").first.inner_text() == "0.6")
    page.wait_for_timeout(300)
    shown = page.evaluate("() => window.shown")
    if not is_announced:
        assert not shown
        return
    assert [word for word, _ in shown] == ["computing ...", ""]
    # No earlier than it is needed, and long before the answer.
    assert PATIENCE_MS - 20 < shown[0][1] < 1000 * seconds
    assert shown[1][1] > 1000 * seconds
    assert not page.problems
