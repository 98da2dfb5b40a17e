"""Step 2: unknown phases are clusters that no reference explains, confirmed by the pixels around them.

A cluster collects pixels by their own noisy spectra. So its mean contains their noise, and may differ from every
reference although its phase does not. The test therefore uses other pixels: those whose neighbours belong to the
cluster.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..clustering.clusters import compute_mean_spectra
from ..reference_spectra.non_negative import solve_non_negative

Array = NDArray[np.float64]
#: Probability of the misfit by noise alone, below which a cluster is a candidate.
_P_CANDIDATE = 1e-4
#: The same for the pixels around it, below which the candidate is confirmed.
_P_CONFIRMED = 1e-6
_MAX_CANDIDATES = 4
#: Energies whose misfits count as independent. What references lack is smooth in energy, so the energies of one
#: spectrum are fewer independent observations than there are.
_N_INDEPENDENT = 10
_MIN_SHARE = 0.005  # of the material pixels
_MIN_SURROUNDED = 0.7  # share of the neighbours in the phase, for a pixel to count as evidence
_MIN_PIXELS = 10.0
#: Misfit of references relative to the contrast of a spectrum that is usual, so it needs no unknown phase.
_USUAL_MISFIT = 0.02


class UnknownPhases(NamedTuple):
    """Mean spectra that no mixture of two references explains."""

    spectra: Array  # (group, energy)
    tolerance: float  # misfit of the references relative to the contrast of a spectrum

    def none(self) -> "UnknownPhases":
        """An empty set with the same tolerance."""
        return self._replace(spectra=self.spectra[:0])


def no_unknown_phases(spectra: Array, tolerance: float = _USUAL_MISFIT) -> UnknownPhases:
    """An empty set beside reference ``spectra`` (reference, energy)."""
    return UnknownPhases(np.empty((0, spectra.shape[1])), tolerance)


def find_candidate_clusters(
    od: xr.Dataset, responsibility: xr.DataArray, material: xr.DataArray, spectra: Array
) -> UnknownPhases:
    """Clusters whose mean spectrum no reference explains, the least probable first, at most four."""
    weight = responsibility.fillna(0.0).rename(cluster="group")
    mean, error, total = compute_mean_spectra(od, weight, material)
    large = np.flatnonzero(total >= max(_MIN_SHARE * total.sum(), _MIN_PIXELS))
    if large.size == 0:
        return no_unknown_phases(spectra)
    tolerance = estimate_usual_misfit(mean[large], error[large], total[large], spectra)
    probability = np.array(
        [compute_misfit_probability(mean[index], error[index], spectra, tolerance) for index in large]
    )
    order = np.argsort(probability)[:_MAX_CANDIDATES]
    order = order[probability[order] < _P_CANDIDATE]
    return _make_templates(mean[large[order]], spectra, tolerance)


def confirm_unknown_phases(
    od: xr.Dataset, membership: xr.DataArray, material: xr.DataArray, spectra: Array, candidates: UnknownPhases
) -> UnknownPhases:
    """Candidates whose surrounded pixels misfit as well; ``membership`` (scan_y, scan_x, group) are probabilities."""
    weight = xr.apply_ufunc(
        weight_surrounded_pixels,
        membership,
        input_core_dims=[["scan_y", "scan_x", "group"]],
        output_core_dims=[["scan_y", "scan_x", "group"]],
    )
    mean, error, total = compute_mean_spectra(od, weight, material)
    large = np.flatnonzero(total >= _MIN_PIXELS)
    probability = np.array(
        [compute_misfit_probability(mean[index], error[index], spectra, candidates.tolerance) for index in large]
    )
    confirmed = large[probability < _P_CONFIRMED] if large.size else large
    return _make_templates(mean[confirmed], spectra, candidates.tolerance)


def weight_surrounded_pixels(membership: Array) -> Array:
    """Weight (y, x, group) of pixels by the mean membership of their eight neighbours, 0 where few belong.

    Pixels at the rim of a particle do not count, because frames with a small drift distort the spectra of every rim.
    """
    ring = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    known = np.isfinite(membership).all(axis=-1)
    inside = ndimage.binary_erosion(known, np.ones((3, 3)), border_value=1)
    n_neighbours = np.maximum(ndimage.convolve(known.astype(float), ring, mode="constant"), 1.0)
    out = np.zeros(membership.shape)
    for index in range(membership.shape[-1]):
        probability = np.where(known, membership[..., index], 0.0)
        share = ndimage.convolve(probability, ring, mode="constant") / n_neighbours
        out[..., index] = np.where(inside & (share > _MIN_SURROUNDED), share, 0.0)
    return out


def compute_misfit_probability(mean: Array, error: Array, spectra: Array, tolerance: float) -> float:
    """Probability that noise, and references inexact by ``tolerance`` of the contrast, misfit a mean (energy,).

    Each reference alone and every pair is fitted with non-negative amounts and a free constant.
    """
    weights = 1.0 / (error**2 + (tolerance * mean.std()) ** 2)[None]
    return _noise_probability(_fit_mean_spectrum(mean, weights, spectra), mean.size - 3)


def _fit_mean_spectrum(mean: Array, weights: Array, spectra: Array) -> float:
    """Chi-square of a mean spectrum (energy,) for the best pair of references, or for the only one."""
    one = np.ones((1, mean.size))
    n_mixed = min(2, len(spectra))
    fits = [
        solve_non_negative(np.vstack([spectra[list(pair)], one]), mean[None], weights, n_mixed, covariance=False)
        for pair in combinations(range(len(spectra)), n_mixed)
    ]
    return min(float(fit.chi_square[0]) for fit in fits)


def _noise_probability(chi_square: float, degrees_of_freedom: int) -> float:
    """Probability of at least this chi-square by noise, with at most ten independent energies."""
    degrees_of_freedom = max(degrees_of_freedom, 1)
    independent = min(degrees_of_freedom, _N_INDEPENDENT)
    return float(stats.chi2.sf(chi_square / degrees_of_freedom * independent, independent))


def estimate_usual_misfit(mean: Array, error: Array, total: Array, spectra: Array) -> float:
    """Misfit relative to the contrast that half of the material exceeds: how exact these references are.

    ``mean`` and ``error`` are (cluster, energy), ``total`` (cluster,) the pixels in each cluster.
    """
    misfit = []
    for row, sigma in zip(mean, error, strict=True):
        least = _fit_mean_spectrum(row, sigma[None] ** -2.0, spectra)
        variance = float(np.mean(sigma**2))
        # what chi-square exceeds its expectation by, turned back into optical density
        excess = np.sqrt(max(least / max(row.size - 3, 1) - 1.0, 0.0) * variance)
        misfit.append(excess / max(float(row.std()), 1e-12))
    order = np.argsort(misfit)
    middle = np.searchsorted(np.cumsum(total[order]), 0.5 * total.sum())
    return max(float(np.array(misfit)[order][min(int(middle), len(misfit) - 1)]), _USUAL_MISFIT)


def _make_templates(means: Array, spectra: Array, tolerance: float) -> UnknownPhases:
    """Mean spectra scaled to the size of the references, so that amounts stay comparable."""
    if not len(means):
        return no_unknown_phases(spectra, tolerance)
    size = float(np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1).mean())
    centred = means - means.mean(axis=1, keepdims=True)
    return UnknownPhases(centred * size / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12), tolerance)
