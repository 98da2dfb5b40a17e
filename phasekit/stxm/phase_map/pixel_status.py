"""From the sums of every pixel to a verdict: domains drawn, names, confidence, a status for what is doubtful."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from ...errors import StxmStatus
from ..reference_spectra.library import Library
from .potts_sampler import N_DRAWS, PosteriorMaps, sample_phase_maps
from .sufficient_statistics import (
    BestPairs,
    SufficientStatistics,
    chi_square_single,
    find_best_pair,
    mixture_chi_square,
    select_pairs,
    unpack_channels,
)
from .tiles import apply_over_tiles
from .unknown_phases import UnknownPhases

Array = NDArray[np.floating]
_LEARNED = ("cost_adjacent", "cost_other", "blur_px")
#: chi-square by which a pixel must speak against its name, or for a mixture, to be heard (p = 5e-4 for one more term)
_CLEAR = 12.0
#: share of the lesser phase from which a mixture counts as one
_MIXED = 0.15
#: chi-square per degree of freedom that noise alone often reaches; only what exceeds it widens the noise
_COMMON = 1.5
#: chance with which noise alone gives a pixel a chi-square half as large as the one that makes it ``no_reference``
_STRANGE = 1e-4
_BATCH = 65536
_FEW_DRAWS = 20  # to see which strangers are worth a second look


class SamplerOptions(NamedTuple):
    """How the domains are drawn; None: learned from the map."""

    neighbours: float | None
    blur_px: float | None
    seed: int


class PhaseModel(NamedTuple):
    """What all pixels share."""

    templates: Array  # (template, energy): the references, then the strangers
    composition: Array  # of the references
    strangers: UnknownPhases
    pairs: NDArray[np.intp]
    freedom: int
    options: SamplerOptions

    @property
    def n_references(self) -> int:
        """Number of references; the templates behind them are unknown phases and mixtures."""
        return len(self.composition)

    @property
    def adjacent(self) -> NDArray[np.bool_]:
        """Which templates are next to each other on the composition path; without compositions none are."""
        n, n_all = self.n_references, len(self.templates)
        out = np.zeros((n_all, n_all), dtype=bool)
        if np.isfinite(self.composition).all():
            rank = np.argsort(np.argsort(self.composition))
            out[:n, :n] = np.abs(rank[:, None] - rank) == 1
        return out

    @property
    def naming(self) -> Array:
        """Reference (template, reference) that names a template: itself, or a mixture's nearest in composition."""
        content = np.nan_to_num(self.strangers.content)
        if np.isfinite(self.composition).all():
            nearest = np.abs((content @ self.composition)[:, None] - self.composition).argmin(axis=1)
        else:
            nearest = content.argmax(axis=1)
        named = np.eye(self.n_references)[nearest.astype(np.intp)] * ~self.strangers.unknown[:, None]
        return np.concatenate([np.eye(self.n_references), named])


class _Verdict(NamedTuple):
    """Maps (y, x); NaN, or -1 for names, where there is no material."""

    phase: NDArray[Any]
    runner_up: NDArray[Any]
    confidence: Array
    unknown_probability: Array
    margin: Array
    chi_square: Array
    composition: Array
    mixture: Array
    status: NDArray[Any]
    cluster_contradicted: NDArray[Any]


def build_phase_model(
    library: Library, spectra: Array, strangers: UnknownPhases, options: SamplerOptions
) -> PhaseModel:
    """Templates (references, then unknown phases) and what all pixels share."""
    templates = np.concatenate([spectra, strangers.spectra])
    freedom = max(spectra.shape[1] - 3, 1)
    return PhaseModel(templates, library.composition, strangers, select_pairs(library), freedom, options)


def compute_membership(sums: xr.DataArray, model: PhaseModel) -> xr.DataArray:
    """Probability (scan_y, scan_x, group) of belonging to each stranger."""
    n, n_references = len(model.templates), model.n_references

    def tile(channels: Array) -> Array:
        return _draw(unpack_channels(channels, n, n_references), model, _FEW_DRAWS).probability[..., n_references:]

    return apply_over_tiles(sums, tile, n - n_references, "group").compute()


