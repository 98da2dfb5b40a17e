"""Pixels whose fit with references leaves more than noise does."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: share of pixels with nothing but noise that are flagged nevertheless
_FALSE_ALARM_RATE = 1e-3


def exceeds_noise(misfit: Array, sigma: Array, design: Array, n_at_bound: NDArray[np.intp], *, weighted: bool) -> Flags:
    """Whether the residuals ``misfit`` (pixel, energy) exceed what noise ``sigma`` (pixel, energy) leaves, at 0.1 %.

    ``design`` (term, energy) are the rows of the linear model. Both arrays are NaN at energies that a pixel lacks.
    ``n_at_bound`` (pixel,) amounts were kept at 0; each leaves one more degree of freedom. Without any degree of
    freedom no pixel exceeds noise.
    """
    from scipy.special import chdtri

    # energies that a pixel lacks add nothing to any sum
    known = np.isfinite(misfit) & np.isfinite(sigma)
    # degrees of freedom; an amount at its bound fits nothing
    spare = known.sum(axis=1) - len(design) + n_at_bound
    square = np.where(known, misfit, 0.0) ** 2
    if weighted:
        mean, variance, total = (
            spare.astype(float),
            2.0 * spare,
            (square / np.where(known, sigma, 1.0) ** 2).sum(axis=1),
        )
    else:
        mean, variance = _compute_moments(np.where(known, sigma, 0.0) ** 2, known, design, n_at_bound)
        total = square.sum(axis=1)
    # Without weights the sum of squares is no chi-square, because the noise differs between energies. It is taken as a
    # multiple of chi-square with the same mean and variance (Satterthwaite).
    freedom = np.maximum(2 * mean**2 / np.maximum(variance, 1e-300), 1e-3)
    limit = chdtri(freedom, _FALSE_ALARM_RATE) * mean / freedom
    return np.asarray((spare > 0) & (total > limit))


def _compute_moments(variance: Array, known: Flags, design: Array, n_at_bound: NDArray[np.intp]) -> tuple[Array, Array]:
    r"""Mean and variance (pixel,) of the sum of squared residuals; ``variance`` is 0 where an energy is not known.

    Residuals are the noise with the ``design`` (term, energy) A projected out at the known energies. With the
    projection :math:`P = A^\top G^{-1} A`, :math:`G = A A^\top`, :math:`Q = 1 - P`, :math:`S = A\,\sigma^2 A^\top` and
    the noise variance :math:`\sigma_e^2` the moments are

    .. math:: \sum_e Q_{ee} \sigma_e^2 = \sum_e \sigma_e^2 - \mathrm{tr}(G^{-1} S), \qquad
              2 \sum_{ef} Q_{ef}^2 \sigma_e^2 \sigma_f^2
              = 2 \Big(\sum_e \sigma_e^4 (1 - 2 P_{ee}) + \mathrm{tr}(G^{-1} S G^{-1} S)\Big)
    """
    # an orthogonal basis makes the Gram matrix well conditioned whatever the units of the references
    basis = np.linalg.qr(design.T)[0].T
    products = (basis[:, None] * basis[None]).reshape(len(basis) ** 2, -1)
    shape = (-1, len(basis), len(basis))
    # all pixels share one Gram matrix where none lacks an energy
    gram = (known[:1] if known.all() else known).astype(float) @ products.T
    inverse = np.linalg.pinv(gram.reshape(shape), hermitian=True)
    hat = inverse @ (variance @ products.T).reshape(shape)
    diagonal = inverse.reshape(len(inverse), -1) @ products
    level = variance.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    mean = variance.sum(axis=1) - np.einsum("nii->n", hat) + n_at_bound * level
    squares = (variance**2 * (1 - 2 * diagonal)).sum(axis=1) + np.einsum("nij,nji->n", hat, hat)
    return mean, 2 * (squares + n_at_bound * level**2)
