"""The same scan with 3 x 3 scan points summed: a weak pattern that covers several of them stands higher above noise.

Noise of n patterns and p pixels hides what is weaker than about the fourth root of n p. A ninth of the patterns, of
nine times the electrons, lowers this by the root of three. A pattern as wide as a sum loses nothing.

Sums are whole counts in the smallest type that holds them, made anew for every fold and dropped when compressed. A part
that is a list of electrons is never summed: products of its sums with a few vectors are sums of products.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.blocks import Block, RowSource
from ..fitting.hals import Array, LowRank
from ..fitting.labels import read_scan_weight
from ..fitting.multistart import compress_for_ranks
from .electron_lists import add_electrons
from .electrons import CrossCovariance, compute_cross_covariance
from .thinning import Fold

_SIZE = 3  # scan points along each axis
_ROWS = 32  # sums that are scaled at a time
_EXTRA_ROWS = 24  # sums beyond the largest k: with fewer, noise and patterns cannot be told apart


class SummedRows(NamedTuple):
    """Sums of scan points as scaled features: sums of counts over both weights."""

    counts: NDArray[Any]  # (sum, feature)
    sum_weight: Array
    feature_weight: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Sums and features."""
        return self.counts.shape[0], self.counts.shape[1]

    @property
    def is_costly(self) -> bool:
        """False: a block is one division."""
        return False

    def read_blocks(self) -> Iterator[Block]:
        """Scaled sums, some rows at a time."""
        feature = np.float32(1) / self.feature_weight
        out = np.empty((min(_ROWS, self.shape[0]), self.shape[1]), np.float32)
        for start in range(0, self.shape[0], _ROWS):
            rows = slice(start, min(start + _ROWS, self.shape[0]))
            block = np.multiply(self.counts[rows], feature, out=out[: rows.stop - start])
            block /= self.sum_weight[rows, None]
            yield rows, block


class CoarseScan(NamedTuple):
    """Which scan points belong to which sum, and the weights of both."""

    source: RowSource
    shape: tuple[int, int]  # of the sums
    places: NDArray[np.int64]  # (scan point,): number of its sum
    scan_weight: Array  # of the scan points
    sum_weight: Array  # of the sums
    feature_weight: Array
    dtype: np.dtype[Any]  # of sums of counts: whole, or single precision

    def compress(self, largest: int, rng: np.random.Generator) -> LowRank:
        """The sums of all electrons, compressed for ranks up to ``largest``."""
        return compress_for_ranks(SummedRows(self._sum_all(), self.sum_weight, self.feature_weight), largest, rng)

    def compare(self, test: Fold, largest: int, rng: np.random.Generator) -> CrossCovariance:
        """The cross-covariance of one part of the electrons with the others."""
        low = self._compress_others(test, largest, rng)
        return compute_cross_covariance(low, test, (self.sum_weight, self.feature_weight), self.places)

    def _compress_others(self, test: Fold, largest: int, rng: np.random.Generator) -> LowRank:
        """The sums of all electrons that are not in ``test``, scaled up as if all had been counted."""
        counts = self._sum_all()
        for rows, electrons in test.read_lists():
            add_electrons(electrons, self.places[rows], -1, counts)
        weight = self.sum_weight * np.float32(1 - test.fraction)
        return compress_for_ranks(SummedRows(counts, weight, self.feature_weight), largest, rng)

    def _sum_all(self) -> NDArray[Any]:
        """Sums of counts (sum, feature)."""
        total = np.zeros((self.shape[0] * self.shape[1], self.source.shape[1]), self.dtype)
        weights = self.scan_weight, self.feature_weight
        for rows, block in self.source.read_blocks():
            _add_rows(block, (weights[0][rows], weights[1]), self.places[rows], self.dtype.kind == "u", total)
        return total


def make_coarse_scan(source: RowSource, features: xr.Dataset, largest: int, largest_count: float) -> CoarseScan | None:
    """Group the scan points; None where too few sums are left for ranks up to ``largest``.

    ``largest_count``: of a single value, 0 where the values are no counts.
    """
    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    coarse = -(-shape[0] // _SIZE), -(-shape[1] // _SIZE)
    if coarse[0] * coarse[1] < largest + _EXTRA_ROWS:
        return None
    y, x = np.divmod(np.arange(source.shape[0]), shape[1])
    places = (y // _SIZE) * coarse[1] + x // _SIZE
    weight = read_scan_weight(features).astype(np.float32)
    # The square of a weight goes as the mean count.
    squares = np.bincount(places, weights=weight.astype(np.float64) ** 2, minlength=coarse[0] * coarse[1])
    sum_weight = np.sqrt(squares).astype(np.float32)
    sum_weight[sum_weight == 0] = 1
    feature_weight = features["feature_weight"].to_numpy().astype(np.float32)
    dtype = _choose_type(_SIZE**2 * largest_count)
    return CoarseScan(source, coarse, places, weight, sum_weight, feature_weight, dtype)


def _choose_type(largest_sum: float) -> np.dtype[Any]:
    """Smallest type of the sums; sums that are not whole, or larger than 16 bits, are held in single precision."""
    small = 1 <= largest_sum <= np.iinfo(np.uint16).max
    return np.min_scalar_type(int(np.ceil(largest_sum))) if small else np.dtype(np.float32)


@numba.njit(cache=True, nogil=True)
def _add_rows(
    block: Array, weights: tuple[Array, Array], places: NDArray[np.integer], whole: bool, total: NDArray[Any]
) -> None:
    """Add ``block`` (row, feature) times ``weights`` (row,) and (feature,), ``whole`` or not, to rows ``places``."""
    for i in range(block.shape[0]):
        row, out, scale = block[i], total[places[i]], weights[0][i]
        for j in range(len(row)):
            count = row[j] * scale * weights[1][j]
            out[j] += np.int32(np.rint(count)) if whole else count
