"""Exchange algorithm of Fedorov: one chosen energy at a time is replaced by the best other, from several starts."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .design import DesignModels, compute_exchange_scores, compute_score

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_THINNING_EXPONENTS = (0.4, 0.7, 1.0, 1.5, 2.5)
_ROUNDING_EV = 1e-9


def find_best_choice(designs: DesignModels, energies: Array, n: int, spacing: float, fixed: Index) -> Index | None:
    """Find the best ``n`` candidates (indices, ascending) at least ``spacing`` [eV] apart, with ``fixed`` among them.

    None is returned where they do not fit.
    """
    found = [
        _replace_energies(designs, energies, start, spacing, fixed)
        for start in _make_starts(energies, n, spacing, fixed)
    ]
    return min(found, key=lambda chosen: compute_score(designs, chosen)) if found else None


def _make_starts(energies: Array, n: int, spacing: float, fixed: Index) -> Iterator[Index]:
    """Make choices that keep the spacing: the tightest packing from either end, thinned evenly or towards one end."""
    last, n_free = energies.size - 1, n - fixed.size
    from_above = last - _select_packing(energies[::-1], spacing, last - fixed)
    for tight in (_select_packing(energies, spacing, fixed), np.sort(from_above)):
        # The exchange finds a local optimum, so it begins at choices of very different density.
        spare = tight.size - n_free
        for bend in _THINNING_EXPONENTS if spare >= 0 else ():
            place = np.arange(n_free) + np.round(spare * np.linspace(0, 1, n_free) ** bend).astype(np.intp)
            yield np.sort(np.concatenate([fixed, tight[place]]))


def _select_packing(energies: Array, spacing: float, fixed: Index) -> Index:
    """Select candidates one after another wherever they keep the spacing; no choice holds more of them."""
    taken: list[int] = []
    # Fixed energies keep their surroundings free.
    near_fixed = (np.abs(energies[:, None] - energies[fixed]) < spacing - _ROUNDING_EV).any(axis=1)
    for candidate in np.flatnonzero(~near_fixed):
        if not taken or abs(energies[candidate] - energies[taken[-1]]) >= spacing - _ROUNDING_EV:
            taken.append(int(candidate))
    return np.array(taken, dtype=np.intp)


def _replace_energies(designs: DesignModels, energies: Array, start: Index, spacing: float, fixed: Index) -> Index:
    """Replace one energy at a time by the best other one until nothing improves."""
    chosen, score = start, compute_score(designs, start)
    for _ in range(50):
        before = score
        chosen, score = _replace_each_once(designs, energies, chosen, score, spacing, fixed)
        if score >= before - 1e-9 * abs(before):
            break
    return chosen


def _replace_each_once(
    designs: DesignModels, energies: Array, chosen: Index, score: float, spacing: float, fixed: Index
) -> tuple[Index, float]:
    """Replace every energy that is not fixed once, where that improves the score; returns the choice and its score."""
    for moved in np.setdiff1d(chosen, fixed):
        others = chosen[chosen != moved]
        # The moved energy itself is among them, so that it may stay.
        free = np.flatnonzero((np.abs(energies[:, None] - energies[others]) >= spacing - _ROUNDING_EV).all(axis=1))
        best = free[int(np.argmin(compute_exchange_scores(designs, others, free)))]
        trial = np.sort(np.append(others, best))
        # The updated scores may lack a constant, so the full score decides.
        trial_score = compute_score(designs, trial)
        if trial_score < score:
            chosen, score = trial, trial_score
    return chosen, score
