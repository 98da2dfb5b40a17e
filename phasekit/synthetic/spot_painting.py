"""Spots of a thin crystal in a precessed beam, by direct integration over the cone."""

import numpy as np
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
