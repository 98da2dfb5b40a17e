"""The whole benchmark (``make bench-acom``): scans, environments of the peers, runs one after the other, report.

Results are kept in ``benchmarks/.runs/acom``, environments in ``benchmarks/.envs``. A run whose result is there is not
repeated. So a benchmark that was interrupted goes on where it stopped; ``--fresh`` begins anew.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from ..harness import peer_environment, run_if_missing
from ..harness.paths import RUNS as ALL_RUNS
from .report import write_report

HERE = Path(__file__).resolve().parent
RUNS = ALL_RUNS / "acom"
FRESH_SEED = 7743
DOSES = (200, 600, 2000, 20000)
#: Thresholds of py4DSTEM that are tried on every dose [standard errors of its correlation]; the best result counts.
LEVELS = (5, 15, 45)


def main() -> None:
    """Make the runs that are missing, then write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--positions", type=int, default=180, help="patterns for the peers on each dose")
    parser.add_argument("--report-only", action="store_true")
    chosen = parser.parse_args()
    if chosen.fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    (RUNS / "scans").mkdir(parents=True, exist_ok=True)
    if not chosen.report_only:
        _simulate_scans()
        _run_phasekit()
        _run_peers(chosen.positions)
        _run_scaling()
    write_report(RUNS, HERE / "report")


def _run(script: str, *arguments: object, out: Path, **how: Any) -> None:
    run_if_missing(out, f"benchmarks.acom.{script}", *arguments, **how)


def _scan(dose: int) -> Path:
    return RUNS / "scans" / f"scan_{dose}.h5"


def _simulate_scans() -> None:
    for dose in DOSES:
        _run("scans", RUNS / "scans", "--doses", dose, out=_scan(dose))
        # Other grains: the share of weak peaks in phasekit was chosen on the first scan.
        other = _other_scan(dose)
        _run("scans", other.parent, "--doses", dose, "--seed", FRESH_SEED, out=other)


def _other_scan(dose: int) -> Path:
    return RUNS / "scans" / "fresh" / f"scan_{dose}.h5"


def _run_phasekit() -> None:
    machine = RUNS / "machine.json"
    _run("machine", machine, out=machine)
    for dose in DOSES:
        for scan, name in ((_scan(dose), f"phasekit_{dose}"), (_other_scan(dose), f"fresh_{dose}")):
            _index_scan(scan, name)
    _index_scan(_scan(2000), "phasekit_full", "--search", "full")
    _index_scan(_scan(2000), "phasekit_two", "--phases", 2)
    _index_scan(_scan(2000), "phasekit_one_degree", "--phases", 2, "--resolution", 1, "--no-refinement")
    out = RUNS / "robustness.json"
    _run("robustness", out, 48, out=out)
    big, out = RUNS / "scans" / "big.h5", RUNS / "chain.json"
    _run("chain", "write", _scan(2000), big, out=big)
    _run("chain", "run", _scan(2000), big, "--out", out, out=out, threads=2)


def _index_scan(scan: Path, name: str, *more: object) -> None:
    out = RUNS / f"{name}.npz"
    _run("run_phasekit", scan, out, *more, out=out)


def _run_peers(positions: int) -> None:
    pyxem, py4dstem = _peer("pyxem"), _peer("py4dstem")
    for dose in DOSES:
        out = RUNS / f"pyxem_{dose}.npz"
        _run("run_pyxem", _scan(dose), out, "--positions", positions, out=out, python=pyxem)
        for level in LEVELS:
            out = RUNS / f"py4dstem_{dose}_{level}.npz"
            more = ["--positions", positions // 3, "--level", level]
            _run("run_py4dstem", _scan(dose), out, *more, out=out, python=py4dstem)
    # Speed of matching: the first two phases, the same file as in phasekit_two.
    for package, python, count in (("pyxem", pyxem, positions), ("py4dstem", py4dstem, positions // 3)):
        out = RUNS / f"{package}_two.npz"
        _run(f"run_{package}", _scan(2000), out, "--positions", count, "--phases", 2, out=out, python=python)


def _peer(package: str) -> Path:
    python = peer_environment(package, HERE / f"requirements-{package}.txt")
    if python is None:
        raise SystemExit(f"The report needs the results of {package}, whose environment could not be made.")
    return python


def _run_scaling() -> None:
    """Time the matching for several numbers of templates (bank steps) and of patterns (rows of the scan)."""
    for resolution in (1.0, 1.5, 2.0, 3.0, 4.0):
        more = ["--phases", 2, "--resolution", resolution, "--no-refinement"]
        _index_scan(_scan(2000), f"templates_{resolution}", *more)
    for rows in (4, 8, 16, 32, 64):
        _index_scan(_scan(2000), f"patterns_{rows}", "--phases", 2, "--rows", rows, "--no-refinement")


if __name__ == "__main__":
    main()
