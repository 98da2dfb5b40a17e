"""Tabulated absorption of a compound: three tables side by side, because they disagree near the edges."""

from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...errors import SchemaError

Array = NDArray[np.float64]
Table = Literal["chantler", "elam", "henke"]
TABLES: tuple[Table, ...] = ("chantler", "elam", "henke")
_HC = 12398.42  # Planck constant times speed of light [eV angstrom]
_RANGE = (100.0, 30000.0)  # where all three have values [eV]
#: reach of near-edge structure, and of errors of the tabulated edge energies, below and above an edge [eV]
_NEAR_EDGE = {"K": (15.0, 40.0), "L1": (3.0, 8.0), "L2": (3.0, 8.0), "L3": (3.0, 8.0)}


def compute_absorption(formula: str, density: float, energy: ArrayLike, *, step: str) -> xr.DataArray:
    r"""Linear absorption coefficient (table, energy) [1/um] without near-edge structure, by Beer and Lambert.

    With the density :math:`\rho` and the mass fractions :math:`f_z` and mass absorption coefficients of the elements

    .. math:: \mu(E) = \rho \sum_z f_z \Bigl(\frac{\mu}{\rho}\Bigr)_z(E)
    """
    grid = np.atleast_1d(np.asarray(energy, dtype=np.float64))
    if not density > 0:
        raise SchemaError(f"{step}: density_g_cm3={density}, needs a positive density [g/cm3].")
    if not (np.isfinite(grid).all() and grid.min() >= _RANGE[0] and grid.max() <= _RANGE[1]):
        raise SchemaError(
            f"{step}: energies {grid.min():g}..{grid.max():g}, tables hold {_RANGE} eV. "
            "Give energies in eV; multiply those in keV by 1000."
        )
    atoms = _parse_formula(formula, step)
    values = [_compute_from_elements(table, atoms, density, grid) for table in ("chantler", "elam")]
    values.append(_compute_from_henke(formula, density, grid))
    return xr.DataArray(
        np.stack(values),
        dims=("table", "energy"),
        coords={"table": list(TABLES), "energy": ("energy", grid, {"units": "eV"})},
        attrs={"units": "1/um"},
    )


def _parse_formula(formula: str, step: str) -> dict[str, float]:
    """Number of atoms of each element."""
    from xraydb import chemparse

    try:
        atoms = {str(element): float(count) for element, count in chemparse(formula).items()}
    except (ValueError, KeyError) as error:
        raise SchemaError(
            f"{step}: formula='{formula}' is not understood ({error}). Write it as in 'Na3V2(PO4)2F3'."
        ) from error
    if not atoms or not all(count > 0 for count in atoms.values()):
        raise SchemaError(f"{step}: formula='{formula}' names no atoms. Write it as in 'Na3V2(PO4)2F3'.")
    return atoms


def _compute_from_elements(table: str, atoms: dict[str, float], density: float, energy: Array) -> Array:
    """Absorption (energy,) [1/um] from the mass absorption [cm2/g] of the elements, weighted by mass."""
    from xraydb import atomic_mass, mu_chantler, mu_elam

    coefficient = {"chantler": mu_chantler, "elam": mu_elam}[table]
    mass = {element: atomic_mass(element) * count for element, count in atoms.items()}
    # atoms absorb independently, so mass absorption adds by mass
    parts = [mass[element] * np.atleast_1d(coefficient(element, energy)).astype(np.float64) for element in atoms]
    # 1/cm to 1/um
    return np.asarray(np.sum(parts, axis=0) / sum(mass.values()) * density * 1e-4)


def _compute_from_henke(formula: str, density: float, energy: Array) -> Array:
    r"""Absorption (energy,) [1/um] from the imaginary scattering-length density :math:`\rho''` [1e-6/angstrom2].

    It is :math:`\mu = 2 \lambda \rho''` with the wavelength :math:`\lambda = hc / E`.
    """
    from periodictable.xsf import xray_sld

    _, imaginary = xray_sld(formula, density=density, energy=energy / 1000)  # type: ignore[no-untyped-call]
    return 2 * np.asarray(imaginary, dtype=np.float64).reshape(energy.shape) * 1e-6 * _HC / energy * 1e4


def find_near_edges(formula: str, low: float, high: float, *, step: str) -> list[tuple[str, float, float]]:
    """Edges of the compound whose near-edge structure reaches into low..high [eV]: name, first and last energy [eV]."""
    from xraydb import xray_edges

    zones = []
    for element in _parse_formula(formula, step):
        for name, edge in xray_edges(element).items():
            below, above = _NEAR_EDGE.get(name, (0.0, 0.0))
            first, last = float(edge.energy) - below, float(edge.energy) + above
            if above and first <= high and last >= low:
                zones.append((f"{element} {name}", first, last))
    return sorted(zones, key=lambda zone: zone[1])
