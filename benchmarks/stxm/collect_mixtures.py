"""Result files of the mixture specimens -> their numbers in the report."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import read_json_files
from .common import ALONE, OWN
from .mixture_cells import ELEMENTS, KINDS
from .run_mixture import FIT

Rows = list[dict[str, Any]]
#: Of an accuracy between specimens, where two of them happen to agree.
_LEAST_SPREAD = 0.005


def collect_mixtures(runs: Path) -> Rows:
    """Return one row per element, kind, faults of measured stacks, number of energies and noise."""
    groups: dict[tuple[str, str, bool, int, float], Rows] = defaultdict(list)
    for one in read_json_files(runs, "mixture_*.json"):
        cell = one["cell"]
        groups[(cell["element"], cell["kind"], cell["measured"], cell["n"], cell["noise"])].append(one)
    order = sorted(groups, key=lambda key: (ELEMENTS.index(key[0]), KINDS.index(key[1]), *key[2:]))
    return [_summarise(key, groups[key]) for key in order]


def _summarise(key: tuple[str, str, bool, int, float], rows: Rows) -> dict[str, Any]:
    """Average over specimens: own scores, the best simple method by accuracy, the linear fit's fraction."""
    own = [row.get(OWN, row[ALONE]) for row in rows]
    shared = [name for name in rows[0]["baselines"] if all(name in row["baselines"] for row in rows)]
    rivals = {name: _average_best([row["baselines"][name] for row in rows]) for name in shared}
    best = max(rivals, key=lambda name: rivals[name]["accuracy"])
    gaps = np.array([one["accuracy"] for one in own]) - [
        _select_smoothing(row["baselines"][best])["accuracy"] for row in rows
    ]
    several = len(gaps) > 1
    spread = max(float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if several else 0.0, _LEAST_SPREAD)
    gap = float(gaps.mean())
    errors = [min(scores["fraction_error"] for scores in row["baselines"][FIT].values()) for row in rows]
    return {
        **dict(zip(("element", "kind", "measured", "n", "noise"), key, strict=True)),
        "specimens": len(rows),
        "own": _average(own),
        "alone": _average([row[ALONE] for row in rows]),
        "rivals": rivals,
        "best_rival": best,
        "fit_fraction_error": float(np.mean(errors)),
        "gap": gap,
        "verdict": "ahead" if gap > spread else "behind" if gap < -spread else "level",
    }


def _select_smoothing(by_smoothing: dict[str, dict[str, float]]) -> dict[str, float]:
    """Scores at the smoothing with the best accuracy, which favours the simple methods."""
    return max(by_smoothing.values(), key=lambda scores: scores["accuracy"])


def _average_best(rows: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    return _average([_select_smoothing(row) for row in rows])


def _average(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of every score over the specimens that have it."""
    out = {}
    for name in rows[0]:
        values = np.array([row.get(name, np.nan) for row in rows], dtype=float)
        known = values[np.isfinite(values)]
        out[name] = float(known.mean()) if known.size else np.nan
    return out
