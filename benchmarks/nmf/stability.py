"""Do different starts, or perturbed data, end in the same components? The curves of two rules, by rank."""

import numpy as np
from numpy.typing import NDArray

from .fits import Array, LowRank, compress, fit_random

N_STARTS = 10  # both rules
_MOST_POINTS = 1000  # scan points in a consensus matrix: its clustering costs their square
_UNIFORM = 0.03  # relative perturbation where there are no counts to draw anew


def cophenetic_curve(low: LowRank, ranks: list[int], seed: int) -> NDArray[np.float64]:
    """Cophenetic correlation of the consensus of ``N_STARTS`` random starts; 1: scan points always group alike."""
    rng = np.random.default_rng(seed)
    n = len(low.left)
    points = np.sort(rng.choice(n, size=min(n, _MOST_POINTS), replace=False))
    return np.array([_cophenetic(_consensus(low, k, seed, points)) for k in ranks])


def _consensus(low: LowRank, k: int, seed: int, points: NDArray[np.integer]) -> NDArray[np.float64]:
    """Share of starts in which two scan points have the same strongest component."""
    together = np.zeros((len(points), len(points)))
    for start in range(N_STARTS):
        loading, factor = fit_random(low, k, seed + start)
        label = (loading * np.linalg.norm(factor, axis=1))[points].argmax(axis=1)
        together += label[:, None] == label
    return together / N_STARTS


def _cophenetic(consensus: NDArray[np.float64]) -> float:
    """Correlation of the distances 1 - consensus with those of their average-linkage tree; 1 where all are equal."""
    from scipy.cluster.hierarchy import cophenet, linkage
    from scipy.spatial.distance import squareform

    distance = squareform(1 - consensus, checks=False)
    if np.ptp(distance) == 0:
        return 1.0
    return float(cophenet(linkage(distance, "average"), distance)[0])


def silhouette_curve(data: Array, ranks: list[int], seed: int, weight: Array | None) -> NDArray[np.float64]:
    """Mean silhouette of the worst cluster of components over ``N_STARTS`` fits of perturbed data; 1 for k = 1."""
    rng = np.random.default_rng(seed)
    runs: dict[int, list[Array]] = {k: [] for k in ranks if k > 1}
    for start in range(N_STARTS):  # one perturbation serves every k: compressing it costs more than a fit
        low = compress(_perturbed(data, weight, rng), max(ranks) + 20, seed + start)
        for k, factors in runs.items():
            factor = fit_random(low, k, seed + start)[1]
            factors.append(factor / np.maximum(np.linalg.norm(factor, axis=1, keepdims=True), 1e-12))
    return np.array([_silhouettes(np.stack(runs[k])).min() if k > 1 else 1.0 for k in ranks])


def _perturbed(data: Array, weight: Array | None, rng: np.random.Generator) -> Array:
    """Counts drawn anew about themselves; without counts every value times 1 +- 3 %."""
    if weight is None:
        return data * rng.uniform(1 - _UNIFORM, 1 + _UNIFORM, data.shape).astype(np.float32)
    return (rng.poisson(np.maximum(data * weight, 0)) / weight).astype(np.float32)


def _silhouettes(runs: Array) -> NDArray[np.float64]:
    """Mean silhouette by cluster; ``runs`` (run, k, feature) of unit norm, matched one to one to k means."""
    from scipy.optimize import linear_sum_assignment

    n_runs, k, _ = runs.shape
    centre, label = runs[0], np.tile(np.arange(k), (n_runs, 1))
    for _ in range(20):
        label = np.array([np.argsort(linear_sum_assignment(-(centre @ run.T))[1]) for run in runs])
        grouped = np.stack([run[np.argsort(order)] for run, order in zip(runs, label, strict=True)])
        moved = grouped.mean(axis=0)
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        if np.allclose(moved, centre, atol=1e-6):
            break
        centre = moved
    flat = grouped.reshape(n_runs * k, -1)
    distance = (1 - flat @ flat.T).reshape(n_runs, k, n_runs, k)
    to_cluster = distance.sum(axis=2)  # (run, cluster of the component, other cluster): summed over runs
    own = np.einsum("ikk->ik", to_cluster) / max(n_runs - 1, 1)  # its distance to itself is zero
    others = np.where(np.eye(k, dtype=bool), np.inf, to_cluster / n_runs).min(axis=2)
    silhouette = (others - own) / np.maximum(np.maximum(others, own), 1e-12)
    return np.asarray(silhouette.mean(axis=0))
