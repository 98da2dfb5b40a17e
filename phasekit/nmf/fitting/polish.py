"""Refinement on the data themselves: above the true k the compressed data alone lose up to 0.4 % of the error.

One pass over the rows serves any number of fits at once. For every block the loadings follow from the factors. The sum
that the next factors need (L^T V) is added up on the way. Each row is read once per iteration, wherever it is stored.
The products of all fits are one matrix product.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from .arrays import compute_dot, compute_gram, get_namespace, make_contiguous, to_single
from .blocks import RowSource
from .hals import N_INNER, Array, Fit, balance_norms, compute_error_decrease, compute_relative_error, sweep_rows
from .penalties import NO_PENALTIES, Penalties
from .residual import correct_small_errors, estimate_rounding

#: Of |V|^2: half the rounding of one number in single precision. A pass that gains less gains nothing that is known.
_ROUNDING = float(np.finfo(np.float32).eps) / 4


def refine_fits(
    source: RowSource,
    fits: list[Fit],
    *,
    max_iterations: int,
    tolerance: float,
    penalties: Penalties = NO_PENALTIES,
    in_place: bool = False,
    norm2: float | None = None,
    tick: Callable[[int], None] | None = None,
) -> list[Fit]:
    r"""Iterate all fits until a pass lowers each one's error by less than ``tolerance`` of itself.

    The error is the exact :math:`\lVert V - L F\rVert^2`. The decrease of a pass is the sum over its steps
    (:func:`compute_error_decrease`). Missing values (NaN) are filled with the fit's own prediction
    (expectation-maximisation), so that they add nothing. A fit that has converged is left alone. ``in_place``
    overwrites the arrays of ``fits`` instead of copying them. ``norm2`` is |V|^2 where it is known and nothing missing.
    """
    running = [_FitInProgress(fit if in_place else _copy_fit(fit), penalties) for fit in fits]
    for iteration in range(1, max_iterations + 1):
        _run_pass(source, [fit for fit in running if not fit.converged], tolerance, norm2)
        if tick is not None:
            tick(iteration)
        if all(fit.converged for fit in running):
            break
    return correct_small_errors(source, [fit.make_fit() for fit in running])


def _copy_fit(fit: Fit) -> Fit:
    """A fit with arrays of its own."""
    return fit._replace(loading=fit.loading + 0, factor=fit.factor + 0)


class _FitInProgress:
    """One fit between passes: its state, and the sums of the present pass."""

    def __init__(self, fit: Fit, penalties: Penalties) -> None:
        self.loading, self.factor = fit.loading, fit.factor
        self.penalties, self.iterations = penalties, fit.iterations
        self.error, self.optimality, self.converged = np.inf, np.inf, False

    def begin_pass(self) -> None:
        """Balance the two sides and set the sums of a pass to zero."""
        balance = self.penalties.normalise_factors if self.penalties.is_active else balance_norms
        balance(self.loading, self.factor)
        self.factor_gram = self.factor @ self.factor.T
        self.target = self.penalties.compute_loading_target(self.loading)
        self.filled: Array | None = None  # L^T V of rows with holes
        self.squares = compute_gram(self.factor[:, :0])  # L^T L
        self.norm2 = self.seen = 0.0  # of the data as this fit fills them, and of what was measured
        self.gain = 0.0  # by how much |V - L F|^2 fell in this pass

    def update_loading(self, rows: slice, projected: Array) -> Array:
        """New loadings (k, rows) from F V^T of these rows."""
        product, squares = self.penalties.add_to_loading_step(projected, self.factor_gram, self.target[:, rows])
        before = self.loading[:, rows]
        # A contiguous copy: ``before`` is still needed for the decrease of the error.
        after = make_contiguous(before + 0)
        sweep_rows(after, make_contiguous(product), squares, N_INNER)
        self.gain += compute_error_decrease(before, after, product, squares)
        self.loading[:, rows] = after
        self.squares += compute_gram(after)
        return after

    def update_factor(self, product: Array, tolerance: float) -> None:
        """New factors from L^T V, the error of the new pair, and whether it still falls.

        ``optimality`` is the norm of the projected gradient over that of L^T V. Where F is 0, only a slope that would
        raise F counts.
        """
        if self.filled is not None:
            product += self.filled
        squares = self.penalties.add_to_factor_gram(to_single(self.squares))
        # Projected gradient: at zero only a slope that would raise the factor counts.
        slope = to_single(self.squares) @ self.factor - product
        slope = get_namespace(slope).where(self.factor > 0, slope, slope.clip(max=0))
        self.optimality = (compute_dot(slope, slope) / max(compute_dot(product, product), 1e-300)) ** 0.5
        before = self.factor + 0
        sweep_rows(self.factor, product, squares, N_INNER)
        self.gain += compute_error_decrease(before, self.factor, product, squares)
        previous_error = self.error
        self.error = compute_relative_error(self.norm2, product, self.squares, self.factor) * self.norm2 / self.seen
        # With penalties the two sides lower different costs, and a pass gains something of each for ever.
        gain, rounding = self.gain / self.seen, _ROUNDING
        if self.penalties.is_active:  # a difference of two errors, of which each has its own rounding
            gain, rounding = abs(previous_error - self.error), estimate_rounding(self.loading.shape[1])
        self.converged = gain < max(tolerance * self.error, rounding)
        self.iterations += 1

    def make_fit(self) -> Fit:
        """The fit as it stands."""
        return Fit(self.loading, self.factor, self.error, self.iterations, self.converged, self.optimality)


def _run_pass(source: RowSource, running: list[_FitInProgress], tolerance: float, known_norm2: float | None) -> None:
    """Read every row once: new loadings block by block, then new factors."""
    for fit in running:
        fit.begin_pass()
    xp = get_namespace(running[0].factor)
    # The factors of all fits are stacked, so that one matrix product per block serves them all.
    stacked = xp.concatenate([fit.factor for fit in running])
    ends = np.cumsum([0, *(len(fit.factor) for fit in running)])
    product = xp.zeros_like(stacked)
    for rows, block in source.read_blocks():
        norm2 = compute_dot(block, block) if known_norm2 is None else known_norm2 * len(block) / source.shape[0]
        if np.isnan(norm2):
            _update_with_holes(running, rows, block)
            continue
        projected = stacked @ block.T
        new_loadings = [
            fit.update_loading(rows, projected[a:b]) for fit, (a, b) in zip(running, pairwise(ends), strict=True)
        ]
        product += xp.concatenate(new_loadings) @ block
        for fit in running:
            fit.norm2, fit.seen = fit.norm2 + norm2, fit.seen + norm2
    for fit, (a, b) in zip(running, pairwise(ends), strict=True):
        fit.update_factor(product[a:b], tolerance)


def _update_with_holes(running: list[_FitInProgress], rows: slice, block: Array) -> None:
    """Update every fit from a block with missing values, each filled with the fit's own prediction."""
    xp = get_namespace(block)
    missing = xp.isnan(block)
    measured = xp.where(missing, xp.zeros_like(block), block)
    for fit in running:
        filled = xp.where(missing, fit.loading[:, rows].T @ fit.factor, block)
        share = fit.update_loading(rows, fit.factor @ filled.T) @ filled
        fit.filled = share if fit.filled is None else fit.filled + share
        fit.norm2 += compute_dot(filled, filled)
        fit.seen += compute_dot(measured, measured)
