r"""Probability of every k: how many directions are seen to be real, and how many more there may be.

Direction number j is either noise or one more pattern. Its odds for being a pattern that is seen are

.. math::

    B_j = h\,b^{(n)} + h\,b^{(e)} \left(\lambda_0 + b^{(n)}\right),\qquad h = \frac{s_j}{s_1}.

:math:`b^{(e)}` compares the eigenvalue of the cross-covariance (:mod:`.electrons`) of a pattern, whose share found
again may be anything from 0 to 1, with that of noise. :math:`b^{(n)}` does the same with the coherence of neighbours
(:mod:`.neighbours`), where :math:`\lambda_0` is the coherence below which a map looks like noise. h is the prior: a
singular value may be anything from 0 to the largest. All densities of noise are known or measured on the same data.
The evidence for r patterns that are seen is the product of the odds up to r.

Further patterns may be too weak to be seen. With the strengths :math:`s_2 \dots s_r` over that of the noise,
:math:`s_{r+1}`, taken as log-normal (sizes of grains are about so), Student's t gives the probability :math:`p_0` that
one more is below 1. Fewer than three patterns have no scatter: a strength may then be anything up to the strongest,
and :math:`p_0 = s_{r+1} / s_1`. With every total number as likely before,

.. math::

    P(r + m \mid r) = \binom{r + m}{m}\, p_0^m \left(1 - p_0\right)^{r + 1}.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.hals import split_strength
from .electrons import CrossCovariance, Excess, compute_excess
from .neighbours import Coherence, compute_coherence
from .noise_law import DEVIATION, MEAN, compute_log_density

Array = NDArray[np.float64]
_LARGEST = 300.0  # of the logarithm of odds: what is larger is certain, and e to this power is still a number


def collect_evidence(
    left: NDArray[np.float32],
    folds: list[CrossCovariance],
    shape: tuple[int, int],
    tried: list[int],
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Evidence by rank, (rank,), from the compressed data on a scan of ``shape`` and the folds of the electrons.

    ``left`` (scan point, direction): maps of the directions, scaled by the singular values.
    ``folds`` is empty where data are no counts.
    """
    _, strength = split_strength(left)
    n = min(max(tried), max(len(strength) - 2, 1))  # two directions are left to measure the noise
    excess = compute_excess(folds, n) if folds else None
    coherence = compute_coherence(left, shape, n, rng)
    odds = compute_log_odds(strength, excess, coherence, n)
    odds[0] = 0.0  # there is always one pattern
    curves = {"log_evidence": np.cumsum(odds), "unseen": compute_unseen(strength, n)}
    if coherence is not None:
        curves["neighbour_excess"] = (coherence.eigenvalue - coherence.noise) / coherence.deviation
        curves["scree"] = np.maximum(coherence.eigenvalue, 0) / np.maximum(coherence.noise, 1e-12)
    if excess is not None:
        curves["electron_excess"] = (excess.value - MEAN) / DEVIATION * np.sqrt(excess.n_folds)
        curves["scree"] = np.maximum(excess.ratio, 0)
    # Where the data have too few directions to look further, nothing more is seen.
    curves = {name: np.append(curve, np.full(max(tried) - n, np.nan)) for name, curve in curves.items()}
    curves["log_evidence"][n:] = curves["log_evidence"][n - 1] - _LARGEST
    curves["unseen"][n:] = curves["unseen"][n - 1]
    return {name: curve[np.array(tried) - 1] for name, curve in curves.items()}


def compute_log_odds(strength: Array, excess: Excess | None, coherence: Coherence | None, n_ranks: int) -> Array:
    """Logarithm of the odds that direction number k is a pattern, (rank,) from k = 1; ``strength``: singular values."""
    prior = np.log(np.clip(strength[:n_ranks] / max(float(strength[0]), 1e-300), 1e-12, 1.0))
    above, floor = (np.zeros(n_ranks), np.ones(n_ranks)) if coherence is None else _compare_coherence(coherence)
    # Without a second part of the electrons the neighbours decide alone.
    share = np.full(n_ranks, -_LARGEST) if excess is None else _compare_excess(excess)
    neighbours = np.log(np.maximum(above, np.exp(-_LARGEST)))
    return np.clip(prior + np.logaddexp(neighbours, share + np.log(floor + above)), -_LARGEST, _LARGEST)


