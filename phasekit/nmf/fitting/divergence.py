r"""The maximum-likelihood fit under Poisson counts, by multiplicative updates of the Kullback-Leibler divergence.

The generalised divergence of values :math:`v` and model :math:`m = L F`, with weights :math:`w`, is

.. math::

    D = \sum_{ij} w_{ij} \left( v_{ij} \ln\frac{v_{ij}}{m_{ij}} - v_{ij} + m_{ij} \right).

With :math:`w` the product of the weights that were divided out, :math:`w v` are the counts. D is then the negative
Poisson log-likelihood up to a constant. Each update

.. math::

    L_{ik} \leftarrow L_{ik} \frac{\sum_j w_{ij} v_{ij} F_{kj} / m_{ij}}{\sum_j w_{ij} F_{kj}},\qquad
    F_{kj} \leftarrow F_{kj} \frac{\sum_i w_{ij} v_{ij} L_{ik} / m_{ij}}{\sum_i w_{ij} L_{ik}}

cannot raise it (Lee and Seung, Adv. Neural Inf. Process. Syst. 13 (2001) 556, eq. 5). The updates start from a
least-squares fit, which is close: some tens of iterations are then enough.
"""

from collections.abc import Callable

import numpy as np

from .blocks import RowSource
from .hals import Array, Fit
from .residual import compute_squared_errors

_TINY = np.float32(1e-12)  # of the mean of the values: a model of zero would cost infinitely much
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
    """Lower D of this module's head from ``fit`` on; ``weights`` (scan point,) and (feature,) are those divided out.

    The iteration stops when D changes by less than ``tolerance`` of itself, or by less than single precision resolves.
    The second matters for nearly perfect fits only. The fit's ``error`` remains that of the squares (relative),
    computed for the final pair. Missing values (NaN) are left out.
    """
    level = float(fit.loading.mean(axis=1, dtype=np.float64) @ fit.factor.mean(axis=1, dtype=np.float64))
    side, tiny = np.float32(_TINY * max(level, 1e-300) ** 0.5), np.float32(_TINY * level)
    # A multiplicative update cannot move an exact zero, so zeros of the least-squares fit are lifted first.
    loading, factor = np.maximum(fit.loading, side), np.maximum(fit.factor, side)
    before, converged, done = np.inf, False, 0
    while done < max_iterations and not converged:
        (divergence, squares), loading, factor = _run_pass(source, loading, factor, weights, tiny)
        # The terms' roundings are independent: their squares add up.
        converged = abs(before - divergence) < max(tolerance * divergence, _ROUNDING * squares**0.5)
        before, done = divergence, done + 1
        if tick is not None:
            tick(done)
    # The squared error is reported too, so that fits of both losses can be compared.
    found = Fit(loading, factor, np.inf, fit.iterations + done, converged)
    return found._replace(error=compute_squared_errors(source, [found])[0])


def _run_pass(
    source: RowSource, loading: Array, factor: Array, weights: tuple[Array, Array], tiny: np.float32
) -> tuple[tuple[float, float], Array, Array]:
    """One pass: divergence and sum of (w v)^2 before it, new loadings row by row, new factors from sums on the way."""
    loadings, numerator, denominator = np.empty_like(loading), np.zeros_like(factor), np.zeros_like(factor)
    divergence, squares = 0.0, 0.0
    for rows, block in source.read_blocks():
        weight = weights[0][rows, None] * weights[1]
        # A weight of 0 takes a missing value out of every sum below.
        weight = np.where(np.isnan(block), np.float32(0), weight).astype(np.float32)
        values = np.nan_to_num(block).astype(np.float32)
        ratio, block_divergence = _compute_ratio(values, loading[:, rows], factor, weight, tiny)
        divergence += block_divergence
        squares += float(np.sum((values * weight) ** 2, dtype=np.float64))
        new_loading: Array = (loading[:, rows] * (factor @ ratio.T) / _make_positive(factor @ weight.T)).astype(
            np.float32
        )
        loadings[:, rows] = new_loading
        # The factors' update uses the new loadings: each half step then lowers the divergence by itself.
        ratio, _ = _compute_ratio(values, new_loading, factor, weight, tiny)
        numerator += new_loading @ ratio
        denominator += new_loading @ weight
    return (divergence, squares), loadings, (factor * numerator / _make_positive(denominator)).astype(np.float32)


def _make_positive(sums: Array) -> Array:
    """Sums to divide by; where nothing was measured they are 0, and so is what is divided."""
    return np.maximum(sums, np.finfo(np.float32).tiny)


def _compute_ratio(
    values: Array, loading: Array, factor: Array, weight: Array, tiny: np.float32
) -> tuple[Array, float]:
    """Weighted ratio w v / m (row, feature) of a block, and its divergence."""
    model = np.maximum(loading.T @ factor, tiny)
    ratio = values / model
    # v (d - log(1 + d)) with d = m / v - 1: near a perfect fit v log(v / m) - v + m would be its own rounding.
    excess = np.divide(model - values, values, out=np.zeros_like(values), where=values > 0)
    excess = np.maximum(excess, _LEAST_EXCESS)
    terms = np.where(values > 0, values * (excess - np.log1p(excess)), model)
    return ratio * weight, float(np.sum(terms * weight, dtype=np.float64))
