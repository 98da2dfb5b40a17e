"""Energies of a table in eV, with the unit that the caller, the column or a comment states."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ...plausibility.rule import check_plausible
from ...plausibility.spectra import ENERGY_EV
from ..stxm.stack import find_energy_factor
from .layout import Layout
from .naming import Column
from .options import TableOptions, advise

_KEYS = (r"energy[ _]?units?", r"units?[ _]of[ _]energy", "xunits", "x[ _]units?")


def convert_energies(path: Path, column: Column, layout: Layout, options: TableOptions) -> NDArray[np.float64]:
    """Energies in eV in the order of the rows.

    Raises
    ------
    ReadError
        The unit is none of energy, or a value is missing, not positive, or outside every edge.
    """
    unit = options.energy_unit or column.unit or _find_stated_unit(layout)
    # A capital M is a million, a small one a thousandth.
    factor = 1e6 if re.fullmatch(r"[\[(]?MeV[\])]?", unit or "") else find_energy_factor(unit)
    if factor is not None and np.isnan(factor):
        raise ReadError(
            path,
            found=f"energies in '{unit}' in the column {column.describe()}",
            cure=advise(options, "write them in eV, or say energy_unit='eV' or 'keV' if the unit is wrong"),
        )
    values = column.values
    if values.size == 0 or not np.isfinite(values).all() or (values <= 0).any():
        raise ReadError(
            path,
            found=f"photon energies that are not all positive numbers in the column {column.describe()}",
            cure=advise(options, "mend these rows, or choose another column with energy_column="),
        )
    # Below 20 eV there is no edge, so numbers without a unit are most likely keV.
    if factor is None and values.max() < ENERGY_EV.low and ENERGY_EV.name not in options.accept:
        raise ReadError(
            path,
            found=f"photon energies of {values[0]:g} ... {values[-1]:g} without a unit, "
            "too small for eV (keV or a wavelength perhaps)",
            cure=advise(options, "say energy_unit='keV', or energy_unit='eV' with accept='energy_ev'"),
        )
    energy = values * (factor or 1.0)
    if options.purpose == "energies" and (energy.min() < ENERGY_EV.low or energy.max() > ENERGY_EV.high):
        raise ReadError(
            path,
            found=f"photon energies of {energy.min():g} to {energy.max():g} eV, where no edge lies",
            cure=advise(options, ""),
        )
    check_plausible(path, ENERGY_EV, energy, options.accept)
    return np.asarray(energy, dtype=np.float64)


def _find_stated_unit(layout: Layout) -> str | None:
    """Unit of the energies in a comment; ``units`` alone may be that of the spectra."""
    said = next((text for key in _KEYS if (text := layout.find_comment(key))), None)
    if said is None:
        text = layout.find_comment("units") or ""
        said = text if text.lower().strip("()[] ") in ("ev", "kev") else None
    return said
