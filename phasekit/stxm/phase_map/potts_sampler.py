"""Phase maps drawn from their posterior: domains that hold together, seen through the blur of the probe.

Every pixel has one phase. What it shows is the mixture of the phases around it under the probe, weighted by thickness;
its spectrum's chi-square for that mixture is the likelihood, so a boundary pixel is explained by the domains it lies
between and needs no phase of its own. The prior is a Potts model: unlike neighbours cost ``near`` nat when the phases
are next to each other on the composition path (a rim may lead over them), ``far`` otherwise. Both, and the width of the
blur, are learned from the map while Gibbs sampling goes on; the confidence is how often a phase was drawn.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .potts_kernels import GibbsState, gibbs_sweep
from .sufficient_statistics import SufficientStatistics, chi_square_single

Array = NDArray[np.floating]
_REACH = 2  # px on each side that the blur is followed
_CHAINS, _BURN_IN, N_DRAWS = 2, 20, 60
_SETTLING = 3  # sweeps before learning begins
_REFRESHED_EVERY = 10  # sweeps, against the drift of single precision
#: where learning starts, and how far it may go [nat]
_NEAR, _FAR, _LEAST, _MOST = 0.8, 1.2, 0.1, 2.5
#: full widths of the blur that are tried [px], and what is expected before looking
_WIDTHS = np.arange(0.6, 3.3, 0.2)
_WIDTH, _WIDTH_SPREAD = 1.8, 0.6
_FITTED_AFTER = (5, 10, 15)


class _Prior(NamedTuple):
    """Cost of unlike neighbours [nat], and the full width of the blur at half maximum [px]."""

    near: float
    far: float
    blur_px: float


class PosteriorMaps(NamedTuple):
    """Share of draws (y, x, template), mean content under the probe (y, x, template), the prior that was learned."""

    probability: Array
    content: Array
    prior: _Prior


def sample_phase_maps(
    sums: SufficientStatistics,
    widening: Array,
    adjacent: NDArray[np.bool_],
    *,
    neighbours: float | None,
    blur_px: float | None,
    seed: int,
    n_draws: int = N_DRAWS,
) -> PosteriorMaps:
    """Sample phase maps given the sums of every pixel (y, x, ..; NaN: no material).

    ``widening`` divides chi-square; ``adjacent`` (template, template) says which phases are next to each other.
    ``neighbours`` fixes both costs, ``blur_px`` the width; None learns them. Chains of different seeds run side by side
    and are averaged: where they disagree, one alone would be too sure.
    """
    begin = _begin(sums, widening)
    seeds = np.random.SeedSequence(seed).spawn(_CHAINS)
    with ThreadPoolExecutor(_CHAINS) as pool:
        rest = (adjacent, neighbours, blur_px)
        tasks = [pool.submit(_chain, begin, *rest, np.random.default_rng(one), n_draws) for one in seeds]
        chains = [task.result() for task in tasks]
    prior = _Prior(*np.mean([chain.prior for chain in chains], axis=0).tolist())
    probability = np.mean([chain.probability for chain in chains], axis=0)
    content = np.mean([chain.content for chain in chains], axis=0)
    for values in (probability, content):
        values[~begin.material] = np.nan
    return PosteriorMaps(probability, content, prior)


def _chain(
    begin: GibbsState,
    adjacent: NDArray[np.bool_],
    neighbours: float | None,
    blur_px: float | None,
    rng: np.random.Generator,
    n_draws: int,
) -> PosteriorMaps:
    """One chain: sweeps that learn, then sweeps that count."""
    moving = ("label", "seen", "pull", "size", "along")
    state = begin._replace(**{name: getattr(begin, name).copy() for name in moving})
    near, far = (_NEAR, _FAR) if neighbours is None else (neighbours, neighbours)
    prior = _Prior(near, far, _WIDTH if blur_px is None else blur_px)
    kernel = refresh_state(state, prior.blur_px)
    probability = np.zeros(state.overlap.shape, dtype=np.float32)
    content = np.zeros_like(probability)
    n = int(state.material.sum())
    for sweep in range(_BURN_IN + n_draws):
        if sweep == _BURN_IN:
            probability[:] = 0.0
        slopes = np.zeros(5)
        uniform = rng.random(state.label.shape, dtype=np.float32)
        gibbs_sweep(state, kernel, adjacent, prior.near, prior.far, uniform, probability, slopes)
        if sweep >= _BURN_IN:
            content += compute_mixture(state, kernel)
        if neighbours is None and sweep >= _SETTLING:
            prior = _learned(prior, slopes, n, max(sweep - _BURN_IN, 0))
        if blur_px is None and sweep in _FITTED_AFTER:
            prior = prior._replace(blur_px=_best_width(state))
            kernel = refresh_state(state, prior.blur_px)
        elif sweep % _REFRESHED_EVERY == 0:
            kernel = refresh_state(state, prior.blur_px)
    return PosteriorMaps(probability / n_draws, content / n_draws, prior)


def _begin(sums: SufficientStatistics, widening: Array) -> GibbsState:
    """State at the most probable phase of each pixel alone, smoothed once."""
    material: NDArray[np.bool_] = np.isfinite(sums.power)
    gram = np.where(material[..., None, None], sums.gram, 0.0).astype(np.float32)
    overlap = np.where(material[..., None], sums.overlap, 0.0).astype(np.float32)
    wide = np.where(material, widening, 1.0).astype(np.float32)
    opinion = np.where(material[..., None], -0.5 * np.nan_to_num(chi_square_single(sums)) / wide[..., None], 0.0)
    relative = np.exp(np.maximum(opinion - opinion.max(axis=-1, keepdims=True), -30.0)) * material[..., None]
    smooth = np.stack([ndimage.uniform_filter(image, 3) for image in np.moveaxis(relative, -1, 0)], axis=-1)
    label = (np.log(np.maximum(smooth, 1e-12)) + 0.5 * opinion).argmax(axis=-1).astype(np.int8)
    total = np.maximum(gram.mean(axis=(-1, -2)), 1e-12)
    amount = np.maximum(overlap.mean(axis=-1) / total, 0.0) * material
    around = ndimage.gaussian_filter(material.astype(np.float32), 1.0)
    thickness = np.where(material, ndimage.gaussian_filter(amount, 1.0) / np.maximum(around, 1e-6), 0.0)
    thickness = np.where(material, np.maximum(thickness, 1e-3 * max(float(thickness.max()), 1e-6)), 0.0)
    empty = [np.zeros_like(part) for part in (wide, overlap, wide, wide)]
    return GibbsState(label, material, gram, overlap, wide, thickness.astype(np.float32), *empty)


def probe_kernel(width: float) -> NDArray[np.float32]:
    """Gaussian probe of a full width at half maximum [px], of sum 1."""
    sigma = max(width, 0.3) / np.sqrt(8 * np.log(2))
    y, x = np.mgrid[-_REACH : _REACH + 1, -_REACH : _REACH + 1]
    kernel = np.exp(-(y**2 + x**2) / (2 * sigma**2))
    return (kernel / kernel.sum()).astype(np.float32)


def compute_mixture(state: GibbsState, kernel: NDArray[np.float32]) -> Array:
    """Shares (y, x, template) of the phases under the probe."""
    out = np.empty_like(state.overlap)
    for index in range(out.shape[-1]):
        mine = np.where(state.label == index, state.thickness, 0.0).astype(np.float32)
        out[..., index] = ndimage.convolve(mine, kernel, mode="constant")
    return out / np.maximum(state.seen, 1e-12)[..., None]


def refresh_state(state: GibbsState, width: float) -> NDArray[np.float32]:
    """Make the running sums anew from the labels, for this blur and against the drift of single precision."""
    kernel = probe_kernel(width)
    state.seen[:] = np.maximum(ndimage.convolve(state.thickness, kernel, mode="constant"), 1e-12)
    content = compute_mixture(state, kernel)
    state.pull[:] = np.einsum("yxij,yxj->yxi", state.gram, content)
    state.size[:] = (state.pull * content).sum(axis=-1)
    state.along[:] = (state.overlap * content).sum(axis=-1)
    return kernel


def _best_width(state: GibbsState) -> float:
    """Width of the blur under which the present labels explain the spectra best."""
    scores = []
    for width in _WIDTHS:
        refresh_state(state, float(width))
        gain = np.maximum(state.along, 0.0) ** 2 / np.maximum(state.size, 1e-12) / state.widening
        expected = ((width - _WIDTH) / _WIDTH_SPREAD) ** 2
        scores.append(0.5 * (float(gain[state.material].sum(dtype=np.float64)) - expected))
    return float(_WIDTHS[int(np.argmax(scores))])


def _learned(prior: _Prior, slopes: Array, n: int, settled: int) -> _Prior:
    """Costs after a damped Newton step towards the maximum of the labels' pseudo-likelihood.

    ``slopes``: gradient (near, far) and curvature (near-near, far-far, near-far), summed over ``n`` pixels.
    """
    curvature = np.array([[slopes[2], slopes[4]], [slopes[4], slopes[3]]]) + 0.02 * max(n, 1) * np.eye(2)
    step = 0.3 / (1 + 0.2 * settled) * np.linalg.solve(curvature, slopes[:2])
    near, far = np.clip([prior.near + step[0], prior.far + step[1]], _LEAST, _MOST)
    return prior._replace(near=float(near), far=float(far))
