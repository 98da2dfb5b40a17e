"""Result files of the runs -> the numbers of the report."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..harness import read_json, read_json_files
from .cells import N_ENERGIES, NOISE, NUISANCES
from .collect_mixtures import collect_mixtures
from .common import ALONE, OWN

#: Scripts that write one result each.
_ALONE_STANDING = ("scaling", "real_stack", "streaming", "measured", "resampled")
Rows = list[dict[str, Any]]
_LEAST_SPREAD = 0.005  # of an accuracy between specimens, where two of them happen to agree


def collect_results(runs: Path) -> dict[str, Any]:
    """Return all numbers: cells averaged over specimens, promises, calibration, scaling, the real stack."""
    cells = read_json_files(runs, "cell_*.json")
    groups: dict[tuple[int, float, str], Rows] = defaultdict(list)
    for one in cells:
        groups[(one["cell"]["n"], one["cell"]["noise"], one["cell"]["nuisance"])].append(one)
    return {
        "cells": [_summarise_cell(*key, groups[key]) for key in sorted(groups, key=_order_cell)],
        "promises": _collect_promises(runs),
        "reliability": _sum_bins([one["reliability"] for one in cells if one["cell"]["nuisance"] != "unknown phase"]),
        "mantis": [_collect_mantis(one, runs) for one in read_json_files(runs, "mantis_*.json")],
        "codes": _count_code_states(runs),
        "mixtures": collect_mixtures(runs),
        **{name: read_json(runs / f"{name}.json") for name in _ALONE_STANDING},
    }


def _order_cell(key: tuple[int, float, str]) -> tuple[int, int, int]:
    return NUISANCES.index(key[2]), N_ENERGIES.index(key[0]), NOISE.index(key[1])


def _count_code_states(runs: Path) -> dict[str, int]:
    """Return how many results were made by which state of the code (``find_code_state``)."""
    results = [
        one for kind in ("cell", "promise", "mantis", "mixture") for one in read_json_files(runs, f"{kind}_*.json")
    ]
    return dict(Counter(one.get("code", "unrecorded") for one in results))


def _summarise_cell(n: int, noise: float, nuisance: str, rows: Rows) -> dict[str, Any]:
    """Average one cell over its specimens: own scores, the best baseline (each at its best smoothing), and the gap."""
    rivals = _find_rivals(rows)
    best = max(rivals, key=lambda name: rivals[name].mean())
    gap = np.array([row[OWN]["accuracy"] for row in rows]) - rivals[best]
    spread = _estimate_spread(gap, [row["trainings"] for row in rows])
    names = [name for name in rows[0][OWN] if name != "seconds"]
    return {
        "n": n,
        "noise": noise,
        "nuisance": nuisance,
        "specimens": len(rows),
        "own": {name: float(np.nanmean([row[OWN].get(name, np.nan) for row in rows])) for name in names},
        "alone": float(np.mean([row[ALONE]["accuracy"] for row in rows])),
        "rivals": {name: float(values.mean()) for name, values in rivals.items()},
        "best_rival": best,
        "gap": float(gap.mean()),
        "spread": spread,
        "trainings": float(max(np.ptp(row["trainings"]) for row in rows)),
        "verdict": "ahead" if gap.mean() > spread else "behind" if gap.mean() < -spread else "level",
    }


def _find_rivals(rows: Rows) -> dict[str, np.ndarray]:
    """Return the accuracies by specimen of the baselines that were run on all of them."""
    shared = [name for name in rows[0]["baselines"] if all(name in row["baselines"] for row in rows)]
    return {name: np.array([_select_best(row["baselines"][name]) for row in rows]) for name in shared}


def _estimate_spread(gap: np.ndarray, trainings: list[list[float]]) -> float:
    """Return the standard error of the mean gap between specimens, with the spread between trainings."""
    centred = np.concatenate([np.array(one) - np.mean(one) for one in trainings])
    several = len(gap) > 1
    spread = float(np.sqrt(gap.var(ddof=1) / len(gap) + centred.var()) if several else centred.std())
    return max(spread, _LEAST_SPREAD)


def _select_best(by_smoothing: dict[str, float]) -> float:
    return max(value for name, value in by_smoothing.items() if name != "seconds")


def _collect_promises(runs: Path) -> dict[str, Any]:
    """10 planned energies, noise 0.05, offset 0.3 eV, stray light 3 %: scores by specimen."""
    out: dict[str, Any] = {}
    for name in ("offset", "unknown_phase"):
        rows = [one[OWN] for one in read_json_files(runs, f"promise_{name}_*.json")]
        out[name] = {key: [row[key] for row in rows] for key in (rows[0] if rows else {})}
    return out


def _sum_bins(parts: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    return {name: np.sum([part[name] for part in parts], axis=0).tolist() for name in (parts[0] if parts else {})}


def _collect_mantis(one: dict[str, Any], runs: Path) -> dict[str, Any]:
    """Its scores, and phasekit's on the same specimen."""
    cell = one["cell"]
    name = f"cell_{cell['n']}_{cell['noise']}_{cell['nuisance'].replace(' ', '_')}_{cell['seed']}.json"
    mine = read_json(runs / name)
    scores = {name: _select_best(values) for name, values in one["mantis"].items()}
    return {**cell, OWN: mine[OWN]["accuracy"] if mine else np.nan, "version": one.get("mantis_version", ""), **scores}
