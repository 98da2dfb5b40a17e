"""The same scan with 3 x 3 scan points summed: a weak pattern that covers several of them stands higher above noise.

Noise of n patterns and p pixels hides what is weaker than about the fourth root of n p. A ninth of the patterns, of
nine times the electrons, lowers this by the root of three. A pattern as wide as a sum loses nothing.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from ..fitting.blocks import InMemoryRows, RowSource
from ..fitting.hals import Array, LowRank
from ..fitting.labels import read_scan_weight
from ..fitting.multistart import compress_for_ranks
from .electrons import CrossCovariance, compute_cross_covariance
from .thinning import Fold

if TYPE_CHECKING:
    from scipy.sparse import csc_array

_SIZE = 3  # scan points along each axis
_EXTRA_ROWS = 24  # sums beyond the largest k: with fewer, noise and patterns cannot be told apart


class CoarseScan(NamedTuple):
    """Sums of neighbouring scan points, as features again: sums of counts over both weights."""

    values: Array  # (sum, feature), scaled, single precision
    shape: tuple[int, int]  # of the sums
    gather: "csc_array"  # (sum, scan point): 1 where a point belongs to a sum
    scan_weight: Array  # of the scan points
    sum_weight: Array  # of the sums
    feature_weight: Array

    def compress(self, largest: int, rng: np.random.Generator) -> LowRank:
        """The sums as they are, compressed for ranks up to ``largest``."""
        return compress_for_ranks(InMemoryRows(self.values), largest, rng)

    def compare(self, test: Fold, largest: int, rng: np.random.Generator) -> CrossCovariance:
        """The cross-covariance of one part of the electrons with the others."""
        held_out = _sum_points(test, self.gather, self.scan_weight)
        held_out /= self.sum_weight[:, None] / np.float32(test.fraction)
        # The others in the place of all, so that the sums are not held a third time; put back below.
        np.subtract(self.values, held_out, out=self.values)
        low = self.compress(largest, rng)
        share = 1 - test.fraction  # scaled up as if all electrons had been counted
        low = LowRank(low.left / np.float32(share), low.right, low.norm2 / share**2)
        np.add(self.values, held_out, out=self.values)
        held_out /= np.float32(test.fraction)
        weights = self.sum_weight, self.feature_weight
        return compute_cross_covariance(low, InMemoryRows(held_out).read_blocks(), weights, test.fraction)


def make_coarse_scan(source: RowSource, features: xr.Dataset, largest: int) -> CoarseScan | None:
    """Sum the rows of the features; None where too few sums are left for ranks up to ``largest``."""
    from scipy.sparse import csc_array

    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    coarse = -(-shape[0] // _SIZE), -(-shape[1] // _SIZE)
    if coarse[0] * coarse[1] < largest + _EXTRA_ROWS:
        return None
    y, x = np.divmod(np.arange(source.shape[0]), shape[1])
    place = (y // _SIZE) * coarse[1] + x // _SIZE
    one = np.ones(len(place), dtype=np.float32)
    gather = csc_array((one, (place, np.arange(len(place)))), shape=(coarse[0] * coarse[1], len(place)))
    weight = read_scan_weight(features).astype(np.float32)
    sum_weight = np.sqrt(gather @ weight**2).astype(np.float32)  # the square of a weight goes as the mean count
    sum_weight[sum_weight == 0] = 1
    values = _sum_points(source, gather, weight)
    values /= sum_weight[:, None]
    feature_weight = features["feature_weight"].to_numpy().astype(np.float32)
    return CoarseScan(values, coarse, gather, weight, sum_weight, feature_weight)


def _sum_points(source: RowSource, gather: "csc_array", weight: Array) -> Array:
    """Sums of the rows times their weights, (sum, feature)."""
    total = np.zeros((gather.shape[0], source.shape[1]), dtype=np.float32)
    for rows, block in source.read_blocks():
        part = gather[:, rows]
        # Only the sums that these rows belong to: a product with all would be as large as the sums.
        first, last = int(part.indices.min()), int(part.indices.max()) + 1
        total[first:last] += part[first:last] @ (block * weight[rows, None])
    return total
