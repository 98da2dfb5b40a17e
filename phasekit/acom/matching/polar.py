r"""Spot patterns as Fourier series over the azimuth, in radial shells.

A pattern is a sum of spots, convolved with a Gaussian in azimuth. In each shell r it is a Fourier series:

.. math:: P(r, \theta) = \sum_m P_m(r)\, e^{i m \theta}

A rotation of the template T by :math:`\varphi` multiplies its terms by :math:`e^{-i m \varphi}`. The correlation at
every angle is then one product per frequency, a sum over the shells, and one inverse Fourier transform:

.. math:: C(\varphi) = \sum_m e^{i m \varphi} \sum_r P_m(r)\, \overline{T_m(r)}
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREQUENCIES = 48
ANGLES = 192  # twice the Nyquist rate: the error of the parabola between grid points is then below 0.01 in Q
AZIMUTH_BLUR_DEG = 2.5  # the highest frequency still carries exp(-(47 * 2.5 deg)^2 / 2) = 0.12
SHELL = 0.04  # 1/angstrom; a spot is divided between the two nearest shells
RADIUS_POWER = 1.0
INTENSITY_POWER = 0.3

Terms = NDArray[np.complex64]
Array = NDArray[np.float64]


def compute_unit_terms(
    qy: NDArray[np.floating], qx: NDArray[np.floating], weight: NDArray[np.floating], shells: int
) -> Terms:
    """Fourier terms (pattern, shell, m) of spots, scaled to norm one.

    Parameters
    ----------
    qy, qx
        Positions (pattern, spot) [1/angstrom].
    weight
        Weights (pattern, spot), before the factor |q|^RADIUS_POWER. Spots of weight 0 or NaN are ignored.
    shells
        Number of radial shells.
    """
    out = np.zeros((len(qy), shells, FREQUENCIES), dtype=np.complex64)
    # The Fourier transform of a Gaussian in azimuth is a Gaussian over the frequencies.
    taper = np.exp(-((np.arange(FREQUENCIES) * np.radians(AZIMUTH_BLUR_DEG)) ** 2) / 2)
    _add_spots(out, np.asarray(qy, float), np.asarray(qx, float), np.asarray(weight, float), taper)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _add_spots(out: Terms, qy: Array, qx: Array, weight: Array, taper: Array) -> None:
    """Add the spots (pattern, spot) to the terms ``out`` (pattern, shell, m), and scale each pattern to norm one.

    ``qy`` and ``qx`` are in 1/angstrom; ``taper`` (m,) is the Fourier transform of the azimuthal blur.
    """
    n_patterns, n_shells, n_frequencies = out.shape
    for b in range(n_patterns):
        for p in range(qy.shape[1]):
            if not (weight[b, p] > 0):
                continue
            radius = np.sqrt(qy[b, p] ** 2 + qx[b, p] ** 2)
            position = radius / SHELL - 0.5
            shell = int(np.floor(position))
            if not radius > 0 or shell + 1 >= n_shells or shell < 0:
                continue
            outer = position - shell  # fraction of the spot in the outer of its two shells
            value = complex(radius**RADIUS_POWER * weight[b, p], 0.0)
            step = complex(qx[b, p] / radius, -qy[b, p] / radius)
            # Powers of one complex number replace the exponentials of all frequencies.
            for m in range(n_frequencies):
                out[b, shell, m] += (1 - outer) * taper[m] * value
                out[b, shell + 1, m] += outer * taper[m] * value
                value *= step
        norm = 0.0  # negative frequencies are not stored, but count in the norm
        for shell in range(n_shells):
            for m in range(n_frequencies):
                square = out[b, shell, m].real ** 2 + out[b, shell, m].imag ** 2
                norm += square if m == 0 else 2 * square
        out[b] /= np.float32(max(np.sqrt(norm), 1e-12))


def make_angle_table(frequencies: int, angles: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines (angles / 2 + 1, frequencies) that sum a real series at the angles k 360 / angles.

    The curve at angle k is cos[k] @ real - sin[k] @ imag. At angle -k the sign of the second term is the other one.
    """
    phase = 2 * np.pi * np.outer(np.arange(angles // 2 + 1), np.arange(frequencies)) / angles
    # The series of a real curve has equal terms at m and -m; only m >= 0 is stored.
    both_signs = np.where(np.arange(frequencies) > 0, 2.0, 1.0)
    return (both_signs * np.cos(phase)).astype(np.float32), (both_signs * np.sin(phase)).astype(np.float32)
