"""What a scan costs on a cluster: measured with 1 and 2 workers, and a model that says what 100 and 1000 cores do.

``python -m benchmarks.batch.scaling`` writes ``report/scaling.json`` and ``report/scaling.md`` beside this file. The
model has four limits; the slowest one is the time of a stage:

    processors   n_patterns / (cores x patterns per second and core)
    storage      bytes read and written / bandwidth of the storage
    scheduler    tasks / tasks per second
    client       bytes that one process must hold or read / its bandwidth
"""

import argparse
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from distributed import Client, wait

import phasekit as pk
from phasekit.synthetic.structures import sample_phases

from ..harness import describe_machine, markdown_table, read_json, write_json
from .larger_than_memory import make_lazy_scan, start_cluster

FOLDER = Path(__file__).parent / "report"
_DETECTOR = (256, 256)
_PATTERN_BYTES = 2 * _DETECTOR[0] * _DETECTOR[1]
_BLOCK_BYTES = 64e6  # of patterns, the default of open_4dstem
_PASSES = 12  # of a factorisation over its features: two to compress, ten to refine
#: Bandwidth of the storage as seen by all machines together [bytes/s], beside the cores it goes with.
CLUSTERS = ((100, 10e12, 5e9), (1000, 100e12, 20e9))


class Stage(NamedTuple):
    """One step of a workflow, per pattern."""

    name: str
    read: float  # bytes from storage
    written: float  # bytes
    held: float  # bytes that pass through one process


class Limits(NamedTuple):
    """Seconds that each limit alone would take."""

    processors: float
    storage: float
    scheduler: float
    client: float

    @property
    def slowest(self) -> str:
        """Name of the limit that decides."""
        return max(self._fields, key=lambda name: float(getattr(self, name)))


def predict(stage: Stage, measured: dict[str, Any], n_patterns: float, cores: int, bandwidth: float) -> Limits:
    """Seconds of each limit for a scan of so many patterns."""
    tasks = n_patterns * _PATTERN_BYTES / _BLOCK_BYTES * measured["tasks_per_block"][stage.name]
    return Limits(
        processors=n_patterns / cores / measured["patterns_per_s"]["1"][stage.name],
        storage=n_patterns * (stage.read + stage.written) / bandwidth,
        scheduler=tasks / measured["tasks_per_s"],
        client=n_patterns * stage.held / measured["client_bytes_per_s"],
    )


def list_stages(measured: dict[str, Any]) -> list[Stage]:
    """Stages with the bytes that were measured."""
    size = measured["bytes_per_pattern"]
    peaks, maps, features = size["peaks"], size["maps"], size["features"]
    return [
        Stage("find_peaks", _PATTERN_BYTES, peaks, 0),
        Stage("calibrate_peaks", peaks, peaks, 2 * peaks),
        Stage("match_orientations", peaks, maps, 0),
        Stage("refine_orientations", peaks + maps, maps, 0),
        Stage("label_grains", maps, 0, maps),
        Stage("to_features", 2 * _PATTERN_BYTES, features, 0),
        Stage("factorise", _PASSES * features, 0, _PASSES * features),
    ]


