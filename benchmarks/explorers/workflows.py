"""Times from a key press to the changed canvas for the explorers of components and of orientations.

Run as ``python -m benchmarks.explorers.workflows``; writes ``report/workflows.md`` and ``report/workflows.csv``. The
patterns are made when they are read, as from a file larger than memory.
"""

import argparse
import json
import os
import socket
from typing import Any

import numpy as np
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, phase_record
from phasekit.errors import AcomStatus, status_attributes
from phasekit.rotations import random

from . import bench

_SCAN = ("scan_y", "scan_x")
_CUBE = (*_SCAN, "qy", "qx")
_DETECTOR = 64


class MadePatterns:
    """Patterns (scan_y, scan_x, qy, qx) that are drawn when they are read: disks at places that follow the pixel."""

    def __init__(self, n: int) -> None:
        self.shape, self.dtype, self.ndim = (n, n, _DETECTOR, _DETECTOR), np.dtype(np.float32), 4

    def __getitem__(self, key: tuple[slice, ...]) -> Any:
        rows, columns = (range(self.shape[i])[key[i]] for i in (0, 1))
        y, x = np.mgrid[:_DETECTOR, :_DETECTOR] - (_DETECTOR - 1) / 2
        out = np.empty((len(rows), len(columns), _DETECTOR, _DETECTOR), np.float32)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                turn = 0.37 * row + 0.61 * column  # neighbours differ, so that each step changes the canvas
                spots = [(0.0, 0.0, 500.0), *((18 * np.sin(turn + a), 18 * np.cos(turn + a), 60.0) for a in (0, 2, 4))]
                out[i, j] = sum(height * (np.hypot(y - b, x - c) < 2.5) for b, c, height in spots)
        return out[..., key[2], key[3]]


def make_patterns(n: int) -> xr.Dataset:
    """PATTERNS of n x n pixels, lazy."""
    import dask.array as da

    lazy = da.from_array(MadePatterns(n), chunks=(1, n, _DETECTOR, _DETECTOR), asarray=False, fancy=False)
    coords = {dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim in _SCAN}
    axis = (np.arange(_DETECTOR) - (_DETECTOR - 1) / 2) * 0.05
    coords |= {dim: (dim, axis, {"units": "1/angstrom"}) for dim in ("qy", "qx")}
    return xr.Dataset({"intensity": (_CUBE, lazy)}, coords)


def make_orientations(n: int, seed: int = 0) -> xr.Dataset:
    """ORIENTATIONS of n x n pixels in 64 grains, with two matches each."""
    rng = np.random.default_rng(seed)
    grain = np.add.outer(8 * (np.arange(n) * 8 // n), np.arange(n) * 8 // n)
    quaternion = random(128, rng).reshape(64, 2, 4).astype(np.float32)[grain]
    reliability = rng.uniform(0, 60, (n, n)).astype(np.float32)
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    data: dict[str, Any] = {
        "quaternion": ((*_SCAN, "match", "wxyz"), quaternion),
        "correlation": ((*_SCAN, "match"), np.full((n, n, 2), 0.9, np.float32)),
        "phase": (_SCAN, np.zeros((n, n), np.int16)),
        "status": (_SCAN, np.zeros((n, n), np.int8), status_attributes(AcomStatus)),
    }
    data |= dict.fromkeys(("reliability", "phase_reliability"), (_SCAN, reliability))
    coords = {dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim in _SCAN}
    return xr.Dataset(data, coords, {"phases": json.dumps([phase_record(nickel)])})


def make_factors(n: int, seed: int = 0) -> xr.Dataset:
    """FACTORS of n x n pixels: five patterns of the small scan, and weights drawn for each pixel."""
    small = pk.synthetic.overlapping_grains(n_components=5, shape=(12, 12), detector=(_DETECTOR,) * 2, dose=5000)
    factors = pk.nmf.factorise(pk.nmf.to_features(small), 5, seed=seed)
    rng = np.random.default_rng(seed)
    rows, columns = (rng.integers(0, 12, n) for _ in range(2))
    large = factors.isel(scan_y=rows, scan_x=columns).copy(deep=True)
    # Two components in each pixel, in all ratios, so that each step of the threshold changes some pixels.
    weights = np.zeros((5, n, n), np.float32)
    first = rng.integers(0, 5, (1, n, n))
    np.put_along_axis(weights, first, 500, axis=0)
    np.put_along_axis(weights, (first + 1) % 5, rng.uniform(200, 500, (1, n, n)), axis=0)
    large["loading"] = large["loading"].transpose("component", *_SCAN).copy(data=weights)
    return large.assign_coords({dim: (dim, np.arange(n) * 20.0, {"units": "nm"}) for dim in _SCAN})


def measure_workflow(browser: Any, explorer: Any, n: int, name: str, steps: int) -> list[bench.Row]:
    """Serve an explorer, and press keys on its first slider and on its map."""
    import panel as pn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "address": "127.0.0.1", "threaded": True, "show": False, "verbose": False}
    server = pn.serve(lambda: pn.Column(explorer), **options)
    page = browser.new_page(viewport={"width": 1280, "height": 1200})
    try:
        page.wait_for_timeout(1000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("[data-pk=map]").wait_for(timeout=120_000)
        page.wait_for_timeout(2000)
        explorer.choose(pixel=(2, 2))
        page.wait_for_timeout(500)
        handle, map_ = page.locator(".noUi-handle").first, page.locator("[data-pk=map]")
        slider = bench.time_keys(page, handle, "map", ("ArrowRight", "ArrowLeft"), steps)
        cursor = bench.time_keys(page, map_, "pattern", ("ArrowDown", "ArrowRight"), steps)
    finally:
        page.goto("about:blank")
        page.wait_for_timeout(500)
        page.close()
        server.stop()
    gestures = ((f"{name}: slider to map", slider), (f"{name}: cursor to pattern", cursor))
    return [bench.summarise(n, gesture, times) for gesture, times in gestures]


def measure_size(browser: Any, n: int, steps: int) -> list[bench.Row]:
    """Both explorers at one size."""
    patterns = make_patterns(n)
    orientations = pk.viz.acom.explorer(make_orientations(n), patterns=patterns)
    rows = measure_workflow(browser, orientations, n, "ACOM", steps)
    factors = make_factors(n)
    # Components keep the detector of their small scan.
    q = {dim: factors[dim] for dim in ("qy", "qx") if dim in factors.coords}
    components = pk.viz.nmf.explorer(factors, patterns=patterns.assign_coords(q))
    return [*rows, *measure_workflow(browser, components, n, "NMF", steps)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 512, 2048])
    parser.add_argument("--steps", type=int, default=40, help="key presses for each number")
    chosen = parser.parse_args()
    from playwright.sync_api import sync_playwright

    pk.viz.setup(interactive=True)
    start = os.getloadavg()[0]
    with sync_playwright() as playwright:
        path = bench.find_chromium(parser)
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(bench.FLAGS))
        rows = [row for n in chosen.sizes for row in measure_size(browser, n, chosen.steps)]
        browser.close()
    bench.write_report(rows, (start, os.getloadavg()[0]), "workflows", "ACOM and NMF")


if __name__ == "__main__":
    main()