def classify_pixels(sums: xr.DataArray, model: PhaseModel, cluster_opinion: xr.DataArray | None) -> xr.Dataset:
    """Verdict of every pixel; the costs of neighbours and the blur that were learned come with it, as means."""
    n_sums = sums.sizes["channel"]
    if cluster_opinion is not None:
        more = cluster_opinion.rename(reference="channel").transpose("scan_y", "scan_x", "channel")
        sums = xr.concat([sums, more], dim="channel", coords="minimal", compat="override")
    names = _Verdict._fields
    tile = partial(_judge_tile, model=model, clustered=cluster_opinion is not None)
    found = apply_over_tiles(sums, tile, len(names) + len(_LEARNED))
    pearson = sums.isel(channel=slice(n_sums - model.n_references, n_sums)).rename(channel="reference")
    out = xr.Dataset({"pearson": pearson, **{name: found.isel(part=index) for index, name in enumerate(names)}})
    for name in ("phase", "runner_up"):
        out[name] = out[name].astype(np.int16)
    out["status"] = out["status"].astype(np.int8)
    out["cluster_contradicted"] = out["cluster_contradicted"].astype(bool)
    for index, name in enumerate(_LEARNED):
        out[name] = found.isel(part=len(names) + index).mean()
    return out


def _draw(sums: SufficientStatistics, model: PhaseModel, n_draws: int = N_DRAWS) -> PosteriorMaps:
    """Domains of a whole map; a misfit that no template explains widens a pixel's noise."""
    best = _batched(lambda part: np.minimum(_pairs(part, model).chi_square, chi_square_single(part).min(axis=-1)), sums)
    widening = np.maximum(best / (_COMMON * model.freedom), 1.0)
    return sample_phase_maps(sums, widening, model.adjacent, n_draws=n_draws, **model.options._asdict())


def _pairs(sums: SufficientStatistics, model: PhaseModel) -> BestPairs:
    return find_best_pair(sums, model.pairs)


def _batched(kernel: Any, sums: SufficientStatistics) -> Array:
    """Kernel over the material pixels of a map, some at a time; NaN elsewhere."""
    flat = SufficientStatistics(*(part.reshape(-1, *part.shape[2:]) for part in sums))
    out = np.full(flat.power.shape, np.nan)
    places = np.flatnonzero(np.isfinite(flat.power))
    for first in range(0, places.size, _BATCH):
        part = places[first : first + _BATCH]
        out[part] = kernel(SufficientStatistics(*(values[part] for values in flat)))
    return out.reshape(sums.power.shape)


def _judge_tile(channels: Array, *, model: PhaseModel, clustered: bool) -> Array:
    """Verdict of a tile (y, x, channel) as (y, x, part)."""
    n, n_references = len(model.templates), model.n_references
    sums = unpack_channels(channels, n, n_references)
    opinion = channels[..., channels.shape[-1] - n_references :] if clustered else None
    drawn = _draw(sums, model)
    known = _known_names(sums, model, drawn)
    out = np.full((*sums.power.shape, len(_Verdict._fields) + len(_LEARNED)), np.nan, dtype=np.float32)
    columns = _Verdict(*np.moveaxis(out[..., : len(_Verdict._fields)], -1, 0))
    columns.phase[:], columns.runner_up[:] = -1, -1
    columns.status[:], columns.cluster_contradicted[:] = StxmStatus.BACKGROUND, 0
    out[..., len(_Verdict._fields) :] = drawn.prior
    y, x = np.nonzero(np.isfinite(sums.power))
    for first in range(0, y.size, _BATCH):
        at = (y[first : first + _BATCH], x[first : first + _BATCH])
        part = SufficientStatistics(*(values[at] for values in sums))
        here = _Here(drawn.probability[at], drawn.content[at], known[at])
        found = _decide(part, here, None if opinion is None else opinion[at], model)
        for target, values in zip(columns, found, strict=True):
            target[at] = values
    return out


class _Here(NamedTuple):
    """What was drawn for pixels (n, template), and the names (n, reference) if one of the references it has to be."""

    probability: Array
    content: Array
    known: Array


def _known_names(sums: SufficientStatistics, model: PhaseModel, drawn: PosteriorMaps) -> Array:
    """Probability (y, x, reference) of each name, drawn without the unknown phases where there are some."""
    if not model.strangers.unknown.any():
        return np.asarray(drawn.probability @ model.naming)
    keep = np.concatenate([np.ones(model.n_references, dtype=bool), ~model.strangers.unknown])
    strangers = model.strangers.without_unknown()
    fewer = model._replace(templates=model.templates[keep], strangers=strangers)
    part = sums._replace(gram=sums.gram[..., keep, :][..., keep], overlap=sums.overlap[..., keep])
    return np.asarray(_draw(part, fewer).probability @ fewer.naming)


