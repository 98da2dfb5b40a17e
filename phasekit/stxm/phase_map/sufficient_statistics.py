"""What each pixel's own spectrum says: the few sums that every fit with a free thickness and constant is made of.

With weights w = 1 / noise^2 and everything centred by its weighted mean (which eliminates the constant), chi-square of
``thickness * (content @ templates)`` is ``power - (content @ overlap)^2 / (content @ gram @ content)``. So a pixel is
read once, and pure phases, pairs and blurred mixtures of any phases are compared without its spectrum.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...correlation import pearson_coefficient
from ..preprocessing.material import find_material
from ..reference_spectra.library import Library

Array = NDArray[np.floating]
_BATCH = 16384


class SufficientStatistics(NamedTuple):
    """Per pixel: centred weighted products of templates with each other, of spectrum and templates, of the spectrum."""

    gram: Array  # (.., template, template)
    overlap: Array  # (.., template)
    power: Array  # (..)
    pearson: Array  # (.., reference), unweighted, as the method's name says


class BestPairs(NamedTuple):
    """Best non-negative mixture of two neighbouring references per pixel."""

    pair: NDArray[np.intp]
    chi_square: Array
    second_share: Array


def select_pairs(library: Library) -> NDArray[np.intp]:
    """Pairs (n, 2) of references that may mix: neighbours along the composition path, all pairs without composition."""
    n = len(library.names)
    if n == 1:
        return np.zeros((1, 2), dtype=np.intp)
    if np.isfinite(library.composition).all():
        order = np.argsort(library.composition)
        return np.stack([order[:-1], order[1:]], axis=1)
    return np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=np.intp)


def _packed(sums: SufficientStatistics) -> NDArray[np.float32]:
    """All sums of each pixel in a row (.., channel)."""
    flat = sums.gram.reshape(*sums.gram.shape[:-2], -1)
    return np.concatenate([flat, sums.overlap, sums.power[..., None], sums.pearson], axis=-1).astype(np.float32)


def unpack_channels(channels: Array, n: int, n_references: int) -> SufficientStatistics:
    """Sums of rows that may go on behind them."""
    ends = np.cumsum([n * n, n, 1, n_references])
    gram, overlap, power, pearson = np.split(channels[..., : ends[-1]], ends[:-1], axis=-1)
    return SufficientStatistics(gram.reshape(*gram.shape[:-1], n, n), overlap, power[..., 0], pearson)


def compute_sufficient_statistics(od: xr.Dataset, templates: Array, n_references: int) -> xr.DataArray:
    """Sums of every material pixel (scan_y, scan_x, channel), block by block; lazy where ``od`` is."""
    material = find_material(od)
    n = len(templates)
    found: xr.DataArray = xr.apply_ufunc(
        lambda *parts: _packed(compute_block_statistics(*parts, templates=templates, n_references=n_references)),
        od["optical_density"],
        od["noise"],
        material,
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["channel"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"channel": n * n + n + 1 + n_references}},
    )
    return found.transpose("scan_y", "scan_x", "channel")


def compute_block_statistics(
    density: Array, noise: Array, material: NDArray[np.bool_], *, templates: Array, n_references: int
) -> SufficientStatistics:
    """Sums of a block (.., energy), NaN where there is no material."""
    shape, n_energies = density.shape[:-1], density.shape[-1]
    use = np.broadcast_to(material, shape).ravel() & np.isfinite(density).all(axis=-1).ravel()
    spectra = density.reshape(-1, n_energies)
    sigma = np.broadcast_to(noise, density.shape).reshape(-1, n_energies)
    n = len(templates)
    sizes = ((n, n), (n,), (), (n_references,))
    out = [np.full((use.size, *size), np.nan, dtype=np.float32) for size in sizes]
    places = np.flatnonzero(use)
    for first in range(0, places.size, _BATCH):
        part = places[first : first + _BATCH]
        x, weight = spectra[part].astype(np.float64), np.maximum(sigma[part].astype(np.float64), 1e-6) ** -2.0
        for target, values in zip(out, _sums(x, weight, templates, n_references), strict=True):
            target[part] = values
    return SufficientStatistics(*(values.reshape(*shape, *size) for values, size in zip(out, sizes, strict=True)))


def _sums(x: Array, weight: Array, templates: Array, n: int) -> SufficientStatistics:
    """Sums of spectra (pixel, energy), by matrix products over the energies."""
    total = weight.sum(axis=1)
    mean = (weight * x).sum(axis=1) / total
    template_mean = weight @ templates.T / total[:, None]
    products = (templates[:, None] * templates[None]).reshape(len(templates) ** 2, -1)
    gram = (weight @ products.T).reshape(len(x), len(templates), len(templates))
    gram -= total[:, None, None] * template_mean[:, :, None] * template_mean[:, None]
    centred = weight * (x - mean[:, None])
    return SufficientStatistics(
        gram, centred @ templates.T, (centred * x).sum(axis=1), pearson_coefficient(x[:, None], templates[None, :n])
    )


def chi_square_single(sums: SufficientStatistics) -> Array:
    """Chi-square (.., template) of each template alone, thickness not negative."""
    size = np.maximum(np.einsum("...ii->...i", sums.gram), 1e-12)
    return np.maximum(sums.power[..., None] - np.maximum(sums.overlap, 0.0) ** 2 / size, 0.0)


def mixture_chi_square(sums: SufficientStatistics, content: Array) -> Array:
    """Chi-square (..) of a mixture whose shares (.., template) are given."""
    size = np.einsum("...i,...ij,...j->...", content, sums.gram, content, optimize=True)
    along = np.maximum((sums.overlap * content).sum(axis=-1), 0.0)
    return np.maximum(sums.power - along**2 / np.maximum(size, 1e-12), 0.0)


def find_best_pair(sums: SufficientStatistics, pairs: NDArray[np.intp]) -> BestPairs:
    """Best pair of references of each pixel (n,), amounts not negative; a lone reference pairs with itself."""
    alone = chi_square_single(sums)
    chi_square = np.empty((len(sums.power), len(pairs)))
    share = np.empty_like(chi_square)
    for index, (i, j) in enumerate(pairs):
        a, b, c = sums.gram[:, i, i], sums.gram[:, i, j], sums.gram[:, j, j]
        determinant = np.maximum(a * c - b * b, 1e-9 * a * c + 1e-30)
        first = (c * sums.overlap[:, i] - b * sums.overlap[:, j]) / determinant
        second = (a * sums.overlap[:, j] - b * sums.overlap[:, i]) / determinant
        both = (first > 0) & (second > 0) & (i != j)
        mixed = sums.power - first * sums.overlap[:, i] - second * sums.overlap[:, j]
        lone = alone[:, [i, j]]
        chi_square[:, index] = np.where(both, np.maximum(mixed, 0.0), lone.min(axis=1))
        alone_share = (lone[:, 1] < lone[:, 0]).astype(float)
        share[:, index] = np.where(both, second / np.where(both, first + second, 1.0), alone_share)
    best = chi_square.argmin(axis=1)
    rows = np.arange(len(best))
    return BestPairs(best, chi_square[rows, best], share[rows, best])
