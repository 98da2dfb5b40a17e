"""Automatic relevance determination: a fit with too many components, of which a prior empties those not needed."""

import numpy as np
from numpy.typing import NDArray

from .fits import LowRank

_SHAPE = 10.0  # of the prior on the relevances; moderate, so that it neither rules nor vanishes beside n + m
_TOLERANCE = 1e-5  # largest relative change of a relevance per iteration
_MOST = 3000  # iterations
_ABOVE = 0.05  # relevance above its lower bound, in units of the bound, from which a component counts


def automatic_relevance(low: LowRank, k: int, seed: int) -> tuple[int, NDArray[np.float64]]:
    """Return how many of ``k`` components stay, and the relevances above their lower bound, largest first.

    Tan and Fevotte (2013), the l1 prior with beta = 2. Each side is multiplied by (data on the other side) / (model on
    the other side + dispersion / relevance). A relevance is the sum of both sides of its component plus b, divided by
    c = n + m + a + 1. b follows from the mean of the data (method of moments). The data enter compressed; what that
    makes negative is set to 0.
    """
    n, m = len(low.left), low.right.shape[1]
    rng = np.random.default_rng(seed)
    mean, dispersion = float(low.left.mean(axis=0) @ low.right.mean(axis=1)), noise_variance(low, k)
    left, right = ((np.sqrt(mean / k) * (0.5 + rng.random(shape))).astype(np.float32) for shape in ((n, k), (k, m)))
    b = np.sqrt((_SHAPE - 1) * (_SHAPE - 2) * mean / k)
    c = n + m + _SHAPE + 1
    relevance = (left.sum(axis=0) + right.sum(axis=1) + b) / c
    for _ in range(_MOST):
        penalty = (dispersion / relevance).astype(np.float32)
        data = np.maximum((left.T @ low.left) @ low.right, 0)
        right *= data / np.maximum((left.T @ left) @ right + penalty[:, None], 1e-20)
        data = np.maximum(low.left @ (low.right @ right.T), 0)
        left *= data / np.maximum(left @ (right @ right.T) + penalty, 1e-20)
        before, relevance = relevance, (left.sum(axis=0) + right.sum(axis=1) + b) / c
        if float(np.max(np.abs(relevance / before - 1))) < _TOLERANCE:
            break
    above = np.sort((relevance * c / b - 1).astype(np.float64))[::-1]
    return max(int((above > _ABOVE).sum()), 1), above


def noise_variance(low: LowRank, k: int) -> float:
    """Mean square that ``k`` singular vectors leave over, per degree of freedom: about 1 for Poisson-scaled counts."""
    strength = np.einsum("ij,ij->j", low.left, low.left, dtype=np.float64)[:k]
    return max(low.norm2 - float(strength.sum()), 0.0) / max((len(low.left) - k) * (low.right.shape[1] - k), 1)
