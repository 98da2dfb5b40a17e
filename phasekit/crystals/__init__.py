"""Crystal structures without files: phases, their records, their point groups, and the symmetry of their atoms."""

# Imported at once, not lazily: these modules load heavy libraries inside their functions.
from .phases import crystal, direct_basis, lattice_of, phase_from_record, phase_record
from .point_groups import contains_group, find_laue_rotations, find_standard_group, point_symmetry, select_up_to_sign
from .symmetry import (
    TOLERANCE,
    FoundSymmetry,
    find_number_of_operations,
    find_phase_symmetry,
    find_symmetry,
    has_symmetry,
)

# Listed, so that linters and type checkers take the imports above as the API.
__all__ = [
    "TOLERANCE",
    "FoundSymmetry",
    "contains_group",
    "crystal",
    "direct_basis",
    "find_laue_rotations",
    "find_number_of_operations",
    "find_phase_symmetry",
    "find_standard_group",
    "find_symmetry",
    "has_symmetry",
    "lattice_of",
    "phase_from_record",
    "phase_record",
    "point_symmetry",
    "select_up_to_sign",
]
