r"""Array kernels of the factorisation: V ~ L F with V (pixel, feature), L (pixel, k) and F (k, feature), all >= 0.

Hierarchical alternating least squares (Cichocki and Phan, IEICE Trans. E92-A (2009) 708) updates one row at a time:

.. math::

    F_k \leftarrow \max\left(0,\; F_k + \frac{(L^T V)_k - (L^T L)_k F}{(L^T L)_{kk}}\right),

and the same for the columns of L with F V^T and F F^T. Several inner sweeps share one matrix product (Gillis and
Glineur, Neural Comput. 24 (2012) 1085). Loadings are held transposed, (k, pixel), so that one sweep serves both sides.
The data enter only through two products, which a low-rank copy gives at a fraction of the cost. Arrays are NumPy's,
where the sweep is compiled, or torch's, where it is a few calls per row. The rest is the same code.
"""

from functools import cached_property
from typing import NamedTuple, cast

import numba
import numpy as np
from numpy.typing import NDArray

from .arrays import compute_dot, compute_gram, make_contiguous

Array = NDArray[np.float32]
_BLOCK = 256  # columns: k rows of them stay in the first-level cache
_FLOOR = np.float32(1e-12)  # of the largest diagonal element: a row below it is empty
_TINY = np.finfo(np.float32).tiny  # so that nothing is divided by 0 where all rows are empty
_REBALANCE = 8  # iterations between two rebalancings: norms drift slowly
#: Inner sweeps per matrix product. Of 1, 2 and 4 the last falls fastest per second where k is above the true one.
N_INNER = 4


class Fit(NamedTuple):
    """State of a factorisation: transposed loadings (k, pixel), factors (k, feature), and what it reached."""

    loading: Array
    factor: Array
    error: float  # |V - L F|^2 / |V|^2 of the data the fit last saw
    iterations: int = 0
    converged: bool = False
    optimality: float = np.inf  # norm of the projected gradient of F relative to |L^T V|; 0 at a stationary point


class LowRank:
    """Truncated singular value decomposition V ~ left @ right, for products at a fraction of the data's cost."""

    def __init__(self, left: Array, right: Array, norm2: float) -> None:
        self.left = left  # (pixel, rank), scaled by the singular values
        self.right = right  # (rank, feature), orthonormal rows
        self.norm2 = norm2  # |V|^2 of the data themselves

    # Both ways round in memory while fits are made: products with a transposed view take longer.
    @cached_property
    def _left_t(self) -> Array:
        return cast(Array, make_contiguous(self.left.T))

    @cached_property
    def _right_t(self) -> Array:
        return cast(Array, make_contiguous(self.right.T))

    def truncate(self, rank: int) -> "LowRank":
        """The strongest ``rank`` directions alone."""
        if rank >= self.left.shape[1]:
            return self
        return LowRank(make_contiguous(self.left[:, :rank]), self.right[:rank], self.norm2)

    def project_onto_factors(self, factor: Array) -> Array:
        """F V^T, (k, pixel)."""
        return cast(Array, (factor @ self._right_t) @ self._left_t)

    def project_onto_loadings(self, loading: Array) -> Array:
        """L^T V, (k, feature)."""
        return cast(Array, (loading @ self.left) @ self.right)


def split_strength(left: Array) -> tuple[Array, NDArray[np.float64]]:
    """The left side of compressed data (pixel, direction) as unit vectors, and the singular values."""
    strength = np.sqrt(np.einsum("ij,ij->j", left, left, dtype=np.float64))
    return (left / np.maximum(strength, 1e-300)).astype(np.float32), strength


def fit_hals(low: LowRank, start: tuple[Array, Array], n_iterations: int, *, n_inner: int = N_INNER) -> Fit:
    """``n_iterations`` of HALS from ``start`` (loadings, factors) on the compressed data."""
    loading, factor = start[0] + 0, start[1] + 0
    # Each half step solves for one side with the other fixed, so that the error can only fall.
    for iteration in range(n_iterations):
        if iteration % _REBALANCE == 0:
            balance_norms(loading, factor)
        sweep_rows(loading, low.project_onto_factors(factor), factor @ factor.T, n_inner)
        # Kept for the error below: the last products belong to the last loadings.
        product = low.project_onto_loadings(loading)
        sweep_rows(factor, product, loading @ loading.T, n_inner)
    error = compute_relative_error(low.norm2, product, compute_gram(loading), factor)
    return Fit(loading, factor, error, n_iterations)


def compute_relative_error(norm2: float, product: Array, squares: NDArray[np.float64], factor: Array) -> float:
    r"""Relative squared error from the products at hand, ``product`` = L^T V and ``squares`` = L^T L.

    .. math::

        \lVert V - L F\rVert^2 = \lVert V\rVert^2 - 2\langle L^T V, F\rangle + \langle L^T L, F F^T\rangle.

    This is a difference of numbers as large as :math:`\lVert V\rVert^2`. Single precision leaves some 1e-7 of it
    uncertain, and the same of the error. Two errors of a perfect fit therefore differ by chance.
    :func:`compute_error_decrease` does not have this limit.
    """
    cross = compute_dot(product, factor)
    model = compute_dot(squares, compute_gram(factor))
    return max(norm2 - 2 * cross + model, 0.0) / max(norm2, 1e-300)