def _decide(sums: SufficientStatistics, here: _Here, opinion: Array | None, model: PhaseModel) -> _Verdict:
    """Verdict of pixels (n,)."""
    rows, several = np.arange(len(sums.power)), model.n_references > 1
    probability, content = here.probability, here.content
    single, pair = chi_square_single(sums)[:, : model.n_references], _pairs(sums, model)
    named = probability @ model.naming
    strange = probability[:, model.n_references :] @ model.strangers.unknown
    best = np.where((strange > 0.5)[:, None], here.known, named)
    phase = best.argmax(axis=1)
    others = np.where(np.arange(model.n_references) == phase[:, None], -1.0, best)
    runner_up = others.argmax(axis=1) if several else np.full(rows.size, -1)
    ranked = np.sort(sums.pearson, axis=1)
    margin = ranked[:, -1] - ranked[:, -2] if several else np.full(rows.size, np.nan)
    blurred = mixture_chi_square(sums, content)
    doubt = _Doubt(single, pair, blurred, content, phase, probability)
    status = _status(doubt, strange, model)
    composition, mixture = _place(doubt, status, model)
    confidence = np.clip(named[rows, phase], 0.0, 1.0)
    chi_square = single[rows, phase] / (model.freedom + 1)
    against = np.zeros(rows.size, dtype=bool) if opinion is None else _against_cluster(opinion, doubt, model)
    return _Verdict(phase, runner_up, confidence, strange, margin, chi_square, composition, mixture, status, against)


class _Doubt(NamedTuple):
    """What is weighed for the status of pixels (n, ..)."""

    single: Array
    pair: BestPairs
    blurred: Array  # chi-square of the content that the map shows under the probe
    content: Array
    phase: NDArray[np.intp]
    probability: Array

    def widening(self, freedom: int) -> Array:
        return np.asarray(np.maximum(np.minimum(self.pair.chi_square, self.blurred) / freedom / _COMMON, 1.0))


def _status(doubt: _Doubt, strange: Array, model: PhaseModel) -> NDArray[Any]:
    """Status by the pixel's own spectrum against what the map makes of it."""
    rows, n = np.arange(len(doubt.phase)), model.n_references
    wide = doubt.widening(model.freedom)
    misfit = np.minimum(doubt.pair.chi_square, doubt.blurred) / model.freedom
    limit = 2 * stats.chi2.isf(_STRANGE, model.freedom) / model.freedom
    named = doubt.single[rows, doubt.phase]
    share = np.minimum(doubt.pair.second_share, 1 - doubt.pair.second_share)
    alone = doubt.single.min(axis=1)
    own_mixture = ((np.minimum(doubt.blurred, alone) - doubt.pair.chi_square) / wide > _CLEAR) & (share > _MIXED)
    population = doubt.probability[:, n:] @ ~model.strangers.unknown > 0.5
    other_name = (np.minimum(doubt.blurred, named) - alone) / wide > _CLEAR
    shown = (named - doubt.blurred) / wide > _CLEAR
    blur = shown & (1 - doubt.content[:, :n].max(axis=1) > _MIXED)
    return np.select(
        [(misfit > limit) | (strange > 0.5), population | own_mixture, other_name, blur],
        [
            StxmStatus.NO_REFERENCE,
            StxmStatus.TRANSITION,
            StxmStatus.FALSE_ASSIGNMENT,
            StxmStatus.BOUNDARY_TRANSITION,
        ],
        StxmStatus.OK,
    )


def _place(doubt: _Doubt, status: NDArray[Any], model: PhaseModel) -> tuple[Array, Array]:
    """Composition and share of the lesser phases: of the drawn map, or of the pixel's own fit where it is mixed."""
    n = model.n_references
    content = np.concatenate([np.eye(n), np.nan_to_num(model.strangers.content)])
    mean = doubt.probability @ content
    mean /= np.maximum(mean.sum(axis=1, keepdims=True), 1e-9)
    first, second = model.pairs[doubt.pair.pair].T
    own = doubt.pair.second_share
    fitted = model.composition[first] * (1 - own) + model.composition[second] * own
    mixed = status == StxmStatus.TRANSITION
    composition = np.where(mixed, fitted, mean @ model.composition)
    composition = np.where(status == StxmStatus.NO_REFERENCE, np.nan, composition)
    shown = 1 - doubt.content[:, :n].max(axis=1) / np.maximum(doubt.content[:, :n].sum(axis=1), 1e-9)
    return composition, np.where(mixed, np.minimum(own, 1 - own), np.clip(shown, 0.0, 1.0))


def _against_cluster(opinion: Array, doubt: _Doubt, model: PhaseModel) -> NDArray[np.bool_]:
    """Whether the pixel's own spectrum speaks against the name of its cluster."""
    rows = np.arange(len(doubt.phase))
    named = doubt.single[rows, np.nan_to_num(opinion).argmax(axis=1)]
    return np.asarray((named - doubt.single.min(axis=1)) / doubt.widening(model.freedom) > _CLEAR)
