"""A scan larger than the workers' memory, from file to maps on processes of this machine, one killed on the way.

``python -m benchmarks.batch.larger_than_memory --gigabytes 8 --memory 1GB`` writes a scan block by block, maps it with
ACOM and NMF on a ``LocalCluster``, and maps it again in one process with other blocks. It prints the time of each
stage, the peak memory of every process, and whether all maps are equal to the last bit.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import numpy as np
import psutil
import xarray as xr
from distributed import Client, LocalCluster, WorkerPlugin
from numpy.typing import NDArray

import phasekit as pk
from phasekit.synthetic.structures import sample_phases

DETECTOR = (256, 256)
_TILE, _N_TILES = (2, 16), 4  # scan points of a simulated foil, and how many foils are laid beside each other
_N_COMPONENTS = 4
#: Results that are compared, in the order in which they are made.
RESULTS = ("peaks", "calibrated", "matched", "refined", "grains", "features", "factors")


class KillOnce(WorkerPlugin):
    """Kill the worker that ends its ``after``-th task, once in a cluster: the marker file says that it was done."""

    def __init__(self, marker: str, after: int) -> None:
        self.marker, self.after, self.n_done = marker, after, 0

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """Count the tasks that ended."""
        self.n_done += start == "executing" and finish == "memory"
        if self.n_done >= self.after:
            try:
                os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


@lru_cache(maxsize=_N_TILES)
def simulate_tile(number: int, detector: tuple[int, int]) -> NDArray[np.uint16]:
    """Counts of a small foil, one of the tiles that the scan is made of."""
    scan = pk.synthetic.orientation_scan(shape=_TILE, detector=detector, seed=number)
    return np.asarray(scan["intensity"].to_numpy())


def simulate_rows(first: int, rows: int, width: int, detector: tuple[int, int]) -> NDArray[np.uint16]:
    """Counts (row, scan_x, qy, qx) of a part of the scan; the same whatever the blocks of the file are."""
    out = np.empty((rows, width, *detector), np.uint16)
    for y, x in np.ndindex(rows, width // _TILE[1]):
        tile = simulate_tile(((first + y) // _TILE[0] * 3 + x) % _N_TILES, detector)
        out[y, x * _TILE[1] : (x + 1) * _TILE[1]] = tile[(first + y) % _TILE[0]]
    return out


def make_lazy_scan(shape: tuple[int, int], detector: tuple[int, int], rows: int) -> xr.Dataset:
    """PATTERNS whose blocks of ``rows`` scan lines are simulated when they are computed."""
    import dask.array as da

    small = pk.synthetic.orientation_scan(shape=(2, 2), detector=detector)
    starts = da.arange(0, shape[0], chunks=rows, dtype=np.int64)
    counts = starts.map_blocks(
        lambda some: simulate_rows(int(some[0]), len(some), shape[1], detector),
        chunks=(starts.chunks[0], (shape[1],), *((n,) for n in detector)),
        new_axis=[1, 2, 3],
        dtype=small["intensity"].dtype,
        meta=np.empty((0,) * 4, small["intensity"].dtype),
    )
    steps = {
        name: (name, 5.0 * np.arange(n), {"units": "nm"}) for name, n in zip(("scan_y", "scan_x"), shape, strict=True)
    }
    axes = {name: small[name] for name in ("qy", "qx")}
    attrs = {"voltage_kv": small.attrs["voltage_kv"], "schema": "PATTERNS"}
    return xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, {**steps, **axes}, attrs)


def map_scan(path: Path, folder: Path, chunks: int, note: Callable[[str], None]) -> None:
    """From file to maps: each result is written to ``folder`` and read from there by the next step.

    Only tables and maps are held by this process; patterns are read by the workers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scan = pk.io.open_4dstem(path, chunks={"scan_y": chunks})
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=3)
    pk.io.save(pk.acom.find_peaks(scan), folder / "peaks.zarr")
    note("find_peaks")
    # The calibration needs all peaks: a table.
    peaks = pk.io.load(folder / "peaks.zarr", lazy=False)
    pk.io.save(pk.acom.calibrate_peaks(peaks), folder / "calibrated.zarr")
    note("calibrate_peaks")
    peaks = pk.io.load(folder / "calibrated.zarr", lazy=True).chunk(scan_y=chunks)
    pk.io.save(pk.acom.match_orientations(peaks, bank), folder / "matched.zarr")
    note("match_orientations")
    matched = pk.io.load(folder / "matched.zarr", lazy=True).chunk(scan_y=chunks)
    pk.io.save(pk.acom.refine_orientations(peaks, bank, matched), folder / "refined.zarr")
    note("refine_orientations")
    pk.io.save(pk.acom.label_grains(pk.io.load(folder / "refined.zarr", lazy=True)), folder / "grains.zarr")
    note("label_grains")
    pk.io.save(pk.nmf.to_features(scan, bin=scan.sizes["qy"] // 32), folder / "features.zarr")
    note("to_features")
    features = pk.io.load(folder / "features.zarr", lazy=True)
    try:
        factors = pk.nmf.factorise(features, _N_COMPONENTS, in_memory=False, tolerance=1e-3, max_iterations=10)
    except pk.errors.ConvergenceError as error:
        factors = error.partial
    pk.io.save(factors, folder / "factors.zarr")
    note("factorise")


def compare_results(first: Path, second: Path) -> dict[str, bool]:
    """Whether every variable of each result is the same to the last bit."""
    same = {}
    for name in RESULTS:
        one, other = (pk.io.load(folder / f"{name}.zarr", lazy=True) for folder in (first, second))
        same[name] = set(one.variables) == set(other.variables) and all(
            _is_equal(one[variable], other[variable]) for variable in one.variables
        )
    return same


def _is_equal(one: xr.DataArray, other: xr.DataArray) -> bool:
    # Block by block, because the features may be larger than the memory.
    return bool(one.dtype == other.dtype) and bool(one.variable.equals(other.variable))


@contextmanager
def watch_memory(peaks: dict[int, float]) -> Iterator[None]:
    """Write the largest resident memory [MB] of this process and of every process below it into ``peaks``."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                try:
                    found = process.memory_info().rss / 1e6
                except psutil.NoSuchProcess:
                    continue
                peaks[process.pid] = max(found, peaks.get(process.pid, 0.0))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def start_cluster(memory: str, workers: int, kill: KillOnce | None = None) -> Iterator[Client]:
    """Processes of one thread with so much memory each; a worker that dies is started again."""
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=memory,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        if kill is not None:
            client.register_plugin(kill)
        yield client


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write the scan, map it on the cluster and in this process, and compare."""
    pattern = 2 * DETECTOR[0] * DETECTOR[1]
    width = max(16, int((options.gigabytes * 1e9 / pattern) ** 0.5) // 16 * 16)
    shape = (int(options.gigabytes * 1e9 / pattern / width) // _TILE[0] * _TILE[0], width)
    rows = max(1, int(32e6 // (pattern * width)))
    size = shape[0] * shape[1] * pattern
    if shutil.disk_usage(folder).free < 2 * size:
        raise SystemExit(f"{folder} has less than {2 * size / 1e9:.1f} GB free. Give another folder by --folder.")
    seconds: dict[str, float] = {}
    memory: dict[int, float] = {}
    clock = [time.perf_counter()]

    def note(name: str) -> None:
        now = time.perf_counter()
        seconds[name], clock[0] = now - clock[0], now
        print(f"{name}: {seconds[name]:.1f} s", flush=True)

    with start_cluster(options.memory, options.workers):
        pk.io.save(make_lazy_scan(shape, DETECTOR, rows), folder / "scan.zarr")
    note("write the scan")
    marker = folder / "killed"
    with watch_memory(memory), start_cluster(options.memory, options.workers, KillOnce(str(marker), options.after)):
        note("start the cluster")
        map_scan(folder / "scan.zarr", folder / "cluster", rows, note)
    found = {"gigabytes": size / 1e9, "scan": shape, "worker_limit": options.memory, "workers": options.workers}
    found |= {"seconds": dict(seconds), "worker_killed": marker.exists()}
    found["client_peak_mb"] = memory.pop(os.getpid())
    found["process_peaks_mb"] = sorted(memory.values(), reverse=True)
    if options.reference:
        with dask.config.set(scheduler="threads", num_workers=options.workers):
            map_scan(folder / "scan.zarr", folder / "alone", rows + 3, lambda name: note(f"alone: {name}"))
        found["equal"] = compare_results(folder / "cluster", folder / "alone")
    return found | {"seconds": dict(seconds), "load": os.getloadavg()[0]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--memory", default="1GB", help="limit of each worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--after", type=int, default=60, help="a worker is killed after so many of its tasks")
    parser.add_argument("--folder", type=Path, help="where the scan and the maps go (default: a temporary folder)")
    parser.add_argument("--no-reference", dest="reference", action="store_false")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(json.dumps(measure(options, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
