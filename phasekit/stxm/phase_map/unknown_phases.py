"""Phases that no reference names: found as clusters, kept only where pixels around confirm them.

A cluster is chosen by its pixels' own noisy spectra, so its mean carries their noise and may look strange without being
so. The test therefore rests on the pixels whose neighbours, not they themselves, belong to it.
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
#: chance with which noise alone makes a mean spectrum that strange: to be looked at, and to be believed
_SUSPECT, _BELIEVED = 1e-4, 1e-6
_MOST = 4
_INDEPENDENT = 10  # energies whose misfits are taken as independent
_LEAST_SHARE = 0.005  # of the material pixels
_SURROUNDED = 0.7  # share of the neighbours that belong to it, for a pixel to count as evidence
_LEAST_SUPPORT = 10.0  # pixels
#: misfit of references, relative to a spectrum's contrast, that nobody should be surprised by
_TOLERANCE = 0.02
#: shares of the lesser phase from which a mean spectrum is a mixture rather than a phase
_MIXED = 0.2


class UnknownPhases(NamedTuple):
    """Mean spectra (n, energy) that are no reference, and content (n, reference) of those that are mixtures."""

    spectra: Array
    content: Array  # NaN where no mixture explains it
    tolerance: float  # misfit of the references relative to a spectrum's contrast

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Whether no mixture of references explains it."""
        return np.asarray(np.isnan(self.content).any(axis=1))

    def without_unknown(self) -> "UnknownPhases":
        """Mixtures of references only."""
        return self._replace(spectra=self.spectra[~self.unknown], content=self.content[~self.unknown])


class _Strangeness(NamedTuple):
    """How badly a mean spectrum is explained by the best two references, and by the best one."""

    chance_pair: float
    chance_single: float
    content: Array


def no_unknown_phases(spectra: Array, tolerance: float = _TOLERANCE) -> UnknownPhases:
    """An empty set, for a map without clusters."""
    return UnknownPhases(np.empty((0, spectra.shape[1])), np.empty((0, len(spectra))), tolerance)


def find_candidate_clusters(
    od: xr.Dataset, responsibility: xr.DataArray, material: xr.DataArray, spectra: Array
) -> UnknownPhases:
    """Clusters whose mean spectrum no reference explains, the strangest first, at most four."""
    weight = responsibility.fillna(0.0).rename(cluster="group")
    mean, error, total = compute_mean_spectra(od, weight, material)
    alive = np.flatnonzero(total >= max(_LEAST_SHARE * total.sum(), _LEAST_SUPPORT))
    if alive.size == 0:
        return no_unknown_phases(spectra)
    tolerance = estimate_usual_misfit(mean[alive], error[alive], total[alive], spectra)
    found = [misfit_probability(mean[index], error[index], spectra, tolerance) for index in alive]
    chance = np.array([min(one.chance_pair, one.chance_single) for one in found])
    order = np.argsort(chance)[:_MOST]
    order = order[chance[order] < _SUSPECT]
    return _as_templates([mean[alive[index]] for index in order], [found[index] for index in order], spectra, tolerance)


def confirm_unknown_phases(
    od: xr.Dataset, belonging: xr.DataArray, material: xr.DataArray, spectra: Array, strangers: UnknownPhases
) -> UnknownPhases:
    """Those strangers whose surrounded pixels are as strange; ``belonging`` (.., group) are probabilities."""
    weight = xr.apply_ufunc(
        weight_surrounded_pixels,
        belonging,
        input_core_dims=[["scan_y", "scan_x", "group"]],
        output_core_dims=[["scan_y", "scan_x", "group"]],
    )
    mean, error, total = compute_mean_spectra(od, weight, material)
    enough = np.flatnonzero(total >= _LEAST_SUPPORT)
    found = [misfit_probability(mean[index], error[index], spectra, strangers.tolerance) for index in enough]
    sure = [one.chance_pair < _BELIEVED or one.chance_single < _BELIEVED for one in found]
    kept = [(mean[index], one) for index, one, yes in zip(enough, found, sure, strict=True) if yes]
    return _as_templates([one[0] for one in kept], [one[1] for one in kept], spectra, strangers.tolerance)


