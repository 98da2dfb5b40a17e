"""Comparison of the lengths of measured vectors with the rings of a phase: scale, ellipse and their covariance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RING_WIDTH = 0.008  # relative width of a ring in the search
_RING_TOLERANCE = 0.015  # relative distance from a ring beyond which a peak does not belong to it


@dataclass(frozen=True)
class RingFit:
    r"""Result of the fit of measured vectors k at the azimuth :math:`\varphi` to rings of the radius :math:`|g|`.

    .. math:: |k| \, (s + c \cos 2\varphi + d \sin 2\varphi) = |g|

    Attributes
    ----------
    scale, cosine, sine
        The coefficients s, c and d; ellipses are small distortions, so that the first harmonic describes them.
    misfit
        Root mean square of the relative distance to the ring, of the peaks that belong to one.
    matched
        Weight fraction of the peaks that belong to a ring.
    by_chance
        The same fraction at scales 4 and 6 % off, where it can only be chance.
    covariance
        ``(3, 3)`` of scale, cosine and sine; 0 for what was not fitted.
    """

    scale: float
    cosine: float
    sine: float
    misfit: float
    matched: float
    by_chance: float
    covariance: Floats

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
        """Standard errors of ratio and angle [deg] by linear propagation, NaN where no ellipse was fitted.

        The error of the angle is at most 180 / sqrt(12) = 52 degrees, that of a uniform distribution. A ring that is
        round within the error of its ratio has no direction.
        """
        if not self.covariance[1, 1] > 0:
            return np.nan, np.nan
        strength = max(float(np.hypot(self.cosine, self.sine)), 1e-12)
        # Derivatives of ratio and angle with respect to (scale, cosine, sine).
        along = np.array([0.0, self.cosine, self.sine]) / strength
        by_ratio = 2 * (self.scale * along - np.array([strength, 0.0, 0.0])) / (self.scale - strength) ** 2
        by_angle = np.array([0.0, -self.sine, self.cosine]) / (2 * strength**2)
        ratio, angle = (float(np.sqrt(by @ self.covariance @ by)) for by in (by_ratio, by_angle))
        return ratio, min(float(np.degrees(angle)), 180 / 12**0.5)


def find_scale(length: Floats, weight: Floats, rings: Floats, strength: Floats, span: tuple[float, float]) -> float:
    """Find the scale in ``span`` at which the histogram of log lengths correlates best with the phase's rings.

    In the logarithm a scale is a shift. The correlation is normalised over the range that both cover. A scale that
    predicts rings where nothing was measured therefore scores low.

    Parameters
    ----------
    length, weight
        Lengths ``(peak,)`` in the input unit, and their weights.
    rings, strength
        Radii ``(ring,)`` [1/angstrom], sorted, and their strengths.
    span
        Smallest and largest scale [1/angstrom per input unit].
    """
    step = _RING_WIDTH / 3
    # Percentiles: one stray peak must not stretch the histogram.
    low, high = np.log(np.percentile(length, 1)) - 0.05, np.log(np.percentile(length, 99)) + 0.05
    edges = np.arange(low, high, step)
    measured = _smooth_histogram(np.histogram(np.log(length), edges, weights=weight)[0])
    centres = (edges[1:] + edges[:-1]) / 2
    shifts = np.arange(np.log(span[0]), np.log(span[1]) + step / 2, step)
    score = np.empty(shifts.size)
    for i, shift in enumerate(shifts):
        inside = centres + shift < np.log(rings.max())
        model = _smooth_histogram(np.histogram(np.log(rings) - shift, edges, weights=strength)[0])
        # A few bins, or a flat model, correlate by chance.
        enough = inside.sum() > 20 and model[inside].std() > 0
        # A shift that keeps only part of the measured range explains only that part.
        score[i] = np.corrcoef(measured[inside], model[inside])[0, 1] * np.sqrt(inside.mean()) if enough else -1.0
    return float(np.exp(shifts[np.argmax(score)]))


def _smooth_histogram(histogram: Floats) -> Floats:
    """Histogram (bin,) convolved with a Gaussian of 3 bins, the relative width of a ring."""
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3) ** 2)
    return np.convolve(histogram, kernel, mode="same")


def fit_rings(
    qy: Floats, qx: Floats, weight: Floats, rings: Floats, *, scale: float, with_scale: bool, with_ellipse: bool
) -> RingFit:
    r"""Fit scale and ellipse by least squares to the peaks near one ring and clearly not near another.

    The residual is relative, so that rings of every radius count alike:

    .. math:: r_i = 1 - \frac{|k_i|}{|g_i|} (s + c \cos 2\varphi_i + d \sin 2\varphi_i) .

    Parameters
    ----------
    qy, qx, weight
        Vectors ``(peak,)`` from the origin in the input unit, and their weights.
    rings
        Radii ``(ring,)`` [1/angstrom], sorted.
    scale
        Start value [1/angstrom per input unit], kept if ``with_scale`` is false.
    with_scale, with_ellipse
        What is fitted.
    """
    length, angle = np.hypot(qy, qx), np.arctan2(qy, qx)
    columns = np.stack([np.ones_like(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    free = np.array([with_scale, with_ellipse, with_ellipse])
    values, covariance, final = np.array([scale, 0.0, 0.0]), np.zeros((3, 3)), None
    # An ellipse moves peaks away from their ring: the tolerance starts wide and narrows while the fit improves.
    near = 2 * _RING_TOLERANCE if with_ellipse else _RING_TOLERANCE
    for _ in range(15):
        target, used = _assign_to_rings(length * (columns @ values), rings, near)
        near = max(near * 0.85, _RING_TOLERANCE)
        if used.sum() < 5 or not free.any():
            break
        matrix = (length / target)[used, None] * columns[used]
        # What is not fitted moves to the right-hand side.
        rest = 1 - matrix[:, ~free] @ values[~free]
        root = np.sqrt(weight[used])
        values[free], *_ = np.linalg.lstsq(matrix[:, free] * root[:, None], rest * root, rcond=None)
        left = weight[used] * (1 - matrix @ values)
        # Number of the ring times 60 sectors of 3 degrees, modulo 180.
        cluster = np.searchsorted(rings, target[used]) * 60 + (np.degrees(angle[used]) % 180 // 3).astype(np.intp)
        final = matrix[:, free], weight[used], left, cluster, near
    if final is not None:
        covariance[np.ix_(free, free)] = _estimate_covariance(*final)
    lengths = length * (columns @ values)
    off = _compute_ring_distance(lengths, rings)
    used = off < _RING_TOLERANCE
    misfit = float(np.sqrt(np.average(off[used] ** 2, weights=weight[used]))) if used.any() else np.nan
    matched = float(np.average(used, weights=weight))
    # At wrong scales only chance brings peaks near rings: this is what the match must exceed.
    elsewhere = [_match_fraction(lengths * wrong, rings, weight) for wrong in (0.94, 0.96, 1.04, 1.06)]
    return RingFit(values[0], values[1], values[2], misfit, matched, float(np.mean(elsewhere)), covariance)


def _match_fraction(length: Floats, rings: Floats, weight: Floats) -> float:
    """Weight fraction of the lengths (peak,) that lie near a ring."""
    return float(np.average(_compute_ring_distance(length, rings) < _RING_TOLERANCE, weights=weight))


def _estimate_covariance(
    matrix: Floats, weight: Floats, left: Floats, cluster: NDArray[np.intp], near: float
) -> Floats:
    r"""Covariance of the fitted values: a sandwich estimate with clusters (Liang & Zeger 1986).

    .. math:: C = \frac{n}{n - p} \, H^{-1} \Big(\sum_j u_j u_j^T\Big) H^{-1}, \qquad u_j = \sum_{i \in j} w_i r_i x_i

    Peaks on one ring in one sector of 3 degrees, modulo 180, are one observation. The pixels of a grain show the same
    spots. A spot and its Friedel partner share the error of the lattice vector.

    When the fit moves, some peaks leave the tolerance and others enter. That weakens H, the derivative of a trimmed
    mean: fully for evenly spread residuals, not at all for those well inside. The density at the edge is taken from
    the outer quarter of the tolerance.

    Parameters
    ----------
    matrix, weight, left
        Derivatives ``(peak, value)``, weights ``(peak,)`` and weight times residual ``(peak,)``.
    cluster
        Number ``(peak,)`` of the group of peaks that err alike.
    near
        Relative tolerance of the last round.
    """
    sums = np.stack([np.bincount(cluster, column * left) for column in matrix.T], axis=1)
    count = int((np.bincount(cluster) > 0).sum())
    edge = float(weight[np.abs(left) > 0.75 * near * weight].sum() / weight.sum())
    inverse = np.linalg.pinv((matrix * weight[:, None]).T @ matrix) / max(1 - 4 * edge, 0.2)
    return np.asarray(inverse @ (sums.T @ sums) @ inverse * count / max(count - matrix.shape[1], 1))


def _compute_ring_distance(length: Floats, rings: Floats) -> Floats:
    """Relative distance of each length (peak,) to the nearest ring."""
    above = np.clip(np.searchsorted(rings, length), 1, rings.size - 1) if rings.size > 1 else 0
    below = above - 1 if rings.size > 1 else 0
    return np.minimum(np.abs(length - rings[above]), np.abs(length - rings[below])) / length


def _assign_to_rings(length: Floats, rings: Floats, near: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Nearest ring of each length (peak,), and whether it is the only one within reach."""
    padded = np.concatenate([[-np.inf], rings, [np.inf]])
    # Padding with infinity gives the first and the last ring a neighbour on both sides.
    above = np.clip(np.searchsorted(rings, length) + 1, 1, rings.size)
    below = above - 1
    gap_above, gap_below = padded[above] - length, length - padded[below]
    target = np.where(gap_above < gap_below, padded[above], padded[below])
    target = np.where(np.isfinite(target), target, rings[0])
    # A peak between two rings would be drawn to the wrong one half of the time.
    alone = np.maximum(np.abs(gap_above), np.abs(gap_below)) > 1.5 * near * length
    return target, (np.abs(length - target) < near * length) & alone


def merge_rings(length: Floats, strength: Floats) -> tuple[Floats, Floats]:
    """Merge reflections (n,) into sorted rings 0.3 % apart or more, with their summed strength.

    Rings below 0.2 % of the strongest are left out.
    """
    order = np.argsort(length)
    length, strength = length[order], strength[order]
    group = np.concatenate([[0], np.cumsum(np.diff(length) > 0.003 * length[1:])])
    total = np.bincount(group, strength)
    mean = np.bincount(group, strength * length) / np.where(total > 0, total, 1)
    # Faint rings hold few peaks, but they make every scale look possible.
    keep = total > 0.002 * total.max()
    return mean[keep], total[keep]
