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

from ..fitting.blocks import Block, RowSource
from ..fitting.hals import Array
from .electron_lists import ElectronList, add_electrons, join_lists, make_electron_list

MAX_EXACT_COUNT = 1024  # counts above it are split by the normal limit of the binomial (skewness below 0.1)
_KEPT_SHARE = 0.08  # of the data's memory: pixels with held-out electrons take no more
_LISTED_ROWS, _READ_ROWS = 64, 512  # scan points whose electrons are listed at a time, and read at a time
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: By number of bits: the first bit of every group of so many in a word.
_FIRST_BITS = np.array([0, *(sum(1 << b * i for i in range(64 // b)) for b in range(1, 65))], dtype=np.uint64)


class FoldChoice(NamedTuple):
    """Which electrons a compiled function counts: one of 2^``n_bits`` folds, or (not ``held_out``) all others."""

    n_bits: int
    fold: int
    held_out: bool


class HashKey(NamedTuple):
    """What the fold of an electron depends on, beside its own number."""

    seed: np.uint64
    place: np.uint64  # number of the value in the whole matrix


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
        kept = test.collect_electrons()
        return train._replace(kept=kept), test._replace(kept=kept)


class Fold(NamedTuple):
    """Rows of the features as they would be, had only one part of the electrons been counted."""

    thinned: ThinnedCounts
    fold: int
    held_out: bool
    kept: ElectronList | None = None  # the held-out electrons of all rows, where they are few

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
        if self.held_out or self.kept is None:
            for rows, values in self.read_counts():
                _scale_block(values, scan[rows], feature)
                yield rows, values
            return
        out = np.empty((0, self.shape[1]), np.float32)
        for rows, block in self.thinned.base.read_blocks():
            out = out if len(out) >= len(block) else np.empty_like(block)
            values = out[: len(block)]
            np.multiply(block, np.float32(1 / self.fraction), out=values)
            _take_scaled(values, self.kept, rows.start, scan[rows], feature)
            yield rows, values

    def read_counts(self) -> Iterator[Block]:
        """Counts of this part of some rows."""
        for rows, block in self.thinned.base.read_blocks():
            out = np.zeros(block.shape, np.float32)
            for some, electrons in self._list_block(rows, block):
                places = np.arange(some.start - rows.start, some.stop - rows.start), np.arange(self.shape[1])
                add_electrons(electrons, places, 1, out)
            yield rows, out

    def read_lists(self) -> Iterator[tuple[slice, ElectronList]]:
        """Electrons of this part of some rows."""
        if self.held_out and self.kept is not None:
            yield from self.kept.read_rows(_READ_ROWS)
            return
        for rows, block in self.thinned.base.read_blocks():
            yield from self._list_block(rows, block)

    def collect_electrons(self) -> ElectronList | None:
        """The electrons of this part; None where they would take more than ``_KEPT_SHARE`` of the data's memory."""
        free = _KEPT_SHARE * 4 * self.shape[0] * self.shape[1]
        kept: list[ElectronList] = []
        for _, electrons in self.read_lists():
            free -= electrons.nbytes
            if free < 0:
                return None
            kept.append(electrons)
        return join_lists(kept)

    def _list_block(self, rows: slice, block: Array) -> Iterator[tuple[slice, ElectronList]]:
        """Electrons of some rows of a block at a time, so that what holds them until they are counted is small."""
        thinned, width = self.thinned, block.shape[1]
        choice = FoldChoice(thinned.n_bits, self.fold, self.held_out)
        size = min(_LISTED_ROWS, len(block)) * width + 1
        columns, counts = np.empty(size, np.uint32), np.empty(size, np.uint32)
        for start in range(0, len(block), _LISTED_ROWS):
            some = slice(rows.start + start, min(rows.start + start + _LISTED_ROWS, rows.stop))
            starts = np.zeros(some.stop - some.start + 1, np.int64)
            # The place counts through the whole matrix, so that blocks of any size give the same folds.
            key = HashKey(np.uint64(thinned.seed), np.uint64(some.start) * np.uint64(width))
            here, weights = block[start : start + _LISTED_ROWS], (thinned.scan_weight[some], thinned.feature_weight)
            _thin_block(here, weights, key, choice, ElectronList(starts, columns, counts, width))
            found = slice(0, int(starts[-1]))
            yield some, make_electron_list(starts, columns[found], counts[found], width)


@numba.njit(cache=True, nogil=True)
def _scale_block(block: Array, scan_scale: Array, feature_scale: Array) -> None:
    """Multiply ``block`` (row, feature) by ``scan_scale`` (row,) and ``feature_scale`` (feature,), in place."""
    for i in range(block.shape[0]):
        row, scale = block[i], scan_scale[i]
        for j in range(block.shape[1]):
            row[j] *= scale * feature_scale[j]


@numba.njit(cache=True, nogil=True)
def _take_scaled(block: Array, kept: ElectronList, first: int, scan_scale: Array, feature_scale: Array) -> None:
    """Take counts times ``scan_scale`` (row,) and ``feature_scale`` (feature,) off ``block`` (row, feature), in place.

    Row ``first`` of ``kept`` is the first of the block. What is left of a pixel whose electrons are all taken away is
    set to 0, which it is but for rounding.
    """
    for i in range(block.shape[0]):
        row, scale = block[i], scan_scale[i]
        for e in range(kept.starts[first + i], kept.starts[first + i + 1]):
            j = kept.columns[e]
            row[j] = max(row[j] - np.float32(kept.counts[e]) * scale * feature_scale[j], np.float32(0))


@numba.njit(cache=True, nogil=True)
def _thin_block(
    block: Array, weights: tuple[Array, Array], key: HashKey, choice: FoldChoice, out: ElectronList
) -> None:
    """Electrons of one fold, or of all others (``choice``), into the arrays of ``out``, which are large enough.

    ``block`` (row, feature) times ``weights`` (row,) and (feature,) are counts, all float32. ``key`` holds the seed and
    the place of the first value.
    """
    scan_weight, feature_weight = weights
    seed, place, width = _mix_bits(key.seed), key.place, block.shape[1]
    found = 0
    for i in range(block.shape[0]):
        # First where there is anything, without a branch; then the electrons of these pixels only.
        row, filled = block[i], found
        for j in range(width):
            out.columns[filled] = j
            filled += row[j] > 0
        for e in range(found, filled):
            j = out.columns[e]
            n = int(np.rint(row[j] * scan_weight[i] * feature_weight[j]))
            test = binomial_count(n, _mix_bits(seed + (place + np.uint64(j)) * _GOLDEN), choice.n_bits, choice.fold)
            count = test if choice.held_out else n - test
            out.columns[found], out.counts[found] = j, count
            found += count > 0
        out.starts[i + 1] = found
        place += np.uint64(width)


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
        return _count_in_key(n, key, n_bits, fold)
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
        total += _count_bits(matching)
    return total


@numba.njit(cache=True, nogil=True)
def _count_in_key(n: int, key: np.uint64, n_bits: int, fold: int) -> int:
    """How many of the first ``n`` groups of ``n_bits`` bits of the key are the fold's number, all at once."""
    one, end, first_bits = np.uint64(1), np.uint64(n * n_bits), _FIRST_BITS[n_bits]
    different, gathered = key ^ (first_bits * np.uint64(fold)), np.uint64(0)
    for bit in range(n_bits):
        gathered |= different >> np.uint64(bit)  # the first bit of a group is set where any of its bits differs
    within = ~np.uint64(0) if end == 64 else (one << end) - one
    return _count_bits(~gathered & first_bits & within)


@numba.njit(cache=True, nogil=True)
def _count_bits(x: np.uint64) -> int:
    """Number of bits that are set: sums of neighbouring pairs, of fours, of eights, then of the bytes."""
    x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


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
