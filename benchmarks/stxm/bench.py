"""The whole benchmark (``make bench-stxm``): cells of the grid, the peer's environment, scaling, real stack, report.

Everything is kept in ``benchmarks/.runs/stxm`` and ``benchmarks/.envs``; a cell whose result is there is not repeated,
so that a broken benchmark goes on where it stopped (``--fresh`` begins anew).
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cells import N_ENERGIES, NOISE, NUISANCES
from report import write_report

HERE = Path(__file__).resolve().parent
RUNS, ENVS = HERE.parent / ".runs" / "stxm", HERE.parent / ".envs"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
#: Specimens that nothing was chosen on; the promised numbers are averages over six others.
SEEDS = (70, 71)
PROMISE_SEEDS = (80, 81, 82, 83, 84, 85)
WITHOUT_DEPENDENCIES = {"mantis": "mantis-xray==3.3.0"}
AS_PROMISED = ["--stray-light", "0.03", "--energy-offset", "0.3"]


def main() -> None:
    """Run what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help="specimens of the grid")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--streaming", action="store_true", help="also 2048 x 2048 x 100 from file to file (long)")
    parser.add_argument("--report-only", action="store_true")
    chosen = parser.parse_args()
    if chosen.fresh:
        shutil.rmtree(RUNS, ignore_errors=True)
    RUNS.mkdir(parents=True, exist_ok=True)
    if not chosen.report_only:
        python = environment_of("mantis")
        with ThreadPoolExecutor(chosen.processes) as pool:
            list(pool.map(lambda task: run(*task), _tasks(chosen.seeds, python)))
        for script in ("scaling", "real_stack"):  # alone on the machine, because they are timed
            run(RUNS / f"{script}.json", f"{script}.py")
        if chosen.streaming:
            run(RUNS / "streaming.json", "streaming.py", "2048", "100")
    write_report(RUNS, HERE / "report")


def _tasks(seeds: list[int], mantis: Path | None) -> list[tuple[Path, ...]]:
    """Result and command of every cell, the promised ones first."""
    tasks: list[tuple[Path, ...]] = []
    for seed in PROMISE_SEEDS:
        for nuisance in ("offset", "unknown phase"):
            out = RUNS / f"promise_{nuisance.replace(' ', '_')}_{seed}.json"
            tasks.append((out, "run_cell.py", str(out), "10", "0.05", nuisance, str(seed), *AS_PROMISED))
    for seed in seeds:
        for n in N_ENERGIES:
            for noise in NOISE:
                for nuisance in NUISANCES:
                    out = RUNS / f"cell_{n}_{noise}_{nuisance.replace(' ', '_')}_{seed}.json"
                    central = noise == 0.05 and n in (4, 10) and seed == seeds[0]
                    more = ["--gmvae-seeds", "3"] if central else []
                    tasks.append((out, "run_cell.py", str(out), str(n), str(noise), nuisance, str(seed), *more))
    if mantis is not None:
        for n, noise, nuisance in _cross():
            out = RUNS / f"mantis_{n}_{noise}_{nuisance.replace(' ', '_')}_{seeds[0]}.json"
            given = [str(n), str(noise), nuisance, str(seeds[0]), "--mantis", str(mantis)]
            tasks.append((out, "run_cell.py", str(out), *given))
    return tasks


def _cross() -> list[tuple[int, float, str]]:
    """Cells for the slower peer: through the middle of the grid along each axis."""
    middle = [(10, 0.05, nuisance) for nuisance in NUISANCES]
    return middle + [(n, 0.05, "none") for n in N_ENERGIES if n != 10] + [(10, noise, "none") for noise in (0.02, 0.1)]


def run(out: Path, script: str, *arguments: str) -> None:
    """One script, unless its result is there."""
    if out.exists():
        return
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {script} {' '.join(arguments[1:]) or out.name}\n")
    command = [sys.executable, script, *(arguments or (str(out),))]
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, cwd=HERE, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    if not out.exists():  # a script that prints its result
        out.write_text(done.stdout, encoding="utf-8")


def environment_of(package: str) -> Path | None:
    """Python of the peer's own environment, made from its pinned requirements; None where it cannot be installed."""
    folder = ENVS / package
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "-q", "install"]
    for more in (["-r", str(HERE / f"requirements-{package}.txt")], ["--no-deps", WITHOUT_DEPENDENCIES[package]]):
        done = subprocess.run([*pip, *more], check=False, capture_output=True, text=True)
        if done.returncode:
            sys.stderr.write(f"{package} could not be installed, the report goes without it:\n{done.stderr[-500:]}\n")
            return None
    (folder / "complete").touch()
    return python


if __name__ == "__main__":
    main()
