"""Step 4: phase maps drawn from their posterior, tile by tile, and what each pixel is in them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .phase_model import PhaseModel
from .potts_sampler import N_DRAWS, PosteriorMaps, sample_phase_maps
from .sufficient_statistics import (
    SufficientStatistics,
    compute_single_chi_square,
    find_best_pair,
    unpack_channels,
)
from .tiles import apply_over_tiles

Array = NDArray[np.floating]
#: chi-square per degree of freedom that noise alone often reaches; only what exceeds it widens the noise
COMMON_MISFIT = 1.5
_BATCH = 65536  # pixels
_FEW_DRAWS = 20  # that show which candidates for unknown phases are tested
_N_PRIOR = 3  # numbers of the learned prior


class PixelPosterior(NamedTuple):
    """What the drawn maps say of pixels (..): see :class:`PosteriorMaps`."""

    probability: Array  # (.., template), share of the draws
    mixture: Array  # (.., template), mean shares under the probe
    probability_known: Array  # (.., template without unknown phases), drawn as if no phase were unknown; may be empty


def draw_phase_maps(statistics: xr.DataArray, model: PhaseModel) -> xr.DataArray:
    """Posterior of every pixel (scan_y, scan_x, part); :func:`unpack_posterior` and :func:`unpack_prior` name parts.

    Where a phase is unknown the maps are drawn a second time without it. That names the reference which a pixel of the
    unknown phase resembles most.
    """

    def draw_tile(channels: Array) -> Array:
        tile = unpack_channels(channels, len(model.templates), model.n_references)
        drawn = _sample_tile(tile, model)
        parts = [drawn.probability, drawn.mixture]
        if model.unknown_phases.is_unknown.any():
            parts.append(_sample_without_unknown(tile, model).probability)
        parts.append(np.broadcast_to(np.asarray(drawn.prior), (*drawn.probability.shape[:2], _N_PRIOR)))
        return np.concatenate(parts, axis=-1, dtype=np.float32)

    return apply_over_tiles(statistics, draw_tile, 2 * len(model.templates) + _count_known(model) + _N_PRIOR)


def unpack_posterior(parts: Array, model: PhaseModel) -> PixelPosterior:
    """Posterior from the parts (.., part) of :func:`draw_phase_maps`."""
    n = len(model.templates)
    return PixelPosterior(*np.split(parts[..., :-_N_PRIOR], [n, 2 * n], axis=-1))


def unpack_prior(maps: xr.DataArray) -> dict[str, xr.DataArray]:
    """Costs of unlike neighbours [nat] and the width of the blur [px] that were learned, as means over the tiles."""
    names = ("cost_adjacent", "cost_other", "fitted_blur_px")
    return {name: maps.isel(part=index - _N_PRIOR).mean() for index, name in enumerate(names)}


def compute_membership(statistics: xr.DataArray, model: PhaseModel) -> xr.DataArray:
    """Probability (scan_y, scan_x, group), in memory, of belonging to each unknown or transition phase."""
    n, n_references = len(model.templates), model.n_references

    def draw_tile(channels: Array) -> Array:
        tile = unpack_channels(channels, n, n_references)
        return _sample_tile(tile, model, _FEW_DRAWS).probability[..., n_references:]

    return apply_over_tiles(statistics, draw_tile, n - n_references, "group").compute()


def _count_known(model: PhaseModel) -> int:
    """Number of templates in the second draw, 0 where it is not needed."""
    return int(model.has_reference.sum()) if model.unknown_phases.is_unknown.any() else 0


def _sample_tile(statistics: SufficientStatistics, model: PhaseModel, n_draws: int = N_DRAWS) -> PosteriorMaps:
    """Maps of one tile (y, x); a misfit that no template explains widens the noise of its pixel.

    Otherwise a pixel with a systematic error would outvote its neighbours with certainty that it does not have.
    """

    def compute_least(part: SufficientStatistics) -> Array:
        pair = find_best_pair(part, model.pairs).chi_square
        return np.minimum(pair, compute_single_chi_square(part).min(axis=-1))

    least = _apply_to_material(compute_least, statistics)
    noise_scale = np.maximum(least / (COMMON_MISFIT * model.degrees_of_freedom), 1.0)
    options = model.options
    return sample_phase_maps(
        statistics,
        noise_scale,
        model.is_adjacent,
        neighbours=options.neighbours,
        blur_px=options.blur_px,
        seed=options.seed,
        n_draws=n_draws,
    )


def _sample_without_unknown(statistics: SufficientStatistics, model: PhaseModel) -> PosteriorMaps:
    """Maps of one tile drawn from the references and the transition phases only."""
    keep = model.has_reference
    part = statistics._replace(
        normal_matrix=statistics.normal_matrix[..., keep, :][..., keep],
        template_projection=statistics.template_projection[..., keep],
    )
    return _sample_tile(part, model.without_unknown())


def _apply_to_material(kernel: Callable[[SufficientStatistics], Array], statistics: SufficientStatistics) -> Array:
    """Kernel over the material pixels of a map (y, x), some at a time to bound the memory; NaN elsewhere."""
    flat = SufficientStatistics(*(part.reshape(-1, *part.shape[2:]) for part in statistics))
    out = np.full(flat.weighted_norm.shape, np.nan)
    material = np.flatnonzero(np.isfinite(flat.weighted_norm))
    for first in range(0, material.size, _BATCH):
        batch = material[first : first + _BATCH]
        out[batch] = kernel(SufficientStatistics(*(values[batch] for values in flat)))
    return out.reshape(statistics.weighted_norm.shape)
