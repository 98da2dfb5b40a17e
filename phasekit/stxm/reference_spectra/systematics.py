"""What all pixels share: the energy offset, stray light, a background slope and the resolution, found together.

Each of them bends every spectrum of the stack in its own way, so blocks of pixels tell them apart although none is
known: an offset moves the edge, stray light flattens thick blocks only, a slope grows with thickness.
"""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ...errors import SchemaError
from ...schema import NUISANCES, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from ..preprocessing.stray_light import correct_stray_light
from .library import Library, build_library, compute_block_means
from .non_negative import solve_non_negative

Array = NDArray[np.float64]
_NAMES = ("energy_offset", "stray_light", "background_slope", "broadening")
#: standard deviation of what is expected before looking: offset [eV], stray fraction, slope [1/eV], broadening [eV]
_PRIOR = np.array([2.0, 0.05, 0.02, 0.3])
_LOWEST = np.array([-np.inf, 0.0, -0.2, 0.0])
_HIGHEST = np.array([np.inf, 0.3, 0.2, 1.5])
#: steps of the numerical derivatives, well above the rounding of the interpolation
_STEP = np.array([0.01, 0.002, 0.001, 0.02])
#: chi-square per degree of freedom from which a block is taken for one that the references do not explain
_POOR_FIT = 3.0
_FINE_EV = 0.05
_START_SLOPES = (-0.02, -0.01, 0.01, 0.02)  # 1/eV, that are tried to begin with
_CURE = "needs a number or 'fit'."


class SharedParameters(NamedTuple):
    """Values and standard errors in the order of ``_NAMES``, and the median reduced chi-square of the blocks."""

    value: Array
    error: Array
    misfit: float

    def spectra(self, library: Library, energies: Array) -> Array:
        """Reference spectra (reference, energy) as this stack shows them, stray light apart."""
        return apply_systematics(library, energies, self.value)


def fit_systematics(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    energy_offset: float | str = "fit",
    stray_light: float | str = "fit",
    background_slope: float | str = "fit",
    broadening: float | str = 0.0,
    max_offset_ev: float = 1.5,
) -> xr.Dataset:
    """Find what bends all spectra of a stack alike: energy offset, stray light, background slope, broadening.

    Means of blocks of 6 x 6 material pixels are fitted with two references and a constant each, and with the four
    shared numbers. Blocks that the references do not explain (an unknown phase) lose their weight.

    Parameters
    ----------
    od, refs
        OD, and REFERENCES that cover its energies.
    energy_offset
        Energy to add to the data's scale to reach the references' [eV]; "fit" or a number, as the next ones.
    stray_light
        Fraction of I0 that never crossed the sample, on top of what ``optical_density`` took off.
    background_slope
        Background per thickness that is straight in energy, relative to the mean of the references [1/eV]: 0.02 adds 2
        percent of the mean absorption per eV, as a wrong pre-edge subtraction does.
    broadening
        Standard deviation of a Gaussian that the references still lack [eV]; not fitted unless asked for, because few
        energies cannot tell it from a mixture.
    max_offset_ev
        Largest offset looked for, in both directions.

    Returns
    -------
    xarray.Dataset
        NUISANCES: scalars ``energy_offset`` [eV], ``stray_light``, ``background_slope`` [1/eV], ``broadening`` [eV],
        each with ``.._error`` (standard error, 0 for a given number, NaN where nothing could be fitted), ``misfit``
        (median reduced chi-square of the blocks: near 1 when references and noise are right) and ``n_blocks``.

    Raises
    ------
    SchemaError
        The references do not cover the energies, a setting is neither a number nor "fit", or lies out of range.

    Notes
    -----
    Reads the block means into memory (1/36 of the stack). What the data cannot tell stays at 0: each number has a
    prior, 2 eV, 0.05, 0.02 / eV and 0.3 eV wide. On simulated stacks of 4 to 20 energies with noise 0.05 the offset is
    within 0.05 eV and stray light within 0.03 of the truth.

    Examples
    --------
    >>> energy = np.arange(510.0, 530.0, 1.0)
    >>> edge = lambda centre: np.exp(-((energy - centre) ** 2) / 4) + 0.5 / (1 + np.exp(centre - energy))
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [edge(517), edge(519)])},
    ...                   coords={"reference": ["V3", "V4"], "energy": ("energy", energy, {"units": "eV"})})
    >>> at = refs.interp(energy=energy[3:-3] + 0.3)["reference_spectrum"].values
    >>> depth = np.linspace(0.3, 2.5, 144).reshape(12, 12)
    >>> cube = -np.log(0.95 * np.exp(-depth * at[0][:, None, None]) + 0.05)
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.01)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))},
    ...                 coords={"energy": ("energy", energy[3:-3], {"units": "eV"})})
    >>> found = fit_systematics(od, refs)
    >>> round(float(found["energy_offset"]), 1), round(float(found["stray_light"]), 2)
    (0.3, 0.05)
    """
    require(od, OD, step="fit_systematics")
    require(refs, REFERENCES, step="fit_systematics")
    library = build_library(refs, od["energy"], step="fit_systematics", n_nuisance=1)
    wanted = {"energy_offset": energy_offset, "stray_light": stray_light}
    wanted |= {"background_slope": background_slope, "broadening": broadening}
    shared, n_blocks = fit_shared_parameters(od, library, wanted, limit=max_offset_ev, step="fit_systematics")
    settings: dict[str, Any] = {**wanted, "max_offset_ev": max_offset_ev}
    out = shared_variables(shared).assign(misfit=((), shared.misfit), n_blocks=((), n_blocks))
    return describe(out, NUISANCES, step="fit_systematics", settings=settings, source=od)


