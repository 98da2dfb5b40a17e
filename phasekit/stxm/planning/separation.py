"""How often noise makes one reference fit a pixel of another better: pairs exactly, many phases by simulation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: below this sum of pair errors the sum itself is taken: simulation would count too few
_LEAST_SIMULATED = 0.01
_DRAWS = 20_000


class _Confusion(NamedTuple):
    """Probability that a pixel of one phase (row) is named another (column) of two alone; (row) of all together."""

    pair: Array  # (reference, reference)
    rate: Array  # (reference,)


def compute_confusion(spectra: Array, variance: Array, nuisances: Array, rng: np.random.Generator) -> _Confusion:
    """Confusion of one-phase fits with free amount and ``nuisances`` (term, energy), weighted by the noise.

    ``spectra`` (reference, energy) are the pixels' own, ``variance`` their noise. With the nuisances projected out and
    noise made white, chi-square of reference j is |y|^2 - (u_j y)^2 for its unit vector u_j: the fit names the j with
    the largest u_j y, which is normal with mean |s_i| u_i u_j and covariance u_j u_k. Of two, u_i y - u_j y has mean
    |s_i| (1 - r) and variance 2 (1 - r), r = u_i u_j, so that the error is Phi(-|s_i| sqrt((1 - r) / 2)).
    """
    from scipy.special import ndtr

    n = len(spectra)
    pair, rate = np.zeros((n, n)), np.zeros(n)
    draws = rng.standard_normal((_DRAWS, n))
    for index in range(n):
        length, overlap = _compute_cosines(spectra, variance[index], nuisances, index)
        chance = ndtr(-length * np.sqrt(np.clip(1 - overlap[index], 0, None) / 2))
        chance[index] = 0.0
        pair[index] = chance
        rate[index] = min(float(chance.sum()), 1.0)
        if rate[index] > _LEAST_SIMULATED:
            seen = length * overlap[index] + draws @ _compute_square_root(overlap).T
            rate[index] = float((seen.argmax(axis=1) != index).mean())
    return _Confusion(pair, rate)


def _compute_cosines(spectra: Array, variance: Array, nuisances: Array, index: int) -> tuple[float, Array]:
    """Length of spectrum ``index`` in units of noise beside the nuisances, and the cosines between all of them."""
    white = spectra / np.sqrt(variance)
    basis = np.linalg.qr((nuisances / np.sqrt(variance)).T)[0]
    white = white - (white @ basis) @ basis.T
    lengths = np.linalg.norm(white, axis=1)
    units = white / np.maximum(lengths, 1e-300)[:, None]
    return float(lengths[index]), np.asarray(units @ units.T)


def _compute_square_root(matrix: Array) -> Array:
    """Square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))
