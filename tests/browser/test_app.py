"""``phasekit app`` in a real browser: files, folders, uploads, refusals. Nothing may leave the machine."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import phasekit as pk
from tests.app.serving import make_factors, make_root, make_scan, serve

from .test_explorers import LINES, MAP, place, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


class App(NamedTuple):
    address: str
    root: Path
    sent: list[Path]  # uploads that were on the disk while their page was open


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """Address with its token, and data root of a server with a limit of 300 kB."""
    root = make_root(tmp_path_factory.mktemp("app"))
    with serve(root, "--token", "--max-upload", "0.3MB") as (address, _):
        yield App(address, root, [])


@pytest.fixture
def visit(page, app):
    """Function that opens the page of a file; the first address holds the token."""
    page.on("request", lambda request: _note_outside(page, request.url))
    page.goto(app.address)

    def open_page(file="", theme=""):
        page.goto(app.address.split("?")[0] + f"?file={file}" + (f"&theme={theme}" if theme else ""))
        return page

    yield open_page
    folder = os.environ.get("PHASEKIT_SCREENSHOTS")
    if folder:
        name = re.sub(r"\W+", "_", os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split()[0])
        page.screenshot(path=str(Path(folder) / f"app_{name}.png"), full_page=True)


def _note_outside(page, url):
    # The fixture `page` answers content servers from disk. Here they must not be asked at all.
    if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")):
        page.problems.append(("request to the outside", url))


def wait_for_map(page):
    page.locator("[data-pk=map]").wait_for(timeout=60_000)
    page.wait_for_timeout(300)


def wait_for_error(page) -> str:
    box = page.locator(".pk-error").first
    box.wait_for(timeout=60_000)
    return box.inner_text()


def move_to(page, x, y):
    page.mouse.move(*place(page, None, "map", x, y))


def test_a_scan_shows_the_pattern_under_the_mouse(page, visit):
    visit("scan.nc")
    wait_for_map(page)
    scan = make_scan()
    shown = page.locator(".bk-Figure").nth(1)
    before = shown.screenshot()
    move_to(page, float(scan["scan_x"][5]), float(scan["scan_y"][3]))
    total = scan["intensity"].values[3, 5].sum()
    title = "() => Bokeh.documents[0].get_model_by_name('pattern').title.text"
    wait_for(page, lambda: page.evaluate(title) == f"row 3, column 5: {total:.4g} counts")
    wait_for(page, lambda: shown.screenshot() != before)
    assert not page.problems


def test_a_stack_shows_the_spectrum_under_the_mouse_on_a_dark_page(page, visit, app):
    visit("stack.nc", theme="dark")
    wait_for_map(page)
    counts = pk.io.load(app.root / "stack.nc")["intensity"].values
    move_to(page, 60.0, 80.0)
    wait_for(page, lambda: np.allclose(page.evaluate(LINES, "spectrum")["pixel"], counts[:, 4, 3]))
    background = page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert background == "rgb(18, 18, 18)"
    assert not page.problems


def test_a_run_opens_from_the_folder_browser(page, visit):
    visit()
    page.locator(".pk-list select").wait_for(timeout=60_000)
    for name in ("runs", "one"):
        entry = page.locator(".pk-list option", has_text=re.compile(f"^{name}/"))
        entry.wait_for()
        entry.dblclick()
    wait_for_map(page)
    wait_for(page, lambda: "file=runs%2Fone" in page.url)
    assert page.locator(".pk-head").inner_text().split("\n")[0].startswith("phasekit")
    wait_for(page, lambda: "overlap:" in page.locator(".pk-readout p").inner_text())
    assert page.locator(".pk-note").count() == 0
    slider = page.locator(".noUi-handle").first
    slider.focus()
    page.keyboard.press("Home")
    overlap = pk.nmf.find_overlap(make_factors(), threshold=0.3, background=-1)["overlap"].values.ravel()
    assert overlap.any()
    wait_for(page, lambda: np.array_equal(np.array(page.evaluate(MAP, "map")) == 3, overlap))
    assert not page.problems


def test_an_input_outside_the_root_is_named_with_the_option_that_allows_it(page, visit):
    visit("runs/far")
    page.locator(".bk-Figure").first.wait_for(timeout=60_000)
    note = page.locator(".pk-note").inner_text()
    assert "outside the data root" in note
    assert "--root" in note
    assert page.locator(".bk-Figure").count() == 1  # the map alone
    assert not page.problems


def test_a_wrong_file_is_told_and_the_page_goes_on(page, visit):
    visit("%3Cb%3Ewrong.h5")
    text = wait_for_error(page)
    assert "<b>wrong.h5: found" in text  # shown as it is, not as bold text
    assert "To fix it" in text
    field = page.locator(".pk-path input")
    field.fill("scan.nc")
    field.press("Enter")
    wait_for_map(page)
    assert page.locator(".pk-error:visible").count() == 0
    assert not page.problems


@pytest.mark.parametrize("text", ["../secret/scan.nc", "/etc/passwd", "runs/../../secret/scan.nc"])
def test_a_path_to_the_outside_is_refused(page, visit, text):
    visit(text)
    assert "the data root" in wait_for_error(page)
    field = page.locator(".pk-path input")
    field.fill(text)
    field.press("Enter")
    page.wait_for_timeout(500)
    assert "the data root" in wait_for_error(page)
    assert page.locator("[data-pk=map]").count() == 0
    assert not page.problems


def send(page, path):
    button = page.locator(".pk-upload button")
    button.wait_for(timeout=60_000)
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files(path)


def test_an_upload_is_shown_and_another_visitor_does_not_see_it(page, visit, tmp_path, app):
    visit()
    file = tmp_path / "mine.npy"
    np.save(file, make_scan()["intensity"].values.astype(np.uint16))
    send(page, file)
    wait_for_map(page)
    assert "upload: mine.npy" in page.locator(".pk-head").inner_text()
    folders = list(app.root.parent.glob("phasekit-app-*/visitor-*/mine.npy"))
    assert len(folders) == 1
    assert "file=" not in page.url
    app.sent.append(folders[0])
    assert not page.problems


def test_an_upload_that_is_too_large_or_of_another_type_is_refused(page, visit, tmp_path, app):
    visit()
    large = tmp_path / "large.npy"
    np.save(large, np.zeros(400_000, np.uint8))
    send(page, large)
    assert "limit of 300 kB" in wait_for_error(page)
    other = tmp_path / "other.pkl"
    other.write_bytes(b"1")
    send(page, other)
    wait_for(page, lambda: "needs one of" in page.locator(".pk-error").first.inner_text())
    received = list(app.root.parent.glob("phasekit-app-*/visitor-*/*"))
    assert not {"large.npy", "other.pkl"} & {path.name for path in received}
    # The browser itself notes each refused request.
    assert [text for _, text in page.problems if "415" not in text] == []


def test_the_server_refuses_a_large_upload_before_it_is_sent(page, visit):
    visit()
    page.locator(".pk-upload button").wait_for(timeout=60_000)
    # As a visitor who goes around the page's own check: the key is taken from its script.
    answer = page.evaluate(
        """async () => {
          const scripts = Array.from(Bokeh.documents[0]._all_models.values()).filter(m => m.code && m.args);
          const args = scripts.map(m => m.args instanceof Map ? Object.fromEntries(m.args) : m.args).find(a => a.key);
          const body = new Blob([new Uint8Array(2_000_000)]);
          const query = new URLSearchParams({key: args.key, name: "a.npy"});
          try {
            const response = await fetch(`upload?${query}`, {method: "POST", body});
            return [response.status, await response.text()];
          } catch (error) { return [0, String(error)]; }
        }"""
    )
    assert answer[0] in (413, 0)  # 0: the connection was ended while the browser still sent
    if answer[0]:
        assert "limit of 300 kB" in answer[1]


def test_without_the_token_there_is_no_page(browser, app):
    context = browser.new_context()
    page = context.new_page()
    answer = page.goto(app.address.split("?")[0])
    assert answer.status == 403
    assert "whole address" in page.inner_text("body")
    context.close()


def test_the_upload_of_a_page_that_was_left_is_removed(page, app):
    # The last test: a session ends at most 17 s after its page, and the others have taken some of them.
    wait_for(page, lambda: not any(path.exists() for path in app.sent), 60)