def fit_shared_parameters(
    od: xr.Dataset, library: Library, wanted: dict[str, float | str], *, limit: float, step: str
) -> tuple[SharedParameters, int]:
    """Shared numbers as given or fitted, and the number of blocks they rest on."""
    given, free = _split_settings(wanted, step)
    if not free.size:
        return SharedParameters(given, np.zeros(4), np.nan), 0
    material = find_material(od)
    spectra, noise = compute_block_means(od, material)
    if len(spectra) == 0:
        return SharedParameters(given, np.where(np.isin(np.arange(4), free), np.nan, 0.0), np.nan), 0
    blocks = _BlockSpectra(library, od["energy"].values.astype(np.float64), spectra, noise)
    return blocks.fit(given, free, limit), len(spectra)


def _split_settings(wanted: dict[str, float | str], step: str) -> tuple[Array, NDArray[np.intp]]:
    """Values to start from, and the indices of those to fit."""
    for name, value in wanted.items():
        if isinstance(value, str) and value != "fit":
            raise SchemaError(f"{step}: {name}={value!r}, {_CURE}")
    given = np.array([0.0 if isinstance(wanted[name], str) else float(wanted[name]) for name in _NAMES])
    if not (np.isfinite(given).all() and 0 <= given[1] < 1 and given[3] >= 0):
        raise SchemaError(f"{step}: got {wanted}, needs finite numbers, stray_light in [0, 1), broadening >= 0.")
    return given, np.array([i for i, name in enumerate(_NAMES) if isinstance(wanted[name], str)], dtype=np.intp)


def apply_systematics(library: Library, energies: Array, value: Array) -> Array:
    """References at the true energies, broadened, with the slope of the background in them."""
    offset, _, slope, broadening = value
    spectra = library.at(energies + offset)
    if broadening > 0:
        fine = np.arange(library.energies[0], library.energies[-1] + _FINE_EV, _FINE_EV)
        soft = ndimage.gaussian_filter1d(library.at(fine), broadening / _FINE_EV, axis=1, mode="nearest")
        spectra = np.stack([np.interp(energies + offset, fine, row) for row in soft])
    return np.asarray(spectra + slope * (energies - energies.mean()) * spectra.mean())


