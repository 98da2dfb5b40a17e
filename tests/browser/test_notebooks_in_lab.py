"""What a user sees: each notebook runs in JupyterLab, and its slider moves a number and a picture, offline."""

import re

import numpy as np
import pytest
import xarray as xr

import phasekit as pk

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

DONE = r"""() => {
  const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
  if (cells.some(c => c.querySelector('[data-mime-type="application/vnd.jupyter.error"]'))) return true;
  return cells.length && cells.every(c => /^\[\d+\]:?$/.test(c.querySelector('.jp-InputPrompt').textContent.trim()));
}"""
READY = """async () => {
  const w = window.jupyterapp.shell.currentWidget;
  await w.context.ready; await w.revealed; await w.sessionContext.ready; await w.sessionContext.session.kernel.info;
}"""


def ambiguous(result: xr.Dataset, threshold: float) -> float:
    return pk.stxm.ambiguous_fraction(result, threshold)


def overlapping(result: xr.Dataset, threshold: float) -> float:
    return pk.nmf.overlap_fraction(result, threshold)


def reliable(result: xr.Dataset, threshold: float) -> float:
    return pk.acom.reliable_fraction(result, threshold)


@pytest.mark.parametrize(
    ("notebook", "workflow", "expected"),
    [
        ("01_stxm_phase_map", "stxm", ambiguous),
        ("02_nmf_components", "nmf", overlapping),
        ("03_acom_orientation", "acom", reliable),
    ],
)
def test_slider_shows_what_the_library_computes(page, lab, keep_picture, notebook, workflow, expected):
    address, suite = lab
    run_all(page, f"{address}/lab/tree/notebooks/{notebook}.ipynb?reset")
    result = pk.batch.load_run(suite / f"notebooks/runs/{workflow}/result.nc")
    handle = page.locator(".noUi-handle").first
    readout = page.locator(".pk-readout p").first  # inside the widget's shadow root
    figure = page.locator(".bk-Figure").first
    figure.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    before_text, before_picture = readout.inner_text(), figure.screenshot()
    start = shown_value(handle)
    assert shown_percent(before_text) == pytest.approx(100 * expected(result, start), abs=0.051)

    steps = press_until_changed(page, handle, readout, before_text)
    value = shown_value(handle)
    assert steps > 0
    assert value > start
    assert shown_percent(readout.inner_text()) == pytest.approx(100 * expected(result, value), abs=0.051)
    wait_for_another_picture(page, figure, before_picture)
    keep_both_themes(page, f"explorer_{workflow}", keep_picture)
    assert not page.problems


def run_all(page, address: str) -> None:
    """Open a notebook and run all its cells; fail on the first error output."""
    page.goto(address)
    page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=120_000)
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for(timeout=60_000)
    page.evaluate(READY)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); return null }")
    page.wait_for_function(DONE, timeout=600_000)
    errors = page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
    assert errors.count() == 0, errors.all_inner_texts()


def keep_both_themes(page, name: str, keep_picture) -> None:
    """Screenshots of the explorer in the light and in the dark theme; the documentation shows them."""
    page.set_viewport_size({"width": 1700, "height": 1400})
    view = page.locator(".jp-OutputArea-output", has=page.locator("[data-pk=map]"))
    view.scroll_into_view_if_needed()
    for theme, title in (("dark", "JupyterLab Dark"), ("light", "JupyterLab Light")):
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", title)
        page.wait_for_function(
            "light => (document.body.dataset.jpThemeLight === 'true') === light", arg=theme == "light"
        )
        page.wait_for_timeout(1000)
        paper = np.asarray(keep_picture(view, f"{name}_{theme}"))[2:30, -30:].mean()
        # The explorer has no paper of its own, and figures are drawn on that of the theme.
        assert (paper > 200) == (theme == "light"), (theme, paper)


def shown_value(handle) -> float:
    """Value as the slider's title shows it; the handle's ARIA values are rounded to one decimal."""
    return float(handle.page.locator(".bk-slider-value").first.inner_text())


def shown_percent(text: str) -> float:
    return float(re.search(r"(-?\d+(?:\.\d+)?)\s*%", text)[1])


def press_until_changed(page, handle, readout, before: str, most: int = 60) -> int:
    """Press the right arrow until the readout changes; how often that took."""
    handle.focus()
    for step in range(1, most + 1):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(250)
        if readout.inner_text() != before:
            page.wait_for_timeout(1000)
            return step
    raise AssertionError(f"the readout stayed at {before!r} over {most} steps of the slider")


def wait_for_another_picture(page, figure, before: bytes, seconds: float = 20) -> None:
    for _ in range(int(seconds * 5)):
        if figure.screenshot() != before:
            return
        page.wait_for_timeout(200)
    raise AssertionError("the picture did not change")
