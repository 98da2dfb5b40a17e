"""How well each number of components describes the data: the evidence from which k is chosen."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FEATURES, RANKS, describe, require
from ..fitting.hals import Array
from ..fitting.level import bring_to_unit_level
from ..fitting.rank_fits import fit_all_ranks, load_complete_rows
from ..image_metrics import METRICS
from .evidence import ScanView, collect_evidence
from .loss import KComponentLoss
from .runs import CrossValidation

_IMAGE_METRICS = ("psnr", "ssim")
_REFINING_PASSES = 3  # over the data: the fits themselves are not returned, only their error


def scan_ranks(
    features: xr.Dataset,
    ranks: Iterable[int],
    *,
    n_runs: int = 5,
    seed: int = 0,
    metrics: Iterable[str] = _IMAGE_METRICS,
    in_memory: bool | None = None,
    progress: bool = True,
) -> xr.Dataset:
    r"""Factorise with every k in ``ranks``, from ``n_runs`` starts, and measure the evidence for each k.

    There are two series of fits. One is on all the data (training loss), the other ``n_runs`` times on a part of them
    and scored on the rest. The published K-component loss of the first series, with counts :math:`v` of N scan points
    and M features, is

    .. math::

        \mathcal L_k = \frac{1}{N M \max v} \sum_{ij} \left| v_{ij} - (W H)_{ij} \right|.

    The gain of k over the k before, from the squared errors :math:`e_{k,i}` of the held-out scan points, is

    .. math::

        g_k = \frac{\langle e_{k-1,i} - e_{k,i}\rangle_i}{\mathrm{std}_i(e_{k-1,i} - e_{k,i}) / \sqrt{N}},

    averaged over the runs. Memory beyond the features: about .3 of them for 64 MB of counts of a low dose, less
    for more. One thread.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`. Whole counts are held out by Poisson thinning: every electron is assigned at
        random to one of 8 folds. For ``n_runs`` > 8 there are more, the next power of two. Each run trains on all folds
        but one. Other data are scored by bi-cross-validation: half of the scan points and half of the features are held
        out.
    ranks
        Values of k to try, e.g. ``range(2, 13)``; at least 3, so that a curve has a shape.
    n_runs
        Starts on all the data, and repeats with other held-out data. Below 3 the spread means little.
    seed
        Seed of the splits and starts.
    metrics
        Image-quality metrics of predicted against held-out patterns, any of :func:`image_quality`'s. A metric that
        needs larger images than the detector's is left out.
    in_memory
        As in :func:`factorise`.
    progress
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        RANKS. ``loss(rank, run)``: K-component loss of every start, averaged over at most 512 scan points that the seed
        chooses. ``relative_error(rank)`` of the best one after at most 3 passes over the data;
        :func:`factorise_ranks` makes up to 8, which lower it by up to 0.02 %. ``held_out_error(rank, run)``: squared
        error on unseen data relative to their square sum (photon noise keeps it far from 0). ``deviance(rank, run)``:
        Poisson deviance per unseen electron (NaN without counts). ``gain(rank)``: the second equation (NaN for the
        first rank). ``stability(rank)``: cosine of the worst-matched component between runs.
        ``electron_excess(rank)``: how far direction number k of the data is found again in held-out electrons, in
        standard deviations above noise (counts only). ``neighbour_excess(rank)``: how far the maps of the directions
        hang together between neighbouring scan points, likewise. Both are the largest of several values, of the scan as
        it is and of sums of 3 x 3 scan points and 2 x 2 pixels. ``log_evidence(rank)``: logarithm of the evidence for k
        from both, see :func:`rank_votes`. ``unseen(rank)``: probability that one more pattern is too weak to be seen.
        ``scree(rank)``: the value behind the first excess (the second without counts) over the largest that noise
        would have, of the scan as it is. ``redundancy(rank)``: largest cosine between two components of one fit, mean
        over runs. One
        variable for each of ``metrics``, of held-out patterns (square roots of counts, 16 scan points together).
        Attribute ``held_out``: which of the two ways was taken.

    Raises
    ------
    SchemaError
        Not FEATURES, or with missing values; fewer than 3 ranks, or one that the data cannot have; ``n_runs`` below 1;
        a metric that is not known.

    See Also
    --------
    choose_rank : One k from the result.
    rank_votes : Every rule's vote and a probability over k.
    to_features : Prepare the features.
    factorise : Factorise with the chosen k.

    References
    ----------
    Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H (K-component loss, image quality); A. Dharamshi et
    al., J. Mach. Learn. Res. 26 (2025) 1 (data thinning); Owen and Perry, Ann. Appl. Stat. 3 (2009) 564.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(10, 10), detector=(32, 32))
    >>> ranks = scan_ranks(pk.nmf.to_features(scan), range(1, 6), n_runs=3, progress=False)
    >>> int(ranks.held_out_error.mean("run").idxmin())
    3
    """
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm

    require(features, FEATURES, step="scan_ranks", argument="features")
    metrics = _select_metrics(metrics, features)
    given, features = features, bring_to_unit_level(features)
    source = load_complete_rows(features, in_memory, "scan_ranks")
    tried = _check_ranks(ranks, source.shape, n_runs)
    rng = np.random.default_rng(seed)
    with (
        threadpool_limits(limits=1),
        tqdm(total=len(tried) * (n_runs + 1), disable=not progress, desc="scan_ranks") as bar,
    ):
        losses = KComponentLoss(source, features, seed)
        how = {"n_passes": _REFINING_PASSES, "tick": bar.update, "inspect": losses.add_fits}
        trained = fit_all_ranks(source, tried, n_runs, rng, keep=lambda fit: fit.error, **how)
        table: dict[str, Any] = {"loss": losses.compute_table()}
        table["relative_error"] = np.array(trained.kept)
        is_counts = bool(features.attrs.get("counts", 0))  # only a count of electrons can be thinned
        runs = CrossValidation(source, features, tried, metrics, bar.update, losses.largest if is_counts else 0.0)
        table |= (
            runs.score_held_out_counts(n_runs, seed, rng) if is_counts else runs.score_held_out_quarters(n_runs, rng)
        )
        table |= _weigh_evidence(trained.left, runs, features, np.random.default_rng([seed, 1]))
    held_out = "poisson_thinning" if is_counts else "bi_cross_validation"
    settings = {"ranks": tried, "n_runs": n_runs, "seed": seed, "metrics": list(metrics)}
    out = _label_table(table, tried, n_runs).assign_attrs(held_out=held_out)
    return describe(out, RANKS, step="scan_ranks", settings=settings, source=given)


def _weigh_evidence(
    left: Array, runs: CrossValidation, features: xr.Dataset, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Evidence by rank, of the scan as it is and of its sums."""
    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    views = [ScanView(left, features.sizes["feature"], shape, runs.cross_covariances)]
    for coarse, folds in zip(runs.coarse, runs.coarse_covariances, strict=True):
        low = coarse.compress(max(runs.tried), rng)
        views.append(ScanView(low.left, low.right.shape[1], coarse.shape, folds))
    return collect_evidence(views, runs.tried, rng)


def _check_ranks(ranks: Iterable[int], shape: tuple[int, int], n_runs: int) -> list[int]:
    """The ranks in order, or an error that says which of them the data cannot have."""
    tried = sorted({int(k) for k in ranks})
    if len(tried) < 3 or n_runs < 1:
        raise SchemaError(f"scan_ranks: ranks = {tried}, n_runs = {n_runs}, needs at least 3 ranks and 1 run.")
    limit = min(shape) // 2  # half: what a held-out fit may see
    if limit < 3:
        raise SchemaError(
            f"scan_ranks: {shape[0]} scan points and {shape[1]} features, needs at least 6 of each, because half of "
            "them is held out. Choose k yourself and call factorise."
        )
    if not 1 <= tried[0] <= tried[-1] <= limit:
        raise SchemaError(
            f"scan_ranks: ranks from {tried[0]} to {tried[-1]}, needs 1 to {limit}: half of the {shape[0]} scan points "
            f"and {shape[1]} features. Try ranks=range(1, {min(limit, 12) + 1})."
        )
    return tried


def _select_metrics(metrics: Iterable[str], features: xr.Dataset) -> tuple[str, ...]:
    """The metrics that are known and for which the detector is large enough."""
    asked = tuple(metrics)
    unknown = sorted(set(asked) - set(METRICS))
    if unknown:
        raise SchemaError(f"scan_ranks: metrics = {unknown}, needs some of {sorted(METRICS)}.")
    # A metric that needs a larger detector is left out, not refused: the default should run on any scan.
    size = min(features["feature_index"].shape)
    return tuple(name for name in asked if METRICS[name].minimum_size <= size)


def _label_table(table: dict[str, Any], tried: list[int], n_runs: int) -> xr.Dataset:
    """RANKS from arrays by rank, or by rank and run."""
    data = {name: (("rank", "run")[: values.ndim], values) for name, values in table.items()}
    out = xr.Dataset(data, coords={"rank": tried, "run": np.arange(n_runs)})
    if "psnr" in out:
        out["psnr"].attrs["units"] = "dB"
    return out
