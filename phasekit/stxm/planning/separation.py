"""Probability that noise makes the wrong reference fit better: exact for pairs, simulated for many phases."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Sum of pair errors below which it is taken itself: a simulation would count too few.
_LEAST_SIMULATED = 0.01
_DRAWS = 20_000


class _Confusion(NamedTuple):
    """Probability that a pixel of one phase (row) gets the name of another (column)."""

    pair: Array  # (reference, reference)
    rate: Array  # (reference,)


def compute_confusion(spectra: Array, variance: Array, nuisances: Array, rng: np.random.Generator) -> _Confusion:
    r"""Compute the confusion of one-phase fits with free amount and ``nuisances`` (term, energy).

    ``spectra`` (reference, energy) are those of the pixels, ``variance`` (reference, energy) is their noise and weighs
    the fits. The nuisances are projected out and the noise is made white. Then chi-square of reference j for the data y
    is, with its unit vector :math:`u_j`,

    .. math:: \chi_j^2 = |y|^2 - (u_j \cdot y)^2.

    The fit names the j with the largest :math:`u_j \cdot y`. This is normal with mean :math:`|s_i| \, u_i \cdot u_j`
    and covariance :math:`u_j \cdot u_k`. For two references the difference has mean :math:`|s_i| (1 - r)` and variance
    :math:`2 (1 - r)`, with :math:`r = u_i \cdot u_j`. The probability of an error is

    .. math:: P_{ij} = \Phi\left(-|s_i| \sqrt{(1 - r) / 2}\right).
    """
    from scipy.special import ndtr

    n = len(spectra)
    pair, rate = np.zeros((n, n)), np.zeros(n)
    # The same draws for all phases, so that their rates differ by their spectra alone.
    draws = rng.standard_normal((_DRAWS, n))
    for index in range(n):
        length, overlap = _compute_cosines(spectra, variance[index], nuisances, index)
        chance = ndtr(-length * np.sqrt(np.clip(1 - overlap[index], 0, None) / 2))
        # A phase is not confused with itself.
        chance[index] = 0.0
        pair[index] = chance
        # The sum over pairs is an upper bound, and nearly exact where errors are rare.
        rate[index] = min(float(chance.sum()), 1.0)
        if rate[index] > _LEAST_SIMULATED:
            # Draws from the joint normal distribution; the largest projection names the pixel.
            seen = length * overlap[index] + draws @ _compute_square_root(overlap).T
            rate[index] = float((seen.argmax(axis=1) != index).mean())
    return _Confusion(pair, rate)


def _compute_cosines(spectra: Array, variance: Array, nuisances: Array, index: int) -> tuple[float, Array]:
    """Compute the length of spectrum ``index`` in units of noise without the nuisances, and the cosines of all."""
    white = spectra / np.sqrt(variance)
    # An orthonormal basis of the whitened nuisances, to project them out.
    basis = np.linalg.qr((nuisances / np.sqrt(variance)).T)[0]
    white = white - (white @ basis) @ basis.T
    lengths = np.linalg.norm(white, axis=1)
    units = white / np.maximum(lengths, 1e-300)[:, None]
    return float(lengths[index]), np.asarray(units @ units.T)


def _compute_square_root(matrix: Array) -> Array:
    """Compute a square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))
