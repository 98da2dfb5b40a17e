r"""What reference spectra lack: a correction common to the stack, and the misfit that is left.

References measured on another sample or instrument differ from the phases of a stack by a few per cent. Part of the
difference is the same in all pixels. It is estimated from the means :math:`x_b` of blocks of pixels,

.. math:: x_b = \sum_r a_{br} (S_r + d_r) + c_b + e_b, \quad d_r(E) \sim N(0, \tau^2 s^2),

where :math:`s` is the contrast of the references (their standard deviation over the energies). The prior width
:math:`\tau` is the measured misfit itself (empirical Bayes). Corrections along the references are not made: they cannot
be told from other amounts. What is left is a model error of variance :math:`(\tau a s)^2` in every spectrum. It is
smooth in energy, so the energies of a spectrum are fewer independent observations than there are.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .non_negative import solve_non_negative

Array = NDArray[np.float64]
_ITERATIONS = 5
_FEWEST_BLOCKS = 4  # two to fit a correction and two to test it
#: reduced chi-square at which a block's weight is halved: the references do not explain it
_POOR_FIT = 3.0
#: misfit relative to the contrast beyond which a spectrum is of another material, however unlike the references are
_LARGEST_MISFIT = 0.1


class ModelError(NamedTuple):
    """Correction of the references, and the model error that is left."""

    correction: Array  # (reference, energy)
    relative: float  # standard deviation of the error that is left, relative to the contrast of a spectrum
    correlated_energies: float  # energies per independent one, >= 1


def no_model_error(spectra: Array) -> ModelError:
    """Exact references (reference, energy)."""
    return ModelError(np.zeros_like(spectra), 0.0, 1.0)


def fit_model_error(spectra: Array, means: Array, errors: Array) -> ModelError:
    """Fit the model error of references (reference, energy) to block means (block, energy) with standard errors.

    The correction is made only if it explains more than half of the misfit in each half of the field from the other.
    Misfits that differ from place to place, such as those of misaligned frames, are no fault of the references.
    """
    n_free = means.shape[1] - min(len(spectra), 2) - 1
    if len(means) < _FEWEST_BLOCKS or n_free < 1:
        return no_model_error(spectra)
    largest = compute_largest_tolerance(spectra)
    prior, correlated = _measure_misfit(*_fit_blocks(spectra, means, errors, 0.0), means, errors)
    prior = min(prior, largest)
    exact = ModelError(np.zeros_like(spectra), prior, correlated)
    if prior == 0:
        return exact
    # halves of the field and not every other block, because neighbouring blocks share their misfits
    first = np.arange(len(means)) < len(means) // 2
    left = []
    for half in (first, ~first):
        corrected = spectra + _adapt_references(spectra, means[half], errors[half], prior)
        fit = _fit_blocks(corrected, means[~half], errors[~half], prior)
        left.append(_measure_misfit(*fit, means[~half], errors[~half])[0] ** 2)
    if max(left) > 0.5 * prior**2:
        return exact
    correction = _adapt_references(spectra, means, errors, prior)
    fit = _fit_blocks(spectra + correction, means, errors, prior)
    relative, correlated = _measure_misfit(*fit, means, errors)
    return ModelError(correction, min(relative, largest), correlated)


def compute_largest_tolerance(spectra: Array) -> float:
    r"""Largest misfit relative to the contrast with which references (reference, energy) still name a spectrum.

    Two spectra of contrast 1 and Pearson correlation :math:`\rho` differ by :math:`\sqrt{2 (1 - \rho)}`. A spectrum
    further from a reference than half of that may as well be another phase. More than a tenth of the contrast is no
    error of a measurement. A lone reference has nothing to differ from, so it must fit within noise.
    """
    if len(spectra) < 2:
        return 0.0
    correlation = np.atleast_2d(np.corrcoef(spectra))[np.triu_indices(len(spectra), 1)]
    return min(float(0.5 * np.sqrt(2 * max(1 - correlation.max(), 0.0))), _LARGEST_MISFIT)


def _adapt_references(spectra: Array, means: Array, errors: Array, prior: float) -> Array:
    """Correction (reference, energy) of the references by the blocks, under the prior."""
    correction = np.zeros_like(spectra)
    for _ in range(_ITERATIONS):
        amounts, residual = _fit_blocks(spectra + correction, means, errors, prior)
        correction = _fit_correction(spectra, correction, amounts, residual, errors, prior)
    return correction


def _fit_blocks(spectra: Array, means: Array, errors: Array, relative: float) -> tuple[Array, Array]:
    """Amounts (block, reference) of the best pair in every block, and residuals (block, energy)."""
    weights = 1.0 / (errors**2 + (relative**2 * _compute_contrast(means, errors))[:, None])
    amounts, residual, best = np.zeros((len(means), len(spectra))), means.copy(), np.full(len(means), np.inf)
    for chosen in combinations(range(len(spectra)), min(2, len(spectra))):
        pair = np.array(chosen)
        design = np.vstack([spectra[pair], np.ones((1, means.shape[1]))])
        fit = solve_non_negative(design, means, weights, len(pair), covariance=False)
        better = fit.chi_square < best
        best[better] = fit.chi_square[better]
        amounts[better] = 0.0
        amounts[np.ix_(better, pair)] = fit.coefficient[better, : len(pair)]
        residual[better] = (means - fit.coefficient @ design)[better]
    # an energy that a block lacks has an infinite error and no residual
    return amounts, np.where(np.isfinite(errors), residual, 0.0)


def _compute_contrast(means: Array, errors: Array) -> Array:
    """Variance (block,) of the means over the energies that a block has, without that of the noise; positive."""
    known = np.isfinite(errors)
    count = np.maximum(known.sum(axis=1), 1)
    centred = np.where(known, means - (known * means).sum(axis=1, keepdims=True) / count[:, None], 0.0)
    return np.maximum(((centred**2).sum(axis=1) - (np.where(known, errors, 0.0) ** 2).sum(axis=1)) / count, 1e-12)


def _measure_misfit(amounts: Array, residual: Array, means: Array, errors: Array) -> tuple[float, float]:
    """Misfit beyond noise relative to the contrast, exceeded by half of the material, and its correlated energies."""
    known = np.isfinite(errors)
    noise = (np.where(known, errors, 0.0) ** 2).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    n_free = np.maximum(known.sum(axis=1) - (amounts > 0).sum(axis=1) - 1, 1)
    contrast = _compute_contrast(means, errors)
    excess = ((residual**2).sum(axis=1) / n_free - noise) / contrast
    # weighted by the material in a block, for half of which the misfit is at least this
    order = np.argsort(excess)
    total = np.cumsum(contrast[order])
    usual = float(excess[order][min(int(np.searchsorted(total, 0.5 * total[-1])), len(order) - 1)])
    if usual <= 0:
        return 0.0, 1.0
    return float(np.sqrt(usual)), _count_correlated_energies(residual, errors)


def _count_correlated_energies(residual: Array, errors: Array) -> float:
    r"""Energies per independent one, :math:`1 + 2 \sum_k \rho_k` over the first positive lags."""
    n = residual.shape[1]
    noise = float((errors[np.isfinite(errors)] ** 2).sum())
    power = float((residual**2).sum()) - noise
    if power <= 0:
        return 1.0
    total = 1.0
    for lag in range(1, n // 2):
        correlation = float((residual[:, lag:] * residual[:, :-lag]).sum()) / power
        if correlation <= 0:
            break
        total += 2 * min(correlation, 1.0)
    return min(total, float(n))


def _fit_correction(
    spectra: Array, correction: Array, amounts: Array, residual: Array, errors: Array, relative: float
) -> Array:
    """Correction (reference, energy) by ridge regression of the residuals on the amounts, energy by energy."""
    contrast = float(spectra.std(axis=1).mean())
    left = residual + amounts @ correction
    variance = errors**2 + (relative * contrast * amounts.sum(axis=1, keepdims=True)) ** 2
    chi_square = (residual**2 / variance).mean(axis=1, keepdims=True)
    weights = 1.0 / (variance * (1.0 + chi_square / _POOR_FIT))
    normal = np.einsum("be,bi,bj->eij", weights, amounts, amounts)
    normal += np.eye(len(spectra)) / (relative * contrast) ** 2
    right = np.einsum("be,bi,be->ei", weights, amounts, left)
    found = np.linalg.solve(normal, right[..., None])[..., 0].T
    # corrections along the references and the constant would only rename amounts
    root = np.sqrt((amounts.sum(axis=1, keepdims=True) ** 2 / variance).sum(axis=0))
    span = np.linalg.qr((np.vstack([spectra, np.ones((1, spectra.shape[1]))]) * root).T)[0]
    scaled = found * root
    # energies that no block with material has are not corrected
    return np.asarray((scaled - (scaled @ span) @ span.T) / np.where(root > 0, root, np.inf))
