"""Counting statistics of STXM frames: hot pixels, detector gain, and the effect of interpolation on noise."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating]

#: median of a chi-square variable with one degree of freedom
_CHI2_MEDIAN = 0.454936
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


def fill_lost_pixels(frame: Array) -> Array:
    """Fill lost pixels (NaN, inf) of a frame with the nearest measured counts, so that no filter spreads them."""
    lost = ~np.isfinite(frame)
    if not lost.any() or lost.all():
        return frame
    nearest = ndimage.distance_transform_edt(lost, return_distances=False, return_indices=True)
    return np.asarray(frame[tuple(nearest)])


def replace_spikes(frames: Array, n_sigma: float, gain: Array | None = None) -> NDArray[np.float32]:
    """Replace single hot and dead pixels of ``(..., y, x)`` counts by the median of their neighbours.

    A pixel is hot when it lies ``n_sigma`` standard deviations above the second-brightest of its eight neighbours. The
    second-brightest is used so that a pair of hot pixels is found too. A pixel is dead when it lies as far below the
    second-darkest. A blurred particle edge never reaches these limits. ``gain`` (..., 1, 1) is the variance over mean
    of the counts; None measures it on each frame. Statistics of a frame use it; the counts themselves are mended by
    :func:`replace_lone_spikes`, which looks at the neighbouring energies too.
    """
    out = np.array(frames, dtype=np.float32)
    for index in np.ndindex(out.shape[:-2]):
        own = _estimate_one_gain(out[index]) if gain is None else float(gain[(*index, 0, 0)])
        found = _find_frame_spikes(out[index], n_sigma, own)
        out[index] = np.where(found.spike, found.middle, out[index])
    return out


def replace_lone_spikes(frames: Array, gain: Array, brightest: Array, n_sigma: float) -> NDArray[np.float32]:
    """Replace the spikes of ``(energy, y, x)`` counts that no neighbouring energy shows at the same pixel.

    An event in the detector lasts for one reading. What a neighbouring energy shows too, at a quarter of the contrast
    or more, is structure of the sample and stays. A pixel brighter than the light itself is no structure: it is
    replaced in any case. ``gain`` and ``brightest`` (energy, 1, 1) are variance over mean and the counts of the
    brightest place of each frame.
    """
    found = [_find_frame_spikes(frame, n_sigma, float(own.ravel()[0])) for frame, own in zip(frames, gain, strict=True)]
    out = np.array(frames, dtype=np.float32)
    for index, one in enumerate(found):
        beside = [found[i].contrast for i in (index - 1, index + 1) if 0 <= i < len(found)]
        shown = np.zeros(one.spike.shape, dtype=bool)
        for other in beside:
            # In the same direction: a dark event beside a bright one is two events.
            shown |= other * np.sign(one.contrast) > 0.25 * np.abs(one.contrast)
        light = float(brightest[index].ravel()[0])
        impossible = out[index] > light + n_sigma * np.sqrt(float(gain[index].ravel()[0]) * max(light, 0.0))
        out[index] = np.where(one.spike & (~shown | impossible), one.middle, out[index])
    return out


class _Spikes(NamedTuple):
    """Spikes of one frame (y, x), the median of each pixel's neighbours, and its contrast to them."""

    spike: NDArray[np.bool_]
    middle: NDArray[np.float32]
    contrast: NDArray[np.float32]


def _find_frame_spikes(frame: Array, n_sigma: float, gain: float) -> _Spikes:
    """Find the spikes of one frame (y, x); a lost pixel is none."""
    lost = ~np.isfinite(frame)
    filled = np.asarray(fill_lost_pixels(frame), dtype=np.float32)
    if min(frame.shape) < 3 or lost.all():
        return _Spikes(np.zeros(frame.shape, dtype=bool), filled, np.zeros(frame.shape, dtype=np.float32))
    # A lost pixel must not hide or make a spike among its neighbours.
    middle = ndimage.median_filter(filled, footprint=_NEIGHBOURS, mode="reflect")
    # The variance of counts is the gain times their expectation, for which the median of the neighbours stands.
    expected = np.maximum(middle, np.float32(1e-6))
    sigma = np.sqrt(gain * expected)
    # Ranks and not the extremes: one more hot pixel among the neighbours must not hide this one.
    high = ndimage.rank_filter(filled, -2, footprint=_NEIGHBOURS, mode="reflect")
    low = ndimage.rank_filter(filled, 1, footprint=_NEIGHBOURS, mode="reflect")
    spike = (filled > high + n_sigma * sigma) | (filled < low - n_sigma * sigma)
    return _Spikes(spike & ~lost, middle, np.where(lost, np.float32(0), (filled - middle) / expected))


