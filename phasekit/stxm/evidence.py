"""What each pixel's own spectrum says of the references: one-phase and two-phase fits, Pearson, their comparison."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..correlation import _pearson
from .library import _Library
from .nonnegative import _nonnegative

Array = NDArray[np.float64]


class _Evidence(NamedTuple):
    """Per pixel: chi-square and Pearson of each reference alone; the best pair of neighbouring references."""

    single: Array  # (.., reference)
    pearson: Array  # (.., reference)
    pair: Array  # (..) index of the pair
    pair_chi_square: Array  # (..)
    second_share: Array  # (..) share of the pair's second reference, 0..1


def _pairs_of(library: _Library) -> NDArray[np.intp]:
    """Pairs (n, 2) of references that may mix: neighbours along the composition path, all pairs without composition."""
    n = len(library.names)
    if n == 1:
        return np.zeros((1, 2), dtype=np.intp)
    if np.isfinite(library.composition).all():
        order = np.argsort(library.composition)
        return np.stack([order[:-1], order[1:]], axis=1)
    return np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=np.intp)


def _evidence_block(
    density: Array, noise: Array, material: NDArray[np.bool_], *, spectra: Array, pairs: NDArray[np.intp]
) -> _Evidence:
    """Evidence of a block (.., energy); NaN (pair: -1) where there is no material.

    Every fit has a free constant, and amounts that are not negative: a reference alone is a pair without its partner.
    """
    shape = density.shape[:-1]
    n_energies = density.shape[-1]
    use = np.broadcast_to(material, shape).ravel() & np.isfinite(density).all(axis=-1).ravel()
    x = density.reshape(-1, n_energies)[use].astype(np.float64)
    weights = 1.0 / np.maximum(
        np.broadcast_to(noise, density.shape).reshape(-1, n_energies)[use].astype(float) ** 2, 1e-12
    )
    one = np.ones((1, n_energies))
    single = np.stack([_nonnegative(np.vstack([s[None], one]), x, weights, 1).chi_square for s in spectra], axis=1)
    fits = [_nonnegative(np.vstack([spectra[list(pair)], one]), x, weights, len(set(pair))) for pair in _unique(pairs)]
    chi_square = np.stack([fit.chi_square for fit in fits], axis=1)
    best = chi_square.argmin(axis=1)
    rows = np.arange(len(x))
    amounts = np.stack([fit.coefficient[:, :2] for fit in fits], axis=1)[rows, best]
    total = amounts.sum(axis=1)
    share = amounts[:, 1] / np.where(total > 0, total, np.nan) if pairs[0, 0] != pairs[0, 1] else np.zeros(len(x))
    parts = (single, _pearson(x[:, None], spectra[None]), best.astype(float), chi_square[rows, best], share)
    return _Evidence(*(_spread(part, use, shape) for part in parts))


def _unique(pairs: NDArray[np.intp]) -> list[list[int]]:
    """Pairs as index lists; a lone reference is not fitted against itself."""
    return [sorted(set(pair), key=list(pair).index) for pair in pairs.tolist()]


def _spread(values: Array, use: NDArray[np.bool_], shape: tuple[int, ...]) -> Array:
    out = np.full((use.size, *values.shape[1:]), np.nan)
    out[use] = values
    return out.reshape(*shape, *values.shape[1:])
