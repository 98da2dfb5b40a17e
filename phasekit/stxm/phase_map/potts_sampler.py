r"""Phase maps drawn from their posterior by Gibbs sampling of a Potts model under the blur of the probe.

Every pixel :math:`i` has one label :math:`z_i`: a phase, or a mixture whose shares :math:`u_i` come from a smooth field
(:mod:`.mixture_field`). A phase is the mixture that holds itself alone. What a pixel shows is the mean of the shares
around it, weighted by the probe :math:`k` and the thickness :math:`t`:

.. math:: m_{jr} = \sum_i k_{ij} t_i u_{ir}(z_i) \Big/ \sum_i k_{ij} t_i

The likelihood is chi-square of the spectrum for this mixture (:mod:`.sufficient_statistics`). So a boundary pixel is
explained by the domains on both sides and needs no phase of its own. The prior is a Potts model:

.. math::

    P(z) \propto \exp\Bigl(-\sum_{(i,j)} w_{ij} \beta(z_i, z_j) [z_i \ne z_j]
    - \sum_i c_i [z_i = \mathrm{mixture}]\Bigr)

The cost :math:`\beta` is ``near`` for phases that are adjacent in composition, and for a mixture beside a phase; it is
``far`` for others, in nat. :math:`c` is the cost of the free share of a mixture. A rim often leads over the phases
between, so adjacent ones may cost less. The weight :math:`w` is 1, or 0.7 for diagonal neighbours. Both costs and the
width of the blur are learned from the map during sampling. Learning starts with ``far`` at twice ``near``. There a
sharp boundary is as probable a priori as a rim of one pixel over the phase between. The confidence is the share of the
draws. Sources: Geman and Geman (1984), Besag (1986).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .mixture_field import MixtureField
from .potts_kernels import GibbsState, gibbs_sweep
from .potts_state import (
    compute_log_posterior,
    compute_mixture,
    copy_state,
    initialise_state,
    refresh_state,
)
from .sufficient_statistics import SufficientStatistics

Array = NDArray[np.floating]
Flags = NDArray[np.bool_]
_N_CHAINS, _BURN_IN, N_DRAWS = 2, 20, 60  # the last two in sweeps
_SETTLING = 3  # sweeps before the costs are learned
_REFRESH_PERIOD = 10  # sweeps between two refreshes, against the rounding of single precision
#: cost of adjacent phases where learning starts, and the upper bound of both costs [nat]
START_NEAR, _MAX_COST = 0.8, 2.5
#: Other phases have at least one phase between them, and a rim may lead over it. The boundary and the thinnest rim,
#: which is two boundaries, cost the same where learning starts. So the spectra decide between them, not the start.
START_FAR = 2 * START_NEAR
_WEIGHT_OF_NEIGHBOURS = 4 + 4 * 0.7  # of a pixel: four beside it and four diagonal ones
#: full widths of the blur that are tried [px], mean and standard deviation of their prior [px]
_WIDTHS = np.arange(0.6, 3.3, 0.2)
_PRIOR_WIDTH, _PRIOR_WIDTH_STD = 1.8, 0.6
#: one standard deviation on either side of the mean
_START_WIDTHS = (_PRIOR_WIDTH - _PRIOR_WIDTH_STD, _PRIOR_WIDTH + _PRIOR_WIDTH_STD)
_WIDTH_SWEEPS = (5, 10, 15)  # after which the width is fitted


class Prior(NamedTuple):
    """Costs of unlike neighbours [nat] and the full width of the blur at half maximum [px]."""

    near: float
    far: float
    blur_px: float


class PosteriorMaps(NamedTuple):
    """What the draws of a map have in common."""

    probability: Array  # (y, x, label), share of the draws; labels are the templates, then the mixture
    mixture: Array  # (y, x, template), mean shares under the probe
    prior: Prior  # as learned
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

    ``noise_scale`` (y, x) divides chi-square. ``is_adjacent`` (label, label) says which labels are next to each other
    in composition. ``neighbours`` fixes both costs [nat], ``blur_px`` the width [px]; None learns them. Chains of
    different seeds run side by side and are averaged, because a single chain underestimates its own uncertainty.

    A sharp boundary behind a wide probe and a band of mixtures look alike, and so do a checkerboard behind it and a
    wide mixture. Sampling seldom moves from one to the other. So the chains begin with a narrow and with a wide probe,
    and those go on whose labels have the higher posterior.
    """
    start = initialise_state(statistics, noise_scale, pairs)
    settings = _ChainSettings(is_adjacent, neighbours, blur_px, n_draws)
    widths = _START_WIDTHS if blur_px is None else (blur_px,)
    seeds = np.random.SeedSequence(seed).spawn(_N_CHAINS)
    # the kernel releases the interpreter lock, so threads suffice
    with ThreadPoolExecutor(_N_CHAINS) as pool:
        begun = [pool.submit(_begin_chain, start, settings, one, width) for width in widths for one in seeds]
        chains = _select_start([task.result() for task in begun], settings)
        drawn = [task.result() for task in [pool.submit(_draw_maps, chain, settings) for chain in chains]]
    prior = Prior(*np.mean([one.prior for one in drawn], axis=0).tolist())
    probability = np.mean([one.probability for one in drawn], axis=0)
    mixture = np.mean([one.mixture for one in drawn], axis=0)
    for values in (probability, mixture):
        values[~start.material] = np.nan
    return PosteriorMaps(probability, mixture, prior, start.field)


