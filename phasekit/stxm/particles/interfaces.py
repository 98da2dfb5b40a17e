"""Where two phases of a particle meet: the boundary as a curve, distances from it, and how wide the step across is."""

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
#: standard deviation [px] of the average over names that turns pixel steps into a curve
_SMOOTH = 1.0
#: steps narrower than this [px] cannot be told from a jump on a grid of pixels
_NARROWEST = 0.4
#: how well the curve between two phases is known [px]
_CURVE = 0.1
#: length of boundary [px] whose pixels are taken as one observation: they share photons, blur and the curve's error
_TOGETHER = 4.0


class _Crossing(NamedTuple):
    """Pixels near boundaries: signed distance [nm], row and column, the pair they lie between, one number per stretch.

    A pair is ``first * n_phases + second`` with first < second; distances grow towards the second.
    """

    distance: Array
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    pair: NDArray[np.intp]
    stretch: NDArray[np.intp]
    particle: NDArray[np.intp]


class BoundarySamples(NamedTuple):
    """Values across boundaries: signed distance [nm], value, weight, group (own levels), stretch (one observation)."""

    distance: Array
    value: Array
    weight: Array
    group: NDArray[np.intp]
    stretch: NDArray[np.intp]


class FittedEdge(NamedTuple):
    """Error function fitted to steps: place, standard deviation, their errors [nm], values on either side by group."""

    position: float
    position_error: float
    sigma: float
    sigma_error: float
    levels: Array


class _Width(NamedTuple):
    """10-90 % width without the probe (NaN: not resolved), its standard error, its 95 % upper bound [nm]."""

    width: float
    error: float
    upper: float


