"""How well each number of components does: the evidence from which k is chosen."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import FEATURES, RANKS, describe, require
from ._hals import Array, Dense, Fit, LowRank, compress
from ._splits import Judged, Split, block_splits, thinned_splits
from ._starts import polish, race, random_start, svd_start, warm_start
from .factors import check_rank, feature_matrix
from .matching import cosines

_SHOWN = 24  # patterns per run on which image quality is judged


def scan_ranks(
    features: xr.Dataset,
    ranks: Iterable[int],
    *,
    n_runs: int = 5,
    seed: int = 0,
    progress: bool = True,
) -> xr.Dataset:
    """Factorise with every k in ``ranks``, ``n_runs`` times each, and measure what speaks for and against each k.

    Reads all features into memory (about 5 times 4 bytes x scan points x features at the peak); one BLAS thread.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`. Whole counts are held out by Poisson thinning (each run trains on all but one
        of ``max(n_runs, 5)`` random shares of the electrons); anything else by bi-cross-validation (half of the scan
        points and half of the features are held out).
    ranks
        Values of k to try, e.g. ``range(2, 13)``; at least 3, so that a curve has a shape.
    n_runs
        Repeats: each has its own held-out data and random starts. Below 3 the spread means little.
    seed
        Seed of the splits and starts.
    progress
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        RANKS: ``loss(rank, run)``, the published K-component loss mean |V - W H| with V in counts divided by its
        largest value; ``held_out_error(rank, run)``, squared error on unseen data relative to their square sum
        (photon noise keeps it far from 0); ``stability(rank)``, cosine of the worst-matched component between runs;
        ``redundancy(rank)``, largest cosine between two components of one fit, mean over runs; ``psnr(rank)`` [dB] and
        ``ssim(rank)`` of predicted against held-out patterns (square roots of counts). Attribute ``held_out``.

    Raises
    ------
    SchemaError
        Not FEATURES; fewer than 3 ranks, or one that the data cannot have; ``n_runs`` below 1.

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

    require(features, FEATURES, step="scan_ranks")
    data = feature_matrix(features, "scan_ranks")
    tried = _ranks(ranks, data.shape, n_runs)
    weight = _weight(features)
    counts = _counts(data, weight) if features.attrs.get("counts", 0) else None
    rng = np.random.default_rng(seed)
    table: dict[str, Any] = {name: np.full((len(tried), n_runs), np.nan) for name in _BY_RUN}
    patterns: list[list[Array]] = []
    with threadpool_limits(limits=1), tqdm(total=len(tried) * n_runs, disable=not progress, desc="scan_ranks") as bar:
        full = compress(data, max(tried) + 20, rng)
        splits = _splits(data, counts, weight, n_runs, rng)
        for run, split in enumerate(splits):
            patterns.append([])
            for row, (loss, judged) in enumerate(_one_run(data, full, split, tried, weight, rng)):
                scores = (loss, judged.error, _redundancy(judged.factor), *_image_quality(judged, features, weight))
                for name, value in zip(_BY_RUN, scores, strict=True):
                    table[name][row, run] = value
                patterns[-1].append(judged.factor)
                bar.update()
    table["stability"] = [_stability([run[row] for run in patterns]) for row in range(len(tried))]
    out = _label(table, tried, n_runs, "poisson_thinning" if counts is not None else "bi_cross_validation")
    settings = {"ranks": tried, "n_runs": n_runs, "seed": seed}
    return describe(out, RANKS, step="scan_ranks", settings=settings, source=features)


_BY_RUN = ("loss", "held_out_error", "redundancy", "psnr", "ssim")


def _splits(
    data: Array, counts: NDArray[np.int32] | None, weight: Array, n_runs: int, rng: np.random.Generator
) -> Iterator[Split]:
    if counts is not None:
        yield from thinned_splits(counts, weight, n_runs, rng)
    else:
        yield from block_splits(data, n_runs, rng)


def _ranks(ranks: Iterable[int], shape: tuple[int, ...], n_runs: int) -> list[int]:
    tried = sorted({int(k) for k in ranks})
    if len(tried) < 3 or n_runs < 1:
        raise SchemaError(f"scan_ranks: ranks = {tried}, n_runs = {n_runs}, needs at least 3 ranks and 1 run.")
    for k in (tried[0], tried[-1]):
        check_rank(k, (shape[0] // 2, shape[1] // 2), "scan_ranks")  # half: what a held-out fit may see
    return tried


def _weight(features: xr.Dataset) -> Array:
    """What was divided out of each value, broadcast to (scan point, feature)."""
    scan, feature = features["scan_weight"].to_numpy(), features["feature_weight"].to_numpy()
    return np.asarray(scan.reshape(-1, 1) * feature, dtype=np.float32)


def _counts(data: Array, weight: Array) -> NDArray[np.int32]:
    return np.rint(data * weight).astype(np.int32)


def _one_run(
    data: Array, full: LowRank, split: Split, tried: list[int], weight: Array, rng: np.random.Generator
) -> Iterator[tuple[float, Judged]]:
    """For each k: the loss of a fit to all data, and the judgement on data that a second fit has not seen."""
    low = compress(split.train, max(tried) + 20, rng)
    train, everything = Dense(split.train), Dense(data)
    shown = rng.choice(len(data), size=min(_SHOWN, len(data)), replace=False)
    seen: Fit | None = None
    whole: Fit | None = None
    for k in tried:
        seen = polish(train, race(low, _starts(low, k, seen, rng)), max_iterations=20, tolerance=1e-6)
        whole = polish(everything, race(full, _starts(full, k, whole, rng)), max_iterations=10, tolerance=1e-6)
        yield _loss(data, whole, weight), split.judge(seen, shown)


def _starts(low: LowRank, k: int, previous: Fit | None, rng: np.random.Generator) -> list[tuple[Array, Array]]:
    """From the singular vectors, two from random patterns, and one grown from the fit before when it had k - 1."""
    starts = [svd_start(low, k), random_start(low, k, rng), random_start(low, k, rng)]
    if previous is not None and len(previous.factor) == k - 1:
        starts.append(warm_start(low, previous, rng))
    return starts


def _loss(data: Array, fit: Fit, weight: Array) -> float:
    """Published K-component loss: mean |V - W H| of counts over the largest count, in blocks of scan points."""
    total, largest = 0.0, 0.0
    for start in range(0, len(data), 256):
        rows = slice(start, start + 256)
        residual = (data[rows] - fit.loading[:, rows].T @ fit.factor) * weight[rows]
        total += float(np.abs(residual).sum(dtype=np.float64))
        largest = max(largest, float((data[rows] * weight[rows]).max()))
    return total / data.size / largest


def _redundancy(factor: Array) -> float:
    """Largest cosine between two components of one fit; 0 for a single one."""
    return float((cosines(factor, factor) - 2 * np.eye(len(factor))).max()) if len(factor) > 1 else 0.0


def _stability(runs: list[Array]) -> float:
    """Cosine of the worst-matched component, mean over pairs of runs; NaN for a single run."""
    from scipy.optimize import linear_sum_assignment

    worst = []
    for i, first in enumerate(runs):
        for second in runs[i + 1 :]:
            cosine = cosines(first, second)
            worst.append(float(cosine[linear_sum_assignment(-cosine)].min()))
    return float(np.mean(worst)) if worst else float("nan")


def _image_quality(judged: Judged, features: xr.Dataset, weight: Array) -> tuple[float, float]:
    """PSNR [dB] and SSIM of predicted against held-out patterns, on square roots, where counting noise is even."""
    from skimage import metrics

    quality: Any = metrics  # only partly typed

    index = features["feature_index"].to_numpy()
    scale = np.sqrt(features["feature_weight"].to_numpy())
    images = [np.sqrt(np.maximum(rows, 0)) * scale for rows in (judged.reference, judged.model)]
    drawn = [np.where(index >= 0, rows[:, index], 0) for rows in images]
    span = float(drawn[0].max()) or 1.0
    psnr = [quality.peak_signal_noise_ratio(a, b, data_range=span) for a, b in zip(*drawn, strict=True)]
    size = min(7, min(index.shape) - 1 + min(index.shape) % 2)
    ssim = [quality.structural_similarity(a, b, data_range=span, win_size=size) for a, b in zip(*drawn, strict=True)]
    return float(np.mean(psnr)), float(np.mean(ssim))


def _label(table: dict[str, Any], tried: list[int], n_runs: int, held_out: str) -> xr.Dataset:
    out = xr.Dataset(
        {
            "loss": (("rank", "run"), table["loss"]),
            "held_out_error": (("rank", "run"), table["held_out_error"]),
            "stability": ("rank", table["stability"]),
            **{name: ("rank", table[name].mean(axis=1)) for name in ("redundancy", "psnr", "ssim")},
        },
        coords={"rank": tried, "run": np.arange(n_runs)},
    )
    out["psnr"].attrs["units"] = "dB"
    out.attrs["held_out"] = held_out
    return out
