"""Parameters that all pixels of a stack share: energy offset, stray light, background slope and broadening.

Each of them changes every spectrum of the stack in its own way. An offset moves the edge, stray light flattens thick
pixels only, and a slope grows with the thickness. Blocks of pixels can therefore tell them apart.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import NUISANCES, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from .block_fit import BlockSpectra, apply_systematics
from .library import Library, build_library, compute_block_means

Array = NDArray[np.float64]
_NAMES = ("energy_offset", "stray_light", "background_slope", "broadening")
_CURE = "needs a number or 'fit'."


class SharedParameters(NamedTuple):
    """Values and standard errors in the order of ``_NAMES``, and the median reduced chi-square of the blocks."""

    value: Array
    error: Array
    misfit: float

    def spectra(self, library: Library, energies: Array) -> Array:
        """Reference spectra (reference, energy) as this stack shows them, apart from stray light."""
        return apply_systematics(library, energies, self.value)


class EnergyOffset(NamedTuple):
    """Energy to add to the data's scale to reach the references' [eV], its standard error, reduced chi-square."""

    value: float
    error: float
    misfit: float


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
    r"""Estimate the systematic errors that all spectra share: energy offset, stray light, background slope, broadening.

    Means of blocks of 6 x 6 material pixels are fitted with two references and a constant each. The shared parameters
    are fitted to all blocks together. Blocks that the references do not explain (an unknown phase) lose their weight.

    Parameters
    ----------
    od, refs
        OD, and REFERENCES that cover its energies.
    energy_offset
        Energy to add to the data's scale to reach that of the references [eV]. "fit", or a number that is taken as
        known. The same holds for the next three.
    stray_light
        Fraction of I0 that never crossed the sample, beyond what ``optical_density`` subtracted.
    background_slope
        Background proportional to the thickness and linear in energy, relative to the mean of the references [1/eV].
        0.02 adds 2 percent of the mean absorption per eV, as a wrong pre-edge subtraction does.
    broadening
        Standard deviation of a Gaussian by which the data are broader than the references [eV].
        It is not fitted unless asked for, because few energies cannot tell it from a mixture.
    max_offset_ev
        Largest offset, in both directions [eV].

    Returns
    -------
    xarray.Dataset
        NUISANCES with the scalars ``energy_offset`` [eV], ``stray_light``, ``background_slope`` [1/eV] and
        ``broadening`` [eV]. Each has its ``.._error``: a standard error, 0 for a given number, NaN where nothing could
        be fitted. ``misfit`` is the median reduced chi-square of the blocks, near 1 when references and noise are
        right. ``n_blocks`` is their number.

    Raises
    ------
    SchemaError
        The references do not cover the energies, a setting is neither a number nor "fit", or lies out of range.

    See Also
    --------
    label_phases : Fits the same parameters by itself before the map.
    remove_stray_light : Correct the optical density for the fraction found here.
    fit_references : Fit the amounts of the references in every pixel.

    Notes
    -----
    A block shows the references :math:`S_i` with offset :math:`\delta`, Gaussian :math:`G_\beta` and slope s as

    .. math:: S'_i(E) = (G_\beta * S_i)(E + \delta) + s \, (E - \bar E) \, \bar S,

    and with the stray fraction f, amounts :math:`a_i \ge 0` and a constant b as

    .. math:: \mathrm{OD}(E) = -\ln\Big[(1 - f) \exp\Big(-\sum_i a_i S'_i(E) - b\Big) + f\Big].

    The residuals are weighted by Cauchy weights, :math:`1 / (1 + \chi^2 / 3\nu)` with :math:`\nu` degrees of freedom of
    a block. Each parameter has a Gaussian prior around 0, of width 2 eV, 0.05, 0.02 / eV and 0.3 eV. What the data
    cannot tell therefore stays at 0. The block means (1/36 of the stack) are read into memory.

    On simulated stacks of 4 to 20 energies with noise 0.05 the offset is within 0.05 eV of the truth. Stray light is
    within 0.03.

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
    require(od, OD, step="fit_systematics", argument="od")
    require(refs, REFERENCES, step="fit_systematics", argument="refs")
    # One background term, the constant; the slope belongs to the references.
    library = build_library(refs, od["energy"], step="fit_systematics", n_nuisance=1)
    wanted = {"energy_offset": energy_offset, "stray_light": stray_light}
    # The order of the settings is that of the parameters in every array.
    wanted |= {"background_slope": background_slope, "broadening": broadening}
    shared, n_blocks = fit_shared_parameters(od, library, wanted, limit=max_offset_ev, step="fit_systematics")
    settings: dict[str, Any] = {**wanted, "max_offset_ev": max_offset_ev}
    out = shared_variables(shared).assign(misfit=((), shared.misfit), n_blocks=((), n_blocks))
    return describe(out, NUISANCES, step="fit_systematics", settings=settings, source=od)


def fit_shared_parameters(
    od: xr.Dataset, library: Library, wanted: dict[str, float | str], *, limit: float, step: str, n_mixed: int = 2
) -> tuple[SharedParameters, int]:
    """Take the shared parameters as given or fit them, and count the blocks they rest on.

    ``n_mixed`` references mix in a block.
    """
    given, free = _split_settings(wanted, step)
    if not free.size:
        # Numbers that are given have no error, and no data need be read.
        return SharedParameters(given, np.zeros(4), np.nan), 0
    material = find_material(od)
    spectra, noise = compute_block_means(od, material)
    # A field without material says nothing: NaN errors mark what could not be fitted.
    if len(spectra) == 0:
        return SharedParameters(given, np.where(np.isin(np.arange(4), free), np.nan, 0.0), np.nan), 0
    # Block means have little noise, so the logarithm in the stray-light correction does not bias them.
    blocks = BlockSpectra(library, od["energy"].values.astype(np.float64), spectra, noise, n_mixed)
    return SharedParameters(*blocks.fit_parameters(given, free, limit)), len(spectra)


def find_energy_offset(
    od: xr.Dataset, library: Library, energy_offset: float | str, *, limit: float, step: str
) -> EnergyOffset:
    """Take the energy offset as given or fit it alone, for methods that correct no other systematic effect.

    Any number of references may mix in a block, as in the fits with references that use this offset.
    """
    wanted: dict[str, float | str] = dict.fromkeys(_NAMES, 0.0)
    wanted["energy_offset"] = energy_offset
    shared, _ = fit_shared_parameters(od, library, wanted, limit=limit, step=step, n_mixed=len(library.names))
    return EnergyOffset(float(shared.value[0]), float(shared.error[0]), shared.misfit)


def _split_settings(wanted: dict[str, float | str], step: str) -> tuple[Array, NDArray[np.intp]]:
    """Split the settings into start values and the indices of the parameters to fit."""
    for name, value in wanted.items():
        if isinstance(value, str) and value != "fit":
            raise SchemaError(f"{step}: {name}={value!r}, {_CURE}")
    # Numbers to be fitted start at 0, the middle of their prior.
    given = np.array([0.0 if isinstance(wanted[name], str) else float(wanted[name]) for name in _NAMES])
    if not (np.isfinite(given).all() and 0 <= given[1] < 1 and given[3] >= 0):
        raise SchemaError(f"{step}: got {wanted}, needs finite numbers, stray_light in [0, 1), broadening >= 0.")
    return given, np.array([i for i, name in enumerate(_NAMES) if isinstance(wanted[name], str)], dtype=np.intp)


def shared_variables(shared: SharedParameters) -> xr.Dataset:
    """Values and standard errors as scalar variables of a dataset."""
    values = {name: ((), float(value)) for name, value in zip(_NAMES, shared.value, strict=True)}
    errors = {f"{name}_error": ((), float(error)) for name, error in zip(_NAMES, shared.error, strict=True)}
    return xr.Dataset(values | errors)
