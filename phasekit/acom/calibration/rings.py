"""Radial kernels of registration: how the lengths of measured vectors compare with a phase's lattice planes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RING_WIDTH = 0.008  # relative width of a ring in the search
_RING_TOLERANCE = 0.015  # a peak further than this from every ring is no member of it


@dataclass(frozen=True)
class RingFit:
    """What the rings say: |q| (scale + cos cos(2 angle) + sin sin(2 angle)) = |g|."""

    scale: float
    cosine: float
    sine: float
    misfit: float
    matched: float
    by_chance: float
    covariance: Floats
    """Of scale, cosine and sine; 0 for what was not fitted."""

    @property
    def scale_error(self) -> float:
        """Standard error of the scale, NaN where it was not fitted."""
        variance = float(self.covariance[0, 0])
        return variance**0.5 if variance > 0 else np.nan

    @property
    def ellipse(self) -> tuple[float, float]:
        """Ratio of major to minor axis of a measured ring, and the major axis' angle from +x towards +y [deg]."""
        strength = float(np.hypot(self.cosine, self.sine))
        angle = np.degrees(np.arctan2(-self.sine, -self.cosine)) / 2
        return (self.scale + strength) / (self.scale - strength), float(angle)

    @property
    def ellipse_error(self) -> tuple[float, float]:
        """Standard errors of ratio and angle [deg], NaN where no ellipse was fitted.

        The angle's is at most 180 / sqrt(12) = 52 degrees, that of an angle of which nothing is known: where a ring
        is as round as the error of its ratio can tell, it has no direction.
        """
        if not self.covariance[1, 1] > 0:
            return np.nan, np.nan
        strength = max(float(np.hypot(self.cosine, self.sine)), 1e-12)
        along = np.array([0.0, self.cosine, self.sine]) / strength
        by_ratio = 2 * (self.scale * along - np.array([strength, 0.0, 0.0])) / (self.scale - strength) ** 2
        by_angle = np.array([0.0, -self.sine, self.cosine]) / (2 * strength**2)
        ratio, angle = (float(np.sqrt(by @ self.covariance @ by)) for by in (by_ratio, by_angle))
        return ratio, min(float(np.degrees(angle)), 180 / 12**0.5)


def find_scale(length: Floats, weight: Floats, rings: Floats, strength: Floats, span: tuple[float, float]) -> float:
    """Scale in ``span`` at which the histogram of log lengths correlates best with the phase's rings.

    In the logarithm a scale is a shift. The correlation is normalised over the range both cover, so that a scale
    that predicts rings where nothing was measured loses.
    """
    step = _RING_WIDTH / 3
    low, high = np.log(np.percentile(length, 1)) - 0.05, np.log(np.percentile(length, 99)) + 0.05
    edges = np.arange(low, high, step)
    seen = _smooth_histogram(np.histogram(np.log(length), edges, weights=weight)[0])
    centres = (edges[1:] + edges[:-1]) / 2
    shifts = np.arange(np.log(span[0]), np.log(span[1]) + step / 2, step)
    score = np.empty(shifts.size)
    for i, shift in enumerate(shifts):
        inside = centres + shift < np.log(rings.max())
        model = _smooth_histogram(np.histogram(np.log(rings) - shift, edges, weights=strength)[0])
        enough = inside.sum() > 20 and model[inside].std() > 0
        # A shift that keeps only part of the measured range explains only that part.
        score[i] = np.corrcoef(seen[inside], model[inside])[0, 1] * np.sqrt(inside.mean()) if enough else -1.0
    return float(np.exp(shifts[np.argmax(score)]))


def _smooth_histogram(histogram: Floats) -> Floats:
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3) ** 2)
    return np.convolve(histogram, kernel, mode="same")


