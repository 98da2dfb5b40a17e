"""The symmetry of a crystal, found from its atoms by spglib: the one that bank, grains, colours and exports use."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .point_groups import contains_group, point_symmetry

Array = NDArray[np.float64]

#: Distance [angstrom] below which an atom and its image are one. Atoms vibrate by 0.05 to 0.1 angstrom, and 0.01
#: changes intensities up to 1.5 1/angstrom by about 1 %. Relaxed structures carry noise of this size.
TOLERANCE = 0.01
# Occupancies of one kind of atom differ by rounding only.
_SAME_OCCUPANCY = 0.02
_EMPTY = 1e-3
# Two atoms closer than the tolerance make spglib stop; a smaller one often tells them apart.
_SMALLER = (1.0, 0.3, 0.1, 0.03)


class FoundSymmetry(NamedTuple):
    """Symmetry of the atoms of a cell.

    ``point_group`` is the orix ``Symmetry`` on the axes of the cell given, also where this cell is primitive or a
    supercell. ``rotations`` (n, 3, 3) and ``translations`` (n, 3) act on fractions of that cell; a supercell may have
    fewer of them than the crystal. ``n_primitive`` is the number of primitive cells in the cell given.
    """

    number: int
    symbol: str
    point_group: Any
    n_primitive: int
    rotations: NDArray[np.int64]
    translations: Array

    @property
    def is_complete(self) -> bool:
        """Whether the operations on the cell given are all that the crystal has."""
        return len(self.rotations) == self.point_group.size * self.n_primitive


def find_symmetry(
    base: Array,
    positions: Array,
    elements: Sequence[str],
    occupancies: Sequence[float],
    *,
    tolerance: float = TOLERANCE,
) -> FoundSymmetry | None:
    """Find the symmetry of all atoms of a cell; None where spglib finds none, as with two atoms in one place.

    Parameters
    ----------
    base
        Rows a, b, c (3, 3) [angstrom] in the crystal frame.
    positions
        Fractional positions (n, 3). Atoms that share a place count as one atom of mixed kind.
    elements, occupancies
        Element and occupancy of each atom. Atoms are of one kind if both agree, the occupancy within 0.02.
    tolerance
        Distance [angstrom] within which an atom must meet its image.
    """
    import spglib

    places, kinds = _merge_shared_places(base, positions, elements, np.asarray(occupancies, dtype=float), tolerance)
    if not len(places):
        return None
    cell = (base, places, kinds)
    attempts = (_ask_spglib(spglib.get_symmetry_dataset, cell, symprec=tolerance * factor) for factor in _SMALLER)
    found = next((one for one in attempts if one is not None), None)
    if found is None:
        return None
    # Operations come from the table of the group and not from the cell, because a supercell lacks some of them.
    table = _ask_spglib(spglib.get_symmetry_from_database, found.hall_number)
    to_standard = np.asarray(found.transformation_matrix)
    # The standard cell lies unturned in the frame of the cell given: (a b c) = (a_s b_s c_s) P.
    standard_base = np.linalg.solve(to_standard.T, base)
    centring = int(sum((matrix == np.eye(3)).all() for matrix in table["rotations"]))
    return FoundSymmetry(
        number=int(found.number),
        symbol=str(found.international),
        point_group=point_symmetry(table["rotations"], standard_base),
        n_primitive=round(float(np.linalg.det(to_standard)) * centring),
        rotations=np.asarray(found.rotations, dtype=np.int64),
        translations=np.asarray(found.translations, dtype=float),
    )


def find_number_of_operations(base: Array, rotations: Array, translations: Array) -> int | None:
    """Find the number in the International Tables of a group of operations in any setting, None if there is none."""
    import spglib

    found = _ask_spglib(
        spglib.get_spacegroup_type_from_symmetry,
        np.asarray(rotations, dtype=np.intc),
        np.asarray(translations, dtype=float),
        lattice=base,
        symprec=1e-3,
    )
    return None if found is None else int(found.number)


def _ask_spglib(function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """Result of a function of spglib, None where it fails: spglib 2 returns None or raises, by a switch of its own."""
    import spglib

    with warnings.catch_warnings():
        # It says at each call that version 3 will always raise.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return function(*arguments, **settings)
        except spglib.error.SpglibError:
            return None


def _merge_shared_places(
    base: Array, positions: Array, elements: Sequence[str], occupancies: Array, tolerance: float
) -> tuple[Array, NDArray[np.int64]]:
    """Places (m, 3) and their kinds (m,), with the atoms of a mixed site joined into one."""
    positions = np.asarray(positions, dtype=float).reshape(-1, 3)
    places: list[Array] = []
    contents: list[dict[str, float]] = []
    partial = np.flatnonzero((occupancies > _EMPTY) & (occupancies < 1 - _SAME_OCCUPANCY))
    for index in np.flatnonzero(occupancies >= 1 - _SAME_OCCUPANCY).tolist():
        places.append(positions[index])
        contents.append({elements[index]: 1.0})
    # Only partly occupied atoms can share a place.
    while partial.size:
        step = positions[partial] - positions[partial[0]]
        step -= np.rint(step)
        here = partial[np.linalg.norm(step @ base, axis=1) < tolerance]
        content: dict[str, float] = {}
        for index in here.tolist():
            content[elements[index]] = content.get(elements[index], 0.0) + float(occupancies[index])
        places.append(positions[partial[0]])
        contents.append(content)
        partial = np.setdiff1d(partial, here, assume_unique=True)
    return np.array(places).reshape(-1, 3), _number_kinds(contents)


def _number_kinds(contents: list[dict[str, float]]) -> NDArray[np.int64]:
    """Number of each content among the different ones; occupancies that differ by rounding are one kind."""
    known: dict[tuple[str, ...], list[tuple[int, dict[str, float]]]] = {}
    numbers = np.empty(len(contents), dtype=np.int64)
    count = 0
    for row, content in enumerate(contents):
        same = known.setdefault(tuple(sorted(content)), [])
        for number, other in same:
            if all(abs(content[name] - other[name]) < _SAME_OCCUPANCY for name in content):
                numbers[row] = number
                break
        else:
            count += 1
            numbers[row] = count
            same.append((count, content))
    return numbers


def find_phase_symmetry(phase: Any, *, tolerance: float = TOLERANCE) -> FoundSymmetry | None:
    """Find the symmetry of an orix ``Phase`` whose structure lists every atom of the cell."""
    atoms = list(phase.structure)
    return find_symmetry(
        np.asarray(phase.structure.lattice.base, dtype=float),
        np.array([atom.xyz for atom in atoms], dtype=float),
        [str(atom.element) for atom in atoms],
        [float(atom.occupancy) for atom in atoms],
        tolerance=tolerance,
    )


def has_symmetry(found: FoundSymmetry | None, group: Any) -> bool:
    """Whether the symmetry found holds every operation of a point group (orix ``Symmetry``)."""
    return found is not None and contains_group(found.point_group, group)
