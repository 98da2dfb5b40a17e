r"""Noise of a stack of frames from what a low-rank fit leaves, between pixels that are far apart.

Interpolation, smoothing and slow beam fluctuations correlate the noise of near pixels, never that of different
energies. The kernels here therefore use two properties of noise: no covariance between energies, and none between
pixels some steps apart in both scan directions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from .count_statistics import fill_lost_pixels

Array = NDArray[np.floating]
Index = NDArray[np.intp]
#: steps in y and x between pixels whose noise is taken as independent: cubic splines and a width of 1.2 px end before
_LAG = 4
#: standard errors by which a component must exceed zero on pixels that were not used to find it
_SIGNIFICANCE = 3.0


class Field(NamedTuple):
    """Logarithm of the counts (energy, pixel), noise variance in gains (energy, pixel), shape (y, x), flat (y, x)."""

    log_counts: Array
    unit: Array
    shape: tuple[int, int]
    flat: NDArray[np.bool_]


class Pairs(NamedTuple):
    """Pairs of pixels (pair,), the block of the image in which each lies, and whether that block is even or odd."""

    first: Index
    second: Index
    block: Index
    odd: NDArray[np.bool_]


class Estimate(NamedTuple):
    """An estimate with its standard error, by row."""

    value: Array
    error: Array


def linearise_logarithm(frames: Array) -> Field:
    r"""Linearise the logarithm of counts (energy, y, x) around smoothed counts :math:`\mu`.

    .. math:: z = \ln \mu + (I - \mu) / \mu.

    In the logarithm a mixture of absorbers has as many components as absorbers. Unlike the logarithm itself, z has no
    bias at few counts, and zero counts are allowed. Its variance is :math:`g / \mu` for the gain g.
    """
    lost = ~np.isfinite(frames).all(axis=0)
    full = np.stack([np.asarray(fill_lost_pixels(frame), dtype=np.float64) for frame in frames])
    # About 50 pixels contribute, so the smoothed counts add 2 % of noise of their own.
    smooth = np.stack([ndimage.gaussian_filter(frame, 2.0) for frame in full])
    level = smooth.mean(axis=(1, 2), keepdims=True)
    lost |= (smooth < 1e-3 * level).any(axis=0)
    smooth = np.maximum(smooth, 1e-3 * level)
    flat = _select_flat_pixels(smooth, lost)
    z = np.log(smooth) + (full - smooth) / smooth
    # Without the mean spectrum, one component less is needed.
    z -= z[:, flat].mean(axis=1)[:, None, None]
    # A factor by pixel keeps the number of components, and makes the noise of thick and thin pixels alike.
    weight = (smooth / level).mean(axis=0)
    shape = (int(frames.shape[1]), int(frames.shape[2]))
    n = len(frames)
    return Field((z * np.sqrt(weight)).reshape(n, -1), (weight / smooth).reshape(n, -1), shape, flat)


def _select_flat_pixels(smooth: Array, lost: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Select the flatter half of the measured pixels, with the steepness in units of the noise."""
    image = np.log(smooth).mean(axis=0)
    steep = sum(np.abs(np.gradient(image, axis=axis)) for axis in (0, 1) if image.shape[axis] > 1)
    steep = np.broadcast_to(steep * np.sqrt(smooth.mean(axis=0)), image.shape)
    return ~lost & (steep <= np.quantile(steep[~lost], 0.5)) if not lost.all() else ~lost


