"""Diffraction disks painted between pixels, compiled: detector patterns from lists of peaks.

``draw_peaks`` redraws measured peaks for reconstruction and for NMF. ``paint_disks`` serves it and the simulation.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Axes = tuple[NDArray[np.float64], NDArray[np.float64]]
Reals = NDArray[np.float32] | NDArray[np.float64]

_SUBPIXELS = 4  # grid points per pixel and axis of a redrawn peak, as on a canvas enlarged four times


def draw_peaks(
    qy: Image, qx: Image, intensity: Image, radius: NDArray[np.float64], *, axes: Axes, step: float
) -> Image:
    """Draw the patterns ``(..., qy, qx)`` of a block of peaks.

    Parameters
    ----------
    qy, qx, intensity
        Peaks ``(..., peak)``, positions in the unit of ``axes``. NaN peaks are left out.
    radius
        Radius of the disks, in the unit of ``axes``; the largest is used for all.
    axes
        Coordinates of the detector's rows and columns, evenly spaced.
    step
        Size of a pixel along ``qx``, and along ``qy`` where that has one pixel only.
    """
    flat = [np.ascontiguousarray(array, np.float32).reshape(-1, array.shape[-1]) for array in (qy, qx, intensity)]
    out = np.zeros((flat[0].shape[0], axes[0].size, axes[1].size), np.float32)
    # A detector of one row has no step along y.
    scale = axes[0][1] - axes[0][0] if axes[0].size > 1 else step
    # float32, as the peaks are stored.
    y, x = (flat[0] - np.float32(axes[0][0])) / np.float32(scale), (flat[1] - np.float32(axes[1][0])) / np.float32(step)
    _paint_patterns(y, x, flat[2], float(np.max(radius)) / step, out)
    return out.reshape(*intensity.shape[:-1], *out.shape[1:])


@njit(cache=True, nogil=True, error_model="numpy")
def paint_disks(image: Reals, y: Reals, x: Reals, total: Reals, radius: float, subpixels: int, keep_sum: bool) -> None:
    r"""Add anti-aliased disks to one image, in place.

    A pixel receives the share of its ``subpixels`` x ``subpixels`` grid points that lie in the circle,

    .. math:: I_{ji} = I \, \frac{n_{ji}}{N}, \qquad
              N = \sum n \;\text{ (keep_sum)} \quad\text{or}\quad N = m^2 \pi r^2 \;\text{ (otherwise)}.

    What lies outside the image is lost, as on a detector.

    Parameters
    ----------
    image
        ``(qy, qx)``, any unit of intensity. It is changed.
    y, x
        Centres ``(disk,)`` [px]; a whole number is the middle of a pixel. NaN disks are left out.
    total
        Integrated intensity of each disk ``(disk,)``, in the unit of the image. NaN disks are left out.
    radius
        Radius of all disks [px].
    subpixels
        Grid points m per pixel and axis.
    keep_sum
        Whether every disk sums to its ``total`` exactly. Otherwise its level is exact and its sum nearly so.
    """
    for n in range(len(y)):
        if np.isfinite(y[n]) and np.isfinite(x[n]) and np.isfinite(total[n]):
            _paint_disk(image, y[n], x[n], total[n], radius, subpixels, keep_sum)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint_patterns(y: Image, x: Image, intensity: Image, radius: float, out: Image) -> None:
    """Paint peaks ``(pattern, peak)`` [px] of ``radius`` [px] into the images ``out(pattern, qy, qx)``."""
    for p in range(y.shape[0]):
        paint_disks(out[p], y[p], x[p], intensity[p], radius, _SUBPIXELS, True)


@njit(cache=True, nogil=True, error_model="numpy")
def _paint_disk(image: Reals, y: float, x: float, total: float, radius: float, subpixels: int, keep_sum: bool) -> None:
    """Add one disk to ``image(qy, qx)``: centre and radius in px, the rest as in ``paint_disks``."""
    height, width = image.shape
    y0, x0, size = int(np.floor(y - radius)), int(np.floor(x - radius)), int(2 * radius) + 3
    # Count the whole disk before any pixel is written: a disk cut by the edge is normalised like a whole one.
    cover = np.zeros((size, size))
    middle = 0.5 * (subpixels - 1)
    for point_y in range(size * subpixels):
        dy = y0 + point_y // subpixels + (point_y % subpixels - middle) / subpixels - y
        for point_x in range(size * subpixels):
            dx = x0 + point_x // subpixels + (point_x % subpixels - middle) / subpixels - x
            if dy * dy + dx * dx <= radius * radius:
                cover[point_y // subpixels, point_x // subpixels] += 1
    norm = cover.sum() if keep_sum else subpixels * subpixels * (np.pi * radius * radius)
    if keep_sum and norm == 0:  # smaller than the gap between grid points: all of it goes into the pixel of its centre
        cover[int(np.floor(y + 0.5)) - y0, int(np.floor(x + 0.5)) - x0], norm = 1, 1
    for j in range(max(y0, 0), min(y0 + size, height)):
        for i in range(max(x0, 0), min(x0 + size, width)):
            image[j, i] += total * cover[j - y0, i - x0] / norm
