"""State of the sampler of phase maps: made from the spectra, kept in step with its labels, and its log posterior."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .mixture_field import MixtureField, fit_mixture_field, make_shares
from .potts_kernels import GibbsState
from .sufficient_statistics import SufficientStatistics, compute_mixture_chi_square, compute_single_chi_square

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]
_REACH = 2  # pixels on each side that the blur is followed
#: right, lower and diagonal neighbours (dy, dx, weight); with their opposites these are the eight of a pixel
_NEIGHBOURS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.7), (1, -1, 0.7))
#: changed by sweeps; the other parts are shared between chains
_CHANGED = ("label", "psf_thickness", "gram_mix", "model_norm", "projection")


def initialise_state(statistics: SufficientStatistics, noise_scale: Array, pairs: NDArray[np.intp]) -> GibbsState:
    """State at the most probable label of each pixel by its own spectrum, smoothed once over 3 x 3 pixels."""
    material: Flags = np.isfinite(statistics.weighted_norm)
    normal_matrix = np.where(material[..., None, None], statistics.normal_matrix, 0.0).astype(np.float32)
    projection = np.where(material[..., None], statistics.template_projection, 0.0).astype(np.float32)
    scale = np.where(material, noise_scale, 1.0).astype(np.float32)
    thickness = _estimate_thickness(normal_matrix, projection, material)
    field = fit_mixture_field(statistics, pairs, scale, thickness)
    log_likelihood = _compute_label_likelihood(statistics, scale, field, is_mixed(pairs))
    # the floor keeps a phase possible that one noisy spectrum excludes
    relative = log_likelihood - log_likelihood.max(axis=-1, keepdims=True)
    likelihood = np.exp(np.maximum(relative, -30.0)) * material[..., None]
    smooth = np.stack([ndimage.uniform_filter(image, 3) for image in np.moveaxis(likelihood, -1, 0)], axis=-1)
    label = (np.log(np.maximum(smooth, 1e-12)) + 0.5 * log_likelihood).argmax(axis=-1).astype(np.int8)
    running_sums = [np.zeros_like(part) for part in (scale, projection, scale, scale)]
    return GibbsState(label, material, normal_matrix, projection, scale, thickness, field, *running_sums)


def is_mixed(pairs: NDArray[np.intp]) -> bool:
    """Whether there is a mixture among the labels: a lone reference does not mix."""
    return bool((pairs[:, 0] != pairs[:, 1]).any())


def _compute_label_likelihood(
    statistics: SufficientStatistics, noise_scale: Array, field: MixtureField, has_mixture: bool
) -> Array:
    """Log likelihood (y, x, label) [nat] of every label by the pixel's own spectrum, 0 where there is no material."""
    chi_square = compute_single_chi_square(statistics)
    if has_mixture:
        shares = make_shares(field, chi_square.shape[-1])
        mixed = compute_mixture_chi_square(statistics, shares) + 2 * field.cost * noise_scale
        chi_square = np.concatenate([chi_square, mixed[..., None]], axis=-1)
    return np.asarray(np.nan_to_num(-0.5 * chi_square / noise_scale[..., None]))


def _estimate_thickness(
    normal_matrix: NDArray[np.float32], projection: NDArray[np.float32], material: Flags
) -> NDArray[np.float32]:
    """Thickness (y, x) from the fit with the mean of all templates, smoothed; positive wherever there is material."""
    total = np.maximum(normal_matrix.mean(axis=(-1, -2)), 1e-12)
    amount = np.maximum(projection.mean(axis=-1) / total, 0.0) * material
    around = ndimage.gaussian_filter(material.astype(np.float32), 1.0)
    thickness = np.where(material, ndimage.gaussian_filter(amount, 1.0) / np.maximum(around, 1e-6), 0.0)
    thickness = np.where(material, np.maximum(thickness, 1e-3 * max(float(thickness.max()), 1e-6)), 0.0)
    return thickness.astype(np.float32)


def copy_state(state: GibbsState) -> GibbsState:
    """Copy what sweeps change."""
    return state._replace(**{name: getattr(state, name).copy() for name in _CHANGED})


def make_probe_kernel(width: float) -> NDArray[np.float32]:
    """Gaussian probe (5, 5) of a full width at half maximum [px], of sum 1."""
    sigma = max(width, 0.3) / np.sqrt(8 * np.log(2))
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1]
    kernel = np.exp(-(y**2 + x**2) / (2 * sigma**2))
    return (kernel / kernel.sum()).astype(np.float32)


def compute_mixture(state: GibbsState, kernel: NDArray[np.float32]) -> Array:
    """Shares (y, x, template) of the phases under the probe, weighted by thickness."""
    out = np.empty_like(state.template_projection)
    mixed = state.label == out.shape[-1]
    for index in range(out.shape[-1]):
        share = (state.label == index) + mixed * (
            (state.field.first == index) * (1 - state.field.share) + (state.field.second == index) * state.field.share
        )
        out[..., index] = ndimage.convolve((share * state.thickness).astype(np.float32), kernel, mode="constant")
    return out / np.maximum(state.psf_thickness, 1e-12)[..., None]


def refresh_state(state: GibbsState, width: float) -> NDArray[np.float32]:
    """Compute the running sums from the labels for a width [px]; return the probe.

    The sums are kept in single precision and change with every label, so rounding accumulates until they are refreshed.
    """
    kernel = make_probe_kernel(width)
    state.psf_thickness[:] = np.maximum(ndimage.convolve(state.thickness, kernel, mode="constant"), 1e-12)
    mixture = compute_mixture(state, kernel)
    state.gram_mix[:] = np.einsum("yxij,yxj->yxi", state.normal_matrix, mixture)
    state.model_norm[:] = (state.gram_mix * mixture).sum(axis=-1)
    state.projection[:] = (state.template_projection * mixture).sum(axis=-1)
    return kernel


def compute_log_posterior(state: GibbsState, is_adjacent: Flags, near: float, far: float) -> float:
    """Log posterior [nat] of the labels as they are, up to a constant, with the costs of unlike neighbours.

    ``is_adjacent`` is (label, label). The running sums must be those of the labels.
    """
    explained = np.maximum(state.projection, 0.0) ** 2 / np.maximum(state.model_norm, 1e-12) / state.noise_scale
    out = 0.5 * float(explained[state.material].sum(dtype=np.float64))
    out -= float(state.field.cost[state.material & (state.label == state.gram_mix.shape[-1])].sum(dtype=np.float64))
    n_y, n_x = state.label.shape
    for dy, dx, weight in _NEIGHBOURS:
        here = (slice(0, n_y - dy), slice(max(-dx, 0), n_x - max(dx, 0)))
        there = (slice(dy, n_y), slice(max(dx, 0), n_x - max(-dx, 0)))
        one, other = state.label[here], state.label[there]
        unlike = state.material[here] & state.material[there] & (one != other)
        cost = np.where(is_adjacent[one, other], near, far)
        out -= weight * float(cost[unlike].sum(dtype=np.float64))
    return out