def compute_error_decrease(before: Array, after: Array, product: Array, squares: Array) -> float:
    r"""By how much a step :math:`\Delta = X' - X` lowered the squared error; ``product`` = G V, ``squares`` = G G^T.

    .. math::

        \lVert V - G^T X\rVert^2 - \lVert V - G^T X'\rVert^2
        = \langle 2 (G V - G G^T X) - G G^T \Delta,\; \Delta\rangle.

    It is computed from the step itself. Its rounding is relative to the step, and goes to 0 where the fit does not
    move.
    """
    step = after - before
    return compute_dot(2 * (product - squares @ before) - squares @ step, step)


def sweep_rows(x: Array, product: Array, gram: Array, n_inner: int) -> None:
    r"""Minimise :math:`\lVert V - G^T X\rVert` over X >= 0 one row at a time, in place.

    ``x`` is X (k, n), ``product`` = G V (k, n), ``gram`` = G G^T (k, k), all float32, NumPy's or torch's.
    """
    if isinstance(x, np.ndarray):
        _sweep_compiled(x, product, gram, n_inner)
        return
    # The same in torch: a row whose partner is empty is left alone, so that nothing is divided by 0.
    floor = float(_FLOOR) * float(gram.diagonal().max()) + float(_TINY)
    filled_rows = [row for row in range(len(x)) if gram[row, row] > floor]
    for _ in range(n_inner):
        for row in filled_rows:
            step = (product[row] - gram[row] @ x) / gram[row, row]
            x[row] = (x[row] + step).clip(min=0)


def balance_norms(loading: Array, factor: Array) -> None:
    """Give both sides of each component the same norm, in place: float32 then loses no digits on either."""
    left, right = ((side * side).sum(1) ** 0.5 for side in (loading, factor))
    # Each side's floor is in its own unit: one side may hold the unit of the data, the other none.
    left, right = (norm + float(_FLOOR) * float(norm.max()) + float(_TINY) for norm in (left, right))
    scale = ((right / left) ** 0.5).clip(1e-6, 1e6)[:, None]
    loading *= scale
    factor /= scale


def fit_nonnegative_loading(product: Array, gram: Array, n_sweeps: int = 50) -> Array:
    """Loadings (k, n) >= 0 for fixed factors; ``product`` = F V^T (k, n), ``gram`` = F F^T (k, k), float32."""
    scale = np.maximum(np.diag(gram), _FLOOR * gram.diagonal().max() + _TINY)[:, None]
    # The solution for orthogonal factors is a good start: overlaps between factors are then corrected by the sweeps.
    loading = np.maximum(product / scale, 0).astype(np.float32)
    _sweep_compiled(loading, np.ascontiguousarray(product), gram, n_sweeps)
    return loading


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _sweep_compiled(x: Array, product: Array, gram: Array, n_inner: int) -> None:
    """Compiled :func:`sweep_rows` of ``x`` (k, n) with ``product`` (k, n) and ``gram`` (k, k), in place.

    Columns are independent, so blocks of 256 of them are finished one after another while they are in the cache.
    """
    k, n = x.shape
    floor = _TINY
    for row in range(k):
        floor = max(floor, _FLOOR * gram[row, row])
    for start in range(0, n, _BLOCK):
        m = min(start + _BLOCK, n) - start
        step = np.empty(m, np.float32)
        # Copies, because rows of one contiguous array are known not to overlap: the loops below are then vectorised.
        local, target = x[:, start : start + m].copy(), product[:, start : start + m].copy()
        for _ in range(n_inner):
            for row in range(k):
                if gram[row, row] <= floor:
                    continue
                # Residual of this row: its product less what all rows explain, itself included.
                wanted = target[row]
                for i in range(m):
                    step[i] = wanted[i]
                _subtract_rows(step, gram[row], local)
                scale = np.float32(1) / gram[row, row]
                current = local[row]
                for i in range(m):
                    current[i] = max(current[i] + step[i] * scale, np.float32(0))
        x[:, start : start + m] = local


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _subtract_rows(step: Array, weight: Array, rows: Array) -> None:
    """Take ``weight`` (k,) @ ``rows`` (k, m) off ``step`` (m,), in place, all float32.

    Eight rows are subtracted at a time, then four, which needs an eighth of the loads and stores of ``step``.
    """
    k, m = rows.shape
    eights, fours = k - k % 8, k - k % 4
    for j in range(0, eights, 8):
        w0, w1, w2, w3 = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
        w4, w5, w6, w7 = weight[j + 4], weight[j + 5], weight[j + 6], weight[j + 7]
        r0, r1, r2, r3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
        r4, r5, r6, r7 = rows[j + 4], rows[j + 5], rows[j + 6], rows[j + 7]
        for i in range(m):
            first = w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]
            step[i] -= first + (w4 * r4[i] + w5 * r5[i] + w6 * r6[i] + w7 * r7[i])
    for j in range(eights, fours, 4):
        w0, w1, w2, w3 = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
        r0, r1, r2, r3 = rows[j], rows[j + 1], rows[j + 2], rows[j + 3]
        for i in range(m):
            step[i] -= w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]
    for j in range(fours, k):
        w0, r0 = weight[j], rows[j]
        for i in range(m):
            step[i] -= w0 * r0[i]
