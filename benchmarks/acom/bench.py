"""The whole benchmark (``make bench-acom``): scans, environments of the peers, runs one after the other, report.

Everything is kept in ``benchmarks/.runs`` and ``benchmarks/.envs``; a run whose result is there is not repeated, so
that a broken benchmark goes on where it stopped (``--fresh`` begins anew).
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import say
from report import write_report

HERE = Path(__file__).resolve().parent
RUNS, ENVS = HERE.parent / ".runs", HERE.parent / ".envs"
FRESH_SEED = 7743
DOSES = (200, 600, 2000, 20000)
#: Thresholds of py4DSTEM that are tried on every dose [standard errors of its correlation]; the best result counts.
LEVELS = (5, 15, 45)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def main() -> None:
    """Run what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--positions", type=int, default=180, help="patterns for the peers on each dose")
    parser.add_argument("--report-only", action="store_true")
    chosen = parser.parse_args()
    if chosen.fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    (RUNS / "scans").mkdir(parents=True, exist_ok=True)
    if not chosen.report_only:
        _prepare()
        _phasekit()
        _peers(chosen.positions)
        _scaling()
    write_report(RUNS, HERE / "report")


def run(python: Path | str, script: str, *arguments: str, out: Path | None = None, threads: int = 1) -> None:
    """One script in one environment with one thread (or more), unless its result is there."""
    if out is not None and out.exists():
        return
    environment = {**os.environ, **{name: str(threads) for name in ONE_THREAD}}
    say(" ".join([script, *arguments]))
    done = subprocess.run(
        [str(python), script, *arguments], cwd=HERE, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")


def environment_of(package: str) -> Path:
    """Python of the peer's own environment, made from its pinned requirements where it is missing."""
    folder = ENVS / package
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        say(f"environment of {package}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        wanted = str(HERE / f"requirements-{package}.txt")
        subprocess.run([str(python), "-m", "pip", "-q", "install", "-r", wanted], check=True)
        (folder / "complete").touch()
    return python


def _scan(dose: int) -> str:
    return str(RUNS / "scans" / f"scan_{dose}.h5")


def _prepare() -> None:
    for dose in DOSES:
        run(sys.executable, "scans.py", str(RUNS / "scans"), "--doses", str(dose), out=Path(_scan(dose)))
    run(sys.executable, "machine.py", str(RUNS / "machine.json"), out=RUNS / "machine.json")


def _phasekit() -> None:
    for dose in DOSES:
        out = RUNS / f"phasekit_{dose}.npz"
        run(sys.executable, "run_phasekit.py", _scan(dose), str(out), out=out)
        # Other grains: the share of weak peaks in phasekit was chosen on the first scan.
        fresh = RUNS / "scans" / "fresh" / f"scan_{dose}.h5"
        more = ["--doses", str(dose), "--seed", str(FRESH_SEED)]
        run(sys.executable, "scans.py", str(fresh.parent), *more, out=fresh)
        out = RUNS / f"fresh_{dose}.npz"
        run(sys.executable, "run_phasekit.py", str(fresh), str(out), out=out)
    for name, more in {
        "full": ["--search", "full"],
        "two": ["--phases", "2"],
        "one_degree": ["--phases", "2", "--resolution", "1", "--no-refinement"],
    }.items():
        out = RUNS / f"phasekit_{name}.npz"
        run(sys.executable, "run_phasekit.py", _scan(2000), str(out), *more, out=out)
    out = RUNS / "robustness.json"
    run(sys.executable, "robustness.py", str(out), "48", out=out)
    big, out = RUNS / "scans" / "big.h5", RUNS / "chain.json"
    run(sys.executable, "chain.py", "write", _scan(2000), str(big), out=big)
    run(sys.executable, "chain.py", "run", _scan(2000), str(big), "--out", str(out), out=out, threads=2)


def _peers(positions: int) -> None:
    pyxem, py4dstem = environment_of("pyxem"), environment_of("py4dstem")
    for dose in DOSES:
        out = RUNS / f"pyxem_{dose}.npz"
        run(pyxem, "run_pyxem.py", _scan(dose), str(out), "--positions", str(positions), out=out)
        for level in LEVELS:
            out = RUNS / f"py4dstem_{dose}_{level}.npz"
            more = ["--positions", str(positions // 3), "--level", str(level)]
            run(py4dstem, "run_py4dstem.py", _scan(dose), str(out), *more, out=out)
    # Speed of matching, both phases of the first two, same file, same run as phasekit_two.
    for package, python, count in (("pyxem", pyxem, positions), ("py4dstem", py4dstem, positions // 3)):
        out = RUNS / f"{package}_two.npz"
        more = ["--positions", str(count), "--phases", "2"]
        run(python, f"run_{package}.py", _scan(2000), str(out), *more, out=out)


def _scaling() -> None:
    """Seconds of matching against templates (bank steps) and against patterns (rows of the scan)."""
    for resolution in (1.0, 1.5, 2.0, 3.0, 4.0):
        out = RUNS / f"templates_{resolution}.npz"
        more = ["--phases", "2", "--resolution", str(resolution), "--no-refinement"]
        run(sys.executable, "run_phasekit.py", _scan(2000), str(out), *more, out=out)
    for rows in (4, 8, 16, 32, 64):
        out = RUNS / f"patterns_{rows}.npz"
        more = ["--phases", "2", "--rows", str(rows), "--no-refinement"]
        run(sys.executable, "run_phasekit.py", _scan(2000), str(out), *more, out=out)


if __name__ == "__main__":
    main()
