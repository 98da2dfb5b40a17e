"""The page of a result, opened from the disk: its maps are the library's, and hand, keys and thumb move through it."""

import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import phasekit as pk
from phasekit.acom.templates import simulate_indexed_spots
from phasekit.crystals import phase_from_record
from phasekit.diffraction import reflections
from phasekit.errors import StxmStatus
from phasekit.io.writers.orientation_table import compute_euler_angles
from phasekit.nmf.features.pattern_model import compute_model_pattern
from phasekit.stxm.comparison.reference_curves import fit_reference_curves
from phasekit.viz import BACKGROUND_GREY, PHASE_COLOURS, STATUS_COLOURS

from ..viz.explorer_data import make_orientations, make_references, make_stack

pytestmark = pytest.mark.browser
HOSTILE = '<img src=x onerror=alert(1)><script>alert("2")</script>'


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Datasets and page of each workflow; every name is hostile, and some values lie on positions of a slider."""
    folder = tmp_path_factory.mktemp("pages")
    names = [HOSTILE, "ref1", "ref2"]
    phases, od = make_stack()
    phases = phases.assign_coords(reference=names)
    # Single precision, as in files: thresholds must be compared in it.
    phases["margin"] = phases["margin"].astype(np.float32)
    phases["margin"][2:4] = np.round(phases["margin"][2:4], 3)
    phases["n_missing"] = phases["phase"] * 0 + (np.arange(20) % 3)
    refs = make_references().assign_coords(reference=names)
    acom = make_orientations()
    records = json.loads(acom["orientations"].attrs["phases"])
    records[0]["name"] = HOSTILE
    acom["orientations"].attrs["phases"] = json.dumps(records)
    acom["orientations"]["reliability"][2] = np.rint(acom["orientations"]["reliability"][2])
    scan = pk.synthetic.overlapping_grains(n_components=3, shape=(12, 14), detector=(32, 32), direct_beam=0)
    factors = pk.nmf.truth_as_factors(scan)
    common = {"parameters": {"input_path": f"{HOSTILE.replace('/', ' ')}.nc", "note": HOSTILE}}
    paths = {
        "stxm": pk.viz.stxm.save_page(phases, folder / "stxm.html", od=od, refs=refs, **common),
        "nmf": pk.viz.nmf.save_page(factors, folder / "nmf.html", background=-1, **common),
        "acom": pk.viz.acom.save_page(
            acom["orientations"], folder / "acom.html", peaks=acom["peaks"], bank=acom["bank"], **common
        ),
    }
    return {"paths": paths, "phases": phases, "od": od, "refs": refs, "factors": factors, **acom}


@pytest.fixture
def page(page):
    """A page that may open files of this machine, and nothing else."""
    page.route(lambda url: url.startswith("file:"), lambda route: route.continue_())
    return page


def open_page(page, path):
    page.goto(path.as_uri())
    page.locator("html[data-state=complete]").wait_for(timeout=60_000)
    assert not page.problems


def set_slider(page, name, value):
    """Move a slider to the position of a value."""
    index = page.evaluate(
        "([name, value]) => page.content.scales.find(scale => scale.name === name).positions.indexOf(value)",
        [name, value],
    )
    assert index >= 0, f"{value} is no position of {name}"
    page.locator(f"#scale-{name}").fill(str(index))


def read_map(page, shape):
    pixels = page.evaluate("() => Array.from(page.picture.image.data)")
    return np.array(pixels, np.uint8).reshape(*shape, 4)[..., :3]


def colour_bytes(colour):
    return np.array([round(255 * part) for part in to_rgb(colour)], np.uint8)


@pytest.mark.parametrize(("margin", "confidence"), [(0.0, 0.0), (0.002, 0.75), (0.02, 0.5), (0.013, 0.91), (0.05, 1.0)])
def test_ambiguous_pixels_are_those_of_the_library(page, results, margin, confidence):
    open_page(page, results["paths"]["stxm"])
    set_slider(page, "margin", margin)
    set_slider(page, "min_confidence", confidence)
    phases = results["phases"]
    status = pk.stxm.flag_ambiguous(phases, margin, min_confidence=confidence)["status"].values
    expected = np.array([colour_bytes(colour) for colour in [*PHASE_COLOURS[:3], BACKGROUND_GREY]])[
        phases["phase"].values
    ]
    expected[(status == StxmStatus.AMBIGUOUS) & (phases["phase"].values >= 0)] = colour_bytes(
        STATUS_COLOURS["ambiguous"]
    )
    np.testing.assert_array_equal(read_map(page, status.shape), expected)
    share = pk.stxm.ambiguous_fraction(phases, margin, min_confidence=confidence)
    assert page.locator("#readout").inner_text() == f"ambiguous: {100 * share:.1f} % of pixels"
    page.locator("#choice-map").select_option("status")
    words = [STATUS_COLOURS[code.name.lower()] for code in StxmStatus]
    expected = np.array([colour_bytes(colour) for colour in words])[status]
    np.testing.assert_array_equal(read_map(page, status.shape), expected)


@pytest.mark.parametrize("threshold", [0, 5, 15, 22, 60])
def test_reliable_pixels_are_those_of_the_library(page, results, threshold):
    open_page(page, results["paths"]["acom"])
    set_slider(page, "threshold", threshold)
    data = results["orientations"]
    for axis in ("z", "x"):
        page.locator("#choice-map").select_option(f"orientation_{axis}")
        colours = pk.acom.ipf_colours(data, direction=axis).values
        seen = np.isfinite(colours).all(axis=-1) & (data["reliability"].values >= threshold)
        expected = np.where(
            seen[..., None], (np.nan_to_num(colours) * 255).astype(np.uint8), colour_bytes(BACKGROUND_GREY)
        )
        np.testing.assert_array_equal(read_map(page, seen.shape), expected)
    share = pk.acom.reliable_fraction(data, threshold)
    assert page.locator("#readout").inner_text() == f"indexed above threshold: {100 * share:.1f} % of pixels"


@pytest.mark.parametrize("threshold", [0.3, 0.75, 0.9, 1.0])
def test_overlapping_pixels_are_those_of_the_library(page, results, threshold):
    open_page(page, results["paths"]["nmf"])
    set_slider(page, "threshold", threshold)
    overlap = pk.nmf.find_overlap(results["factors"], threshold=threshold, background=-1)
    colours = [*PHASE_COLOURS[: results["factors"].sizes["component"]], STATUS_COLOURS["overlap"]]
    index = np.where(overlap["overlap"].values, len(colours) - 1, overlap["label"].values)
    expected = np.array([colour_bytes(colour) for colour in [*colours, BACKGROUND_GREY]])[index]
    np.testing.assert_array_equal(read_map(page, index.shape), expected)
    share = pk.nmf.overlap_fraction(results["factors"], threshold, background=-1)
    assert page.locator("#readout").inner_text() == f"overlap: {100 * share:.1f} % of pixels"


def test_spots_and_angles_are_those_of_the_library(page, results):
    open_page(page, results["paths"]["acom"])
    data, bank = results["orientations"], results["bank"]
    record = json.loads(data.attrs["phases"])[0]
    table = reflections(phase_from_record(record), float(bank.attrs["g_max"]))
    names = ("precession_deg", "resolution_deg", "voltage_kv", "thickness_nm", "min_intensity")
    settings = {name: float(bank.attrs[name]) for name in names}
    indexed = np.isfinite(data["quaternion"].values[..., 0, :]).all(axis=-1) & (data["phase"].values >= 0)
    euler = np.degrees(compute_euler_angles(data, indexed.ravel())).reshape(*indexed.shape, 3)
    for row, column in np.argwhere(indexed)[:5].tolist():
        quaternion = data["quaternion"].values[row, column, 0]
        expected, _ = simulate_indexed_spots(table, quaternion, settings)
        found = page.evaluate(
            "q => simulateSpots(0, q).map(spot => [spot.y, spot.x, spot.intensity])", quaternion.tolist()
        )
        np.testing.assert_allclose(np.array(found).reshape(-1, 3), expected, rtol=2e-4, atol=1e-9)
        angles = page.evaluate("q => toEuler(q)", quaternion.tolist())
        # Angles go round, and the page keeps the sense of orix.
        off = (np.array(angles) - euler[row, column] + 180) % 360 - 180
        np.testing.assert_allclose(off, 0, atol=1e-6)
        # The page's own quaternion is rounded to 0.004 degrees.
        page.evaluate("([row, column]) => { page.chosen.pixel = [row, column]; drawPixel(); }", [row, column])
        kept = page.evaluate("() => page.kind.listAnswers(page.chosen.pixel[0] * page.grid.nx + page.chosen.pixel[1])")
        assert abs(np.dot(kept[0]["quaternion"], quaternion)) > np.cos(np.radians(0.004) / 2) - 1e-12
        count = int(np.isfinite(results["peaks"]["qx"].values[row, column]).sum())
        assert page.locator("#pattern").get_attribute("data-peaks") == str(count)


def test_fitted_curves_are_those_of_the_library(page, results):
    open_page(page, results["paths"]["stxm"])
    rng = np.random.default_rng(0)
    density, template = rng.normal(1, 0.3, 9), rng.normal(1, 0.3, 9)
    noise = rng.uniform(0.01, 0.1, 9)
    density[2] = noise[4] = template[7] = np.nan
    expected = fit_reference_curves(density, noise, template[None])[0]
    given = [[None if np.isnan(value) else value for value in one] for one in (density, noise, template)]
    # JSON has no NaN.
    call = "arrays => fitCurve(...arrays.map(one => one.map(value => value ?? NaN)))"
    call += ".map(value => Number.isNaN(value) ? null : value)"
    found = np.array([np.nan if value is None else value for value in page.evaluate(call, given)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_model_pattern_is_that_of_the_library(page, results):
    open_page(page, results["paths"]["nmf"])
    factors, (row, column) = results["factors"], (3, 5)
    page.evaluate("([row, column]) => { page.chosen.pixel = [row, column]; drawPixel(); }", [row, column])
    model = compute_model_pattern(factors["loading"].values[:, row, column], factors["factor"].values)
    # Weights and patterns have 16 bits.
    assert float(page.locator("#pattern").get_attribute("data-total")) == pytest.approx(np.nansum(model), rel=2e-3)
    page.locator(".gallery button").nth(1).click()
    assert page.locator("#choice-map").input_value() == "weight_1"


@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_arrows_and_mouse_move_the_cursor_and_tab_reaches_everything(page, results, workflow):
    open_page(page, results["paths"][workflow])
    frame = page.locator(".frame")
    box = frame.bounding_box()
    frame.click(position={"x": box["width"] * 0.3, "y": box["height"] * 0.6})
    page.wait_for_timeout(100)
    first = page.evaluate("() => page.chosen.pixel")
    assert page.locator("#place").inner_text().startswith(f"row {first[0]}, column {first[1]}")
    for key, step in (("ArrowRight", (0, 1)), ("ArrowUp", (-1, 0))):
        before = page.evaluate("() => page.chosen.pixel")
        page.keyboard.press(key)
        assert page.evaluate("() => page.chosen.pixel") == [before[0] + step[0], before[1] + step[1]]
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate("() => page.chosen.pixel")[1] == 0, "it stops at the edge"
    reached = []
    page.evaluate("() => document.activeElement.blur()")
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    wanted = {
        "choice-map",
        "frame",
        *(f"scale-{scale}" for scale in page.evaluate("() => Object.keys(page.chosen.scale)")),
    }
    assert wanted <= set(reached)
    before = page.evaluate("() => ({...page.chosen.scale})")
    page.locator("input[type=range]").first.press("ArrowRight")
    assert page.evaluate("() => ({...page.chosen.scale})") != before


def test_hostile_names_are_text(page, results):
    for path in results["paths"].values():
        open_page(page, path)
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("script").count() == 4
        page.locator("#parameters summary").click()
        assert HOSTILE in page.locator("#parameters").inner_text()
    assert HOSTILE in page.locator("#numbers").inner_text()


def test_hkl_of_a_spot_is_read_where_the_mouse_is(page, results):
    open_page(page, results["paths"]["acom"])
    spot = page.evaluate("() => page.kind.spots.find(spot => spot.text.startsWith('('))")
    page.locator("#pattern").hover(position={"x": spot["x"], "y": spot["y"]})
    assert spot["text"] in page.locator("#spot").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("workflow", ["stxm", "nmf", "acom"])
def test_a_thumb_uses_it_on_a_phone(browser, results, workflow, scheme, tmp_path):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(**phone, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: line.type == "error" and page.problems.append(line.text))
    try:
        open_page(page, results["paths"][workflow])
        assert page.evaluate("() => document.documentElement.scrollWidth") == 390
        frame = page.locator(".frame")
        frame.scroll_into_view_if_needed()
        box = frame.bounding_box()
        page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
        page.wait_for_timeout(100)
        row, column = page.evaluate("() => page.chosen.pixel")
        grid = page.evaluate("() => page.grid")
        assert (row, column) == (int(0.2 * grid["ny"]), int(0.2 * grid["nx"]))
        page.locator(".arrows button").nth(3).tap()
        assert page.evaluate("() => page.chosen.pixel") == [row, column + 1]
        ink, paper = (
            page.evaluate(f"() => getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
        )
        assert (ink, paper) == (
            ("rgb(26, 26, 26)", "rgb(255, 255, 255)")
            if scheme == "light"
            else ("rgb(236, 236, 236)", "rgb(22, 22, 22)")
        )
        assert not page.problems
        page.screenshot(path=str(tmp_path / "phone.png"), full_page=True)
    finally:
        context.close()


def test_an_old_browser_is_told_what_it_needs(page, results):
    page.add_init_script("delete window.DecompressionStream")
    page.goto(results["paths"]["nmf"].as_uri())
    page.locator("#message", has_text="DecompressionStream").wait_for()
    assert "Firefox from 113" in page.locator("#message").inner_text()


def test_nothing_can_be_asked_from_outside(page, results):
    open_page(page, results["paths"]["stxm"])
    said = page.evaluate("() => fetch('http://127.0.0.1:9/').then(() => 'sent', error => String(error))")
    assert "TypeError" in said
    assert any("Content Security Policy" in text for _, text in page.problems)
