"""Absorption of NaxV2(PO4)2F3 at the vanadium L edge: stored multiplets on tabulated baselines.

The multiplets were computed once (``docs/provenance/vanadium_multiplets.py``). The baseline is Chantler's table, in
which V L2,3 and O K are sharp steps of free atoms. Here each step lies at the energy of the solid, with a width.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from phasekit.errors import SchemaError
from phasekit.schema import REFERENCES, describe

Array = NDArray[np.float64]

#: Density of Na3V2(PO4)2F3 [g/cm3]; the cell keeps its volume when sodium leaves.
DENSITY = 3.16
#: Integral of the white lines per 3d hole, for the two V of a formula unit [eV/um]: 2p -> 3d oscillator strength 0.036.
WHITE_LINE = 3.0
#: L3 maximum of the stored ions [eV].
_L3_MAXIMUM = {"V3": 516.3, "V3d": 516.5, "V4": 517.3, "V4d": 517.5, "V5": 518.3}
#: Relative atomic masses [g/mol].
_MASS = {"Na": 22.990, "V": 50.942, "P": 30.974, "O": 15.999, "F": 18.998}


class State(NamedTuple):
    """One state of charge: sodium content and the weight of each vanadium ion in its spectrum."""

    composition: float
    ions: dict[str, float]


#: Five states of charge. Vanadium's surroundings change with sodium content (the ions with "d" are more distorted),
#: so an intermediate spectrum is not the linear mixture of its neighbours.
STATES: dict[str, State] = {
    "Na3": State(3.0, {"V3": 1.0}),
    "Na2.4": State(2.4, {"V3": 0.60, "V3d": 0.10, "V4": 0.30}),
    "Na2": State(2.0, {"V3": 0.20, "V3d": 0.35, "V4": 0.45}),
    "Na1": State(1.0, {"V3d": 0.28, "V4": 0.46, "V4d": 0.11, "V5": 0.15}),
    "Na0.5": State(0.5, {"V4": 0.30, "V4d": 0.35, "V5": 0.35}),
}


def vanadium_references(energies: ArrayLike | None = None, *, below_one: bool = True) -> xr.Dataset:
    r"""Linear absorption spectra of NaxV2(PO4)2F3 at the vanadium L2,3 edge.

    .. math:: \mu(E) = \sum_Z \rho_Z \left[\mu/\rho\right]_Z(E) + A \sum_i w_i\, L_i(E)

    with the partial density :math:`\rho_Z` and mass absorption :math:`[\mu/\rho]_Z` of each element. :math:`L_i` are
    the multiplet spectra of the vanadium ions and :math:`w_i` their weights. :data:`WHITE_LINE` is the scale :math:`A`.

    Parameters
    ----------
    energies
        Photon energies [eV], increasing, within 500..540. ``None``: 505..535 in steps of 0.1.
    below_one
        Whether to add a fifth state below x = 1 ("Na0.5") to "Na3", "Na2.4", "Na2", "Na1".

    Returns
    -------
    xarray.Dataset
        REFERENCES: ``reference_spectrum(reference, energy)`` [1/um], so optical density is spectrum times thickness;
        ``composition(reference)``, the sodium content x. No NaN.

    Raises
    ------
    SchemaError
        ``energies`` is empty, not increasing, or leaves 500..540 eV.

    See Also
    --------
    stxm_stack : Makes a stack of these phases.
    phasekit.stxm.select_energies : Which energies tell them apart.

    Notes
    -----
    Baseline: Chantler, J. Phys. Chem. Ref. Data 29, 597 (2000), through xraydb. White lines: crystal-field multiplets
    of V3+, V4+ and V5+ weighted per state (:data:`STATES`). Neighbouring spectra are as similar as measured ones. Their
    Pearson correlations are 0.980, 0.993 and 0.960 between x = 3, 2.4, 2 and 1 (510..528 eV).

    Examples
    --------
    >>> refs = vanadium_references([512.0, 516.5, 524.0])
    >>> refs["reference"].values.tolist()
    ['Na3', 'Na2.4', 'Na2', 'Na1', 'Na0.5']
    >>> refs["reference_spectrum"].dims, refs["reference_spectrum"].attrs["units"]
    (('reference', 'energy'), '1/um')
    """
    grid = (
        np.round(np.arange(505.0, 535.0001, 0.1), 3) if energies is None else np.atleast_1d(np.asarray(energies, float))
    )
    _check_energies(grid)
    names = [name for name, state in STATES.items() if below_one or state.composition >= 1]
    spectra = np.stack([_compute_absorption(STATES[name], grid) for name in names])
    refs = xr.Dataset(
        {
            "reference_spectrum": (("reference", "energy"), spectra, {"units": "1/um"}),
            "composition": ("reference", [STATES[name].composition for name in names]),
        },
        coords={"reference": names, "energy": ("energy", grid, {"units": "eV", "long_name": "photon energy"})},
    )
    return describe(refs, REFERENCES, step="vanadium_references", settings={"below_one": below_one})


def vanadium_baseline(energies: ArrayLike, composition: float = 3.0) -> Array:
    """Linear absorption [1/um] of NaxV2(PO4)2F3 without near-edge structure, as Chantler tabulates it.

    Parameters
    ----------
    energies
        Photon energies [eV].
    composition
        Sodium content x.

    See Also
    --------
    vanadium_references : Spectra on this baseline.

    Examples
    --------
    >>> vanadium_baseline([505.0]).round(1)
    array([1.1])
    """
    grid = np.atleast_1d(np.asarray(energies, float))
    parts = [
        density * _read_mass_absorption(element, grid)
        for element, density in _compute_partial_densities(composition).items()
    ]
    return np.asarray(np.sum(parts, axis=0) * 1e-4, dtype=np.float64)


def _check_energies(grid: Array) -> None:
    inside = grid.size and grid.min() >= 500 and grid.max() <= 540
    if not inside or (np.diff(grid) <= 0).any():
        given = f"{grid.min():g}..{grid.max():g} eV" if grid.size else "none"
        raise SchemaError(
            f"vanadium_references: got energies {given}, needs increasing values within 500..540 eV. "
            "Sort them and leave out what lies outside."
        )


def _compute_absorption(state: State, energy: Array) -> Array:
    """Baseline with edges of the solid, plus white lines [1/um]."""
    density = _compute_partial_densities(state.composition)
    # The edges shift with the mean valence as the white lines do.
    l3 = sum(weight * _L3_MAXIMUM[ion] for ion, weight in state.ions.items())
    # L3 and L2 share the step 2 to 1, as their 2p3/2 and 2p1/2 electrons do; the spin-orbit splitting is 7 eV.
    edges = 2 / 3 * _edge_step(energy, l3 + 0.8, 0.6) + 1 / 3 * _edge_step(energy, l3 + 7.8, 0.8)
    baseline = density["V"] * _add_edge("V", energy, edges, below=(470, 508), above=(532, 610))
    baseline += density["O"] * _add_edge(
        "O", energy, _edge_step(energy, 532.5, 0.9), below=(470, 525), above=(548, 620)
    )
    for element in ("Na", "P", "F"):
        baseline += density[element] * _read_mass_absorption(element, energy)
    table = _read_multiplets()
    lines = sum(weight * np.interp(energy, table["energy"], table[ion]) for ion, weight in state.ions.items())
    return np.asarray(baseline * 1e-4 + WHITE_LINE * lines, dtype=np.float64)


def _add_edge(element: str, energy: Array, edge: Array, *, below: tuple[int, int], above: tuple[int, int]) -> Array:
    """Mass absorption [cm2/g]: the table's power laws below and above its edge, joined by ``edge`` (0 to 1)."""
    # Windows keep clear of the edge: the table steps there at the free atom's energy.
    low, high = _fit_power_law(element, energy, below), _fit_power_law(element, energy, above)
    return low + (high - low) * edge


