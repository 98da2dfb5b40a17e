r"""Directions of some electrons that are found again in others: the first kind of evidence for k.

The electrons are thinned into two parts with independent noise, A and B (:mod:`.thinning`). With the strongest
directions :math:`A \approx U S V^T`, the cross-covariance

.. math::

    C = U^T B\, V

has the expectation :math:`U^T \langle B\rangle V`. Its rank is the number of patterns, and no noise raises it: the
noise of B knows nothing of U and V. A pattern makes one eigenvalue of :math:`(C + C^T) / 2` positive. What is left is
the noise of a small matrix, whose variance is that of the counts,

.. math::

    \mathrm{var}\, C_{ij} = \sum_{pq} u_{pi}^2 v_{qj}^2 \,\mathrm{var}\, B_{pq}.

In expectation the counts of B are their own variance.

A pattern just above noise is spread over several directions, in their order of strength. Number r + 1 is looked for in
the first r + n rows and columns. A small n has less noise, a large one holds more of a spread pattern. Each of
:data:`BLOCK_SIZES` is as likely.

Where one electron is counted as several, or lights several pixels, both parts share some noise. Then directions of
noise are found again too, all to nearly the same share. A line through the shares of the last directions measures and
removes it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fitting.hals import LowRank, split_strength
from .noise_law import compute_edge
from .thinning import Fold

Array = NDArray[np.float64]
BLOCK_SIZES = (2, 4, 8, 16, 1 << 20)  # directions beyond those that are real; the last: all there are
_N_LAST = 12  # directions beyond the largest k: noise alone, where the k tried reach far enough


class CrossCovariance(NamedTuple):
    """What one part of the electrons says of the directions of the others."""

    matrix: Array  # (direction, direction)
    variance: Array  # of every element, from the counts
    strength: Array  # (direction,): singular values of the part in which the directions were found


class Excess(NamedTuple):
    """Eigenvalues of the cross-covariance against the law of noise, (block size, rank): k where k - 1 are real."""

    value: Array  # centred and scaled as the law, mean over all folds but the one with the largest
    ratio: Array  # over the largest that noise would have
    spacing: Array  # share of a direction found again per unit of ``value``
    n_folds: int


def compute_cross_covariance(
    low: LowRank,
    test: Fold,
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    places: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> CrossCovariance:
    """The cross-covariance of the compressed train part and the test part, in one pass over the latter.

    Scan point i and feature j of ``test`` belong to row ``places[0][i]`` and column ``places[1][j]`` of ``low`` (i and
    j where not given). Its values are counts over both ``weights`` (of its rows, of its columns) and over the fraction
    of the electrons in this part.
    """
    left, strength = split_strength(low.left)
    # Counts are whole and their variances are themselves: weights go to the vectors that they are multiplied with.
    spread = left / (weights[0].astype(np.float64) * test.fraction)[:, None]
    right = np.ascontiguousarray((low.right / weights[1]).T)
    if places is not None:
        right = right[places[1]]
    matrix, variance = np.zeros((2, len(strength), len(strength)))
    for points, electrons in test.read_lists():
        rows = spread[points if places is None else places[0][points]]
        matrix += rows.T @ electrons.project(right)
        variance += (rows**2).T @ electrons.project(right**2)
    return CrossCovariance(matrix, variance, strength)


def compute_excess(folds: list[CrossCovariance], n_ranks: int) -> Excess:
    """Compare the eigenvalues of every fold with those of noise, for every number of directions up to ``n_ranks``.

    The noise is that of the counts, or more where the values beyond the one in question scatter more.
    """
    whitened = [_whiten(fold) for fold in folds]
    matrices = np.array([matrix for matrix, _ in whitened])
    largest = np.mean([limit[:n_ranks] for _, limit in whitened], axis=0)
    deviation = _measure_deviation(matrices, n_ranks)
    found, ratio, spacing = np.zeros((3, len(BLOCK_SIZES), n_ranks))
    for i, r in np.ndindex(found.shape):
        n = min(BLOCK_SIZES[i], matrices.shape[1] - r)
        edge = compute_edge(n)
        values = np.linalg.eigvalsh(matrices[:, : r + n, : r + n])[:, -1 - r] / deviation[r]
        # Without the largest: what is real shows in every fold, and counts of 0 or 1 have far outliers in some.
        scaled = np.sort(values)[: max(len(values) - 1, 1)]
        found[i, r] = np.mean((scaled - edge.centre) / edge.scale)
        ratio[i, r] = values.mean() / edge.mean
        spacing[i, r] = edge.scale * deviation[r] / max(float(largest[r]), 1e-12)
    return Excess(found, ratio, spacing, len(folds))


def _measure_deviation(matrices: Array, n_ranks: int) -> Array:
    """Standard deviation of the noise where so many directions are real, (rank,): 1 from the counts, or more."""
    values = np.linalg.eigvalsh(matrices)[:, ::-1]
    square = np.empty(n_ranks)
    for r in range(n_ranks):
        n = values.shape[1] - r
        # All n (n + 1) squares of noise less the largest eigenvalue's are left for the others.
        left = max(n * (n + 1) - compute_edge(n).mean ** 2, 1e-300)
        square[r] = np.sum(values[:, r + 1 :] ** 2) / (len(values) * left)
    return np.sqrt(np.maximum(square, 1.0))


def _whiten(fold: CrossCovariance) -> tuple[Array, Array]:
    """The symmetric matrix without shared noise, of variance 1, and the largest value that each direction can have.

    Whole rows and columns are scaled, not elements, so that the rank stays what it is.
    """
    # Geometric means of rows and columns: the variance of an element is nearly a product of both, and those of the
    # strongest directions are no measure for the others. Behind one element of few counts there may be no electron.
    variance = np.log(np.maximum(fold.variance, max(1e-3 * float(np.median(fold.variance)), 1e-30)))
    # One scale for both sides keeps the matrix symmetric.
    scale = np.exp((variance.mean() - variance.mean(axis=0) - variance.mean(axis=1)) / 4)
    shared = _fit_shared_noise(np.diag(fold.matrix) / np.maximum(fold.strength, 1e-300)) * fold.strength
    matrix = fold.matrix - np.diag(shared)
    # Symmetric noise has half the variance off the diagonal: the root of 2 restores it.
    matrix = scale[:, None] * (matrix + matrix.T) / np.sqrt(2) * scale
    return matrix, np.sqrt(2) * fold.strength * scale**2


def _fit_shared_noise(share: Array) -> Array:
    """Share of every direction that shared noise alone would give: a line through the last ones that does not rise."""
    last = np.arange(len(share))[-_N_LAST:]
    offset = last - last.mean()
    slope = float((offset * share[last]).sum() / max(float((offset**2).sum()), 1e-300))
    return np.asarray(share[last].mean() + min(slope, 0.0) * (np.arange(len(share)) - last.mean()))
