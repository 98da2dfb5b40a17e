"""Exact non-negative least squares of many spectra at once, with free background terms."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: up to this many references every set of active ones is tried (2**6 batched solves); beyond, pixel by pixel
_MAX_ENUMERATED = 6


class _NonNegativeFit(NamedTuple):
    """Coefficients (n, term), chi-square (n,) and covariance (n, term, term) of the fit without bounds."""

    coefficient: Array
    chi_square: Array
    covariance: Array


def solve_non_negative(
    design: Array, spectra: Array, weights: Array, n_bounded: int, *, covariance: bool = True
) -> _NonNegativeFit:
    r"""Solve the weighted least squares of all spectra with bounds on the first ``n_bounded`` coefficients.

    Minimised is, for every spectrum x,

    .. math:: \chi^2 = \sum_e w_e \Big(x_e - \sum_i c_i A_{ie}\Big)^2, \quad c_i \ge 0 \text{ for } i < n.

    The minimum of a convex quadratic under these bounds is a plain least-squares solution on one set of active terms.
    Among the sets with a non-negative solution it is the one with the smallest residual. So all sets are tried, each
    for all spectra together.

    Parameters
    ----------
    design
        Rows A of the model (term, energy).
    spectra, weights
        Spectra and inverse variances (n, energy). A spectrum that is NaN at some energies is fitted with the others.
    n_bounded
        Number of leading terms with a lower bound of 0.
    covariance
        Whether to compute the covariance; zeros otherwise. It takes longer than the fit.
    """
    spectra, weights = exclude_missing(spectra, weights)
    # Terms are scaled to unit length: references in 1/um and a constant differ by orders of magnitude.
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
    spread = np.zeros_like(normal)
    if covariance:
        # A pixel without weights has a singular normal matrix, for which the pseudo-inverse is defined.
        spread = np.linalg.pinv(_add_ridge(normal), hermitian=True) / (scale[:, None] * scale)
    return _NonNegativeFit(coefficient / scale, np.maximum(chi_square, 0.0), spread)


def exclude_missing(spectra: Array, weights: Array) -> tuple[Array, Array]:
    """Spectra and weights (n, energy), both 0 where either is not finite; as they are where nothing is missing."""
    known = np.isfinite(spectra) & np.isfinite(weights)
    # The usual case is not copied.
    return (spectra, weights) if known.all() else (np.where(known, spectra, 0.0), np.where(known, weights, 0.0))


def _add_ridge(normal: Array) -> Array:
    """Add a relative ridge of 1e-12 to normal matrices, so that parallel references or zero weights can be solved."""
    trace = np.trace(normal, axis1=1, axis2=2)
    ridge = 1e-12 * np.where(trace > 0, trace, 1.0)
    return normal + ridge[:, None, None] * np.eye(normal.shape[-1])


def solve_by_enumeration(normal: Array, right: Array, n_bounded: int) -> Array:
    """Solve for the coefficients (spectrum, term) on every active set and keep the best; exact."""
    n, n_terms = right.shape
    best = np.full(n, -np.inf)
    coefficient = np.zeros((n, n_terms))
    steady = _add_ridge(normal)
    free = tuple(range(n_bounded, n_terms))
    active_sets = [one for count in range(n_bounded + 1) for one in combinations(range(n_bounded), count)]
    for active in active_sets:
        index = np.array(active + free, dtype=np.intp)
        if index.size == 0:
            # Without any active term all coefficients are 0 and the gain is 0.
            best = np.maximum(best, 0.0)
            continue
        found = np.linalg.solve(steady[:, index[:, None], index], right[:, index, None])[..., 0]
        # By the normal equations chi-square falls by this product, so the largest gain is the smallest residual.
        gain = (found * right[:, index]).sum(axis=1)
        better = (found[:, : len(active)] >= 0).all(axis=1) & (gain > best)
        best[better] = gain[better]
        coefficient[better] = 0.0
        coefficient[np.ix_(better, index)] = found[better]
    return coefficient


def solve_one_by_one(normal: Array, right: Array, n_bounded: int) -> Array:
    """Solve each spectrum by the algorithm of Lawson and Hanson on the Cholesky factor.

    A free term is the difference of two bounded ones. Used for more than six bounded terms, where the sets are too
    many.
    """
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
