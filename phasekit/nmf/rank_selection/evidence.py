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
_MAX_STEP, _MAX_DEFICIT = (
    8.0,
    40.0,
)  # standard errors beyond which more make no difference: of one step, of all together
EDGE = 1.02  # singular values must stand so far above the noise edge: uneven noise lifts its own by up to 2 %

#: Worth of each piece of evidence, fitted by benchmarks/nmf/tune.py.
WEIGHTS = {"gain": 0.115, "harm": 1.48, "redundancy": 2.207, "distinctness": 4.809}


def compute_evidence(ranks: xr.Dataset) -> dict[str, Array]:
    """Every piece of evidence by rank."""
    gain = _compute_gain(ranks)
    redundancy = np.clip(ranks["redundancy"].to_numpy().astype(np.float64), 0, 1 - 1e-3)
    following = np.append(redundancy[1:], redundancy[-1])
    return {
        # standard errors by which k predicts worse than the best, summed from step to step
        "gain": _limit_deficit(np.cumsum(np.clip(gain, -_MAX_STEP, _MAX_STEP))),
        # the step to k + 1 does the most harm: a component of noise alone costs more than one that holds something
        "harm": np.clip(np.append(gain[1:], gain[-1]) / min(float(gain.min()), -1e-9), 0, 1) ** 2,
        # from k to k + 1 two components become alike: one grain is told twice
        "redundancy": following - redundancy,
        "distinctness": np.log((1 - redundancy) / (1 - following)),
    }


def compute_probability(ranks: xr.Dataset) -> Array:
    """Probability of every rank tried, (rank,), sum 1."""
    pieces = compute_evidence(ranks)
    odds = sum((WEIGHTS[name] * piece for name, piece in pieces.items()), np.zeros(ranks.sizes["rank"]))
    share = np.exp(odds - odds.max())
    return np.asarray(share / share.sum(), dtype=np.float64)


def _compute_gain(ranks: xr.Dataset) -> Array:
    """Standard errors by which each k predicts better than the one before; 0 for the first."""
    if "gain" in ranks:
        return np.nan_to_num(ranks["gain"].to_numpy().astype(np.float64))
    steps = -np.diff(ranks["held_out_error"].transpose("rank", "run").to_numpy(), axis=0)
    mean = steps.mean(axis=1)
    spread = steps.std(axis=1) / np.sqrt(steps.shape[1])
    return np.append(0.0, mean / np.maximum(spread, np.abs(mean) / _MAX_DEFICIT + 1e-300))


def _limit_deficit(height: Array) -> Array:
    """Distance below the top, at most ``_MAX_DEFICIT``, as a negative number."""
    return np.maximum(height - height.max(), -_MAX_DEFICIT)
