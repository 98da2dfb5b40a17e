r"""Lengths of boundaries in label maps, by counting crossings with straight lines.

The formula of Cauchy and Crofton gives the length of a curve from the number :math:`n(\theta, p)` of its crossings with
the lines of direction :math:`\theta` and offset :math:`p`:

.. math:: L = \frac12 \int_0^\pi \int n(\theta, p)\, dp\, d\theta

Steps of pixels make a sum over pixel edges too long. Counted crossings do not depend on them. Source: Boykov and
Kolmogorov (2003).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Labels = NDArray[np.int32]
#: steps (y, x) of eight families of lines: along the axes, the diagonals, and two pixels by one
LINE_FAMILIES = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (1, -2), (2, 1), (2, -1))


def compute_line_weights(steps: tuple[float, float]) -> Array:
    r"""Length (family,) [nm] that one crossing with each family of lines stands for.

    A family with step :math:`e` has lines of spacing :math:`A / |e|`, with the area :math:`A` of a pixel. It stands for
    half the angle to the family before plus half of that behind it:

    .. math:: w = \frac{A\, \Delta\theta}{2 |e|}
    """
    vectors = np.array(LINE_FAMILIES) * np.array(steps)
    angle = np.arctan2(vectors[:, 0], vectors[:, 1]) % np.pi
    order = np.argsort(angle)
    gap = np.diff(angle[order], append=angle[order][0] + np.pi)
    # angle [rad] that each family stands for, in the order of the families
    share = np.empty(len(angle))
    share[order] = 0.5 * (gap + np.roll(gap, 1))
    return np.asarray(steps[0] * steps[1] * share / (2 * np.hypot(*vectors.T)))


def _iterate_line_elements(shape: tuple[int, int]) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield both ends of every line element of each family, as slices of a map of this shape."""
    for y, x in LINE_FAMILIES:
        rows = slice(0, max(shape[0] - y, 0)), slice(y, None)
        left, right = slice(0, max(shape[1] - abs(x), 0)), slice(abs(x), None)
        yield (rows[0], left if x >= 0 else right), (rows[1], right if x >= 0 else left)


def measure_outlines(particle: Labels, steps: tuple[float, float], n: int) -> tuple[Array, Array]:
    """Perimeter (particle,) of ``n`` particles inside the frame, and the part of it in contact with others [nm]."""
    perimeter, contact = np.zeros(n), np.zeros(n)
    for weight, (one, other) in zip(compute_line_weights(steps), _iterate_line_elements(particle.shape), strict=True):
        first, second = particle[one], particle[other]
        across = first != second  # the line element crosses an outline
        first, second = first[across], second[across]
        shared = (first >= 0) & (second >= 0)
        for side in (first, second):
            perimeter += weight * np.bincount(side[side >= 0], minlength=n)
            contact += weight * np.bincount(side[shared], minlength=n)
    return perimeter, contact


def measure_boundaries(phase: Labels, particle: Labels, steps: tuple[float, float], shape: tuple[int, int]) -> Array:
    """Length (particle, phase, phase) [nm] of the boundaries between two phases of one particle, symmetric.

    A line element half outside counts half, with the phase of the nearest pixel inside at its outer end. Without it a
    boundary that ends on the surface would lose half a pixel there. ``shape`` are the numbers of particles and phases.
    """
    n, k = shape
    length = np.zeros(n * k * k)
    inside = (phase >= 0) & (particle >= 0)
    if not inside.any():
        return length.reshape(n, k, k)
    # beyond the surface the phase of the nearest pixel inside goes on
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    near_phase, near_particle = phase[tuple(nearest)], particle[tuple(nearest)]
    for weight, (one, other) in zip(compute_line_weights(steps), _iterate_line_elements(phase.shape), strict=True):
        across = (near_phase[one] != near_phase[other]) & (near_particle[one] == near_particle[other])
        ends = 0.5 * inside[one][across] + 0.5 * inside[other][across]
        # particle and the two phases make one number, which is counted at once
        code = (near_particle[one][across].astype(np.int64) * k + near_phase[one][across]) * k + near_phase[other][
            across
        ]
        length += weight * np.bincount(code, weights=ends, minlength=length.size)
    matrix = length.reshape(n, k, k)  # each crossing was counted in one direction
    return matrix + matrix.transpose(0, 2, 1)
