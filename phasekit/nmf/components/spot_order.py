"""Whether the spots of a pattern are those of a crystal: differences between them repeat, as on a lattice."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .spot_lists import SpotList

Array = NDArray[np.float64]
_STRONGEST = 24  # spots that are tested: they have 276 differences, and weak ones are the least certain
_FEWEST = 5  # spots, below which even a perfect net can hardly be told from chance
# Shares of the counts in spots. In simulations of 100 and 200 electrons per pattern, backgrounds and components of
# noise had up to .17 in false peaks, and crystals .19 and more.
_SHARES = (0.05, 0.15, 0.25)


class Evidence(IntEnum):
    """How sure it is that a component is a pattern of a crystal."""

    NO_CRYSTAL = 0
    UNLIKELY = 1
    LIKELY = 2
    CRYSTAL = 3


def judge_components(spots: list[SpotList], share: Array, error_rate: float) -> tuple[Array, NDArray[np.int64]]:
    """P-value of the order of each pattern (NaN with too few spots), and its ``Evidence``.

    Either is enough. Away from zone axes a crystal has few spots and no order that could be seen, and diffuse
    scattering lowers the share.

    Parameters
    ----------
    spots, share
        Spots of every component, and the part of its counts that they hold.
    error_rate
        Share of patterns of spots at random places that are called a crystal.
    """
    order = np.array([measure_order(pattern.position, pattern.weight, error_rate) for pattern in spots])
    by_share = np.searchsorted(_SHARES, share, side="right")
    return order, np.where(order <= error_rate, Evidence.CRYSTAL.value, by_share)


def measure_order(position: Array, weight: Array, error_rate: float) -> float:
    """Share of patterns with the same spots at random azimuths that have as many equal differences; NaN below 5 spots.

    On a lattice all differences between spots are lattice vectors, and most occur several times. False peaks and spots
    of many grains on a ring have no such order. The smallest value is a fifth of ``error_rate``.
    """
    if len(weight) < _FEWEST:
        return float("nan")
    chosen = position[np.argsort(-weight, kind="stable")[:_STRONGEST]]
    radius = np.linalg.norm(chosen, axis=1)
    found = _count_equal_differences(chosen)
    rng = np.random.default_rng(0)  # the same patterns give the same answer
    n = int(np.ceil(5 / error_rate)) - 1
    azimuth = rng.uniform(0, 2 * np.pi, (n, len(radius)))
    random = radius[:, None] * np.stack([np.sin(azimuth), np.cos(azimuth)], axis=-1)
    return float((1 + sum(_count_equal_differences(one) >= found for one in random)) / (n + 1))


def _count_equal_differences(position: Array) -> int:
    """Number of pairs of differences between spots that agree within half a disk radius."""
    from scipy.spatial import cKDTree

    i, j = np.triu_indices(len(position), 1)
    difference = position[i] - position[j]
    # A difference and its negative are the same one.
    backward = (difference[:, 0] < 0) | ((difference[:, 0] == 0) & (difference[:, 1] < 0))
    tree = cKDTree(np.where(backward[:, None], -difference, difference))
    return int(tree.count_neighbors(tree, 0.5))
