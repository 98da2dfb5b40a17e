"""Noise of a stack of frames from what a low-rank fit leaves, between pixels that are far apart.

Interpolation, smoothing and slow beam fluctuations correlate the noise of near pixels, never that of different
energies. The kernels here therefore use two properties of noise: no covariance between energies, and none between
pixels some steps apart in both scan directions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .pixel_pairs import (
    Estimate,
    Field,
    Pairs,
    compute_block_ratio,
    pair_distant_pixels,
    pair_pixels,
    select_flat_pairs,
)

Array = NDArray[np.floating]
Index = NDArray[np.intp]
#: error probability with which a component may be taken for signal, that of 3 standard errors
_LEVEL = float(stats.norm.sf(3.0))


class LowRankResidual(NamedTuple):
    """Noise of the residual of a low-rank fit.

    ``gains``: by energy; ``mean``: the mean gain; ``correlation``: of the noise of adjacent pixels; ``n_components``:
    those that were removed.
    """

    gains: Estimate
    mean: Estimate
    correlation: Estimate
    n_components: int


def fit_low_rank(field: Field, start: Array) -> LowRankResidual:
    r"""Estimate gains by energy from what the significant components leave, with the degrees of freedom corrected.

    Components are eigenvectors u of the covariance of differences between distant pixels. They are found on one half
    of the blocks and removed on the other, so that no noise is fitted. With the projector
    :math:`A = 1 - \sum u u^T` and the gains g, the mean square of the residual at energy e is

    .. math:: \langle r_e^2 \rangle = \sum_f A_{ef}^2 \, g_f \langle 1 / \mu_f \rangle.

    This linear system is solved for g under a prior: the gains scatter around a common multiple of ``start`` (energy,),
    with a standard deviation that is fitted too. So a gain that the residuals do not determine is the common one.
    """
    distant = select_flat_pairs(field, pair_distant_pixels(field))
    near = select_flat_pairs(field, pair_pixels(field, ((1, 0), (0, 1))))
    gains = start
    for _ in range(4):
        # Each round scales the energies to equal noise, which is what the eigenvectors assume.
        scale = gains * field.unit[:, field.measured].mean(axis=1)
        far, close = (_scale_differences(field, pairs, gains, scale) for pairs in (distant, near))
        # The components of the even blocks serve the odd ones.
        bases = (_find_components(far, odd=True), _find_components(far, odd=False))
        n_components = _choose_n_components(far, bases)
        result = _solve_gains(far, close, [basis[:, :n_components] for basis in bases], gains)
        gains = result.gains.value
    return result


class _Differences(NamedTuple):
    """Differences of pairs (energy, pair) over root 2, scaled to unit noise; their expected squares; their blocks."""

    value: Array
    unit: Array
    block: Index
    odd: NDArray[np.bool_]


def _scale_differences(field: Field, pairs: Pairs, gains: Array, scale: Array) -> _Differences:
    """Compute the differences of all pairs, scaled by the expected noise of each energy."""
    value = (field.log_counts[:, pairs.first] - field.log_counts[:, pairs.second]) / np.sqrt(2 * scale)[:, None]
    unit = (field.unit[:, pairs.first] + field.unit[:, pairs.second]) * (gains / scale / 2)[:, None]
    return _Differences(value, unit, pairs.block, pairs.odd)


def _find_components(pairs: _Differences, odd: bool) -> Array:
    """Find the eigenvectors (energy, component) of the covariance in one half of the blocks, strongest first."""
    chosen = pairs.value[:, pairs.odd == odd]
    return np.asarray(np.linalg.eigh(chosen @ chosen.T)[1][:, ::-1])


def _choose_n_components(pairs: _Differences, bases: tuple[Array, Array]) -> int:
    """Count the leading components whose square exceeds the mean of those behind them, on blocks not used for them."""
    excesses = []
    for odd, basis in zip((False, True), bases, strict=True):
        use = pairs.odd == odd
        n = np.bincount(pairs.block[use])
        good = n >= max(4.0, 0.25 * float(np.median(n[n > 0]))) if n.any() else n > 0
        square, unit = (basis.T @ pairs.value[:, use]) ** 2, (basis.T**2) @ pairs.unit[:, use]
        own, expected = (np.stack([np.bincount(pairs.block[use], row)[good] for row in one]) for one in (square, unit))
        # Sums over the components behind each one.
        behind = [np.cumsum(one[::-1], axis=0)[::-1][1:] for one in (own, expected)]
        excesses.append(own[:-1] / expected[:-1] - behind[0] / behind[1])
    excess = np.concatenate(excesses, axis=1)
    if excess.shape[1] < 2:
        return 0
    # A sign test: the excess of a signal differs from block to block far more than that of noise. The square of noise
    # is below its mean in more than half of the blocks.
    significant = (excess > 0).sum(axis=1) > stats.binom.isf(_LEVEL, excess.shape[1], 0.5)
    return int(np.argmin(np.append(significant, False)))


def _solve_gains(far: _Differences, close: _Differences, bases: list[Array], gains: Array) -> LowRankResidual:
    """Correct the gains for which the residuals were expected."""
    projectors = [np.eye(len(gains)) - basis @ basis.T for basis in bases]
    square, unit, block = _project_differences(far, projectors)
    near_square, near_unit, near_block = _project_differences(close, projectors)
    n_left = float(len(gains) - bases[0].shape[1])
    total = compute_block_ratio(square.sum(axis=0)[None], unit.sum(axis=0)[None], block, n_left)
    near = compute_block_ratio(near_square.sum(axis=0)[None], near_unit.sum(axis=0)[None], near_block, n_left)
    factor, error = float(total.value[0]), float(total.error[0])
    ratio = float(near.value[0]) / factor
    spread = abs(ratio) * np.hypot(error / factor, float(near.error[0] / near.value[0]))
    weights = projectors[0] ** 2 + projectors[1] ** 2
    weights = weights / weights.sum(axis=1, keepdims=True)
    rows, size = compute_block_ratio(square, unit, block), unit.sum(axis=1)
    # The few squares of one energy in a block give its share, those of all energies the sum.
    share = factor * size.sum() / (rows.value @ size)
    own = _solve_with_common_value(weights, Estimate(rows.value * share, rows.error * share), factor)
    # A variance is not negative, though its estimate may be.
    found = Estimate(gains * np.maximum(own.value, 1e-2 * factor), gains * np.hypot(own.error, error))
    mean = Estimate(np.array([found.value.mean()]), np.array([gains.mean() * error]))
    correlation = Estimate(np.array([1 - ratio]), np.array([spread]))
    return LowRankResidual(found, mean, correlation, bases[0].shape[1])


def _solve_with_common_value(weights: Array, rows: Estimate, common: float) -> Estimate:
    """Solve weights @ x = rows for x that scatter around ``common``; the scatter is fitted by its likelihood."""
    precision = weights.T @ (weights / rows.error[:, None] ** 2)
    target = weights.T @ ((rows.value - weights @ np.full(len(weights), common)) / rows.error**2)
    variance = float(np.mean(rows.error**2)) + 0.1 * common**2
    # Expectation maximisation: the scatter is the mean square of the solution and of its error.
    for _ in range(100):
        covariance = np.linalg.inv(precision + np.eye(len(weights)) / variance)
        departure = covariance @ target
        variance = max(float(np.mean(departure**2 + np.diag(covariance))), 1e-12 * common**2)
    return Estimate(common + departure, np.sqrt(np.diag(covariance)))


class Residuals(NamedTuple):
    """Squared residuals of pairs (pair,) summed over energies, their expectation, and a further variance's."""

    square: Array
    expected: Array
    further: Array
    block: Index


