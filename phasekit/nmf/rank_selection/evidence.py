r"""Probability of every k from a few curves: a conditional logit model.

With evidence :math:`x_{km}` and weights :math:`w_m`, the probability over the ranks that were tried is (McFadden, in:
Frontiers in Econometrics (1974) 105)

.. math::

    p_k = \frac{\exp\left(\sum_m w_m x_{km}\right)}{\sum_l \exp\left(\sum_m w_m x_{lm}\right)}.

No piece depends on the scale or the size of the data. The weights were fitted by maximum likelihood on one family of
simulated scans and tested on another (``benchmarks/nmf``). They say how much each piece counts beside the others, and
so how narrow the probability is.
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
    """Every piece of evidence, each (rank,), from RANKS."""
    gain = _compute_gain(ranks)
    # Below 1, so that the logarithm stays finite for two equal components. The last rank has no step after it.
    redundancy = np.clip(ranks["redundancy"].to_numpy().astype(np.float64), 0, 1 - 1e-3)
    following = np.append(redundancy[1:], redundancy[-1])
    return {
        # standard errors by which k predicts worse than the best, summed over the steps between them
        "gain": _limit_deficit(np.cumsum(np.clip(gain, -_MAX_STEP, _MAX_STEP))),
        # harm of the step to k + 1 relative to the largest: a component of noise alone costs more than a real one
        "harm": np.clip(np.append(gain[1:], gain[-1]) / min(float(gain.min()), -1e-9), 0, 1) ** 2,
        # from k to k + 1 two components become similar: one grain is then described by two components
        "redundancy": following - redundancy,
        "distinctness": np.log((1 - redundancy) / (1 - following)),
    }


def compute_probability(ranks: xr.Dataset) -> Array:
    """Probability of every rank tried, (rank,), sum 1."""
    pieces = compute_evidence(ranks)
    odds = sum((WEIGHTS[name] * piece for name, piece in pieces.items()), np.zeros(ranks.sizes["rank"]))
    share = np.exp(odds - odds.max())  # the largest exponent is 0, so that nothing overflows
    return np.asarray(share / share.sum(), dtype=np.float64)


def _compute_gain(ranks: xr.Dataset) -> Array:
    """Standard errors by which each k predicts better than the one before; 0 for the first."""
    if "gain" in ranks:
        return np.nan_to_num(ranks["gain"].to_numpy().astype(np.float64))
    # RANKS without ``gain`` (of older files): the scatter over runs takes the place of that over scan points.
    steps = -np.diff(ranks["held_out_error"].transpose("rank", "run").to_numpy(), axis=0)
    mean = steps.mean(axis=1)
    spread = steps.std(axis=1) / np.sqrt(steps.shape[1])
    return np.append(0.0, mean / np.maximum(spread, np.abs(mean) / _MAX_DEFICIT + 1e-300))


def _limit_deficit(height: Array) -> Array:
    """Distance below the maximum, at most ``_MAX_DEFICIT``, as a negative number."""
    return np.maximum(height - height.max(), -_MAX_DEFICIT)