def _fit_power_law(element: str, energy: Array, window: tuple[int, int]) -> Array:
    """Mass absorption [cm2/g] continued from an energy window [eV] as a power of the energy."""
    grid = np.linspace(*window, 40)
    fit = np.polyfit(np.log(grid), np.log(_read_mass_absorption(element, grid)), 1)
    return np.asarray(np.exp(np.polyval(fit, np.log(energy))))


def _read_mass_absorption(element: str, energy: Array) -> Array:
    """Chantler's mass absorption coefficient [cm2/g]."""
    from xraydb import mu_chantler

    return np.atleast_1d(np.asarray(mu_chantler(element, energy), dtype=np.float64))


def _edge_step(energy: Array, centre: float, hwhm: float) -> Array:
    r"""Step from 0 to 1, a sharp edge broadened by a Lorentzian: :math:`1/2 + \arctan((E - E_0)/\gamma) / \pi`."""
    return np.asarray(0.5 + np.arctan((energy - centre) / hwhm) / np.pi)


def _compute_partial_densities(composition: float) -> dict[str, float]:
    """Mass of each element per volume [g/cm3], for a volume that does not depend on the sodium content."""
    count = {"Na": composition, "V": 2.0, "P": 2.0, "O": 8.0, "F": 3.0}
    # The sodium-rich compound gives the density; the volume is taken as the same for every sodium content.
    full = sum(_MASS[element] * n for element, n in {**count, "Na": 3.0}.items())
    return {element: DENSITY * _MASS[element] * n / full for element, n in count.items()}


@cache
def _read_multiplets() -> dict[str, Array]:
    """Stored spectra by ion [1/eV], and their ``energy`` [eV]."""
    lines = files("phasekit.synthetic").joinpath("data/vanadium_l23.txt").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line.startswith("#")][-1].split()[2:]
    table = np.loadtxt(lines).T
    return {"energy": table[0], **dict(zip(names, table[1:], strict=True))}
