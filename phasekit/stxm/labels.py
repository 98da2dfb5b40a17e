"""Names for the clusters, a second opinion from every pixel's own spectrum, and a status that says what to trust."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..correlation import _pearson
from ..errors import SchemaError, StxmStatus, status_attributes
from ..schema import CLUSTERS, OD, PHASES, REFERENCES, describe, require
from .evidence import _evidence_block, _Evidence, _pairs_of, _probability
from .library import _library, _Library, _Offset, _offset_of

Array = NDArray[np.float64]
_SCAN = ["scan_y", "scan_x"]
#: chi-square by which a pixel must speak against its cluster, or for a mixture, to be heard (p = 5e-4 for one more term)
_CLEAR = 12.0
#: share of the lesser phase from which a mixture counts as one
_MIXED = 0.15


class _Verdict(NamedTuple):
    phase: Array
    runner_up: Array
    confidence: Array
    margin: Array
    chi_square: Array
    composition: Array
    mixture: Array
    status: Array


def label_phases(
    od: xr.Dataset,
    clusters: xr.Dataset,
    refs: xr.Dataset,
    *,
    margin: float = 0.0,
    min_confidence: float = 0.8,
    energy_offset: float | str = "fit",
    max_offset_ev: float = 1.5,
    max_misfit: float | None = None,
    blur_px: float = 2.0,
) -> xr.Dataset:
    """Name the phase of every material pixel, and say where the name is not to be trusted.

    A common energy offset between data and references is found first. Each cluster's mean spectrum is named by its highest
    Pearson correlation; a pixel takes the name that its clusters' responsibilities favour. Then the pixel's own spectrum is
    asked: chi-square of each reference alone and of mixtures of neighbours, all with a free constant.

    Parameters
    ----------
    od, clusters, refs
        OD, CLUSTERS made from it, and REFERENCES that cover its energies.
    margin
        A pixel whose best and second-best Pearson differ by less is ``ambiguous``: 0 leaves it to the confidence; neighbours
        among NVPF references differ by 0.007 to 0.04, so 0.002 is a mild and 0.01 a severe demand.
    min_confidence
        A pixel below this confidence is ``ambiguous``.
    energy_offset, max_offset_ev
        As in :func:`phasekit.stxm.fit_references`.
    max_misfit
        Chi-square per degree of freedom of the best mixture above which a pixel is ``no_reference``; None: twice the value
        that noise alone exceeds in one pixel of 10 000.
    blur_px
        Reach of the probe [px]: a mixture with both its phases within this distance is a ``boundary_transition``, which
        blur alone would explain.

    Returns
    -------
    xarray.Dataset
        PHASES: ``phase`` (index into ``reference``, -1 without material), ``runner_up`` (the best other one, -1 when there is
        none), ``pearson`` of the pixel's own spectrum with each reference, ``margin`` (best minus second best of them),
        ``confidence`` (mean of the clusters' vote and of the probability that chi-square gives the phase, 0..1),
        ``composition`` (by place between the two neighbouring references of the best mixture: the path through all
        references, not the straight line between its ends), ``mixture`` (share of the lesser one there, 0..0.5),
        ``chi_square`` (of the named phase, per degree of freedom), ``status``, ``cluster_pearson``, ``cluster_phase``,
        ``energy_offset`` and ``energy_offset_error`` [eV]. Status, the first that holds: ``background`` (empty or not
        measured), ``too_thick``, ``no_reference``, ``transition`` / ``boundary_transition`` (a mixture with at least 15 %
        of the lesser phase lowers chi-square by 12), ``false_assignment`` (another phase does so), ``ambiguous``, ``ok``.
        NaN where there is no material; ``composition`` also where references carry none.

    Raises
    ------
    SchemaError
        The references do not cover the energies, there are too many of them, or ``clusters`` belongs to other data.

    Notes
    -----
    "fit" reads block means into memory (1/36 of the stack); the rest is lazy where ``od`` is. The confidence is a first
    version: where the references are wrong it is too high; noise is widened by each pixel's own misfit against that.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.array([[0.0, 0, 1, 3, 2, 1], [0, 1, 3, 2, 2, 1]])
    >>> energy = ("energy", np.arange(514.0, 520.0), {"units": "eV"})
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), spectra)},
    ...                   coords={"reference": ["V3", "V4"], "energy": energy})
    >>> cube = 0.3 * spectra[np.arange(144) % 2].T.reshape(6, 12, 12) + rng.normal(0, 0.03, (6, 12, 12))
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.03)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))}, coords={"energy": energy})
    >>> from phasekit.stxm import assign_clusters, fit_gmvae
    >>> clusters = assign_clusters(od, fit_gmvae(od, n_clusters=2, n_latent=1, n_steps=5, progress=False))
    >>> label_phases(od, clusters, refs, energy_offset=0.0)["phase"].values[0]
    array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1], dtype=int16)
    """
    require(od, OD, step="label_phases")
    require(clusters, CLUSTERS, step="label_phases")
    require(refs, REFERENCES, step="label_phases")
    if any(clusters.sizes[dim] != od.sizes[dim] for dim in ("energy", *_SCAN)):
        raise SchemaError(
            f"label_phases: clusters have {dict(clusters.sizes)}, the optical density {dict(od.sizes)}. "
            "Make them from this OD with assign_clusters."
        )
    library = _library(refs, od["energy"], step="label_phases", n_nuisance=1)
    offset = _offset_of(od, library, energy_offset, limit=max_offset_ev, step="label_phases")
    spectra = library.at(od["energy"].values.astype(np.float64) + offset.value)
    named = _name_clusters(clusters, spectra, library)
    out = _judge(od, clusters, named, library, spectra, max_misfit)
    out["status"] = _place(od, out, library, blur_px)
    out = xr.merge([out, named, _offset_variables(offset)], compat="no_conflicts", join="exact")
    if "composition" in refs:
        out = out.assign_coords(reference_composition=("reference", library.composition))
    settings: dict[str, Any] = {"margin": margin, "min_confidence": min_confidence, "energy_offset": energy_offset}
    settings |= {"max_offset_ev": max_offset_ev, "max_misfit": max_misfit, "blur_px": blur_px}
    out["status"].attrs = status_attributes(StxmStatus)
    out["status"] = _ambiguity(out, margin, min_confidence)
    return describe(out, PHASES, step="label_phases", settings=settings, source=clusters)


def flag_ambiguous(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.8) -> xr.Dataset:
    """Draw the ambiguity again with another margin; every other status stays.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        A pixel that is ``ok`` or ``ambiguous`` becomes ``ambiguous`` when its margin or its confidence is below, else ``ok``.

    Returns
    -------
    xarray.Dataset
        PHASES with a new ``status``.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is NaN or negative.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 3), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> flag_ambiguous(phases, 0.05)["status"].values
    array([[3, 3, 0]], dtype=int8)
    """
    require(phases, PHASES, step="flag_ambiguous")
    if not margin >= 0:
        raise SchemaError(f"flag_ambiguous: margin={margin}, needs a number >= 0: 0 flags nothing, 0.01 is severe.")
    out = phases.copy()
    out["status"] = _ambiguity(phases, margin, min_confidence)
    settings = {"margin": margin, "min_confidence": min_confidence}
    return describe(out, PHASES, step="flag_ambiguous", settings=settings, source=phases)


def ambiguous_fraction(phases: xr.Dataset, margin: float, *, min_confidence: float = 0.8) -> float:
    """Share of the material pixels that :func:`flag_ambiguous` calls ambiguous at this margin, 0..1.

    Parameters
    ----------
    phases
        PHASES from :func:`label_phases`.
    margin, min_confidence
        As in :func:`flag_ambiguous`.

    Returns
    -------
    float
        Ambiguous pixels over pixels with a phase; NaN when no pixel has one. Grows with ``margin``, never above the share
        of pixels that carry no stronger flag.

    Raises
    ------
    SchemaError
        As :func:`flag_ambiguous`.

    Examples
    --------
    >>> status = xr.DataArray(np.zeros((1, 4), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"status": status, "phase": status, "margin": status + [[0.0, 0.01, 0.2, 0.3]],
    ...                      "confidence": status + 1.0, "composition": status + np.nan,
    ...                      "pearson": status.expand_dims(reference=1, axis=2)})
    >>> ambiguous_fraction(phases, 0.05)
    0.5
    """
    status = flag_ambiguous(phases, margin, min_confidence=min_confidence)["status"]
    named = phases["phase"] >= 0
    total = int(named.sum())
    return float(((status == StxmStatus.AMBIGUOUS) & named).sum()) / total if total else float("nan")


def _ambiguity(phases: xr.Dataset, margin: float, min_confidence: float) -> xr.DataArray:
    doubtful = (phases["margin"] < margin) | (phases["confidence"] < min_confidence)
    free = phases["status"].isin([StxmStatus.OK, StxmStatus.AMBIGUOUS])
    fresh = xr.where(doubtful, StxmStatus.AMBIGUOUS.value, StxmStatus.OK.value)
    status = xr.where(free, fresh, phases["status"]).astype(np.int8)
    return status.assign_attrs(phases["status"].attrs)


def _offset_variables(offset: _Offset) -> xr.Dataset:
    return xr.Dataset({"energy_offset": ((), offset.value), "energy_offset_error": ((), offset.error)})


def _name_clusters(clusters: xr.Dataset, spectra: Array, library: _Library) -> xr.Dataset:
    """Pearson of each cluster's mean spectrum with each reference, and the best one; -1 for a cluster without pixels."""
    pearson = xr.apply_ufunc(
        lambda mean: _pearson(mean[..., None, :], spectra),
        clusters["spectrum"],
        input_core_dims=[["energy"]],
        output_core_dims=[["reference"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": len(library.names)}},
    )
    alive = np.isfinite(pearson).all("reference")
    phase = xr.where(alive, pearson.fillna(-2.0).argmax("reference"), -1).astype(np.int16)
    named = xr.Dataset({"cluster_pearson": pearson, "cluster_phase": phase})
    return named.assign_coords(reference=library.names)


def _judge(
    od: xr.Dataset, clusters: xr.Dataset, named: xr.Dataset, library: _Library, spectra: Array, max_misfit: float | None
) -> xr.Dataset:
    """Evidence and verdict of every pixel; no neighbour has a say yet."""
    material = od["valid"] & ~od["empty"] if "empty" in od else od["valid"]
    names = xr.DataArray(np.arange(len(library.names)), dims="reference")
    vote = xr.dot(clusters["responsibility"], (named["cluster_phase"] == names).astype(float), dim="cluster")
    pairs = _pairs_of(library)
    n = len(library.names)
    found = xr.apply_ufunc(
        partial(_judge_block, spectra=spectra, pairs=pairs, composition=library.composition, max_misfit=max_misfit),
        od["optical_density"],
        od["noise"],
        vote.drop_vars("reference", errors="ignore"),
        material,
        input_core_dims=[["energy"], ["energy"], ["reference"], []],
        output_core_dims=[["reference"], *([[]] * len(_Verdict._fields))],
        dask="parallelized",
        output_dtypes=[np.float64] * (1 + len(_Verdict._fields)),
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": n}},
    )
    out = xr.Dataset({"pearson": found[0], **dict(zip(_Verdict._fields, found[1:], strict=True))})
    out = out.assign_coords(reference=library.names)
    for name in ("phase", "runner_up"):
        out[name] = out[name].fillna(-1).astype(np.int16)
    out["status"] = out["status"].fillna(StxmStatus.BACKGROUND.value).astype(np.int8)
    return out


def _judge_block(
    density: Array,
    noise: Array,
    vote: Array,
    material: NDArray[np.bool_],
    *,
    spectra: Array,
    pairs: NDArray[np.intp],
    composition: Array,
    max_misfit: float | None,
) -> tuple[Array, ...]:
    """Pearson (.., reference) and the verdict of a block (.., energy)."""
    evidence = _evidence_block(density, noise, material, spectra=spectra, pairs=pairs)
    known = np.isfinite(evidence.pair) & np.isfinite(vote).all(axis=-1)
    verdict = _Verdict(*(np.full(known.shape, np.nan) for _ in _Verdict._fields))
    if known.any():
        part = _Evidence(*(values[known] for values in evidence))
        decided = _decide(part, vote[known], pairs, composition, density.shape[-1], max_misfit)
        for whole, values in zip(verdict, decided, strict=True):
            whole[known] = values
    return (evidence.pearson, *verdict)


def _decide(
    evidence: _Evidence, vote: Array, pairs: NDArray[np.intp], composition: Array, n_energies: int, max_misfit: float | None
) -> _Verdict:
    """Verdict of pixels (n,): name by vote, doubt by the pixel's own chi-square."""
    rows = np.arange(len(vote))
    freedom = max(n_energies - 3, 1)
    misfit = evidence.pair_chi_square / freedom
    own = _probability(evidence.single, np.maximum(misfit, 1.0))
    phase = vote.argmax(axis=1)
    probability = (vote + own) / 2
    others = probability.copy()
    others[rows, phase] = -1.0
    runner_up = others.argmax(axis=1) if vote.shape[1] > 1 else np.full(len(vote), -1)
    ranked = np.sort(evidence.pearson, axis=1)
    margin = ranked[:, -1] - ranked[:, -2] if vote.shape[1] > 1 else np.full(len(vote), np.nan)
    pair = pairs[evidence.pair.astype(np.intp)]
    second = np.nan_to_num(evidence.second_share)
    x = composition[pair[:, 0]] * (1 - second) + composition[pair[:, 1]] * second
    mixture = np.minimum(second, 1 - second)
    limit = 2 * stats.chi2.isf(1e-4, freedom) / freedom if max_misfit is None else max_misfit
    best = evidence.single.min(axis=1)
    noise_scale = np.maximum(misfit, 1.0)
    contradicted = (evidence.single[rows, phase] - best) / noise_scale > _CLEAR
    mixed = ((best - evidence.pair_chi_square) / noise_scale > _CLEAR) & (mixture > _MIXED)
    status = np.select(
        [misfit > limit, mixed, contradicted],
        [StxmStatus.NO_REFERENCE, StxmStatus.TRANSITION, StxmStatus.FALSE_ASSIGNMENT],
        StxmStatus.OK,
    )
    chi_square = evidence.single[rows, phase] / max(n_energies - 2, 1)
    return _Verdict(phase, runner_up, probability[rows, phase], margin, chi_square, x, mixture, status)


def _place(od: xr.Dataset, out: xr.Dataset, library: _Library, blur_px: float) -> xr.DataArray:
    """Status with what only the map knows: too thick, and transitions that lie between their two phases."""
    thick = od["too_thick"] if "too_thick" in od else xr.zeros_like(od["valid"], dtype=bool)
    status = xr.where(thick, StxmStatus.TOO_THICK.value, out["status"])
    return xr.apply_ufunc(
        partial(_boundary, order=_ranks(library), blur_px=blur_px),
        status,
        out["phase"],
        out["composition"],
        input_core_dims=[_SCAN] * 3,
        output_core_dims=[_SCAN],
        dask="parallelized",
        output_dtypes=[np.int8],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )


def _ranks(library: _Library) -> NDArray[np.intp]:
    """Place of each reference along the path."""
    if not np.isfinite(library.composition).all():
        return np.arange(len(library.names))
    return np.argsort(np.argsort(library.composition))


def _boundary(status: Array, phase: Array, composition: Array, *, order: NDArray[np.intp], blur_px: float) -> NDArray[np.int8]:
    """A transition with a phase before and one after it on the path within reach of the probe is one that blur explains."""
    reach = int(np.ceil(blur_px))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.hypot(y, x) <= blur_px
    pure = (status == StxmStatus.OK) & (phase >= 0)
    rank = np.where(pure, order[np.maximum(phase, 0).astype(np.intp)], -1)
    low = ndimage.minimum_filter(np.where(pure, rank, 10**6), footprint=disk, mode="nearest")
    high = ndimage.maximum_filter(rank, footprint=disk, mode="nearest")
    between = (status == StxmStatus.TRANSITION) & (high > low) & (high >= 0)
    return np.where(between, StxmStatus.BOUNDARY_TRANSITION, status).astype(np.int8)
