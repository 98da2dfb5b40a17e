"""Boundaries between two phases of a particle: the curve, distances from it, and the width of the step across it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize, special

Array = NDArray[np.float64]
Labels = NDArray[np.int32]
Steps = tuple[float, float]
#: 10-90 % width of an error function over its standard deviation
WIDTH_PER_SIGMA = 2.0 * float(special.ndtri(0.9))
#: full width at half maximum of a Gaussian over its standard deviation
FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
#: standard deviation [px] of the average over phases that turns steps of pixels into a curve
_SMOOTHING_PX = 1.0
#: steps narrower than this [px] cannot be told from a jump on a grid of pixels
_MIN_SIGMA_PX = 0.4
#: standard error [px] of the curve between two phases
_CURVE_ERROR_PX = 0.1
#: length [px] of boundary whose pixels count as one observation; they share photons, blur and the error of the curve
_STRETCH_PX = 4.0


class BoundaryPixels(NamedTuple):
    """Pixels (n,) near boundaries."""

    distance: Array  # signed [nm], grows towards the second phase of the pair
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    pair: NDArray[np.intp]  # first * n_phases + second, with first < second
    stretch: NDArray[np.intp]  # number of the stretch of boundary
    particle: NDArray[np.intp]


class BoundarySamples(NamedTuple):
    """Values (n,) across boundaries."""

    distance: Array  # signed [nm]
    value: Array
    weight: Array  # inverse variance
    group: NDArray[np.intp]  # values of one group share their two levels
    stretch: NDArray[np.intp]  # values of one stretch count as one observation


class FittedEdge(NamedTuple):
    """Error function fitted to steps."""

    position: float  # [nm]
    position_error: float  # standard error [nm]
    sigma: float  # standard deviation [nm]
    sigma_error: float  # standard error [nm]
    levels: Array  # (group, 2), on both sides


class BoundaryWidth(NamedTuple):
    """10-90 % width of a step without the probe [nm]."""

    width: float  # NaN: not resolved
    error: float  # standard error
    upper: float  # 95 % bound


def find_boundary_pixels(
    phase: Labels, particle: Labels, steps: Steps, *, reach: float, n_phases: int
) -> BoundaryPixels:
    """Pixels within ``reach`` [nm] of the boundaries between two phases, each assigned to its nearest boundary.

    ``phase`` and ``particle`` (y, x) are -1 where there is none, ``steps`` are the sides of a pixel [nm].
    """
    parts: list[BoundaryPixels] = []
    for index, box in enumerate(ndimage.find_objects(particle + 1)):
        if box is None:
            continue
        # a boundary belongs to one particle, so the others are hidden
        inside = particle[box] == index
        boundary = _find_in_particle(np.where(inside, phase[box], -1), steps, reach=reach, n_phases=n_phases)
        if boundary is not None:
            start = parts[-1].stretch.max(initial=-1) + 1 if parts else 0
            rows, columns = boundary.row + box[0].start, boundary.column + box[1].start
            particles = np.full(rows.size, index)
            stretch = boundary.stretch + start
            parts.append(boundary._replace(row=rows, column=columns, stretch=stretch, particle=particles))
    if not parts:
        none = np.empty(0, dtype=np.intp)
        return BoundaryPixels(np.empty(0), none, none, none, none, none)
    return BoundaryPixels(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _find_in_particle(phase: Labels, steps: Steps, *, reach: float, n_phases: int) -> BoundaryPixels | None:
    """Boundary pixels of one particle, whose phases ``phase`` (y, x) holds; None where only one phase is there."""
    from scipy.spatial import cKDTree

    curves: list[tuple[Array, NDArray[np.bool_], int]] = []
    sides: dict[int, Array] = {}
    for first, second in _find_phase_pairs(phase):
        code = first * n_phases + second
        sides[code], traced = _trace_curves(phase, first, second, steps)
        curves += [(points, ends, code) for points, ends in traced]
    if not curves:
        return None
    points = np.concatenate([points for points, _, _ in curves])
    pair = np.concatenate([np.full(len(points), code) for points, _, code in curves])
    ends = np.concatenate([ends for _, ends, _ in curves])
    row, column = np.nonzero(phase >= 0)
    places = np.stack([row * steps[0], column * steps[1]], axis=1)
    distance, nearest = cKDTree(points).query(places, distance_upper_bound=reach)
    hit = np.isfinite(distance)
    row, column, distance, nearest = row[hit], column[hit], distance[hit], nearest[hit]
    share = np.stack([sides[code] for code in sides])[np.searchsorted(list(sides), pair[nearest]), row, column]
    # pixels of a third phase, and those beyond the end of a boundary, are not on a line across it
    keep = np.isfinite(share) & ~ends[nearest]
    signed = np.where(share > 0.5, distance, -distance)[keep]
    stretch = _number_stretches([points for points, _, _ in curves], steps)[nearest[keep]]
    return BoundaryPixels(signed, row[keep], column[keep], pair[nearest[keep]], stretch, np.empty(0, dtype=np.intp))


def _find_phase_pairs(phase: Labels) -> list[tuple[int, int]]:
    """Pairs of phases that share an edge of a pixel, sorted."""
    pairs: set[tuple[int, int]] = set()
    for one, other in ((phase[1:], phase[:-1]), (phase[:, 1:], phase[:, :-1])):
        across = (one != other) & (one >= 0) & (other >= 0)
        low, high = np.minimum(one, other)[across], np.maximum(one, other)[across]
        pairs |= set(zip(low.tolist(), high.tolist(), strict=True))
    return sorted(pairs)


def _trace_curves(
    phase: Labels, first: int, second: int, steps: Steps
) -> tuple[Array, list[tuple[Array, NDArray[np.bool_]]]]:
    """Share (y, x) of ``second`` around each pixel of the two phases, and the curves [nm] where it is one half.

    The share is NaN in other pixels. Each curve comes as points (n, 2) at most a quarter of a pixel apart, and whether
    (n,) a point is one of its ends.
    """
    from skimage.measure import find_contours

    # indicator of the second phase smoothed over the pixels of the two only, so that a third phase does not bend it
    either = np.pad((phase == first) | (phase == second), 1)
    weight = ndimage.gaussian_filter(either.astype(float), _SMOOTHING_PX)
    seen = ndimage.gaussian_filter(np.pad(phase == second, 1).astype(float), _SMOOTHING_PX)
    share = np.where(either, seen / np.maximum(weight, 1e-9), np.nan)
    out = []
    contours = find_contours(np.nan_to_num(share), 0.5, mask=either)  # type: ignore[no-untyped-call]
    for curve in contours:
        points = (refine_curve(curve) - 1.0) * np.array(steps)
        # a closed curve has no ends
        ends = np.zeros(len(points), dtype=bool)
        if np.hypot(*(points[0] - points[-1])) > 1e-9:
            ends[[0, -1]] = True
        out.append((points, ends))
    return share[1:-1, 1:-1], out


def refine_curve(curve: Array, n: int = 4) -> Array:
    """Curve (m, 2) with ``n`` points for each of its pieces."""
    place = np.linspace(0, len(curve) - 1, n * (len(curve) - 1) + 1)
    return np.stack([np.interp(place, np.arange(len(curve)), axis) for axis in curve.T], axis=1)


def _number_stretches(curves: list[Array], steps: Steps) -> NDArray[np.intp]:
    """Number of the stretch of boundary in which each point of the curves lies."""
    # by arc length along each curve
    length = _STRETCH_PX * np.sqrt(steps[0] * steps[1])
    out, start = [], 0
    for points in curves:
        walked = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
        out.append(start + (walked / length).astype(np.intp))
        start = int(out[-1].max()) + 1
    return np.concatenate(out)


def fit_edge(samples: BoundarySamples, pixel: float) -> FittedEdge:
    r"""Fit one error function through all pixels: place and width in common, the two levels free in each group.

    .. math::

        x(d) = l_g + (h_g - l_g)\, \Phi\Bigl(\frac{d - d_0}{\sigma}\Bigr), \qquad
        w_{10-90} = 2 \Phi^{-1}(0.9)\, \sigma \approx 2.563\, \sigma

    with the distance :math:`d`, the normal distribution :math:`\Phi` and the levels :math:`l_g, h_g` of group
    :math:`g`. Pixels of one stretch of boundary are not independent. So the errors follow from the scatter between
    stretches (cluster-robust covariance); where that is smaller than for independent pixels the larger one is given.
    The curve from which distances are taken is itself uncertain by a tenth of a pixel, which is added.

    ``pixel`` is the side of a pixel [nm].
    """
    samples = samples._replace(group=np.unique(samples.group, return_inverse=True)[1])
    n = int(samples.group.max(initial=-1)) + 1
    span = float(np.abs(samples.distance).max(initial=0.0))
    unknown = FittedEdge(np.nan, np.nan, np.nan, np.nan, np.full((n, 2), np.nan))
    if samples.distance.size < 2 * n + 4 or span < 1.5 * pixel:
        return unknown
    # the logarithm keeps the width positive; at its upper bound no level is reached, so nothing is known
    narrow, wide = np.log(0.1 * pixel), np.log(2 * span)
    fit = optimize.least_squares(
        lambda setting: _fit_levels(samples, setting)[1],
        [0.0, np.log(max(0.15 * span, pixel))],
        bounds=([-0.5 * span, narrow], [0.5 * span, wide]),
    )
    if fit.x[1] > wide - 0.01:
        return unknown
    levels, misfit = _fit_levels(samples, fit.x)
    position, sigma = float(fit.x[0]), float(np.exp(fit.x[1]))
    error = _compute_edge_errors(samples, misfit, levels, position, max(sigma, _MIN_SIGMA_PX * pixel))
    error = np.hypot(error, np.array([_CURVE_ERROR_PX, 0.5 * _CURVE_ERROR_PX]) * pixel)
    return FittedEdge(position, float(error[0]), sigma, float(error[1]), levels)


def compute_weight(error: Array) -> Array:
    """Weight (n,) of values with this standard error, 1 where none is known.

    The median error is added in quadrature: no value is as exact as the least error says.
    """
    known = np.isfinite(error)
    if not known.any():
        return np.ones(error.shape)
    floor = float(np.median(error[known]))
    return np.where(known, 1.0 / (np.nan_to_num(error) ** 2 + max(floor, 1e-12) ** 2), 0.5 / max(floor, 1e-12) ** 2)


def _fit_levels(samples: BoundarySamples, setting: Array) -> tuple[Array, Array]:
    """Best levels (group, 2) on both sides of a step, and the weighted misfit (n,).

    ``setting`` holds the place [nm] and the logarithm of the standard deviation of the step. The levels are linear, so
    they follow in closed form.
    """
    group, weight = samples.group, samples.weight
    n = int(group.max()) + 1
    # weighted regression on the error function, by sums over each group
    rise = special.ndtr((samples.distance - setting[0]) / np.exp(setting[1]))
    one, up, square = (np.bincount(group, weight * part, n) for part in (np.ones_like(rise), rise, rise**2))
    flat, tilted = (np.bincount(group, weight * samples.value * part, n) for part in (np.ones_like(rise), rise))
    step = (one * tilted - up * flat) / np.maximum(one * square - up**2, 1e-12 * one**2)
    low = (flat - step * up) / one
    return np.stack([low, low + step], axis=1), np.sqrt(weight) * (samples.value - low[group] - step[group] * rise)


def _compute_edge_errors(
    samples: BoundarySamples, misfit: Array, levels: Array, position: float, sigma: float
) -> Array:
    """Standard errors (2,) [nm] of place and standard deviation of the step."""
    # derivatives of the model in place and in sigma
    u = (samples.distance - position) / sigma
    root = np.sqrt(samples.weight)
    slope = root * np.diff(levels, axis=1)[samples.group, 0] * np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi) / sigma
    gradient = np.stack([-slope, -slope * u], axis=1)
    # what the levels could do instead is projected out: they are free, so it tells nothing of place and width
    for index in range(len(levels)):
        members = samples.group == index
        basis = root[members, None] * np.stack([np.ones(int(members.sum())), special.ndtr(u[members])], axis=1)
        gradient[members] -= basis @ np.linalg.lstsq(basis, gradient[members], rcond=None)[0]
    freedom = max(len(misfit) - 2 - 2 * len(levels), 1)
    # sandwich: inverse normal matrix around the covariance of the scores, one score per stretch
    bread = np.linalg.pinv(gradient.T @ gradient)
    independent = np.diag(bread) * (misfit @ misfit) / freedom
    _, stretch = np.unique(samples.stretch, return_inverse=True)
    n = int(stretch.max()) + 1
    score = np.stack([np.bincount(stretch, column * misfit, n) for column in gradient.T], axis=1)
    clustered = np.diag(bread @ (score.T @ score) @ bread) * n / max(n - 1, 1)
    return np.asarray(np.sqrt(np.maximum(independent, clustered)))


def subtract_probe_width(edge: FittedEdge, probe_fwhm: float | None, pixel: float) -> BoundaryWidth:
    r"""Width of the step itself: the variance of the probe is subtracted from that of the step.

    .. math:: \sigma^2 = \sigma_{seen}^2 - \sigma_{probe}^2, \qquad
              \sigma_{probe} = \mathrm{FWHM} / \sqrt{8 \ln 2}

    The width is not resolved (NaN) where the difference is below 1.645 standard errors, or the step below 0.4 pixels.
    The upper bound holds in either case.
    """
    if not np.isfinite(edge.sigma):
        return BoundaryWidth(np.nan, np.nan, np.nan)
    probe = (probe_fwhm or 0.0) / FWHM_PER_SIGMA
    # below the resolution of the grid the width is known no better than that resolution
    seen = max(edge.sigma, _MIN_SIGMA_PX * pixel)
    excess = edge.sigma**2 - probe**2  # variance of the step itself
    error = 2 * seen * edge.sigma_error
    upper = WIDTH_PER_SIGMA * float(np.sqrt(max(excess, 0.0) + 1.645 * error + (seen**2 - edge.sigma**2)))
    if excess <= 1.645 * error or edge.sigma < _MIN_SIGMA_PX * pixel:
        return BoundaryWidth(np.nan, np.nan, upper)
    own = float(np.sqrt(excess))
    return BoundaryWidth(WIDTH_PER_SIGMA * own, WIDTH_PER_SIGMA * error / (2 * own), upper)


def iterate_labels(label: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield each value of ``label`` (n,) and the places where it stands."""
    # one sort in place of a comparison for every value
    order = np.argsort(label, kind="stable")
    values, first = np.unique(label[order], return_index=True)
    for value, places in zip(values, np.split(order, first[1:]), strict=False):
        yield int(value), places