def pair_pixels(field: Field, steps: tuple[tuple[int, int], ...]) -> Pairs:
    """Pair flat pixels that lie the given steps (y, x) apart; blocks are at most 8 pixels wide."""
    ny, nx = field.shape
    size = int(np.clip(min(ny, nx) // 4, 2, 8))
    row, column = np.arange(ny) // size, np.arange(nx) // size
    block = row[:, None] * (column[-1] + 1) + column
    odd = (row[:, None] + column) % 2 == 1
    place = np.arange(ny * nx).reshape(ny, nx)
    first, second = [], []
    for dy, dx in steps:
        # Negative steps in x start at the right border.
        a = place[: ny - dy, max(-dx, 0) : nx - max(dx, 0)].ravel()
        b = place[dy:, max(dx, 0) : nx - max(-dx, 0)].ravel()
        both = field.flat.ravel()[a] & field.flat.ravel()[b]
        first.append(a[both])
        second.append(b[both])
    one, other = np.concatenate(first), np.concatenate(second)
    return Pairs(one, other, block.ravel()[one], odd.ravel()[one])


def pair_distant_pixels(field: Field) -> Pairs:
    """Pair pixels whose noise is independent: ``_LAG`` steps apart in y and in x, less in a small field."""
    lag = max(min(_LAG, min(field.shape) // 3), 1)
    # Diagonal pairs: fluctuations of the beam correlate a whole scan line, but not lines apart.
    return pair_pixels(field, ((lag, lag), (lag, -lag)))


def compute_block_ratio(square: Array, unit: Array, block: Index) -> Estimate:
    """Compute the ratio of two sums (row, pair) in each block; return the median over the blocks for each row.

    A hot pixel or an edge spoils its block alone. Within a block the mean is used, which unlike a median has no bias
    for Poisson counts.
    """
    n = np.bincount(block)
    # A block with few pairs would be far from the mean of the others.
    good = n >= max(4.0, 0.25 * float(np.median(n[n > 0])) if n.any() else 4.0)
    if not good.any():
        return Estimate(np.full(len(square), np.nan), np.full(len(square), np.inf))
    ratio = np.stack(
        [
            np.bincount(block, top)[good] / np.bincount(block, bottom)[good]
            for top, bottom in zip(square, unit, strict=True)
        ]
    )
    middle = np.median(ratio, axis=1)
    # The median of chi-square over its mean (Wilson and Hilferty); two pairs share a pixel.
    freedom = max(float(np.median(n[good])) / 2, 1.0)
    value = middle / (1 - 2 / (9 * freedom)) ** 3
    spread = 1.4826 * np.median(np.abs(ratio - middle[:, None]), axis=1)
    # Few blocks agree by chance: the error is at least that of the pairs.
    least = value * np.sqrt(2.0 / n[good].sum())
    return Estimate(value, np.maximum(1.2533 * spread / np.sqrt(good.sum()), least))


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
    distant, near = pair_distant_pixels(field), pair_pixels(field, ((1, 0), (0, 1)))
    gains = start
    for _ in range(4):
        # Each round scales the energies to equal noise, which is what the eigenvectors assume.
        scale = gains * field.unit[:, field.flat.ravel()].mean(axis=1)
        far, close = (_scale_differences(field, pairs, gains, scale) for pairs in (distant, near))
        # The components of the even blocks serve the odd ones.
        bases = (_find_components(far, odd=True), _find_components(far, odd=False))
        n_components = _choose_n_components(far, bases)
        result = _solve_gains(far, close, [basis[:, :n_components] for basis in bases], gains)
        # A variance is not negative, though its estimate may be.
        gains = np.maximum(result.gains.value, 1e-2 * result.mean.value)
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
    middle = np.median(excess, axis=1)
    error = 1.2533 * 1.4826 * np.median(np.abs(excess - middle[:, None]), axis=1) / np.sqrt(excess.shape[1])
    # Few blocks give a poor error, for which Student's distribution stands.
    significant = middle > float(stats.t.isf(stats.norm.sf(_SIGNIFICANCE), excess.shape[1] - 1)) * error
    return int(np.argmin(np.append(significant, False)))


def _solve_gains(far: _Differences, close: _Differences, bases: list[Array], gains: Array) -> LowRankResidual:
    """Correct the gains for which the residuals were expected."""
    projectors = [np.eye(len(gains)) - basis @ basis.T for basis in bases]
    square, unit, block = _project_differences(far, projectors)
    near_square, near_unit, near_block = _project_differences(close, projectors)
    total = compute_block_ratio(square.sum(axis=0)[None], unit.sum(axis=0)[None], block)
    near = compute_block_ratio(near_square.sum(axis=0)[None], near_unit.sum(axis=0)[None], near_block)
    factor, error = float(total.value[0]), float(total.error[0])
    ratio = float(near.value[0]) / factor
    spread = abs(ratio) * np.hypot(error / factor, float(near.error[0] / near.value[0]))
    weights = projectors[0] ** 2 + projectors[1] ** 2
    weights = weights / weights.sum(axis=1, keepdims=True)
    own = _solve_with_common_value(weights, compute_block_ratio(square, unit, block), factor)
    found = Estimate(gains * own.value, gains * np.hypot(own.error, error))
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


def _project_differences(pairs: _Differences, projectors: list[Array]) -> tuple[Array, Array, Index]:
    """Compute the squared residuals (energy, pair) of both halves, their expectation, and the blocks."""
    squares, units, blocks = [], [], []
    for odd, projector in zip((False, True), projectors, strict=True):
        use = pairs.odd == odd
        squares.append((projector @ pairs.value[:, use]) ** 2)
        units.append(projector**2 @ pairs.unit[:, use])
        blocks.append(pairs.block[use])
    return np.concatenate(squares, axis=1), np.concatenate(units, axis=1), np.concatenate(blocks)
