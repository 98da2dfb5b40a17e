"""From evidence to a verdict: opinions pooled, shared between neighbours, and a status for what remains doubtful."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, stats

from ..errors import StxmStatus
from .evidence import _Evidence, _evidence_block, _pairs_of
from .library import _Library
from .mixtures import _Posterior, _posterior, _States, _states, _surroundings

Array = NDArray[np.float64]
_SCAN = ["scan_y", "scan_x"]
#: chi-square by which a pixel must speak against its name, or for a mixture, to be heard (p = 5e-4 for one more term)
_CLEAR = 12.0
#: share of the lesser phase from which a mixture counts as one
_MIXED = 0.15
#: least vote: a cluster can be wrong, so no name is ever ruled out by votes alone
_LEAST_VOTE = 1e-3
#: weight of the vote: it rests on the same photons as the pixel's own spectrum, and must not count them twice
_VOTE = 0.5
#: chi-square per degree of freedom that noise alone often reaches; only what exceeds it widens the noise
_COMMON = 1.5
_KERNEL = np.array([[0.7, 1.0, 0.7], [1.0, 0.0, 1.0], [0.7, 1.0, 0.7]])


class _Verdict(NamedTuple):
    phase: NDArray[Any]
    runner_up: NDArray[Any]
    confidence: Array
    margin: Array
    chi_square: Array
    composition: Array
    mixture: Array
    status: NDArray[Any]


class _Settings(NamedTuple):
    """What all pixels share."""

    pairs: NDArray[np.intp]
    composition: Array
    states: _States
    spectra: Array
    freedom: int


class _Fields(NamedTuple):
    """The evidence as labelled arrays."""

    single: xr.DataArray
    pearson: xr.DataArray
    pair: xr.DataArray
    pair_chi_square: xr.DataArray
    second_share: xr.DataArray


def _judge(
    od: xr.Dataset,
    responsibility: xr.DataArray,
    library: _Library,
    spectra: Array,
    *,
    neighbours: float,
    blur_px: float,
) -> xr.Dataset:
    """Pearson and verdict of every pixel from its own spectrum, its clusters' votes and its neighbours."""
    evidence = _gather(od, library, spectra)
    freedom = max(od.sizes["energy"] - 3, 1)
    scale = (evidence.pair_chi_square / (_COMMON * freedom)).clip(min=1.0)
    own = -0.5 * evidence.single / scale
    opinion = own + _VOTE * np.log(_votes(responsibility, own).clip(min=_LEAST_VOTE))
    probability = _over_map(partial(_share, weight=neighbours), opinion)
    around = _over_map(partial(_surroundings, sigma=max(blur_px, 0.1) / np.sqrt(8 * np.log(2))), probability)
    settings = _Settings(_pairs_of(library), library.composition, _states(library), spectra, freedom)
    found = xr.apply_ufunc(
        partial(_decide, settings=settings),
        od["optical_density"],
        od["noise"],
        around,
        *evidence,
        input_core_dims=[["energy"], ["energy"], ["reference"], ["reference"], ["reference"], [], [], []],
        output_core_dims=[[]] * len(_Verdict._fields),
        dask="parallelized",
        output_dtypes=[np.float64] * len(_Verdict._fields),
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    out = xr.Dataset({"pearson": evidence.pearson, **dict(zip(_Verdict._fields, found, strict=True))})
    for name in ("phase", "runner_up"):
        out[name] = out[name].fillna(-1).astype(np.int16)
    out["status"] = _place(od, out, library, blur_px)
    return out.assign_coords(reference=library.names)


def _over_map(kernel: Any, values: xr.DataArray) -> xr.DataArray:
    """Kernel over whole maps (scan_y, scan_x, reference)."""
    dims = [*_SCAN, "reference"]
    return xr.apply_ufunc(
        kernel,
        values,
        input_core_dims=[dims],
        output_core_dims=[dims],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )


def _votes(responsibility: xr.DataArray, own: xr.DataArray) -> xr.DataArray:
    """Probability of each name by a pixel's clusters: a cluster votes as its members' own spectra do on average.

    So a cluster that holds two phases votes for both, and a wrongly named one does no harm.
    """
    relative: Any = np.exp(own - own.max("reference"))
    alone = (relative / relative.sum("reference")).fillna(0.0)
    member = responsibility.fillna(0.0)
    counts = xr.dot(member, alone, dim=_SCAN)
    return xr.dot(responsibility, counts / counts.sum("reference").clip(min=1e-9), dim="cluster")


def _gather(od: xr.Dataset, library: _Library, spectra: Array) -> "_Fields":
    """Evidence of every material pixel, lazily, by name of its parts."""
    material = od["valid"] & ~od["empty"] if "empty" in od else od["valid"]
    found = xr.apply_ufunc(
        partial(_evidence_block, spectra=spectra, pairs=_pairs_of(library)),
        od["optical_density"],
        od["noise"],
        material,
        input_core_dims=[["energy"], ["energy"], []],
        output_core_dims=[["reference"], ["reference"], [], [], []],
        dask="parallelized",
        output_dtypes=[np.float64] * 5,
        dask_gufunc_kwargs={"allow_rechunk": True, "output_sizes": {"reference": len(library.names)}},
    )
    return _Fields(*found)


def _share(opinion: Array, *, weight: float, n_rounds: int = 15) -> Array:
    """Probabilities (y, x, reference) from log opinions when neighbours pull together (mean field of a Potts model).

    NaN opinions (no material) neither pull nor are pulled. Each round every pixel adds ``weight`` times the sum of its
    neighbours' probabilities to its own opinion; 15 rounds carry news over 15 pixels, and nothing moves after about 10.
    """
    material: NDArray[np.bool_] = np.asarray(np.isfinite(opinion).all(axis=-1))
    base = np.where(material[..., None], opinion, 0.0)
    probability = _softmax(base) * material[..., None]
    for _ in range(n_rounds if weight > 0 else 0):
        pull = np.stack(
            [ndimage.convolve(image, _KERNEL, mode="constant") for image in np.moveaxis(probability, -1, 0)], axis=-1
        )
        probability = _softmax(base + weight * pull) * material[..., None]
    return np.where(material[..., None], probability, np.nan)


def _softmax(values: Array) -> Array:
    weight = np.exp(values - values.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def _decide(density: Array, noise: Array, around: Array, *parts: Array, settings: _Settings) -> tuple[Array, ...]:
    """Verdict of pixels (..): NaN, and status ``background``, where there is no material."""
    whole_evidence = _Evidence(*(np.asarray(values) for values in parts))
    known = np.isfinite(whole_evidence.pair) & np.isfinite(around).all(axis=-1)
    part = _Evidence(*(values[known] for values in whole_evidence))
    sigma = np.broadcast_to(noise, density.shape)[known].astype(np.float64)
    posterior = _posterior(
        density[known].astype(np.float64),
        np.maximum(sigma, 1e-6),
        around[known],
        settings.states,
        settings.spectra,
        allowed=_COMMON * settings.freedom,
        noticeable=_MIXED,
    )
    verdict = _Verdict(*(np.full(known.shape, np.nan) for _ in _Verdict._fields))
    verdict.status[...] = StxmStatus.BACKGROUND
    for whole, values in zip(verdict, _verdict(part, posterior, settings), strict=True):
        whole[known] = values
    return verdict


def _verdict(evidence: _Evidence, posterior: _Posterior, settings: _Settings) -> _Verdict:
    """Verdict of material pixels (n,)."""
    rows = np.arange(len(posterior.mixed))
    several = posterior.probability.shape[1] > 1
    order = np.argsort(posterior.probability, axis=1)
    phase = order[:, -1]
    runner_up = order[:, -2] if several else np.full(len(rows), -1)
    ranked = np.sort(evidence.pearson, axis=1)
    margin = ranked[:, -1] - ranked[:, -2] if several else np.full(len(rows), np.nan)
    pair = settings.pairs[evidence.pair.astype(np.intp)]
    second = np.nan_to_num(evidence.second_share)
    place = settings.composition[pair[:, 0]] * (1 - second) + settings.composition[pair[:, 1]] * second
    mixture = np.minimum(second, 1 - second)
    status = _doubt(evidence, posterior, phase, mixture, settings.freedom)
    chi_square = evidence.single[rows, phase] / (settings.freedom + 1)
    confidence = posterior.probability[rows, phase]
    return _Verdict(phase, runner_up, confidence, margin, chi_square, place, mixture, status)


def _doubt(
    evidence: _Evidence, posterior: _Posterior, phase: NDArray[np.intp], mixture: Array, freedom: int
) -> NDArray[np.integer]:
    """Status by the pixel's own spectrum; its misfit widens the noise, so that wrong references do not shout."""
    misfit = np.minimum(evidence.pair_chi_square, posterior.chi_square) / freedom
    scale = np.maximum(misfit / _COMMON, 1.0)
    best = evidence.single.min(axis=1)
    contradicted = (evidence.single[np.arange(len(phase)), phase] - best) / scale > _CLEAR
    mixed = ((best - evidence.pair_chi_square) / scale > _CLEAR) & (mixture > _MIXED)
    return np.select(
        [misfit > 2 * stats.chi2.isf(1e-4, freedom) / freedom, mixed | (posterior.mixed > 0.5), contradicted],
        [StxmStatus.NO_REFERENCE, StxmStatus.TRANSITION, StxmStatus.FALSE_ASSIGNMENT],
        StxmStatus.OK,
    )


def _place(od: xr.Dataset, out: xr.Dataset, library: _Library, blur_px: float) -> xr.DataArray:
    """Status with what only the map knows: too thick, and transitions that lie between their two phases."""
    thick = od["too_thick"] if "too_thick" in od else xr.zeros_like(od["valid"], dtype=bool)
    status = out["status"].where(~thick, StxmStatus.TOO_THICK.value)
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


def _boundary(
    status: Array, phase: Array, composition: Array, *, order: NDArray[np.intp], blur_px: float
) -> NDArray[np.int8]:
    """A transition with an earlier and a later phase of the path within the probe's reach: blur would explain it."""
    reach = int(np.ceil(blur_px))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.hypot(y, x) <= blur_px
    pure = (status == StxmStatus.OK) & (phase >= 0)
    rank = np.where(pure, order[np.maximum(phase, 0).astype(np.intp)], -1)
    low = ndimage.minimum_filter(np.where(pure, rank, 10**6), footprint=disk, mode="nearest")
    high = ndimage.maximum_filter(rank, footprint=disk, mode="nearest")
    between = (status == StxmStatus.TRANSITION) & (high > low) & (high >= 0)
    return np.where(between, StxmStatus.BOUNDARY_TRANSITION, status).astype(np.int8)
