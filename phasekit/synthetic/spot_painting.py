"""Spots of a thin crystal in a precessed beam, by direct integration over the cone."""

import numpy as np
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
