"""Weights of the combined rule, by maximum likelihood on the tuning family; nothing else is looked at.

    python -m benchmarks.nmf.tune FOLDER

FOLDER holds ``recovery_phasekit_*.nc``, as ``run_recovery --who phasekit`` writes it for the cases of TUNING.

Prints the weights for the module of ``choose_rank``, and how well weights fitted without one generator do on it.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import minimize

from phasekit.nmf.rank_selection.evidence import WEIGHTS, compute_evidence

from .families import TUNING

_RIDGE = 1e-3  # keeps a weight that nothing speaks against from growing without end
Array = NDArray[np.float64]


def main() -> None:
    """Fit on everything, and on all generators but one."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    scans = [scan for scan in map(_read, sorted(parser.parse_args().folder.glob("recovery_phasekit_*.nc"))) if scan]
    weights = fit([(pieces, true) for _, pieces, true in scans])
    report = {"scans": len(scans), "weights": dict(zip(WEIGHTS, np.round(weights, 3).tolist(), strict=True))}
    report["all"] = score(weights, [(pieces, true) for _, pieces, true in scans])
    for generator in sorted({name for name, _, _ in scans}):
        others = fit([(pieces, true) for name, pieces, true in scans if name != generator])
        report[f"without {generator}"] = score(others, [(p, true) for name, p, true in scans if name == generator])
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def _read(path: Path) -> tuple[str, Array, int] | None:
    """Generator, evidence (rank, piece) and index of the true rank; None for a case that is not for tuning."""
    case = TUNING.get(path.stem.removeprefix("recovery_phasekit_"))
    ranks = xr.load_dataset(path)
    true = np.flatnonzero(ranks["rank"].to_numpy() == ranks.attrs["truth"])
    if case is None or len(true) == 0:
        return None
    return case.generator, np.stack(list(compute_evidence(ranks).values()), axis=1), int(true[0])


def fit(scans: list[tuple[Array, int]]) -> Array:
    """Weights of the largest mean log probability of the truth; signs are those that make sense."""
    bounds = [(0, None) if weight > 0 else (None, 0) for weight in WEIGHTS.values()]

    def cost(weights: Array) -> float:
        return -float(np.mean([np.log(odds(weights, pieces)[true]) for pieces, true in scans])) + _RIDGE * float(
            weights @ weights
        )

    return np.asarray(minimize(cost, np.sign(list(WEIGHTS.values())) * 0.1, bounds=bounds).x)


def odds(weights: Array, pieces: Array) -> Array:
    """Probability of every rank."""
    height = pieces @ weights
    share = np.exp(height - height.max())
    return np.maximum(share / share.sum(), 1e-12)


def score(weights: Array, scans: list[tuple[Array, int]]) -> dict[str, float]:
    """Shares exact and within one, and the mean probability of the chosen rank."""
    miss = np.array([abs(int(odds(weights, pieces).argmax()) - true) for pieces, true in scans])
    sure = float(np.mean([odds(weights, pieces).max() for pieces, _ in scans]))
    return {"exact": float(np.mean(miss == 0)), "within one": float(np.mean(miss <= 1)), "stated": sure}


if __name__ == "__main__":
    main()
