"""Penalties beside the squared error, as changes of the two products with which a sweep works."""

from typing import NamedTuple

import numpy as np

from .arrays import convert_like, get_namespace
from .hals import Array


class Penalties(NamedTuple):
    r"""Weights of the penalties on loadings :math:`L` (k, pixel) and factors :math:`F` (k, feature).

    The loadings minimise, row by row with :math:`\lVert F_k\rVert = 1`,

    .. math::

        \tfrac12 \lVert V - L^T F\rVert^2 + s \sum_{ki} \bar L_k L_{ki}
        + \tfrac{q}{2} \sum_{ki} \left(L_{ki} - \tfrac14 \textstyle\sum_{n \in N(i)} L_{kn}\right)^2,

    with the means :math:`\bar L_k` and the neighbours :math:`N(i)` taken from the maps before. The factors' Gram matrix
    gets :math:`o\,\lVert L_k\rVert \lVert L_l\rVert` beside its diagonal. All three keep their meaning when the data
    are multiplied by a number. Factors have unit norm while a penalty is active. A map could otherwise become small by
    giving its scale to its pattern.
    """

    sparsity: float = 0.0  # s: an L1 penalty in units of each map's mean; empties weak places of a map
    smoothness: float = 0.0  # q: pull towards the mean of the four scan neighbours; 1 is as strong as the data's own
    orthogonality: float = 0.0  # o: cost of the scalar product of two patterns, in units of their maps' norms
    scan: tuple[int, int] = (1, 1)

    @property
    def is_active(self) -> bool:
        """True when any penalty has weight."""
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
        """What is added to F V^T at each scan point (k, pixel), from the maps before the pass."""
        if self.sparsity == self.smoothness == 0:
            return loading[:, :0]
        target = loading * 0 - self.sparsity * loading.mean(1)[:, None]
        if self.smoothness > 0:
            maps = loading.reshape(-1, *self.scan)
            target += (self.smoothness / 4) * _sum_neighbours(maps).reshape(loading.shape)
        return target

    def add_to_factor_gram(self, gram: Array) -> Array:
        """L^T L with the cost of similar patterns beside the diagonal."""
        if self.orthogonality == 0:
            return gram
        # In units of the maps' norms, so that the cost does not depend on how strong a component is.
        norms = gram.diagonal() ** 0.5
        off_diagonal = convert_like(1 - np.eye(len(gram), dtype=np.float32), gram)
        return gram + self.orthogonality * off_diagonal * norms[:, None] * norms


def _sum_neighbours(maps: Array) -> Array:
    """Sum of the four neighbours of each scan point (..., y, x); beyond the edge the point itself is taken."""
    xp = get_namespace(maps)
    rows = xp.concatenate([maps[..., :1, :], maps, maps[..., -1:, :]], axis=-2)
    columns = xp.concatenate([maps[..., :1], maps, maps[..., -1:]], axis=-1)
    total: Array = rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]
    return total


NO_PENALTIES = Penalties()