class _BlockSpectra(NamedTuple):
    """Mean spectra of blocks and their noise, to be explained by pairs of references and the shared numbers."""

    library: Library
    energies: Array
    spectra: Array
    noise: Array

    @property
    def pairs(self) -> list[tuple[int, ...]]:
        n = len(self.library.names)
        return list(combinations(range(n), 2)) or [(0,)]

    @property
    def freedom(self) -> int:
        return max(self.energies.size - len(self.pairs[0]) - 1, 1)

    def misfit(self, value: Array, chosen: NDArray[np.intp] | None = None) -> tuple[Array, Array, NDArray[np.intp]]:
        """Normalised residuals (n, energy), chi-square (n,) and pair (n,) of every block: the best, or as told."""
        bent = apply_systematics(self.library, self.energies, value)
        spectra, noise = correct_stray_light(self.spectra, self.noise, value[1])
        residual, best = np.zeros_like(spectra), np.full(len(spectra), np.inf)
        pair_of = np.zeros(len(spectra), dtype=np.intp)
        for index, pair in enumerate(self.pairs):
            rows = np.arange(len(spectra)) if chosen is None else np.flatnonzero(chosen == index)
            if rows.size == 0:
                continue
            design = np.vstack([bent[list(pair)], np.ones((1, self.energies.size))])
            found = solve_non_negative(design, spectra[rows], noise[rows] ** -2.0, len(pair))
            better = found.chi_square < best[rows]
            best[rows[better]], pair_of[rows[better]] = found.chi_square[better], index
            left = (spectra[rows] - found.coefficient @ design) / noise[rows]
            residual[rows[better]] = left[better]
        return residual, best, pair_of

    def start(self, value: Array, free: NDArray[np.intp], limit: float) -> Array:
        """Value with offset and slope at the best of a grid, under a cost to which strange blocks add little.

        Both move the edge against the pre-edge, so from a wrong slope the offset runs into a valley of its own.
        """
        slopes = (0.0, *_START_SLOPES) if 2 in free else (value[2],)
        tried = []
        for slope in slopes:
            n = 2 * round(limit / (0.1 if slope == slopes[0] else 0.2)) + 1
            for offset in np.linspace(-limit, limit, n) if 0 in free else (value[0],):
                guess = np.array([offset, value[1], slope, value[3]])
                chi_square = self.misfit(guess)[1]
                tried.append((float(np.log1p(chi_square / (self.freedom * _POOR_FIT)).sum()), guess))
        return min(tried, key=lambda one: one[0])[1]

    def fit(self, value: Array, free: NDArray[np.intp], limit: float) -> SharedParameters:
        """Least squares over the free numbers, repeated with the pairs and the weights of the blocks it leads to."""
        value = self.start(value, free, limit)
        value[free] = np.maximum(value[free], np.array([-np.inf, 1e-3, -np.inf, 1e-2])[free])
        lowest, highest = _LOWEST.copy(), _HIGHEST.copy()
        lowest[0], highest[0] = -limit - 0.1, limit + 0.1
        for _ in range(8):
            before = value.copy()
            _, chi_square, pair = self.misfit(value)
            weight = 1.0 / (1.0 + chi_square / (self.freedom * _POOR_FIT))
            spread = max(float(np.median(chi_square)) / self.freedom, 1.0)
            task = _LeastSquaresProblem(self, value, free, pair, np.sqrt(weight / spread))
            found = optimize.least_squares(
                task.residual,
                value[free],
                task.jacobian,
                (lowest[free], highest[free]),
                x_scale=_STEP[free],
                max_nfev=15,
            )
            value[free] = found.x
            if np.abs((value - before) / _STEP).max() < 0.1:
                break
        error = np.zeros(4)
        error[free] = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
        return SharedParameters(value, error, float(np.median(self.misfit(value)[1])) / self.freedom)


class _LeastSquaresProblem(NamedTuple):
    """One least-squares problem: pairs and weights of the blocks stay, the free numbers move."""

    blocks: _BlockSpectra
    value: Array
    free: NDArray[np.intp]
    pair: NDArray[np.intp]
    root_weight: Array

    def residual(self, moved: Array) -> Array:
        value = self.value.copy()
        value[self.free] = moved
        data = self.blocks.misfit(value, self.pair)[0] * self.root_weight[:, None]
        return np.concatenate([data.ravel(), moved / _PRIOR[self.free]])

    def jacobian(self, moved: Array) -> Array:
        columns = []
        for position, index in enumerate(self.free):
            step = np.zeros(moved.size)
            step[position] = _STEP[index]
            low = np.maximum(moved - step, _LOWEST[self.free])
            width = float((moved + step - low)[position])
            columns.append((self.residual(moved + step) - self.residual(low)) / width)
        return np.stack(columns, axis=1)


def shared_variables(shared: SharedParameters) -> xr.Dataset:
    """Values and standard errors as scalar variables of a dataset."""
    values = {name: ((), float(value)) for name, value in zip(_NAMES, shared.value, strict=True)}
    errors = {f"{name}_error": ((), float(error)) for name, error in zip(_NAMES, shared.error, strict=True)}
    return xr.Dataset(values | errors)
