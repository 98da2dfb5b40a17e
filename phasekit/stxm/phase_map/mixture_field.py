r"""The smooth field of mixtures: what each pixel holds where no sharp domain explains it.

A pixel that is no pure phase is a mixture of two references. Its share is estimated from the pixel and as many of its
neighbours as the data support. With a Gaussian window :math:`K` over the neighbours :math:`l`, thicknesses :math:`t`
and the sufficient statistics :math:`N, p` (:mod:`.sufficient_statistics`) the amounts :math:`b \ge 0` of a pair
minimise

.. math:: \sum_l K_{jl} \, (t_l^2 \, b^\top N_l b - 2 t_l \, p_l \cdot b)

A free share fits noise. Its cost is the Occam factor of the Laplace approximation (MacKay 1992) with a uniform prior of
the share, and at least 1 nat, spread over the pixels that share it:

.. math::

    c_j = h_j \max\Bigl(\tfrac12 \log \frac{1}{2 \pi \sigma_j^2} + \log n_\mathrm{pairs}, 1\Bigr), \quad
    h_j = K_{jj} I_j \Big/ \sum_l K_{jl} I_l, \quad
    \sigma_j^2 = \sum_l K_{jl}^2 I_l \Big/ \Bigl(\sum_l K_{jl} I_l\Bigr)^2 + m_j

where :math:`I` is the Fisher information of the share, :math:`h` the leverage of a pixel on its own value and :math:`m`
the variance by the misfit of the references, which is the same in the neighbours and does not average out. The window
is the one with the least :math:`\chi^2_j / 2 + c_j` around the pixel.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .sufficient_statistics import (
    BestPairs,
    SufficientStatistics,
    compute_mixture_chi_square,
    find_best_pair,
)

Array = NDArray[np.floating]
#: standard deviations of the window that are tried [px]; 0: the pixel alone
_WINDOWS = (0.0, 0.7, 1.2, 2.0, 3.5)
_BATCH = 65536  # pixels whose spectra are compared at a time
#: standard deviation of the surroundings over which the windows are compared [px]
_COMPARED_PX = 3.0


class MixtureField(NamedTuple):
    """Mixture of two references in every pixel of a map (y, x); a share of 0 where there is no material."""

    first: NDArray[np.int8]
    second: NDArray[np.int8]
    share: NDArray[np.float32]  # of the second reference, 0..1
    share_error: NDArray[np.float32]  # standard error by noise and by the misfit of the references
    cost: NDArray[np.float32]  # Occam factor [nat]


def fit_mixture_field(
    statistics: SufficientStatistics, pairs: NDArray[np.intp], noise_scale: Array, thickness: Array
) -> MixtureField:
    """Fit the field to the statistics of the references (y, x, ..).

    ``noise_scale`` and ``thickness`` are (y, x), ``pairs`` (pair, 2) the references that may mix.
    """
    material = np.isfinite(statistics.weighted_norm)
    least = np.full(material.shape, np.inf)
    field = _make_empty_field(material.shape)
    for width in _WINDOWS:
        tried, criterion = _fit_window(statistics, pairs, noise_scale, thickness, width)
        around = ndimage.gaussian_filter(material.astype(float), _COMPARED_PX)
        local = ndimage.gaussian_filter(np.where(material, criterion, 0.0), _COMPARED_PX) / np.maximum(around, 1e-12)
        better = material & (local < least)
        least[better] = local[better]
        for name in MixtureField._fields:
            getattr(field, name)[better] = getattr(tried, name)[better]
    return field


def make_shares(field: MixtureField, n_templates: int) -> Array:
    """Shares (y, x, template) of the field."""
    index = np.arange(n_templates)
    share = field.share[..., None].astype(np.float64)
    return (field.first[..., None] == index) * (1 - share) + (field.second[..., None] == index) * share


def _make_empty_field(shape: tuple[int, ...]) -> MixtureField:
    """A field of the first reference alone."""
    return MixtureField(
        np.zeros(shape, np.int8), np.zeros(shape, np.int8), *(np.zeros(shape, np.float32) for _ in range(3))
    )


def _fit_window(
    statistics: SufficientStatistics, pairs: NDArray[np.intp], noise_scale: Array, thickness: Array, width: float
) -> tuple[MixtureField, Array]:
    """Field of one window and its criterion (y, x)."""
    material = np.isfinite(statistics.weighted_norm)
    best = _fit_pairs(statistics, pairs, noise_scale, thickness, width)
    first, second = pairs[best.pair].T
    scale, noise_share = noise_scale[material], statistics.noise_share[material]
    chi_square, information = _compare_with_spectra(statistics, first, second, best.second_share)
    chi_square, information = chi_square / noise_share, information * thickness[material] ** 2
    leverage, variance = _compute_leverage(information / noise_share, material, width)
    # a misfit is the same in the neighbours, so that averaging does not reduce it
    variance += (scale - noise_share) / information
    nat = 0.5 * np.log(1 / (2 * np.pi * np.maximum(variance, 1e-12))) + np.log(len(pairs))
    cost = leverage * np.maximum(nat, 1.0)
    found = MixtureField(first, second, best.second_share, np.sqrt(variance), cost)
    field = _make_empty_field(material.shape)
    for name in MixtureField._fields:
        getattr(field, name)[material] = getattr(found, name)
    criterion = np.zeros(material.shape)
    criterion[material] = 0.5 * chi_square + cost
    return field, criterion


def _compare_with_spectra(
    statistics: SufficientStatistics, first: NDArray[np.intp], second: NDArray[np.intp], second_share: Array
) -> tuple[Array, Array]:
    """Chi-square and Fisher information, both (n,), of the mixture of each material pixel; in batches."""
    flat = SufficientStatistics(*(values.reshape(-1, *values.shape[2:]) for values in statistics))
    pixels = np.flatnonzero(np.isfinite(flat.weighted_norm))
    chi_square, information = np.empty(pixels.size), np.empty(pixels.size)
    for start in range(0, pixels.size, _BATCH):
        part = slice(start, start + _BATCH)
        inside = SufficientStatistics(*(values[pixels[part]] for values in flat))
        mixture = np.zeros(inside.template_projection.shape)
        rows = np.arange(len(mixture))
        mixture[rows, first[part]] += 1 - second_share[part]
        mixture[rows, second[part]] += second_share[part]
        chi_square[part] = compute_mixture_chi_square(inside, mixture)
        information[part] = _compute_information(inside.normal_matrix, mixture, first[part], second[part])
    return chi_square, information


def _fit_pairs(
    statistics: SufficientStatistics, pairs: NDArray[np.intp], noise_scale: Array, thickness: Array, width: float
) -> BestPairs:
    """Best pair of every material pixel from the statistics summed over the window."""
    material = np.isfinite(statistics.weighted_norm)
    if width == 0:
        return find_best_pair(SufficientStatistics(*(values[material] for values in statistics)), pairs)
    noise_share = statistics.noise_share
    by_pixel = np.where(material, thickness / noise_share, 0.0)

    def average(values: Array, weight: Array) -> Array:
        """Average channels (y, x, channel) over the window, at the material pixels."""
        weighted = [np.where(material, values[..., index] * weight, 0.0) for index in range(values.shape[-1])]
        return np.stack([ndimage.gaussian_filter(one, width, mode="constant")[material] for one in weighted], axis=-1)

    n = statistics.template_projection.shape[-1]
    upper = np.triu_indices(n)
    matrix = np.empty((int(material.sum()), n, n), dtype=np.float32)
    matrix[:, upper[0], upper[1]] = average(statistics.normal_matrix[..., upper[0], upper[1]], by_pixel * thickness)
    matrix[:, upper[1], upper[0]] = matrix[:, upper[0], upper[1]]
    projection = average(statistics.template_projection, by_pixel)
    norm = average(statistics.weighted_norm[..., None], 1.0 / noise_share)[:, 0]
    pooled = SufficientStatistics(matrix, projection, norm, projection, norm, norm)
    return find_best_pair(pooled, pairs)


def _compute_information(
    normal_matrix: Array, mixture: Array, first: NDArray[np.intp], second: NDArray[np.intp]
) -> Array:
    """Fisher information (n,) of the share for unit thickness, with thickness and constant free."""
    direction = np.zeros_like(mixture)
    rows = np.arange(len(mixture))
    direction[rows, first] -= 1.0
    direction[rows, second] += 1.0
    along = np.einsum("ni,nij,nj->n", direction, normal_matrix, direction, optimize=True)
    across = np.einsum("ni,nij,nj->n", direction, normal_matrix, mixture, optimize=True)
    norm = np.einsum("ni,nij,nj->n", mixture, normal_matrix, mixture, optimize=True)
    return np.maximum(along - across**2 / np.maximum(norm, 1e-12), 1e-12)


def _compute_leverage(information: Array, material: NDArray[np.bool_], width: float) -> tuple[Array, Array]:
    """Leverage (n,) of each material pixel on its own share, and the variance (n,) of the share."""
    if width == 0:
        return np.ones_like(information), 1.0 / information
    image = np.zeros(material.shape)
    image[material] = information
    total = ndimage.gaussian_filter(image, width, mode="constant")[material]
    # the square of a Gaussian is a Gaussian of 1 / sqrt(2) the width, divided by 4 pi sigma^2
    squares = ndimage.gaussian_filter(image, width / np.sqrt(2), mode="constant")[material] / (4 * np.pi * width**2)
    centre = ndimage.gaussian_filter1d(np.eye(1, 31, 15)[0], width)[15] ** 2
    return centre * information / total, squares / total**2