def compute_unseen(strength: Array, n_ranks: int) -> Array:
    """Probability that one more pattern is too weak to be seen where k are seen, (rank,) from k = 1."""
    from scipy.stats import t

    chance = np.empty(n_ranks)
    for r in range(1, n_ranks + 1):
        edge = max(float(strength[min(r, len(strength) - 1)]), 1e-300)
        # The first direction is the mean pattern, stronger than any of its parts: it is no sample of the strengths.
        sample = np.log(np.maximum(strength[1:r], edge) / edge)
        if len(sample) < 2:  # too few for a scatter: any strength up to the strongest
            chance[r - 1] = min(edge / max(float(strength[0]), 1e-300), 1.0)
            continue
        deviation = max(float(sample.std(ddof=1)) * np.sqrt(1 + 1 / len(sample)), 1e-12)
        chance[r - 1] = t.cdf(-sample.mean() / deviation, len(sample) - 1)
    return chance


def _compare_excess(excess: Excess) -> Array:
    """Logarithm of the density of a pattern over that of noise, at the values found."""
    odds = np.log(excess.spacing) - compute_log_density(excess.value, excess.n_folds)
    # A pattern moves the value up only: below the mean of noise it would not be seen.
    return np.where(excess.value > MEAN, np.minimum(odds, _LARGEST), -_LARGEST)


def _compare_coherence(coherence: Coherence) -> tuple[Array, Array]:
    """Density of a pattern over that of noise at the eigenvalues found, and the coherence that noise reaches."""
    standard = (coherence.eigenvalue - coherence.noise) / coherence.deviation
    odds = np.log(coherence.deviation / DEVIATION) - compute_log_density(MEAN + DEVIATION * standard)
    above = np.where(standard > 0, np.exp(np.minimum(odds, _LARGEST)), 0.0)
    return above, np.clip(coherence.noise, 1e-12, 1.0)


def compute_probability(ranks: xr.Dataset) -> tuple[Array, Array]:
    """Probability that so many patterns are seen, and that there are so many, each (rank,), sum 1, from RANKS."""
    evidence = (
        ranks["log_evidence"].to_numpy().astype(np.float64) if "log_evidence" in ranks else _compare_errors(ranks)
    )
    seen = _normalise(evidence)
    if "unseen" not in ranks:
        return seen, seen
    chance = np.zeros(len(seen))
    for i, (r, p) in enumerate(zip(ranks["rank"].to_numpy(), ranks["unseen"].to_numpy(), strict=True)):
        chance[i:] += seen[i] * _count_unseen(ranks["rank"].to_numpy()[i:] - r, int(r), float(p))
    return seen, chance


def _count_unseen(more: NDArray[np.integer], r: int, p: float) -> Array:
    """Probability of so many more patterns than the ``r`` that are seen, over the numbers tried."""
    from scipy.special import gammaln

    ways = gammaln(r + more + 1) - gammaln(r + 1) - gammaln(more + 1)
    return _normalise(ways + more * np.log(max(p, 1e-300)))


def _normalise(logarithm: Array) -> Array:
    """Shares of numbers given as logarithms."""
    share = np.exp(logarithm - logarithm.max())  # the largest exponent is 0, so that nothing overflows
    return np.asarray(share / share.sum(), dtype=np.float64)


def _compare_errors(ranks: xr.Dataset) -> Array:
    """Evidence of RANKS of older files: odds that each step predicts unseen data better, from its standard errors."""
    from scipy.stats import norm

    if "gain" in ranks:
        gain = np.nan_to_num(ranks["gain"].to_numpy().astype(np.float64))
    else:
        steps = -np.diff(ranks["held_out_error"].transpose("rank", "run").to_numpy(), axis=0)
        spread = steps.std(axis=1) / np.sqrt(steps.shape[1])
        gain = np.append(0.0, steps.mean(axis=1) / np.maximum(spread, np.abs(steps.mean(axis=1)) / 40 + 1e-300))
    return np.asarray(np.cumsum(norm.logcdf(gain) - norm.logcdf(-gain)), dtype=np.float64)