def find_boundary_pixels(phase: Labels, particle: Labels, steps: Steps, *, reach: float, n_phases: int) -> _Crossing:
    """Pixels within ``reach`` [nm] of the boundaries between two phases, each given to its nearest boundary."""
    parts: list[_Crossing] = []
    for index, box in enumerate(ndimage.find_objects(particle + 1)):
        if box is None:
            continue
        inside = particle[box] == index
        found = _of_one_particle(np.where(inside, phase[box], -1), steps, reach=reach, n_phases=n_phases)
        if found is not None:
            start = parts[-1].stretch.max(initial=-1) + 1 if parts else 0
            rows, columns = found.row + box[0].start, found.column + box[1].start
            whose = np.full(rows.size, index)
            parts.append(found._replace(row=rows, column=columns, stretch=found.stretch + start, particle=whose))
    if not parts:
        none = np.empty(0, dtype=np.intp)
        return _Crossing(np.empty(0), none, none, none, none, none)
    return _Crossing(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_one_particle(phase: Labels, steps: Steps, *, reach: float, n_phases: int) -> _Crossing | None:
    from scipy.spatial import cKDTree

    curves: list[tuple[Array, NDArray[np.bool_], int]] = []
    sides: dict[int, Array] = {}
    for first, second in _neighbours(phase):
        code = first * n_phases + second
        sides[code], found = _curves(phase, first, second, steps)
        curves += [(points, ends, code) for points, ends in found]
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
    stretch = _stretches([points for points, _, _ in curves], steps)[nearest[keep]]
    return _Crossing(signed, row[keep], column[keep], pair[nearest[keep]], stretch, np.empty(0, dtype=np.intp))


def _neighbours(phase: Labels) -> list[tuple[int, int]]:
    """Pairs of phases that share an edge of a pixel, sorted."""
    found: set[tuple[int, int]] = set()
    for one, other in ((phase[1:], phase[:-1]), (phase[:, 1:], phase[:, :-1])):
        across = (one != other) & (one >= 0) & (other >= 0)
        low, high = np.minimum(one, other)[across], np.maximum(one, other)[across]
        found |= set(zip(low.tolist(), high.tolist(), strict=True))
    return sorted(found)


def _curves(
    phase: Labels, first: int, second: int, steps: Steps
) -> tuple[Array, list[tuple[Array, NDArray[np.bool_]]]]:
    """Share of ``second`` around each pixel of the two (NaN elsewhere), and the curves where it is one half [nm].

    Each curve comes as points at most a quarter of a pixel apart, and whether a point is one of its ends.
    """
    from skimage.measure import find_contours

    either = np.pad((phase == first) | (phase == second), 1)
    weight = ndimage.gaussian_filter(either.astype(float), _SMOOTH)
    seen = ndimage.gaussian_filter(np.pad(phase == second, 1).astype(float), _SMOOTH)
    share = np.where(either, seen / np.maximum(weight, 1e-9), np.nan)
    out = []
    found = find_contours(np.nan_to_num(share), 0.5, mask=either)  # type: ignore[no-untyped-call]
    for curve in found:
        points = (refine_curve(curve) - 1.0) * np.array(steps)
        ends = np.zeros(len(points), dtype=bool)
        if np.hypot(*(points[0] - points[-1])) > 1e-9:
            ends[[0, -1]] = True
        out.append((points, ends))
    return share[1:-1, 1:-1], out


def refine_curve(curve: Array, n: int = 4) -> Array:
    """Curve with ``n`` points for each of its pieces."""
    place = np.linspace(0, len(curve) - 1, n * (len(curve) - 1) + 1)
    return np.stack([np.interp(place, np.arange(len(curve)), axis) for axis in curve.T], axis=1)


def _stretches(curves: list[Array], steps: Steps) -> NDArray[np.intp]:
    """Number of the stretch of boundary each point lies in."""
    length = _TOGETHER * np.sqrt(steps[0] * steps[1])
    out, start = [], 0
    for points in curves:
        walked = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
        out.append(start + (walked / length).astype(np.intp))
        start = int(out[-1].max()) + 1
    return np.concatenate(out)


def fit_edge(samples: BoundarySamples, pixel: float) -> FittedEdge:
    """One error function through all pixels: place and width in common, the two levels free in each group.

    Errors follow from the scatter between stretches of boundary (cluster-robust covariance), because the pixels of one
    stretch are not independent; where that is smaller than for independent pixels the larger one is given. The curve
    from which distances are taken is itself uncertain by a tenth of a pixel, which is added.
    """
    samples = samples._replace(group=np.unique(samples.group, return_inverse=True)[1])
    n = int(samples.group.max(initial=-1)) + 1
    span = float(np.abs(samples.distance).max(initial=0.0))
    unknown = FittedEdge(np.nan, np.nan, np.nan, np.nan, np.full((n, 2), np.nan))
    if samples.distance.size < 2 * n + 4 or span < 1.5 * pixel:
        return unknown
    narrow, wide = np.log(0.1 * pixel), np.log(2 * span)
    found = optimize.least_squares(
        lambda setting: _levels(samples, setting)[1],
        [0.0, np.log(max(0.15 * span, pixel))],
        bounds=([-0.5 * span, narrow], [0.5 * span, wide]),
    )
    if found.x[1] > wide - 0.01:
        return unknown
    levels, misfit = _levels(samples, found.x)
    position, sigma = float(found.x[0]), float(np.exp(found.x[1]))
    error = _edge_errors(samples, misfit, levels, position, max(sigma, _NARROWEST * pixel))
    error = np.hypot(error, np.array([_CURVE, 0.5 * _CURVE]) * pixel)
    return FittedEdge(position, float(error[0]), sigma, float(error[1]), levels)


def compute_weight(error: Array) -> Array:
    """Weight of values with this standard error, 1 where none is known: thin places are noisy, none is ever exact."""
    known = np.isfinite(error)
    if not known.any():
        return np.ones(error.shape)
    floor = float(np.median(error[known]))
    return np.where(known, 1.0 / (np.nan_to_num(error) ** 2 + max(floor, 1e-12) ** 2), 0.5 / max(floor, 1e-12) ** 2)


def _levels(samples: BoundarySamples, setting: Array) -> tuple[Array, Array]:
    """Best levels (group, 2) before and behind a step of given place and log width, and the weighted misfit."""
    group, weight = samples.group, samples.weight
    n = int(group.max()) + 1
    rise = special.ndtr((samples.distance - setting[0]) / np.exp(setting[1]))
    one, up, square = (np.bincount(group, weight * part, n) for part in (np.ones_like(rise), rise, rise**2))
    flat, tilted = (np.bincount(group, weight * samples.value * part, n) for part in (np.ones_like(rise), rise))
    step = (one * tilted - up * flat) / np.maximum(one * square - up**2, 1e-12 * one**2)
    low = (flat - step * up) / one
    return np.stack([low, low + step], axis=1), np.sqrt(weight) * (samples.value - low[group] - step[group] * rise)


def _edge_errors(samples: BoundarySamples, misfit: Array, levels: Array, position: float, sigma: float) -> Array:
    """Standard errors of place and standard deviation of the step."""
    u = (samples.distance - position) / sigma
    root = np.sqrt(samples.weight)
    slope = root * np.diff(levels, axis=1)[samples.group, 0] * np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi) / sigma
    gradient = np.stack([-slope, -slope * u], axis=1)
    for index in range(len(levels)):  # what the levels of its group could do instead does not count
        mine = samples.group == index
        basis = root[mine, None] * np.stack([np.ones(int(mine.sum())), special.ndtr(u[mine])], axis=1)
        gradient[mine] -= basis @ np.linalg.lstsq(basis, gradient[mine], rcond=None)[0]
    freedom = max(len(misfit) - 2 - 2 * len(levels), 1)
    bread = np.linalg.pinv(gradient.T @ gradient)
    alone = np.diag(bread) * (misfit @ misfit) / freedom
    _, stretch = np.unique(samples.stretch, return_inverse=True)
    n = int(stretch.max()) + 1
    score = np.stack([np.bincount(stretch, column * misfit, n) for column in gradient.T], axis=1)
    together = np.diag(bread @ (score.T @ score) @ bread) * n / max(n - 1, 1)
    return np.asarray(np.sqrt(np.maximum(alone, together)))


def subtract_probe_width(edge: FittedEdge, probe_fwhm: float | None, pixel: float) -> _Width:
    """Width of the step itself: the probe's variance is taken off; not resolved where what is left may be nothing."""
    if not np.isfinite(edge.sigma):
        return _Width(np.nan, np.nan, np.nan)
    probe = (probe_fwhm or 0.0) / FWHM_PER_SIGMA
    seen = max(edge.sigma, _NARROWEST * pixel)
    left = edge.sigma**2 - probe**2
    error = 2 * seen * edge.sigma_error
    upper = WIDTH_PER_SIGMA * float(np.sqrt(max(left, 0.0) + 1.645 * error + (seen**2 - edge.sigma**2)))
    if left <= 1.645 * error or edge.sigma < _NARROWEST * pixel:
        return _Width(np.nan, np.nan, upper)
    own = float(np.sqrt(left))
    return _Width(WIDTH_PER_SIGMA * own, WIDTH_PER_SIGMA * error / (2 * own), upper)


def iterate_labels(label: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each value and the places where it stands."""
    order = np.argsort(label, kind="stable")
    found, first = np.unique(label[order], return_index=True)
    for value, places in zip(found, np.split(order, first[1:]), strict=False):
        yield int(value), places
