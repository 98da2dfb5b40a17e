"""The other rules for the number of components, each a plain function of a :class:`Problem`.

A rule returns a :class:`Vote`: its k and the curve it was read from (by rank). They are written from their sources;
where a source leaves a choice to the eye, the docstring says what stands for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ard import automatic_relevance
from .fits import Array, LowRank, compress, compute_squared_error, fit_ranks, solve_nonnegative
from .stability import cophenetic_curve, silhouette_curve

_MIN_SILHOUETTE = 0.8
_THINNED_SHARE, _THINNED_RUNS = 0.2, 3
_PERMUTATIONS = 5


class Vote(NamedTuple):
    """The number of components a rule chooses, and the values by rank that made it do so."""

    k: int
    curve: list[float]


@dataclass(frozen=True)
class Problem:
    """Features (scan point, feature), the ranks to choose from, and the counts behind them where they are whole."""

    data: Array
    ranks: list[int]
    seed: int = 0
    weight: Array | None = field(default=None, repr=False)  # counts = data x weight; None: no whole counts

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """|V - L F|^2 of one fit to all data, by rank; the rules that read the training error share it."""
        return np.array([compute_squared_error(self.data, *sides) for sides in fit_ranks(self.data, self.ranks)])

    @cached_property
    def low(self) -> LowRank:
        """Twice as many singular vectors as the largest rank, and some."""
        return compress(self.data, 2 * max(self.ranks) + 20, self.seed, exact=True)

    @cached_property
    def counts(self) -> NDArray[np.int64] | None:
        """Electrons per scan point and feature."""
        return None if self.weight is None else np.rint(self.data * self.weight).astype(np.int64)


def choose_by_knee(problem: Problem) -> Vote:
    """Knee of the training error: the rank farthest below the chord of the curve, both axes scaled to 0..1.

    V. Satopaa et al., ICDCS Workshops (2011) 166 (kneedle, without smoothing).
    """
    return Vote(find_knee(problem.errors, problem.ranks), problem.errors.tolist())


def find_knee(curve: NDArray[np.float64], ranks: list[int]) -> int:
    """Where a falling convex curve lies deepest below the line from its first to its last point."""
    x = np.linspace(0, 1, len(ranks)) if len(ranks) < 2 else (np.array(ranks) - ranks[0]) / (ranks[-1] - ranks[0])
    span = max(float(curve[0] - curve[-1]), 1e-300)
    return ranks[int(np.argmax(1 - (curve - curve[-1]) / span - x))]


def choose_by_bic(problem: Problem) -> Vote:
    """Smallest N ln(RSS / N) + p ln N, with N = n m values and p = k (n + m - 1) free numbers.

    G. Schwarz, Ann. Stat. 6 (1978) 461, for Gaussian noise of one unknown variance, which Poisson-scaled data have
    about (Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203). A scale between the two sides is not free.
    """
    n, m = problem.data.shape
    parameters = np.array(problem.ranks) * (n + m - 1)
    curve = n * m * np.log(np.maximum(problem.errors, 1e-300) / (n * m)) + parameters * np.log(n * m)
    return Vote(problem.ranks[int(curve.argmin())], curve.tolist())


def choose_by_cophenetic(problem: Problem) -> Vote:
    """The last k >= 2 before the largest fall of the cophenetic correlation of the consensus of ten random starts.

    J.-P. Brunet, P. Tamayo, T. R. Golub and J. P. Mesirov, PNAS 101 (2004) 4164: "where the coefficient begins to
    fall", which is judged by eye there.
    """
    curve = cophenetic_curve(problem.low, problem.ranks, problem.seed)
    return Vote(_before_largest_fall(curve, problem.ranks), curve.tolist())


def _before_largest_fall(curve: NDArray[np.float64], ranks: list[int]) -> int:
    usable = np.array(ranks) >= 2  # a single cluster agrees with itself
    fall = np.where(usable[:-1], curve[:-1] - curve[1:], -np.inf)
    return ranks[int(fall.argmax())]


def choose_by_cross_validation(problem: Problem) -> Vote:
    """Smallest error on a held-out quarter, summed over the four quarters of a 2 x 2 division.

    A. B. Owen and P. O. Perry, Ann. Appl. Stat. 3 (2009) 564, section 3.3: with the data cut into A, B; C, D, the fit
    D ~ L F gives A ~ (B on F) (C on L), both sides by non-negative least squares.
    """
    rng = np.random.default_rng(problem.seed)
    halves = [np.array_split(rng.permutation(size), 2) for size in problem.data.shape]
    curve = np.zeros(len(problem.ranks))
    for row in range(2):
        for column in range(2):
            parts = [[halves[0][i], halves[1][j]] for i in (row, 1 - row) for j in (column, 1 - column)]
            a, b, c, d = (np.ascontiguousarray(problem.data[np.ix_(*part)]) for part in parts)
            for index, (loading, factor) in enumerate(fit_ranks(d, problem.ranks)):
                left, right = solve_nonnegative(b, factor), solve_nonnegative(c.T, loading.T)
                curve[index] += compute_squared_error(a, left, right.T)
    return Vote(problem.ranks[int(curve.argmin())], curve.tolist())


def choose_by_thinning(problem: Problem) -> Vote | None:
    """Smallest squared error on a fifth of the electrons that the fit has not seen, mean of three draws.

    A. Dharamshi et al., J. Mach. Learn. Res. 26 (2025) 1 (data thinning): binomial parts of a Poisson count are
    independent. Without whole counts there is no vote.
    """
    if problem.counts is None or problem.weight is None:
        return None
    rng = np.random.default_rng(problem.seed)
    curve = np.zeros(len(problem.ranks))
    for _ in range(_THINNED_RUNS):
        test = rng.binomial(problem.counts, _THINNED_SHARE)
        seen = ((problem.counts - test) / problem.weight / (1 - _THINNED_SHARE)).astype(np.float32)
        held = (test / problem.weight / _THINNED_SHARE).astype(np.float32)
        curve += [compute_squared_error(held, *sides) for sides in fit_ranks(seen, problem.ranks)]
    return Vote(problem.ranks[int(curve.argmin())], curve.tolist())


def choose_by_silhouette(problem: Problem) -> Vote:
    """Largest k whose least stable cluster of components still has a mean silhouette of 0.8.

    L. B. Alexandrov and V. V. Vesselinov, Water Resour. Res. 50 (2014) 7332 (NMFk): ten fits of perturbed data from
    random starts, components matched one to one into k clusters, silhouettes by cosine. Stable clusters and a small
    error are wanted; the training error always falls with k, so the largest stable k is the answer. 0.8 is usual in
    later work of the group. Without any such k: the k of the largest value, 1 left out.
    """
    curve = silhouette_curve(problem.data, problem.ranks, problem.seed, problem.weight)
    stable = [k for k, value in zip(problem.ranks, curve, strict=True) if value >= _MIN_SILHOUETTE]
    if stable:
        return Vote(max(stable), curve.tolist())
    rest = np.where(np.array(problem.ranks) > 1, curve, -np.inf)
    return Vote(problem.ranks[int(rest.argmax())], curve.tolist())


def choose_by_relevance(problem: Problem) -> Vote:
    """Components that automatic relevance determination leaves of the largest k.

    V. Y. F. Tan and C. Fevotte, IEEE Trans. Pattern Anal. Mach. Intell. 35 (2013) 1592 (l1-ARD, squared error with the
    noise variance of the data as dispersion). The curve is the relevances in falling order, not by rank.
    """
    k, relevance = automatic_relevance(problem.low, max(problem.ranks), problem.seed)
    return Vote(k, relevance.tolist())


def choose_by_scree(problem: Problem) -> Vote:
    """Components before the elbow of the logarithmic scree plot of the Poisson-scaled data.

    M. R. Keenan and P. G. Kotula, Surf. Interface Anal. 36 (2004) 203 (scaling); the elbow is the point farthest below
    the chord (Satopaa et al. 2011, as HyperSpy does), read over twice the largest rank, so that the flat part is seen.
    """
    strength = np.linalg.norm(problem.low.left, axis=0)[: 2 * max(problem.ranks) + 1].astype(np.float64)
    variance = np.maximum(strength**2, 1e-12)
    elbow = find_knee(np.log(variance), list(range(len(variance))))  # so many lie before it, counted from zero
    return Vote(int(np.clip(elbow, problem.ranks[0], problem.ranks[-1])), np.log(variance).tolist())


def choose_by_parallel_analysis(problem: Problem) -> Vote:
    """Singular values in a row above those of the same data permuted within every feature, the first one included.

    J. L. Horn, Psychometrika 30 (1965) 179; permutations as A. Buja and N. Eyuboglu, Multivar. Behav. Res. 27 (1992)
    509. The largest of five permutations is the bound, so that noise exceeds about one in six. The first singular value
    is the mean pattern, which a permutation keeps. It is always counted.
    """
    rng = np.random.default_rng(problem.seed)
    n = min(max(problem.ranks) + 1, problem.low.right.shape[0])
    drawn = [compress(rng.permuted(problem.data, axis=0), n, seed) for seed in range(_PERMUTATIONS)]
    bound = np.max([np.linalg.norm(low.left, axis=0) for low in drawn], axis=0)
    strength = np.linalg.norm(problem.low.left, axis=0)[: len(bound)]
    below = np.flatnonzero(strength[1:] <= bound[1:])
    k = 1 + int(below[0]) if len(below) else len(bound)
    return Vote(int(np.clip(k, problem.ranks[0], problem.ranks[-1])), (strength / bound).tolist())


def choose_by_hard_threshold(problem: Problem) -> Vote:
    """Singular values above omega times the median one, as for noise of one unknown variance.

    M. Gavish and D. L. Donoho, IEEE Trans. Inf. Theory 60 (2014) 5040, omega by their cubic approximation. It is made
    for the reconstruction of smallest error, not to count; in practice it is used for both.
    """
    data = problem.data if problem.data.shape[0] <= problem.data.shape[1] else problem.data.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh((data @ data.T).astype(np.float64)), 0))[::-1]
    ratio = data.shape[0] / data.shape[1]
    omega = 0.56 * ratio**3 - 0.95 * ratio**2 + 1.82 * ratio + 1.43
    curve = values / (omega * np.median(values))
    k = int((curve > 1).sum())
    return Vote(int(np.clip(k, problem.ranks[0], problem.ranks[-1])), curve[: 2 * max(problem.ranks)].tolist())


RULES: dict[str, Callable[[Problem], Vote | None]] = {
    "knee of the loss": choose_by_knee,
    "BIC": choose_by_bic,
    "cophenetic correlation": choose_by_cophenetic,
    "bi-cross-validation": choose_by_cross_validation,
    "NMFk silhouettes": choose_by_silhouette,
    "ARD": choose_by_relevance,
    "scree elbow": choose_by_scree,
    "parallel analysis": choose_by_parallel_analysis,
    "optimal hard threshold": choose_by_hard_threshold,
    "Poisson thinning alone": choose_by_thinning,
}
