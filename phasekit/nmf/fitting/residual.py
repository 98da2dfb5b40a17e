r"""The squared error of a fit, and how nearly the shortcut to it is known.

The passes of a fit take the error from products at hand, :math:`\lVert V\rVert^2 - 2\langle L^T V, F\rangle + \langle
L^T L, F F^T\rangle`. All three terms are as large as the data. Each element of :math:`L^T V` is a sum over n scan
points in single precision of unit roundoff u. A matrix product adds them in pieces of some b = 256, and then the
pieces. The roundings of a sum are independent (Higham and Mary, SIAM J. Sci. Comput. 41 (2019) A2815). In data whose
features are alike, all elements have the same rounding. The relative error is then uncertain by

.. math::

    \delta = 2 u \left(\sqrt{\min(n, b)} + \sqrt{n / b}\right).

A larger error needs no more. A smaller one is summed over the residuals themselves, which does not cancel.
"""

import numpy as np

from .arrays import compute_dot, get_namespace
from .blocks import RowSource
from .hals import Array, Fit

_EPSILON = float(np.finfo(np.float32).eps)  # 2 u
_PIECE = 256  # terms that a matrix product adds before it begins a new sum
_ROWS = 256  # scan points whose residual is formed at a time
_CERTAIN = 100.0  # an error so many times its rounding is known within 1 %


def estimate_rounding(n_points: int) -> float:
    r"""Uncertainty :math:`\delta` of a relative error that is taken from products, for sums over ``n_points``."""
    return _EPSILON * float(min(n_points, _PIECE) ** 0.5 + (n_points / _PIECE) ** 0.5)


def correct_small_errors(source: RowSource, fits: list[Fit]) -> list[Fit]:
    """The fits, with the errors that are not well above their rounding summed anew in one more pass over the rows."""
    limit = _CERTAIN * estimate_rounding(source.shape[0])
    small = [i for i, fit in enumerate(fits) if fit.error < limit]
    errors = compute_squared_errors(source, [fits[i] for i in small]) if small else []
    exact = dict(zip(small, errors, strict=True))
    return [fit._replace(error=exact.get(i, fit.error)) for i, fit in enumerate(fits)]


def compute_squared_errors(source: RowSource, fits: list[Fit]) -> list[float]:
    r""":math:`\lVert V - L F\rVert^2 / \lVert V\rVert^2` of every fit over what was measured, from the residuals."""
    residuals, total = [0.0] * len(fits), 0.0
    for rows, block in source.read_blocks():
        # Some rows at a time: blocks from a file are large, and their model is as large again.
        for first in range(rows.start, rows.stop, _ROWS):
            here = slice(first, min(first + _ROWS, rows.stop))
            values = block[here.start - rows.start : here.stop - rows.start]
            xp = get_namespace(values)
            missing, zeros = xp.isnan(values), xp.zeros_like(values)
            total += _sum_squares(xp.where(missing, zeros, values))
            for i, fit in enumerate(fits):
                residuals[i] += _sum_squares(xp.where(missing, zeros, values - fit.loading[:, here].T @ fit.factor))
    return [residual / max(total, 1e-300) for residual in residuals]


def _sum_squares(values: Array) -> float:
    """Sum of the squares in double precision."""
    return compute_dot(values, values)
