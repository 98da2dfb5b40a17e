"""The one place where the rules get their factorisations from, so that another can be put in.

Everything is an array: data (n, m), loadings (n, k), factors (k, m); non-negative, float32.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_ITERATIONS = 60  # of a random start: enough to see where it goes


class LowRank(NamedTuple):
    """Leading singular vectors, data ~ left @ right: products at a fraction of the cost, for rules that fit often."""

    left: Array  # (n, rank), scaled by the singular values
    right: Array  # (rank, m), orthonormal rows
    norm2: float  # |V|^2 of the data themselves


def fit_ranks(data: Array, ranks: list[int]) -> Iterator[tuple[Array, Array]]:
    """Loadings and factors of phasekit's least-squares fits, best of five starts each, in the order of ``ranks``."""
    import phasekit as pk

    factors = pk.nmf.factorise_ranks(make_features(data), ranks, progress=False)
    for k in ranks:
        yield factors[k]["loading"].to_numpy().reshape(k, -1).T.copy(), factors[k]["factor"].to_numpy().reshape(k, -1)


def fit_random(low: LowRank, k: int, seed: int) -> tuple[Array, Array]:
    """The same from a random start, by HALS on the compressed data, for rules that ask whether starts end alike.

    A. Cichocki and A.-H. Phan, IEICE Trans. Fundam. E92-A (2009) 708.
    """
    rng = np.random.default_rng(seed)
    level = np.sqrt(max(float(low.left.mean(axis=0) @ low.right.mean(axis=1)), 1e-12) / k)
    sizes = len(low.left), low.right.shape[1]
    loading, factor = ((level * np.abs(rng.standard_normal((k, n)))).astype(np.float32) for n in sizes)
    for _ in range(_ITERATIONS):
        _update_rows(loading, (factor @ low.right.T) @ low.left.T, factor @ factor.T)
        _update_rows(factor, (loading @ low.left) @ low.right, loading @ loading.T)
    return loading.T, factor


def compress(data: Array, rank: int, seed: int, *, exact: bool = False) -> LowRank:
    """Leading ``rank`` singular vectors; ``exact`` where the singular values themselves are read."""
    rank = min(rank, min(data.shape) - 1)
    if exact:
        from scipy.sparse.linalg import svds

        u, s, vt = svds(data, k=rank, rng=np.random.default_rng(seed))
        u, s, vt = u[:, ::-1], s[::-1], vt[::-1]
    else:
        from sklearn.utils.extmath import randomized_svd

        u, s, vt = randomized_svd(data, rank, n_iter=2, random_state=seed)
    norm2 = float(np.einsum("ij,ij->", data, data, dtype=np.float64))
    return LowRank(np.ascontiguousarray(u * s, np.float32), np.ascontiguousarray(vt, np.float32), norm2)


def compute_squared_error(data: Array, loading: Array, factor: Array) -> float:
    """|V - L F|^2 from two small products; the difference is taken in double precision."""
    cross = float(np.einsum("ij,ij->", loading.T @ data, factor, dtype=np.float64))
    grams = [side.astype(np.float64) @ side.T.astype(np.float64) for side in (loading.T, factor)]
    norm2 = float(np.einsum("ij,ij->", data, data, dtype=np.float64))
    return max(norm2 - 2 * cross + float(np.sum(grams[0] * grams[1])), 0.0)


def solve_nonnegative(data: Array, factor: Array) -> Array:
    """Loadings (n, k) >= 0 that fit ``data`` best for given factors: least squares per row, solved exactly."""
    from scipy.optimize import nnls

    wide = factor.astype(np.float64)
    gram = wide @ wide.T
    ridge = 1e-9 * max(float(np.trace(gram)), 1e-30)  # for a component that is empty or doubled
    upper = np.linalg.cholesky(gram + ridge * np.eye(len(gram))).T
    target = np.linalg.solve(upper.T, (factor @ data.T).astype(np.float64))
    return np.array([nnls(upper, column)[0] for column in target.T], dtype=np.float32)


def make_features(data: Array) -> Any:
    """A matrix as FEATURES: one line of scan points, one row of detector pixels, nothing divided out."""
    import xarray as xr

    n, m = data.shape
    return xr.Dataset(
        {
            "feature_value": (("scan_y", "scan_x", "feature"), data[None]),
            "scan_weight": (("scan_y", "scan_x"), np.ones((1, n), dtype=np.float32)),
            "feature_weight": ("feature", np.ones(m, dtype=np.float32)),
            "feature_index": (("qy", "qx"), np.arange(m, dtype=np.int32)[None]),
            "feature_pixels": ("feature", np.ones(m, dtype=np.int32)),
        },
        attrs={"scale": "none", "counts": 0, "schema": "FEATURES"},
    )


def _update_rows(side: Array, product: Array, gram: Array) -> None:
    """Two passes over the rows of ``side``, each set to its best non-negative value for the others, in place."""
    for _ in range(2):
        for row in range(len(side)):
            step = (product[row] - gram[row] @ side) / max(float(gram[row, row]), 1e-12)
            np.maximum(side[row] + step, 1e-12, out=side[row])
