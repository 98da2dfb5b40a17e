"""Radius of the diffraction disks, from the brightest spot of a few patterns."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def estimate_disk_radius(
    patterns: NDArray[np.floating[Any]],
    blur: Callable[[NDArray[Any], float], NDArray[Any]],
    near: NDArray[np.bool_] | None = None,
) -> float:
    """Half width at half maximum [px] of the mean brightest spot of the patterns (n, qy, qx) [counts].

    ``blur(pattern, sigma)`` smooths a pattern by ``sigma`` [px]. NaN pixels are left out. ``near`` (qy, qx) says where
    the spot is looked for; ``None``: everywhere.
    """
    size = min(patterns.shape[-2:])
    reach = max(size // 8, 4)
    total, area = np.zeros(4 * reach), np.zeros(4 * reach)
    for pattern in patterns:
        smooth = blur(np.nan_to_num(pattern), max(1.0, size / 128))
        smooth = smooth if near is None else np.where(near, smooth, smooth.min())
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
        known = np.isfinite(window).ravel()
        total += np.bincount(bins[known], window.ravel()[known], total.size)
        area += np.bincount(bins[known], minlength=total.size)
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
