r"""The published K-component loss of many fits, within little memory.

.. math::

    \mathcal L_k = \frac{1}{N M \max v} \sum_{i=1}^{N} \sum_{j=1}^{M} \left| v_{ij} - (W H)_{ij} \right|

with N scan points, M features and v in counts (Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H). Its knee
over k is the published choice (:func:`published_knee`).
"""

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray

from ..fitting.blocks import RowSource
from ..fitting.factors import read_scan_weight
from ..fitting.hals import Array, Fit

_ROWS = 64  # rows whose model stays in the cache until it is compared
_MAX_WAITING_SHARE = 0.1  # of the data's size: fits that wait take no more, then a pass over the rows compares them


class KComponentLoss:
    """K-component loss of every start of every rank, (rank, run); fits are dropped as soon as they are compared."""

    def __init__(self, source: RowSource, features: xr.Dataset) -> None:
        self.source = source
        self.weights = read_scan_weight(features), features["feature_weight"].to_numpy().astype(np.float32)
        self.waiting: list[list[Fit]] = []
        self.rows: list[NDArray[np.float64]] = []

    def add_fits(self, fits: list[Fit]) -> None:
        """Add every start of the next rank."""
        self.waiting.append(fits)
        held = sum(fit.loading.nbytes + fit.factor.nbytes for each in self.waiting for fit in each)
        if held > _MAX_WAITING_SHARE * 4 * np.prod(self.source.shape):
            self._compare_waiting()

    def compute_table(self) -> NDArray[np.float64]:
        """Losses (rank, run) of everything that was added."""
        if self.waiting:
            self._compare_waiting()
        return np.array(self.rows)

    def _compare_waiting(self) -> None:
        """One pass over the rows for all fits that wait."""
        scan, feature = self.weights
        total, largest = np.zeros((len(self.waiting), len(self.waiting[0]))), 0.0
        for rows, block in self.source.read_blocks():
            largest = max(largest, float(((block * feature).max(axis=1) * scan[rows]).max()))
            # 64 rows at a time: their model is compared while it is still in the cache.
            for first in range(rows.start, rows.stop, _ROWS):
                here = slice(first, min(first + _ROWS, rows.stop))
                self._add_rows(total, here, block[here.start - rows.start : here.stop - rows.start])
        self.rows += list(total / np.prod(self.source.shape) / largest)
        self.waiting = []

    def _add_rows(self, total: NDArray[np.float64], rows: slice, values: Array) -> None:
        """Add the losses of some rows to ``total`` (rank, run)."""
        scan, feature = self.weights
        for i, fits in enumerate(self.waiting):
            for j, fit in enumerate(fits):
                model = fit.loading[:, rows].T @ fit.factor
                total[i, j] += _sum_absolute_residuals(values, model, scan[rows], feature)


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
