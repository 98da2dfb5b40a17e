"""How sharp the maximum of the score is, and what that says about the orientation."""

import numpy as np
from numba import njit

from .kernels import score, turned


@njit(cache=True, nogil=True, error_model="numpy")
def sharpness(near, spots, quaternion, step):  # type: ignore[no-untyped-def]
    """Minus the Hessian of the score with respect to a rotation vector (3, 3) [1/radian^2], by differences."""
    hessian = np.zeros((3, 3))
    for i in range(3):
        for j in range(i + 1):
            total = 0.0
            for a in (-1.0, 1.0):
                for b in (-1.0, 1.0):
                    shift = np.zeros(3)
                    shift[i] += a * step
                    shift[j] += b * step
                    total += a * b * score(near, spots, turned(quaternion, shift), spots.blur, 0.0)
            hessian[i, j] = hessian[j, i] = -total / (4 * step * step)
    return hessian


@njit(cache=True, nogil=True, error_model="numpy")
def uncertainty(near, spots, quaternion, best):  # type: ignore[no-untyped-def]
    """Standard deviation of the orientation [degrees]; NaN where some direction is not determined."""
    hessian = sharpness(near, spots, quaternion, np.radians(0.15))
    freedom = len(spots.y) - 1.5
    if freedom <= 0 or np.linalg.eigvalsh(hessian).min() <= 0:
        return np.nan
    covariance = np.linalg.inv(hessian) * ((1 - best) / freedom)
    return np.degrees(np.sqrt(covariance[0, 0] + covariance[1, 1] + covariance[2, 2]))
