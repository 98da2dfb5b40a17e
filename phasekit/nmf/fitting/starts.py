"""Where a factorisation starts, and the selection of the best start on the compressed data."""

from collections.abc import Iterable, Iterator

import numpy as np

from .hals import Array, Fit, LowRank, fit_hals
from .residual import estimate_rounding

Start = tuple[Array, Array]  # transposed loadings (k, pixel), factors (k, feature)
_TINY = float(np.finfo(np.float32).tiny)  # no row is divided by 0
# Every start is warmed up; only the best ones are then iterated until they converge.
_WARM_UP = 8  # iterations of every start, after which the best ones go on
_CHECK_INTERVAL, _MAX_ITERATIONS = 10, 200  # further iterations of the best: in steps of the first, until the second
_ROUNDING = float(np.finfo(np.float32).eps) / 4  # of |V|^2: half the rounding of one number in single precision
STOP_TOLERANCE = 2e-6  # of the error per iteration: below it the compressed data have no more to say


def make_svd_start(low: LowRank, k: int) -> Start:
    r"""Non-negative parts of the singular vectors (NNDSVD, Boutsidis and Gallopoulos, Pattern Recogn. 41 (2008) 1350).

    Of each pair :math:`\pm(u_j, v_j)` the sign is taken whose positive parts have the larger product of norms. Zeros
    are lifted to a small value: HALS moves a row at a time, and an all-zero row would never move.
    """
    u, vt = low.left[:, :k].T, low.right[:k]
    loading, factor = np.empty_like(u), np.empty_like(vt)
    for j in range(k):
        signs = (u[j], vt[j]), (-u[j], -vt[j])
        parts = [(np.maximum(a, 0), np.maximum(b, 0)) for a, b in signs]
        loading[j], factor[j] = max(parts, key=lambda part: float(np.linalg.norm(part[0]) * np.linalg.norm(part[1])))
    return _lift_zeros(loading), _lift_zeros(factor)


def make_random_start(low: LowRank, k: int, rng: np.random.Generator) -> Start:
    """Patterns of ``k`` random scan points far from each other as factors (k-means++ on the compressed data).

    The probability of a point is proportional to 1 minus its largest cosine with the points chosen before.
    """
    # Unit vectors: points are compared by the shape of their patterns, not by their counts.
    norm = np.linalg.norm(low.left, axis=1, keepdims=True)
    scores = low.left / np.maximum(norm, _TINY)
    # An empty pattern is like no other, and no component. A part of the data may have nothing else.
    filled = np.flatnonzero(norm) if norm.any() else np.arange(len(norm))
    chosen = [int(filled[rng.integers(len(filled))])]
    distance = (norm[:, 0] > 0).astype(np.float64)
    while len(chosen) < k:
        distance = np.minimum(distance, np.maximum(1 - scores @ scores[chosen[-1]], 0))
        total = float(distance.sum())
        weights = distance / total if total > 0 else None
        chosen.append(int(rng.choice(len(scores), p=weights)))
    factor = _lift_zeros(np.maximum(low.left[chosen] @ low.right, 0))
    loading: Array = np.abs(rng.standard_normal((k, len(scores)), dtype=np.float32))
    # The factors are patterns of the scan: loadings have no unit, and the same start serves the data times any number.
    loading /= k
    return loading, factor


