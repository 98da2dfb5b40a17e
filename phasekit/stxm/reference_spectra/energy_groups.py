r"""Equations of the shared parameters, kept apart by groups of neighbouring energies.

References are never exact, and what they miss is alike at neighbouring energies and in all blocks of pixels. The
residuals of one block are therefore not independent, and neither are those of two blocks. Groups of energies are: they
are the units that are resampled or left out.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..preprocessing.stray_light import correct_stray_light
from .block_fit import HIGHEST, LOWEST, PRIOR_PRECISION, STEP, BlockFit, BlockSpectra, apply_systematics
from .library import Library

Array = NDArray[np.float64]
_FINE_EV = 0.05


def find_structure_width(library: Library) -> float:
    """Find how far apart [eV] the references' slopes are no longer alike: zero of their autocorrelation."""
    fine = np.arange(library.energies[0], library.energies[-1], _FINE_EV)
    if fine.size < 3:
        return _FINE_EV
    slopes = np.gradient(library.at(fine), _FINE_EV, axis=1)
    slopes = slopes - slopes.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(slopes, 2 * fine.size, axis=1)) ** 2
    correlation = np.fft.irfft(power.sum(axis=0))[: fine.size]
    below = np.flatnonzero(correlation <= 0)
    return float(below[0] if below.size else fine.size) * _FINE_EV


def group_energies(energies: Array, width: float) -> NDArray[np.intp]:
    """Number the energies (energy,) by groups that span less than ``width`` [eV]."""
    order = np.argsort(energies)
    group = np.zeros(energies.size, dtype=np.intp)
    start, number = energies[order[0]], 0
    for index in order:
        if energies[index] - start >= width:
            start, number = energies[index], number + 1
        group[index] = number
    return group


class GroupedEquations(NamedTuple):
    """Normal equations of every block about its fit, for corrections of its terms and of the shared parameters.

    The terms come first: amounts of the active references and the constant.
    """

    normal: Array  # (block, group, term + shared, term + shared)
    right: Array  # (block, group, term + shared)
    power: Array  # (block, group): chi-square
    weight: Array  # (block,): robust weight over the reduced chi-square
    value: Array  # (shared,)
    prior: Array  # (shared,), inverse variances
    n_terms: int

    def solve_shared(self, groups: Array) -> Array:
        """Solve for the corrections (draw, shared) of the shared parameters; ``groups`` (draw, group) are weights."""
        normal, right = _eliminate_terms(self, groups)
        total = np.einsum("b,dbij->dij", self.weight, normal) + np.diag(self.prior)
        gradient = np.einsum("b,dbi->di", self.weight, right) - self.prior * self.value
        return np.linalg.solve(_add_ridge(total), gradient[..., None])[..., 0]

    def compute_information(self) -> Array:
        """Compute the information matrix (shared, shared) of all blocks, without priors."""
        normal, _ = _eliminate_terms(self, np.ones((1, self.normal.shape[1])))
        return np.einsum("b,bij->ij", self.weight, normal[0])

    def compute_chi_square(self, groups: Array, shared: Array) -> Array:
        """Compute chi-square (draw, block) with weights of the groups and corrections of the shared parameters."""
        normal, right, power = _sum_groups(self, groups)
        t = self.n_terms
        # The shared corrections are known; what they leave of the right-hand side fits the terms.
        rest = right[..., :t] - np.einsum("dbij,dj->dbi", normal[..., :t, t:], shared)
        terms = np.linalg.solve(_add_ridge(normal[..., :t, :t]), rest[..., None])[..., 0]
        step = np.concatenate([terms, np.broadcast_to(shared[:, None], (*terms.shape[:2], shared.shape[1]))], axis=2)
        change = np.einsum("dbi,dbij,dbj->db", step, normal, step) - 2 * (step * right).sum(axis=2)
        return np.maximum(power + change, 0.0)


def build_equations(
    blocks: BlockSpectra, value: Array, shared: NDArray[np.intp], fit: BlockFit, group: NDArray[np.intp]
) -> GroupedEquations:
    """Build the equations about ``fit``, the fit at ``value``, for corrections of the parameters ``shared``."""
    noise = correct_stray_light(blocks.spectra, blocks.noise, value[1])[1]
    shapes = apply_systematics(blocks.library, blocks.energies, value)
    active = np.concatenate([fit.coefficient[:, :-1] > 0, np.ones((len(noise), 1))], axis=1)
    rows = np.vstack([shapes, np.ones((1, blocks.energies.size))])
    columns = [active[:, :, None] * rows]
    columns += [_differentiate(blocks, value, int(index), fit.coefficient[:, :-1])[:, None] for index in shared]
    # In units of the noise a missing value is 0.
    design = np.concatenate(columns, axis=1) / noise[:, None]
    n_groups = int(group.max()) + 1
    normal = np.empty((len(noise), n_groups, design.shape[1], design.shape[1]))
    right, power = np.empty(normal.shape[:3]), np.empty(normal.shape[:2])
    for one in range(n_groups):
        at = group == one
        part, left = design[:, :, at], fit.residual[:, at]
        normal[:, one] = part @ part.transpose(0, 2, 1)
        right[:, one] = (part @ left[:, :, None])[..., 0]
        power[:, one] = (left**2).sum(axis=1)
    reduced = max(float(np.median(fit.chi_square / blocks.degrees_of_freedom)), 1.0)
    weight = blocks.compute_weights(fit.chi_square) / reduced
    return GroupedEquations(normal, right, power, weight, value[shared], PRIOR_PRECISION[shared], len(rows))


