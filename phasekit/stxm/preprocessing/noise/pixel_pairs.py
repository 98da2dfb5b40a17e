"""Differences between pairs of pixels of a stack of frames, and their mean squares by block of the image."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..count_statistics import fill_lost_pixels

Array = NDArray[np.floating]
Index = NDArray[np.intp]
#: steps in y and x between pixels whose noise is taken as independent: cubic splines and a width of 1 px end before
_LAG = 3
#: share of the pairs that is used, those in the flattest places, and the number that is used of a small field
_FLAT, _LEAST = 0.1, 250


class Field(NamedTuple):
    """Weighted logarithm of the counts (energy, pixel), its noise variance in gains (energy, pixel), squared weight.

    ``shape`` is that of a frame (y, x). ``measured`` (pixel,) marks the pixels measured at every energy. ``image``
    (energy, pixel) is the smoothed logarithm of the counts in units of the mean noise. ``steepness`` (pixel,) is
    its root mean square gradient [1/px].
    """

    log_counts: Array
    unit: Array
    weight: Array
    shape: tuple[int, int]
    measured: NDArray[np.bool_]
    image: Array
    steepness: Array


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
    n, ny, nx = frames.shape
    lost = ~np.isfinite(frames).all(axis=0) | _mark_rim((ny, nx))
    full = np.stack([np.asarray(fill_lost_pixels(frame), dtype=np.float64) for frame in frames])
    # About 50 pixels contribute, so the smoothed counts add 2 % of noise of their own.
    smooth = np.stack([ndimage.gaussian_filter(frame, 2.0) for frame in full])
    level = smooth.mean(axis=(1, 2), keepdims=True)
    lost |= (smooth < 1e-3 * level).any(axis=0)
    smooth = np.maximum(smooth, 1e-3 * level)
    logarithm = np.log(smooth)
    z = logarithm + (full - smooth) / smooth
    # Without the mean spectrum, one component less is needed.
    z -= z[:, ~lost].mean(axis=1)[:, None, None] if not lost.all() else 0.0
    # A factor by pixel keeps the number of components, and makes the noise of thick and thin pixels alike.
    weight = (smooth / level).mean(axis=0)
    # Bright and dark places are compared by the noise that they have. Every energy counts: a boundary between two
    # phases may not show in the mean over energies.
    root = np.sqrt(smooth.mean(axis=0))
    slopes = [np.gradient(logarithm, axis=axis) ** 2 for axis in (1, 2) if logarithm.shape[axis] > 1]
    steepness = root * np.sqrt(np.sum(slopes, axis=0).mean(axis=0)) if slopes else np.zeros((ny, nx))
    z *= np.sqrt(weight)
    return Field(
        z.reshape(n, -1),
        (weight / smooth).reshape(n, -1),
        weight.ravel(),
        (ny, nx),
        ~lost.ravel(),
        (logarithm * root.mean()).reshape(n, -1),
        steepness.ravel(),
    )


def _mark_rim(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the outermost two pixels, which hold copies after an alignment; none in a small field."""
    rim = np.ones(shape, dtype=bool)
    # At 16 pixels the rim is already half of the field.
    rim[2:-2, 2:-2] = False
    return rim & (min(shape) > 16)


def label_blocks(field: Field) -> tuple[Index, NDArray[np.bool_]]:
    """Label each pixel (pixel,) with its block, and whether that is odd as on a chess board.

    There are about 64 blocks, or more of 8 x 8 pixels.
    """
    ny, nx = field.shape
    size = int(np.clip(np.sqrt(ny * nx / 64), 2, 8))
    row, column = np.arange(ny)[:, None] // size, np.arange(nx) // size
    return (row * (column[-1] + 1) + column).ravel(), ((row + column) % 2 == 1).ravel()


def pair_pixels(field: Field, steps: tuple[tuple[int, int], ...]) -> Pairs:
    """Pair all measured pixels that lie the given steps (y, x) apart."""
    ny, nx = field.shape
    place = np.arange(ny * nx).reshape(ny, nx)
    first, second = [], []
    for dy, dx in steps:
        # Negative steps in x start at the right border.
        a = place[: ny - dy, max(-dx, 0) : nx - max(dx, 0)].ravel()
        b = place[dy:, max(dx, 0) : nx - max(-dx, 0)].ravel()
        both = field.measured[a] & field.measured[b]
        first.append(a[both])
        second.append(b[both])
    one, other = np.concatenate(first), np.concatenate(second)
    block, odd = label_blocks(field)
    return Pairs(one, other, block[one], odd[one])


def pair_distant_pixels(field: Field) -> Pairs:
    """Pair pixels whose noise is independent: ``_LAG`` steps apart in y and in x, less in a small field."""
    lag = max(min(_LAG, min(field.shape) // 3), 1)
    # Diagonal pairs: fluctuations of the beam correlate a whole scan line, but not lines apart.
    return pair_pixels(field, ((lag, lag), (lag, -lag)))


def select_flat_pairs(field: Field, pairs: Pairs) -> Pairs:
    """Select the pairs in the flattest places: both ends are flat, and alike."""
    if pairs.first.size == 0:
        return pairs
    rows = np.abs(pairs.first // field.shape[1] - pairs.second // field.shape[1])
    change = field.image[:, pairs.first] - field.image[:, pairs.second]
    slope = np.sqrt((change**2).mean(axis=0)) / np.maximum(rows, 1)
    steepest = np.maximum(slope, np.maximum(field.steepness[pairs.first], field.steepness[pairs.second]))
    # Small fields hold few pairs, and need those of less flat places too.
    share = min(max(_FLAT, _LEAST / steepest.size), 0.4)
    use = steepest <= np.quantile(steepest, share)
    return Pairs(*(part[use] for part in pairs))


def compute_block_ratio(square: Array, unit: Array, block: Index, freedom: float = 1.0) -> Estimate:
    """Compute the ratio of two sums (row, pair) in each block; return the median over the blocks for each row.

    A hot pixel or an edge spoils its block alone. Within a block the mean is used, which unlike a median has no bias
    for Poisson counts. ``freedom`` is the number of independent squares in each value.
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
    value = middle / (1 - 2 / (9 * max(freedom * float(np.median(n[good])) / 2, 1.0))) ** 3
    spread = 1.4826 * np.median(np.abs(ratio - middle[:, None]), axis=1)
    # Few blocks agree by chance: the error is at least that of the pairs.
    least = value * np.sqrt(2.0 / (freedom * n[good].sum()))
    return Estimate(value, np.maximum(1.2533 * spread / np.sqrt(good.sum()), least))
