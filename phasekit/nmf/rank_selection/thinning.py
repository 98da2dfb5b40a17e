r"""Data that a fit has not seen: Poisson thinning of counts into folds, electron by electron.

Of :math:`n \sim \mathrm{Poisson}(\mu)` electrons each goes to fold f with probability p. The number in the fold is

.. math::

    n_f \mid n \sim \mathrm{Binomial}(n, p),\qquad n_f \sim \mathrm{Poisson}(p \mu),

and the parts are independent (A. Dharamshi et al., J. Mach. Learn. Res. 26 (2025) 1). The fold of an electron is a hash
of the seed, the place and the electron's number. Every pass therefore gives the same parts again, whatever the blocks
are. At a low dose most pixels of a fold are empty. The others are then kept, and the hash is computed once.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..fitting.blocks import Block, RowSource
from ..fitting.hals import Array

MAX_EXACT_COUNT = 1024  # counts above it are split by the normal limit of the binomial (skewness below 0.1)
_KEPT_SHARE = 0.08  # of the data's memory: pixels with held-out electrons take no more
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class FoldChoice(NamedTuple):
    """Which electrons a compiled function counts: one of 2^``n_bits`` folds, or (not ``held_out``) all others."""

    n_bits: int
    fold: int
    held_out: bool


class HashKey(NamedTuple):
    """What the fold of an electron depends on, beside its own number."""

    seed: np.uint64
    place: np.uint64  # number of the value in the whole matrix


class SparseBlock(NamedTuple):
    """Pixels of some rows that have electrons in one fold; those of row i are ``starts[i]`` to ``starts[i + 1]``."""

    starts: NDArray[np.int64]
    columns: NDArray[np.unsignedinteger]
    counts: NDArray[np.uint16]


class ThinnedCounts(NamedTuple):
    """The counts behind scaled features, thinned into 2^``n_bits`` folds."""

    base: RowSource  # scaled features
    scan_weight: Array  # counts = value x scan_weight x feature_weight
    feature_weight: Array
    seed: int
    n_bits: int = 3

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(2**self.n_bits)

    def select_train(self, fold: int) -> "Fold":
        """Everything but one fold, scaled up to the whole."""
        return Fold(self, fold, False)

    def select_test(self, fold: int) -> "Fold":
        """One fold, scaled up to the whole."""
        return Fold(self, fold, True)

    def split(self, fold: int) -> "tuple[Fold, Fold]":
        """Everything but one fold, and that fold; both remember where its electrons are if these are few."""
        train, test = self.select_train(fold), self.select_test(fold)
        kept = test.collect_counts()
        return train._replace(kept=kept), test._replace(kept=kept)


class Fold(NamedTuple):
    """Rows of the features as they would be, had only one part of the electrons been counted."""

    thinned: ThinnedCounts
    fold: int
    held_out: bool
    kept: tuple[SparseBlock, ...] | None = None  # the held-out electrons of every block, where they are few

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        return self.thinned.base.shape

    @property
    def is_costly(self) -> bool:
        """True where electrons are assigned to folds anew in every pass."""
        return self.kept is None

    @property
    def fraction(self) -> float:
        """Expected fraction of the electrons in this part."""
        held = 1 / self.thinned.n_folds
        return held if self.held_out else 1 - held

    def read_blocks(self) -> Iterator[Block]:
        """Scaled features of some rows."""
        scan = np.float32(1 / self.fraction) / self.thinned.scan_weight
        feature = np.float32(1) / self.thinned.feature_weight
        if self.kept is None:
            for rows, values in self.read_counts():
                _scale_block(values, scan[rows], feature)
                yield rows, values
            return
        for kept, (rows, block) in zip(self.kept, self.thinned.base.read_blocks(), strict=True):
            values = np.zeros_like(block) if self.held_out else block * np.float32(1 / self.fraction)
            _add_kept(values, kept, scan[rows] if self.held_out else -scan[rows], feature)
            yield rows, values

    def project_blocks(self, factors: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Scaled features of some rows, and their products with ``factors`` (k, feature) as (k, rows)."""
        if self.kept is None or not self.held_out:
            for rows, block in self.read_blocks():
                yield rows, block, factors @ block.T
            return
        scan = np.float32(1 / self.fraction) / self.thinned.scan_weight
        by_feature = np.ascontiguousarray((factors / self.thinned.feature_weight).T)
        # Most pixels of the fold are empty: the products are sums over the others.
        for kept, (rows, block) in zip(self.kept, self.read_blocks(), strict=True):
            yield rows, block, np.ascontiguousarray(_project_kept(kept, by_feature, scan[rows]).T)

    def collect_counts(self) -> tuple[SparseBlock, ...] | None:
        """Where the electrons of this part are; None where they would take more than ``_KEPT_SHARE`` of the memory."""
        n, features = self.shape
        column = np.uint16 if features <= 1 << 16 else np.uint32
        free = _KEPT_SHARE * 4 * n * features / (column().nbytes + 2)
        kept: list[SparseBlock] = []
        for _, counts in self.read_counts():
            starts = np.append(0, np.cumsum(np.count_nonzero(counts, axis=1)))
            free -= starts[-1]
            if free < 0 or (len(counts) and counts.max() > np.iinfo(np.uint16).max):
                return None
            block = SparseBlock(starts, np.empty(starts[-1], column), np.empty(starts[-1], np.uint16))
            _keep_counts(counts, block)
            kept.append(block)
        return tuple(kept)

    def read_counts(self) -> Iterator[Block]:
        """Counts of this part of some rows."""
        thinned = self.thinned
        for rows, block in thinned.base.read_blocks():
            out = np.empty(block.shape, dtype=np.float32)
            # The place counts through the whole matrix, so that blocks of any size give the same folds.
            start = np.uint64(rows.start) * np.uint64(block.shape[1])
            _thin_block(
                block,
                thinned.scan_weight[rows],
                thinned.feature_weight,
                HashKey(np.uint64(thinned.seed), start),
                FoldChoice(thinned.n_bits, self.fold, self.held_out),
                out,
            )
            yield rows, out