def estimate_errors(blocks: BlockSpectra, value: Array, free: NDArray[np.intp]) -> Array:
    """Estimate the standard errors (4,) of the free parameters; 0 for the others.

    An error is the larger one of two. One is the inverse of the information matrix. The other is the jackknife over
    groups of energies, which covers what the references miss. It is widened by Student's distribution where the groups
    are few. The prior of the parameter itself is left out, so an error above its width says that the data do not know.
    """
    fit = blocks.fit_blocks(value)
    group = group_energies(blocks.energies, find_structure_width(blocks.library))
    # A parameter at its bound moves no further and takes nothing from the others.
    bound = (np.arange(4) > 0) & ((value <= LOWEST + 0.5 * STEP) | (value >= HIGHEST - 0.5 * STEP))
    error = np.zeros(4)
    for index in free:
        moving = free[~bound[free] | (free == index)]
        equations = build_equations(blocks, value, moving, fit, group)
        error[index] = _estimate_error(equations, int(np.flatnonzero(moving == index)[0]))
    width = np.where(np.isfinite(HIGHEST), HIGHEST - LOWEST, np.inf)
    return np.minimum(error, width)


def _estimate_error(equations: GroupedEquations, position: int) -> float:
    """Estimate the standard error of one of the shared parameters."""
    from scipy.stats import t as student

    prior = equations.prior.copy()
    prior[position] = 0.0
    free = equations._replace(prior=prior)
    information = _add_ridge(free.compute_information() + np.diag(prior))
    exact = np.linalg.inv(information)[position, position]
    n_groups = equations.normal.shape[1]
    left_out = free.solve_shared(1.0 - np.eye(n_groups))[:, position]
    # With one group nothing can be left out.
    spread = (n_groups - 1) * float(left_out.var()) if n_groups > 1 else np.inf
    degrees = max(n_groups - equations.n_terms - prior.size, 1)
    # The quantile that holds 68 % in the middle, 1 for many groups.
    widened = np.sqrt(spread) * float(student.ppf(0.5 + 0.683 / 2, degrees))
    return float(max(np.sqrt(max(exact, 0.0)), widened))


def _differentiate(blocks: BlockSpectra, value: Array, index: int, amounts: Array) -> Array:
    """Differentiate the model (block, energy) by one shared parameter, at fixed amounts."""
    step = np.zeros(4)
    step[index] = STEP[index]
    low, high = np.maximum(value - step, LOWEST), value + step
    width = float((high - low)[index])
    if index == 1:
        # Stray light is corrected on the data, which fall where the model would rise.
        pair = [correct_stray_light(blocks.spectra, blocks.noise, one[1])[0] for one in (low, high)]
        return np.asarray((pair[0] - pair[1]) / width)
    pair = [apply_systematics(blocks.library, blocks.energies, one) for one in (low, high)]
    return np.asarray(amounts @ (pair[1] - pair[0]) / width)


def _sum_groups(equations: GroupedEquations, groups: Array) -> tuple[Array, Array, Array]:
    """Sum the equations over the groups with the weights (draw, group); the draws come first."""
    sums = [np.tensordot(groups, part, (1, 1)) for part in (equations.normal, equations.right, equations.power)]
    return sums[0], sums[1], sums[2]


def _eliminate_terms(equations: GroupedEquations, groups: Array) -> tuple[Array, Array]:
    """Eliminate the blocks' own terms; returns (draw, block, shared, shared) and (draw, block, shared)."""
    normal, right, _ = _sum_groups(equations, groups)
    t = equations.n_terms
    both = np.concatenate([normal[..., :t, t:], right[..., :t, None]], axis=-1)
    solved = np.linalg.solve(_add_ridge(normal[..., :t, :t]), both)
    cross = normal[..., :t, t:].swapaxes(-1, -2)
    return normal[..., t:, t:] - cross @ solved[..., :-1], right[..., t:] - (cross @ solved[..., -1:])[..., 0]


def _add_ridge(normal: Array) -> Array:
    """Add a relative ridge of 1e-10: terms that are not active have empty rows."""
    trace = np.trace(normal, axis1=-2, axis2=-1)
    ridge = 1e-10 * np.where(trace > 0, trace, 1.0)
    return np.asarray(normal + ridge[..., None, None] * np.eye(normal.shape[-1]))
