"""Disk radius and detector noise of a scan, estimated from a few of its patterns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import kernels

Floats = NDArray[np.float64]

_BLOCK = 4  # [px] side of the blocks the noise is measured in
_QUIET = 60  # per cent of a pattern's blocks, the darkest, taken as free of spots


class DiskAndNoise(NamedTuple):
    """Disk radius [px], variance at level zero ``v0`` [counts^2], and its increase per count ``gain`` [counts]."""

    radius: float
    v0: float
    gain: float


def estimate_disk_and_noise(sample: NDArray[np.generic]) -> DiskAndNoise:
    r"""Estimate the disk radius and the noise model of a sample of patterns.

    The variance of a pixel on a background of level m [counts] is taken as

    .. math:: v(m) = v_0 + g\, m

    For counted electrons :math:`v_0 = 0` and :math:`g = 1`. Both are scaled to sums over a disk. Where a detector
    shares charge between pixels, sums vary more than single pixels do.

    Parameters
    ----------
    sample
        Patterns ``(..., qy, qx)`` [counts].

    Returns
    -------
    DiskAndNoise
        Half width at half maximum of the brightest disk [px], v0 [counts^2] and gain [counts].
        Without a usable pattern the radius is a fiftieth of the pattern's width, and the noise is 0.
    """
    # Gaps become 0 here: the sample only serves estimates, and find_peaks fills them properly later.
    patterns = np.nan_to_num(
        np.asarray(sample, dtype=np.float32).reshape(-1, *sample.shape[-2:]), nan=0.0, posinf=0.0, neginf=0.0
    )
    patterns = patterns[patterns.min(axis=(1, 2)) < patterns.max(axis=(1, 2))]  # constant patterns hold no information
    if len(patterns) == 0:
        return DiskAndNoise(min(sample.shape[-2:]) / 50, 0.0, 0.0)
    radius = _estimate_disk_radius(patterns)
    v0, gain = _fit_noise_model(patterns)
    excess = _estimate_correlation_excess(patterns, max(round(2 * radius), 2), v0, gain)
    return DiskAndNoise(radius, excess * v0, excess * gain)


def make_gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Sampled Gaussian (x,) of sum 1, cut at 4 sigma; ``sigma`` in samples."""
    half = max(int(np.ceil(4 * sigma)), 1)
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _estimate_disk_radius(patterns: NDArray[np.float32]) -> float:
    """Half width at half maximum [px] of the mean brightest spot of the patterns (n, qy, qx)."""
    size = min(patterns.shape[-2:])
    reach = max(size // 8, 4)
    total, area = np.zeros(4 * reach), np.zeros(4 * reach)
    for pattern in patterns:
        smooth, scratch = np.empty_like(pattern), np.empty_like(pattern)
        kernels.blur_image(pattern, make_gaussian_kernel(max(1.0, size / 128)), scratch, smooth)
        y, x = np.unravel_index(np.argmax(smooth), smooth.shape)
        rows, columns = slice(max(y - reach, 0), y + reach + 1), slice(max(x - reach, 0), x + reach + 1)
        window = pattern[rows, columns].astype(np.float64)
        # Only what rises above half of the maximum locates the disk: neighbouring spots stay out of the centroid.
        yy, xx = np.mgrid[0 : window.shape[0], 0 : window.shape[1]]
        weight = np.clip(smooth[rows, columns] - smooth[y, x] / 2, 0, None)
        if weight.sum() <= 0:
            continue
        centre_y, centre_x = (weight * yy).sum() / weight.sum(), (weight * xx).sum() / weight.sum()
        bins = np.minimum((2 * np.hypot(yy - centre_y, xx - centre_x)).astype(int), total.size - 1).ravel()
        total += np.bincount(bins, window.ravel(), total.size)
        area += np.bincount(bins, minlength=total.size)
    return _compute_half_width(total[: 2 * reach], area[: 2 * reach], size)


def _compute_half_width(total: Floats, area: Floats, size: int) -> float:
    """Radius [px] at which a radial profile in bins of half a pixel falls to half of its inner part."""
    if not np.any(total > 0):
        return size / 50
    profile = np.interp(np.arange(total.size), np.flatnonzero(area), total[area > 0] / area[area > 0])
    radius = np.arange(total.size) / 2 + 0.25
    # The outer quarter is taken as background, and the innermost two pixels as the top of the disk.
    profile = profile - profile[-(total.size // 4) :].mean()
    inner = np.average(profile[:4], weights=radius[:4])
    below = np.flatnonzero(profile < inner / 2)
    if inner <= 0 or below.size == 0 or below[0] == 0:
        return size / 50
    i = below[0]
    fraction = (profile[i - 1] - inner / 2) / (profile[i - 1] - profile[i])
    return float(np.clip(radius[i - 1] + fraction / 2, 1.0, size / 8))


def _fit_noise_model(patterns: NDArray[np.float32]) -> tuple[float, float]:
    """v0 [counts^2] and gain [counts]: a weighted line through variance over mean of small dark blocks.

    Blocks of 4 x 4 px in the darker part of each pattern are used. They are selected by their mean alone.
    For Poisson counts the expected variance given the mean is that mean, so the selection does not bias the slope.
    """
    ny, nx = (n // _BLOCK * _BLOCK for n in patterns.shape[-2:])
    blocks = patterns[:, :ny, :nx].reshape(-1, ny // _BLOCK, _BLOCK, nx // _BLOCK, _BLOCK).astype(np.float64)
    mean = blocks.mean(axis=(2, 4)).reshape(len(patterns), -1)
    variance = blocks.var(axis=(2, 4), ddof=1).reshape(len(patterns), -1)
    above = mean - mean.min()
    one_count = np.min(above, where=above > 0, initial=np.inf)  # at low dose most blocks are empty
    least = mean.min() + 2 * one_count if np.isfinite(one_count) else mean.min()
    # At low dose the darkest blocks are all empty; the limit must admit blocks with one count and with two.
    limit = np.maximum(np.percentile(mean, _QUIET, axis=1, keepdims=True), least)
    quiet = mean <= limit
    quiet &= (variance * quiet).sum(axis=1, keepdims=True) > 0  # saturated or empty outside the beam
    if not quiet.any():
        return 0.0, 0.0
    m, v = mean[quiet], variance[quiet]
    # The variance of a sample variance grows with the square of the level: blocks are weighted accordingly.
    lowest = np.percentile(m, 1)
    typical = max(float(np.abs(m - lowest).mean()), 1e-12)
    weight = 1 / ((m - lowest) ** 2 + typical**2)
    centre = np.average(m, weights=weight)
    spread = np.average((m - centre) ** 2, weights=weight)
    level = np.average(v, weights=weight)
    # All blocks on one level cannot give a slope.
    if spread <= 1e-9 * typical**2:
        return float(level), 0.0
    # A negative slope has no meaning; it happens where the levels hardly differ.
    gain = max(float(np.average((m - centre) * (v - level), weights=weight) / spread), 0.0)
    return float(level - gain * centre), gain


def _estimate_correlation_excess(patterns: NDArray[np.float32], side: int, v0: float, gain: float) -> float:
    r"""Variance of sums over disk-sized squares, relative to independent pixels; 1 where it cannot be measured.

    It is measured on second differences along x of the square means s, in which slopes cancel:

    .. math:: d = \tfrac12 (s_{-1} + s_{+1}) - s_0, \qquad \sigma_d^2 = \tfrac32 \sigma_s^2

    The median of |d| is robust against spots: for a Gaussian it is 0.6745 standard deviations. Only squares with more
    than 20 counts are used, where that relation holds.
    """
    ny, nx = (n // side * side for n in patterns.shape[-2:])
    squares = patterns[:, :ny, :nx].reshape(-1, ny // side, side, nx // side, side).mean(axis=(2, 4), dtype=np.float64)
    middle = squares[:, :, 1:-1]
    difference = (squares[:, :, :-2] + squares[:, :, 2:]) / 2 - middle
    variance = np.maximum(v0 + gain * middle, 0) / side**2
    level = np.percentile(squares, _QUIET, axis=(1, 2), keepdims=True)
    used = (middle <= level) & (variance > 0) & (variance * side**4 > 20 * gain**2)
    # With fewer squares the median is too uncertain to correct anything.
    if used.sum() < 100:
        return 1.0
    ratio = np.median(np.abs(difference[used]) / np.sqrt(1.5 * variance[used])) / 0.6745
    return float(np.clip(ratio, 1, 3) ** 2)  # charge shared over 2 px gives about 9; more is structure
