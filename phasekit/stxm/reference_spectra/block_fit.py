"""Fit."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ..preprocessing.stray_light import correct_stray_light
from .library import Library
from .non_negative import solve_non_negative

Array = NDArray[np.float64]
#: standard deviation of what is expected before looking: offset [eV], stray fraction, slope [1/eV], broadening [eV]
_PRIOR = np.array([2.0, 0.05, 0.02, 0.3])
_LOWEST = np.array([-np.inf, 0.0, -0.2, 0.0])
_HIGHEST = np.array([np.inf, 0.3, 0.2, 1.5])
#: steps of the numerical derivatives, well above the rounding of the interpolation
_STEP = np.array([0.01, 0.002, 0.001, 0.02])
#: chi-square per degree of freedom from which a block is taken for one that the references do not explain
_POOR_FIT = 3.0
_FINE_EV = 0.05
_START_SLOPES = (-0.02, -0.01, 0.01, 0.02)  # 1/eV, that are costs to begin with


def apply_systematics(library: Library, energies: Array, value: Array) -> Array:
    """References at the true energies, broadened, with the slope of the background in them."""
    offset, _, slope, broadening = value
    spectra = library.at(energies + offset)
    if broadening > 0:
        fine = np.arange(library.energies[0], library.energies[-1] + _FINE_EV, _FINE_EV)
        broadened = ndimage.gaussian_filter1d(library.at(fine), broadening / _FINE_EV, axis=1, mode="nearest")
        spectra = np.stack([np.interp(energies + offset, fine, row) for row in broadened])
    return np.asarray(spectra + slope * (energies - energies.mean()) * spectra.mean())


class BlockFit(NamedTuple):
    """Fit."""

    value: Array
    error: Array
    misfit: float


class BlockSpectra(NamedTuple):
    """Mean spectra of blocks and their noise, to be explained by pairs of references and the shared numbers."""

    library: Library
    energies: Array
    spectra: Array
    noise: Array

    @property
    def reference_pairs(self) -> list[tuple[int, ...]]:
        n = len(self.library.names)
        return list(combinations(range(n), 2)) or [(0,)]

    @property
    def degrees_of_freedom(self) -> int:
        return max(self.energies.size - len(self.reference_pairs[0]) - 1, 1)

    def compute_residuals(
        self, value: Array, chosen: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array, NDArray[np.intp]]:
        """Normalised residuals (n, energy), chi-square (n,) and pair (n,) of every block: the best, or as told."""
        shapes = apply_systematics(self.library, self.energies, value)
        spectra, noise = correct_stray_light(self.spectra, self.noise, value[1])
        residual, best = np.zeros_like(spectra), np.full(len(spectra), np.inf)
        pair_of = np.zeros(len(spectra), dtype=np.intp)
        for index, pair in enumerate(self.reference_pairs):
            rows = np.arange(len(spectra)) if chosen is None else np.flatnonzero(chosen == index)
            if rows.size == 0:
                continue
            design = np.vstack([shapes[list(pair)], np.ones((1, self.energies.size))])
            found = solve_non_negative(design, spectra[rows], noise[rows] ** -2.0, len(pair))
            better = found.chi_square < best[rows]
            best[rows[better]], pair_of[rows[better]] = found.chi_square[better], index
            left = (spectra[rows] - found.coefficient @ design) / noise[rows]
            residual[rows[better]] = left[better]
        return residual, best, pair_of

    def find_start(self, value: Array, free: NDArray[np.intp], limit: float) -> Array:
        """Value with offset and slope at the best of a grid, under a cost to which strange blocks add little.

        Both move the edge against the pre-edge, so from a wrong slope the offset runs into a valley of its own.
        """
        slopes = (0.0, *_START_SLOPES) if 2 in free else (value[2],)
        costs = []
        for slope in slopes:
            n = 2 * round(limit / (0.1 if slope == slopes[0] else 0.2)) + 1
            for offset in np.linspace(-limit, limit, n) if 0 in free else (value[0],):
                guess = np.array([offset, value[1], slope, value[3]])
                chi_square = self.compute_residuals(guess)[1]
                costs.append((float(np.log1p(chi_square / (self.degrees_of_freedom * _POOR_FIT)).sum()), guess))
        return min(costs, key=lambda one: one[0])[1]

    def fit_parameters(self, value: Array, free: NDArray[np.intp], limit: float) -> BlockFit:
        """Least squares over the free numbers, repeated with the pairs and the weights of the blocks it leads to."""
        value = self.find_start(value, free, limit)
        value[free] = np.maximum(value[free], np.array([-np.inf, 1e-3, -np.inf, 1e-2])[free])
        lowest, highest = _LOWEST.copy(), _HIGHEST.copy()
        lowest[0], highest[0] = -limit - 0.1, limit + 0.1
        for _ in range(8):
            before = value.copy()
            _, chi_square, pair = self.compute_residuals(value)
            weight = 1.0 / (1.0 + chi_square / (self.degrees_of_freedom * _POOR_FIT))
            spread = max(float(np.median(chi_square)) / self.degrees_of_freedom, 1.0)
            problem = _LeastSquaresProblem(self, value, free, pair, np.sqrt(weight / spread))
            found = optimize.least_squares(
                problem.compute_residual,
                value[free],
                problem.compute_jacobian,
                (lowest[free], highest[free]),
                x_scale=_STEP[free],
                max_nfev=15,
            )
            value[free] = found.x
            if np.abs((value - before) / _STEP).max() < 0.1:
                break
        error = np.zeros(4)
        error[free] = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
        return BlockFit(value, error, float(np.median(self.compute_residuals(value)[1])) / self.degrees_of_freedom)


class _LeastSquaresProblem(NamedTuple):
    """One least-squares problem: pairs and weights of the blocks stay, the free numbers move."""

    blocks: BlockSpectra
    value: Array
    free: NDArray[np.intp]
    pair_of_block: NDArray[np.intp]
    root_weight: Array

    def compute_residual(self, free_values: Array) -> Array:
        value = self.value.copy()
        value[self.free] = free_values
        data = self.blocks.compute_residuals(value, self.pair_of_block)[0] * self.root_weight[:, None]
        return np.concatenate([data.ravel(), free_values / _PRIOR[self.free]])

    def compute_jacobian(self, free_values: Array) -> Array:
        columns = []
        for position, index in enumerate(self.free):
            step = np.zeros(free_values.size)
            step[position] = _STEP[index]
            low = np.maximum(free_values - step, _LOWEST[self.free])
            width = float((free_values + step - low)[position])
            columns.append((self.compute_residual(free_values + step) - self.compute_residual(low)) / width)
        return np.stack(columns, axis=1)
