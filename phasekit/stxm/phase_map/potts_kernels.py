r"""Compiled kernels of the sampler of phase maps: one sweep of Gibbs sampling under a blur.

A pixel :math:`i` of phase :math:`a` that takes phase :math:`b` changes the mixture of every pixel :math:`j` that sees
it through the probe: :math:`m_j \to m_j + \kappa (e_b - e_a)` with :math:`\kappa = k_{ij} t_i / s_j`. Chi-square is a
ratio of two forms in :math:`m_j` (:mod:`.sufficient_statistics`). Their new values follow from three running sums:

.. math::

    p_j m_j &\to p_j m_j + \kappa (p_{jb} - p_{ja}) \\
    m_j^\top N_j m_j &\to m_j^\top N_j m_j + 2 \kappa (g_{jb} - g_{ja}) + \kappa^2 (N_{bb} + N_{aa} - 2 N_{ab}),
    \quad g_j = N_j m_j

So a change is judged in a few operations per phase, without the spectra.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .mixture_field import MixtureField

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
_DIAGONAL = 0.7  # weight of a diagonal neighbour


class GibbsState(NamedTuple):
    """Maps (y, x, ..) that the kernels read and change; 0 where there is no material. Chi-square has no unit."""

    label: NDArray[np.int8]  # (y, x), template of each pixel; behind the templates: the mixture of ``field``
    material: NDArray[np.bool_]  # (y, x)
    normal_matrix: Float32  # (y, x, template, template), N
    template_projection: Float32  # (y, x, template), p
    noise_scale: Float32  # (y, x), what chi-square is divided by
    thickness: Float32  # (y, x), t, in amounts of the references
    field: MixtureField  # (y, x), what the last label stands for
    psf_thickness: Float32  # (y, x), s, thickness averaged over the probe
    gram_mix: Float32  # (y, x, template), N m
    model_norm: Float32  # (y, x), m N m
    projection: Float32  # (y, x), p m


@njit(cache=True, error_model="numpy", nogil=True)
def gibbs_sweep(
    state: GibbsState,
    kernel: Float32,
    is_adjacent: NDArray[np.bool_],
    near: float,
    far: float,
    uniform: Float32,
    probability: Float32,
    slopes: Float64,
) -> None:  # pragma: no cover  (compiled)
    r"""Draw the label of every pixel anew, given all others.

    The label :math:`r` of pixel :math:`i` is drawn from its Gibbs conditional

    .. math::

        P(z_i = r \mid z_{-i}, x) \propto
        \exp\Bigl(-\beta_1 n_1(r) - \beta_2 n_2(r) - c_i(r) - \tfrac12 \sum_j \chi^2_j(z_i = r) / v_j\Bigr)

    with the weights :math:`n_1, n_2` of unlike neighbours that are adjacent in composition or not, the cost
    :math:`c_i` of a mixture (0 for a phase), and the noise scale :math:`v_j` of the pixels that see it.

    Parameters
    ----------
    state
        Changed in place.
    kernel
        Probe (2 reach + 1, 2 reach + 1), sum 1.
    is_adjacent
        Labels (label, label), the templates and then the mixture, that are next to each other in composition.
    near, far
        Costs :math:`\beta_1, \beta_2` of unlike neighbours [nat].
    uniform
        Random numbers (y, x) in [0, 1).
    probability
        (y, x, label); the conditional probabilities are added.
    slopes
        (5,), gradient (near, far) and curvature (near-near, far-far, near-far) of the log pseudo-likelihood [1/nat,
        1/nat2]; those of this sweep are added.
    """
    n_y, n_x, n = probability.shape
    n_near, n_far, energy = np.empty(n), np.empty(n), np.empty(n)
    for y in range(n_y):
        for x in range(n_x):
            if not state.material[y, x]:
                continue
            old = state.label[y, x]
            _count_unlike(state, is_adjacent, y, x, n_near, n_far)
            _add_slopes(n_near, n_far, near, far, old, energy, slopes)
            for r in range(n):
                energy[r] = -near * n_near[r] - far * n_far[r]
            if n > state.template_projection.shape[2]:
                energy[n - 1] -= state.field.cost[y, x]
            _add_likelihood(state, kernel, y, x, energy)
            new = _draw_phase(energy, uniform[y, x])
            for r in range(n):
                probability[y, x, r] += energy[r]
            if new != old:
                state.label[y, x] = new
                _update_sums(state, kernel, y, x, old, new)


@njit(cache=True, error_model="numpy")
def _draw_phase(energy: Float64, uniform: float) -> int:  # pragma: no cover
    """Turn log weights (template,) [nat] into probabilities, in place, and draw one template."""
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
def _count_unlike(
    state: GibbsState, is_adjacent: NDArray[np.bool_], y: int, x: int, n_near: Float64, n_far: Float64
) -> None:  # pragma: no cover
    """Set the weight (template,) of the eight neighbours that would be unlike: adjacent in composition, and others."""
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
                    if is_adjacent[r, other]:
                        n_near[r] += weight
                    else:
                        n_far[r] += weight


@njit(cache=True, error_model="numpy")
def _add_slopes(
    n_near: Float64, n_far: Float64, near: float, far: float, old: int, work: Float64, slopes: Float64
) -> None:  # pragma: no cover
    r"""Add gradient and curvature of the log pseudo-likelihood of this pixel's template in the two costs.

    With :math:`\langle\cdot\rangle` over the prior conditional, the gradient is :math:`\langle n \rangle - n(z_i)` and
    the curvature the covariance of :math:`n_1, n_2`. ``work`` (template,) is scratch space.
    """
    lowest = np.inf
    for r in range(n_near.size):
        work[r] = near * n_near[r] + far * n_far[r]
        lowest = min(lowest, work[r])
    total, mean_near, mean_far, near_near, far_far, near_far = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for r in range(n_near.size):
        weight = np.exp(lowest - work[r])
        total += weight
        mean_near += weight * n_near[r]
        mean_far += weight * n_far[r]
        near_near += weight * n_near[r] ** 2
        far_far += weight * n_far[r] ** 2
        near_far += weight * n_near[r] * n_far[r]
    mean_near, mean_far = mean_near / total, mean_far / total
    slopes[0] += mean_near - n_near[old]
    slopes[1] += mean_far - n_far[old]
    slopes[2] += near_near / total - mean_near * mean_near
    slopes[3] += far_far / total - mean_far * mean_far
    slopes[4] += near_far / total - mean_near * mean_far


@njit(cache=True, error_model="numpy")
def _compute_product(
    matrix: Float32, one: tuple[int, int, float], other: tuple[int, int, float]
) -> float:  # pragma: no cover
    """Product u N v at a pixel (template, template), of two labels as :func:`_read_label` gives them."""
    i, j, share = one
    k, m, part = other
    out = (1 - share) * (1 - part) * matrix[i, k] + (1 - share) * part * matrix[i, m]
    return out + share * (1 - part) * matrix[j, k] + share * part * matrix[j, m]


@njit(cache=True, error_model="numpy")
def _read_label(state: GibbsState, y: int, x: int, label: int) -> tuple[int, int, float]:  # pragma: no cover
    """What a label stands for in a pixel: two templates and the share of the second; a phase is one template."""
    if label < state.template_projection.shape[2]:
        return label, label, 0.0
    return state.field.first[y, x], state.field.second[y, x], state.field.share[y, x]


@njit(cache=True, error_model="numpy")
def _mix(values: Float32, label: tuple[int, int, float]) -> float:  # pragma: no cover
    """Value of a label where those of the templates (template,) are given."""
    first, second, share = label
    return (1 - share) * values[first] + share * values[second]


@njit(cache=True, error_model="numpy")
def _add_likelihood(state: GibbsState, kernel: Float32, y: int, x: int, energy: Float64) -> None:  # pragma: no cover
    """Add the change of the log likelihood [nat] of all pixels that see this one, for each of its labels."""
    n_y, n_x = state.model_norm.shape
    reach = kernel.shape[0] // 2
    old = state.label[y, x]
    was = _read_label(state, y, x, old)
    for yy in range(max(y - reach, 0), min(y + reach + 1, n_y)):
        for xx in range(max(x - reach, 0), min(x + reach + 1, n_x)):
            if not state.material[yy, xx]:
                continue
            k = kernel[yy - y + reach, xx - x + reach] * state.thickness[y, x] / state.psf_thickness[yy, xx]
            matrix, gram_mix = state.normal_matrix[yy, xx], state.gram_mix[yy, xx]
            template_projection = state.template_projection[yy, xx]
            norm, projection = state.model_norm[yy, xx], state.projection[yy, xx]
            before = max(projection, 0.0) ** 2 / max(norm, 1e-12)
            half = 0.5 / state.noise_scale[yy, xx]
            old_gram, old_projection = _mix(gram_mix, was), _mix(template_projection, was)
            old_norm = _compute_product(matrix, was, was)
            for r in range(energy.size):
                if r != old:
                    now = _read_label(state, y, x, r)
                    square = _compute_product(matrix, now, now) + old_norm - 2 * _compute_product(matrix, now, was)
                    new_norm = norm + 2 * k * (_mix(gram_mix, now) - old_gram) + k * k * square
                    new_projection = max(projection + k * (_mix(template_projection, now) - old_projection), 0.0)
                    energy[r] += half * (new_projection**2 / max(new_norm, 1e-12) - before)


@njit(cache=True, error_model="numpy")
def _update_sums(state: GibbsState, kernel: Float32, y: int, x: int, old: int, new: int) -> None:  # pragma: no cover
    """Update the running sums of all pixels that see this one, after its label has changed."""
    n_y, n_x = state.model_norm.shape
    reach = kernel.shape[0] // 2
    was, now = _read_label(state, y, x, old), _read_label(state, y, x, new)
    for yy in range(max(y - reach, 0), min(y + reach + 1, n_y)):
        for xx in range(max(x - reach, 0), min(x + reach + 1, n_x)):
            if not state.material[yy, xx]:
                continue
            k = kernel[yy - y + reach, xx - x + reach] * state.thickness[y, x] / state.psf_thickness[yy, xx]
            matrix, gram_mix = state.normal_matrix[yy, xx], state.gram_mix[yy, xx]
            template_projection = state.template_projection[yy, xx]
            square = _compute_product(matrix, now, now) + _compute_product(matrix, was, was)
            square -= 2 * _compute_product(matrix, now, was)
            state.model_norm[yy, xx] += 2 * k * (_mix(gram_mix, now) - _mix(gram_mix, was)) + k * k * square
            state.projection[yy, xx] += k * (_mix(template_projection, now) - _mix(template_projection, was))
            for r in range(gram_mix.size):
                gram_mix[r] += k * (_mix(matrix[r], now) - _mix(matrix[r], was))
