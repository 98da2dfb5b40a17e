r"""Data that a fit has not seen: Poisson thinning of counts into folds, electron by electron.

Of :math:`n \sim \mathrm{Poisson}(\mu)` electrons each goes to fold f with probability p. The number in the fold is

.. math::

    n_f \mid n \sim \mathrm{Binomial}(n, p),\qquad n_f \sim \mathrm{Poisson}(p \mu),

and the parts are independent (A. Dharamshi et al., J. Mach. Learn. Res. 26 (2025) 1). Nothing is stored: the fold of an
electron is a hash of the seed, the place and the electron's number. Every pass therefore gives the same parts again,
whatever the blocks are.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np

from ..fitting.blocks import Block, RowSource
from ..fitting.hals import Array

MAX_EXACT_COUNT = 1024  # counts above it are split by the normal limit of the binomial (skewness below 0.1)
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


class Fold(NamedTuple):
    """Rows of the features as they would be, had only one part of the electrons been counted."""

    thinned: ThinnedCounts
    fold: int
    held_out: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Scan points and features."""
        return self.thinned.base.shape

    @property
    def fraction(self) -> float:
        """Expected fraction of the electrons in this part."""
        held = 1 / self.thinned.n_folds
        return held if self.held_out else 1 - held

    def read_blocks(self) -> Iterator[Block]:
        """Scaled features of some rows."""
        for rows, values in self.read_counts():
            np.divide(values, self.thinned.scan_weight[rows, None] * np.float32(self.fraction), out=values)
            np.divide(values, self.thinned.feature_weight, out=values)
            yield rows, values

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
