"""Detector pixels that do not count what arrives: hot, dead, whole rows and columns, and a beam stop's shadow.

All tests compare a pixel with its neighbours: in the mean pattern, in the variance over the scan, or by covariance.
Thresholds follow from Poisson noise and from the narrowest disk that must be kept.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .scan_images import ScanImages
from .values import CountRules

Image = NDArray[np.float64]
Flags = NDArray[np.bool_]
Edge = Literal["reflect", "symmetric"]  # symmetric repeats the edge pixel itself

#: Offsets (qy, qx) [px] of the eight neighbours.
SURROUNDING = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
_MAX_REGRESSION = 0.05  # covariance with the four pixels beside it over its variance; a disk 1.2 px wide reaches 0.1
_MAX_SIDE_SHARE = 0.012  # the same in the mean; there the disk reaches 0.03 in each of the four
_NARROWEST_DISK = 0.11  # regression that the narrowest disk reaches, wherever it lies between pixels
_ENOUGH_EXCESS = 1000.0  # electrons above the surroundings in the whole scan; with fewer, their noise matters
_MIN_EXPECTED = 30.0  # electrons expected in the whole scan, for too few of them to mean something


class Outliers(NamedTuple):
    """Where the detector is broken or covered, ``(qy, qx)`` each."""

    hot: Flags
    dead: Flags
    beam_stop: Flags


def find_outliers(images: ScanImages, rules: CountRules | None = None) -> Outliers:
    """All pixels that do not count properly; ``rules`` say whether the counts lie on a pedestal."""
    electrons = convert_to_electrons(images, rules)
    mean, n = electrons.mean, electrons.n_patterns
    hot = _find_hot_in_mean(mean, n) | _find_hot_by_variance(electrons)
    hot |= _find_odd_rows(mean, n, hot=True) | _find_odd_rows(mean.T, n, hot=True).T
    # Hot pixels inside a shadow would hide it, so each is replaced by its median neighbour first.
    stop = find_beam_stop(np.where(hot, _sort_neighbours(mean)[4], mean), n)
    dead = _find_dead(mean, n) | (electrons.measured == 0)
    dead |= _find_odd_rows(mean, n, hot=False) | _find_odd_rows(mean.T, n, hot=False).T
    return Outliers(hot & ~stop, dead & ~stop & ~hot, stop)


def find_beam_stop(mean: Image, n: int) -> Flags:
    """Connected shadow of 3 x 3 pixels or more, a tenth as bright as its surroundings, near the beam or off the edge.

    Seeds are below a tenth of the median in a window of a quarter of the detector. They grow into everything connected
    that is as dark. A stop wider than the window is so found from its edge.
    """
    from scipy.ndimage import binary_fill_holes, binary_propagation, label

    level = _compute_level(mean)
    seeds = label((mean < 0.1 * level) & (level * n > 3))  # 3: nine such pixels at zero by chance are one in 10^12
    out = np.zeros(mean.shape, dtype=bool)
    for number in range(1, seeds[1] + 1):
        seed = seeds[0] == number
        if seed.sum() < 4 or (out & seed).any():
            continue
        grown = binary_propagation(seed, mask=mean < 0.1 * np.median(level[seed]))
        solid = binary_fill_holes(grown)
        if _is_shadow(solid, mean, out):
            out |= solid
    return out


def _compute_level(mean: Image) -> Image:
    """Median of the image in a window of a quarter of the detector, on squares of pixels where that is large."""
    from scipy.ndimage import median_filter

    # An odd window has a centre pixel. Its time grows with its area, so that it is at most 17 squares wide.
    size = max(min(mean.shape) // 4, 5)
    side = max(size // 16, 1)
    padding = [(0, -length % side) for length in mean.shape]
    whole = np.pad(mean, padding, mode="symmetric")
    rows, columns = (length // side for length in whole.shape)
    small = whole.reshape(rows, side, columns, side).mean(axis=(1, 3))
    level = median_filter(small, size=(size // side) | 1, mode="reflect")
    return np.repeat(np.repeat(level, side, axis=0), side, axis=1)[: mean.shape[0], : mean.shape[1]]


def _is_shadow(region: Flags, mean: Image, others: Flags) -> bool:
    """False where a pattern is dark by itself: between disks, outside of them, or as dark in many other places."""
    from scipy.ndimage import binary_erosion, center_of_mass, uniform_filter

    core = binary_erosion(region, np.ones((3, 3)), border_value=1)
    if not core.any() or region.sum() > region.size / 2:
        return False
    smooth = uniform_filter(mean, 3)
    # A stop is the one dark place: if as much elsewhere is as dark, darkness belongs to the pattern.
    as_dark = (smooth <= 2 * np.median(smooth[core])) & ~region & ~others
    y, x = np.nonzero(region)
    beam = center_of_mass(mean)
    near = np.hypot(y - beam[0], x - beam[1]).min() < min(mean.shape) / 8
    inside = not (region[[0, -1]].any() or region[:, [0, -1]].any())
    return bool(as_dark.sum() < region.sum() / 2 and (near or inside))


def convert_to_electrons(images: ScanImages, rules: CountRules | None = None) -> ScanImages:
    r"""The images in electrons, as if all their noise came from counting.

    Without a pedestal, counts per electron come from the pixels whose counts vary least for their mean. With one, the
    noise :math:`v_0 + g m` is that of :math:`(v_0 + g m) / g^2` electrons, which contain the noise of the detector. It
    is counted from the level of the darkest pixels.
    """
    mean, variance = images.mean, images.variance
    if rules is not None and rules.has_pedestal:
        # On the dark level the noise is that of this many electrons.
        gain = rules.electron
        mean = np.maximum(mean - rules.offset + rules.dark_variance / gain, 0)
    else:
        # Poisson: variance = gain x mean. Real changes only add variance: the lowest tenth is nearest to counting.
        enough = (mean > 0) & (variance > 0)
        gain = float(np.quantile(variance[enough] / mean[enough], 0.1)) if enough.any() else 1.0
        # Noise about zero makes negative means, and no number of electrons.
        mean = np.maximum(mean, 0) if rules is not None else mean
    square = gain**2
    return images._replace(
        mean=mean / gain, variance=variance / square, right=images.right / square, down=images.down / square
    )


def _find_hot_in_mean(mean: Image, n: int) -> Flags:
    """Far above the third-brightest neighbour, while none of the four pixels beside it holds a share of it."""
    around, ring = _sort_neighbours(mean), np.median(_get_outer_ring(mean), axis=0)
    level = np.maximum(around[5], ring)
    height, beside = mean - level, np.sort(_get_side_neighbours(mean), axis=0)
    beyond_noise = height * n > 6 * np.sqrt(level * n) + 10  # 10: the Poisson tail where hardly any is expected
    enough_counts = 0.02 * height * n > 1.5 * np.sqrt(beside[3] * n + 1)  # enough counts to see a share of 0.03
    # A disk's brightest pixel has two bright neighbours; its dimmer pixels have the brightest one.
    alone = np.where(mean > around[7], beside[2], beside[3]) - ring < _MAX_SIDE_SHARE * height
    return (mean > 5 * around[5]) & beyond_noise & enough_counts & alone


def _find_dead(mean: Image, n: int) -> Flags:
    """Far below the neighbours, and darker than nearly all pixels within two: no gap between spots."""
    around = _sort_neighbours(mean, edge="symmetric")  # a spot that the edge cuts must not surround the pixel
    ring = np.sort(_get_outer_ring(mean), axis=0)
    darker = (mean < 0.2 * around[2]) & (mean < 0.5 * around[1]) & (mean < 0.2 * ring[3])
    return darker & (around[2] * n > _MIN_EXPECTED) & (ring[3] * n > 10)


def _find_hot_by_variance(images: ScanImages) -> Flags:
    """Varies more than counting can explain while the pixels beside it do not follow; or far less, stuck at a level.

    A grain's spot varies as much, but its neighbours vary with it. This holds even for a grain in 1 % of the patterns.
    """
    mean, variance, n = images.mean, images.variance, images.n_patterns
    around, spread, tolerance = _sort_neighbours(mean)[5], _sort_neighbours(variance), 1 + 6 * np.sqrt(2 / n)
    noise = np.maximum(mean, around) + 1 / n
    # 1 + 6 sqrt(2 / n): six standard errors of a variance that was measured from n patterns.
    strong = variance > 5 * tolerance * (spread[5] + noise)
    clear = variance > 3 * tolerance * noise
    share, error, alone = _regress_neighbours(images)
    alone |= (share < _MAX_REGRESSION) & (error < np.where(strong, 0.06, 0.03))
    ring = np.median(_get_outer_ring(mean), axis=0)
    # With few electrons a chance regression can hide a narrow disk: then even its upper limit must be below the disk's.
    excess = np.maximum(np.where(mean > 1.2 * ring, mean - ring, mean) * n, 1)
    alone &= (excess > _ENOUGH_EXCESS) | (share + 2.5 * np.sqrt(error**2 + _NARROWEST_DISK / excess) < _NARROWEST_DISK)
    stuck = (mean > 1.5 * around) & (mean * n > _MIN_EXPECTED) & (variance < 0.3 * np.minimum(mean, spread[2]))
    return ((strong | clear) & alone) | stuck


def _regress_neighbours(images: ScanImages) -> tuple[Image, Image, Flags]:
    r"""Summed regression of the four pixels beside each one on it, its standard error, and whether none follows.

    The regression is :math:`\sum_k c_k / s^2` with the covariances :math:`c_k` and the pixel's variance :math:`s^2`.
    None follows when the chi-square of the four covariances is below 25. Those of a disk 1.2 px wide, 0.03 of the
    pixel's own variance, would have to reach 80.
    """
    right, down, n = images.right, images.down, images.n_patterns
    # In the order of _get_side_neighbours; np.roll brings in the last column and row, which hold 0.
    covariance = np.array([right, np.roll(right, 1, axis=1), down, np.roll(down, 1, axis=0)])
    variance, beside = images.variance, _get_side_neighbours(images.variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = n * np.maximum(covariance, 0) ** 2 / (variance * beside)
        narrow = n * 0.03**2 * variance / beside
        alone = (np.nansum(chance, axis=0) < 25) & (np.nansum(narrow, axis=0) > 80)
        share = np.where(variance > 0, covariance.sum(axis=0) / variance, 0)
        return share, np.where(variance > 0, np.sqrt(beside.sum(axis=0) / variance / n), np.inf), alone


def _find_odd_rows(mean: Image, n: int, *, hot: bool) -> Flags:
    """Rows, single or in pairs, that count nothing or far too much over nearly their whole length."""
    padded = np.pad(mean, ((2, 2), (0, 0)), constant_values=np.inf if hot else 0)  # an edge row has no witness
    rows = len(mean)
    above, below = ([padded[2 + i : 2 + i + rows] for i in pair] for pair in ((-1, -2), (1, 2)))
    # In a pair of odd rows one neighbour is odd too, so the two rows on each side are looked at.
    if hot:
        level = np.maximum(np.minimum(*above), np.minimum(*below))
        odd = (mean > 5 * level) & ((mean - level) * n > 6 * np.sqrt(level * n) + 10)
        enough = np.ones(mean.shape, dtype=bool)
    else:
        level = np.minimum(np.maximum(*above), np.maximum(*below))
        enough = level * n > 3
        odd = (mean < 0.2 * level) & enough
    share = (odd & enough).sum(axis=1) / np.maximum(enough.sum(axis=1), 1)
    expected = np.where(enough, level, 0).sum(axis=1) * n
    lines = (share > 0.8) & (enough.mean(axis=1) > 0.8) & (hot | (expected > 4 * _MIN_EXPECTED))
    return np.broadcast_to(lines[:, None], mean.shape).copy()


def _sort_neighbours(image: Image, edge: Edge = "reflect") -> Image:
    """The eight neighbours of each pixel, darkest first, ``(8, qy, qx)``; edges are padded with the inside mirrored."""
    return np.sort(stack_offsets(image, SURROUNDING, edge), axis=0)


def _get_side_neighbours(image: Image) -> Image:
    """The four pixels that share a side with each pixel, ``(4, qy, qx)``: right, left, below, above."""
    return stack_offsets(image, [(0, 1), (0, -1), (1, 0), (-1, 0)])


def _get_outer_ring(image: Image) -> Image:
    """The sixteen pixels of the square ring two pixels away, ``(16, qy, qx)``."""
    return stack_offsets(image, [(i, j) for i in range(-2, 3) for j in range(-2, 3) if max(abs(i), abs(j)) == 2])


def stack_offsets(image: Image, offsets: list[tuple[int, int]], edge: Edge = "reflect") -> Image:
    """The image seen from each offset (qy, qx) [px], ``(offset, qy, qx)``."""
    padded = np.pad(image, 2, mode=edge)
    rows, columns = image.shape
    return np.array([padded[2 + i : 2 + i + rows, 2 + j : 2 + j + columns] for i, j in offsets])