class _Chain(NamedTuple):
    """A chain after its first sweeps."""

    state: GibbsState
    prior: Prior
    rng: np.random.Generator


def _begin_chain(start: GibbsState, settings: _ChainSettings, seed: np.random.SeedSequence, width: float) -> _Chain:
    """Run the sweeps that learn the prior, from a width of the probe [px]."""
    rng, state = np.random.default_rng(seed), copy_state(start)
    near, far = (START_NEAR, START_FAR) if settings.neighbours is None else (settings.neighbours,) * 2
    prior = Prior(near, far, width)
    kernel = refresh_state(state, width)
    unused = np.zeros((*state.label.shape, len(settings.is_adjacent)), dtype=np.float32)
    for sweep in range(_BURN_IN):
        slopes = _sweep(_Chain(state, prior, rng), settings, kernel, unused)
        if settings.neighbours is None and sweep >= _SETTLING:
            prior = _update_costs(prior, slopes, state, settings, 0)
        if settings.blur_px is None and sweep in _WIDTH_SWEEPS:
            prior = prior._replace(blur_px=_fit_width(state))
            kernel = refresh_state(state, prior.blur_px)
        elif sweep % _REFRESH_PERIOD == 0:
            kernel = refresh_state(state, prior.blur_px)
    refresh_state(state, prior.blur_px)
    return _Chain(state, prior, rng)


def _select_start(chains: list[_Chain], settings: _ChainSettings) -> list[_Chain]:
    """Select the chains of the start whose labels have the highest log posterior, all with the same costs."""
    groups = [chains[first : first + _N_CHAINS] for first in range(0, len(chains), _N_CHAINS)]
    if len(groups) == 1:
        return groups[0]

    def score(group: list[_Chain]) -> float:
        costs = (START_NEAR, START_FAR) if settings.neighbours is None else (settings.neighbours,) * 2
        return sum(compute_log_posterior(chain.state, settings.is_adjacent, *costs) for chain in group)

    return max(groups, key=score)


def _draw_maps(chain: _Chain, settings: _ChainSettings) -> PosteriorMaps:
    """Run the sweeps that count."""
    state, prior = chain.state, chain.prior
    kernel = refresh_state(state, prior.blur_px)
    probability = np.zeros((*state.label.shape, len(settings.is_adjacent)), dtype=np.float32)
    mixture = np.zeros_like(state.template_projection)
    for sweep in range(settings.n_draws):
        slopes = _sweep(_Chain(state, prior, chain.rng), settings, kernel, probability)
        mixture += compute_mixture(state, kernel)
        if settings.neighbours is None:
            prior = _update_costs(prior, slopes, state, settings, sweep)
        if sweep % _REFRESH_PERIOD == 0:
            kernel = refresh_state(state, prior.blur_px)
    return PosteriorMaps(probability / settings.n_draws, mixture / settings.n_draws, prior, state.field)


def _sweep(
    chain: _Chain, settings: _ChainSettings, kernel: NDArray[np.float32], probability: NDArray[np.float32]
) -> Array:
    """Draw all labels once; add to ``probability`` (y, x, label) and return the slopes (5,) of the costs."""
    slopes = np.zeros(5)
    uniform = chain.rng.random(chain.state.label.shape, dtype=np.float32)
    near, far = chain.prior.near, chain.prior.far
    gibbs_sweep(chain.state, kernel, settings.is_adjacent, near, far, uniform, probability, slopes)
    return slopes


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


def _update_costs(
    prior: Prior, slopes: Array, state: GibbsState, settings: _ChainSettings, sweeps_counted: int
) -> Prior:
    """Costs after a damped Newton step towards the maximum of the pseudo-likelihood of the labels (Besag 1986).

    ``slopes`` (5,) are gradient (near, far) and curvature (near-near, far-far, near-far), summed over the pixels. Steps
    shrink while draws are counted, so that the prior comes to rest. No cost falls below
    :func:`compute_least_cost`.
    """
    n_pixels, least = int(state.material.sum()), compute_least_cost(len(settings.is_adjacent))
    curvature = np.array([[slopes[2], slopes[4]], [slopes[4], slopes[3]]]) + 0.02 * max(n_pixels, 1) * np.eye(2)
    step = 0.3 / (1 + 0.2 * sweeps_counted) * np.linalg.solve(curvature, slopes[:2])
    near, far = np.clip([prior.near + step[0], prior.far + step[1]], least, _MAX_COST)
    return prior._replace(near=float(near), far=float(far))