@numba.njit(cache=True, nogil=True)
def _scale_block(block: Array, scan_scale: Array, feature_scale: Array) -> None:
    """Multiply ``block`` (row, feature) by ``scan_scale`` (row,) and ``feature_scale`` (feature,), in place."""
    for i in range(block.shape[0]):
        row, scale = block[i], scan_scale[i]
        for j in range(block.shape[1]):
            row[j] *= scale * feature_scale[j]


@numba.njit(cache=True, nogil=True)
def _keep_counts(counts: Array, kept: SparseBlock) -> None:
    """Write the columns and values of ``counts`` (row, feature) that are not 0 into ``kept``."""
    free = 0
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            if counts[i, j] > 0:
                kept.columns[free], kept.counts[free] = j, np.uint16(counts[i, j])
                free += 1


@numba.njit(cache=True, nogil=True)
def _add_kept(block: Array, kept: SparseBlock, scan_scale: Array, feature_scale: Array) -> None:
    """Add counts times ``scan_scale`` (row,) and ``feature_scale`` (feature,) to ``block`` (row, feature), in place.

    What is left of a pixel whose electrons are all taken away is set to 0, which it is but for rounding.
    """
    for i in range(block.shape[0]):
        for e in range(kept.starts[i], kept.starts[i + 1]):
            j = kept.columns[e]
            block[i, j] = max(block[i, j] + np.float32(kept.counts[e]) * scan_scale[i] * feature_scale[j], 0)


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _project_kept(kept: SparseBlock, by_feature: Array, scan_scale: Array) -> Array:
    """Counts times ``by_feature`` (feature, k), summed over the features and times ``scan_scale``: (row, k)."""
    out = np.zeros((len(scan_scale), by_feature.shape[1]), np.float32)
    for i in range(len(scan_scale)):
        row = out[i]
        for e in range(kept.starts[i], kept.starts[i + 1]):
            weight, factor = np.float32(kept.counts[e]) * scan_scale[i], by_feature[kept.columns[e]]
            for c in range(len(row)):
                row[c] += weight * factor[c]
    return out


