"""Kinematic spots of a thin crystal in a precessed beam, by direct integration, and their disks on a detector."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .. import rotations
from ..diffraction import Reflections

Array = NDArray[np.float64]
#: Steps of 3 degrees: at 1 degree precession finer than the rocking curve of a 20 nm foil.
_AZIMUTHS = 120


def simulate_spots(
    crystal: Reflections, quaternion: Array, *, wave: float, thickness_nm: float, precession_deg: float
) -> tuple[Array, Array]:
    r"""In-plane positions (n, 2) as (y, x) [1/angstrom] and intensities (n,) of the reflections that diffract.

    .. math:: I(\mathbf g) = |F_{\mathbf g}|^2 \left\langle \left(\frac{\sin \pi t s}{\pi t s}\right)^2
        \right\rangle_\varphi, \qquad s(\varphi) = -\mathbf g \cdot \hat{\mathbf k}(\varphi)
        - \tfrac{1}{2} \lambda |\mathbf g|^2

    with the thickness :math:`t`, the wavelength :math:`\lambda` and the excitation error :math:`s`. The beam direction
    :math:`\hat{\mathbf k}` is tilted by ``precession_deg`` towards 120 azimuths :math:`\varphi` in turn. This sum is
    independent of the closed form that templates use (:func:`phasekit.diffraction.precessed_shape`).
    """
    g = crystal.g @ rotations.to_matrix(quaternion)  # rows: R^T g
    # The tilted beam changes the excitation error by at most this much about its value without precession.
    amplitude = np.hypot(g[:, 0], g[:, 1]) * np.sin(np.radians(precession_deg))
    excitation_error = -(g[:, 2] + wave * np.sum(g * g, axis=1) / 2)
    thickness = thickness_nm * 10  # [angstrom], as the excitation error is in 1/angstrom
    near = np.abs(excitation_error) < amplitude + 6 / thickness  # beyond: below 0.3 % of the rocking curve's maximum
    g, strength = g[near], crystal.strength[near]
    azimuth = 2 * np.pi * np.arange(_AZIMUTHS if precession_deg > 0 else 1) / _AZIMUTHS
    tilt = np.radians(precession_deg)
    beam = np.stack(
        [np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth), np.full_like(azimuth, np.cos(tilt))]
    )
    s = -(g @ beam) - wave * np.sum(g * g, axis=1, keepdims=True) / 2
    intensity = strength * np.mean(np.sinc(thickness * s) ** 2, axis=1)
    # Weaker spots hold less than one electron at the usual doses.
    keep = intensity > 1e-4 * intensity.max(initial=0.0)
    return g[keep][:, 1::-1], intensity[keep]


@njit(cache=True)
def paint_disks(image: Array, y: Array, x: Array, total: Array, radius: float) -> None:
    """Add disks to ``image`` (y, x), in place: each of ``radius`` [px] at a sub-pixel centre, with ``total`` [counts].

    ``y``, ``x`` (n,) [px] and ``total`` (n,) are one entry per disk. The share of a pixel inside the disk is counted on
    5 x 5 points. What lies outside the image is lost, as on a detector.
    """
    height, width = image.shape
    area = np.pi * radius * radius
    for n in range(len(y)):
        # Only the pixels that the disk can reach: a spot covers a thousandth of the detector.
        for row in range(max(0, int(y[n] - radius - 1)), min(height, int(y[n] + radius + 2) + 1)):
            for column in range(max(0, int(x[n] - radius - 1)), min(width, int(x[n] + radius + 2) + 1)):
                inside = 0
                for point in range(25):
                    dy = row + (point // 5 - 2) / 5.0 - y[n]
                    dx = column + (point % 5 - 2) / 5.0 - x[n]
                    inside += dy * dy + dx * dx <= radius * radius
                image[row, column] += total[n] * inside / (25.0 * area)
