"""Times from a key press to the changed canvas, in headless Chromium, for maps of 64 to 2048 pixels along each side.

Run as ``python -m benchmarks.explorers.bench``; writes ``report/latency.md`` and ``report/latency.csv``. Other work on
the machine makes every number larger, so the load average at the start and the end stands in the table.
"""

import argparse
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.errors import StxmStatus, status_attributes

_REPORT = Path(__file__).parent / "report"
_SCAN = ("scan_y", "scan_x")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage")
#: Sums the pixels of one figure, and resolves once they differ from those before the key press.
_WATCH = """name => {
  const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(name));
  const canvases = [];
  const walk = root => root.querySelectorAll('*').forEach(part => {
    if (part.tagName === 'CANVAS' && part.width > 50) canvases.push(part);
    if (part.shadowRoot) walk(part.shadowRoot);
  });
  walk(view.el.shadowRoot ?? view.el);
  const sum = () => {
    let total = 0;
    for (const canvas of canvases) {
      const context = canvas.getContext('2d', {willReadFrequently: true});
      if (context === null) continue;
      const { x, y, width, height } = { x: 60, y: 30, width: canvas.width - 120, height: canvas.height - 90 };
      const data = new Uint32Array(context.getImageData(x, y, width, height).data.buffer);
      for (let i = 0; i < data.length; i += 7) total = (total * 31 + data[i]) | 0;
    }
    return total;
  };
  const before = sum();
  window.answer = new Promise(resolve => document.addEventListener('keydown', () => {
    const start = performance.now();
    const look = () => {
      const now = performance.now();
      if (sum() !== before) resolve(now - start);
      else if (now - start > 5000) resolve(-1);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, {once: true, capture: true}));
  return null;
}"""


class Row(NamedTuple):
    """One line of the table: times in ms."""

    size: int
    gesture: str
    n: int
    median: float
    p95: float
    slowest: float
    missed: int


