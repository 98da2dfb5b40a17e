"""Spot patterns as Fourier series over the azimuth, shell by shell.

A pattern is a sum of spots, blurred by a Gaussian in azimuth: P(r, theta) = sum_m P[r, m] exp(i m theta). Turning a
template by phi multiplies its terms by exp(-i m phi), so the correlation over every phi at once is one product per
frequency, summed over the shells, and one inverse Fourier transform.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FREQUENCIES = 48
ANGLES = 192  # twice the Nyquist rate: the parabola between grid points then errs by less than 0.01 in Q
AZIMUTH_BLUR_DEG = 2.5  # the highest frequency still carries exp(-(47 * 2.5 deg)^2 / 2) = 0.12
SHELL = 0.04  # 1/angstrom; a spot is shared between the two nearest shells
RADIUS_POWER = 1.0
INTENSITY_POWER = 0.3

Terms = NDArray[np.complex64]


def unit_terms(
    qy: NDArray,  # type: ignore[type-arg]
    qx: NDArray,  # type: ignore[type-arg]
    weight: NDArray,  # type: ignore[type-arg]
    shells: int,
) -> Terms:
    """Fourier terms (pattern, shell, m) of norm one of spots (pattern, spot); spots without weight count for nothing.

    ``weight`` is that of a spot before the factor |q|^RADIUS_POWER.
    """
    out = np.zeros((len(qy), shells, FREQUENCIES), dtype=np.complex64)
    taper = np.exp(-((np.arange(FREQUENCIES) * np.radians(AZIMUTH_BLUR_DEG)) ** 2) / 2)
    _accumulate(out, np.asarray(qy, float), np.asarray(qx, float), np.asarray(weight, float), taper)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(out, qy, qx, weight, taper):  # type: ignore[no-untyped-def]
    n_patterns, n_shells, n_frequencies = out.shape
    for b in range(n_patterns):
        for p in range(qy.shape[1]):
            if not (weight[b, p] > 0):
                continue
            radius = np.sqrt(qy[b, p] ** 2 + qx[b, p] ** 2)
            place = radius / SHELL - 0.5
            shell = int(np.floor(place))
            if not radius > 0 or shell + 1 >= n_shells or shell < 0:
                continue
            part = place - shell
            value = complex(radius**RADIUS_POWER * weight[b, p], 0.0)
            step = complex(qx[b, p] / radius, -qy[b, p] / radius)
            for m in range(n_frequencies):
                out[b, shell, m] += (1 - part) * taper[m] * value
                out[b, shell + 1, m] += part * taper[m] * value
                value *= step
        norm = 0.0
        for shell in range(n_shells):
            for m in range(n_frequencies):
                square = out[b, shell, m].real ** 2 + out[b, shell, m].imag ** 2
                norm += square if m == 0 else 2 * square
        out[b] /= np.float32(max(np.sqrt(norm), 1e-12))


def turn_table(frequencies: int, angles: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines (angles / 2 + 1, frequencies) that sum a real series at angle k 360 / angles.

    The curve at angle k is cos[k] @ real - sin[k] @ imag, at angle -k the same with the other sign.
    """
    phase = 2 * np.pi * np.outer(np.arange(angles // 2 + 1), np.arange(frequencies)) / angles
    both_signs = np.where(np.arange(frequencies) > 0, 2.0, 1.0)
    return (both_signs * np.cos(phase)).astype(np.float32), (both_signs * np.sin(phase)).astype(np.float32)
