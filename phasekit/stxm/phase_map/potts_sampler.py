r"""Phase maps drawn from their posterior by Gibbs sampling of a Potts model under the blur of the probe.

Every pixel :math:`i` has one phase :math:`z_i`. What it shows is a mixture of the phases around it, weighted by the
probe :math:`k` and the thickness :math:`t`:

.. math:: m_{jr} = \sum_i k_{ij} t_i [z_i = r] \Big/ \sum_i k_{ij} t_i

The likelihood is chi-square of the spectrum for this mixture (:mod:`.sufficient_statistics`). So a boundary pixel is
explained by the domains on both sides and needs no phase of its own. The prior is a Potts model:

.. math:: P(z) \propto \exp\Bigl(-\sum_{(i,j)} w_{ij} \beta(z_i, z_j) [z_i \ne z_j]\Bigr)

The cost :math:`\beta` is ``near`` for phases that are adjacent in composition and ``far`` for others, in nat. A rim
often leads over the phases between, so adjacent ones may cost less. The weight :math:`w` is 1, or 0.7 for diagonal
neighbours. Both costs and the width of the blur are learned from the map during sampling. The confidence is the share
of the draws. Sources: Geman and Geman (1984), Besag (1986).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .mixture_field import MixtureField, fit_mixture_field, make_shares
from .potts_kernels import GibbsState, gibbs_sweep
from .sufficient_statistics import SufficientStatistics, compute_mixture_chi_square, compute_single_chi_square

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]
_REACH = 2  # pixels on each side that the blur is followed
_N_CHAINS, _BURN_IN, N_DRAWS = 2, 20, 60  # the last two in sweeps
_SETTLING = 3  # sweeps before the costs are learned
_REFRESH_PERIOD = 10  # sweeps between two refreshes, against the rounding of single precision
#: costs where learning starts, and their upper bound [nat]
_START_NEAR, _START_FAR, _MAX_COST = 0.8, 1.2, 2.5
_WEIGHT_OF_NEIGHBOURS = 4 + 4 * 0.7  # of a pixel: four beside it and four diagonal ones
#: full widths of the blur that are tried [px], mean and standard deviation of their prior [px]
_WIDTHS = np.arange(0.6, 3.3, 0.2)
_PRIOR_WIDTH, _PRIOR_WIDTH_STD = 1.8, 0.6
_WIDTH_SWEEPS = (5, 10, 15)  # after which the width is fitted


class _Prior(NamedTuple):
    """Costs of unlike neighbours [nat] and the full width of the blur at half maximum [px]."""

    near: float
    far: float
    blur_px: float


class PosteriorMaps(NamedTuple):
    """What the draws of a map have in common."""

    probability: Array  # (y, x, label), share of the draws; labels are the templates, then the mixture
    mixture: Array  # (y, x, template), mean shares under the probe
    prior: _Prior  # as learned
    field: MixtureField  # what the mixture label stands for

    @property
    def has_mixture(self) -> bool:
        """Whether the last label is a mixture."""
        return self.probability.shape[-1] > self.mixture.shape[-1]


class _ChainSettings(NamedTuple):
    """What all chains share; None: learned."""

    is_adjacent: Flags  # (template, template)
    neighbours: float | None
    blur_px: float | None
    n_draws: int


def sample_phase_maps(
    statistics: SufficientStatistics,
    noise_scale: Array,
    is_adjacent: Flags,
    pairs: NDArray[np.intp],
    *,
    neighbours: float | None,
    blur_px: float | None,
    seed: int,
    n_draws: int = N_DRAWS,
) -> PosteriorMaps:
    """Sample phase maps given the statistics of every pixel (y, x, ..); NaN: no material.

    ``noise_scale`` (y, x) divides chi-square. ``is_adjacent`` (template, template) says which phases are next to each
    other in composition. ``neighbours`` fixes both costs [nat], ``blur_px`` the width [px]; None learns them. Chains of
    different seeds run side by side and are averaged, because a single chain underestimates its own uncertainty.
    """
    start = initialise_state(statistics, noise_scale, pairs)
    settings = _ChainSettings(is_adjacent, neighbours, blur_px, n_draws)
    seeds = np.random.SeedSequence(seed).spawn(_N_CHAINS)
    # the kernel releases the interpreter lock, so threads suffice
    with ThreadPoolExecutor(_N_CHAINS) as pool:
        tasks = [pool.submit(_run_chain, start, settings, np.random.default_rng(one)) for one in seeds]
        chains = [task.result() for task in tasks]
    prior = _Prior(*np.mean([chain.prior for chain in chains], axis=0).tolist())
    probability = np.mean([chain.probability for chain in chains], axis=0)
    mixture = np.mean([chain.mixture for chain in chains], axis=0)
    for values in (probability, mixture):
        values[~start.material] = np.nan
    return PosteriorMaps(probability, mixture, prior, start.field)


def _run_chain(start: GibbsState, settings: _ChainSettings, rng: np.random.Generator) -> PosteriorMaps:
    """Run one chain: sweeps that learn the prior, then sweeps that count."""
    changed = ("label", "psf_thickness", "gram_mix", "model_norm", "projection")
    state = start._replace(**{name: getattr(start, name).copy() for name in changed})
    learns_costs, learns_width = settings.neighbours is None, settings.blur_px is None
    near, far = (_START_NEAR, _START_FAR) if settings.neighbours is None else (settings.neighbours,) * 2
    prior = _Prior(near, far, _PRIOR_WIDTH if settings.blur_px is None else settings.blur_px)
    kernel = refresh_state(state, prior.blur_px)
    probability = np.zeros((*state.label.shape, len(settings.is_adjacent)), dtype=np.float32)
    mixture = np.zeros_like(state.template_projection)
    n_pixels, least = int(state.material.sum()), compute_least_cost(len(settings.is_adjacent))
    for sweep in range(_BURN_IN + settings.n_draws):
        if sweep == _BURN_IN:  # what was drawn with a prior still being learned does not count
            probability[:] = 0.0
        slopes = np.zeros(5)
        uniform = rng.random(state.label.shape, dtype=np.float32)
        gibbs_sweep(state, kernel, settings.is_adjacent, prior.near, prior.far, uniform, probability, slopes)
        if sweep >= _BURN_IN:
            mixture += compute_mixture(state, kernel)
        if learns_costs and sweep >= _SETTLING:
            prior = _update_costs(prior, slopes, n_pixels, max(sweep - _BURN_IN, 0), least)
        if learns_width and sweep in _WIDTH_SWEEPS:
            prior = prior._replace(blur_px=_fit_width(state))
            kernel = refresh_state(state, prior.blur_px)
        elif sweep % _REFRESH_PERIOD == 0:
            kernel = refresh_state(state, prior.blur_px)
    return PosteriorMaps(probability / settings.n_draws, mixture / settings.n_draws, prior, state.field)


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


def _fit_width(state: GibbsState) -> float:
    """Width of the blur [px] with the highest posterior, given the present labels."""
    scores = []
    for width in _WIDTHS:
        refresh_state(state, float(width))
        explained = np.maximum(state.projection, 0.0) ** 2 / np.maximum(state.model_norm, 1e-12) / state.noise_scale
        penalty = ((width - _PRIOR_WIDTH) / _PRIOR_WIDTH_STD) ** 2
        scores.append(0.5 * (float(explained[state.material].sum(dtype=np.float64)) - penalty))
    return float(_WIDTHS[int(np.argmax(scores))])


def compute_least_cost(n_labels: int) -> float:
    r"""Cost [nat] below which the prior prefers random maps to domains: the transition of the Potts model.

    On a square lattice with four neighbours it is :math:`\ln(1 + \sqrt q)` for q labels (Potts 1952). It is scaled by
    the weight of the neighbours. With a smaller cost a mixture would be drawn as a checkerboard of phases, which the
    probe blurs to the same shares: there are many checkerboards, and only one mixture.
    """
    return float(np.log1p(np.sqrt(n_labels)) * 4 / _WEIGHT_OF_NEIGHBOURS)


def _update_costs(prior: _Prior, slopes: Array, n_pixels: int, sweeps_counted: int, least: float) -> _Prior:
    """Costs after a damped Newton step towards the maximum of the pseudo-likelihood of the labels (Besag 1986).

    ``slopes`` (5,) are gradient (near, far) and curvature (near-near, far-far, near-far), summed over the pixels. Steps
    shrink while draws are counted, so that the prior comes to rest. No cost falls below ``least``.
    """
    curvature = np.array([[slopes[2], slopes[4]], [slopes[4], slopes[3]]]) + 0.02 * max(n_pixels, 1) * np.eye(2)
    step = 0.3 / (1 + 0.2 * sweeps_counted) * np.linalg.solve(curvature, slopes[:2])
    near, far = np.clip([prior.near + step[0], prior.far + step[1]], least, _MAX_COST)
    return prior._replace(near=float(near), far=float(far))