def make_data(n: int, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Phases and optical density of n x n pixels at 13 energies, and their references."""
    rng = np.random.default_rng(seed)
    refs = pk.synthetic.vanadium_references(np.arange(505.0, 530.0, 0.25))
    energies = np.linspace(509, 528, 13)
    spectra = refs["reference_spectrum"].interp(energy=energies).values.astype(np.float32)
    phase = rng.integers(-1, 5, (n, n)).astype(np.int16)
    material = phase >= 0
    status = np.where(material, StxmStatus.OK, StxmStatus.BACKGROUND).astype(np.int8)
    data: dict[str, Any] = {
        "phase": (_SCAN, phase),
        "runner_up": (_SCAN, np.where(material, (phase + 1) % 5, -1).astype(np.int16)),
        "margin": (_SCAN, np.where(material, rng.uniform(0, 0.05, (n, n)), np.nan).astype(np.float32)),
        "status": (_SCAN, status, status_attributes(StxmStatus)),
        "confidence": (_SCAN, np.where(material, rng.uniform(0.7, 1, (n, n)), np.nan).astype(np.float32)),
        "composition": (_SCAN, np.where(material, 3.0 - phase, np.nan).astype(np.float32)),
        "pearson": ((*_SCAN, "reference"), np.zeros((n, n, 5), np.float32)),
        "energy_offset": 0.0,
    }
    coords = {dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim in _SCAN}
    phases = xr.Dataset(data, {"reference": refs["reference"].values, **coords})
    density = 0.2 * spectra.T[:, np.maximum(phase, 0)]
    # One number for each pixel: neighbours differ, so that each step of the cursor changes the canvas.
    density += rng.normal(0, 0.02, (1, n, n)).astype(np.float32)
    cube = ("energy", *_SCAN)
    noise = np.broadcast_to(np.float32(0.02), density.shape)
    od = {"optical_density": (cube, density), "noise": (cube, noise), "valid": (_SCAN, np.ones((n, n), bool))}
    return phases, xr.Dataset(od, {**coords, "energy": ("energy", energies, {"units": "eV"})}), refs


def measure_size(browser: Any, n: int, steps: int) -> list[Row]:
    """Serve the STXM explorer at one size, and press keys on its slider and on its map."""
    import panel as pn

    phases, od, refs = make_data(n)
    explorer = pk.viz.stxm.explorer(phases, od=od, refs=refs, margin=0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "address": "127.0.0.1", "threaded": True, "show": False, "verbose": False}
    server = pn.serve(lambda: pn.Column(explorer), **options)
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    try:
        page.wait_for_timeout(1000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("[data-pk=map]").wait_for(timeout=120_000)
        page.wait_for_timeout(2000)
        explorer.choose(pixel=(2, 2))
        page.wait_for_timeout(500)
        handle, map_ = page.locator(".noUi-handle").first, page.locator("[data-pk=map]")
        # Up and down in turn, so that each step changes the picture.
        slider = time_keys(page, handle, "map", ("ArrowRight", "ArrowLeft"), steps)
        cursor = time_keys(page, map_, "spectrum", ("ArrowDown", "ArrowRight"), steps)
    finally:
        page.goto("about:blank")
        page.wait_for_timeout(500)
        page.close()
        server.stop()
    return [summarise(n, "slider to map", slider), summarise(n, "cursor to spectrum", cursor)]


def time_keys(page: Any, target: Any, figure: str, keys: tuple[str, str], steps: int) -> list[float]:
    """Milliseconds from each key press to the changed canvas; the first three warm up."""
    target.focus()
    times = []
    for step in range(steps + 3):
        page.evaluate(_WATCH, figure)
        page.keyboard.press(keys[step % 2])
        times.append(float(page.evaluate("() => window.answer")))
        page.wait_for_timeout(150)
    return times[3:]


def summarise(n: int, gesture: str, times: list[float]) -> Row:
    """Median and 95th percentile of the answers that came."""
    came = np.array([time for time in times if time >= 0]) if any(time >= 0 for time in times) else np.array([np.nan])
    ends = (float(np.median(came)), float(np.percentile(came, 95)), float(came.max()))
    return Row(n, gesture, len(times), *ends, sum(time < 0 for time in times))


def find_chromium(parser: argparse.ArgumentParser) -> str:
    """Path of the browser; ends the program where there is none."""
    chromium = os.environ.get("CHROMIUM", shutil.which("chromium") or "")
    if not chromium:
        parser.error("no Chromium here (Debian: apt-get install chromium)")
    return chromium


def write_report(rows: list[Row], load: tuple[float, float], name: str = "latency", what: str = "STXM") -> None:
    """Write the table as text and as numbers."""
    _REPORT.mkdir(exist_ok=True)
    head = "| pixels | gesture | n | median [ms] | 95th percentile [ms] | slowest [ms] | no answer |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r.size} x {r.size} | {r.gesture} | {r.n} | {r.median:.0f} | {r.p95:.0f} | {r.slowest:.0f} | {r.missed} |"
        for r in rows
    ]
    text = (
        "# Latency of the explorers\n\n"
        f"From a key press to the changed canvas of the explorers ({what}), headless Chromium without a GPU. "
        f"{os.cpu_count()} processors; load average {load[0]:.1f} at the start and {load[1]:.1f} at the end. "
        "Above one per processor the numbers are too large.\n\n" + "\n".join(lines) + "\n"
    )
    (_REPORT / f"{name}.md").write_text(text, encoding="utf-8")
    numbers = [",".join(Row._fields), *(",".join(str(value) for value in row) for row in rows)]
    (_REPORT / f"{name}.csv").write_text("\n".join(numbers) + "\n", encoding="utf-8")
    sys.stdout.write(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 512, 2048])
    parser.add_argument("--steps", type=int, default=40, help="key presses for each number")
    chosen = parser.parse_args()
    chromium = find_chromium(parser)
    from playwright.sync_api import sync_playwright

    pk.viz.setup(interactive=True)
    start = os.getloadavg()[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(FLAGS))
        rows = [row for n in chosen.sizes for row in measure_size(browser, n, chosen.steps)]
        browser.close()
    write_report(rows, (start, os.getloadavg()[0]))


if __name__ == "__main__":
    main()
