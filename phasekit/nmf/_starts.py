"""Where a factorisation begins, and the race that picks the best beginning."""

from collections.abc import Callable

import numpy as np

from ._hals import Array, Dense, Fit, LowRank, hals

Start = tuple[Array, Array]  # transposed loadings (k, pixel), factors (k, feature)


def svd_start(low: LowRank, k: int) -> Start:
    """Non-negative parts of the singular vectors (NNDSVD, Boutsidis and Gallopoulos, Pattern Recogn. 41 (2008) 1350).

    Zeros are lifted to a small value, because HALS moves a row at a time and an all-zero row would never move.
    """
    u, vt = low.left[:, :k].T, low.right[:k]
    loading, factor = np.empty_like(u), np.empty_like(vt)
    for j in range(k):
        signs = (u[j], vt[j]), (-u[j], -vt[j])
        parts = [(np.maximum(a, 0), np.maximum(b, 0)) for a, b in signs]
        loading[j], factor[j] = max(parts, key=lambda part: float(np.linalg.norm(part[0]) * np.linalg.norm(part[1])))
    return _lift(loading), _lift(factor)


def random_start(low: LowRank, k: int, rng: np.random.Generator) -> Start:
    """Patterns of ``k`` random scan points, far from each other (k-means++ on the compressed data), as factors."""
    scores = low.left / np.maximum(np.linalg.norm(low.left, axis=1, keepdims=True), 1e-12)
    chosen = [int(rng.integers(len(scores)))]
    distance = np.ones(len(scores))
    while len(chosen) < k:
        distance = np.minimum(distance, np.maximum(1 - scores @ scores[chosen[-1]], 0))
        total = float(distance.sum())
        weights = distance / total if total > 0 else None
        chosen.append(int(rng.choice(len(scores), p=weights)))
    factor = _lift(np.maximum(low.left[chosen] @ low.right, 0))
    loading = np.abs(rng.standard_normal((k, len(scores)))).astype(np.float32)
    return loading * np.float32(np.sqrt(low.norm2 / len(scores)) / k), factor


def warm_start(low: LowRank, fit: Fit, rng: np.random.Generator) -> Start:
    """A fit of k - 1 components, and one more pointing at what it leaves over."""
    probe = rng.standard_normal((1, low.left.shape[0]), dtype=np.float32)
    for _ in range(4):  # power iteration for the residual's strongest direction
        direction = probe @ low.left @ low.right - (probe @ fit.loading.T) @ fit.factor
        direction /= max(float(np.linalg.norm(direction)), 1e-12)
        back = (direction @ low.right.T) @ low.left.T - (direction @ fit.factor.T) @ fit.loading
        probe = np.asarray(back, dtype=np.float32)
    flip = -1 if np.linalg.norm(np.minimum(direction, 0)) > np.linalg.norm(np.maximum(direction, 0)) else 1
    loading = np.concatenate([fit.loading, _lift(np.maximum(flip * probe, 0))])
    return loading, np.concatenate([fit.factor, _lift(np.maximum(flip * direction, 0))])


def _lift(rows: Array) -> Array:
    floor = rows.mean(axis=1, keepdims=True) * np.float32(0.01)
    return np.ascontiguousarray(np.maximum(rows, np.maximum(floor, np.float32(1e-8))), dtype=np.float32)


def race(low: LowRank, starts: list[Start], *, warm_up: int = 30, max_iterations: int = 300) -> Fit:
    """Run every start for ``warm_up`` iterations on the compressed data; the best one goes to the end."""
    heats = [hals(low, start, max_iterations=warm_up, tolerance=0.0) for start in starts]
    best = min(heats, key=lambda fit: fit.error)
    return hals(low, (best.loading, best.factor), max_iterations=max_iterations, tolerance=1e-6)


def polish(
    data: Dense, fit: Fit, *, max_iterations: int, tolerance: float, tick: Callable[[int], None] | None = None
) -> Fit:
    """Finish on the full data: above the true k the compressed data alone lose up to 0.4 % of the error."""
    return hals(data, (fit.loading, fit.factor), max_iterations=max_iterations, tolerance=tolerance, tick=tick)
