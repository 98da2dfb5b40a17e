"""How alike components are: those of several fits (stability) and those of one (redundancy)."""

import numpy as np

from ._hals import Array
from .matching import cosines


def redundancy(factor: Array) -> float:
    """Largest cosine between two components of one fit; 0 for a single one."""
    return float((cosines(factor, factor) - 2 * np.eye(len(factor))).max()) if len(factor) > 1 else 0.0


def stability(runs: list[Array]) -> float:
    """Cosine of the worst-matched component, mean over pairs of runs; NaN for a single run."""
    from scipy.optimize import linear_sum_assignment

    worst = []
    for i, first in enumerate(runs):
        for second in runs[i + 1 :]:
            cosine = cosines(first, second)
            worst.append(float(cosine[linear_sum_assignment(-cosine)].min()))
    return float(np.mean(worst)) if worst else float("nan")
