"""Compiled kernels of the sampler of phase domains: one sweep of Gibbs sampling under a blur.

A pixel's change of phase is felt by all pixels that see it through the probe. Their chi-square is a ratio of two forms
in the content, so its change follows from three running sums per pixel in a few operations per phase.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIAGONAL = 0.7  # a diagonal neighbour's weight


class GibbsState(NamedTuple):
    """What the kernels work on; all maps (y, x, ..), zero where there is no material."""

    label: NDArray[np.int8]
    material: NDArray[np.bool_]
    gram: NDArray[np.float32]
    overlap: NDArray[np.float32]
    widening: NDArray[np.float32]  # what chi-square is divided by
    thickness: NDArray[np.float32]
    seen: NDArray[np.float32]  # sum of the thickness under the probe
    pull: NDArray[np.float32]  # gram @ content
    size: NDArray[np.float32]  # content @ gram @ content
    along: NDArray[np.float32]  # content @ overlap


@njit(cache=True, error_model="numpy", nogil=True)
def gibbs_sweep(
    state: Any, kernel: Any, adjacent: Any, near: float, far: float, uniform: Any, probability: Any, slopes: Any
) -> None:  # pragma: no cover  (compiled)
    """Draw every pixel's phase anew, given all others; add its conditional probabilities to ``probability``."""
    n_y, n_x, n = state.overlap.shape
    n_near, n_far, energy = np.empty(n), np.empty(n), np.empty(n)
    for y in range(n_y):
        for x in range(n_x):
            if not state.material[y, x]:
                continue
            old = state.label[y, x]
            _count_unlike(state, adjacent, y, x, n_near, n_far)
            _add_slopes(n_near, n_far, near, far, old, energy, slopes)
            for r in range(n):
                energy[r] = -near * n_near[r] - far * n_far[r]
            _add_likelihood(state, kernel, y, x, energy)
            new = _choose(energy, uniform[y, x])
            for r in range(n):
                probability[y, x, r] += energy[r]
            if new != old:
                state.label[y, x] = new
                _move(state, kernel, y, x, old, new)


@njit(cache=True, error_model="numpy")
def _choose(energy: Any, uniform: float) -> int:  # pragma: no cover
    """Turn log weights into probabilities, in place, and draw one."""
    highest = energy.max()
    total = 0.0
    for r in range(energy.size):
        energy[r] = np.exp(energy[r] - highest)
        total += energy[r]
    for r in range(energy.size):
        energy[r] /= total
    left, new = uniform, 0
    while left > energy[new] and new < energy.size - 1:
        left -= energy[new]
        new += 1
    return new


@njit(cache=True, error_model="numpy")
def _count_unlike(state: Any, adjacent: Any, y: int, x: int, n_near: Any, n_far: Any) -> None:  # pragma: no cover
    """Weight of the eight neighbours that would be unlike, next on the path or farther, for every phase."""
    n_y, n_x = state.label.shape
    n_near[:] = 0.0
    n_far[:] = 0.0
    for yy in range(max(y - 1, 0), min(y + 2, n_y)):
        for xx in range(max(x - 1, 0), min(x + 2, n_x)):
            if (yy == y and xx == x) or not state.material[yy, xx]:
                continue
            weight = 1.0 if yy == y or xx == x else _DIAGONAL
            other = state.label[yy, xx]
            for r in range(n_near.size):
                if r != other:
                    if adjacent[r, other]:
                        n_near[r] += weight
                    else:
                        n_far[r] += weight


@njit(cache=True, error_model="numpy")
def _add_slopes(
    n_near: Any, n_far: Any, near: float, far: float, old: int, work: Any, slopes: Any
) -> None:  # pragma: no cover
    """Gradient and curvature of the log pseudo-likelihood of this pixel's label in the two costs."""
    lowest = np.inf
    for r in range(n_near.size):
        work[r] = near * n_near[r] + far * n_far[r]
        lowest = min(lowest, work[r])
    total, one, two, oneone, twotwo, onetwo = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for r in range(n_near.size):
        weight = np.exp(lowest - work[r])
        total += weight
        one += weight * n_near[r]
        two += weight * n_far[r]
        oneone += weight * n_near[r] ** 2
        twotwo += weight * n_far[r] ** 2
        onetwo += weight * n_near[r] * n_far[r]
    one, two = one / total, two / total
    slopes[0] += one - n_near[old]
    slopes[1] += two - n_far[old]
    slopes[2] += oneone / total - one * one
    slopes[3] += twotwo / total - two * two
    slopes[4] += onetwo / total - one * two


@njit(cache=True, error_model="numpy")
def _add_likelihood(state: Any, kernel: Any, y: int, x: int, energy: Any) -> None:  # pragma: no cover
    """Add what each phase of this pixel would gain in the log likelihood of all pixels that see it."""
    n_y, n_x = state.size.shape
    reach = kernel.shape[0] // 2
    old = state.label[y, x]
    gram, overlap, pull = state.gram, state.overlap, state.pull
    for yy in range(max(y - reach, 0), min(y + reach + 1, n_y)):
        for xx in range(max(x - reach, 0), min(x + reach + 1, n_x)):
            if not state.material[yy, xx]:
                continue
            k = kernel[yy - y + reach, xx - x + reach] * state.thickness[y, x] / state.seen[yy, xx]
            size, along = state.size[yy, xx], state.along[yy, xx]
            before = max(along, 0.0) ** 2 / max(size, 1e-12)
            half = 0.5 / state.widening[yy, xx]
            for r in range(energy.size):
                if r != old:
                    new_size = size + 2 * k * (pull[yy, xx, r] - pull[yy, xx, old])
                    new_size += k * k * (gram[yy, xx, r, r] + gram[yy, xx, old, old] - 2 * gram[yy, xx, r, old])
                    new_along = max(along + k * (overlap[yy, xx, r] - overlap[yy, xx, old]), 0.0)
                    energy[r] += half * (new_along**2 / max(new_size, 1e-12) - before)


@njit(cache=True, error_model="numpy")
def _move(state: Any, kernel: Any, y: int, x: int, old: int, new: int) -> None:  # pragma: no cover
    """Running sums of all pixels that see this one, after its phase has changed."""
    n_y, n_x = state.size.shape
    reach = kernel.shape[0] // 2
    gram, overlap, pull = state.gram, state.overlap, state.pull
    for yy in range(max(y - reach, 0), min(y + reach + 1, n_y)):
        for xx in range(max(x - reach, 0), min(x + reach + 1, n_x)):
            if not state.material[yy, xx]:
                continue
            k = kernel[yy - y + reach, xx - x + reach] * state.thickness[y, x] / state.seen[yy, xx]
            state.size[yy, xx] += 2 * k * (pull[yy, xx, new] - pull[yy, xx, old])
            state.size[yy, xx] += k * k * (gram[yy, xx, new, new] + gram[yy, xx, old, old] - 2 * gram[yy, xx, new, old])
            state.along[yy, xx] += k * (overlap[yy, xx, new] - overlap[yy, xx, old])
            for r in range(pull.shape[2]):
                pull[yy, xx, r] += k * (gram[yy, xx, r, new] - gram[yy, xx, r, old])
