"""Scores of fits on data they have not seen: held-out electrons, or a held-out quarter where data are not counts."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..fitting.blocks import InMemoryRows, RowSource
from ..fitting.hals import Array, Fit, fit_nonnegative_loading
from ..fitting.residual import estimate_rounding
from .electron_lists import ElectronList
from .thinning import Fold

_N_GROUPS, _GROUP_SIZE = 24, 16  # patterns for image quality, each the sum of so many scan points in a row
_DEVIANCE_STEP = 8  # the deviance takes longer than the squared error: it uses every eighth scan point
_FLOOR_SHARE = 0.01  # of the mean pattern in a model of counts, so that a zero cannot cost infinitely much


class FitScores(NamedTuple):
    """Scores of one fit on unseen data."""

    error: float  # squared error relative to the held-out data's square sum
    deviance: float  # Poisson deviance per held-out electron of an eighth of the patterns; NaN for what is no count
    by_point: NDArray[np.float64]  # squared error of every scan point that was held out
    model: tuple[Array, Array]  # (n_groups, k) and (k, feature): the prediction of the patterns for image quality


class HeldOutScores(NamedTuple):
    """Scores of several fits on the same unseen data."""

    fits: list[FitScores]
    reference: Array  # (n_groups, feature): the same patterns as they were held out


def select_groups(n: int, rng: np.random.Generator) -> NDArray[np.integer]:
    """First rows of the groups of scan points whose patterns are used for image quality."""
    size = min(_GROUP_SIZE, n)
    return np.sort(rng.choice(n - size + 1, size=min(_N_GROUPS, n - size + 1), replace=False))


def score_counts(part: Fold, fits: list[Fit], groups: NDArray[np.integer]) -> HeldOutScores:
    r"""Score all fits on one fold of the electrons, in a single pass over it.

    With a pattern :math:`v` and its loadings :math:`l`, the squared error is expanded as :math:`\lVert v\rVert^2 - 2\,
    v \cdot (F^T l) + l^T F F^T l`. No model of the pattern has to be formed then. An error below the rounding of this
    difference counts as this rounding, so that no k wins by it.
    """
    scan = np.float32(1 / part.fraction) / part.thinned.scan_weight
    feature = np.float32(1) / part.thinned.feature_weight
    # All factors are stacked: one product with the electrons serves every fit.
    spans = list(pairwise(np.cumsum([0, *(len(fit.factor) for fit in fits)])))
    stacked = np.empty((len(feature), spans[-1][1]), np.float32)
    for fit, (a, b) in zip(fits, spans, strict=True):
        np.multiply(fit.factor.T, feature[:, None], out=stacked[:, a:b])
    quadratic = [fit.factor @ fit.factor.T for fit in fits]
    n, rounding = part.shape[0], estimate_rounding(part.shape[1])
    by_point, deviance, electrons, norm2 = np.zeros((len(fits), n)), np.zeros(len(fits)), 0.0, 0.0
    reference = np.zeros((len(groups), part.shape[1]), dtype=np.float32)
    for rows, listed in part.read_lists():
        squares = listed.sum_squares(feature) * scan[rows].astype(np.float64) ** 2
        norm2 += float(squares.sum())
        projections = listed.project(stacked).T * scan[rows]
        for i, (fit, (a, b)) in enumerate(zip(fits, spans, strict=True)):
            loading = fit.loading[:, rows]
            model2 = np.einsum("kp,kp->p", loading, quadratic[i] @ loading, dtype=np.float64)
            error = squares - 2 * np.einsum("kp,kp->p", projections[a:b], loading, dtype=np.float64) + model2
            by_point[i, rows] = np.maximum(error, rounding * squares)
        _add_groups(listed, rows, groups, scan, reference)
        sampled = np.flatnonzero(np.arange(rows.start, rows.stop) % _DEVIANCE_STEP == 0)
        if len(sampled):
            some_deviance, some_electrons = _compute_deviances(part, fits, rows, listed, sampled)
            deviance, electrons = deviance + some_deviance, electrons + some_electrons
    scored = []
    for i, fit in enumerate(fits):
        summed = np.stack([fit.loading[:, g : g + _GROUP_SIZE].sum(axis=1) for g in groups])
        error = float(by_point[i].sum()) / max(norm2, 1e-300)
        scored.append(FitScores(error, deviance[i] / max(electrons, 1.0), by_point[i], (summed, fit.factor)))
    return HeldOutScores(scored, reference * feature)


def _add_groups(listed: ElectronList, rows: slice, groups: NDArray[np.integer], scan: Array, reference: Array) -> None:
    """Add counts times ``scan`` of the points of every group that are among ``rows`` to ``reference`` (group, feature).

    A group may begin in one part of the rows and end in the next, so that its parts are added up.
    """
    for g, first in enumerate(groups):
        inside = np.arange(max(first, rows.start), min(first + _GROUP_SIZE, rows.stop))
        points, features, counts = listed.select_rows(inside - rows.start)
        reference[g] += np.bincount(features, counts * scan[inside][points], len(reference[g]))


def _compute_deviances(
    part: Fold, fits: list[Fit], rows: slice, listed: ElectronList, chosen: NDArray[np.integer]
) -> tuple[NDArray[np.float64], float]:
    r"""Poisson deviance of every fit on some rows, and the electrons in them.

    .. math::

        D = 2 \sum_{ij} n_{ij} \ln\frac{n_{ij}}{m_{ij}} - n_{ij} + m_{ij}

    with held-out counts :math:`n` and model :math:`m`, to which 1 % of a rank-one model of the means is mixed. Only
    places with a count enter the logarithm; the sum of the model follows from its factors.
    """
    scan, feature = part.thinned.scan_weight[rows][chosen], part.thinned.feature_weight * np.float32(part.fraction)
    *counted, n = listed.select_rows(chosen)
    electrons = float(n.sum(dtype=np.float64))
    weight = scan[counted[0]] * feature[counted[1]]
    # Scan and feature weights are roots of means, so that their squared product is a rank-one model of the counts.
    total = float(np.sum(scan.astype(np.float64) ** 2) * np.sum(feature.astype(np.float64) ** 2))
    floor = _FLOOR_SHARE * weight**2 * np.float32(electrons / max(total, 1e-300))
    weight *= 1 - _FLOOR_SHARE
    points = np.arange(rows.start, rows.stop)[chosen]
    deviances = np.empty(len(fits))
    for i, fit in enumerate(fits):
        loading = fit.loading[:, points]
        fit_sum = float((loading @ scan) @ (fit.factor @ feature))
        model = weight * _predict_counted(np.ascontiguousarray(loading), fit.factor, (counted[0], counted[1])) + floor
        expected = (1 - _FLOOR_SHARE) * fit_sum + _FLOOR_SHARE * electrons
        deviances[i] = 2 * (float(np.sum(n * np.log(n / model), dtype=np.float64)) - electrons + expected)
    return deviances, electrons


def _predict_counted(loading: Array, factor: Array, counted: tuple[NDArray[np.integer], ...]) -> Array:
    """Model L F at the places with a count (points, features); ``loading`` (k, point), ``factor`` (k, feature)."""
    if 8 * len(counted[0]) > loading.shape[1] * factor.shape[1]:  # a matrix product is then faster
        return np.asarray((loading.T @ factor)[counted])
    return np.asarray(_sum_products_at(loading, factor, *counted))


@numba.njit(cache=True, nogil=True, forceinline=True, fastmath=True)
def _sum_products_at(
    loading: Array, factor: Array, points: NDArray[np.integer], features: NDArray[np.integer]
) -> Array:
    """Sum over components of loadings at ``points`` times factors at ``features``, one for each pair."""
    out = np.zeros(len(points), np.float32)
    for c in range(len(loading)):
        left, right = loading[c], factor[c]
        for e in range(len(points)):
            out[e] += left[points[e]] * right[features[e]]
    return out


class BiCrossSplit(NamedTuple):
    """Half of the scan points and half of the features to train on, the opposite quarter to score on."""

    rows: NDArray[np.bool_]  # trained on
    columns: NDArray[np.bool_]

    def read_training_rows(self, source: RowSource) -> InMemoryRows:
        """The quarter of the matrix that a fit may see, in memory."""
        parts = [block[self.rows[rows]][:, self.columns] for rows, block in source.read_blocks()]
        return InMemoryRows(np.ascontiguousarray(np.concatenate(parts)))


def bi_cross_validation_splits(shape: tuple[int, int], n_runs: int, rng: np.random.Generator) -> Iterator[BiCrossSplit]:
    """A fresh random split of scan points and features into halves for every run."""
    for _ in range(n_runs):
        halves = [rng.permutation(n) < (n + 1) // 2 for n in shape]
        yield BiCrossSplit(*halves)


def score_split(source: RowSource, quarter: BiCrossSplit, fits: list[Fit]) -> tuple[HeldOutScores, list[Fit]]:
    r"""Score fits on the opposite quarter; also returns them with factors on all features.

    With seen (1) and held-out (2) halves of scan points and features,

    .. math::

        V = \begin{pmatrix} V_{11} & V_{12} \\ V_{21} & V_{22} \end{pmatrix},\quad V_{11} \approx L_1 F_1,\quad
        L_2 = \arg\min_{L \ge 0} \lVert V_{21} - L F_1\rVert,\quad
        F_2 = \arg\min_{F \ge 0} \lVert V_{12} - L_1 F\rVert,

    and the score is :math:`\lVert V_{22} - L_2 F_2\rVert^2` (Owen and Perry, Ann. Appl. Stat. 3 (2009) 564, section
    3.3).
    """
    held_rows, held_columns = ~quarter.rows, ~quarter.columns
    factors, loadings = (np.concatenate([getattr(fit, name) for fit in fits]) for name in ("factor", "loading"))
    loading_products = np.zeros((len(factors), int(held_rows.sum())), dtype=np.float32)
    factor_products = np.zeros((len(factors), int(held_columns.sum())), dtype=np.float32)
    held_out = np.empty((loading_products.shape[1], factor_products.shape[1]), dtype=np.float32)
    seen_before, held_before = np.cumsum(np.append(0, quarter.rows)), np.cumsum(np.append(0, held_rows))
    # One pass collects both mixed quarters as projections, and keeps the held-out quarter itself.
    for rows, block in source.read_blocks():
        unseen = slice(held_before[rows.start], held_before[rows.stop])
        trained = slice(seen_before[rows.start], seen_before[rows.stop])
        loading_products[:, unseen] = factors @ block[held_rows[rows]][:, quarter.columns].T
        factor_products += loadings[:, trained] @ block[quarter.rows[rows]][:, held_columns]
        held_out[unseen] = block[held_rows[rows]][:, held_columns]
    squares = np.einsum("ij,ij->i", held_out, held_out, dtype=np.float64)
    norm2, rounding = float(squares.sum()), estimate_rounding(source.shape[1])
    scored, completed = [], []
    reference = np.zeros((min(_N_GROUPS, len(held_out)), source.shape[1]), dtype=np.float32)
    reference[:, held_columns] = held_out[: len(reference)]
    # Both unseen sides are fitted with the seen ones fixed; their product predicts the held-out quarter.
    for fit, (a, b) in zip(fits, pairwise(np.cumsum([0, *(len(fit.factor) for fit in fits)])), strict=True):
        loading = fit_nonnegative_loading(loading_products[a:b], fit.factor @ fit.factor.T)
        factor = np.zeros((len(fit.factor), source.shape[1]), dtype=np.float32)
        factor[:, quarter.columns] = fit.factor
        factor[:, held_columns] = fit_nonnegative_loading(factor_products[a:b], fit.loading @ fit.loading.T)
        by_point = np.square(held_out - loading.T @ factor[:, held_columns]).sum(axis=1, dtype=np.float64)
        by_point = np.maximum(by_point, rounding * squares)
        model = loading[:, : len(reference)].T.copy(), factor * held_columns
        scored.append(FitScores(float(by_point.sum()) / max(norm2, 1e-300), float("nan"), by_point, model))
        completed.append(fit._replace(factor=factor))
    return HeldOutScores(scored, reference), completed
