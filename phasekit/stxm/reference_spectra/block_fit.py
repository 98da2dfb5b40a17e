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
#: inverse variances of the priors: offset [eV], stray fraction, slope [1/eV], broadening [eV]
PRIOR_PRECISION = np.array([2.0, 0.05, 0.02, 0.3]) ** -2.0
LOWEST = np.array([-np.inf, 0.0, -0.2, 0.0])
HIGHEST = np.array([np.inf, 0.3, 0.2, 1.5])
#: steps of the numerical derivatives, well above the rounding of the interpolation
STEP = np.array([0.01, 0.002, 0.001, 0.02])
#: reduced chi-square at which a block's weight is halved: the references do not explain it
POOR_FIT = 3.0
_MOST_MIXED = 6
_FINE_EV = 0.05


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
    """Fits of all blocks at one value of the shared parameters."""

    residual: Array  # (block, energy), in units of the noise
    chi_square: Array  # (block,)
    mixture: NDArray[np.intp]  # (block,), index into ``BlockSpectra.mixtures``
    coefficient: Array  # (block, term): amount of each reference, constant


class BlockSpectra(NamedTuple):
    """Mean spectra (block, energy) and their noise, explained by mixtures of references and the shared parameters.

    The noise is infinite where a value is missing. ``n_mixed`` references mix in a block.
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
    def n_terms(self) -> int:
        """Number of free terms of one block: its amounts and a constant."""
        return len(self.mixtures[0]) + 1

    @property
    def degrees_of_freedom(self) -> Array:
        """Degrees of freedom (block,): energies that are there, minus the terms."""
        return np.maximum(np.isfinite(self.noise).sum(axis=1) - self.n_terms, 1).astype(np.float64)

    def leaves_a_degree_of_freedom(self) -> bool:
        """Say whether any block has more energies than terms."""
        return bool((np.isfinite(self.noise).sum(axis=1) > self.n_terms).any())

    def allow_mixtures(self) -> "BlockSpectra":
        """Let as many references mix as the energies can tell apart.

        Up to six are fitted exactly by trying every set; of more, pairs are taken.
        """
        n_references = len(self.library.names)
        n_mixed = min(n_references, max(self.energies.size - 2, 1)) if n_references <= _MOST_MIXED else 2
        return self._replace(n_mixed=n_mixed)

    def choose_mixtures(self, value: Array) -> "BlockSpectra":
        """Choose how many references mix in a block: 2 up to the number allowed, by the least reduced chi-square.

        Where all may mix and few do, amounts that are not there fit the effects of stray light.
        """
        numbers = range(min(2, self.n_mixed), self.n_mixed + 1)
        return min((self._replace(n_mixed=n) for n in numbers), key=lambda one: one.compute_misfit(value))

    def compute_misfit(self, value: Array) -> float:
        """Compute the median reduced chi-square of the blocks."""
        return float(np.median(self.fit_blocks(value).chi_square / self.degrees_of_freedom))

    def restrict(self, offset: float) -> "BlockSpectra":
        """Treat the energies that lie outside the references at this offset as missing."""
        inside = self.library.covers(self.energies + offset)
        return self if inside.all() else self._replace(noise=np.where(inside, self.noise, np.inf))

    def fit_blocks(self, value: Array, chosen: NDArray[np.intp] | None = None) -> BlockFit:
        """Fit every block with its best mixture, or with the one given by ``chosen`` (block,)."""
        shapes = apply_systematics(self.library, self.energies, value)
        spectra, noise = correct_stray_light(self.spectra, self.noise, value[1])
        n, n_references = len(spectra), len(shapes)
        fit = BlockFit(
            np.zeros_like(spectra), np.full(n, np.inf), np.zeros(n, np.intp), np.zeros((n, n_references + 1))
        )
        for index, mixture in enumerate(self.mixtures):
            rows = np.arange(n) if chosen is None else np.flatnonzero(chosen == index)
            if rows.size == 0:
                continue
            design = np.vstack([shapes[list(mixture)], np.ones((1, self.energies.size))])
            found = solve_non_negative(design, spectra[rows], noise[rows] ** -2.0, len(mixture), covariance=False)
            better = found.chi_square < fit.chi_square[rows]
            at = rows[better]
            fit.chi_square[at], fit.mixture[at] = found.chi_square[better], index
            fit.coefficient[at] = 0.0
            fit.coefficient[np.ix_(at, np.array([*mixture, n_references]))] = found.coefficient[better]
            fit.residual[at] = ((spectra[rows] - found.coefficient @ design) / noise[rows])[better]
        return fit

    def compute_weights(self, chi_square: Array) -> Array:
        """Compute the Cauchy weights (block,): blocks that the references do not explain lose theirs."""
        return 1.0 / (1.0 + chi_square / (self.degrees_of_freedom * POOR_FIT))

    def compute_cost(self, chi_square: Array) -> Array:
        """Compute the cost (block,) that belongs to the Cauchy weights: it grows slowly for unexplained blocks."""
        return np.log1p(chi_square / (self.degrees_of_freedom * POOR_FIT))

    def refine(self, value: Array, free: NDArray[np.intp], limits: tuple[float, float]) -> Array:
        """Refine the free parameters by least squares, repeated with renewed mixtures and weights of the blocks."""
        value = value.copy()
        # The solver needs start values inside the bounds.
        value[free] = np.maximum(value[free], np.array([-np.inf, 1e-3, -np.inf, 1e-2])[free])
        lowest, highest = LOWEST.copy(), HIGHEST.copy()
        lowest[0], highest[0] = limits[0] - 0.1, limits[1] + 0.1
        for _ in range(8):
            before = value.copy()
            # The energies used stay the same within one solution, or dropping one would look like a better fit.
            blocks = self.restrict(value[0])
            fit = blocks.fit_blocks(value)
            reduced = float(np.median(fit.chi_square / blocks.degrees_of_freedom))
            weight = blocks.compute_weights(fit.chi_square) / max(reduced, 1.0)
            problem = _LeastSquaresProblem(blocks, value, free, fit.mixture, np.sqrt(weight))
            found = optimize.least_squares(
                problem.compute_residual,
                value[free],
                problem.compute_jacobian,
                (lowest[free], highest[free]),
                x_scale=STEP[free],
                max_nfev=15,
            )
            value[free] = found.x
            if np.abs((value - before) / STEP).max() < 0.1:
                break
        return value


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
        data = self.blocks.fit_blocks(value, self.mixture_of_block).residual * self.root_weight[:, None]
        return np.concatenate([data.ravel(), free_values * np.sqrt(PRIOR_PRECISION[self.free])])

    def compute_jacobian(self, free_values: Array) -> Array:
        """Compute the derivatives of the residuals by central differences, one-sided at a lower bound."""
        columns = []
        for position, index in enumerate(self.free):
            step = np.zeros(free_values.size)
            step[position] = STEP[index]
            low = np.maximum(free_values - step, LOWEST[self.free])
            width = float((free_values + step - low)[position])
            columns.append((self.compute_residual(free_values + step) - self.compute_residual(low)) / width)
        return np.stack(columns, axis=1)
