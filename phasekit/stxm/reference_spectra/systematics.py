"""Parameters that all pixels of a stack share: energy offset, stray light, background slope and broadening.

Each of them changes every spectrum of the stack in its own way. An offset moves the edge, stray light flattens thick
pixels only, and a slope grows with the thickness. Blocks of pixels can therefore tell them apart.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import OffsetStatus, SchemaError, status_attributes
from ...schema import NUISANCES, OD, REFERENCES, describe, require
from ..preprocessing.material import find_material
from .block_fit import BlockSpectra, apply_systematics
from .energy_groups import estimate_errors
from .library import MAX_OFFSET_EV, Library, build_library, compute_block_means
from .offset_search import OffsetSearch, is_undecided, search_offsets

Array = NDArray[np.float64]
_NAMES = ("energy_offset", "stray_light", "background_slope", "broadening")
_CURE = "needs a number or 'fit'."
_GIVEN = OffsetStatus.GIVEN
_SEED = 0


class OffsetWarning(UserWarning):
    """The energy offset is undecided, or the search ended at its limit."""


class SharedParameters(NamedTuple):
    """Values and standard errors in the order of ``_NAMES``, and the median reduced chi-square of the blocks."""

    value: Array
    error: Array
    misfit: float
    status: OffsetStatus
    alternative: float = np.nan  # another offset that explains the data nearly as well [eV]

    def spectra(self, library: Library, energies: Array) -> Array:
        """Reference spectra (reference, energy) as this stack shows them, apart from stray light."""
        return apply_systematics(library, energies, self.value)


def fit_systematics(
    od: xr.Dataset,
    refs: xr.Dataset,
    *,
    energy_offset: float | str = "fit",
    stray_light: float | str = "fit",
    background_slope: float | str = "fit",
    broadening: float | str = 0.0,
    max_offset_ev: float = MAX_OFFSET_EV,
) -> xr.Dataset:
    r"""Estimate the systematic errors that all spectra share: energy offset, stray light, background slope, broadening.

    Means of blocks of 6 x 6 material pixels are fitted with mixtures of the references and a constant each. The shared
    parameters are fitted to all blocks together. Blocks that the references do not explain (an unknown phase) lose
    their weight. The offset is searched over its whole range first.

    Parameters
    ----------
    od, refs
        OD, and REFERENCES that cover its energies, once these are moved by the offset. Energies that lie outside count
        as missing. So do NaN values.
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
        be fitted. An error above the width of the prior (see Notes) says that the data do not know the parameter.

        - ``energy_offset_status``: ``ok``; ``given``; ``undecided``, another offset explains the data nearly as well;
          ``at_bound``, the search ended at its limit and the error is NaN; ``no_data``.
        - ``energy_offset_alternative`` [eV]: the other offset where it is undecided, else NaN. The error reaches to it.
        - ``misfit``: median reduced chi-square of the blocks, near 1 when references and noise are right.
        - ``n_blocks``: their number.

    Warns
    -----
    OffsetWarning
        The offset is undecided or at its limit.

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
    cannot tell therefore stays near 0. The block means (1/36 of the stack) are read into memory.

    What references miss is alike in all blocks and at neighbouring energies. The errors are therefore those of a
    jackknife over groups of energies, or of the noise where these are larger. A parameter's own prior does not enter
    its error. Offsets are compared by the bagged posterior (Huggins and Miller 2023): the mean of the posteriors of 60
    Bayesian bootstraps over the same groups. Where another minimum holds over 5 % of it, the offset is undecided.

    Examples
    --------
    >>> energy = np.arange(510.0, 530.0, 0.25)
    >>> edge = lambda centre: np.exp(-((energy - centre) ** 2) / 4) + 0.5 / (1 + np.exp(centre - energy))
    >>> refs = xr.Dataset({"reference_spectrum": (("reference", "energy"), [edge(517), edge(519)])},
    ...                   coords={"reference": ["V3", "V4"], "energy": ("energy", energy, {"units": "eV"})})
    >>> at = refs.interp(energy=energy[12:-12] + 0.3)["reference_spectrum"].values
    >>> depth = np.linspace(0.3, 2.5, 144).reshape(12, 12)
    >>> phase = np.arange(12) // 6  # one phase alone, of this shape, could as well be the other one 2 eV away
    >>> cube = -np.log(0.95 * np.exp(-depth * at[phase].T[:, None, :]) + 0.05)
    >>> od = xr.Dataset({"optical_density": (("energy", "scan_y", "scan_x"), cube),
    ...                  "noise": (("energy", "scan_y", "scan_x"), np.full(cube.shape, 0.01)),
    ...                  "valid": (("scan_y", "scan_x"), np.ones((12, 12), bool))},
    ...                 coords={"energy": ("energy", energy[12:-12], {"units": "eV"})})
    >>> found = fit_systematics(od, refs)
    >>> round(float(found["energy_offset"]), 1), round(float(found["stray_light"]), 2)
    (0.3, 0.05)
    """
    require(od, OD, step="fit_systematics", argument="od")
    require(refs, REFERENCES, step="fit_systematics", argument="refs")
    # One background term, the constant; the slope belongs to the references.
    library = build_library(
        refs, od["energy"], step="fit_systematics", n_nuisance=1, energy_offset=energy_offset, limit=max_offset_ev
    )
    wanted = {"energy_offset": energy_offset, "stray_light": stray_light}
    # The order of the settings is that of the parameters in every array.
    wanted |= {"background_slope": background_slope, "broadening": broadening}
    shared, n_blocks = fit_shared_parameters(od, library, wanted, limit=max_offset_ev, step="fit_systematics")
    settings: dict[str, Any] = {**wanted, "max_offset_ev": max_offset_ev}
    out = shared_variables(shared).assign(misfit=((), shared.misfit), n_blocks=((), n_blocks))
    return describe(out, NUISANCES, step="fit_systematics", settings=settings, source=od)


def fit_shared_parameters(
    od: xr.Dataset, library: Library, wanted: dict[str, float | str], *, limit: float, step: str
) -> tuple[SharedParameters, int]:
    """Take the shared parameters as given or fit them, and count the blocks they rest on."""
    given, free = _split_settings(wanted, step)
    library = library.in_units_of(library.unit)  # the steps of the search are for contrasts of about 1
    status = OffsetStatus.NO_DATA if 0 in free else OffsetStatus.GIVEN
    if not free.size:
        # Numbers that are given have no error, and no data need be read.
        return SharedParameters(given, np.zeros(4), np.nan, status), 0
    spectra, noise = compute_block_means(od, find_material(od))
    # A field without material says nothing: NaN errors mark what could not be fitted.
    if len(spectra) == 0:
        return SharedParameters(given, np.where(np.isin(np.arange(4), free), np.nan, 0.0), np.nan, status), 0
    # Block means have little noise, so the logarithm in the stray-light correction does not bias them.
    blocks = BlockSpectra(library, od["energy"].values.astype(np.float64), spectra, noise)
    blocks = blocks.allow_mixtures()
    shared = _fit_blocks(blocks, given, free, limit, step)
    _warn_of_offset(shared, step)
    return shared, len(spectra)


def find_energy_offset(
    od: xr.Dataset, library: Library, energy_offset: float | str, *, limit: float = MAX_OFFSET_EV, step: str
) -> SharedParameters:
    """Take the energy offset as given or fit it, for methods that correct no other systematic effect.

    Stray light and the slope are fitted with it, or their effect would pass for an offset. The answer is therefore that
    of :func:`fit_systematics`, whichever step asks.
    """
    wanted: dict[str, float | str] = dict.fromkeys(_NAMES, 0.0)
    wanted["energy_offset"] = energy_offset
    if isinstance(energy_offset, str):
        wanted |= {"stray_light": "fit", "background_slope": "fit"}
    return fit_shared_parameters(od, library, wanted, limit=limit, step=step)[0]


def _fit_blocks(
    blocks: BlockSpectra, given: Array, free: NDArray[np.intp], limit: float, step: str
) -> SharedParameters:
    """Fit the free parameters to the means of the blocks."""
    if 0 not in free:
        blocks = blocks.choose_mixtures(given)
        value = blocks.refine(given, free, (0.0, 0.0))
        return SharedParameters(value, estimate_errors(blocks, value, free), blocks.compute_misfit(value), _GIVEN)
    if not blocks.leaves_a_degree_of_freedom():
        # As many terms as energies: every offset fits. One standard error is 68 % of the range.
        error = np.where(np.arange(4) == 0, 0.683 * limit, np.where(np.isin(np.arange(4), free), np.nan, 0.0))
        return SharedParameters(given, error, np.nan, OffsetStatus.UNDECIDED)
    # The same draws in every call: the answer depends on the data alone.
    search = search_offsets(blocks, given, free, limit, step, np.random.default_rng(_SEED))
    best = search.values[int(np.argmin(search.cost))]
    blocks = blocks.restrict(best[0]).choose_mixtures(best)._replace(noise=blocks.noise)
    value, alternative = _refine_best(blocks, search, free)
    at = blocks.restrict(value[0])
    error = estimate_errors(at, value, free)
    # Below the step of the grid the jackknife is the better of the two.
    width = search.compute_width(value[0])
    error[0] = min(max(error[0], width if width > search.step else 0.0), limit)
    if np.isfinite(alternative):
        error[0] = max(error[0], abs(alternative - value[0]))
    # The step is a quarter of the references' finest structure: a larger error may exchange two lines.
    status = OffsetStatus.UNDECIDED if error[0] > search.step else OffsetStatus.OK
    if not search.offsets[0] < value[0] < search.offsets[-1]:
        status, error[0] = OffsetStatus.AT_BOUND, np.nan
    return SharedParameters(value, error, at.compute_misfit(value), status, alternative)


def _refine_best(blocks: BlockSpectra, search: OffsetSearch, free: NDArray[np.intp]) -> tuple[Array, float]:
    """Refine the best minimum of the search; returns also the offset of another that is not excluded, or NaN."""
    limits = (float(search.offsets[0]), float(search.offsets[-1]))
    best = int(np.argmin(search.cost))
    value = blocks.refine(search.values[best], free, limits)
    other, share = search.find_alternative(best)
    if not is_undecided(share):
        return value, np.nan
    second = blocks.refine(search.values[other], free, limits)
    if abs(second[0] - value[0]) < search.step:
        return value, np.nan
    # Both are judged by the energies that both have.
    common = blocks.restrict(value[0]).restrict(second[0])
    cost = [float(common.compute_cost(common.fit_blocks(one).chi_square).sum()) for one in (value, second)]
    return (value, float(second[0])) if cost[0] <= cost[1] else (second, float(value[0]))


def _warn_of_offset(shared: SharedParameters, step: str) -> None:
    """Warn where the energy offset is undecided or at its limit."""
    found = float(shared.value[0])
    if shared.status == OffsetStatus.AT_BOUND:
        text = (
            f"{step}: the search of the energy offset ended at its limit, {found:.2f} eV. The true one may lie beyond. "
            "Raise max_offset_ev, use references that reach further, or state energy_offset."
        )
    elif shared.status == OffsetStatus.UNDECIDED:
        also = (
            f" {found:.2f} and {shared.alternative:.2f} eV explain them alike."
            if shared.alternative == shared.alternative
            else ""
        )
        text = (
            f"{step}: the data do not decide the energy offset.{also} State energy_offset, or measure more energies on "
            "both sides of the lines."
        )
    else:
        return
    warnings.warn(text, OffsetWarning, stacklevel=4)


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
    return xr.Dataset(values | errors).assign(offset_variables(shared))


def offset_variables(shared: SharedParameters) -> dict[str, xr.Variable]:
    """Energy offset, its error, status and alternative as scalar variables."""
    return {
        "energy_offset": xr.Variable((), float(shared.value[0])),
        "energy_offset_error": xr.Variable((), float(shared.error[0])),
        "energy_offset_status": xr.Variable((), np.int8(shared.status), status_attributes(OffsetStatus)),
        "energy_offset_alternative": xr.Variable((), float(shared.alternative)),
    }
