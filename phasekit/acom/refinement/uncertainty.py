"""Uncertainty of an orientation, from the curvature of the score at its maximum."""

import numpy as np
from numba import njit

from .kernels import Array, ExcitedReflections, Spots, rotate_orientation
from .score import compute_score

_STEP_DEG = 0.15  # of the differences: small against the width of the maximum, large against rounding


@njit(cache=True, nogil=True, error_model="numpy")
def compute_curvature(excited: ExcitedReflections, spots: Spots, quaternion: Array, step: float) -> Array:
    r"""Minus the Hessian of the score with respect to a rotation vector (3, 3) [1/radian^2], by central differences.

    .. math:: H_{ij} = -\frac{1}{4 h^2} \sum_{a, b = \pm 1} a\, b\; Q(a h\, e_i + b h\, e_j)

    ``quaternion`` (4,) is the orientation of the maximum, and ``step`` is h [radian].
    """
    hessian = np.zeros((3, 3))
    for i in range(3):
        for j in range(i + 1):
            total = 0.0
            # On the diagonal the same formula gives the second difference over two steps.
            for a in (-1.0, 1.0):
                for b in (-1.0, 1.0):
                    shift = np.zeros(3)
                    shift[i] += a * step
                    shift[j] += b * step
                    total += (
                        a
                        * b
                        * compute_score(
                            excited, spots, rotate_orientation(quaternion, shift), spots.position_tolerance, 0.0
                        )
                    )
            hessian[i, j] = hessian[j, i] = -total / (4 * step * step)
    return hessian


@njit(cache=True, nogil=True, error_model="numpy")
def estimate_uncertainty(excited: ExcitedReflections, spots: Spots, quaternion: Array, best: float) -> float:
    r"""Standard deviation of the orientation [degree]; NaN where the score is flat in some direction.

    The squared distance of the two unit vectors of peaks and spots is :math:`2 (1 - Q)`. The n peaks give 2 n numbers,
    and the orientation takes 3. Hence the covariance of the rotation vector is

    .. math:: C = \frac{1 - Q}{n - 3/2}\, H^{-1}, \qquad \sigma = \sqrt{\mathrm{tr}\, C}

    ``quaternion`` (4,) is the orientation of the maximum, and ``best`` its score Q.
    """
    hessian = compute_curvature(excited, spots, quaternion, np.radians(_STEP_DEG))
    # Half of the 2 n - 3 degrees of freedom: the factor 2 of the squared distance cancels.
    freedom = len(spots.y) - 1.5
    # A saddle or a flat direction is no maximum, and has no uncertainty.
    if freedom <= 0 or np.linalg.eigvalsh(hessian).min() <= 0:
        return np.nan
    covariance = np.linalg.inv(hessian) * ((1 - best) / freedom)
    return np.degrees(np.sqrt(covariance[0, 0] + covariance[1, 1] + covariance[2, 2]))
