"""Array kernels of the factorisation: V ~ L F with V (pixel, feature), L (pixel, k) and F (k, feature), all >= 0.

Hierarchical alternating least squares (Cichocki and Phan, IEICE Trans. E92-A (2009) 708; several inner sweeps per
matrix product: Gillis and Glineur, Neural Comput. 24 (2012) 1085). Loadings are held transposed, (k, pixel), so that
one compiled sweep serves both sides. The data enter only through two products, which a low-rank copy gives far cheaper.
"""

from collections.abc import Callable
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_BLOCK = 512
_FLOOR = np.float32(1e-12)


class Fit(NamedTuple):
    """State of a factorisation: transposed loadings (k, pixel), factors (k, feature), what it reached."""

    loading: Array
    factor: Array
    error: float  # |V - L F|^2 / |V|^2 of the data the fit last saw
    iterations: int
    converged: bool


class Dense:
    """The data themselves: exact products."""

    def __init__(self, data: Array) -> None:
        self.data = data
        self.norm2 = float(np.einsum("ij,ij->", data, data, dtype=np.float64))

    def onto_factors(self, factor: Array) -> Array:
        """F V^T, (k, pixel)."""
        return np.ascontiguousarray((self.data @ factor.T).T)

    def onto_loadings(self, loading: Array) -> Array:
        """L^T V, (k, feature)."""
        return loading @ self.data


class LowRank:
    """Truncated singular value decomposition of the data: products at a fraction of the cost."""

    def __init__(self, left: Array, right: Array, norm2: float) -> None:
        self.left, self.right, self.norm2 = left, right, norm2  # V ~ left @ right

    def onto_factors(self, factor: Array) -> Array:
        """F V^T, (k, pixel)."""
        return np.asarray((factor @ self.right.T) @ self.left.T, dtype=np.float32)

    def onto_loadings(self, loading: Array) -> Array:
        """L^T V, (k, feature)."""
        return np.asarray((loading @ self.left) @ self.right, dtype=np.float32)


def compress(data: Array, rank: int, rng: np.random.Generator) -> LowRank:
    """Randomised truncated SVD (Halko, Martinsson and Tropp, SIAM Rev. 53 (2011) 217, algorithm 4.4, 2 iterations)."""
    rank = min(rank, *data.shape)
    sample = min(rank + 8, *data.shape)
    basis = data @ rng.standard_normal((data.shape[1], sample), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(basis)[0]
        basis = data @ np.linalg.qr(data.T @ basis)[0]
    basis = np.linalg.qr(basis)[0]
    u, s, vt = np.linalg.svd(basis.T @ data, full_matrices=False)
    norm2 = float(np.einsum("ij,ij->", data, data, dtype=np.float64))
    return LowRank((basis @ u[:, :rank]) * s[:rank], np.ascontiguousarray(vt[:rank]), norm2)


@numba.njit(cache=True, nogil=True)
def _sweep(x: Array, product: Array, gram: Array, n_inner: int) -> None:
    """Minimise |V - G^T X| over X >= 0 one row at a time, in place; blocks of columns stay in the cache."""
    k, n = x.shape
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        for _ in range(n_inner):
            for row in range(k):
                if gram[row, row] <= _FLOOR:
                    continue
                step = product[row, start:stop].copy()
                for other in range(k):
                    weight = gram[row, other]
                    for i in range(stop - start):
                        step[i] -= weight * x[other, start + i]
                scale = np.float32(1) / gram[row, row]
                for i in range(stop - start):
                    value = x[row, start + i] + step[i] * scale
                    x[row, start + i] = value if value > 0 else np.float32(0)


def hals(
    data: Dense | LowRank,
    start: tuple[Array, Array],
    *,
    max_iterations: int,
    tolerance: float,
    n_inner: int = 2,
    tick: Callable[[int], None] | None = None,
) -> Fit:
    """Iterate from ``start`` until the error falls by less than ``tolerance`` of |V|^2 per iteration.

    The error is the exact |V - L F|^2 of ``data``, looked at every 5 iterations.
    """
    loading, factor = start[0].copy(), start[1].copy()
    error, done = np.inf, 0
    while done < max_iterations:
        for _ in range(min(5, max_iterations - done)):
            _rebalance(loading, factor)
            _sweep(loading, data.onto_factors(factor), factor @ factor.T, n_inner)
            product, gram = data.onto_loadings(loading), loading @ loading.T
            _sweep(factor, product, gram, n_inner)
            done += 1
        before, error = error, _error(data.norm2, product, gram, factor)
        if tick is not None:
            tick(done)
        if before - error < 5 * tolerance:
            return Fit(loading, factor, error, done, True)
    return Fit(loading, factor, error, done, False)


def _error(norm2: float, product: Array, gram: Array, factor: Array) -> float:
    """|V - L F|^2 / |V|^2 from the products at hand."""
    cross = np.einsum("ij,ij->", product, factor, dtype=np.float64)
    model = np.einsum("ij,ij->", gram, (factor @ factor.T), dtype=np.float64)
    return float(max(norm2 - 2 * cross + model, 0.0) / norm2)


def _rebalance(loading: Array, factor: Array) -> None:
    """Give both sides of each component the same norm, in place: float32 then loses nothing on either."""
    left = np.sqrt(np.einsum("ij,ij->i", loading, loading))
    right = np.sqrt(np.einsum("ij,ij->i", factor, factor))
    alive = (left > 0) & (right > 0)
    scale = np.where(alive, np.sqrt(right / np.where(alive, left, 1)), 1).astype(np.float32)
    loading *= scale[:, None]
    factor /= scale[:, None]


def project_loading(data: Array, factor: Array, n_sweeps: int = 50) -> Array:
    """Non-negative loadings (k, pixel) of ``data`` for fixed factors."""
    product, gram = Dense(data).onto_factors(factor), factor @ factor.T
    scale = np.maximum(np.diag(gram), _FLOOR)[:, None]
    loading = np.maximum(product / scale, 0).astype(np.float32)
    _sweep(loading, product, gram, n_sweeps)
    return loading
