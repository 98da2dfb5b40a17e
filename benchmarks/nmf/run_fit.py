"""One fit of one package, as it comes, and the shortest run of it that reaches a given error.

    python -m benchmarks.nmf.run_fit OUT.json --package sklearn-cd --data FOLDER [--side 64] [--detector 64] [--k 8]
        [--target 0.515|self]

"As it comes" is the package's default iterations and test of convergence. With ``--target`` it is then run with 1, 2,
3, 5, ... iterations, each time from the beginning, until the relative squared error is not above the target.
"""

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import measure_cost, pin_to_one_core, write_json
from .common import (
    DATA_PARTS,
    N_COMPONENTS,
    OWN_PARTS,
    SEED,
    WARM_UP,
    Data,
    compute_relative_error,
    find_code_state,
    load_data,
)
from .packages import PACKAGES, Package

SCRIPTS = ("run_fit.py", "packages.py", "data.py")
RUNGS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)
SLACK = 1e-4  # of the target: what counts as the same error
_STUCK = 1e-8  # relative change between two rungs below which further iterations are in vain
_CPU_LIMIT = 900.0  # seconds of one rung after which no longer one is tried


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--package", choices=list(PACKAGES), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--detector", type=int, default=64)
    parser.add_argument("--k", type=int, default=N_COMPONENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--target", help="relative squared error to reach, or 'self': the default run's own")
    chosen = parser.parse_args()
    pin_to_one_core()
    package = PACKAGES[chosen.package]
    warm_up(package, chosen.data)
    data = load_data(chosen.data, chosen.side, chosen.detector)
    results: dict[str, Any] = {name: getattr(chosen, name) for name in ("package", "side", "detector", "k", "seed")}
    parts = OWN_PARTS if chosen.package == "phasekit" else DATA_PARTS
    results |= {"version": version(package.distribution), "code": find_code_state(*SCRIPTS, parts=parts)}
    results["default"] = measure_fit(package, data, chosen.k, None, chosen.seed)
    if chosen.target:
        target = results["default"]["error"] if chosen.target == "self" else float(chosen.target)
        results |= {"target": target, "slack": SLACK}
        results["ladder"] = fit_until_target(package, data, chosen.k, chosen.seed, target * (1 + SLACK))
    write_json(chosen.out, results)


def warm_up(package: Package, folder: Path) -> None:
    """Make a small fit that is not timed, because imports and compilation are not what is compared."""
    package.prepare(load_data(folder, *WARM_UP), 2, None, 0).run()


def measure_fit(package: Package, data: Data, k: int, iterations: int | None, seed: int) -> dict[str, Any]:
    """Seconds, memory, error and iterations of one fit."""
    task = package.prepare(data, k, iterations, seed)
    with measure_cost() as cost:
        answer = task.run()
    fitted = task.unpack(answer)
    return {
        **cost,
        "error": compute_relative_error(data.values, fitted.loading, fitted.factor),
        "iterations": fitted.iterations,
    }


def fit_until_target(package: Package, data: Data, k: int, seed: int, bound: float) -> list[dict[str, Any]]:
    """Fit with more and more iterations until an error is at most ``bound``, or does not change any more."""
    rungs: list[dict[str, Any]] = []
    for iterations in RUNGS:
        rungs.append(measure_fit(package, data, k, iterations, seed))
        error, before = rungs[-1]["error"], rungs[-2]["error"] if len(rungs) > 1 else np.inf
        if error <= bound or abs(before - error) < _STUCK * error or rungs[-1]["cpu_s"] > _CPU_LIMIT:
            break
    return rungs


if __name__ == "__main__":
    main()
