"""Step 5: every spectrum is compared with the drawn maps; that gives its name, its confidence and its status."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...errors import StxmStatus
from .ambiguity import AmbiguityLimits, is_ambiguous
from .phase_maps import PixelPosterior, compute_noise_scale
from .phase_model import PhaseModel
from .sufficient_statistics import (
    BestPairs,
    SufficientStatistics,
    compute_mixture_chi_square,
    compute_single_chi_square,
    find_best_pair,
)

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]
#: Decrease of chi-square that decides between two explanations of a pixel. For one more free parameter noise alone
#: reaches it with probability 5e-4.
_DECISIVE = 12.0
#: Share of the lesser phase from which a pixel counts as a mixture.
_MIXED_PIXEL = 0.15
#: Probability of the chi-square, by noise alone, of which twice the value makes a pixel ``no_reference``.
_UNEXPLAINED = 1e-4
_BATCH = 65536  # pixels


class PixelResult(NamedTuple):
    """Results (..) of the classification; NaN, or -1 for names, where there is no material."""

    pearson: Array  # (.., reference)
    phase: NDArray[Any]  # int16
    runner_up: NDArray[Any]  # int16
    confidence: Array
    unknown_probability: Array
    margin: Array
    chi_square: Array
    composition: Array
    mixture: Array
    reference_fraction: Array  # (.., reference)
    reference_fraction_error: Array
    n_missing: NDArray[Any]  # int16
    status: NDArray[Any]  # int8
    cluster_contradicted: NDArray[Any]  # bool


#: of the fields of PixelResult
RESULT_TYPES: dict[str, type[np.generic]] = dict(
    zip(
        PixelResult._fields,
        (np.float32, *[np.int16] * 2, *[np.float32] * 8, np.int16, np.int8, np.bool_),
        strict=True,
    )
)
#: fields of PixelResult that have a value for each reference
BY_REFERENCE = ("pearson", "reference_fraction")


class PixelEvidence(NamedTuple):
    """Evidence for and against each phase of pixels (n, ..)."""

    chi_square_single: Array  # (n, reference), each reference alone
    best_pair: BestPairs  # best mixture of two references
    chi_square_map: Array  # (n,), of the mixture that the maps show under the probe
    noise_scale: Array  # (n,), by which differences of chi-square are divided
    degrees_of_freedom: Array  # (n,)
    posterior: PixelPosterior
    phase: NDArray[np.intp]  # (n,), the name


class StatusFlags(NamedTuple):
    """Findings (n,) in the order in which they set the status."""

    no_reference: Flags
    transition: Flags
    false_assignment: Flags
    boundary_transition: Flags


def classify_pixels(
    statistics: SufficientStatistics,
    posterior: PixelPosterior,
    too_thick: Flags,
    cluster_vote: Array | None,
    *,
    model: PhaseModel,
    limits: AmbiguityLimits,
) -> PixelResult:
    """Name, confidence, composition and status of the pixels of a map (y, x), some at a time to bound the memory.

    ``cluster_vote`` is (y, x, reference).
    """
    shape = too_thick.shape
    out = _make_empty_result(shape, model.n_references)
    out.phase[:], out.runner_up[:] = -1, -1
    out.status[:] = np.where(too_thick, StxmStatus.TOO_THICK, StxmStatus.BACKGROUND)
    y, x = np.nonzero(np.isfinite(statistics.weighted_norm))
    for first in range(0, y.size, _BATCH):
        at = (y[first : first + _BATCH], x[first : first + _BATCH])
        batch = _classify_batch(
            SufficientStatistics(*(values[at] for values in statistics)),
            PixelPosterior(*(values[at] for values in posterior)),
            None if cluster_vote is None else cluster_vote[at],
            model,
        )
        for target, values in zip(out, batch, strict=True):
            target[at] = values
        # compared in the single precision that is stored, so that flag_ambiguous with the same limits changes nothing
        doubtful = is_ambiguous(out.margin[at], out.confidence[at], limits)
        is_ok = batch.status == StxmStatus.OK
        out.status[at] = np.select(
            [too_thick[at], is_ok & doubtful, is_ok & (batch.n_missing > 0)],
            [StxmStatus.TOO_THICK, StxmStatus.AMBIGUOUS, StxmStatus.INCOMPLETE],
            batch.status,
        )
    return out


def _make_empty_result(shape: tuple[int, ...], n_references: int) -> PixelResult:
    """Results (..) of pixels without material: NaN where numbers are real, else 0."""
    parts = []
    for name, dtype in RESULT_TYPES.items():
        size = (*shape, n_references) if name in BY_REFERENCE else shape
        parts.append(np.full(size, np.nan if dtype is np.float32 else 0, dtype=dtype))
    return PixelResult(*parts)


def _classify_batch(
    statistics: SufficientStatistics, posterior: PixelPosterior, cluster_vote: Array | None, model: PhaseModel
) -> PixelResult:
    """Results of material pixels (n,); the status does not yet know of thickness and ambiguity."""
    n, has_several = len(statistics.weighted_norm), model.n_references > 1
    rows = np.arange(n)
    # a pixel that is probably of an unknown phase is named as if none were unknown, so that it has a nearest reference
    best = np.where((posterior.unknown > 0.5)[:, None], posterior.nearest, posterior.name)
    phase = best.argmax(axis=1)
    others = np.where(np.arange(model.n_references) == phase[:, None], -1.0, best)
    pair = find_best_pair(statistics, model.pairs)
    mapped = compute_mixture_chi_square(statistics, posterior.probed)
    evidence = PixelEvidence(
        compute_single_chi_square(statistics)[:, : model.n_references],
        pair,
        mapped,
        compute_noise_scale(np.minimum(pair.chi_square, mapped), statistics, model),
        statistics.degrees_of_freedom,
        posterior,
        phase,
    )
    flags = _test_explanations(evidence)
    ranked = np.sort(statistics.pearson, axis=1)
    fraction = np.where(flags.no_reference[:, None], np.nan, posterior.measured)
    composition = np.where(flags.no_reference, np.nan, _average_composition(posterior.composition, model.composition))
    contradicted = np.zeros(n, dtype=bool)
    if cluster_vote is not None:
        contradicted = _contradicts_cluster(cluster_vote, evidence, model)
    return PixelResult(
        pearson=statistics.pearson,
        phase=phase.astype(np.int16),
        runner_up=others.argmax(axis=1).astype(np.int16) if has_several else np.full(n, -1, dtype=np.int16),
        confidence=np.clip(posterior.name[rows, phase], 0.0, 1.0),
        unknown_probability=posterior.unknown,
        margin=ranked[:, -1] - ranked[:, -2] if has_several else np.full(n, np.nan),
        chi_square=evidence.chi_square_single[rows, phase] / (statistics.degrees_of_freedom + 1),
        composition=composition,
        mixture=np.clip(1 - posterior.measured.max(axis=1), 0.0, 1.0),
        reference_fraction=fraction,
        reference_fraction_error=np.where(flags.no_reference, np.nan, posterior.measured_error),
        n_missing=(model.templates.shape[1] - statistics.n_energies).astype(np.int16),
        status=_select_status(flags),
        cluster_contradicted=contradicted,
    )


def _average_composition(shares: Array, composition: Array) -> Array:
    """Mean composition (n,) by shares (n, reference); NaN where over 15 % is of references without a composition."""
    known = np.isfinite(composition)
    of_known = shares[:, known].sum(axis=1)
    mean = shares[:, known] @ composition[known] / np.maximum(of_known, 1e-9)
    return np.where(of_known >= (1 - _MIXED_PIXEL) * shares.sum(axis=1), mean, np.nan)


def _test_explanations(evidence: PixelEvidence) -> StatusFlags:
    r"""Test what explains each spectrum.

    Two explanations are compared by the difference of their chi-square, divided by the noise scale :math:`v`:
    :math:`(\chi^2_a - \chi^2_b) / v > 12` prefers :math:`b`.
    """
    rows = np.arange(len(evidence.phase))
    scale = evidence.noise_scale
    pair, blur = evidence.best_pair.chi_square, evidence.chi_square_map
    named = evidence.chi_square_single[rows, evidence.phase]
    alone = evidence.chi_square_single.min(axis=1)
    # no reference: neither two references nor the maps come near the limit for noise
    limit = 2 * stats.chi2.isf(_UNEXPLAINED, evidence.degrees_of_freedom)
    no_reference = (np.minimum(pair, blur) > limit) | (evidence.posterior.unknown > 0.5)
    # transition: the maps show a mixture that is wider than the probe
    lesser = 1 - evidence.posterior.measured.max(axis=1)
    transition = (evidence.posterior.mixed > 0.5) & (lesser > _MIXED_PIXEL)
    # false assignment: another phase alone beats the name, and the maps do not explain it either
    false_assignment = (np.minimum(blur, named) - alone) / scale > _DECISIVE
    # boundary: the mixture under the probe beats the named phase alone
    probed = evidence.posterior.probed
    boundary = ((named - blur) / scale > _DECISIVE) & (1 - probed.max(axis=1) > _MIXED_PIXEL)
    return StatusFlags(no_reference, transition, false_assignment, boundary)


def _select_status(flags: StatusFlags) -> NDArray[Any]:
    """Status (n,) of the first finding that holds, else ``ok``."""
    codes = (
        StxmStatus.NO_REFERENCE,
        StxmStatus.TRANSITION,
        StxmStatus.FALSE_ASSIGNMENT,
        StxmStatus.BOUNDARY_TRANSITION,
    )
    return np.select(list(flags), list(codes), StxmStatus.OK)


def _contradicts_cluster(cluster_vote: Array, evidence: PixelEvidence, model: PhaseModel) -> Flags:
    """Whether (n,) another phase explains the spectrum decisively better than the name by the clusters."""
    rows = np.arange(len(evidence.phase))
    vote = np.nan_to_num(cluster_vote)
    named = evidence.chi_square_single[rows, vote.argmax(axis=1)]
    least = evidence.chi_square_single.min(axis=1)
    # clusters without a name contradict nothing
    return np.asarray(((named - least) / evidence.noise_scale > _DECISIVE) & (vote.sum(axis=1) > 0))
