"""Data that a fit has not seen: Poisson thinning of counts, bi-cross-validation of anything else."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ._hals import Array, Dense, Fit, project_loading


class Judged(NamedTuple):
    """Squared error relative to the held-out data, the factors on all features, and how to predict some patterns."""

    error: float
    factor: Array
    reference: Array  # (n_shown, feature): held-out values of a few patterns
    model: Array  # (n_shown, feature): what the fit says they are


class Split(Protocol):
    """What a fit is trained on, and its judgement on the rest."""

    train: Array

    def judge(self, fit: Fit, shown: NDArray[np.integer]) -> Judged:
        """Compare ``fit`` with the data it has not seen; ``shown`` indexes the patterns to return."""
        ...


class Thinned:
    """Train on a random (1 - share) of the counts, judge on the others: independent when counts are Poisson."""

    def __init__(self, counts: NDArray[np.integer], test: NDArray[np.integer], weight: Array, share: float) -> None:
        self.train = (counts - test).astype(np.float32) / weight / np.float32(1 - share)
        self.test = test.astype(np.float32) / weight / np.float32(share)

    def judge(self, fit: Fit, shown: NDArray[np.integer]) -> Judged:
        """Error on the counts left out."""
        held = Dense(self.test)
        error = _relative_error(held, fit.loading, fit.factor)
        return Judged(error, fit.factor, self.test[shown], fit.loading[:, shown].T @ fit.factor)


class Block:
    """Train on half of the scan points and half of the features, judge on the opposite quarter.

    Loadings of the held-out points come from the features that were seen, factors of the held-out features from the
    points that were seen (Owen and Perry, Ann. Appl. Stat. 3 (2009) 564, section 3.3).
    """

    def __init__(self, data: Array, rng: np.random.Generator) -> None:
        rows, columns = (rng.permutation(n) for n in data.shape)
        self.rows, self.columns = (np.sort(p[: (len(p) + 1) // 2]) for p in (rows, columns))
        self.held_rows, self.held_columns = (np.sort(p[(len(p) + 1) // 2 :]) for p in (rows, columns))
        self.data = data
        self.train = np.ascontiguousarray(data[np.ix_(self.rows, self.columns)])

    def judge(self, fit: Fit, shown: NDArray[np.integer]) -> Judged:
        """Error on the opposite quarter."""
        unseen = project_loading(np.ascontiguousarray(self.data[np.ix_(self.held_rows, self.columns)]), fit.factor)
        across = np.ascontiguousarray(self.data[np.ix_(self.rows, self.held_columns)].T)
        held_factor = project_loading(across, fit.loading)
        factor = np.zeros((len(fit.factor), self.data.shape[1]), dtype=np.float32)
        factor[:, self.columns], factor[:, self.held_columns] = fit.factor, held_factor
        target = self.data[np.ix_(self.held_rows, self.held_columns)]
        error = _relative_error(Dense(np.ascontiguousarray(target)), unseen, held_factor)
        pick = shown % len(self.held_rows)
        reference, model = np.zeros((2, len(shown), self.data.shape[1]), dtype=np.float32)
        reference[:, self.held_columns] = target[pick]
        model[:, self.held_columns] = unseen[:, pick].T @ held_factor
        return Judged(error, factor, reference, model)


def thinned_splits(
    counts: NDArray[np.integer], weight: Array, n_runs: int, rng: np.random.Generator
) -> Iterator[Thinned]:
    """Deal every count to one of ``max(n_runs, 5)`` folds; each run holds one fold out."""
    n_folds = max(n_runs, 5)
    left = counts.copy()
    for fold in range(n_runs):
        test = rng.binomial(left, 1 / (n_folds - fold)) if fold < n_folds - 1 else left
        left = left - test
        yield Thinned(counts, test, weight, 1 / n_folds)


def block_splits(data: Array, n_runs: int, rng: np.random.Generator) -> Iterator[Block]:
    """A fresh random halving of scan points and features for every run."""
    for _ in range(n_runs):
        yield Block(data, rng)


def _relative_error(held: Dense, loading: Array, factor: Array) -> float:
    cross = np.einsum("ij,ij->", held.onto_loadings(loading), factor, dtype=np.float64)
    model = np.einsum("ij,ij->", loading @ loading.T, factor @ factor.T, dtype=np.float64)
    return float(held.norm2 - 2 * cross + model) / max(held.norm2, 1e-300)
