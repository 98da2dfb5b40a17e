"""The same scan in larger steps: a weak pattern that covers several scan points and pixels stands higher above noise.

Noise of n patterns and p pixels hides what is weaker than about the fourth root of n p. Sums of 3 x 3 scan points are a
ninth of the values, of nine times the electrons: this lowers the limit by the root of 3. Sums of 2 x 2 pixels lower it
by the root of 2 more. A pattern whose map and spots are as wide as a sum loses nothing. What is finer shows better in
the scan as it is.

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

_SIZES = ((3, 1), (3, 2))  # of a sum: scan points along each axis, features along each axis of the detector
_ROWS = 32  # sums that are scaled at a time
_EXTRA = 24  # sums beyond the largest k: with fewer, noise and patterns cannot be told apart


class SummedRows(NamedTuple):
    """Sums as scaled features: sums of counts over both weights."""

    counts: NDArray[Any]  # (sum of points, sum of pixels)
    row_weight: Array
    column_weight: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Sums of points and of pixels."""
        return self.counts.shape[0], self.counts.shape[1]

    @property
    def is_costly(self) -> bool:
        """False: a block is one division."""
        return False

    def read_blocks(self) -> Iterator[Block]:
        """Scaled sums, some rows at a time."""
        scale = np.float32(1) / self.column_weight
        out = np.empty((min(_ROWS, self.shape[0]), self.shape[1]), np.float32)
        for start in range(0, self.shape[0], _ROWS):
            rows = slice(start, min(start + _ROWS, self.shape[0]))
            block = np.multiply(self.counts[rows], scale, out=out[: rows.stop - start])
            block /= self.row_weight[rows, None]
            yield rows, block


class Grouping(NamedTuple):
    """Which sum each scan point, or each feature, belongs to, and the weights of both."""

    places: NDArray[np.int64]  # (point,) or (feature,)
    weight: Array  # of each
    sum_weight: Array  # of the sums


class CoarseScan(NamedTuple):
    """Sums of neighbouring scan points and pixels."""

    source: RowSource
    shape: tuple[int, int]  # sums along the scan axes
    points: Grouping
    pixels: Grouping
    dtype: np.dtype[Any]  # of sums of counts: whole, or single precision

    def compress(self, largest: int, rng: np.random.Generator) -> LowRank:
        """The sums of all electrons, compressed for ranks up to ``largest``."""
        return self._compress_counts(self._sum_all(), 1.0, largest, rng)

    def compare(self, test: Fold, largest: int, rng: np.random.Generator) -> CrossCovariance:
        """The cross-covariance of one part of the electrons with the others."""
        counts = self._sum_all()
        places = self.points.places, self.pixels.places
        for rows, electrons in test.read_lists():
            add_electrons(electrons, (places[0][rows], places[1]), -1, counts)
        low = self._compress_counts(counts, 1 - test.fraction, largest, rng)
        return compute_cross_covariance(low, test, (self.points.sum_weight, self.pixels.sum_weight), places)

    def _compress_counts(
        self, counts: NDArray[Any], fraction: float, largest: int, rng: np.random.Generator
    ) -> LowRank:
        """Sums of a ``fraction`` of the electrons, scaled up as if all had been counted."""
        weight = self.points.sum_weight * np.float32(fraction)
        return compress_for_ranks(SummedRows(counts, weight, self.pixels.sum_weight), largest, rng)

    def _sum_all(self) -> NDArray[Any]:
        """Sums of counts (sum of points, sum of pixels)."""
        total = np.zeros((len(self.points.sum_weight), len(self.pixels.sum_weight)), self.dtype)
        for rows, block in self.source.read_blocks():
            weights = self.points.weight[rows], self.pixels.weight
            places = self.points.places[rows], self.pixels.places
            _add_rows(block, weights, places, self.dtype.kind == "u", total)
        return total


def make_coarse_scans(source: RowSource, features: xr.Dataset, largest: int, largest_count: float) -> list[CoarseScan]:
    """Group scan points and features in every size; left out are sizes with too few sums for ranks up to ``largest``.

    ``largest_count``: of a single value, 0 where the values are no counts.
    """
    scans = []
    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    y, x = np.divmod(np.arange(source.shape[0]), shape[1])
    for n_points, n_pixels in _SIZES:
        coarse = -(-shape[0] // n_points), -(-shape[1] // n_points)
        points = _group((y // n_points) * coarse[1] + x // n_points, read_scan_weight(features))
        pixels = _group(_place_features(features, n_pixels), features["feature_weight"].to_numpy())
        if min(len(points.sum_weight), len(pixels.sum_weight)) >= largest + _EXTRA:
            most = float(np.bincount(points.places).max() * np.bincount(pixels.places).max()) * largest_count
            scans.append(CoarseScan(source, coarse, points, pixels, _choose_type(most)))
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


def _choose_type(largest_sum: float) -> np.dtype[Any]:
    """Smallest type of the sums; sums that are not whole, or larger than 16 bits, are held in single precision."""
    small = 1 <= largest_sum <= np.iinfo(np.uint16).max
    return np.min_scalar_type(int(np.ceil(largest_sum))) if small else np.dtype(np.float32)


@numba.njit(cache=True, nogil=True)
def _add_rows(
    block: Array,
    weights: tuple[Array, Array],
    places: tuple[NDArray[np.integer], NDArray[np.integer]],
    whole: bool,
    total: NDArray[Any],
) -> None:
    """Add ``block`` (row, feature) times both ``weights``, ``whole`` or not, to ``total`` at both ``places``."""
    for i in range(block.shape[0]):
        row, out, scale = block[i], total[places[0][i]], weights[0][i]
        for j in range(len(row)):
            count = row[j] * scale * weights[1][j]
            out[places[1][j]] += np.int32(np.rint(count)) if whole else count
