"""Robust least-squares fit of the shared parameters to the mean spectra of blocks of pixels.

Amounts and constants of the blocks are eliminated by exact non-negative fits at every step. Only the shared
parameters are varied. Their order is energy offset, stray light, background slope, broadening.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ..preprocessing.stray_light import correct_stray_light
from .library import Library
from .non_negative import solve_non_negative

Array = NDArray[np.float64]
#: standard deviations of the priors: offset [eV], stray fraction, slope [1/eV], broadening [eV]
_PRIOR = np.array([2.0, 0.05, 0.02, 0.3])
_LOWEST = np.array([-np.inf, 0.0, -0.2, 0.0])
_HIGHEST = np.array([np.inf, 0.3, 0.2, 1.5])
#: steps of the numerical derivatives, well above the rounding of the interpolation
_STEP = np.array([0.01, 0.002, 0.001, 0.02])
#: reduced chi-square at which a block's weight is halved: the references do not explain it
_POOR_FIT = 3.0
_FINE_EV = 0.05
_START_SLOPES = (-0.02, -0.01, 0.01, 0.02)  # 1/eV, the start values besides 0


def apply_systematics(library: Library, energies: Array, value: Array) -> Array:
    """Apply offset, broadening and background slope to the references; returns (reference, energy).

    ``value`` holds the four shared parameters. Stray light is left out, because it is corrected on the data.
    """
    offset, _, slope, broadening = value
    spectra = library.at(energies + offset)
    if broadening > 0:
        # A Gaussian filter needs an even grid, much finer than the broadening.
        fine = np.arange(library.energies[0], library.energies[-1] + _FINE_EV, _FINE_EV)
        broadened = ndimage.gaussian_filter1d(library.at(fine), broadening / _FINE_EV, axis=1, mode="nearest")
        spectra = np.stack([np.interp(energies + offset, fine, row) for row in broadened])
    return np.asarray(spectra + slope * (energies - energies.mean()) * spectra.mean())


class BlockFit(NamedTuple):
    """Values and standard errors of the four shared parameters, and the median reduced chi-square of the blocks."""

    value: Array
    error: Array
    misfit: float


class BlockSpectra(NamedTuple):
    """Mean spectra (block, energy) and their noise, explained by mixtures of references and the shared parameters.

    ``n_mixed`` references mix in a block: two where a map of phases is sought, because a block rarely holds more and
    fewer terms leave more to test; all of them where every pixel may be any mixture.
    """

    library: Library
    energies: Array
    spectra: Array
    noise: Array
    n_mixed: int = 2

    @property
    def mixtures(self) -> list[tuple[int, ...]]:
        """All choices of ``n_mixed`` references, as indices."""
        n = len(self.library.names)
        return list(combinations(range(n), min(self.n_mixed, n)))

    @property
    def degrees_of_freedom(self) -> int:
        """Degrees of freedom of one block: energies minus its amounts and a constant."""
        return max(self.energies.size - len(self.mixtures[0]) - 1, 1)

    def compute_residuals(
        self, value: Array, chosen: NDArray[np.intp] | None = None
    ) -> tuple[Array, Array, NDArray[np.intp]]:
        """Compute the normalised residuals (block, energy), chi-square (block,) and mixture (block,) of every block.

        The best mixture is taken, or the one given by ``chosen`` (block,).
        """
        shapes = apply_systematics(self.library, self.energies, value)
        spectra, noise = correct_stray_light(self.spectra, self.noise, value[1])
        residual, best = np.zeros_like(spectra), np.full(len(spectra), np.inf)
        mixture_of = np.zeros(len(spectra), dtype=np.intp)
        for index, mixture in enumerate(self.mixtures):
            rows = np.arange(len(spectra)) if chosen is None else np.flatnonzero(chosen == index)
            if rows.size == 0:
                continue
            design = np.vstack([shapes[list(mixture)], np.ones((1, self.energies.size))])
            found = solve_non_negative(design, spectra[rows], noise[rows] ** -2.0, len(mixture))
            better = found.chi_square < best[rows]
            best[rows[better]], mixture_of[rows[better]] = found.chi_square[better], index
            left = (spectra[rows] - found.coefficient @ design) / noise[rows]
            residual[rows[better]] = left[better]
        return residual, best, mixture_of

    def find_start(self, value: Array, free: NDArray[np.intp], limit: float) -> Array:
        """Find start values of offset and slope on a grid, under a cost to which badly explained blocks add little.

        Both parameters move the edge against the pre-edge. From a wrong slope the offset runs into a local minimum.
        """
        slopes = (0.0, *_START_SLOPES) if 2 in free else (value[2],)
        costs = []
        for slope in slopes:
            # The grid over offsets is fine at slope 0, the usual case, and twice as coarse elsewhere.
            n = 2 * round(limit / (0.1 if slope == slopes[0] else 0.2)) + 1
            for offset in np.linspace(-limit, limit, n) if 0 in free else (value[0],):
                guess = np.array([offset, value[1], slope, value[3]])
                chi_square = self.compute_residuals(guess)[1]
                # The logarithm is the cost of the Cauchy weights: it grows slowly for blocks that no reference
                # explains.
                costs.append((float(np.log1p(chi_square / (self.degrees_of_freedom * _POOR_FIT)).sum()), guess))
        return min(costs, key=lambda one: one[0])[1]

    def fit_parameters(self, value: Array, free: NDArray[np.intp], limit: float) -> BlockFit:
        """Fit the free parameters by least squares, repeated with renewed mixtures and weights of the blocks."""
        value = self.find_start(value, free, limit)
        # The solver needs start values inside the bounds.
        value[free] = np.maximum(value[free], np.array([-np.inf, 1e-3, -np.inf, 1e-2])[free])
        lowest, highest = _LOWEST.copy(), _HIGHEST.copy()
        lowest[0], highest[0] = -limit - 0.1, limit + 0.1
        for _ in range(8):
            before = value.copy()
            _, chi_square, mixture = self.compute_residuals(value)
            weight = 1.0 / (1.0 + chi_square / (self.degrees_of_freedom * _POOR_FIT))
            # Imperfect references raise chi-square everywhere; the errors must grow by as much.
            spread = max(float(np.median(chi_square)) / self.degrees_of_freedom, 1.0)
            problem = _LeastSquaresProblem(self, value, free, mixture, np.sqrt(weight / spread))
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
        # The Cramer-Rao bound: the inverse of the information matrix, priors included.
        error[free] = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
        return BlockFit(value, error, float(np.median(self.compute_residuals(value)[1])) / self.degrees_of_freedom)


class _LeastSquaresProblem(NamedTuple):
    """One least-squares problem: mixtures and weights of the blocks are fixed, the free parameters vary."""

    blocks: BlockSpectra
    value: Array
    free: NDArray[np.intp]
    mixture_of_block: NDArray[np.intp]
    root_weight: Array

    def compute_residual(self, free_values: Array) -> Array:
        """Compute the residuals of all blocks, followed by those of the priors."""
        value = self.value.copy()
        value[self.free] = free_values
        data = self.blocks.compute_residuals(value, self.mixture_of_block)[0] * self.root_weight[:, None]
        return np.concatenate([data.ravel(), free_values / _PRIOR[self.free]])

    def compute_jacobian(self, free_values: Array) -> Array:
        """Compute the derivatives of the residuals by central differences, one-sided at a lower bound."""
        columns = []
        for position, index in enumerate(self.free):
            step = np.zeros(free_values.size)
            step[position] = _STEP[index]
            low = np.maximum(free_values - step, _LOWEST[self.free])
            width = float((free_values + step - low)[position])
            columns.append((self.compute_residual(free_values + step) - self.compute_residual(low)) / width)
        return np.stack(columns, axis=1)
