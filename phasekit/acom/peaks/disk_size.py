"""Disk radius and detector noise of a scan, estimated from a few of its patterns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...detector.disk_radius import estimate_disk_radius
from ...detector.noise import QUIET, fit_noise_model
from . import kernels

Floats = NDArray[np.float64]


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
        Patterns ``(..., qy, qx)`` [counts]; NaN where a pixel is bad.

    Returns
    -------
    DiskAndNoise
        Half width at half maximum of the brightest disk [px], v0 [counts^2] and gain [counts].
        Without a usable pattern the radius is a fiftieth of the pattern's width, and the noise is 0.
    """
    patterns = np.asarray(sample, dtype=np.float32).reshape(-1, *sample.shape[-2:])
    patterns = np.where(np.isinf(patterns), np.float32(np.nan), patterns)
    # Constant patterns hold no information, nor do lost ones.
    patterns = patterns[np.fmin.reduce(patterns, axis=(1, 2)) < np.fmax.reduce(patterns, axis=(1, 2))]
    if len(patterns) == 0:
        return DiskAndNoise(min(sample.shape[-2:]) / 50, 0.0, 0.0)
    radius = estimate_disk_radius(patterns, _blur_pattern)
    v0, gain = fit_noise_model(patterns)
    excess = _estimate_correlation_excess(patterns, max(round(2 * radius), 2), v0, gain)
    return DiskAndNoise(radius, excess * v0, excess * gain)


def make_gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Sampled Gaussian (x,) of sum 1, cut at 4 sigma; ``sigma`` in samples."""
    half = max(int(np.ceil(4 * sigma)), 1)
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2))
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)


def _blur_pattern(pattern: NDArray[np.generic], sigma: float) -> NDArray[np.float32]:
    """The pattern (qy, qx) blurred by a Gaussian of ``sigma`` [px]."""
    whole = np.ascontiguousarray(pattern, np.float32)
    smooth, scratch = np.empty_like(whole), np.empty_like(whole)
    kernels.blur_image(whole, make_gaussian_kernel(sigma), scratch, smooth)
    return smooth


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
    level = np.nanpercentile(squares, QUIET, axis=(1, 2), keepdims=True)
    used = (middle <= level) & np.isfinite(difference) & (variance > 0) & (variance * side**4 > 20 * gain**2)
    # With fewer squares the median is too uncertain to correct anything.
    if used.sum() < 100:
        return 1.0
    ratio = np.median(np.abs(difference[used]) / np.sqrt(1.5 * variance[used])) / 0.6745
    return float(np.clip(ratio, 1, 3) ** 2)  # charge shared over 2 px gives about 9; more is structure
