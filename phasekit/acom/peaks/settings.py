"""Settings of the two kernels of peak finding, computed once per block from the arguments of ``find_peaks``."""

from typing import Any, NamedTuple

import numpy as np

from .disk_size import DiskAndNoise, make_gaussian_kernel
from .kernels import Threshold

_FALSE_PEAKS = 6.0  # bound on the noise maxima per pattern; it is far from tight: 0.1 to 0.2 were measured
_WEAK = 250.0  # the same for weak peaks: more than half of these may be noise, and matching still gains by them
_DISK_TO_BLUR = 0.63  # Gaussian with the best signal-to-noise ratio on a disk: sigma = 0.63 radius
_GREY_LEVELS = 255
_BINNED_BLUR = 1.5  # [bins]; wider blurs are computed on a binned pattern, which loses nothing


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
    """

    sigma: float
    refine_box: float
    aperture_radius: float
    curvature: float
    min_prominence: float
    grey_level: float


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
    )
