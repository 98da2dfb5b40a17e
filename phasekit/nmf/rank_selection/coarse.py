"""The same scan in larger steps: a weak pattern that covers several scan points and pixels stands higher above noise.

Noise of n patterns and p pixels hides what is weaker than about the fourth root of n p. Sums of 3 x 3 scan points are a
ninth of the values, of nine times the electrons: this lowers the limit by the root of 3. Sums of 2 x 2 pixels lower it
by the root of 2 more. A pattern whose map and spots are as wide as a sum loses nothing. What is finer shows better in
the scan as it is.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.blocks import InMemoryRows, RowSource
from ..fitting.hals import Array, LowRank
from ..fitting.labels import read_scan_weight
from ..fitting.multistart import compress_for_ranks
from .electrons import CrossCovariance, compute_cross_covariance
from .thinning import Fold

_SIZES = ((3, 1), (3, 2))  # of a sum: scan points along each axis, features along each axis of the detector
_EXTRA = 24  # sums beyond the largest k: with fewer, noise and patterns cannot be told apart


class Grouping(NamedTuple):
    """Which sum a scan point, or a feature, belongs to, and the weights of both."""

    places: NDArray[np.int64]  # (point,) or (feature,)
    weight: Array  # of each
    sum_weight: Array  # of the sums


class CoarseScan(NamedTuple):
    """Sums of neighbouring scan points and pixels, as features again: sums of counts over both weights."""

    values: Array  # (sum, sum of pixels), scaled, single precision
    shape: tuple[int, int]  # sums along the scan axes
    points: Grouping
    pixels: Grouping

    def compress(self, largest: int, rng: np.random.Generator) -> LowRank:
        """The sums as they are, compressed for ranks up to ``largest``."""
        return compress_for_ranks(InMemoryRows(self.values), largest, rng)

    def compare(self, test: Fold, largest: int, rng: np.random.Generator) -> CrossCovariance:
        """The cross-covariance of one part of the electrons with the others."""
        held_out = _sum_blocks(test, self.points, self.pixels)  # scaled up as if all electrons were in this part
        others = np.subtract(self.values, held_out * np.float32(test.fraction), dtype=np.float32)
        others /= np.float32(1 - test.fraction)
        low = compress_for_ranks(InMemoryRows(others), largest, rng)
        weights = self.points.sum_weight, self.pixels.sum_weight
        return compute_cross_covariance(low, InMemoryRows(held_out).read_blocks(), weights, test.fraction)


def make_coarse_scans(source: RowSource, features: xr.Dataset, largest: int) -> list[CoarseScan]:
    """Sums of the features in every size; none where too few sums are left for ranks up to ``largest``."""
    scans = []
    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    y, x = np.divmod(np.arange(source.shape[0]), shape[1])
    for n_points, n_pixels in _SIZES:
        coarse = -(-shape[0] // n_points), -(-shape[1] // n_points)
        if coarse[0] * coarse[1] < largest + _EXTRA:
            continue
        points = _group((y // n_points) * coarse[1] + x // n_points, read_scan_weight(features))
        places = _place_features(features, n_pixels)
        if places.max() + 1 < largest + _EXTRA:
            continue
        pixels = _group(places, features["feature_weight"].to_numpy())
        scans.append(CoarseScan(_sum_blocks(source, points, pixels), coarse, points, pixels))
    return scans


def _place_features(features: xr.Dataset, size: int) -> NDArray[np.int64]:
    """Number of the sum that each feature belongs to, by its place on the detector."""
    if size == 1:
        return np.arange(features.sizes["feature"])
    index = features["feature_index"].to_numpy()
    rows, columns = np.nonzero(index >= 0)
    number, n = index[rows, columns], features.sizes["feature"]
    pixels = np.maximum(np.bincount(number, minlength=n), 1)
    width = size * max(int(np.rint(np.sqrt(np.median(pixels)))), 1)  # a feature may be several pixels already
    y, x = (np.bincount(number, weights=place, minlength=n) / pixels // width for place in (rows, columns))
    return np.unique(y * (index.shape[1] + 1) + x, return_inverse=True)[1]


def _group(places: NDArray[np.int64], weight: Array) -> Grouping:
    """The sums and their weights: the square of a weight goes as the mean count."""
    total = np.sqrt(np.bincount(places, weights=weight.astype(np.float64) ** 2)).astype(np.float32)
    total[total == 0] = 1
    return Grouping(places, weight.astype(np.float32), total)


def _sum_blocks(source: RowSource, points: Grouping, pixels: Grouping) -> Array:
    """Sums of the counts behind the rows of ``source`` over the weights of the sums, (sum, sum of pixels)."""
    from scipy.sparse import csr_array

    n, p = source.shape
    spread = csr_array((pixels.weight, (pixels.places, np.arange(p))), shape=(len(pixels.sum_weight), p))
    gather = csr_array((points.weight, (points.places, np.arange(n))), shape=(len(points.sum_weight), n)).tocsc()
    total = np.zeros((len(points.sum_weight), len(pixels.sum_weight)), dtype=np.float32)
    for rows, block in source.read_blocks():
        part = gather[:, rows]
        # Only the sums that these rows belong to: points are summed first, because that leaves fewer rows.
        first, last = int(part.indices.min()), int(part.indices.max()) + 1
        total[first:last] += (spread @ (part[first:last] @ block).T).T
    total /= points.sum_weight[:, None] * pixels.sum_weight
    return total