def fit_rings(
    qy: Floats, qx: Floats, weight: Floats, rings: Floats, *, scale: float, with_scale: bool, with_ellipse: bool
) -> RingFit:
    """Least squares of scale and ellipse on the peaks that lie near one ring and clearly not near another."""
    length, angle = np.hypot(qy, qx), np.arctan2(qy, qx)
    columns = np.stack([np.ones_like(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    free = np.array([with_scale, with_ellipse, with_ellipse])
    values, covariance, final = np.array([scale, 0.0, 0.0]), np.zeros((3, 3)), None
    near = 2 * _RING_TOLERANCE if with_ellipse else _RING_TOLERANCE
    for _ in range(15):
        target, used = _assign_to_rings(length * (columns @ values), rings, near)
        near = max(near * 0.85, _RING_TOLERANCE)
        if used.sum() < 5 or not free.any():
            break
        matrix = (length / target)[used, None] * columns[used]
        rest = 1 - matrix[:, ~free] @ values[~free]
        root = np.sqrt(weight[used])
        values[free], *_ = np.linalg.lstsq(matrix[:, free] * root[:, None], rest * root, rcond=None)
        left = weight[used] * (1 - matrix @ values)
        label = np.searchsorted(rings, target[used]) * 60 + (np.degrees(angle[used]) % 180 // 3).astype(np.intp)
        final = matrix[:, free], weight[used], left, label, near
    if final is not None:
        covariance[np.ix_(free, free)] = _estimate_covariance(*final)
    lengths = length * (columns @ values)
    off, used = _compute_ring_distance(lengths, rings), _compute_ring_distance(lengths, rings) < _RING_TOLERANCE
    misfit = float(np.sqrt(np.average(off[used] ** 2, weights=weight[used]))) if used.any() else np.nan
    matched = float(np.average(used, weights=weight))
    elsewhere = [
        np.average(_compute_ring_distance(lengths * s, rings) < _RING_TOLERANCE, weights=weight)
        for s in (0.94, 0.96, 1.04, 1.06)
    ]
    return RingFit(values[0], values[1], values[2], misfit, matched, float(np.mean(elsewhere)), covariance)


def _estimate_covariance(matrix: Floats, weight: Floats, left: Floats, label: NDArray[np.intp], near: float) -> Floats:
    """Covariance of the fitted values; ``left``: weight times residual, ``label``: peaks that err alike.

    The pixels of a grain show the same spots, and a spot and its Friedel partner share what is off with the lattice
    vector, so peaks on one ring in one sector of 3 degrees, modulo 180, are one observation (a sandwich estimate with
    clusters, Liang & Zeger 1986). When the fit moves, some members leave the window and others enter, which weakens
    the hold of the rest (the derivative of a trimmed mean): fully for evenly spread residuals, not at all for those
    well inside. The density at the edge is that of the window's outer quarter.
    """
    sums = np.stack([np.bincount(label, column * left) for column in matrix.T], axis=1)
    count = int((np.bincount(label) > 0).sum())
    edge = float(weight[np.abs(left) > 0.75 * near * weight].sum() / weight.sum())
    inverse = np.linalg.pinv((matrix * weight[:, None]).T @ matrix) / max(1 - 4 * edge, 0.2)
    return np.asarray(inverse @ (sums.T @ sums) @ inverse * count / max(count - matrix.shape[1], 1))


def _compute_ring_distance(length: Floats, rings: Floats) -> Floats:
    """Relative distance to the nearest ring."""
    above = np.clip(np.searchsorted(rings, length), 1, rings.size - 1) if rings.size > 1 else 0
    below = above - 1 if rings.size > 1 else 0
    return np.minimum(np.abs(length - rings[above]), np.abs(length - rings[below])) / length


def _assign_to_rings(length: Floats, rings: Floats, near: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Nearest ring of each length, and whether it is the only one within reach."""
    padded = np.concatenate([[-np.inf], rings, [np.inf]])
    above = np.clip(np.searchsorted(rings, length) + 1, 1, rings.size)
    below = above - 1
    gap_above, gap_below = padded[above] - length, length - padded[below]
    target = np.where(gap_above < gap_below, padded[above], padded[below])
    target = np.where(np.isfinite(target), target, rings[0])
    alone = np.maximum(np.abs(gap_above), np.abs(gap_below)) > 1.5 * near * length
    return target, (np.abs(length - target) < near * length) & alone


def merge_rings(length: Floats, strength: Floats) -> tuple[Floats, Floats]:
    """Distinct rings (0.3 % apart or more), sorted, with their summed strength; faint ones (< 0.2 %) are left out."""
    order = np.argsort(length)
    length, strength = length[order], strength[order]
    group = np.concatenate([[0], np.cumsum(np.diff(length) > 0.003 * length[1:])])
    total = np.bincount(group, strength)
    mean = np.bincount(group, strength * length) / np.where(total > 0, total, 1)
    keep = total > 0.002 * total.max()
    return mean[keep], total[keep]