class StageRecord:
    """Seconds and number of tasks of the stages, whose results go to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds, self.tasks = folder, dict[str, float](), dict[str, int]()
        self._started = time.perf_counter()

    def note(self, stage: str) -> None:
        """Write the seconds since the stage before."""
        now = time.perf_counter()
        self.seconds[stage], self._started = now - self._started, now

    def save(self, stage: str, result: Any, file: str) -> Any:
        """Compute and write a lazy result, and open it again."""
        self.tasks[stage] = len(dict(result.__dask_graph__() or {}))
        pk.io.save(result, self.folder / file)
        self.note(stage)
        return pk.io.load(self.folder / file, lazy=True)


def measure_stages(path: Path, folder: Path, workers: int) -> dict[str, Any]:
    """Seconds and tasks of every stage on so many workers; results are written to ``folder``."""
    record = StageRecord(folder)
    with start_cluster("4GB", workers) as client:
        scan = pk.io.open_4dstem(path)
        blocks = scan["intensity"].data.npartitions
        client.run(_import_kernels)
        record.note("start")
        _run_acom(scan, record)
        _run_nmf(scan, record)
        return {
            "seconds": record.seconds,
            "tasks_per_block": {name: n / blocks for name, n in record.tasks.items()},
            "tasks_per_s": measure_scheduler(client),
            "client_bytes_per_s": measure_client(client),
        }


def _run_acom(scan: xr.Dataset, record: StageRecord) -> None:
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=2)
    record.note("start")
    lines = scan["intensity"].data.chunksize[0]
    peaks = record.save("find_peaks", pk.acom.find_peaks(scan), "peaks.zarr").load()
    peaks = record.save("calibrate_peaks", pk.acom.calibrate_peaks(peaks), "calibrated.zarr").chunk(scan_y=lines)
    matched = record.save("match_orientations", pk.acom.match_orientations(peaks, bank), "matched.zarr")
    refined = pk.acom.refine_orientations(peaks, bank, matched.chunk(scan_y=lines))
    refined = record.save("refine_orientations", refined, "refined.zarr")
    pk.acom.label_grains(refined)
    record.note("label_grains")


def _run_nmf(scan: xr.Dataset, record: StageRecord) -> None:
    features = record.save("to_features", pk.nmf.to_features(scan, bin=8), "features.zarr")
    record.tasks["factorise"] = _PASSES * len(dict(features["feature_value"].__dask_graph__()))
    # As many passes as the model counts, whatever the error is.
    with suppress(pk.errors.ConvergenceError):
        pk.nmf.factorise(features, 4, in_memory=False, tolerance=1e-12, max_iterations=_PASSES - 2)
    record.note("factorise")


def _import_kernels() -> None:
    """Compiled code is loaded before the clock runs."""
    scan = pk.synthetic.orientation_scan(shape=(2, 2), detector=(64, 64))
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=8)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(scan))
    pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))
    pk.nmf.to_features(scan, mask=None)


def measure_scheduler(client: Client, n: int = 3000) -> float:
    """Tasks per second of empty tasks."""
    start = time.perf_counter()
    wait(client.map(lambda number: number, range(n), pure=False))
    return n / (time.perf_counter() - start)


def measure_client(client: Client) -> float:
    """Bytes per second that come from a worker to this process."""
    future = client.submit(np.ones, 32 * 2**20 // 8)
    wait(future)
    start = time.perf_counter()
    return float(future.result().nbytes / (time.perf_counter() - start))


def measure(gigabytes: float, scratch: Path | None) -> dict[str, Any]:
    """Everything that the page shows."""
    n = max(256, int(gigabytes * 1e9 / _PATTERN_BYTES))
    shape = (n // 64, 64)
    n = shape[0] * shape[1]
    found: dict[str, Any] = {"machine": describe_machine(("phasekit", "dask", "distributed", "numba", "numpy"))}
    found |= {"n_patterns": n, "load": os.getloadavg()[0], "patterns_per_s": {}}
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        with start_cluster("4GB", 2):
            pk.io.save(make_lazy_scan(shape, _DETECTOR, 4), folder / "scan.zarr")
        for workers in (1, 2):
            here = folder / str(workers)
            here.mkdir()
            one = measure_stages(folder / "scan.zarr", here, workers)
            found["patterns_per_s"][str(workers)] = {
                stage: n / max(seconds, 1e-9) for stage, seconds in one.pop("seconds").items() if stage != "start"
            }
            found |= one
        sizes = {name: pk.io.load(here / f"{name}.zarr", lazy=True).nbytes / n for name in ("peaks", "features")}
        found["bytes_per_pattern"] = sizes | {"maps": pk.io.load(here / "refined.zarr", lazy=True).nbytes / n}
    for name in ("calibrate_peaks", "label_grains"):
        found["tasks_per_block"][name] = 0.0  # in one process
    found["load_at_the_end"] = os.getloadavg()[0]
    return found


def compose_page(measured: dict[str, Any]) -> list[str]:
    """The page of numbers, from what was measured."""
    machine = measured["machine"]
    rates = measured["patterns_per_s"]
    stages = list_stages(measured)
    rows = [_make_row(stage, rates, measured["tasks_per_block"]) for stage in stages]
    heads = ("stage", "patterns/s, 1 worker", "2 workers", "ratio", "read [kB]", "written [kB]", "one process [kB]")
    lines = ["# Scaling", "", "Made by `python -m benchmarks.batch.scaling`; numbers per pattern where not stated.", ""]
    lines += [f"{machine['processor']}, {machine['cores']} cores, load {measured['load']:.1f} before and "]
    lines[-1] += f"{measured['load_at_the_end']:.1f} after; {measured['n_patterns']} patterns of 256 x 256 uint16."
    lines += [f"Scheduler: {measured['tasks_per_s']:.0f} empty tasks/s. Worker to client: "]
    lines[-1] += f"{measured['client_bytes_per_s'] / 1e6:.0f} MB/s."
    lines += ["", *markdown_table([*heads, "tasks per block of 64 MB"], rows)]
    for cores, size, bandwidth in CLUSTERS:
        lines += ["", f"## {cores} cores, {size / 1e12:.0f} TB, storage of {bandwidth / 1e9:.0f} GB/s", ""]
        lines += _predict_table(stages, measured, cores, size, bandwidth)
    return lines


def _make_row(stage: Stage, rates: dict[str, Any], tasks: dict[str, float]) -> tuple[str, ...]:
    one, two = rates["1"][stage.name], rates["2"][stage.name]
    moved = [f"{n / 1e3:.1f}" for n in stage[1:]]
    return (stage.name, f"{one:.0f}", f"{two:.0f}", f"{two / one:.2f}", *moved, f"{tasks[stage.name]:.1f}")


def _predict_table(
    stages: list[Stage], measured: dict[str, Any], cores: int, size: float, bandwidth: float
) -> list[str]:
    n = size / _PATTERN_BYTES
    found = [(stage.name, predict(stage, measured, n, cores, bandwidth)) for stage in stages]
    rows = [
        (name, *(f"{seconds / 60:.1f}" for seconds in limits), limits.slowest, f"{max(limits) / 60:.1f}")
        for name, limits in found
    ]
    rows.append(("sum", "", "", "", "", "", f"{sum(max(limits) for _, limits in found) / 60:.0f}"))
    return list(markdown_table(["stage", *(f"{name} [min]" for name in Limits._fields), "decides", "[min]"], rows))


def main() -> None:
    """Measure, and write the numbers and the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=0.5)
    parser.add_argument("--folder", type=Path, help="where the scan goes (default: a temporary folder)")
    parser.add_argument("--page-only", action="store_true", help="from the numbers that are stored")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    FOLDER.mkdir(exist_ok=True)
    if not options.page_only:
        write_json(FOLDER / "scaling.json", measure(options.gigabytes, options.folder))
    text = "\n".join(compose_page(read_json(FOLDER / "scaling.json"))) + "\n"
    (FOLDER / "scaling.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