@numba.njit(cache=True, nogil=True)
def _thin_block(
    block: Array,
    scan_weight: Array,
    feature_weight: Array,
    key: HashKey,
    choice: FoldChoice,
    out: Array,
) -> None:
    """Counts of one fold, or of all others (``choice``), into ``out`` (row, feature).

    ``block`` (row, feature) times ``scan_weight`` (row,) and ``feature_weight`` (feature,) are counts, all float32.
    ``key`` holds the seed and the place of the first value.
    """
    seed, place = _mix_bits(key.seed), key.place
    for i in range(block.shape[0]):
        for j in range(block.shape[1]):
            if block[i, j] > 0:
                n = int(np.rint(block[i, j] * scan_weight[i] * feature_weight[j]))
                test = binomial_count(n, _mix_bits(seed + place * _GOLDEN), choice.n_bits, choice.fold)
                out[i, j] = test if choice.held_out else n - test
            else:
                out[i, j] = 0
            place += np.uint64(1)


@numba.njit(cache=True, nogil=True)
def binomial_count(n: int, key: np.uint64, n_bits: int, fold: int) -> int:
    """How many of ``n`` electrons have the fold's number as their random bits: a draw of Binomial(n, 2^-n_bits).

    The key itself holds the bits of the first few electrons, which is all that most pixels have. More of them are
    counted 64 at a time, with one random word for each bit.
    """
    # Counting bits takes time proportional to n; above the limit the normal limit is as good.
    if n > MAX_EXACT_COUNT:
        return _approximate_binomial_count(n, key + np.uint64(fold), n_bits)
    total = 0
    if n * n_bits <= 64:
        mask = (np.uint64(1) << np.uint64(n_bits)) - np.uint64(1)
        for electron in range(n):
            total += ((key >> np.uint64(electron * n_bits)) & mask) == np.uint64(fold)
        return total
    word = np.uint64(0)
    for start in range(0, n, 64):
        matching = np.uint64(0xFFFFFFFFFFFFFFFF)
        if n - start < 64:
            matching = (np.uint64(1) << np.uint64(n - start)) - np.uint64(1)
        # Bit i of ``matching`` stays set while electron i has agreed with the fold's number in every bit so far.
        for bit in range(n_bits):
            word += np.uint64(1)
            random = np.uint64(_mix_bits(key + word * _GOLDEN))  # the cast: for pure Python
            matching &= random if (fold >> bit) & 1 else ~random
        while matching:  # clears the lowest set bit each time, and so counts the bits
            matching &= matching - np.uint64(1)
            total += 1
    return total


@numba.njit(cache=True, nogil=True)
def _approximate_binomial_count(n: int, key: np.uint64, n_bits: int) -> int:
    r"""Normal limit of Binomial(n, p): :math:`np + z \sqrt{np(1 - p)}`, z from the Box-Muller transform of hashes."""
    share = 1.0 / (1 << n_bits)
    # 53 random bits make a uniform number in (0, 1): the half keeps the logarithm finite.
    first = (float(_mix_bits(key + _GOLDEN) >> np.uint64(11)) + 0.5) / 9007199254740992.0
    second = float(_mix_bits(key + np.uint64(2) * _GOLDEN) >> np.uint64(11)) / 9007199254740992.0
    normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
    return min(max(int(np.rint(n * share + normal * np.sqrt(n * share * (1 - share)))), 0), n)


@numba.njit(cache=True, nogil=True)
def _mix_bits(x: np.uint64) -> np.uint64:
    """Finaliser of splitmix64: every bit of the result depends on every bit of x."""
    x += _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
