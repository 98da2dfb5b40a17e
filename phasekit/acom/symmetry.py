"""Phases of a bank or a result, and their proper rotations."""

import json
import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..crystals import find_laue_rotations, find_phase_symmetry, has_symmetry
from ..errors import SchemaError, SymmetryWarning

Array = NDArray[np.float64]

# A point group that the atoms have only within a larger distance is no description of them: in angstrom, and as a part
# of the longest edge, by which `open_phase` allows a cell to be rounded.
_LARGEST_DISTANCE, _LARGEST_PART = 0.1, 0.005


def read_phases(data: xr.Dataset) -> list[Any]:
    """Read the phases (orix) of a bank or a result from ``attrs["phases"]``, in index order.

    Raises
    ------
    SchemaError
        ``attrs["phases"]`` is missing or cannot be read.
    """
    from ..diffraction import phase_from_record

    try:
        records = json.loads(data.attrs["phases"])
    except (KeyError, ValueError) as error:
        raise SchemaError(
            "read_phases: attrs['phases'] is missing or not JSON, needs the phases that build_templates writes there. "
            "Pass the dataset as match_orientations made it."
        ) from error
    return [phase_from_record(record) for record in records]


def proper_rotations(phase: Any) -> Array:
    """Proper rotations (n, 4) of the phase's Laue group, crystal frame (Friedel: diffraction adds an inversion)."""
    return find_laue_rotations(phase.point_group)


def adopt_symmetry(phase: Any) -> Any:
    """Phase (orix) with the Laue group of its atoms, the phase itself where it has this already.

    A point group that a user states may be lower than that of the atoms. The bank would then hold patterns twice, and
    grains would end between two orientations that no pattern can tell apart.

    Raises
    ------
    SchemaError
        The atoms lack the point group of the phase, as in a list of the asymmetric unit only.

    Warns
    -----
    SymmetryWarning
        The atoms have more symmetry than the point group.
    """
    found = find_phase_symmetry(phase)
    stated = phase.point_group
    if found is None:
        return phase
    if stated is not None and not has_symmetry(found, stated):
        distance = max(_LARGEST_DISTANCE, _LARGEST_PART * max(phase.structure.lattice.abcABG()[:3]))
        if has_symmetry(find_phase_symmetry(phase, tolerance=distance), stated):
            return phase
        raise SchemaError(
            f"build_templates: '{phase.name}' has the point group {stated.name}, but its atoms have "
            f"{found.point_group.name} (space group {found.symbol}). List every atom of the cell, or open the CIF with "
            "pk.io.open_phase."
        )
    if stated is not None and len(find_laue_rotations(stated)) == len(find_laue_rotations(found.point_group)):
        return phase
    if stated is not None:
        warnings.warn(
            f"build_templates: '{phase.name}' has the point group {stated.name}, its atoms have "
            f"{found.point_group.name} (space group {found.symbol}). The latter is used for the bank and all maps.",
            SymmetryWarning,
            stacklevel=4,
        )
    return type(phase)(name=phase.name, point_group=found.point_group, structure=phase.structure)