def find_brightest_counts(frames: Array) -> NDArray[np.float64]:
    """Find the counts of the brightest place of each frame ``(..., y, x)``, without its single bright pixels."""
    out = np.full(frames.shape[:-2], np.nan)
    for index in np.ndindex(out.shape):
        frame = fill_lost_pixels(np.asarray(frames[index], dtype=np.float32))
        # A median over nine pixels: four hot ones beside each other would be needed to pass.
        smooth = ndimage.median_filter(frame, 3, mode="reflect") if min(frame.shape) >= 3 else frame
        out[index] = smooth.max() if np.isfinite(smooth).all() else np.nan
    return out


def estimate_frame_gains(frames: Array, response: Array | None = None) -> NDArray[np.float64]:
    r"""Estimate the gain (variance over mean) of each frame of ``(..., y, x)`` counts.

    The second difference of neighbouring counts a, b, c removes a linear trend. For noise with the autocorrelation
    :math:`R_k` at lag k its variance is

    .. math:: \mathrm{var}(a - 2b + c) = 6 R_0 - 8 R_1 + 2 R_2,

    which is :math:`6 \sigma^2` for white noise. ``response`` (..., 3) holds the three values for unit white noise after
    interpolation, per frame. None stands for white noise. A detector that counts single photons has gain 1.
    """
    frames = np.asarray(frames, dtype=np.float64)
    out = np.empty(frames.shape[:-2])
    for index in np.ndindex(out.shape):
        out[index] = _estimate_one_gain(frames[index])
    if response is not None:
        # var(a - 2 b + c) = 6 R0 - 8 R1 + 2 R2
        out *= 6.0 / (6 * response[..., 0] - 8 * response[..., 1] + 2 * response[..., 2])
    return out


def _estimate_one_gain(frame: Array) -> float:
    """Estimate the gain of one frame: the median over its flattest 40 %, without edges and hot pixels."""
    frame = fill_lost_pixels(np.asarray(frame, dtype=np.float64))
    if not np.isfinite(frame).all():
        return float("nan")
    smooth = ndimage.gaussian_filter(frame, 2.0)
    steep = sum(np.abs(np.gradient(smooth, axis=axis)) for axis in (0, 1) if frame.shape[axis] > 1)
    # Steepness is measured in units of the noise, so that bright and dark regions are chosen alike.
    steep = np.broadcast_to(steep / np.sqrt(np.maximum(smooth, 1e-12)), frame.shape)
    flat = steep <= np.quantile(steep, 0.4)
    ratios = []
    for axis in (0, 1):
        if frame.shape[axis] < 3:
            continue
        n = frame.shape[axis] - 2
        a, b, c = (np.take(frame, range(i, n + i), axis=axis) for i in range(3))
        mean = (a + b + c) / 3
        # The ratio to the mean needs counts, and the middle pixel decides whether the place is flat.
        good = (mean > 0) & np.take(flat, range(1, n + 1), axis=axis)
        ratios.append(((a - 2 * b + c)[good] ** 2 / 6) / mean[good])
    # The median of the squared differences resists outliers; for Gaussian noise it is 0.455 of their mean.
    pooled = np.concatenate(ratios) if ratios else np.empty(0)
    return float(np.median(pooled) / _CHI2_MEDIAN) if pooled.size else np.nan


def compute_noise_response(shift_y: float, shift_x: float, order: int) -> NDArray[np.float64]:
    """Compute the autocorrelation at lags 0, 1, 2 of unit white noise after a sub-pixel spline shift.

    The values are means over y and x. Lag 0 is the factor by which interpolation reduces the variance of the counts. It
    is 1 for shifts by whole pixels. Half a pixel in y and x gives 0.25 with linear interpolation.
    """
    rows = [_compute_row_response(shift, order) for shift in (shift_y, shift_x)]
    (y0, y1, y2), (x0, x1, x2) = rows
    # The spline is separable, so the response is a product of those along y and x.
    return np.array([y0 * x0, (y1 * x0 + y0 * x1) / 2, (y2 * x0 + y0 * x2) / 2])


def _compute_row_response(shift: float, order: int) -> tuple[float, float, float]:
    """Compute the autocorrelation at lags 0, 1, 2 of a row of unit white noise after a shift."""
    impulse = np.zeros(65)
    impulse[32] = 1.0
    # The response to an impulse contains the spline's weights; their products at each lag are the autocorrelation.
    row = ndimage.shift(impulse, shift - np.round(shift), order=order, mode="constant")
    return float(row @ row), float(row[1:] @ row[:-1]), float(row[2:] @ row[:-2])
