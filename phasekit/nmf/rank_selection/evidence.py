r"""Probability of every k: how many directions are seen to be real, and how many more there may be.

Direction number j is either noise or one more pattern. Its odds for being a pattern that is seen are

.. math::

    B_j = h\,b^{(n)} + h\,b^{(e)} \left(\lambda_0 + b^{(n)}\right),\qquad h = \frac{s_j}{s_1}.

:math:`b^{(e)}` compares the eigenvalue of the cross-covariance (:mod:`.electrons`) of a pattern, whose share found
again may be anything from 0 to 1, with that of noise. :math:`b^{(n)}` does the same with the coherence of neighbours
(:mod:`.neighbours`), where :math:`\lambda_0` is the coherence below which a map looks like noise. h is the prior: a
singular value may be anything from 0 to the largest. All densities of noise are known or measured on the same data.

A pattern may show best in any of several ways: spread over few directions or many, in single scan points or in sums of
them (:mod:`.coarse`). Each is as likely before, so that the odds are the mean over the ways. A mean of odds against
the same noise stays one, however much the ways have in common. The evidence for r patterns that are seen is the
product of the odds up to r.

Further patterns may be too weak to be seen. A pattern of strength x, over noise of n patterns and p pixels with
:math:`\beta = n / p \le 1` (or the inverse), has the singular value

.. math::

    y^2 = \left(x + \tfrac1x\right)\left(x + \tfrac{\beta}{x}\right),

and is hidden below :math:`x_0 = \beta^{1/4}`, where y is that of noise, :math:`1 + \sqrt\beta` (Benaych-Georges and
Nadakuditi, J. Multivar. Anal. 111 (2012) 120). With :math:`x_2 / x_0 \dots x_r / x_0` taken as log-normal (sizes of
grains are about so), Student's t gives the probability :math:`p_0` that one more is below 1. Fewer than three patterns
have no scatter: a strength may then be anything up to the strongest, and :math:`p_0 = x_0 / x_1`. With every total
number as likely before,

.. math::

    P(r + m \mid r) = \binom{r + m}{m}\, p_0^m \left(1 - p_0\right)^{r + 1}.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..fitting.hals import split_strength
from .electrons import CrossCovariance, Excess, compute_excess
from .neighbours import Coherence, compute_coherence
from .noise_law import DEVIATION, MEAN, compute_log_density

Array = NDArray[np.float64]
_LARGEST = 300.0  # of the logarithm of odds: what is larger is certain, and e to this power is still a number


class ScanView(NamedTuple):
    """One way to look at the scan: point by point, or in sums of points and pixels."""

    left: NDArray[np.float32]  # (scan point, direction): maps, scaled by the singular values
    n_features: int
    shape: tuple[int, int]  # of the scan
    folds: list[CrossCovariance]  # of the electrons; empty where data are no counts


def collect_evidence(views: list[ScanView], tried: list[int], rng: np.random.Generator) -> dict[str, Array]:
    """Evidence by rank, (rank,), from every way to look at the scan."""
    curves = [_collect_curves(view, max(tried), rng) for view in views]
    table = {name: np.fmax.reduce([curve[name] for curve in curves]) for name in curves[0]}
    odds = _average_odds(np.array([curve["odds"] for curve in curves]))
    odds[0] = 0.0  # there is always one pattern
    table["log_evidence"] = np.cumsum(odds)
    if "scree" in curves[0]:
        table["scree"] = curves[0]["scree"]  # the largest of several would not be 1 at the edge of noise
    table["unseen"] = np.min([curve["unseen"] for curve in curves], axis=0)  # what one shows is seen
    del table["odds"]
    return {name: curve[np.array(tried) - 1] for name, curve in table.items()}


def _collect_curves(view: ScanView, largest: int, rng: np.random.Generator) -> dict[str, Array]:
    """Odds of every direction and what they come from, (rank,) from k = 1 to ``largest``, from one view."""
    _, strength = split_strength(view.left)
    n = min(largest, max(len(strength) - 2, 1))  # two directions are left to measure the noise
    excess = compute_excess(view.folds, n) if view.folds else None
    coherence = compute_coherence(view.left, view.shape, n, rng)
    size = len(view.left), view.n_features
    curves = {"odds": compute_log_odds(strength, excess, coherence, n), "unseen": compute_unseen(strength, size, n)}
    if coherence is not None:
        curves["neighbour_excess"] = ((coherence.eigenvalue - coherence.noise) / coherence.deviation).max(axis=0)
        curves["scree"] = np.maximum(coherence.eigenvalue[-1], 0) / np.maximum(coherence.noise[-1], 1e-12)
    if excess is not None:
        curves["electron_excess"] = (excess.value.max(axis=0) - MEAN) / DEVIATION * np.sqrt(excess.n_folds)
        curves["scree"] = np.maximum(excess.ratio[-1], 0)
    # Where the data have too few directions to look further, nothing more is seen.
    missing = {"odds": -_LARGEST, "unseen": curves["unseen"][-1]}
    return {name: np.append(curve, np.full(largest - n, missing.get(name, np.nan))) for name, curve in curves.items()}


def compute_log_odds(strength: Array, excess: Excess | None, coherence: Coherence | None, n_ranks: int) -> Array:
    """Logarithm of the odds that direction number k is a pattern, (rank,) from k = 1; ``strength``: singular values."""
    prior = np.log(np.clip(strength[:n_ranks] / max(float(strength[0]), 1e-300), 1e-12, 1.0))
    nothing = np.full(n_ranks, -_LARGEST)
    neighbours, floor = (nothing, np.ones(n_ranks)) if coherence is None else _compare_coherence(coherence)
    # Without a second part of the electrons the neighbours decide alone.
    share = nothing if excess is None else _compare_excess(excess)
    either = np.logaddexp(neighbours, share + np.log(floor + np.exp(neighbours)))
    return np.clip(prior + either, -_LARGEST, _LARGEST)


def _average_odds(odds: Array) -> Array:
    """Logarithm of the mean over the first axis of odds given as logarithms."""
    return np.asarray(np.logaddexp.reduce(odds, axis=0) - np.log(len(odds)))


def compute_unseen(strength: Array, shape: tuple[int, int], n_ranks: int) -> Array:
    """Probability that one more pattern is too weak to be seen where k are seen, (rank,) from k = 1.

    ``strength``: singular values of data of ``shape`` (patterns, pixels).
    """
    from scipy.stats import t

    chance = np.empty(n_ranks)
    for r in range(1, n_ranks + 1):
        edge = max(float(strength[min(r, len(strength) - 1)]), 1e-300)
        above = _remove_noise(strength[:r] / edge, min(shape) / max(shape))
        # The first direction is the mean pattern, stronger than any of its parts: it is no sample of the strengths.
        sample = np.log(above[1:])
        if len(sample) < 2:  # too few for a scatter: any strength up to the strongest
            chance[r - 1] = 1 / above[0]
            continue
        deviation = max(float(sample.std(ddof=1)) * np.sqrt(1 + 1 / len(sample)), 1e-12)
        chance[r - 1] = t.cdf(-sample.mean() / deviation, len(sample) - 1)
    return chance


def _remove_noise(value: Array, aspect: float) -> Array:
    """Strengths of patterns over the weakest that shows, from singular values over the largest of noise."""
    root = np.sqrt(aspect)
    excess = (np.maximum(value, 1.0) * (1 + root)) ** 2 - aspect - 1  # 2 root at the edge of noise
    square = (excess + np.sqrt(np.maximum(excess**2 - 4 * aspect, 0.0))) / 2
    return np.asarray(np.maximum(np.sqrt(square / root), 1.0))


def _compare_excess(excess: Excess) -> Array:
    """Logarithm of the density of a pattern over that of noise at the values found, mean over the block sizes."""
    odds = np.log(excess.spacing) - compute_log_density(excess.value, excess.n_folds)
    # A pattern moves the value up only: below the mean of noise it would not be seen.
    return _average_odds(np.where(excess.value > MEAN, np.minimum(odds, _LARGEST), -_LARGEST))


def _compare_coherence(coherence: Coherence) -> tuple[Array, Array]:
    """The same for coherence, and the coherence that noise reaches."""
    standard = (coherence.eigenvalue - coherence.noise) / coherence.deviation
    odds = np.log(coherence.deviation / DEVIATION) - compute_log_density(MEAN + DEVIATION * standard)
    odds = _average_odds(np.where(standard > 0, np.minimum(odds, _LARGEST), -_LARGEST))
    return odds, np.clip(coherence.noise.mean(axis=0), 1e-12, 1.0)


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
