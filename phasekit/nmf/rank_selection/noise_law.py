r"""Law of the largest eigenvalue of noise, and how likely a larger one is.

The largest eigenvalue :math:`\lambda` of a symmetric n x n matrix of noise (variance 1 off the diagonal, 2 on it),
centred and scaled,

.. math::

    x = n^{1/6} \left(\lambda - 2 \sqrt{n - \tfrac12}\right),

follows the Tracy-Widom law of order 1 (Tracy and Widom, doi 10.1007/BF02099545, 1996). The half makes its mean right
within 0.05 from n = 6 on. The law is nearly a shifted gamma law (Chiani, J. Multivar. Anal. 129 (2014) 69), of
which the mean of several independent values is one again.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_SHAPE, _SCALE, _SHIFT = 46.446, 0.186054, 9.84801  # Chiani (2014), table 1: equal to the first three moments
MEAN = _SHAPE * _SCALE - _SHIFT
DEVIATION = _SHAPE**0.5 * _SCALE


class NoiseEdge(NamedTuple):
    """Centre and scale of the largest eigenvalue of symmetric n x n noise of variance 1 off the diagonal."""

    centre: float
    scale: float

    @property
    def mean(self) -> float:
        """Expected largest eigenvalue."""
        return self.centre + MEAN * self.scale


def compute_edge(n: int) -> NoiseEdge:
    """Centre and scale for n x n values."""
    return NoiseEdge(float(2 * np.sqrt(max(n - 0.5, 0.5))), float(max(n, 1) ** (-1 / 6)))


def compute_log_density(x: ArrayLike, n_means: int = 1) -> Array:
    """Logarithm of the density of the mean of ``n_means`` independent values of the law, at ``x``."""
    from scipy.stats import gamma

    shifted = np.maximum(np.asarray(x, dtype=np.float64) + _SHIFT, 1e-3)
    return np.asarray(gamma.logpdf(shifted, n_means * _SHAPE, scale=_SCALE / n_means), dtype=np.float64)
