"""Discs drawn between pixels, compiled: patterns out of lists of peaks."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Axes = tuple[NDArray[np.float64], NDArray[np.float64]]

_FINE = 4  # sub-pixels per pixel and axis


def draw_peaks(
    qy: Image, qx: Image, intensity: Image, radius: NDArray[np.float64], *, axes: Axes, step: float
) -> Image:
    """Patterns ``(..., qy, qx)`` of a block of peaks ``(..., peak)``, in the unit of the detector's ``axes``.

    NaN peaks are left out. ``step`` is a pixel's size along ``qx``, and along ``qy`` where that has one pixel only.
    """
    flat = [np.ascontiguousarray(array, np.float32).reshape(-1, array.shape[-1]) for array in (qy, qx, intensity)]
    out = np.zeros((flat[0].shape[0], axes[0].size, axes[1].size), np.float32)
    scale = axes[0][1] - axes[0][0] if axes[0].size > 1 else step
    y, x = (flat[0] - np.float32(axes[0][0])) / np.float32(scale), (flat[1] - np.float32(axes[1][0])) / np.float32(step)
    draw_discs(y, x, flat[2], float(np.max(radius)) / step, out)
    return out.reshape(*intensity.shape[:-1], *out.shape[1:])


@njit(cache=True, nogil=True, error_model="numpy")
def draw_discs(y: Image, x: Image, intensity: Image, radius: float, out: Image) -> None:
    """Add discs of the given sums at ``y``, ``x`` [px] to ``out(pattern, qy, qx)``; peaks ``(pattern, peak)``.

    Pixels are covered by the share of their 4 x 4 sub-pixels whose centre is in the circle. Intensity is spread over
    the whole disc, so a disc cut by the edge keeps only the part inside. NaN peaks are left out.
    """
    for p in range(y.shape[0]):
        for i in range(y.shape[1]):
            if np.isfinite(y[p, i]) and np.isfinite(x[p, i]) and np.isfinite(intensity[p, i]):
                _disc(y[p, i], x[p, i], intensity[p, i], radius, out[p])


@njit(cache=True, nogil=True, error_model="numpy")
def _disc(y: float, x: float, intensity: float, radius: float, out: Image) -> None:
    ny, nx = out.shape
    y0, x0, size = int(np.floor(y - radius)), int(np.floor(x - radius)), int(2 * radius) + 3
    cover = np.zeros((size, size))
    for fy in range(size * _FINE):
        for fx in range(size * _FINE):
            dy, dx = y0 - 0.5 + (fy + 0.5) / _FINE - y, x0 - 0.5 + (fx + 0.5) / _FINE - x
            if dy * dy + dx * dx <= radius * radius:
                cover[fy // _FINE, fx // _FINE] += 1
    total = cover.sum()
    if total == 0:  # a disc between sub-pixel centres
        cover[int(np.floor(y + 0.5)) - y0, int(np.floor(x + 0.5)) - x0], total = 1, 1
    for j in range(max(y0, 0), min(y0 + size, ny)):
        for i in range(max(x0, 0), min(x0 + size, nx)):
            out[j, i] += intensity * cover[j - y0, i - x0] / total
