"""Compiled kernels of refinement: spots of an orientation, and their correlation with the peaks of a pattern."""

import numpy as np
from numba import njit

from .kernels import Array, ExcitedReflections, Real, Spots, make_rotation_matrix


@njit(cache=True, nogil=True, forceinline=True, fastmath=True, error_model="numpy")
def compute_intensities(excited: ExcitedReflections, r: Array, out_x: Real, out_y: Real, out: Real) -> np.float32:
    r"""Write the in-plane positions and the kinematic intensities of the reflections; return the summed intensity.

    The rocking curve of a foil is taken as a Lorentzian in the excitation error s. For the thickness t its half width
    is :math:`w = 1 / (\pi t)`. Precession by the angle :math:`\alpha` changes s by :math:`\pm A`, with
    :math:`A = |g_{xy}| \sin\alpha`. The mean over the precession cone is

    .. math:: \frac{I}{|F|^2} = w\, \mathrm{Re} \frac{1}{\sqrt{Z}}, \qquad Z = (w + i s)^2 + A^2

    In real numbers it is :math:`w \sqrt{(|Z| + \mathrm{Re} Z) / 2}\, / |Z|`. See ``diffraction.precessed_shape``.

    Parameters
    ----------
    excited
        Reflections.
    r
        Rotation matrix of the orientation (3, 3).
    out_x, out_y
        Written: positions (reflection,), float32 [1/angstrom].
    out
        Written: intensities (reflection,), float32 [angstrom^2].
    """
    # All numbers are single precision: one double would turn the whole loop into double precision.
    m = r.astype(np.float32)
    xx, xy, xz, yx, yy, yz, zx, zy, zz = m[0, 0], m[0, 1], m[0, 2], m[1, 0], m[1, 1], m[1, 2], m[2, 0], m[2, 1], m[2, 2]
    square, half_wave = np.float32(excited.half_width**2), np.float32(excited.wavelength / 2)
    swing, half, root = np.float32(excited.tilt**2), np.float32(0.5), np.float32(excited.half_width)
    four, none, total = np.float32(4.0), np.float32(0.0), np.float32(0.0)
    a, b, c, strength = excited.x, excited.y, excited.z, excited.strength
    # One array is written per loop: with more the compiler gives up on vector instructions (aliasing).
    for k in range(len(a)):
        out_x[k] = a[k] * xx + b[k] * yx + c[k] * zx
    for k in range(len(a)):
        out_y[k] = a[k] * xy + b[k] * yy + c[k] * zy
    for k in range(len(a)):
        z = a[k] * xz + b[k] * yz + c[k] * zz
        flat = out_x[k] * out_x[k] + out_y[k] * out_y[k]
        s = z + half_wave * (flat + z * z)
        s = s * s
        # Real part of Z and, with the imaginary part 2 w s, its modulus.
        real = square - s + flat * swing
        size = np.sqrt(real * real + four * square * s)
        value = strength[k] * root * np.sqrt(half * max(size + real, none)) / size
        out[k] = value
        total += value
    return total


@njit(cache=True, nogil=True, forceinline=True, fastmath=True, error_model="numpy")
def compute_weights(x: Real, y: Real, intensity: Real, total: np.float32, floor: float, power: float) -> np.float32:
    r"""Replace intensities by weights of predicted spots; return the sum of their squares.

    With the fraction s of the summed intensity, and the fraction f of the pattern's weakest peak, the weight is

    .. math:: |g|\, s^p\, \frac{s}{s + f}

    so that the absence of a spot below the detection limit costs little. Spots with s < f / 10 get weight 0.

    Parameters
    ----------
    x, y
        Positions (reflection,), float32 [1/angstrom].
    intensity
        Intensities (reflection,), float32; overwritten by the weights.
    total
        Sum of the intensities.
    floor
        f of the pattern.
    power
        p, the power of the intensity.
    """
    n, per_total, least = len(x), np.float32(1.0 / total), np.float32(0.1 * floor)
    limit, zero = np.float32(floor), np.float32(0.0)
    if power == 0.5:  # a loop without a general power is compiled to vector instructions
        for k in range(n):
            fraction = intensity[k] * per_total
            weight = np.sqrt((x[k] * x[k] + y[k] * y[k]) * fraction) * fraction / (fraction + limit)
            intensity[k] = weight if fraction > least else zero
    else:
        for k in range(n):
            fraction = intensity[k] * per_total
            weight = np.sqrt(x[k] * x[k] + y[k] * y[k]) * fraction**power * fraction / (fraction + limit)
            intensity[k] = weight if fraction > least else zero
    # The sum is a loop of its own, so that both loops are vectorised.
    squares = zero
    for k in range(n):
        squares += intensity[k] * intensity[k]
    return squares


@njit(cache=True, nogil=True, error_model="numpy")
def compute_score(
    excited: ExcitedReflections, spots: Spots, quaternion: Array, position_tolerance: float, extra_tilt: float
) -> float:
    r"""Correlation index of the predicted spots k and the peaks p, both as Gaussians in the plane.

    Two Gaussians of standard deviation :math:`\sigma` at the distance d overlap by :math:`e^{-d^2 / 4 \sigma^2}`:

    .. math::
        Q = \frac{\sum_{kp} w_k w_p\, e^{-|x_k - x_p|^2 / 4 \sigma^2}}{\sqrt{\sum_k w_k^2 \sum_p w_p^2}}

    Parameters
    ----------
    excited
        Reflections near the orientation.
    spots
        Peaks of the pattern.
    quaternion
        Orientation (4,).
    position_tolerance
        :math:`\sigma` [1/angstrom].
    extra_tilt
        Sine of a rocking angle added to the precession. The first, wide steps of a refinement need it.
    """
    if extra_tilt > 0:
        # Independent rocking angles add in squares.
        tilt = np.sqrt(excited.tilt**2 + extra_tilt**2)
        excited = ExcitedReflections(
            excited.x,
            excited.y,
            excited.z,
            excited.strength,
            excited.pairs,
            excited.scratch,
            excited.wavelength,
            excited.half_width,
            tilt,
        )
    x, y, weight = excited.scratch[0], excited.scratch[1], excited.scratch[2]
    total = compute_intensities(excited, make_rotation_matrix(quaternion), x, y, weight)
    if not total > 0:
        return 0.0
    squares = compute_weights(x, y, weight, total, spots.floor, spots.power)
    shared, limit, decay = 0.0, 36 * position_tolerance**2, -1 / (4 * position_tolerance**2)
    pairs, spot_y, spot_x, spot_weight = excited.pairs, spots.y, spots.x, spots.weight
    for n in range(len(pairs)):
        k, p = pairs[n, 0], pairs[n, 1]
        # Most pairs end here or at the next test, before the exponential.
        if weight[k] > 0:
            square_distance = (y[k] - spot_y[p]) ** 2 + (x[k] - spot_x[p]) ** 2
            if square_distance < limit:
                shared += weight[k] * spot_weight[p] * np.exp(square_distance * decay)
    return shared / np.sqrt(squares * spots.square) if squares * spots.square > 0 else 0.0
