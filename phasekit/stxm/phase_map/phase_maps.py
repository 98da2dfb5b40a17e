"""Step 4: phase maps drawn from their posterior, tile by tile, and what each pixel is in them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from .mixture_field import make_shares
from .phase_model import PhaseModel
from .potts_sampler import N_DRAWS, PosteriorMaps, Prior, sample_phase_maps
from .sufficient_statistics import (
    SufficientStatistics,
    compute_single_chi_square,
    find_best_pair,
)

Array = NDArray[np.floating]
#: chi-square per degree of freedom that noise alone often reaches; only what exceeds it widens the noise
COMMON_MISFIT = 1.5
_BATCH = 65536  # pixels


class PixelPosterior(NamedTuple):
    """What the drawn maps say of pixels (..)."""

    name: Array  # (.., reference), probability of being this reference, or a mixture of which it is the larger part
    nearest: Array  # (.., reference), the same drawn as if no phase were unknown
    unknown: Array  # (..), probability of an unknown phase
    mixed: Array  # (..), probability of a mixture, 0 where the probe alone can have made it
    composition: Array  # (.., reference), mean shares of the pixel itself
    measured: Array  # (.., reference), shares under the probe by the spectra, whatever the phase
    measured_error: Array  # (..)
    probed: Array  # (.., template), mean shares under the probe in the maps


def draw_phase_maps(statistics: SufficientStatistics, model: PhaseModel) -> tuple[PixelPosterior, Prior]:
    """Posterior of the pixels of a map (y, x), and the prior that was learned.

    Where a phase is unknown the maps are drawn a second time without it. That names the reference which a pixel of the
    unknown phase resembles most.
    """
    n = model.n_references
    drawn = sample_tile(statistics, model)
    names = compute_name_probability(drawn, n)
    nearest = names
    if len(model.unknown_phases.spectra):
        nearest = compute_name_probability(_sample_without_unknown(statistics, model), n)
    posterior = PixelPosterior(
        name=names,
        nearest=nearest,
        unknown=drawn.probability[..., n : len(model.templates)].sum(axis=-1),
        mixed=find_resolved_mixtures(drawn),
        composition=compute_composition(drawn, n),
        measured=make_shares(drawn.field, n),
        measured_error=drawn.field.share_error,
        probed=drawn.mixture,
    )
    # in single precision, as maps are kept
    return PixelPosterior(*(np.asarray(part, dtype=np.float32) for part in posterior)), drawn.prior


def compute_name_probability(drawn: PosteriorMaps, n_references: int) -> Array:
    """Probability (y, x, reference) that a pixel is this reference, or a mixture of which it is the larger part."""
    out = np.array(drawn.probability[..., :n_references])
    if drawn.has_mixture:
        first = stats.norm.cdf((0.5 - drawn.field.share) / np.maximum(drawn.field.share_error, 1e-6))
        index = np.arange(n_references)
        larger = (drawn.field.first[..., None] == index) * first[..., None]
        larger += (drawn.field.second[..., None] == index) * (1 - first[..., None])
        out += drawn.probability[..., -1:] * larger
    return out


def compute_composition(drawn: PosteriorMaps, n_references: int) -> Array:
    """Mean shares (y, x, reference) of the references in the pixel itself."""
    out = np.array(drawn.probability[..., :n_references])
    if drawn.has_mixture:
        out += drawn.probability[..., -1:] * make_shares(drawn.field, n_references)
    return out / np.maximum(out.sum(axis=-1, keepdims=True), 1e-9)


def find_resolved_mixtures(drawn: PosteriorMaps) -> Array:
    """Probability (y, x) of a mixture, 0 where it is as thin as the probe and lies between its two phases.

    A sharp boundary shows shares from 15 to 85 % over 0.88 of the full width of a Gaussian probe. A mixture of that
    width between its phases may be the probe's.
    """
    if not drawn.has_mixture:
        return np.zeros(drawn.probability.shape[:2])
    mixed = np.nan_to_num(drawn.probability[..., -1])
    width = round(0.88 * drawn.prior.blur_px) + 1
    wide = ndimage.binary_opening(mixed > 0.5, np.ones((width, width)))
    pure = np.nan_to_num(drawn.probability[..., :-1]) > 0.5
    near = np.stack([ndimage.binary_dilation(one, iterations=width) for one in np.moveaxis(pure, -1, 0)], axis=-1)
    both = np.ones(mixed.shape, dtype=bool)
    for index in (drawn.field.first, drawn.field.second):
        both &= np.take_along_axis(near, index[..., None].astype(np.intp), axis=-1)[..., 0]
    return np.where(wide | ~both, mixed, 0.0)


def sample_tile(statistics: SufficientStatistics, model: PhaseModel, n_draws: int = N_DRAWS) -> PosteriorMaps:
    """Maps of one tile (y, x); a misfit that no template explains widens the noise of its pixel.

    Otherwise a pixel with a systematic error would outvote its neighbours with certainty that it does not have.
    """

    def compute_least(part: SufficientStatistics) -> Array:
        pair = find_best_pair(part, model.pairs).chi_square
        return np.minimum(pair, compute_single_chi_square(part).min(axis=-1))

    least = _apply_to_material(compute_least, statistics)
    noise_scale = compute_noise_scale(least, statistics, model)
    options = model.options
    return sample_phase_maps(
        statistics,
        noise_scale,
        model.is_adjacent,
        model.pairs,
        neighbours=options.neighbours,
        blur_px=options.blur_px,
        seed=options.seed,
        n_draws=n_draws,
    )


def compute_noise_scale(least: Array, statistics: SufficientStatistics, model: PhaseModel) -> Array:
    """Factor (..) >= 1 by which differences of chi-square are divided.

    It grows where no explanation fits, with ``least`` (..) as the smallest chi-square. And it grows with the share of
    the model error, because misfits repeat themselves in neighbouring energies, which noise does not.
    """
    misfit = np.maximum(least / (COMMON_MISFIT * statistics.degrees_of_freedom), 1.0)
    return misfit * (1 + (model.model_error.correlated_energies - 1) * (1 - statistics.noise_share))


def _sample_without_unknown(statistics: SufficientStatistics, model: PhaseModel) -> PosteriorMaps:
    """Maps of one tile drawn from the references only."""
    n = model.n_references
    part = statistics._replace(
        normal_matrix=statistics.normal_matrix[..., :n, :n], template_projection=statistics.template_projection[..., :n]
    )
    return sample_tile(part, model.without_unknown())


def _apply_to_material(kernel: Callable[[SufficientStatistics], Array], statistics: SufficientStatistics) -> Array:
    """Kernel over the material pixels of a map (y, x), some at a time to bound the memory; NaN elsewhere."""
    flat = SufficientStatistics(*(part.reshape(-1, *part.shape[2:]) for part in statistics))
    out = np.full(flat.weighted_norm.shape, np.nan)
    material = np.flatnonzero(np.isfinite(flat.weighted_norm))
    for first in range(0, material.size, _BATCH):
        batch = material[first : first + _BATCH]
        out[batch] = kernel(SufficientStatistics(*(values[batch] for values in flat)))
    return out.reshape(statistics.weighted_norm.shape)
