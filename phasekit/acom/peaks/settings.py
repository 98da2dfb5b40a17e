"""Settings of the two kernels of peak finding, and the disk radius and noise of a scan that they follow from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...detector.disk_radius import estimate_disk_radius
from ...detector.noise import QUIET, fit_noise_model
from . import kernels
from .kernels import Threshold

_FALSE_PEAKS = 6.0  # bound on the noise maxima per pattern; it is far from tight: 0.1 to 0.2 were measured
_WEAK = 250.0  # the same for weak peaks: more than half of these may be noise, and matching still gains by them
_DISK_TO_BLUR = 0.63  # Gaussian with the best signal-to-noise ratio on a disk: sigma = 0.63 radius
_GREY_LEVELS = 255
_BINNED_BLUR = 1.5  # [bins]; wider blurs are computed on a binned pattern, which loses nothing


class DiskAndNoise(NamedTuple):
    """Disk radius [px], variance at level zero ``v0`` [counts^2], and its increase per count ``gain`` [counts]."""

    radius: float
    v0: float
    gain: float


class AdaptiveSettings(NamedTuple):
    """Settings of ``find_adaptive_peaks``.

    Parameters
    ----------
    sigma
        Standard deviation of the Gaussian of detection and refinement [px].
    background_half_width
        Half width of the window of the local background [px].
    refine_half_box
        Half width of the window of the sub-pixel refinement [px].
    aperture_radius
        Radius of the circle that intensities are summed in [px].
    hot_pixel_sum
        Peaks with fewer counts than this are not tested for being a hot pixel [counts].
    bin_size
        Side of the squares that are averaged before the blur [px].
    cell
        Side of a cell of the coarse background grid [bins].
    weak_slots
        Number of weak peaks that are kept.
    min_distance
        Of two peaks nearer than this only the brighter is kept [px]; 0: both.
    noise, weak_noise
        Thresholds of peaks and of weak peaks [counts per pixel].
    """

    sigma: float
    background_half_width: float
    refine_half_box: float
    aperture_radius: float
    hot_pixel_sum: float
    bin_size: int
    cell: int
    weak_slots: int
    min_distance: float
    noise: Threshold
    weak_noise: Threshold


class PublishedSettings(NamedTuple):
    """Settings of ``find_published_peaks``.

    Parameters
    ----------
    sigma
        Standard deviation of the Gaussian of detection and refinement [px].
    refine_box
        Width of the box of the sub-pixel refinement [px].
    aperture_radius
        Radius of the circle that intensities are averaged in [px].
    curvature
        Curvature of the sliding paraboloid [grey levels per px^2].
    min_prominence
        P_user [grey levels].
    grey_level
        Size of a grey level as a fraction of the pattern's maximum. 0 for uint8 data: a grey level is one count.
    min_distance
        Of two peaks nearer than this only the brighter is kept [px]; 0: both.
    """

    sigma: float
    refine_box: float
    aperture_radius: float
    curvature: float
    min_prominence: float
    grey_level: float
    min_distance: float


def make_adaptive_settings(settings: dict[str, Any], estimate: DiskAndNoise, n_pixels: int) -> AdaptiveSettings:
    r"""Settings of the adaptive mode from the arguments of ``find_peaks`` and the scan's disk radius and noise.

    The threshold is Bernstein's bound :math:`\sqrt{2 L v} + L w / 3` on the blurred and binned pattern, with

    .. math:: L = \ln (n\, q / f), \qquad v = q\, (v_0 + g\, m), \qquad w = g\, (\max k / b)^2

    Here n is the number of pixels, f the bound on noise maxima, b the bin size and k the blur's kernel.
    The factor :math:`q = (\sum k^2 / b)^2` is the variance that binning and blur leave of a pixel's. Hence n q is the
    number of independent positions. The gain is g, and m is the level of the background.
    """
    radius, v0, gain = estimate
    sigma = float(settings["blur_px"] or max(_DISK_TO_BLUR * radius, 0.8))
    # The blur is at least 1.5 bins wide, so binning removes no detail that the blur would keep.
    bin_size = max(int(sigma / _BINNED_BLUR), 1)
    cell = int(2 ** max(round(np.log2(1.3 * radius / bin_size)), 0))  # divides most detectors: no cell is cut
    kernel = make_gaussian_kernel(sigma / bin_size).astype(np.float64)
    squares = (float(np.sum(kernel**2)) / bin_size) ** 2

    def make_threshold(false_peaks: float, at_least: float) -> Threshold:
        # A lower limit of the argument keeps the threshold positive for very small patterns.
        odds = 2 * np.log(np.maximum(n_pixels * squares / false_peaks, at_least))  # 2 L
        one_count = odds / 6 * gain * (kernel.max() / bin_size) ** 2
        least = float(settings["min_prominence"] or 0.0)
        return Threshold(float(odds * squares * v0), float(odds * squares * gain), float(one_count), least)

    window = settings["background_radius"] or 4 * radius
    return AdaptiveSettings(
        sigma=sigma,
        background_half_width=float(max(round(window), 2)),
        refine_half_box=float(np.ceil(settings["refine_box"] / 2 if settings["refine_box"] else 3 * sigma)),
        aperture_radius=float(settings["intensity_radius"] or radius + 1),
        hot_pixel_sum=float(20 * gain),
        bin_size=bin_size,
        cell=cell,
        weak_slots=int(settings["weak_peaks"]),
        min_distance=float(settings.get("min_distance_px") or 0.0),
        noise=make_threshold(_FALSE_PEAKS, 1.5),
        weak_noise=make_threshold(_WEAK if settings["weak_peaks"] else _FALSE_PEAKS, 1.2),
    )


def make_published_settings(settings: dict[str, Any], width: int, integers: bool) -> PublishedSettings:
    """Settings of the published mode; the curvature of the paraboloid is 1 / (2 radius) grey levels.

    ``width`` is that of a pattern [px]. ``integers`` says that the data are uint8, so that a grey level is one count.
    """
    user = settings["min_prominence"]
    return PublishedSettings(
        sigma=float(settings["blur_px"] or 2.0),
        refine_box=float(settings["refine_box"] or 10.0),
        aperture_radius=float(settings["intensity_radius"] or 3.0),
        curvature=float(0.5 / (settings["background_radius"] or width / 10)),
        min_prominence=3.0 if user is None else float(user),
        grey_level=0.0 if integers else 1 / _GREY_LEVELS,
        min_distance=float(settings.get("min_distance_px") or 0.0),
    )


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
