"""Fits of every k to all the data: one compression, shared passes."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import FACTORS, FEATURES, describe, require
from .blocks import InMemoryRows, RowSource
from .hals import Array, Fit
from .labels import label_fit
from .level import bring_to_unit_level
from .multistart import (
    check_numerical_rank,
    check_rank,
    compress_for_ranks,
    fit_multistart,
    make_feature_rows,
)
from .polish import refine_fits

Kept = TypeVar("Kept")
_GROUP_ROWS = 60  # factors whose fits are refined together: matrix products of so many rows are at full speed
_POLISH, _TOLERANCE = 8, 2e-6  # passes over the data above the true k, where the compressed ones lose 0.04 to 0.4 %


def factorise_ranks(
    features: xr.Dataset,
    ranks: Iterable[int],
    *,
    n_starts: int = 5,
    seed: int = 0,
    in_memory: bool | None = None,
    progress: bool = True,
) -> dict[int, xr.Dataset]:
    """Factorise with every k in ``ranks`` at once: one compression and shared passes over the data.

    This is much cheaper than :func:`factorise` in a loop. The fits are refined by up to 8 passes over the data. Their
    error is then within 0.1 % of what long runs reach.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`, without missing values.
    ranks
        Values of k, at least one.
    n_starts
        Starts for every k: from the singular vectors, grown from the k before, the rest from random patterns.
    seed
        Seed of the starts.
    in_memory
        As in :func:`factorise`.
    progress
        Show a progress bar.

    Returns
    -------
    dict
        FACTORS by k, as of :func:`factorise`. ``converged`` is 1 where the last pass changed the error by less than
        0.0002 %.

    Raises
    ------
    SchemaError
        Not FEATURES, with missing values, or a k that the data cannot have.

    See Also
    --------
    factorise : One fit, run until it converges.
    scan_ranks : Measure which k the data support.
    to_features : Prepare the features.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> fits = factorise_ranks(pk.nmf.to_features(scan), [2, 3], progress=False)
    >>> sorted(fits), fits[3].attrs["relative_error"] < fits[2].attrs["relative_error"]
    ([2, 3], True)
    """
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm

    require(features, FEATURES, step="factorise_ranks", argument="features")
    given, features = features, bring_to_unit_level(features)
    source = load_complete_rows(features, in_memory, "factorise_ranks")
    tried = sorted({int(k) for k in ranks})
    for k in tried:
        check_rank(k, source.shape, "factorise_ranks")
    with threadpool_limits(limits=1), tqdm(total=len(tried), disable=not progress, desc="factorise_ranks") as bar:
        label = partial(label_fit, features)  # each fit is dropped when labelled: never all twice in memory
        trained = fit_all_ranks(source, tried, n_starts, np.random.default_rng(seed), tick=bar.update, keep=label)
    settings = {"ranks": tried, "n_starts": n_starts, "seed": seed}
    return {
        k: describe(out, FACTORS, step="factorise_ranks", settings=settings, source=given)
        for k, out in zip(tried, trained.kept, strict=True)
    }


class RankFits(NamedTuple, Generic[Kept]):
    """What was kept of the fits of every k on all the data, and the maps of the compressed data."""

    kept: list[Kept]  # by k
    left: Array  # (pixel, direction), scaled by the singular values


def load_complete_rows(features: xr.Dataset, in_memory: bool | None, step: str) -> RowSource:
    """Rows of the features, which must have no missing values."""
    rows = make_feature_rows(features, step, in_memory=in_memory)
    if rows.missing:
        raise SchemaError(
            f"{step}: the features hold missing values, which cannot be held out. Mask the detector pixels that are "
            "missing anywhere (to_features(mask=...)) to scan k; factorise takes the holes."
        )
    return rows.source


def fit_all_ranks(
    source: RowSource,
    tried: list[int],
    n_starts: int,
    rng: np.random.Generator,
    *,
    keep: Callable[[Fit], Kept],
    n_passes: int = _POLISH,
    tick: Callable[[], object],
    inspect: Callable[[list[Fit]], None] | None = None,
) -> RankFits[Kept]:
    """Fit every k from all starts to the compressed data, then refine the best of each on the data in shared passes.

    ``inspect`` is called with the fits of every start, k by k, before they are dropped. The best one, refined in at
    most ``n_passes``, goes through ``keep``. Rows of a file are passed as few times as possible, for all k together.
    Rows in memory are passed for some k at a time, so that few fits are held.
    """
    # One compression, large enough for the largest k, serves all.
    low = compress_for_ranks(source, max(tried), rng)
    check_numerical_rank(low, 1, "scan_ranks")
    most = _GROUP_ROWS if isinstance(source, InMemoryRows) else sum(tried)
    refine = partial(refine_fits, max_iterations=n_passes, tolerance=_TOLERANCE, in_place=True, norm2=low.norm2)
    waiting: list[Fit] = []
    kept: list[Kept] = []
    for fits in fit_multistart(low, tried, n_starts, rng, n_kept=1 if inspect is None else None):
        tick()
        if inspect is not None:
            inspect(fits)
        waiting.append(fits[0])
        del fits[1:]
        if len(kept) + len(waiting) == len(tried) or sum(len(fit.factor) for fit in waiting) >= most:
            kept += [keep(fit) for fit in refine(source, waiting)]
            waiting = []
    return RankFits(kept, low.left)
