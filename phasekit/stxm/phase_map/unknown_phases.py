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
#: Share of the lesser reference from which a mean spectrum is a mixture.
_MIXED_CLUSTER = 0.2


class UnknownPhases(NamedTuple):
    """Mean spectra that are no reference: of unknown phases, and of transition phases (mixtures of two references)."""

    spectra: Array  # (group, energy)
    mixture: Array  # (group, reference), shares of the references; NaN where no mixture explains the spectrum
    tolerance: float  # misfit of the references relative to the contrast of a spectrum

    @property
    def is_unknown(self) -> NDArray[np.bool_]:
        """Whether (group,) no mixture of references explains the spectrum."""
        return np.asarray(np.isnan(self.mixture).any(axis=1))

    def without_unknown(self) -> "UnknownPhases":
        """The transition phases only."""
        return self._replace(spectra=self.spectra[~self.is_unknown], mixture=self.mixture[~self.is_unknown])


class MisfitTest(NamedTuple):
    """Probability, by noise alone, of the misfit of a mean spectrum."""

    p_pair: float  # misfit of the best two references
    p_single: float  # misfit of the best reference; 1 unless the best two are a mixture
    mixture: Array  # (reference,), shares of the best two


def no_unknown_phases(spectra: Array, tolerance: float = _USUAL_MISFIT) -> UnknownPhases:
    """An empty set beside reference ``spectra`` (reference, energy)."""
    return UnknownPhases(np.empty((0, spectra.shape[1])), np.empty((0, len(spectra))), tolerance)


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
    tests = [compute_misfit_probability(mean[index], error[index], spectra, tolerance) for index in large]
    probability = np.array([min(test.p_pair, test.p_single) for test in tests])
    order = np.argsort(probability)[:_MAX_CANDIDATES]
    order = order[probability[order] < _P_CANDIDATE]
    means = [mean[large[index]] for index in order]
    return _make_templates(means, [tests[index] for index in order], spectra, tolerance)


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
    tests = [compute_misfit_probability(mean[index], error[index], spectra, candidates.tolerance) for index in large]
    is_confirmed = [test.p_pair < _P_CONFIRMED or test.p_single < _P_CONFIRMED for test in tests]
    confirmed = [(mean[index], test) for index, test, yes in zip(large, tests, is_confirmed, strict=True) if yes]
    means, kept_tests = [one for one, _ in confirmed], [test for _, test in confirmed]
    return _make_templates(means, kept_tests, spectra, candidates.tolerance)


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


def compute_misfit_probability(mean: Array, error: Array, spectra: Array, tolerance: float) -> MisfitTest:
    """Test whether noise, and references inexact by ``tolerance`` of the contrast, explain a mean spectrum (energy,).

    Each reference alone and every pair is fitted with non-negative amounts and a free constant.
    """
    weights = 1.0 / (error**2 + (tolerance * mean.std()) ** 2)[None]
    one = np.ones((1, mean.size))
    singles = [solve_non_negative(np.vstack([row[None], one]), mean[None], weights, 1) for row in spectra]
    least_pair, mixture = np.inf, np.full(len(spectra), np.nan)
    for i, j in combinations(range(len(spectra)), 2):
        fit = solve_non_negative(np.vstack([spectra[[i, j]], one]), mean[None], weights, 2)
        if fit.chi_square[0] < least_pair:
            least_pair = float(fit.chi_square[0])
            amounts = fit.coefficient[0, :2]
            mixture = np.zeros(len(spectra))
            mixture[[i, j]] = amounts / max(amounts.sum(), 1e-12)
    least_single = min(float(fit.chi_square[0]) for fit in singles)
    p_pair = _noise_probability(min(least_pair, least_single), mean.size - 3)
    is_mixture = np.sort(mixture)[-2] >= _MIXED_CLUSTER if len(spectra) > 1 else False
    p_single = _noise_probability(least_single, mean.size - 2) if is_mixture else 1.0
    return MisfitTest(p_pair, p_single, mixture)


def _noise_probability(chi_square: float, degrees_of_freedom: int) -> float:
    """Probability of at least this chi-square by noise, with at most ten independent energies."""
    degrees_of_freedom = max(degrees_of_freedom, 1)
    independent = min(degrees_of_freedom, _N_INDEPENDENT)
    return float(stats.chi2.sf(chi_square / degrees_of_freedom * independent, independent))


def estimate_usual_misfit(mean: Array, error: Array, total: Array, spectra: Array) -> float:
    """Misfit relative to the contrast that half of the material exceeds: how exact these references are.

    ``mean`` and ``error`` are (cluster, energy), ``total`` (cluster,) the pixels in each cluster.
    """
    one = np.ones((1, mean.shape[1]))
    misfit = []
    for row, sigma in zip(mean, error, strict=True):
        fits = [
            solve_non_negative(np.vstack([spectra[list(pair)], one]), row[None], sigma[None] ** -2.0, len(pair))
            for pair in combinations(range(len(spectra)), min(2, len(spectra)))
        ]
        least = min(float(fit.chi_square[0]) for fit in fits)
        variance = float(np.mean(sigma**2))
        # what chi-square exceeds its expectation by, turned back into optical density
        excess = np.sqrt(max(least / max(row.size - 3, 1) - 1.0, 0.0) * variance)
        misfit.append(excess / max(float(row.std()), 1e-12))
    order = np.argsort(misfit)
    middle = np.searchsorted(np.cumsum(total[order]), 0.5 * total.sum())
    return max(float(np.array(misfit)[order][min(int(middle), len(misfit) - 1)]), _USUAL_MISFIT)


def _make_templates(means: list[Array], tests: list[MisfitTest], spectra: Array, tolerance: float) -> UnknownPhases:
    """Mean spectra scaled to the size of the references, so that amounts stay comparable."""
    if not means:
        return no_unknown_phases(spectra, tolerance)
    size = float(np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1).mean())
    centred = [mean - mean.mean() for mean in means]
    scaled = np.array([row * size / max(float(np.linalg.norm(row)), 1e-12) for row in centred])
    mixture = [np.full(len(spectra), np.nan) if test.p_pair < _P_CANDIDATE else test.mixture for test in tests]
    return UnknownPhases(scaled, np.array(mixture), tolerance)
