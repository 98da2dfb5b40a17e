"""Counts of which most are 0, as lists of the others.

A part of the electrons is asked for sums only: products with a few vectors, square sums, sums of scan points. All of
them are sums over the pixels that have electrons. No array as large as the data is formed for any of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..fitting.hals import Array

_FULL = 8  # a share of 1 / 8 filled: from there on a matrix product is faster


class ElectronList(NamedTuple):
    """Pixels of some scan points that have electrons; those of row i are ``starts[i]`` to ``starts[i + 1]``."""

    starts: NDArray[np.int64]
    columns: NDArray[np.unsignedinteger]
    counts: NDArray[np.unsignedinteger]
    n_columns: int

    @property
    def n_rows(self) -> int:
        """Number of scan points."""
        return len(self.starts) - 1

    @property
    def n_entries(self) -> int:
        """Number of pixels with electrons."""
        return int(self.starts[-1] - self.starts[0])

    @property
    def nbytes(self) -> int:
        """Memory."""
        return self.starts.nbytes + self.columns.nbytes + self.counts.nbytes

    def read_rows(self, size: int) -> "Iterator[tuple[slice, ElectronList]]":
        """So many rows at a time, as views."""
        for start in range(0, self.n_rows, size):
            rows = slice(start, min(start + size, self.n_rows))
            # Starts count from the whole list, so that features and counts need no copy.
            yield rows, self._replace(starts=self.starts[start : rows.stop + 1])

    def to_dense(self) -> Array:
        """Counts (row, feature), float32."""
        out = np.zeros((self.n_rows, self.n_columns), np.float32)
        add_electrons(self, (np.arange(self.n_rows), np.arange(self.n_columns)), 1, out)
        return out

    def project(self, vectors: Array) -> Array:
        """Products of the counts with ``vectors`` (feature, k), as (row, k)."""
        if _FULL * self.n_entries > self.n_rows * self.n_columns:
            return self.to_dense() @ vectors
        return _sum_products(self, vectors)

    def sum_squares(self, feature_scale: Array) -> NDArray[np.float64]:
        """Square sums of the counts times ``feature_scale`` (feature,), (row,)."""
        return _sum_squares(self, feature_scale)

    def select_rows(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.integer], Array]:
        """Places among ``rows``, features and counts of the pixels with electrons in these rows."""
        size = np.diff(self.starts)[rows]
        # One running number for all entries, moved to the start of each row: no loop in Python.
        entries = np.arange(int(size.sum())) + np.repeat(self.starts[rows] - np.cumsum(size) + size, size)
        return np.repeat(np.arange(len(rows)), size), self.columns[entries], self.counts[entries].astype(np.float32)


def make_electron_list(
    starts: NDArray[np.int64], columns: NDArray[Any], counts: NDArray[Any], n_columns: int
) -> ElectronList:
    """A list in the least memory that holds its numbers."""
    # Features never have 8 bits: numba compiles each further type anew.
    column, count = np.min_scalar_type(max(n_columns - 1, 256)), np.min_scalar_type(int(counts.max(initial=0)))
    return ElectronList(starts, columns.astype(column), counts.astype(count), n_columns)


def join_lists(lists: Sequence[ElectronList]) -> ElectronList:
    """One list of all rows, in order."""
    ends = np.cumsum([0, *(part.starts[-1] for part in lists)])
    starts = [part.starts[:-1] + end for part, end in zip(lists, ends[:-1], strict=True)]
    return ElectronList(
        np.append(np.concatenate(starts), ends[-1]),
        np.concatenate([part.columns for part in lists]),
        np.concatenate([part.counts for part in lists]),  # of the largest type
        lists[0].n_columns,
    )


@numba.njit(cache=True, nogil=True)
def add_electrons(
    electrons: ElectronList,
    places: tuple[NDArray[np.integer], NDArray[np.integer]],
    sign: int,
    out: NDArray[Any],
) -> None:
    """Add the counts times ``sign`` to ``out``: row i goes to row ``places[0][i]``, feature j to ``places[1][j]``."""
    for i in range(len(places[0])):
        row = out[places[0][i]]
        for e in range(electrons.starts[i], electrons.starts[i + 1]):
            # Counts are unsigned and the sign may be -1.
            row[places[1][electrons.columns[e]]] += sign * np.int64(electrons.counts[e])


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _sum_products(electrons: ElectronList, by_feature: Array) -> Array:
    """Counts times ``by_feature`` (feature, k), summed over the features: (row, k)."""
    out = np.zeros((len(electrons.starts) - 1, by_feature.shape[1]), np.float32)
    for i in range(len(out)):
        row = out[i]
        for e in range(electrons.starts[i], electrons.starts[i + 1]):
            count, factor = np.float32(electrons.counts[e]), by_feature[electrons.columns[e]]
            for c in range(len(row)):
                row[c] += count * factor[c]
    return out


@numba.njit(cache=True, nogil=True)
def _sum_squares(electrons: ElectronList, feature_scale: Array) -> NDArray[np.float64]:
    """Sums of squares in double precision, (row,)."""
    out = np.zeros(len(electrons.starts) - 1)
    for i in range(len(out)):
        for e in range(electrons.starts[i], electrons.starts[i + 1]):
            value = np.float64(electrons.counts[e]) * feature_scale[electrons.columns[e]]
            out[i] += value * value
    return out
