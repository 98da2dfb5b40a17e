r"""The published K-component loss of many fits, within little memory.

.. math::

    \mathcal L_k = \frac{1}{N M \max v} \sum_{i=1}^{N} \sum_{j=1}^{M} \left| v_{ij} - (W H)_{ij} \right|

with N scan points, M features and v in counts (Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H). Its knee
over k is the published choice (:func:`published_knee`). The sum is an average over scan points, and is taken over at
most 512 of them, drawn at random and the same for every fit. The maximum is that of all data.
"""

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ..fitting.blocks import InMemoryRows, RowSource
from ..fitting.hals import Array, Fit
from ..fitting.labels import read_scan_weight

_SAMPLE = 512  # scan points: the average over them is known within some percent, the same for every k
_ROWS = 64  # rows whose model stays in the cache until it is compared


class KComponentLoss:
    """K-component loss of every start of every rank, (rank, run); fits are compared as soon as they are added."""

    def __init__(self, source: RowSource, features: xr.Dataset, seed: int) -> None:
        n = source.shape[0]
        self.weights = read_scan_weight(features), features["feature_weight"].to_numpy().astype(np.float32)
        self.chosen = np.sort(np.random.default_rng(seed).choice(n, min(_SAMPLE, n), replace=False))
        self.losses: list[NDArray[np.float64]] = []
        self.largest, kept = 0.0, []
        for rows, block in source.read_blocks():
            self.largest = max(self.largest, _find_largest_count(block, self.weights[0][rows], self.weights[1]))
            # Rows in memory are taken from there again; those of a file are kept.
            if not isinstance(source, InMemoryRows):
                here = self.chosen[(self.chosen >= rows.start) & (self.chosen < rows.stop)]
                kept.append(block[here - rows.start])
        self.values = source.data if isinstance(source, InMemoryRows) else np.concatenate(kept)
        self.places = self.chosen if isinstance(source, InMemoryRows) else np.arange(len(self.chosen))

    def add_fits(self, fits: list[Fit]) -> None:
        """Add every start of the next rank."""
        scan, feature = self.weights
        total = np.zeros(len(fits))
        # 64 rows at a time: their model is compared while it is still in the cache.
        for first in range(0, len(self.chosen), _ROWS):
            rows = self.chosen[first : first + _ROWS]
            values = self.values[self.places[first : first + _ROWS]]
            for i, fit in enumerate(fits):
                model = np.ascontiguousarray(fit.loading[:, rows].T) @ fit.factor
                total[i] += _sum_absolute_residuals(values, model, scan[rows], feature)
        self.losses.append(total / (len(self.chosen) * len(feature)) / self.largest)

    def compute_table(self) -> NDArray[np.float64]:
        """Losses (rank, run) of everything that was added."""
        return np.array(self.losses)


@njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _find_largest_count(block: Array, scan_weight: Array, feature_weight: Array) -> float:
    """Largest value times its weights of ``block`` (row, feature)."""
    largest = np.float32(0)
    for i in range(block.shape[0]):
        row = np.float32(0)
        for j in range(block.shape[1]):
            row = max(row, block[i, j] * feature_weight[j])
        largest = max(largest, row * scan_weight[i])
    return float(largest)


@njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _sum_absolute_residuals(block: Array, model: Array, read_scan_weight: Array, feature_weight: Array) -> float:
    """Sum of |v - m| in counts; ``block``, ``model`` (row, feature), weights (row,), (feature,), all float32."""
    total = 0.0
    for i in range(block.shape[0]):
        row = np.float32(0)
        for j in range(block.shape[1]):
            row += abs(block[i, j] - model[i, j]) * feature_weight[j]
        total += row * read_scan_weight[i]
    return total
