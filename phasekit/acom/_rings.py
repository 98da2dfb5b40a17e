"""Radial kernels of registration: how the lengths of measured vectors compare with a phase's lattice planes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WIDTH = 0.008  # relative width of a ring in the search
_NEAR = 0.015  # a peak further than this from every ring is no member of it


@dataclass(frozen=True)
class RingFit:
    """What the rings say: |q| (scale + cos cos(2 angle) + sin sin(2 angle)) = |g|."""

    scale: float
    scale_error: float
    cosine: float
    sine: float
    misfit: float
    matched: float
    by_chance: float
    oval_error: float = np.nan  # of cosine and sine

    @property
    def ellipse_error(self) -> tuple[float, float]:
        """Standard errors of the ratio and of the angle [deg]."""
        strength = max(float(np.hypot(self.cosine, self.sine)), 1e-12)
        ratio = 2 * self.scale * self.oval_error / (self.scale - strength) ** 2
        return ratio, min(float(np.degrees(self.oval_error / (2 * strength))), 90.0)

    @property
    def ellipse(self) -> tuple[float, float]:
        """Ratio of major to minor axis of a measured ring, and the major axis' angle from +x towards +y [deg]."""
        strength = float(np.hypot(self.cosine, self.sine))
        angle = np.degrees(np.arctan2(-self.sine, -self.cosine)) / 2
        return (self.scale + strength) / (self.scale - strength), float(angle)


def find_scale(length: Floats, weight: Floats, rings: Floats, strength: Floats, span: tuple[float, float]) -> float:
    """Scale in ``span`` at which the histogram of log lengths correlates best with the phase's rings.

    In the logarithm a scale is a shift. The correlation is normalised over the range both cover, so that a scale
    that predicts rings where nothing was measured loses.
    """
    step = _WIDTH / 3
    low, high = np.log(np.percentile(length, 1)) - 0.05, np.log(np.percentile(length, 99)) + 0.05
    edges = np.arange(low, high, step)
    seen = _smooth(np.histogram(np.log(length), edges, weights=weight)[0])
    centres = (edges[1:] + edges[:-1]) / 2
    shifts = np.arange(np.log(span[0]), np.log(span[1]) + step / 2, step)
    score = np.empty(shifts.size)
    for i, shift in enumerate(shifts):
        inside = centres + shift < np.log(rings.max())
        model = _smooth(np.histogram(np.log(rings) - shift, edges, weights=strength)[0])
        enough = inside.sum() > 20 and model[inside].std() > 0
        # A shift that keeps only part of the measured range explains only that part.
        score[i] = np.corrcoef(seen[inside], model[inside])[0, 1] * np.sqrt(inside.mean()) if enough else -1.0
    return float(np.exp(shifts[np.argmax(score)]))


def _smooth(histogram: Floats) -> Floats:
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3) ** 2)
    return np.convolve(histogram, kernel, mode="same")


def fit_rings(
    qy: Floats, qx: Floats, weight: Floats, rings: Floats, *, scale: float, with_scale: bool, with_ellipse: bool
) -> RingFit:
    """Least squares of scale and ellipse on the peaks that lie near one ring and clearly not near another."""
    length, angle = np.hypot(qy, qx), np.arctan2(qy, qx)
    columns = np.stack([np.ones_like(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    free = np.array([with_scale, with_ellipse, with_ellipse])
    values, error = np.array([scale, 0.0, 0.0]), np.nan
    oval = np.nan
    near = 2 * _NEAR if with_ellipse else _NEAR
    for _ in range(15):
        target, used = _members(length * (columns @ values), rings, near)
        near = max(near * 0.85, _NEAR)
        if used.sum() < 5 or not free.any():
            break
        matrix = (length / target)[used, None] * columns[used]
        rest = 1 - matrix[:, ~free] @ values[~free]
        root = np.sqrt(weight[used])
        values[free], *_ = np.linalg.lstsq(matrix[:, free] * root[:, None], rest * root, rcond=None)
        spread = (1 - matrix @ values) * root
        inverse = np.linalg.pinv((matrix[:, free] * root[:, None]).T @ (matrix[:, free] * root[:, None]))
        errors = np.sqrt(np.diag(inverse) * np.sum(spread**2) / max(used.sum() - free.sum(), 1))
        error, oval = float(errors[0]), float(errors[-1]) if with_ellipse else np.nan
    lengths = length * (columns @ values)
    off, used = _distance(lengths, rings), _distance(lengths, rings) < _NEAR
    misfit = float(np.sqrt(np.average(off[used] ** 2, weights=weight[used]))) if used.any() else np.nan
    matched = float(np.average(used, weights=weight))
    elsewhere = [np.average(_distance(lengths * s, rings) < _NEAR, weights=weight) for s in (0.94, 0.96, 1.04, 1.06)]
    error = error if with_scale else np.nan
    return RingFit(values[0], error, values[1], values[2], misfit, matched, float(np.mean(elsewhere)), oval)


def _distance(length: Floats, rings: Floats) -> Floats:
    """Relative distance to the nearest ring."""
    above = np.clip(np.searchsorted(rings, length), 1, rings.size - 1) if rings.size > 1 else 0
    below = above - 1 if rings.size > 1 else 0
    return np.minimum(np.abs(length - rings[above]), np.abs(length - rings[below])) / length


def _members(length: Floats, rings: Floats, near: float) -> tuple[Floats, NDArray[np.bool_]]:
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
