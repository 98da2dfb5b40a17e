"""Size and speed of the page of a result, in headless Chromium, for maps of 64 to 512 pixels along each side.

Run as ``python -m benchmarks.explorers.result_page``; writes ``report/page.md`` and ``report/page.csv``. The data are
made up and hard to compress: every pixel has its own noise, and grains are small.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, phase_record
from phasekit.errors import AcomStatus, status_attributes
from phasekit.rotations import from_vector, multiply, random

from .bench import FLAGS, make_data

_REPORT = Path(__file__).parent / "report"
_SCAN = ("scan_y", "scan_x")
_GRAIN = 16  # pixels along each side
_PEAKS = 30  # of a pattern
#: Time from a key press to the end of the frame that shows its effect.
_WATCH = """() => {
  window.answer = new Promise(resolve => document.addEventListener('keydown', () => {
    const start = performance.now();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.now() - start);
      channel.port2.postMessage(0);
    });
  }, { once: true, capture: true }));
}"""
_MARKS = "() => ['map', 'complete'].map(name => performance.getEntriesByName(name)[0].startTime)"


class Row(NamedTuple):
    """One line of the table: times in ms."""

    workflow: str
    size: int
    megabytes: float
    detail_step: int
    written_s: float
    first_paint: float
    complete: float
    slider_median: float
    slider_p95: float
    cursor_median: float
    cursor_p95: float


def make_coordinates(n: int) -> dict[str, Any]:
    return {dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim in _SCAN}


def write_stxm(n: int, path: Path) -> None:
    phases, od, refs = make_data(n)
    pk.viz.stxm.save_page(phases, path, od=od, refs=refs)


def write_nmf(n: int, path: Path) -> None:
    rng = np.random.default_rng(0)
    k, detector = 8, 128
    grain = rng.integers(0, k, (-(-n // _GRAIN), -(-n // _GRAIN))).repeat(_GRAIN, 0).repeat(_GRAIN, 1)[:n, :n]
    loading = rng.gamma(2.0, 20.0, (k, n, n)) + 1000.0 * (np.arange(k)[:, None, None] == grain)
    data = {"loading": (("component", *_SCAN), loading, {"units": "counts"})}
    factor = rng.gamma(0.3, 1.0, (k, detector, detector))
    data["factor"] = (("component", "qy", "qx"), factor / factor.sum(axis=(1, 2), keepdims=True))
    axes = {dim: (dim, np.linspace(-1, 1, detector), {"units": "1/angstrom"}) for dim in ("qy", "qx")}
    pk.viz.nmf.save_page(xr.Dataset(data, {**make_coordinates(n), **axes}), path, background=-1)


def write_acom(n: int, path: Path) -> None:
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    bank = pk.acom.build_templates([nickel], resolution_deg=4)
    rng = np.random.default_rng(0)
    m = -(-n // _GRAIN)
    grains = random(m * m, rng).reshape(m, m, 4).repeat(_GRAIN, 0).repeat(_GRAIN, 1)[:n, :n]
    both = np.stack([multiply(from_vector(rng.normal(0, 0.005, (n, n, 3))), grains) for _ in range(2)], axis=2)
    flat = {"phase": np.zeros((n, n)), "status": np.zeros((n, n), np.int8)}
    flat |= {name: rng.uniform(0, 60, (n, n)).astype(np.float32) for name in ("reliability", "phase_reliability")}
    data: dict[str, Any] = {name: (_SCAN, values) for name, values in flat.items()}
    data["status"] = (*data["status"], status_attributes(AcomStatus))
    data["quaternion"] = ((*_SCAN, "match", "wxyz"), both)
    data["correlation"] = ((*_SCAN, "match"), rng.uniform(0, 1, (n, n, 2)).astype(np.float32))
    found = xr.Dataset(data, make_coordinates(n), {"phases": json.dumps([phase_record(nickel)])})
    dims = (*_SCAN, "peak")
    shape = (n, n, _PEAKS)
    spots: dict[str, Any] = {q: (dims, rng.uniform(-1.4, 1.4, shape), {"units": "1/angstrom"}) for q in ("qy", "qx")}
    spots |= {name: (dims, rng.gamma(1.0, 100.0, shape)) for name in ("intensity", "prominence")}
    spots |= {name: (_SCAN, np.ones((n, n))) for name in ("noise", "min_prominence", "count", "status")}
    pk.viz.acom.save_page(found, path, peaks=xr.Dataset(spots, make_coordinates(n)), bank=bank)


_WRITERS: dict[str, Callable[[int, Path], None]] = {"stxm": write_stxm, "nmf": write_nmf, "acom": write_acom}


def measure_page(browser: Any, workflow: str, n: int, steps: int, folder: Path) -> Row:
    """Write one page, open it, and press keys on its slider and on its map."""
    path = folder / f"{workflow}_{n}.html"
    start = time.perf_counter()
    _WRITERS[workflow](n, path)
    written = time.perf_counter() - start
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(path.as_uri())
    page.locator("html[data-state=complete]").wait_for(timeout=120_000)
    first, complete = page.evaluate(_MARKS)
    step = int(page.evaluate("() => page.content.detailStep"))
    slider = time_keys(page, "input[type=range]", ("ArrowRight", "ArrowLeft"), steps)
    cursor = time_keys(page, ".frame", ("ArrowRight", "ArrowLeft"), steps)
    page.close()
    ends = [float(value) for times in (slider, cursor) for value in (np.median(times), np.percentile(times, 95))]
    return Row(workflow, n, path.stat().st_size / 1e6, step, written, first, complete, *ends)


def time_keys(page: Any, target: str, keys: tuple[str, str], steps: int) -> list[float]:
    """Milliseconds from each key press to the end of the next frame; the first three warm up."""
    page.locator(target).first.focus()
    times = []
    for step in range(steps + 3):
        page.evaluate(_WATCH)
        page.keyboard.press(keys[step % 2])
        times.append(float(page.evaluate("() => window.answer")))
        page.wait_for_timeout(30)
    return times[3:]


def write_report(rows: list[Row], load: tuple[float, float]) -> None:
    """Write the table as text and as numbers."""
    _REPORT.mkdir(exist_ok=True)
    lines = [
        "| workflow | pixels | MB | details of | written [s] | first map [ms] | all data [ms] "
        "| slider step, median / 95 % [ms] | cursor step, median / 95 % [ms] |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        kept = "every pixel" if r.detail_step == 1 else f"blocks of {r.detail_step} x {r.detail_step}"
        lines.append(
            f"| {r.workflow} | {r.size} x {r.size} | {r.megabytes:.2f} | {kept} | {r.written_s:.1f} "
            f"| {r.first_paint:.0f} | {r.complete:.0f} | {r.slider_median:.0f} / {r.slider_p95:.0f} "
            f"| {r.cursor_median:.0f} / {r.cursor_p95:.0f} |"
        )
    text = (
        "# The page of a result\n\n"
        "Opened from the disk in headless Chromium without a GPU. Times count from the start of the navigation, and "
        f"from a key press to the end of its frame. Random data, {_PEAKS} peaks in each pattern, 13 energies, 8 "
        f"components. {os.cpu_count()} processors; load average {load[0]:.1f} at the start and {load[1]:.1f} at the "
        "end. Above one per processor the numbers are too large.\n\n" + "\n".join(lines) + "\n"
    )
    (_REPORT / "page.md").write_text(text, encoding="utf-8")
    numbers = [",".join(Row._fields), *(",".join(str(value) for value in row) for row in rows)]
    (_REPORT / "page.csv").write_text("\n".join(numbers) + "\n", encoding="utf-8")
    sys.stdout.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--steps", type=int, default=30, help="key presses for each number")
    chosen = parser.parse_args()
    chromium = os.environ.get("CHROMIUM", shutil.which("chromium") or "")
    if not chromium:
        parser.error("no Chromium here (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    pk.viz.setup(interactive=False)
    start = os.getloadavg()[0]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        rows = [
            measure_page(browser, workflow, n, chosen.steps, Path(folder))
            for workflow in _WRITERS
            for n in chosen.sizes
        ]
        browser.close()
    write_report(rows, (start, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
