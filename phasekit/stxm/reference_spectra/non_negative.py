"""Non-negative least squares of many spectra at once, exact, with free background terms."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: up to this many references every set of active ones is tried (2**6 batched solves); beyond, pixel by pixel
_MAX_ENUMERATED = 6


class _NonNegativeFit(NamedTuple):
    """Coefficients (n, term), weighted sum of squared residuals (n,) and covariance of the unconstrained fit."""

    coefficient: Array
    chi_square: Array
    covariance: Array


def solve_non_negative(design: Array, spectra: Array, weights: Array, n_bounded: int) -> _NonNegativeFit:
    """Minimise sum_e w (x - sum_i c_i A_i)^2, c_i >= 0 for the first ``n_bounded`` rows of ``design`` (term, energy).

    The minimum of a convex quadratic over c >= 0 is the plain least-squares solution on one set of active terms, and
    among the sets whose solution is non-negative it is the one with the least residual: so all sets are tried, each
    for all ``spectra`` (n, energy) together. ``weights`` (n, energy) are inverse variances.
    """
    scale = np.sqrt((design**2).sum(axis=1))
    scale[scale == 0] = 1.0
    rows = design / scale[:, None]
    n_terms = len(rows)
    products = (rows[:, None] * rows[None]).reshape(n_terms**2, -1)
    normal = (weights @ products.T).reshape(-1, n_terms, n_terms)
    right = (weights * spectra) @ rows.T
    power = (weights * spectra**2).sum(axis=1)
    solve = solve_by_enumeration if n_bounded <= _MAX_ENUMERATED else solve_one_by_one
    coefficient = solve(normal, right, n_bounded)
    chi_square = power - 2 * (coefficient * right).sum(1) + np.einsum("ni,nij,nj->n", coefficient, normal, coefficient)
    covariance = np.linalg.pinv(_add_ridge(normal), hermitian=True) / (scale[:, None] * scale)
    return _NonNegativeFit(coefficient / scale, np.maximum(chi_square, 0.0), covariance)


def _add_ridge(normal: Array) -> Array:
    """Normal matrices with a hair of ridge, so that parallel references or zero weights do not stop the solve."""
    trace = np.trace(normal, axis1=1, axis2=2)
    ridge = 1e-12 * np.where(trace > 0, trace, 1.0)
    return normal + ridge[:, None, None] * np.eye(normal.shape[-1])


def solve_by_enumeration(normal: Array, right: Array, n_bounded: int) -> Array:
    """Coefficients (spectrum, term) of the best of all active sets; exact, for few bounded terms."""
    n, n_terms = right.shape
    best = np.full(n, -np.inf)
    coefficient = np.zeros((n, n_terms))
    steady = _add_ridge(normal)
    free = tuple(range(n_bounded, n_terms))
    for count in range(n_bounded + 1):
        for active in combinations(range(n_bounded), count):
            index = np.array(active + free, dtype=np.intp)
            if index.size == 0:
                best = np.maximum(best, 0.0)
                continue
            found = np.linalg.solve(steady[:, index[:, None], index], right[:, index, None])[..., 0]
            gain = (found * right[:, index]).sum(axis=1)
            better = (found[:, :count] >= 0).all(axis=1) & (gain > best)
            best[better] = gain[better]
            coefficient[better] = 0.0
            coefficient[np.ix_(better, index)] = found[better]
    return coefficient


def solve_one_by_one(normal: Array, right: Array, n_bounded: int) -> Array:
    """Lawson-Hanson per spectrum on the Cholesky factor; a free term is the difference of two bounded ones."""
    from scipy.optimize import nnls

    n_terms = right.shape[1]
    out = np.zeros_like(right)
    for index, matrix in enumerate(_add_ridge(normal)):
        factor = np.linalg.cholesky(matrix).T
        target = np.linalg.solve(factor.T, right[index])
        found = nnls(np.hstack([factor, -factor[:, n_bounded:]]), target)[0]
        out[index] = found[:n_terms]
        out[index, n_bounded:] -= found[n_terms:]
    return out
