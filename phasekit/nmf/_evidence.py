"""What the evidence says of every k, as a probability: a conditional logit model of a few curves.

The odds of each k are exp(sum of weight x evidence), over the ranks that were tried (McFadden, in: Frontiers in
Econometrics (1974) 105). Every piece of evidence is free of the data's scale and size. The weights were fitted by
maximum likelihood on one family of simulated scans and judged on another (``benchmarks/nmf``): they say how much each
piece is worth beside the others, and with that how sure the sum is.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
_MOST = 40.0  # standard errors beyond which more make no difference
EDGE = 1.02  # singular values must stand so far above the noise edge: uneven noise lifts its own by up to 2 %

#: Worth of each piece of evidence, from benchmarks/nmf/tune.py.
WEIGHTS = {
    "gain": 0.25,
    "deviance": 0.25,
    "instability": 1.0,
    "redundancy": 1.0,
    "unexplained": -1.0,
    "below_noise": -1.0,
    "ssim": 0.3,
}


def evidence(ranks: xr.Dataset) -> dict[str, Array]:
    """Every piece of evidence by rank; 0 everywhere for one that the ranks do not hold."""
    none = np.zeros(ranks.sizes["rank"])
    stability, redundancy = ranks["stability"].to_numpy(), ranks["redundancy"].to_numpy()
    scree = np.log(ranks["scree"].to_numpy() / EDGE) if "scree" in ranks else np.full(none.shape, np.nan)
    following = np.append(scree[1:], np.nan)
    return {
        # standard errors by which k predicts worse than the best, summed from step to step
        "gain": _behind(np.cumsum(_gain(ranks))),
        # the same between runs, of the deviance
        "deviance": -_paired(ranks["deviance"].to_numpy()) if "deviance" in ranks else none,
        # fall of the stability, rise of the redundancy, from k to k + 1
        "instability": _finite(stability - np.append(stability[1:], stability[-1])),
        "redundancy": _finite(np.append(redundancy[1:], redundancy[-1]) - redundancy),
        # how far singular value k + 1 stands above the noise, how far number k lies below it
        "unexplained": _finite(np.clip(following, 0, 1)),
        "below_noise": _finite(np.clip(-scree, 0, 0.1) * 10),
        "ssim": (ranks["ssim"].to_numpy() >= ranks["ssim"].to_numpy().max()) * 1.0 if "ssim" in ranks else none,
    }


def probability(ranks: xr.Dataset) -> Array:
    """Probability of every rank tried, (rank,), sum 1."""
    pieces = evidence(ranks)
    odds = sum((WEIGHTS[name] * piece for name, piece in pieces.items()), np.zeros(ranks.sizes["rank"]))
    share = np.exp(odds - odds.max())
    return np.asarray(share / share.sum(), dtype=np.float64)


def _gain(ranks: xr.Dataset) -> Array:
    """Standard errors by which each k predicts better than the one before; 0 for the first."""
    if "gain" in ranks:
        return np.nan_to_num(ranks["gain"].to_numpy().astype(np.float64))
    steps = -np.diff(ranks["held_out_error"].transpose("rank", "run").to_numpy(), axis=0, prepend=np.nan)
    spread = steps.std(axis=1) / np.sqrt(steps.shape[1])
    return np.nan_to_num(steps.mean(axis=1) / np.maximum(spread, 1e-3 * np.abs(steps.mean(axis=1)) + 1e-300))


def _behind(height: Array) -> Array:
    """Distance below the top, at most ``_MOST``, as a negative number."""
    return np.maximum(height - height.max(), -_MOST)


def _paired(values: Array) -> Array:
    """Standard errors between runs by which each rank is worse than the best one, at most ``_MOST``."""
    if not np.isfinite(values).all() or values.shape[1] < 2:
        return np.zeros(len(values))
    excess = values - values[values.mean(axis=1).argmin()]
    spread = np.maximum(excess.std(axis=1, ddof=1) / np.sqrt(values.shape[1]), 1e-300)
    return np.where(excess.any(axis=1), np.clip(excess.mean(axis=1) / spread, 0, _MOST), 0.0)


def _finite(values: Array) -> Array:
    return np.nan_to_num(values, nan=0.0)