def weight_surrounded_pixels(belonging: Array) -> Array:
    """Weight (y, x, group) of pixels by the mean belonging of their eight neighbours, 0 where few belong.

    Pixels at the rim of a particle do not count: frames that are not quite aligned make every rim look strange.
    """
    ring = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    known = np.isfinite(belonging).all(axis=-1)
    inside = ndimage.binary_erosion(known, np.ones((3, 3)), border_value=1)
    n = np.maximum(ndimage.convolve(known.astype(float), ring, mode="constant"), 1.0)
    out = np.zeros(belonging.shape)
    for index in range(belonging.shape[-1]):
        mine = np.where(known, belonging[..., index], 0.0)
        share = ndimage.convolve(mine, ring, mode="constant") / n
        out[..., index] = np.where(inside & (share > _SURROUNDED), share, 0.0)
    return out


def misfit_probability(mean: Array, error: Array, spectra: Array, tolerance: float) -> _Strangeness:
    """Chances that noise, and references as inexact as ``tolerance`` (of the contrast), explain the misfit."""
    weights = 1.0 / (error**2 + (tolerance * mean.std()) ** 2)[None]
    one = np.ones((1, mean.size))
    singles = [solve_non_negative(np.vstack([row[None], one]), mean[None], weights, 1) for row in spectra]
    best, content = np.inf, np.full(len(spectra), np.nan)
    for i, j in combinations(range(len(spectra)), 2):
        fit = solve_non_negative(np.vstack([spectra[[i, j]], one]), mean[None], weights, 2)
        if fit.chi_square[0] < best:
            best = float(fit.chi_square[0])
            amounts = fit.coefficient[0, :2]
            content = np.zeros(len(spectra))
            content[[i, j]] = amounts / max(amounts.sum(), 1e-12)
    single = min(float(fit.chi_square[0]) for fit in singles)
    chance_pair = _chance(min(best, single), mean.size - 3)
    mixed = np.sort(content)[-2] >= _MIXED if len(spectra) > 1 else False
    chance_single = _chance(single, mean.size - 2) if mixed else 1.0
    return _Strangeness(chance_pair, chance_single, content)


def _chance(chi_square: float, freedom: int) -> float:
    """Chance of such a chi-square. What references lack is smooth, so many energies are not as many witnesses."""
    freedom = max(freedom, 1)
    independent = min(freedom, _INDEPENDENT)
    return float(stats.chi2.sf(chi_square / freedom * independent, independent))


def estimate_usual_misfit(mean: Array, error: Array, total: Array, spectra: Array) -> float:
    """Misfit relative to the contrast that half of the material shows: what these references are good for."""
    one = np.ones((1, mean.shape[1]))
    excess = []
    for row, sigma in zip(mean, error, strict=True):
        fits = [
            solve_non_negative(np.vstack([spectra[list(pair)], one]), row[None], sigma[None] ** -2.0, len(pair))
            for pair in combinations(range(len(spectra)), min(2, len(spectra)))
        ]
        best = min(float(fit.chi_square[0]) for fit in fits)
        noise = float(np.mean(sigma**2))
        excess.append(np.sqrt(max(best / max(row.size - 3, 1) - 1.0, 0.0) * noise) / max(float(row.std()), 1e-12))
    order = np.argsort(excess)
    middle = np.searchsorted(np.cumsum(total[order]), 0.5 * total.sum())
    return max(float(np.array(excess)[order][min(int(middle), len(excess) - 1)]), _TOLERANCE)


def _as_templates(means: list[Array], found: list[_Strangeness], spectra: Array, tolerance: float) -> UnknownPhases:
    """Means scaled to the references' size, so that amounts stay comparable."""
    if not means:
        return no_unknown_phases(spectra, tolerance)
    size = float(np.linalg.norm(spectra - spectra.mean(axis=1, keepdims=True), axis=1).mean())
    shapes = [mean - mean.mean() for mean in means]
    scaled = np.array([shape * size / max(float(np.linalg.norm(shape)), 1e-12) for shape in shapes])
    content = [np.full(len(spectra), np.nan) if one.chance_pair < _SUSPECT else one.content for one in found]
    return UnknownPhases(scaled, np.array(content), tolerance)
