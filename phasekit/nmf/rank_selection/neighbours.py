r"""Directions whose maps hang together from scan point to scan point: the second kind of evidence for k.

Noise of one scan point knows nothing of the next, whatever the detector does to it. With the maps :math:`u_i` of the
strongest directions and all pairs (p, q) of neighbouring scan points, the matrix

.. math::

    G_{ij} = \frac{N}{2 P} \sum_{(p, q)} u_{pi} u_{qj} + u_{qi} u_{pj}

has one large eigenvalue for every pattern whose map is wider than a scan point (Moran, Biometrika 37 (1950) 17, for
several maps at once). Its values for noise alone come from the same maps with a random sign at every scan point: this
keeps how strong the noise is where, and removes all that neighbours share.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..fitting.hals import split_strength
from .electrons import BLOCK_SIZES

Array = NDArray[np.float64]
_N_FLIPS = 24  # mean and deviation of the largest eigenvalue of noise are then known to 0.2 and 15 % of a deviation


class Coherence(NamedTuple):
    """Eigenvalues against those with random signs, (block size, rank): number k where k - 1 are real."""

    eigenvalue: Array  # 0 to 1
    noise: Array  # mean of the largest eigenvalue with random signs
    deviation: Array  # its standard deviation


def compute_coherence(
    left: NDArray[np.float32], shape: tuple[int, int], n_ranks: int, rng: np.random.Generator
) -> Coherence | None:
    """Coherence of the maps ``left`` (scan point, direction) on a scan of ``shape``; None for a single scan point.

    As with the electrons, direction r + 1 is looked for in the first r + n rows and columns, n of ``BLOCK_SIZES``.
    """
    if len(left) < 2:
        return None
    maps, _ = split_strength(left)
    matrix = _sum_neighbours(maps, shape)
    signs = (rng.choice(np.array([-1, 1], dtype=np.float32), size=(len(maps), 1)) for _ in range(_N_FLIPS))
    flipped = np.array([_sum_neighbours(maps * sign, shape) for sign in signs])
    found, noise, deviation = np.zeros((3, len(BLOCK_SIZES), n_ranks))
    for i, r in np.ndindex(found.shape):
        end = min(r + BLOCK_SIZES[i], len(matrix))
        found[i, r] = np.linalg.eigvalsh(matrix[:end, :end])[-1 - r]
        largest = np.linalg.eigvalsh(flipped[:, r:end, r:end])[:, -1]
        noise[i, r], deviation[i, r] = largest.mean(), largest.std(ddof=1)
    return Coherence(found, noise, np.maximum(deviation, 1e-12))


def _sum_neighbours(maps: NDArray[np.float32], shape: tuple[int, int]) -> Array:
    """The matrix G of maps (scan point, direction)."""
    grid = maps.reshape(*shape, -1)
    total, pairs = np.zeros((maps.shape[1],) * 2), 0
    for first, second in ((grid[1:], grid[:-1]), (grid[:, 1:], grid[:, :-1])):
        a, b = (part.reshape(-1, maps.shape[1]) for part in (first, second))
        total += a.T @ b
        pairs += len(a)
    return (total + total.T) * (len(maps) / (2 * pairs))
