r"""Similarity of components: those of several fits (stability) and those of one (redundancy).

Both are cosines between patterns, :math:`c_{kl} = F_k \cdot F_l / (\lVert F_k\rVert \lVert F_l\rVert)`.
"""

import numpy as np
from numpy.typing import NDArray

from ..fitting.hals import Array

Directions = NDArray[np.float16]


def compute_directions(factor: Array) -> Directions:
    """Unit vectors of the components, (k, feature), in half precision: cosines are then right within 0.001."""
    # Double: a component that a poor fit extrapolates may have a square sum beyond single precision.
    norm = np.sqrt(np.einsum("ij,ij->i", factor, factor, dtype=np.float64))[:, None]
    return (factor / np.maximum(norm, 1e-300)).astype(np.float16)


def compute_redundancy(components: Directions) -> float:
    """Largest cosine between two components of one fit; 0 for a single one."""
    # Each component's cosine with itself is lowered to -1, so that it cannot be the largest.
    return (
        float((_compute_cosines(components, components) - 2 * np.eye(len(components))).max())
        if len(components) > 1
        else 0.0
    )


def compute_stability(runs: list[Directions]) -> float:
    """Cosine of the worst-matched component, mean over pairs of runs; NaN for a single run.

    Components of two runs are paired so that the sum of cosines is largest.
    """
    from scipy.optimize import linear_sum_assignment

    worst = []
    # Components have no order: each pair of runs is matched before it is compared.
    for i, first in enumerate(runs):
        for second in runs[i + 1 :]:
            cosine = _compute_cosines(first, second)
            worst.append(float(cosine[linear_sum_assignment(-cosine)].min()))
    return float(np.mean(worst)) if worst else float("nan")


def _compute_cosines(first: Directions, second: Directions) -> Array:
    """Cosines (k, l) of two sets of unit vectors, in single precision."""
    return first.astype(np.float32) @ second.astype(np.float32).T
