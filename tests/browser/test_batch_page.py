"""The results page of a thousand rows opens from a file, sorts and filters, and asks for nothing from outside."""

import pytest
from PIL import Image

from phasekit.batch.page.table import write_page

pytestmark = pytest.mark.browser
N_ROWS = 1000


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """Page of a thousand made-up rows, 7 failed, one interrupted, two not run yet; each that ended has a figure."""
    folder = tmp_path_factory.mktemp("a batch")
    small = Image.effect_noise((200, 120), 80)
    records = {}
    for number in range(N_ROWS):
        name = f"scan {number:04} größe"
        status = (
            "failed" if number % 150 == 40 else {500: "interrupted", 998: "queued", 999: "queued"}.get(number, "ok")
        )
        record = {
            "workflow": "acom",
            "status": status,
            "parameters": {"seed": number, "input_path": f"/data/{name}.h5"},
        }
        if status in ("ok", "failed"):
            (folder / name).mkdir()
            (folder / name / "run.json").write_text("{}", encoding="utf-8")
            record |= {"seconds": 1 + number * 7919 % 1000 / 10, "versions": {"phasekit": "0.1.0", "numpy": "2.4.6"}}
        if status == "ok":
            small.save(folder / name / "figure_1_map.png")
            small.save(folder / name / ".thumbnail.png")
            record["figures"] = [{"file": "figure_1_map.png", "alt": f"Map of <{name}>"}]
            percent = f"{number * 104729 % 1000 / 10:.1f} % of pixels"
            record["numbers"] = {"map": "64 x 64 pixels", "grains": str(number % 37), "ok": percent}
        elif status == "failed":
            record["error"] = "cell 3: ValueError: <b>no peaks</b> & nothing else"
        records[name] = record
    return write_page(folder, records, title="A <thousand> scans")


@pytest.fixture
def page(page):
    """A page that may open files of this machine."""
    page.route(lambda url: url.startswith("file:"), lambda route: route.continue_())
    return page


def test_a_thousand_rows_open_within_two_seconds_and_are_sorted_and_filtered(page, thousand):
    page.goto(thousand.as_uri(), wait_until="load")
    shown = page.locator("#shown")
    assert shown.inner_text() == f"{N_ROWS} of {N_ROWS} rows shown"
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert timing < 2000, f"{timing} ms"  # what was asked for; 0.5 s on a machine with other work
    names = page.locator("tbody th")
    # Failures first, then what was not finished.
    assert page.locator("tbody tr").first.get_attribute("class") == "failed"
    assert page.evaluate("[...document.querySelectorAll('tbody tr')].slice(0, 11).map(row => row.className)") == (
        ["failed"] * 7 + ["interrupted"] + ["queued"] * 2 + ["ok"]
    )
    assert "<b>no peaks</b> & nothing else" in names.first.inner_text()

    page.locator("thead button", has_text="ok").click()
    values = "[...document.querySelectorAll('tbody tr.ok')].map(row => parseFloat(row.cells[6].dataset.value))"
    sorted_values = page.evaluate(values)
    assert sorted_values == sorted(sorted_values)
    assert page.locator("thead th[aria-sort=ascending]").inner_text().startswith("ok")
    page.locator("thead button", has_text="ok").click()
    assert page.evaluate(values) == sorted(sorted_values, reverse=True)

    page.fill("#words", "scan 0123")
    assert shown.inner_text() == f"1 of {N_ROWS} rows shown"
    page.fill("#words", "")
    page.select_option("#status", "failed")
    assert shown.inner_text() == f"7 of {N_ROWS} rows shown"
    assert page.locator("tbody tr:visible").count() == 7
    assert not page.problems


def test_pictures_are_loaded_when_they_come_into_view(page, thousand):
    page.goto(thousand.as_uri(), wait_until="load")
    loaded = "[...document.images].filter(image => image.complete && image.naturalWidth).length"
    page.wait_for_function(f"{loaded} > 0")
    assert page.evaluate(loaded) < 200
    last = page.locator("tbody img").last
    last.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete && image.naturalWidth === 200", arg=last.element_handle())
    assert last.get_attribute("alt") == "Map of <scan 0997 größe>"
    page.fill("#words", "scan 099")  # a screenshot of all rows takes half a minute
    assert not page.problems


def test_a_page_keeps_its_filter_while_the_batch_runs(page, tmp_path):
    records = {name: {"status": status} for name, status in (("one", "failed"), ("two", "running"), ("three", "ok"))}
    target = write_page(tmp_path, records, running=True)
    page.goto(target.as_uri())
    page.fill("#words", "TWO running")
    page.locator("thead button", has_text="name").click()
    page.reload()
    assert page.locator("#shown").inner_text() == "1 of 3 rows shown"
    assert page.locator("thead th[aria-sort=ascending]").inner_text().startswith("name")
    assert page.locator("tbody tr:visible").count() == 1
