"""Wishes beside the fit itself, as changes of the two products a sweep works with."""

from typing import NamedTuple

import numpy as np

from ._hals import _FLOOR, Array


class Penalties(NamedTuple):
    """Weights of the wishes; all of them keep the meaning of "the same again" when the data are multiplied by a number.

    Factors have unit norm while a wish is active, so that a map cannot shrink by handing its scale to its pattern.
    """

    sparsity: float = 0.0  # s / 2n of each map's squared sum: empties weak places of a map
    smoothness: float = 0.0  # pull towards the mean of the four scan neighbours; 1 is as strong as the pattern's own
    orthogonality: float = 0.0  # cost of the scalar product of two patterns, in geometric means of their maps' norms
    scan: tuple[int, int] = (1, 1)

    @property
    def active(self) -> bool:
        """True when any wish has weight."""
        return max(self.sparsity, self.smoothness, self.orthogonality) > 0

    def rescale(self, loading: Array, factor: Array) -> None:
        """Factors of unit norm, in place."""
        norm = ((factor * factor).sum(1) ** 0.5).clip(_FLOOR)[:, None]
        factor /= norm
        loading *= norm

    def on_loading(self, product: Array, gram: Array, wanted: Array) -> tuple[Array, Array]:
        """F V^T and F F^T with sparsity and smoothness; ``wanted`` is :meth:`pull` at these rows."""
        if self.sparsity == self.smoothness == 0:
            return product, gram
        return product + wanted, gram + np.float32(self.smoothness) * np.eye(len(gram), dtype=np.float32)

    def pull(self, loading: Array) -> Array:
        """What is added to F V^T at each scan point (k, pixel), from the maps before."""
        if self.sparsity == self.smoothness == 0:
            return np.zeros((len(loading), 0), dtype=np.float32)
        wanted = -np.float32(self.sparsity) * np.broadcast_to(loading.mean(axis=1, keepdims=True), loading.shape)
        if self.smoothness > 0:
            maps = np.pad(loading.reshape(-1, *self.scan), ((0, 0), (1, 1), (1, 1)), mode="edge")
            around = maps[:, :-2, 1:-1] + maps[:, 2:, 1:-1] + maps[:, 1:-1, :-2] + maps[:, 1:-1, 2:]
            wanted = wanted + np.float32(self.smoothness / 4) * around.reshape(loading.shape)
        return wanted

    def on_factor(self, gram: Array) -> Array:
        """L^T L with the cost of alike patterns beside the diagonal."""
        if self.orthogonality == 0:
            return gram
        size = np.sqrt(np.diag(gram))
        return gram + np.float32(self.orthogonality) * (np.outer(size, size) - np.diag(size**2)).astype(np.float32)


NONE = Penalties()
