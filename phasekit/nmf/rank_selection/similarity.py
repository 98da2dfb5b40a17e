r"""Similarity of components: those of several fits (stability) and those of one (redundancy).

Both are cosines between patterns, :math:`c_{kl} = F_k \cdot F_l / (\lVert F_k\rVert \lVert F_l\rVert)`.
"""

import numpy as np
from numpy.typing import NDArray

from ..fitting.hals import Array

Directions = NDArray[np.uint8]
_LARGEST = np.float32(np.iinfo(np.uint8).max)


def compute_directions(factor: Array) -> Directions:
    """Directions of the components, (k, feature), in one byte each: cosines are then right within 0.001.

    Square roots are rounded: they have the same error everywhere.
    """
    # Over the largest: a component that a poor fit extrapolates may have a square sum beyond single precision.
    largest = np.maximum(factor.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.rint(_LARGEST * np.sqrt(factor / largest)).astype(np.uint8)


def compute_redundancy(factor: Array) -> float:
    """Largest cosine between two components of one fit (k, feature); 0 for a single one."""
    # Each component's cosine with itself is lowered to -1, so that it cannot be the largest.
    if len(factor) < 2:
        return 0.0
    unit = _normalise_rows(factor)
    return float((unit @ unit.T - 2 * np.eye(len(unit))).max())


class Stability:
    """Cosine of the worst-matched component of every rank, mean over pairs of runs.

    Components of two runs are paired so that the sum of cosines is largest.
    """

    def __init__(self, n_ranks: int) -> None:
        self.known: list[list[Directions]] = [[] for _ in range(n_ranks)]  # by rank, of the runs so far
        self.worst: list[list[float]] = [[] for _ in range(n_ranks)]

    def add(self, place: int, factor: Array) -> None:
        """Compare one run's fit of the rank at ``place`` with those of the runs before."""
        from scipy.optimize import linear_sum_assignment

        directions = compute_directions(factor)
        unit = _normalise_rows(directions.astype(np.float32) ** 2)
        # Components have no order: each pair of runs is matched before it is compared.
        for other in self.known[place]:
            cosine = _normalise_rows(other.astype(np.float32) ** 2) @ unit.T
            self.worst[place].append(float(cosine[linear_sum_assignment(-cosine)].min()))
        self.known[place].append(directions)

    def compute_means(self) -> NDArray[np.float64]:
        """Mean over pairs by rank; NaN for a single run."""
        return np.array([np.mean(worst) if worst else np.nan for worst in self.worst])


def _normalise_rows(rows: Array) -> Array:
    """Unit vectors, in single precision."""
    # Double: the square sum of a component that a poor fit extrapolates may be beyond single precision.
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    return np.asarray(rows / np.maximum(norm, 1e-300), dtype=np.float32)
