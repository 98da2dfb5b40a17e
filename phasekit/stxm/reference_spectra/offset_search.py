r"""Search of the energy offset over its whole range, and how sure the data are of what was found.

The cost of every offset on a grid is computed for the data, and for draws of a Bayesian bootstrap over groups of
energies. Each draw gives a posterior over the grid, and their mean is the bagged posterior. It is wide where the offset
hangs on a few energies, and has two maxima where two offsets explain the data alike.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import SchemaError
from .block_fit import HIGHEST, LOWEST, PRIOR_PRECISION, BlockSpectra
from .energy_groups import build_equations, find_structure_width, group_energies

Array = NDArray[np.float64]
#: draws: the error of an error from 60 draws is 9 %
_N_DRAWS = 60
#: blocks that the draws are made of: what references miss is alike in all blocks, so more add little
_MOST_BLOCKS = 60
#: share of the bagged posterior around another minimum above which the offset counts as undecided
_UNDECIDED = 0.05
#: share of the energies, and of their contrast, that an offset must leave inside the references
_LEAST_SHARE = 0.75
#: share of the probability within one standard error
_ONE_SIGMA = 0.683


class OffsetSearch(NamedTuple):
    """Bagged posterior over the grid of offsets."""

    offsets: Array  # (grid,), ascending [eV]
    cost: Array  # (grid,), of the data
    posterior: Array  # (grid,), sums to 1
    values: Array  # (grid, 4): the shared parameters at each offset

    @property
    def step(self) -> float:
        """Step of the grid [eV]."""
        return float(self.offsets[1] - self.offsets[0]) if self.offsets.size > 1 else 0.0

    def find_basins(self) -> NDArray[np.intp]:
        """Find the minimum (grid,) that each offset leads to downhill; a minimum leads to itself."""
        index = np.arange(self.cost.size)
        cost = np.concatenate([[np.inf], self.cost, [np.inf]])
        lower = np.where(cost[:-2] < cost[2:], index - 1, index + 1)
        basin = np.where(np.minimum(cost[:-2], cost[2:]) < cost[1:-1], lower, index)
        # As many steps as there are points reach every minimum.
        for _ in range(int(np.ceil(np.log2(max(self.cost.size, 2))))):
            basin = basin[basin]
        return np.asarray(basin)

    def find_alternative(self, minimum: int) -> tuple[int, float]:
        """Find the other minimum with the largest share of the posterior; returns it and its share."""
        basin = self.find_basins()
        shares = np.bincount(basin, self.posterior, self.cost.size)
        shares[basin[minimum]] = 0.0
        return int(np.argmax(shares)), float(shares.max())

    def compute_width(self, offset: float) -> float:
        """Compute the half width [eV] of the interval around ``offset`` that holds 68 % of the posterior."""
        distance = np.abs(self.offsets - offset)
        order = np.argsort(distance)
        index = int(np.searchsorted(np.cumsum(self.posterior[order]), _ONE_SIGMA))
        return float(distance[order][min(index, order.size - 1)])


def is_undecided(share: float) -> bool:
    """Say whether another minimum with this share of the bagged posterior leaves the offset undecided."""
    return share > _UNDECIDED


def search_offsets(
    blocks: BlockSpectra, value: Array, free: NDArray[np.intp], limit: float, step: str, rng: np.random.Generator
) -> OffsetSearch:
    """Search the offsets up to ``limit`` [eV] in both directions; the other free parameters are fitted at each."""
    width = find_structure_width(blocks.library)
    # A quarter of the finest structure: no minimum lies between two points. Finer than 0.05 eV no optics resolve.
    spacing = max(width / 4, 0.05)
    n = int(np.ceil(limit / spacing))
    offsets = np.linspace(-limit, limit, 2 * n + 1) if n else np.zeros(1)
    offsets = offsets[[_has_enough_energies(blocks, offset) for offset in offsets]]
    if not offsets.size:
        raise SchemaError(_describe_missing_overlap(blocks, limit, step))
    group = group_energies(blocks.energies, width)
    draws = rng.exponential(size=(_N_DRAWS, int(group.max()) + 1))
    # Every energy keeps its weight on the mean, and the data keep their number of energies.
    draws /= (draws[:, group].mean(axis=1))[:, None]
    shared = _Comparison(free[free != 0], group, draws, blocks.degrees_of_freedom)
    cost, sampled, values = np.empty(offsets.size), np.empty((_N_DRAWS, offsets.size)), []
    for index, offset in enumerate(offsets):
        at = blocks.restrict(offset)
        found, cost[index] = shared.fit_nuisance(at, np.concatenate([[offset], value[1:]]))
        sampled[:, index] = shared.draw_costs(at, found)
        values.append(found)
    prior = 0.5 * PRIOR_PRECISION[0] * offsets**2
    cost, sampled = cost + prior, sampled + prior
    posterior = np.exp(sampled.min(axis=1, keepdims=True) - sampled)
    posterior = (posterior / posterior.sum(axis=1, keepdims=True)).mean(axis=0)
    return OffsetSearch(offsets, cost, posterior, np.array(values))


def _has_enough_energies(blocks: BlockSpectra, offset: float) -> bool:
    """Say whether an offset leaves a degree of freedom, and most of the energies and of the contrast, to most blocks.

    Offsets can be compared only by what they say of the same data.
    """
    inside = blocks.library.covers(blocks.energies + offset)
    known = np.isfinite(blocks.noise)
    kept = (known & inside).sum(axis=1)
    enough = (kept > blocks.n_terms) & (kept >= _LEAST_SHARE * known.sum(axis=1))
    contrast = _compute_contrast(blocks, inside) / _compute_contrast(blocks, True)
    return float(enough.mean()) > 0.5 and float(np.median(contrast)) >= _LEAST_SHARE


def _compute_contrast(blocks: BlockSpectra, inside: NDArray[np.bool_] | bool) -> Array:
    """Compute chi-square (block,) of a constant."""
    weight = np.where(inside, blocks.noise**-2.0, 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    mean = (weight * blocks.spectra).sum(axis=1) / total
    return np.maximum((weight * (blocks.spectra - mean[:, None]) ** 2).sum(axis=1), 1e-300)


def _describe_missing_overlap(blocks: BlockSpectra, limit: float, step: str) -> str:
    """Describe that no offset leaves enough energies, and the cure."""
    own, energies = blocks.library.energies, blocks.energies
    return (
        f"{step}: the references cover {own[0]:g}..{own[-1]:g} eV, the data {energies.size} energies of "
        f"{energies.min():g}..{energies.max():g} eV. No energy offset up to {limit:g} eV leaves more than "
        f"{blocks.n_terms} energies and three quarters of the contrast. Use longer references, or state energy_offset."
    )


class _Comparison(NamedTuple):
    """What stays the same at all offsets."""

    nuisance: NDArray[np.intp]
    group: NDArray[np.intp]  # (energy,)
    draws: Array  # (draw, group), weights
    degrees: Array  # (block,), of freedom, with all energies

    def compute_cost(self, blocks: BlockSpectra, chi_square: Array) -> Array:
        r"""Compute the negative logarithm of the likelihood (..) of blocks with ``chi_square`` (.., block).

        With :math:`\nu` degrees of freedom it is :math:`2\nu \ln(1 + \chi^2 / 3\nu)`, Student's distribution whose
        weights are those of Cauchy. The factor is that of all energies. What an offset leaves outside is so taken to
        fit as well as the rest, or leaving out would be rewarded.
        """
        return np.asarray((2.0 * self.degrees * blocks.compute_cost(chi_square)).sum(axis=-1))

    def fit_nuisance(self, blocks: BlockSpectra, start: Array) -> tuple[Array, float]:
        """Fit the other parameters at one offset by a step of Gauss and Newton; returns all four and the cost."""
        fit = blocks.fit_blocks(start)
        cost = float(self.compute_cost(blocks, fit.chi_square))
        if not self.nuisance.size:
            return start, cost
        equations = build_equations(blocks, start, self.nuisance, fit, np.zeros_like(self.group))
        moved = start.copy()
        moved[self.nuisance] += equations.solve_shared(np.ones((1, 1)))[0]
        moved = np.clip(moved, LOWEST, HIGHEST)
        better = float(self.compute_cost(blocks, blocks.fit_blocks(moved).chi_square))
        return (moved, better) if better < cost else (start, cost)

    def draw_costs(self, blocks: BlockSpectra, value: Array) -> Array:
        """Compute the cost of each draw at ``value``, from which its nuisance parameters move freely."""
        every = -(-len(blocks.spectra) // _MOST_BLOCKS)
        few = blocks._replace(spectra=blocks.spectra[::every], noise=blocks.noise[::every])
        equations = build_equations(few, value, self.nuisance, few.fit_blocks(value), self.group)
        moved = np.zeros((len(self.draws), 0))
        if self.nuisance.size:
            now, lowest, highest = (one[self.nuisance] for one in (value, LOWEST, HIGHEST))
            moved = np.clip(now + equations.solve_shared(self.draws), lowest, highest) - now
        chi_square = equations.compute_chi_square(self.draws, moved)
        return every * self._replace(degrees=self.degrees[::every]).compute_cost(few, chi_square)
