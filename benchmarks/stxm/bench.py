"""The whole benchmark (``make bench-stxm``): cells of the grid, the peer's environment, scaling, real stack, report.

Results are kept in ``benchmarks/.runs/stxm``, environments in ``benchmarks/.envs``. A cell whose result is there is not
repeated. So a benchmark that was interrupted goes on where it stopped; ``--fresh`` begins anew.
"""

import argparse
import shutil
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

from ..harness import peer_environment, run_if_missing, run_tasks
from ..harness.paths import RUNS as ALL_RUNS
from . import mixture_cells
from .cells import N_ENERGIES, NOISE, NUISANCES
from .report import write_report

HERE = Path(__file__).resolve().parent
RUNS = ALL_RUNS / "stxm"
#: Specimens that nothing was chosen on; the promised numbers are averages over six others.
SEEDS = (70, 71)
PROMISE_SEEDS = (80, 81, 82, 83, 84, 85)
#: Mantis asks for Qt and more, which its analysis does not import: installed alone, after the pinned requirements.
MANTIS = "mantis-xray==3.3.0"
#: Specimens of the mixtures; at the middle noise also with the faults of measured stacks.
MIXTURE_SEEDS = (90, 91)
AS_PROMISED = ("--stray-light", 0.03, "--energy-offset", 0.3)
Task = Callable[[], None]


def main() -> None:
    """Make the runs that are missing, then write the report."""
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
        mantis = peer_environment("mantis", HERE / "requirements-mantis.txt", without_dependencies=MANTIS)
        tasks = [*_promise_tasks(), *_grid_tasks(chosen.seeds), *_mixture_tasks()]
        tasks += _mantis_tasks(chosen.seeds[0], mantis)
        run_tasks(tasks, chosen.processes)
        for script in (
            "scaling",
            "real_stack",
            "measured",
            "resampled",
        ):  # alone on the machine, because they are timed
            _run(RUNS / f"{script}.json", script)
        if chosen.streaming:
            _run(RUNS / "streaming.json", "streaming", 2048, 100)
    write_report(RUNS, HERE / "report")


def _run(out: Path, script: str, *arguments: object) -> None:
    run_if_missing(out, f"benchmarks.stxm.{script}", out, *arguments)


def _cell_task(name: str, n: int, noise: float, nuisance: str, seed: int, *more: object) -> Task:
    out = RUNS / f"{name}_{seed}.json"
    return partial(_run, out, "run_cell", n, noise, nuisance, seed, *more)


def _promise_tasks() -> list[Task]:
    return [
        _cell_task(f"promise_{nuisance.replace(' ', '_')}", 10, 0.05, nuisance, seed, *AS_PROMISED)
        for seed in PROMISE_SEEDS
        for nuisance in ("offset", "unknown phase")
    ]


def _grid_tasks(seeds: list[int]) -> list[Task]:
    """Every cell of the grid; at the middle noise some with three trainings, to see how much these differ."""
    tasks = []
    for seed, n, noise, nuisance in product(seeds, N_ENERGIES, NOISE, NUISANCES):
        repeated = noise == 0.05 and n in (4, 10) and seed == seeds[0]
        more = ("--gmvae-seeds", 3) if repeated else ()
        tasks.append(_cell_task(f"cell_{_name_cell(n, noise, nuisance)}", n, noise, nuisance, seed, *more))
    return tasks


def _mixture_tasks() -> list[Task]:
    """Every mixture specimen."""
    grid = product(mixture_cells.ELEMENTS, mixture_cells.KINDS, mixture_cells.N_ENERGIES, mixture_cells.NOISE)
    tasks = []
    for (element, kind, n, noise), seed in product(grid, MIXTURE_SEEDS):
        for measured in (False, True) if noise == 0.05 else (False,):
            faults = "faults" if measured else "none"
            out = RUNS / f"mixture_{element}_{kind.replace(' ', '_')}_{n}_{noise}_{faults}_{seed}.json"
            more = ("--element", element, *(("--measured",) if measured else ()))
            tasks.append(partial(_run, out, "run_mixture", n, noise, kind, seed, *more))
    return tasks


def _mantis_tasks(seed: int, python: Path | None) -> list[Task]:
    """Cells for the slower peer, through the middle of the grid along each axis; none without its environment."""
    if python is None:
        return []
    cells = [(10, 0.05, nuisance) for nuisance in NUISANCES]
    cells += [(n, 0.05, "none") for n in N_ENERGIES if n != 10] + [(10, noise, "none") for noise in (0.02, 0.1)]
    return [_cell_task(f"mantis_{_name_cell(*cell)}", *cell, seed, "--mantis", python) for cell in cells]


def _name_cell(n: int, noise: float, nuisance: str) -> str:
    return f"{n}_{noise}_{nuisance.replace(' ', '_')}"


if __name__ == "__main__":
    main()
