"""Spot patterns as Fourier series over the azimuth, shell by shell, and their correlation over all in-plane angles.

A pattern is a sum of spots, blurred by a Gaussian in azimuth: P(r, theta) = sum_m P[r, m] exp(i m theta). Turning a
template by phi multiplies its terms by exp(-i m phi), so the correlation over every phi at once is one product per
frequency, summed over the shells (a matrix product over all patterns and templates), and one inverse FFT.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

FREQUENCIES = 48
ANGLES = 192  # twice the Nyquist rate: the parabola between grid points then errs by less than 0.01 in Q
AZIMUTH_BLUR_DEG = 2.5  # the highest frequency still carries exp(-(47 * 2.5 deg)^2 / 2) = 0.12
SHELL = 0.04  # 1/angstrom; a spot is shared between the two nearest shells
RADIUS_POWER = 1.0
INTENSITY_POWER = 0.3


def make_terms(
    qy: NDArray,  # type: ignore[type-arg]
    qx: NDArray,  # type: ignore[type-arg]
    intensity: NDArray,  # type: ignore[type-arg]
    shells: int,
) -> NDArray[np.float32]:
    """Terms (m, shell, 2 n) = [real | imaginary] of templates (n, spot), each template of norm one."""
    terms, norm = coefficients(qy, qx, intensity, shells)
    terms /= np.maximum(norm, 1e-12)[:, None, None]
    return np.ascontiguousarray(np.concatenate([terms.real, terms.imag], axis=0).transpose(1, 2, 0))


def coefficients(
    qy: NDArray,  # type: ignore[type-arg]
    qx: NDArray,  # type: ignore[type-arg]
    intensity: NDArray,  # type: ignore[type-arg]
    shells: int,
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Fourier terms (pattern, m, shell) and norms (pattern,) of spots (pattern, spot); NaN spots count for nothing."""
    out = np.zeros((len(qy), FREQUENCIES, shells), dtype=np.complex64)
    m = np.arange(FREQUENCIES)
    taper = np.exp(-((m * np.radians(AZIMUTH_BLUR_DEG)) ** 2) / 2)
    _accumulate(out, np.asarray(qy, float), np.asarray(qx, float), np.asarray(intensity, float), taper)
    power: NDArray[np.float64] = (np.abs(out) ** 2).sum(axis=2, dtype=np.float64)
    return out, np.sqrt(power[:, 0] + 2 * power[:, 1:].sum(axis=1)).astype(np.float32)


@njit(cache=True)
def _accumulate(out, qy, qx, intensity, taper):  # type: ignore[no-untyped-def]
    n_patterns, n_frequencies, n_shells = out.shape
    for b in range(n_patterns):
        for p in range(qy.shape[1]):
            if not (intensity[b, p] > 0):
                continue
            radius = np.sqrt(qy[b, p] ** 2 + qx[b, p] ** 2)
            place = radius / SHELL - 0.5
            shell = int(np.floor(place))
            if not radius > 0 or shell + 1 >= n_shells or shell < 0:
                continue
            part = place - shell
            weight = radius**RADIUS_POWER * intensity[b, p] ** INTENSITY_POWER
            step = complex(qx[b, p] / radius, -qy[b, p] / radius)
            turn = complex(1.0, 0.0)
            for m in range(n_frequencies):
                value = weight * taper[m] * turn
                out[b, m, shell] += (1 - part) * value
                out[b, m, shell + 1] += part * value
                turn *= step


def correlate(terms: NDArray[np.complex64], bank: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation (angle, pattern, 2 n): templates as they are, then mirrored in y; angle k turns by k 360 / ANGLES.

    One real product of [real; imaginary] patterns with [real | imaginary] templates gives both.
    """
    stacked = np.concatenate([terms.real, terms.imag], axis=0).transpose(1, 0, 2)
    spectrum = np.empty((FREQUENCIES, len(terms), bank.shape[2]), dtype=np.complex64)
    _combine(np.matmul(np.ascontiguousarray(stacked), bank), spectrum)
    curves: NDArray[np.float32] = fft.irfft(spectrum, n=ANGLES, axis=0, overwrite_x=True)
    return curves


@njit(cache=True)
def _combine(product, spectrum):  # type: ignore[no-untyped-def]
    """P conj(T) and P T from the four products of real and imaginary parts; scaled for an inverse FFT without 1 / n."""
    n_frequencies, count, double = spectrum.shape
    n = double // 2
    for m in range(n_frequencies):
        for b in range(count):
            real, imag, out = product[m, b], product[m, count + b], spectrum[m, b]
            for t in range(n):
                rr, ri, ir, ii = real[t], real[n + t], imag[t], imag[n + t]
                out[t] = np.float32(ANGLES) * complex(rr + ii, ir - ri)
                out[n + t] = np.float32(ANGLES) * complex(rr - ii, ir + ri)
