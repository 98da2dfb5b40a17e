r"""Step 3: every spectrum reduced to the few numbers from which all its fits follow.

The model of a spectrum :math:`x_e` with weights :math:`w_e = 1 / \sigma_e^2` is a thickness :math:`t \ge 0` times a
mixture :math:`m` of the templates :math:`T`, plus a constant :math:`c`. The thickness and the constant are free. With
everything centred by its weighted mean, which eliminates the constant, chi-square of the best fit is

.. math::

    \chi^2(m) = \min_{t \ge 0,\, c} \sum_e w_e \bigl(x_e - t \sum_r m_r T_{re} - c\bigr)^2
              = q - \frac{\max(p \cdot m, 0)^2}{m^\top N m}

.. math::

    N_{rs} = \sum_e w_e (T_{re} - \bar T_r)(T_{se} - \bar T_s), \quad
    p_r = \sum_e w_e (x_e - \bar x) T_{re}, \quad q = \sum_e w_e (x_e - \bar x)^2

So :math:`N, p, q` are sufficient statistics. Single phases, pairs and blurred mixtures are compared without the
spectrum, which is read once.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ..preprocessing.material import find_material
from ..reference_spectra.library import Library
from ..reference_spectra.model_error import ModelError, no_model_error

Array = NDArray[np.floating]
_BATCH = 16384  # pixels
_FEWEST_ENERGIES = 4  # that a spectrum needs for two amounts, a constant and one degree of freedom


class SufficientStatistics(NamedTuple):
    """Statistics of pixels (..), NaN where there is no material."""

    normal_matrix: Array  # N (.., template, template)
    template_projection: Array  # p (.., template)
    weighted_norm: Array  # q (..)
    pearson: Array  # (.., reference), correlation without weights
    noise_share: Array  # (..), share of the variance that is noise and not model error, 0..1
    n_energies: Array  # (..), energies that were measured

    @property
    def degrees_of_freedom(self) -> Array:
        """Degrees of freedom (..) of a spectrum after two amounts and a constant, at least 1."""
        return np.maximum(self.n_energies - 3, 1)


class BestPairs(NamedTuple):
    """Best non-negative mixture of two references that may mix, for pixels (n,)."""

    pair: NDArray[np.intp]  # index into the pairs
    chi_square: Array
    second_share: Array  # of the second reference in the mixture, 0..1


def select_pairs(library: Library) -> NDArray[np.intp]:
    """Pairs (pair, 2) of references that may mix: neighbours in composition, or all pairs without compositions."""
    n = len(library.names)
    if n == 1:
        return np.zeros((1, 2), dtype=np.intp)
    if np.isfinite(library.composition).all():
        order = np.argsort(library.composition)
        return np.stack([order[:-1], order[1:]], axis=1)
    return np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=np.intp)


def _pack_channels(statistics: SufficientStatistics) -> NDArray[np.float32]:
    """All statistics of each pixel in a row (.., channel)."""
    matrix = statistics.normal_matrix
    flat = matrix.reshape(*matrix.shape[:-2], -1)
    parts = [flat, statistics.template_projection, statistics.weighted_norm[..., None], statistics.pearson]
    parts += [statistics.noise_share[..., None], statistics.n_energies[..., None]]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def unpack_channels(channels: Array, n_templates: int, n_references: int) -> SufficientStatistics:
    """Statistics from rows (.., channel)."""
    ends = np.cumsum([n_templates**2, n_templates, 1, n_references, 1, 1])
    matrix, projection, norm, pearson, *single = np.split(channels[..., : ends[-1]], ends[:-1], axis=-1)
    matrix = matrix.reshape(*matrix.shape[:-1], n_templates, n_templates)
    return SufficientStatistics(matrix, projection, norm[..., 0], pearson, *(one[..., 0] for one in single))


def compute_sufficient_statistics(
    od: xr.Dataset, templates: Array, n_references: int, model_error: ModelError
) -> xr.DataArray:
    """Statistics of every material pixel (scan_y, scan_x, channel), block by block; lazy where ``od`` is.

    ``templates`` (template, energy) begin with the references.
    """
    material = find_material(od)
    n = len(templates)
    settings: dict[str, Any] = {"templates": templates, "n_references": n_references, "model_error": model_error}
    statistics: xr.DataArray = xr.apply_ufunc(
        lambda *parts: _pack_channels(compute_block_statistics(*parts, **settings)),
        od["optical_density"],
        od["noise"],
        material,
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["channel"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"channel": n * n + n + 3 + n_references}},
    )
    return statistics.transpose("scan_y", "scan_x", "channel")


def compute_block_statistics(
    density: Array,
    noise: Array,
    material: NDArray[np.bool_],
    *,
    templates: Array,
    n_references: int,
    model_error: ModelError | None = None,
) -> SufficientStatistics:
    """Statistics of a block of optical density (.., energy) with its noise; NaN where there is no material."""
    shape, n_energies = density.shape[:-1], density.shape[-1]
    known = np.isfinite(density) & np.isfinite(noise) & (np.asarray(noise) > 0)
    enough = known.sum(axis=-1) >= min(_FEWEST_ENERGIES, n_energies)
    use = np.broadcast_to(material, shape).ravel() & enough.ravel()
    spectra = np.where(known, density, np.nan).reshape(-1, n_energies)
    sigma = np.broadcast_to(noise, density.shape).reshape(-1, n_energies)
    n = len(templates)
    sizes = ((n, n), (n,), (), (n_references,), (), ())
    error = no_model_error(templates.astype(np.float64)) if model_error is None else model_error
    out = [np.full((use.size, *size), np.nan, dtype=np.float32) for size in sizes]
    pixels = np.flatnonzero(use)
    # in batches, because sums are made in double precision and kept in single
    for first in range(0, pixels.size, _BATCH):
        batch = pixels[first : first + _BATCH]
        x, variance = spectra[batch].astype(np.float64), np.maximum(sigma[batch].astype(np.float64), 1e-6) ** 2
        variance[~np.isfinite(x)] = np.inf  # energies that were not measured have no weight
        for target, values in zip(out, _compute_sums(x, variance, templates, n_references, error), strict=True):
            target[batch] = values
    return SufficientStatistics(*(values.reshape(*shape, *size) for values, size in zip(out, sizes, strict=True)))


def _compute_sums(
    x: Array, variance: Array, templates: Array, n_references: int, error: ModelError
) -> SufficientStatistics:
    """Statistics of spectra (pixel, energy) with noise ``variance``, by matrix products over the energies."""
    known = np.isfinite(x)
    n_energies = known.sum(axis=1)
    x, noise = np.where(known, x, 0.0), np.where(known, variance, 0.0)
    power = (x**2).sum(axis=1) / n_energies - (x.sum(axis=1) / n_energies) ** 2
    contrast = np.maximum(power - noise.sum(axis=1) / n_energies, 0.0)
    model_variance = (error.relative**2 * contrast)[:, None]
    weight = 1.0 / (variance + model_variance)
    noise_share = (noise * weight).sum(axis=1) / n_energies
    total = weight.sum(axis=1)
    mean = (weight * x).sum(axis=1) / total
    template_mean = _sum_over_energies(weight, templates) / total[:, None]
    # products of templates are the same for all pixels, so N is one product with the weights
    products = (templates[:, None] * templates[None]).reshape(len(templates) ** 2, -1)
    normal_matrix = _sum_over_energies(weight, products).reshape(len(x), len(templates), len(templates))
    normal_matrix -= total[:, None, None] * template_mean[:, :, None] * template_mean[:, None]
    centred = weight * (x - mean[:, None])
    pearson = _correlate_known(x, known, templates[:n_references])
    norm = (centred * x).sum(axis=1)
    return SufficientStatistics(
        normal_matrix, _sum_over_energies(centred, templates), norm, pearson, noise_share, n_energies
    )


def _sum_over_energies(one: Array, other: Array) -> Array:
    """Product (pixel, row) of (pixel, energy) and (row, energy), each sum alone.

    A matrix product adds up in an order that depends on how many pixels there are. The map would then depend on the
    chunks: one last bit decides a draw, and that draw the next ones.
    """
    return np.asarray(np.einsum("pe,re->pr", one, other, optimize=False))


def _correlate_known(x: Array, known: NDArray[np.bool_], references: Array) -> Array:
    """Pearson correlation (pixel, reference) over the energies that are known in a pixel."""
    if known.all():
        return np.asarray(pearson_coefficient(x[:, None], references[None]))
    count = known.sum(axis=1, keepdims=True)
    centred = np.where(known, x - x.sum(axis=1, keepdims=True) / count, 0.0)
    mean = known @ references.T / count
    product = centred @ references.T
    power = np.maximum(known @ (references**2).T - count * mean**2, 1e-300)
    return product / np.sqrt(power * np.maximum((centred**2).sum(axis=1, keepdims=True), 1e-300))


def compute_single_chi_square(statistics: SufficientStatistics) -> Array:
    r"""Chi-square (.., template) of each template alone, :math:`q - \max(p_r, 0)^2 / N_{rr}`."""
    norm = np.maximum(np.einsum("...ii->...i", statistics.normal_matrix), 1e-12)
    explained = np.maximum(statistics.template_projection, 0.0) ** 2 / norm
    return np.maximum(statistics.weighted_norm[..., None] - explained, 0.0)


def compute_mixture_chi_square(statistics: SufficientStatistics, mixture: Array) -> Array:
    r"""Chi-square (..) of a mixture with given shares (.., template), :math:`q - \max(p m, 0)^2 / m^\top N m`."""
    norm = np.einsum("...i,...ij,...j->...", mixture, statistics.normal_matrix, mixture, optimize=True)
    projection = np.maximum((statistics.template_projection * mixture).sum(axis=-1), 0.0)
    return np.maximum(statistics.weighted_norm - projection**2 / np.maximum(norm, 1e-12), 0.0)


def find_best_pair(statistics: SufficientStatistics, pairs: NDArray[np.intp]) -> BestPairs:
    """Best pair (pair, 2) of references of each pixel (n,), amounts not negative; a lone reference pairs with itself.

    The two amounts solve the normal equations. Where one is negative, the better reference alone is the optimum.
    """
    single = compute_single_chi_square(statistics)
    chi_square = np.empty((len(statistics.weighted_norm), len(pairs)))
    share = np.empty_like(chi_square)
    matrix, projection = statistics.normal_matrix, statistics.template_projection
    for index, (i, j) in enumerate(pairs):
        n_ii, n_ij, n_jj = matrix[:, i, i], matrix[:, i, j], matrix[:, j, j]
        # parallel references have no determinant; the floor keeps their amounts finite
        determinant = np.maximum(n_ii * n_jj - n_ij * n_ij, 1e-9 * n_ii * n_jj + 1e-30)
        first = (n_jj * projection[:, i] - n_ij * projection[:, j]) / determinant
        second = (n_ii * projection[:, j] - n_ij * projection[:, i]) / determinant
        is_mixture = (first > 0) & (second > 0) & (i != j)
        mixed = statistics.weighted_norm - first * projection[:, i] - second * projection[:, j]
        alone = single[:, [i, j]]
        chi_square[:, index] = np.where(is_mixture, np.maximum(mixed, 0.0), alone.min(axis=1))
        share_alone = (alone[:, 1] < alone[:, 0]).astype(float)
        share[:, index] = np.where(is_mixture, second / np.where(is_mixture, first + second, 1.0), share_alone)
    best = chi_square.argmin(axis=1)
    rows = np.arange(len(best))
    return BestPairs(best, chi_square[rows, best], share[rows, best])
