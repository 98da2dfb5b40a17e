"""The whole benchmark (``make bench-nmf``): speed beside the peers, recovery of k beside the other rules, report.

Results are kept in ``benchmarks/.runs/nmf``, environments in ``benchmarks/.envs``. A run whose result is there is not
repeated. So a benchmark that was interrupted goes on where it stopped; ``--fresh`` begins anew. ``--quick`` checks that
every part works: it takes tiny sizes and writes its report beside its results.
"""

import argparse
import shutil
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..harness import (
    describe_machine,
    read_json,
    run_if_missing,
    run_module,
    run_tasks,
    write_json,
)
from ..harness.paths import RUNS
from . import report_crystals, report_strangers
from .common import N_COMPONENTS
from .families import CASES, HELD_BACK, TUNING
from .packages import PACKAGES, REFERENCE
from .peers import find_python
from .report import write_report
from .run_recovery import WHO
from .run_strangers import JUDGED_DRAW

HERE = Path(__file__).resolve().parent
MACHINE_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "torch", "xarray", "dask")


class Sizes(NamedTuple):
    """How large the timed cases are: the numbers of the report, or tiny ones."""

    side: int = 64
    detectors: tuple[int, ...] = (64, 128)
    k: int = N_COMPONENTS
    sweep: tuple[str, ...] = ("--ranks", "2", "20", "--starts", "5")
    scaling: tuple[str, ...] = ()
    streaming: tuple[str, ...] = ()
    recovery: tuple[str, ...] = ()
    cases: tuple[str, ...] = tuple(CASES)


QUICK = Sizes(
    side=16,
    detectors=(16, 32),
    k=4,
    sweep=("--ranks", "2", "5", "--starts", "2"),
    scaling=("--middle", "16", "32", "4", "--sides", "16", "24", "--detectors", "16", "32", "--ranks", "2", "4"),
    streaming=("--side", "64", "--detector", "32"),
    recovery=("--ranks", "2", "5", "--runs", "2", "--step", "4"),
    cases=(next(iter(TUNING)), next(iter(HELD_BACK))),
)


def main() -> None:
    """Make the runs that are missing, then write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a check of the benchmark itself")
    parser.add_argument("--only", choices=["speed", "recovery", "strangers"], help="one of the three parts")
    parser.add_argument("--cases", nargs="+", help="these simulated scans (default: all of families.py)")
    parser.add_argument("--processes", type=int, default=2, help="for the recovery of k, which is not timed")
    parser.add_argument("--report-only", action="store_true")
    chosen = parser.parse_args()
    runs = RUNS / ("nmf-quick" if chosen.quick else "nmf")
    sizes = QUICK if chosen.quick else Sizes()
    if chosen.fresh:
        shutil.rmtree(runs, ignore_errors=True)
    if not chosen.report_only:
        if not (runs / "machine.json").exists():
            write_json(runs / "machine.json", describe_machine(MACHINE_PACKAGES))
        if chosen.only in (None, "speed"):
            _measure_speed(runs, sizes)
        if chosen.only in (None, "recovery"):
            _recover_ranks(runs, sizes, chosen.cases or list(sizes.cases), chosen.processes)
        if chosen.only in (None, "strangers") and not chosen.quick:
            _judge_strangers(runs, chosen.processes)
    if chosen.only != "strangers":
        write_report(runs, runs / "report" if chosen.quick else HERE / "report")


def _run(out: Path, script: str, *arguments: object, **how: Any) -> None:
    run_if_missing(out, f"benchmarks.nmf.{script}", out, *arguments, **how)


def _says_complete(out: Path) -> bool:
    """Return whether a script that writes after every step has come to its end."""
    return bool(read_json(out).get("complete"))


def _measure_speed(runs: Path, sizes: Sizes) -> None:
    """Run one process at a time, because these are timed."""
    data = runs / "data"
    for detector in sizes.detectors:
        values = data / f"features_{sizes.side}_{detector}.npy"
        run_if_missing(values, "benchmarks.nmf.data", data, sizes.side, detector)
    for detector in sizes.detectors:
        _fit_packages(runs, data, sizes, detector)
    for detector in sizes.detectors:
        _sweep_ranks(runs, data, sizes, detector)
    _run(runs / "scaling.json", "run_scaling", "--data", data, *sizes.scaling, is_complete=_says_complete)
    _run(runs / "streaming.json", "run_streaming", *sizes.streaming)


def _fit_packages(runs: Path, data: Path, sizes: Sizes, detector: int) -> None:
    """Fit with the package that sets the target error, then with the others."""
    target = "self"
    for name in (REFERENCE, *(name for name in PACKAGES if name != REFERENCE)):
        python = find_python(PACKAGES[name].environment)
        if python is None:
            continue
        out = runs / f"fit_{detector}_{name}.json"
        given = ["--package", name, "--data", data, "--side", sizes.side, "--detector", detector]
        _run(out, "run_fit", *given, "--k", sizes.k, "--target", target, python=python)
        if name == REFERENCE:
            target = repr(float(read_json(out)["target"]))


def _sweep_ranks(runs: Path, data: Path, sizes: Sizes, detector: int) -> None:
    """Sweep with phasekit, with scikit-learn stopped where one fit reached the target, and with it as it comes."""
    ladder = read_json(runs / f"fit_{detector}_{REFERENCE}.json")["ladder"]
    stopped = ["--iterations", ladder[-1]["iterations"]]
    for name, more in (("phasekit", []), ("scikit-learn-short", stopped), ("scikit-learn", [])):
        given = ["--package", name.removesuffix("-short"), "--data", data, "--side", sizes.side]
        given += ["--features", detector**2, *sizes.sweep, *more]
        _run(runs / f"sweep_{name}_{detector}.json", "run_sweep", *given, is_complete=_says_complete)


def _recover_ranks(runs: Path, sizes: Sizes, cases: list[str], processes: int) -> None:
    """Ask every rule for the number of components of every case."""
    tasks = [
        partial(
            _run,
            runs / f"recovery_{who}_{name}.json",
            "run_recovery",
            *("--case", name, "--who", who),
            *sizes.recovery,
        )
        for who in WHO
        for name in cases
    ]
    run_tasks(tasks, processes)


def _judge_strangers(runs: Path, processes: int) -> None:
    """Judge the strangers' scans, what can be seen of them, pure noise, crystals and others' rules; write the pages."""
    _run(runs / "noise_edge.json", "run_noise_edge")
    _run(runs / "limit.json", "run_limit")
    parts = [
        partial(
            *(run_module, "benchmarks.nmf.run_strangers", runs / "strangers"),
            *("--draw", JUDGED_DRAW, "--part", i, "--parts", processes),
        )
        for i in range(processes)
    ]
    run_tasks(parts, processes)
    for script, folder in (("run_crystals", "crystals"), ("run_stranger_rules", "stranger_rules")):
        run_module(f"benchmarks.nmf.{script}", runs / folder, "--judged", runs / "strangers")
    report_strangers.write_page(runs, HERE / "report" / "strangers.md")
    report_crystals.write_page(runs, HERE / "report" / "crystals.md")


if __name__ == "__main__":
    main()
