"""Result files of the runs -> the numbers of the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import read_json
from .common import load_result
from .evaluate import evaluate_result

DOSES = (200, 600, 2000, 20000)
#: Lines of the accuracy table for one dose, in their order.
LINES = ("phasekit", "phasekit, other scan", "phasekit, peers' pixels", "pyxem", "py4DSTEM")
SPEED_PACKAGES = ("phasekit", "pyxem", "py4dstem")


def collect_results(runs: Path) -> dict[str, Any]:
    """Return all numbers as they go into ``report.json``: ``accuracy[line][dose]``, ``speed`` and so on."""
    by_dose = {str(dose): _collect_accuracy(runs, dose) for dose in DOSES}
    return {
        "machine": read_json(runs / "machine.json"),
        "accuracy": {line: {dose: by_dose[dose][line] for dose in by_dose} for line in LINES},
        "speed": {name: load_result(runs / f"{name}_two.npz")[1] for name in SPEED_PACKAGES},
        "one_degree": load_result(runs / "phasekit_one_degree.npz")[1],
        "scaling": {
            "templates": _fit_scaling(runs, "templates", lambda info: sum(info["templates"])),
            "patterns": _fit_scaling(runs, "patterns", lambda info: info["n_patterns"]),
        },
        "exact": _compare_searches(runs),
        "chain": read_json(runs / "chain.json"),
        "robustness": read_json(runs / "robustness.json"),
    }


def _collect_accuracy(runs: Path, dose: int) -> dict[str, Any]:
    """Return the accuracy of every line of the table at one dose; of py4DSTEM's thresholds the best one counts."""
    scan, other = (folder / f"scan_{dose}.h5" for folder in (runs / "scans", runs / "scans" / "fresh"))
    own, pyxem = runs / f"phasekit_{dose}.npz", evaluate_result(runs / f"pyxem_{dose}.npz", scan)
    tried = [evaluate_result(path, scan) for path in sorted(runs.glob(f"py4dstem_{dose}_*.npz"))]
    return {
        "phasekit": evaluate_result(own, scan),
        "phasekit, other scan": evaluate_result(runs / f"fresh_{dose}.npz", other),
        "phasekit, peers' pixels": evaluate_result(own, scan, positions=int(pyxem["settings"]["positions"])),
        "pyxem": pyxem,
        "py4DSTEM": max(tried, key=lambda one: one["folded"]["within_5"]),
    }


def _fit_scaling(runs: Path, name: str, measure_size: Callable[[dict[str, Any]], int]) -> dict[str, Any]:
    """Return sizes with CPU seconds of matching on one thread, and the slope of the line through their logarithms."""
    infos = [load_result(path)[1] for path in runs.glob(f"{name}_*.npz")]
    pairs = sorted((measure_size(info), info["times"]["match"]["cpu_s"]) for info in infos)
    x, y = np.log(np.array(pairs)).T
    return {"pairs": pairs, "slope": float(np.polyfit(x, y, 1)[0])}


def _compare_searches(runs: Path) -> dict[str, float]:
    """Return how often the fast search finds the best entry of the full grid, before refinement."""
    fast, full = (load_result(runs / f"phasekit_{name}.npz")[0] for name in ("2000", "full"))
    known = full["matched_phase"] >= 0
    lost = full["matched_score"][known] - fast["matched_score"][known]
    return {"patterns": int(known.sum()), "found": float((lost < 1e-6).mean()), "largest_loss": float(lost.max())}
