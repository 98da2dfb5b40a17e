r"""Probability of every k: how many directions are real, from two kinds of independent evidence.

Direction number k is either noise or one more pattern. Its odds for being real, beside those for noise, are

.. math::

    B_k = h\,(1 + b^{(n)}) + b^{(e)} \left(\lambda_0 + b^{(n)}\right),\qquad h = \frac{s_k}{s_1}.

h is the prior probability that one more pattern is too weak to be seen: its singular value may be anything from 0 to
the largest, :math:`s_1`, and below that of the noise, :math:`s_k`, it has no effect. :math:`b^{(e)}` compares the
singular value of the cross-covariance (:mod:`.electrons`) of a pattern, whose share found again may be anything from 0
to 1, with that of noise. :math:`b^{(n)}` does the same with the coherence of neighbours (:mod:`.neighbours`), where
:math:`\lambda_0` is the coherence below which a map looks like noise. Nothing is fitted: all densities of noise are
known or measured on the same data. The evidence for k is the product up to k, and the probability its share:

.. math::

    p_k \propto \prod_{j=2}^{k} B_j .
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.hals import LowRank
from .electrons import CrossCovariance, Excess, compute_excess
from .neighbours import Coherence, compute_coherence
from .noise_law import DEVIATION, MEAN, compute_log_density

Array = NDArray[np.float64]
_LARGEST = 300.0  # of the logarithm of odds: what is larger is certain, and e to this power is still a number


def collect_evidence(
    low: LowRank,
    folds: list[CrossCovariance],
    shape: tuple[int, int],
    tried: list[int],
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Evidence by rank, (rank,), from the compressed data on a scan of ``shape`` and the folds of the electrons.

    ``folds`` is empty where data are no counts.
    """
    strength = np.linalg.norm(low.left.astype(np.float64), axis=0)
    n = min(max(tried), max(len(strength) - 2, 1))  # two directions are left to measure the noise
    excess = compute_excess(folds, n) if folds else None
    coherence = compute_coherence(low, shape, n, rng)
    odds = compute_log_odds(strength, excess, coherence, n)
    odds[0] = 0.0  # there is always one pattern
    curves = {"log_evidence": np.cumsum(odds)}
    if coherence is not None:
        curves["neighbour_excess"] = (coherence.eigenvalue - coherence.noise) / coherence.deviation
        curves["scree"] = np.maximum(coherence.eigenvalue, 0) / np.maximum(coherence.noise, 1e-12)
    if excess is not None:
        curves["electron_excess"] = (excess.value - MEAN) / DEVIATION * np.sqrt(excess.n_folds)
        curves["scree"] = np.maximum(excess.ratio, 0)
    # Where the data have too few directions to look further, each further one has the odds of one unseen.
    beyond = np.log(_compute_hidden(strength, n)[-1]) * np.arange(1, max(tried) - n + 1)
    curves = {name: np.append(curve, np.full(max(tried) - n, np.nan)) for name, curve in curves.items()}
    curves["log_evidence"][n:] = curves["log_evidence"][n - 1] + beyond
    return {name: curve[np.array(tried) - 1] for name, curve in curves.items()}


def compute_log_odds(strength: Array, excess: Excess | None, coherence: Coherence | None, n_ranks: int) -> Array:
    """Logarithm of the odds that direction number k is real, (rank,) from k = 1; ``strength``: singular values."""
    hidden = _compute_hidden(strength, n_ranks)
    zero = np.zeros(n_ranks)
    above, floor = (zero, np.ones(n_ranks)) if coherence is None else _compare_coherence(coherence)
    # Without a second part of the electrons every share is as likely for noise as for a pattern.
    share = np.log1p(-hidden + 1e-12) if excess is None else _compare_excess(excess) + np.log(hidden)
    unseen = np.log(hidden) + np.log1p(above)
    return np.minimum(np.logaddexp(unseen, share + np.log(floor + above)), _LARGEST)


def _compute_hidden(strength: Array, n_ranks: int) -> Array:
    """Prior probability that one more pattern is too weak to be seen, (rank,)."""
    return np.clip(strength[:n_ranks] / max(float(strength[0]), 1e-300), 1e-12, 1.0)


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


def compute_probability(ranks: xr.Dataset) -> Array:
    """Probability of every rank tried, (rank,), sum 1, from RANKS."""
    evidence = (
        ranks["log_evidence"].to_numpy().astype(np.float64) if "log_evidence" in ranks else _compare_errors(ranks)
    )
    share = np.exp(evidence - evidence.max())  # the largest exponent is 0, so that nothing overflows
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
