"""The compiled loops of peak finding over the patterns of a block, one for each mode."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...detector.spikes import bridge_pixels
from . import kernels as k
from .adaptive import PeakTable, find_adaptive_peaks
from .masking import BadPixels, PatternGaps, remove_bad_pixels
from .published import find_published_peaks
from .settings import AdaptiveSettings, PublishedSettings

#: Smallest fraction of the direct beam that all spots of a crystal hold together; thin foils scatter some 10 %.
LEAST_SCATTERED = 0.02

_ROUNDING = 1e-5  # of the maximum: rounding in float32 makes prominences of this size in a flat pattern


class PeakArrays(NamedTuple):
    """Results of a block of patterns, written in place.

    The first slots are peaks, brightest first; the slots from ``max_peaks`` on are weak peaks, most prominent first.
    Unused slots hold NaN.

    Parameters
    ----------
    qy, qx
        Positions (pattern, slot), float32 [px].
    intensity, prominence
        (pattern, slot), float32 [counts] and [counts per pixel].
    noise, min_prominence
        Standard deviation of the corners and threshold (pattern,), float32 [counts per pixel].
    n_peaks, status
        Number of peaks, and ``AcomStatus`` (pattern,), int32 and int8.
    """

    qy: k.Image
    qx: k.Image
    intensity: k.Image
    prominence: k.Image
    noise: k.Image
    min_prominence: k.Image
    n_peaks: NDArray[np.int32]
    status: NDArray[np.int8]


def make_peak_arrays(shape: tuple[int, ...], n_slots: int) -> PeakArrays:
    """Arrays for patterns of a block of this ``shape``, with ``n_slots`` peaks and weak peaks each, all NaN."""
    peaks = [np.full((*shape, n_slots), np.nan, np.float32) for _ in range(4)]
    noise, min_prominence = np.empty(shape, np.float32), np.empty(shape, np.float32)
    n_peaks, status = np.empty(shape, np.int32), np.empty(shape, np.int8)
    return PeakArrays(peaks[0], peaks[1], peaks[2], peaks[3], noise, min_prominence, n_peaks, status)


@njit(cache=True, nogil=True, error_model="numpy")
def find_peaks_adaptive(
    patterns: k.Image, kernel: k.Image, settings: AdaptiveSettings, max_peaks: int, bad: BadPixels, out: PeakArrays
) -> None:
    """Find the peaks of every pattern (pattern, qy, qx) [counts] in the adaptive mode, and write them into ``out``.

    ``kernel`` (x,) is the Gaussian of the blur, on the binned pattern.
    """
    work, scratch = _make_scratch(patterns.shape[1], patterns.shape[2])
    found = np.empty(patterns.shape[1] * patterns.shape[2], np.int64)
    for p in range(len(patterns)):
        # Bad pixels are removed from a copy: the input is never changed.
        image = patterns[p].copy()
        n = remove_bad_pixels(image, bad, found)
        gaps = PatternGaps(bad.listed.size, found[:n], bad.weight)
        out.noise[p] = k.compute_corner_statistics(image)[1]
        # A flat pattern has no noise by the model, but float32 rounding makes small maxima.
        rounding = _ROUNDING * _find_brightest(image)
        noise, weak = _raise_least(settings.noise, rounding), _raise_least(settings.weak_noise, rounding)
        table, out.min_prominence[p] = find_adaptive_peaks(image, work, scratch, kernel, noise, weak, settings, gaps)
        _write_pattern(table, n + bad.listed.size == image.size, max_peaks, settings.min_distance, p, out)


@njit(cache=True, nogil=True, error_model="numpy")
def find_peaks_published(
    patterns: k.Image, kernel: k.Image, settings: PublishedSettings, max_peaks: int, bad: BadPixels, out: PeakArrays
) -> None:
    """Find the peaks of every pattern (pattern, qy, qx) [counts] in the published mode, and write them into ``out``.

    The threshold is P_min = max(P_user, sigma), with sigma the standard deviation of the corners. ``kernel`` (x,) is
    the Gaussian of the blur.
    """
    work, scratch = _make_scratch(patterns.shape[1], patterns.shape[2])
    found = np.empty(patterns.shape[1] * patterns.shape[2], np.int64)
    for p in range(len(patterns)):
        image = patterns[p].copy()
        # The published recipe knows no bad pixels: they are bridged.
        n = remove_bad_pixels(image, bad, found)
        bridge_pixels(image, bad.listed)
        bridge_pixels(image, found[:n])
        gaps = k.fill_gaps(image)
        sigma = k.compute_corner_statistics(image)[1]
        # Grey levels are relative to the maximum of the pattern, unless the data are 8-bit grey levels already.
        grey = max(image.max(), 0.0) * settings.grey_level if settings.grey_level > 0 else 1.0
        least = max(settings.min_prominence * grey, sigma)
        curvature = settings.curvature * max(grey, 1e-30)
        table = find_published_peaks(image, work, scratch, kernel, least, curvature, settings)
        out.noise[p], out.min_prominence[p] = sigma, least
        _write_pattern(table, gaps == image.size, max_peaks, settings.min_distance, p, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _find_brightest(image: k.Image) -> float:
    """Brightest pixel of a pattern (qy, qx) [counts] that is not NaN; 0 where there is none above."""
    brightest = np.float32(0.0)
    for value in image.ravel():
        brightest = value if value > brightest else brightest
    return float(brightest)


@njit(cache=True, nogil=True, error_model="numpy")
def _make_scratch(ny: int, nx: int) -> tuple[k.Image, NDArray[np.int32]]:
    """Scratch images (5, qy, qx), and scratch for indices of pixels with a rim of one pixel."""
    return np.empty((5, ny, nx), np.float32), np.empty((3, (ny + 2) * (nx + 2)), np.int32)


@njit(cache=True, nogil=True, error_model="numpy")
def _raise_least(noise: k.Threshold, least: float) -> k.Threshold:
    """The threshold, never below ``least`` [counts per pixel]."""
    return k.Threshold(noise.constant, noise.per_level, noise.one_count, max(noise.least, least))


@njit(cache=True, nogil=True, error_model="numpy")
def _write_pattern(table: PeakTable, empty: bool, max_peaks: int, min_distance: float, p: int, out: PeakArrays) -> None:
    """Write the peaks of pattern ``p``; a pattern without any finite pixel (``empty``) has none.

    Peaks nearer than ``min_distance`` [px] to one that is written already are left out.
    """
    n = 0
    if not empty:
        n, weak, limit = 0, max_peaks, out.qy.shape[1]
        # Peaks are sorted by intensity and weak peaks by strength, the order in which slots run out.
        for i in np.argsort(-table.intensity):
            if table.strength[i] >= 1.0 and n < max_peaks and _is_apart(table, i, out, p, 0, n, min_distance):
                _write_slot(table, i, p, n, out)
                n += 1
        for i in np.argsort(-table.strength):
            if table.strength[i] >= 1.0 or weak >= limit or not _is_apart(table, i, out, p, 0, n, min_distance):
                continue
            if _is_apart(table, i, out, p, max_peaks, weak, min_distance):
                _write_slot(table, i, p, weak, out)
                weak += 1
    out.n_peaks[p] = n
    out.status[p] = _find_status(out.intensity[p, :n])


@njit(cache=True, nogil=True, error_model="numpy")
def _is_apart(table: PeakTable, i: int, out: PeakArrays, p: int, start: int, stop: int, least: float) -> bool:
    """Whether peak ``i`` of the table is ``least`` [px] or more from slots ``start`` to ``stop`` of pattern ``p``."""
    if least > 0:
        for slot in range(start, stop):
            if (table.y[i] - out.qy[p, slot]) ** 2 + (table.x[i] - out.qx[p, slot]) ** 2 < least * least:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _write_slot(table: PeakTable, i: int, p: int, slot: int, out: PeakArrays) -> None:
    """Copy peak ``i`` of the table into a slot of pattern ``p``."""
    out.qy[p, slot], out.qx[p, slot] = table.y[i], table.x[i]
    out.intensity[p, slot], out.prominence[p, slot] = table.intensity[i], table.prominence[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _find_status(intensity: k.Image) -> int:
    """Vacuum (1), too few peaks (2) or fine (0), from the intensities (peak,) of the peaks, brightest first.

    A bright beam through vacuum has a halo, and a few of its maxima exceed the threshold. A crystal scatters far more.
    """
    if intensity.size < 2 or intensity[1:].sum() < LEAST_SCATTERED * intensity[0]:
        return 1
    return 2 if intensity.size < 4 else 0
