"""The fit that is likeliest under Poisson counts: the Kullback-Leibler divergence, by multiplicative updates.

Lee and Seung, Adv. Neural Inf. Process. Syst. 13 (2001) 556, eq. 5. The divergence is weighted by what the features
were scaled with, so that it is the counts' own, and no step can make it larger. It starts from a least-squares fit,
which is close: from there some tens of iterations do.
"""

from collections.abc import Callable

import numpy as np

from .blocks import RowSource
from .hals import Array, Fit

_TINY = np.float32(1e-12)  # of the mean of the values: a model that says zero is not infinitely wrong
_LEAST_EXCESS = np.float32(-1 + 1e-7)  # a model of 1e-7 of the value and less costs the same
#: Half the rounding of one number in single precision, in which the terms w v are taken.
_ROUNDING = float(np.finfo(np.float32).eps) / 4


def minimise_divergence(
    source: RowSource,
    fit: Fit,
    weights: tuple[Array, Array],
    *,
    max_iterations: int,
    tolerance: float,
    tick: Callable[[int], None] | None = None,
) -> Fit:
    """Lower sum w (v log(v / m) - v + m), m = L F, w = ``weights`` of scan point and feature, v >= 0.

    Stops when it changes by less than ``tolerance`` of itself per iteration, or by less than single precision knows of
    it, which matters for nearly perfect fits only. The fit's ``error`` stays that of the squares (relative), computed
    for the final pair; holes (NaN) are left out.
    """
    level = float(fit.loading.mean(axis=1, dtype=np.float64) @ fit.factor.mean(axis=1, dtype=np.float64))
    side, tiny = np.float32(_TINY * max(level, 1e-300) ** 0.5), np.float32(_TINY * level)
    loading, factor = np.maximum(fit.loading, side), np.maximum(fit.factor, side)
    before, converged, done = np.inf, False, 0
    while done < max_iterations and not converged:
        (divergence, squares), loading, factor = _run_pass(source, loading, factor, weights, tiny)
        # The terms' roundings are independent: their squares add up.
        converged = abs(before - divergence) < max(tolerance * divergence, _ROUNDING * squares**0.5)
        before, done = divergence, done + 1
        if tick is not None:
            tick(done)
    error = _compute_squared_error(source, loading, factor)
    return Fit(loading, factor, error, fit.iterations + done, converged)


def _run_pass(
    source: RowSource, loading: Array, factor: Array, weights: tuple[Array, Array], tiny: np.float32
) -> tuple[tuple[float, float], Array, Array]:
    """Divergence and sum of (w v)^2 before the pass, new loadings row by row, new factors from the sums on the way."""
    new, above, below = np.empty_like(loading), np.zeros_like(factor), np.zeros_like(factor)
    divergence, squares = 0.0, 0.0
    for rows, block in source.read_blocks():
        weight = weights[0][rows, None] * weights[1]
        weight = np.where(np.isnan(block), np.float32(0), weight).astype(np.float32)
        values = np.nan_to_num(block).astype(np.float32)
        ratio, here = _compute_ratio(values, loading[:, rows], factor, weight, tiny)
        divergence += here
        squares += float(np.sum((values * weight) ** 2, dtype=np.float64))
        mine: Array = (loading[:, rows] * (factor @ ratio.T) / _make_positive(factor @ weight.T)).astype(np.float32)
        new[:, rows] = mine
        ratio, _ = _compute_ratio(values, mine, factor, weight, tiny)
        above += mine @ ratio
        below += mine @ weight
    return (divergence, squares), new, (factor * above / _make_positive(below)).astype(np.float32)


def _make_positive(sums: Array) -> Array:
    """Sums to divide by; where nothing was measured they are 0, and so is what is divided."""
    return np.maximum(sums, np.finfo(np.float32).tiny)


def _compute_ratio(
    values: Array, loading: Array, factor: Array, weight: Array, tiny: np.float32
) -> tuple[Array, float]:
    """Weighted ratio w v / m, and the divergence of the block."""
    model = np.maximum(loading.T @ factor, tiny)
    ratio = values / model
    # v (d - log(1 + d)) with d = m / v - 1: near a perfect fit v log(v / m) - v + m would be its own rounding.
    excess = np.divide(model - values, values, out=np.zeros_like(values), where=values > 0)
    excess = np.maximum(excess, _LEAST_EXCESS)
    terms = np.where(values > 0, values * (excess - np.log1p(excess)), model)
    return ratio * weight, float(np.sum(terms * weight, dtype=np.float64))


def _compute_squared_error(source: RowSource, loading: Array, factor: Array) -> float:
    """|V - L F|^2 / |V|^2 over what was measured."""
    residual, total = 0.0, 0.0
    for rows, block in source.read_blocks():
        residual += float(np.nansum((block - loading[:, rows].T @ factor) ** 2, dtype=np.float64))
        total += float(np.nansum(block**2, dtype=np.float64))
    return residual / max(total, 1e-300)
