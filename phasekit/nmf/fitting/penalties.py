"""Wishes beside the fit itself, as changes of the two products a sweep works with."""

from typing import NamedTuple

import numpy as np

from .arrays import convert_like, get_namespace
from .hals import Array


class Penalties(NamedTuple):
    """Weights of the wishes; all of them keep the meaning of "the same again" when the data are multiplied by a number.

    Factors have unit norm while a wish is active, so that a map cannot shrink by handing its scale to its pattern.
    """

    sparsity: float = 0.0  # s / 2n of each map's squared sum: empties weak places of a map
    smoothness: float = 0.0  # pull towards the mean of the four scan neighbours; 1 is as strong as the pattern's own
    orthogonality: float = 0.0  # cost of the scalar product of two patterns, in geometric means of their maps' norms
    scan: tuple[int, int] = (1, 1)

    @property
    def is_active(self) -> bool:
        """True when any wish has weight."""
        return max(self.sparsity, self.smoothness, self.orthogonality) > 0

    def normalise_factors(self, loading: Array, factor: Array) -> None:
        """Factors of unit norm, in place."""
        norm = ((factor * factor).sum(1) ** 0.5).clip(float(np.finfo(np.float32).tiny))[:, None]
        factor /= norm
        loading *= norm

    def add_to_loading_step(self, product: Array, gram: Array, target: Array) -> tuple[Array, Array]:
        """F V^T and F F^T with sparsity and smoothness; ``target`` is :meth:`compute_loading_target` at these rows."""
        if self.sparsity == self.smoothness == 0:
            return product, gram
        return product + target, gram + convert_like(np.eye(len(gram), dtype=np.float32), gram) * self.smoothness

    def compute_loading_target(self, loading: Array) -> Array:
        """What is added to F V^T at each scan point (k, pixel), from the maps before."""
        if self.sparsity == self.smoothness == 0:
            return loading[:, :0]
        target = loading * 0 - self.sparsity * loading.mean(1)[:, None]
        if self.smoothness > 0:
            maps = loading.reshape(-1, *self.scan)
            target += (self.smoothness / 4) * _sum_neighbours(maps).reshape(loading.shape)
        return target

    def add_to_factor_gram(self, gram: Array) -> Array:
        """L^T L with the cost of alike patterns beside the diagonal."""
        if self.orthogonality == 0:
            return gram
        size = gram.diagonal() ** 0.5
        beside = convert_like(1 - np.eye(len(gram), dtype=np.float32), gram)
        return gram + self.orthogonality * beside * size[:, None] * size


def _sum_neighbours(maps: Array) -> Array:
    """Sum of the four neighbours of each scan point (..., y, x); beyond the rim a point sees itself."""
    xp = get_namespace(maps)
    rows = xp.concatenate([maps[..., :1, :], maps, maps[..., -1:, :]], axis=-2)
    columns = xp.concatenate([maps[..., :1], maps, maps[..., -1:]], axis=-1)
    total: Array = rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]
    return total


NO_PENALTIES = Penalties()
