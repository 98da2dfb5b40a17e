"""The whole benchmark (``make bench-nmf``): speed beside the peers, recovery of k beside the other rules, report.

Everything is kept in ``benchmarks/.runs/nmf`` and ``benchmarks/.envs``; what is there is not repeated, so that a broken
benchmark goes on where it stopped (``--fresh`` begins anew). ``--quick`` goes through all of it with tiny sizes and
writes its report beside its results, to see that every part works.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from common import N_COMPONENTS, read_json
from families import CASES, HELD_BACK, TUNING
from packages import PACKAGES, REFERENCE
from report import write_report
from run_recovery import WHO

HERE = Path(__file__).resolve().parent
RUNS, ENVS = HERE.parent / ".runs", HERE.parent / ".envs"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
WITHOUT_DEPENDENCIES = {"torchnmf": "torchnmf==0.3.5"}


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
    """Run what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a check of the benchmark itself")
    parser.add_argument("--only", choices=["speed", "recovery"], help="one of the two parts")
    parser.add_argument("--cases", nargs="+", help="these simulated scans (default: all of families.py)")
    parser.add_argument("--processes", type=int, default=2, help="for the recovery of k, which is not timed")
    parser.add_argument("--report-only", action="store_true")
    chosen = parser.parse_args()
    runs = RUNS / ("nmf-quick" if chosen.quick else "nmf")
    sizes = QUICK if chosen.quick else Sizes()
    if chosen.fresh:
        shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir(parents=True, exist_ok=True)
    if not chosen.report_only:
        run(runs / "machine.json", "provenance.py")
        if chosen.only != "recovery":
            _speed(runs, sizes)
        if chosen.only != "speed":
            _recovery(runs, sizes, chosen.cases or list(sizes.cases), chosen.processes)
    write_report(runs, runs / "report" if chosen.quick else HERE / "report")


def _speed(runs: Path, sizes: Sizes) -> None:
    """One process at a time, because these are timed."""
    data = runs / "data"
    for detector in sizes.detectors:
        if not (data / f"features_{sizes.side}_{detector}.npy").exists():
            _call([sys.executable, "data.py", str(data), str(sizes.side), str(detector)])
    for detector in sizes.detectors:
        _fits(runs, data, sizes, detector)
    for detector in sizes.detectors:
        _sweeps(runs, data, sizes, detector)
    run(runs / "scaling.json", "run_scaling.py", "--data", str(data), *sizes.scaling, resumes=True)
    run(runs / "streaming.json", "run_streaming.py", *sizes.streaming)


def _fits(runs: Path, data: Path, sizes: Sizes, detector: int) -> None:
    """The package that sets the target first, then the others."""
    target = "self"
    for name in (REFERENCE, *(name for name in PACKAGES if name != REFERENCE)):
        needed = PACKAGES[name].environment
        python = environment_of(needed) if needed else Path(sys.executable)
        if python is None:
            continue
        out = runs / f"fit_{detector}_{name}.json"
        given = ["--package", name, "--data", str(data), "--side", str(sizes.side), "--detector", str(detector)]
        run(out, "run_fit.py", *given, "--k", str(sizes.k), "--target", target, python=python)
        if name == REFERENCE:
            target = repr(float(read_json(out)["target"]))


def _sweeps(runs: Path, data: Path, sizes: Sizes, detector: int) -> None:
    """phasekit, scikit-learn stopped where one fit reached the target, and scikit-learn as it comes (the longest)."""
    ladder = read_json(runs / f"fit_{detector}_{REFERENCE}.json")["ladder"]
    stopped = ["--iterations", str(ladder[-1]["iterations"])]
    for name, more in (("phasekit", []), ("scikit-learn-short", stopped), ("scikit-learn", [])):
        given = ["--package", name.removesuffix("-short"), "--data", str(data), "--side", str(sizes.side)]
        given += ["--features", str(detector**2), *sizes.sweep, *more]
        run(runs / f"sweep_{name}_{detector}.json", "run_sweep.py", *given, resumes=True)


def _recovery(runs: Path, sizes: Sizes, cases: list[str], processes: int) -> None:
    def one(task: tuple[str, str]) -> None:
        name, who = task
        run(runs / f"recovery_{who}_{name}.json", "run_recovery.py", "--case", name, "--who", who, *sizes.recovery)

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(one, [(name, who) for who in WHO for name in cases]))


def run(
    out: Path, script: str, *arguments: str, python: Path | str = sys.executable, resumes: bool = False
) -> dict[str, Any]:
    """One script, unless its result is there (and, where it goes on by itself, complete)."""
    found = read_json(out)
    if not found or (resumes and not found.get("complete")):
        _call([str(python), script, str(out), *arguments])
        found = read_json(out)
    return dict(found)


def _call(command: list[str]) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {' '.join(Path(part).name for part in command[1:])}\n")
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, cwd=HERE, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed:\n{done.stderr[-3000:]}")


def environment_of(package: str) -> Path | None:
    """Python of the peer's own environment, made from its pinned requirements; None where it cannot be installed."""
    folder = ENVS / package
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "-q", "install"]
    steps = [["-r", str(HERE / f"requirements-{package}.txt")]]
    steps += [["--no-deps", WITHOUT_DEPENDENCIES[package]]] if package in WITHOUT_DEPENDENCIES else []
    for more in steps:
        done = subprocess.run([*pip, *more], check=False, capture_output=True, text=True)
        if done.returncode:
            sys.stderr.write(f"{package} could not be installed, the report goes without it:\n{done.stderr[-500:]}\n")
            return None
    (folder / "complete").touch()
    return python


if __name__ == "__main__":
    main()
