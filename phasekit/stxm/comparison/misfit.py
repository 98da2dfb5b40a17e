"""Pixels whose fit with references leaves more than noise does."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: share of pixels with nothing but noise that are flagged nevertheless
_FALSE_ALARM_RATE = 1e-3


def exceeds_noise(misfit: Array, sigma: Array, design: Array, n_at_bound: NDArray[np.intp], *, weighted: bool) -> Flags:
    """Whether the residuals ``misfit`` (pixel, energy) exceed what noise ``sigma`` (pixel, energy) leaves, at 0.1 %.

    ``design`` (term, energy) are the rows of the linear model. ``n_at_bound`` (pixel,) amounts were kept at 0; each
    leaves one more degree of freedom. Without any degree of freedom no pixel exceeds noise.
    """
    from scipy.special import chdtri

    # degrees of freedom; an amount at its bound fits nothing
    spare = design.shape[1] - len(design) + n_at_bound
    if weighted:
        mean, variance, total = spare.astype(float), 2.0 * spare, ((misfit / sigma) ** 2).sum(axis=1)
    else:
        mean, variance = _compute_moments(sigma**2, design, n_at_bound)
        total = (misfit**2).sum(axis=1)
    # Without weights the sum of squares is no chi-square, because the noise differs between energies. It is taken as a
    # multiple of chi-square with the same mean and variance (Satterthwaite).
    freedom = np.maximum(2 * mean**2 / np.maximum(variance, 1e-300), 1e-3)
    limit = chdtri(freedom, _FALSE_ALARM_RATE) * mean / freedom
    return np.asarray((spare > 0) & (total > limit))


def _compute_moments(variance: Array, design: Array, n_at_bound: NDArray[np.intp]) -> tuple[Array, Array]:
    r"""Mean and variance (pixel,) of the sum of squared residuals.

    Residuals are the noise with the ``design`` (term, energy) projected out. With the projection :math:`Q` and the
    noise variance :math:`\sigma_e^2` the moments are

    .. math:: \sum_e Q_{ee} \sigma_e^2, \qquad 2 \sum_{ef} Q_{ef}^2 \sigma_e^2 \sigma_f^2
    """
    basis = np.linalg.qr(design.T)[0]
    projection = np.eye(design.shape[1]) - basis @ basis.T
    level = variance.mean(axis=1)
    mean = variance @ np.diag(projection) + n_at_bound * level
    spread = 2 * (((variance @ projection**2) * variance).sum(axis=1) + n_at_bound * level**2)
    return mean, spread