def make_warm_start(low: LowRank, fit: Fit, rng: np.random.Generator) -> Start:
    """A fit of k - 1 components, and one more along the residual's strongest direction."""
    probe = rng.standard_normal((1, low.left.shape[0]), dtype=np.float32)
    # Power iteration with the residual, which is never formed: it is the compressed data less the fit.
    for _ in range(4):
        direction = probe @ low.left @ low.right - (probe @ fit.loading.T) @ fit.factor
        direction /= max(float(np.linalg.norm(direction)), _TINY)
        back = (direction @ low.right.T) @ low.left.T - (direction @ fit.factor.T) @ fit.loading
        probe = np.asarray(back, dtype=np.float32)
    # Both sides of the new component get the same norm, as those of the fit have: their units are then the same.
    size = np.float32(max(float(np.linalg.norm(probe)), _TINY) ** 0.5)
    probe, direction = probe / size, direction * size
    # A singular vector has no sign: take the one with more positive weight, the other part is cut off.
    sign = -1 if np.linalg.norm(np.minimum(direction, 0)) > np.linalg.norm(np.maximum(direction, 0)) else 1
    loading = np.concatenate([fit.loading, _lift_zeros(np.maximum(sign * probe, 0))])
    return loading, np.concatenate([fit.factor, _lift_zeros(np.maximum(sign * direction, 0))])


def grow_start(low: LowRank, fit: Fit, k: int) -> Start:
    """A given fit of k or k - 1 components as a start for k; zeros are lifted so that they can move."""
    start = (_lift_zeros(fit.loading), _lift_zeros(fit.factor))
    if len(fit.factor) == k:
        return start
    return make_warm_start(low, Fit(*start, np.inf), np.random.default_rng(0))


def _lift_zeros(rows: Array) -> Array:
    """The rows with 1 % of their mean as the least value."""
    floor = np.maximum(rows.mean(axis=1, keepdims=True), rows.mean() * np.float32(1e-6)) * np.float32(0.01)
    return np.ascontiguousarray(np.maximum(rows, np.maximum(floor, _TINY)), dtype=np.float32)


def make_starts(low: LowRank, k: int, n_starts: int, previous: Fit | None, rng: np.random.Generator) -> Iterator[Start]:
    """Starts from the singular vectors, from the fit of k - 1 where there is one, and from random patterns."""
    # The first start is the same whatever the seed: results differ by the random ones only.
    yield make_svd_start(low, k)
    grown = previous is not None and len(previous.factor) == k - 1 and n_starts > 1
    if previous is not None and grown:
        yield make_warm_start(low, previous, rng)
    for _ in range(n_starts - 1 - grown):
        yield make_random_start(low, k, rng)


def fit_from_starts(
    low: LowRank,
    starts: Iterable[Start],
    *,
    n_finish: int = 2,
    n_kept: int | None = None,
    stop_tolerance: float = STOP_TOLERANCE,
) -> list[Fit]:
    """Warm up every start on the compressed data and iterate the best ``n_finish`` until they converge; best first.

    ``n_kept`` limits how many of them are held and returned.
    """
    # Errors below their rounding are equal. The order then stays as it is, with the singular vectors first.
    rounding = estimate_rounding(low.left.shape[0])

    def rank_error(fit: Fit) -> float:
        return max(fit.error, rounding)

    warm_up_fits: list[Fit] = []
    for start in starts:  # one in memory at a time
        warm_up_fits.append(fit_hals(low, start, _WARM_UP, n_inner=2))
        warm_up_fits = sorted(warm_up_fits, key=rank_error)[: n_kept and max(n_finish, n_kept)]
    for place in range(min(n_finish, len(warm_up_fits))):
        warm_up_fits[place] = _converge_fit(low, warm_up_fits[place], stop_tolerance)
    return sorted(warm_up_fits, key=rank_error)[:n_kept]


def _converge_fit(low: LowRank, fit: Fit, stop_tolerance: float) -> Fit:
    """Iterate until the error falls by less than ``stop_tolerance`` of itself per iteration.

    Scaled counts take some tens of iterations, counts as they are with a direct beam some hundred.
    """
    # Checked every 10 iterations, on their mean decrease: the error itself costs another product.
    done, before = _WARM_UP, np.inf
    while done < _MAX_ITERATIONS and before - fit.error > _CHECK_INTERVAL * max(stop_tolerance * fit.error, _ROUNDING):
        before = fit.error
        fit = fit_hals(low, (fit.loading, fit.factor), _CHECK_INTERVAL)
        done += _CHECK_INTERVAL
    return fit._replace(iterations=done)
