"""The loop of peak finding over the patterns of a block."""

import numpy as np
from numba import njit

from . import kernels as k
from .adaptive import adaptive_peaks
from .published import published_peaks

#: Columns of the table of peaks and of the per-pattern figures.
COLUMNS = ("qy", "qx", "intensity", "prominence")
#: Least part of the direct beam that all spots of a crystal hold together; thin foils scatter some 10 %.
LEAST_SCATTERED = 0.02
FIGURES = ("noise", "min_prominence", "count", "status")

_ROUNDING = 1e-5  # of the maximum: what float32 makes out of a flat pattern


@njit(cache=True, nogil=True, error_model="numpy")
def find_in_patterns(
    patterns: k.Image,
    kernel: k.Image,
    noise: k.Floats,
    settings: k.Floats,
    published: bool,
    max_peaks: int,
    peaks: k.Image,
    figures: k.Image,
) -> None:
    """Peaks of every pattern of ``patterns(n, qy, qx)`` into ``peaks(n, 4, slot)`` and ``figures(n, 4)``.

    The first ``max_peaks`` slots are for peaks, brightest first; the others for weak ones, most prominent first.
    ``noise`` (2, 4): coefficients of the threshold of peaks and of weak ones.

    ``settings``: blur sigma, background half window, refinement box, aperture radius, smallest sum a hot pixel
    could be told by; then, adaptive: bin and cell of the background [px]; published: curvature of the paraboloid,
    user's prominence and its unit per maximum.
    """
    n_patterns, ny, nx = patterns.shape
    work = np.empty((5, ny, nx), np.float32)
    scratch = np.empty((3, (ny + 2) * (nx + 2)), np.int32)
    for p in range(n_patterns):
        image = patterns[p].copy()
        peaks[p] = np.nan
        gaps = k.fill_gaps(image)
        noise_p, weak, settings_p = noise[0].copy(), noise[1].copy(), settings.copy()
        sigma = k.corner_statistics(image)[1]
        if published:
            grey = max(image.max(), 0.0) * settings[7] if settings[7] > 0 else 1.0
            noise_p[3] = max(settings[6] * grey, sigma)
            settings_p[5] = settings[5] * max(grey, 1e-30)
            table = published_peaks(image, work, scratch, kernel, noise_p, settings_p)
            least = noise_p[3]
        else:
            noise_p[3] = max(noise_p[3], _ROUNDING * image.max())
            weak[3] = max(weak[3], _ROUNDING * image.max())
            table, least = adaptive_peaks(image, work, scratch, kernel, noise_p, weak, settings_p)
        if gaps == image.size:
            table = table[:0]
        n = _write(table, peaks[p], max_peaks)
        figures[p, 0], figures[p, 1], figures[p, 2] = sigma, least, n
        figures[p, 3] = _status(peaks[p, 2, :n])


@njit(cache=True, nogil=True, error_model="numpy")
def _status(intensity: k.Image) -> int:
    """Vacuum (1), too few peaks (2) or fine (0), from the intensities of the peaks, brightest first.

    Beside a bright beam through vacuum a few maxima of its halo pass for peaks; a crystal scatters far more.
    """
    if intensity.size < 2 or intensity[1:].sum() < LEAST_SCATTERED * intensity[0]:
        return 1
    return 2 if intensity.size < 4 else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _write(table: k.Floats, slots: k.Image, max_peaks: int) -> int:
    """Copy a pattern's table into its slots (4, slot); returns the number of peaks that are not weak."""
    n, weak, limit = 0, max_peaks, slots.shape[1]
    for i in np.argsort(-table[:, 2]):
        if table[i, 4] >= 1.0 and n < max_peaks:
            slots[:, n] = table[i, :4]
            n += 1
    for i in np.argsort(-table[:, 4]):
        if table[i, 4] < 1.0 and weak < limit:
            slots[:, weak] = table[i, :4]
            weak += 1
    return n
