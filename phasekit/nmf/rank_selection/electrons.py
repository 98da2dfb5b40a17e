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
_N_LAST = 12  # directions beyond the largest k: noise alone, where the k tried reach far enough


class CrossCovariance(NamedTuple):
    """What one part of the electrons says of the directions of the others."""

    matrix: Array  # (direction, direction)
    variance: Array  # of every element, from the counts
    strength: Array  # (direction,): singular values of the part in which the directions were found


class Excess(NamedTuple):
    """Eigenvalues of the cross-covariance against the law of noise, (rank,): number k where k - 1 are real."""

    value: Array  # centred and scaled as the law, mean over all folds but the one with the largest
    ratio: Array  # over the largest that noise would have
    spacing: Array  # share of a direction found again per unit of ``value``
    n_folds: int


def compute_cross_covariance(
    low: LowRank,
    test: Fold,
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    places: NDArray[np.integer] | None = None,
) -> CrossCovariance:
    """The cross-covariance of the compressed train part and the test part, in one pass over the latter.

    Row ``places[i]`` of ``low`` has scan point i (row i where not given). Scaled features are counts over both
    ``weights`` (of the rows of ``low``, of features) and over the fraction of the electrons in this part.
    """
    left, strength = split_strength(low.left)
    # Counts are whole and their variances are themselves: weights go to the vectors that they are multiplied with.
    spread = left / (weights[0].astype(np.float64) * test.fraction)[:, None]
    right = np.ascontiguousarray((low.right / weights[1]).T)
    matrix, variance = np.zeros((2, len(strength), len(strength)))
    for points, electrons in test.read_lists():
        rows = spread[points if places is None else places[points]]
        matrix += rows.T @ electrons.project(right)
        variance += (rows**2).T @ electrons.project(right**2)
    return CrossCovariance(matrix, variance, strength)


def compute_excess(folds: list[CrossCovariance], n_ranks: int) -> Excess:
    """Compare the eigenvalues of every fold with those of noise, for every number of directions up to ``n_ranks``.

    The noise is that of the counts, or more where the values beyond the one in question scatter more.
    """
    whitened = [_whiten(fold) for fold in folds]
    values = np.array([np.linalg.eigvalsh(matrix)[::-1] for matrix, _ in whitened])
    largest = np.mean([limit[:n_ranks] for _, limit in whitened], axis=0)
    found, ratio, spacing = np.zeros((3, n_ranks))
    for r in range(n_ranks):
        n = values.shape[1] - r
        edge = compute_edge(n)
        # All n (n + 1) squares of noise less the largest eigenvalue's are left for the others.
        rest = np.sum(values[:, r + 1 :] ** 2) / (len(values) * max(n * (n + 1) - edge.mean**2, 1e-300))
        deviation = np.sqrt(max(1.0, float(rest)))
        # Without the largest: what is real shows in every fold, and counts of 0 or 1 have far outliers in some.
        scaled = np.sort(values[:, r])[: max(len(values) - 1, 1)] / deviation
        found[r] = np.mean((scaled - edge.centre) / edge.scale)
        ratio[r] = values[:, r].mean() / deviation / edge.mean
        spacing[r] = edge.scale * deviation / max(float(largest[r]), 1e-12)
    return Excess(found, ratio, spacing, len(folds))


def _whiten(fold: CrossCovariance) -> tuple[Array, Array]:
    """The symmetric matrix without shared noise, of variance 1, and the largest value that each direction can have.

    Whole rows and columns are scaled, not elements, so that the rank stays what it is.
    """
    # Means over rows and columns, not elements: behind one element of few counts there may be no electron at all.
    rows, columns, mean = (
        fold.variance.mean(axis=1),
        fold.variance.mean(axis=0),
        max(float(fold.variance.mean()), 1e-30),
    )
    # One scale for both sides keeps the matrix symmetric.
    deviation = np.sqrt(np.sqrt(np.maximum(rows * columns, (1e-6 * mean) ** 2) / mean))
    shared = _fit_shared_noise(np.diag(fold.matrix) / np.maximum(fold.strength, 1e-300)) * fold.strength
    matrix = fold.matrix - np.diag(shared)
    # Symmetric noise has half the variance off the diagonal: the root of 2 restores it.
    scale = 2**0.25 / np.sqrt(deviation)
    return scale[:, None] * (matrix + matrix.T) / 2 * scale, fold.strength * scale**2


def _fit_shared_noise(share: Array) -> Array:
    """Share of every direction that shared noise alone would give: a line through the last ones that does not rise."""
    last = np.arange(len(share))[-_N_LAST:]
    offset = last - last.mean()
    slope = float((offset * share[last]).sum() / max(float((offset**2).sum()), 1e-300))
    return np.asarray(share[last].mean() + min(slope, 0.0) * (np.arange(len(share)) - last.mean()))