def compute_residuals(
    field: Field, pairs: Pairs, fitted: NDArray[np.bool_], gains: Array, variance: Array
) -> Residuals:
    """Compute what is left of the pairs without the significant components of the ``fitted`` ones (pair,).

    ``variance`` (energy, pixel) is a further one, whose part in the residuals is computed too.
    """
    scale = gains * field.unit[:, field.measured].mean(axis=1)
    every = _scale_differences(field, pairs, gains, scale)
    chosen = _Differences(every.value[:, fitted], every.unit[:, fitted], every.block[fitted], every.odd[fitted])
    bases = (_find_components(chosen, odd=True), _find_components(chosen, odd=False))
    n_components = _choose_n_components(chosen, bases)
    projectors = [np.eye(len(gains)) - basis[:, :n_components] @ basis[:, :n_components].T for basis in bases]
    square, unit, block = _project_differences(every, projectors)
    added = 0.5 * (variance[:, pairs.first] + variance[:, pairs.second]) / scale[:, None]
    _, further, _ = _project_differences(every._replace(unit=added), projectors)
    return Residuals(square.sum(axis=0), unit.sum(axis=0), further.sum(axis=0), block)


def _project_differences(pairs: _Differences, projectors: Sequence[Array]) -> tuple[Array, Array, Index]:
    """Compute the squared residuals (energy, pair) of both halves, their expectation, and the blocks."""
    squares, units, blocks = [], [], []
    for odd, projector in zip((False, True), projectors, strict=True):
        use = pairs.odd == odd
        squares.append((projector @ pairs.value[:, use]) ** 2)
        units.append(projector**2 @ pairs.unit[:, use])
        blocks.append(pairs.block[use])
    return np.concatenate(squares, axis=1), np.concatenate(units, axis=1), np.concatenate(blocks)
