"""Spots of a thin crystal in a precessed beam, by direct integration, and their discs on a detector."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .. import rotations
from ..diffraction import Reflections

Array = NDArray[np.float64]
_AZIMUTHS = 120


def simulate_spots(
    found: Reflections, quaternion: Array, *, wave: float, thickness_nm: float, precession_deg: float
) -> tuple[Array, Array]:
    """In-plane positions (n, 2) as (y, x) [1/angstrom] and intensities (n,) of the reflections that diffract.

    The beam is tilted by ``precession_deg`` towards 120 azimuths in turn; for each, |F|^2 sinc^2(pi t s) is taken at
    the excitation error of the tilted beam, s = -(k . g) wavelength - wavelength |g|^2 / 2, and averaged.
    """
    g = found.g @ rotations.to_matrix(quaternion)  # rows: R^T g
    swing = np.hypot(g[:, 0], g[:, 1]) * np.sin(np.radians(precession_deg))
    at_rest = -(g[:, 2] + wave * np.sum(g * g, axis=1) / 2)
    thickness = thickness_nm * 10
    near = np.abs(at_rest) < swing + 6 / thickness  # beyond: below 0.3 % of the rocking curve's top
    g, strength = g[near], found.strength[near]
    azimuth = 2 * np.pi * np.arange(_AZIMUTHS if precession_deg > 0 else 1) / _AZIMUTHS
    tilt = np.radians(precession_deg)
    beam = np.stack(
        [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.full_like(azimuth, np.cos(tilt))]
    )
    s = -(g @ beam) - wave * np.sum(g * g, axis=1, keepdims=True) / 2
    intensity = strength * np.mean(np.sinc(thickness * s) ** 2, axis=1)
    keep = intensity > 1e-4 * intensity.max(initial=0.0)
    return g[keep][:, 1::-1], intensity[keep]


@njit(cache=True)
def paint_disks(image: Array, y: Array, x: Array, total: Array, radius: float) -> None:
    """Add discs of ``radius`` [px] at sub-pixel centres, ``total`` counts each, anti-aliased by 5 x 5 points per pixel.

    What lies outside the image is lost, as on a detector.
    """
    height, width = image.shape
    area = np.pi * radius * radius
    for n in range(len(y)):
        for row in range(max(0, int(y[n] - radius - 1)), min(height, int(y[n] + radius + 2) + 1)):
            for column in range(max(0, int(x[n] - radius - 1)), min(width, int(x[n] + radius + 2) + 1)):
                inside = 0
                for point in range(25):
                    dy = row + (point // 5 - 2) / 5.0 - y[n]
                    dx = column + (point % 5 - 2) / 5.0 - x[n]
                    inside += dy * dy + dx * dx <= radius * radius
                image[row, column] += total[n] * inside / (25.0 * area)
