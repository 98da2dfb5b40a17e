"""Space groups by name, number or Hall symbol, and whether a file's symmetry lines are all that its group has.

The table is gemmi's: 564 settings, among them those with a cell that the Tables do not list (C -1, F 4/m m m).
"""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ....crystals import find_number_of_operations
from ....errors import ReadError
from .cif_text import StatedGroup
from .symmetry_lines import Operation

if TYPE_CHECKING:
    import gemmi

ADD_LINES = "add the symmetry lines (_space_group_symop_operation_xyz), as any crystallography program exports them"
_GIVE_ALL = "give all symmetry lines of the group, or the name and number of the group that these lines form"
_UNIT = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
# Endings of the symbols of a large database: origin choice 1 and 2.
_ORIGINS = {"S": "1", "Z": "2"}


def find_operations(stated: StatedGroup, cell: Sequence[float], path: str) -> list[Operation]:
    """Operations of the space group that a file without symmetry lines states; refused where they are not certain."""
    if stated.is_empty():
        raise ReadError(path, found="no symmetry (neither symmetry lines nor a space group)", cure=ADD_LINES)
    groups = find_settings(stated, cell)
    if not groups:
        known = "unknown space group" if stated.number is None else "an unknown setting"
        raise ReadError(path, found=f"{known} '{stated.name or stated.hall}' and no symmetry lines", cure=ADD_LINES)
    if len(groups) > 1:
        found = f"space group {stated}, which has two origins, and no symmetry lines"
        raise ReadError(path, found=found, cure=f"{ADD_LINES}, or write the origin behind the symbol (:1 or :2)")
    if stated.number is not None and groups[0][0] != stated.number:
        found = f"space group '{stated.name or stated.hall}', which has the number {groups[0][0]}, not {stated.number}"
        raise ReadError(
            path, found=f"{found}, and no symmetry lines", cure=f"correct the name or the number, or {ADD_LINES}"
        )
    return groups[0][1]


def find_settings(stated: StatedGroup, cell: Sequence[float]) -> list[tuple[int, list[Operation]]]:
    """Settings that a statement may mean, each with number and operations; none where the name is not known.

    A Hall symbol means one. A symbol or number of a group with two origins means both, unless the choice is added.
    """
    import gemmi

    if stated.hall is not None:
        operations = _read_hall(stated.hall)
        table = None if operations is None else gemmi.find_spacegroup_by_ops(operations)
        if operations is not None and table is not None:
            return [(table.number, _list_operations(operations))]
    if stated.name is None:
        group = None if stated.number is None else gemmi.find_spacegroup_by_number(stated.number)
        plain, choice = "" if group is None else group.hm, None
    else:
        plain, choice = _split_name(stated.name)
    choice = choice or _read_choice(stated.choice)
    group = gemmi.find_spacegroup_by_name(plain, cell[3], cell[5]) if plain else None
    if group is None:
        return []
    same = [one for one in gemmi.spacegroup_table() if one.hm == group.hm and one.number == group.number]
    if choice is not None:
        same = [one for one in same if one.ext == choice] or same
    # Rhombohedral groups are told apart by the cell where the symbol does not say it.
    elif any(one.ext in ("H", "R") for one in same):
        same = [one for one in same if one.ext == ("H" if cell[5] == 120 else "R")]
    return [(one.number, _list_operations(one.operations())) for one in same]


def _read_hall(symbol: str) -> "gemmi.GroupOps | None":
    import gemmi

    try:
        return gemmi.symops_from_hall(symbol)
    except (RuntimeError, ValueError):
        return None


def _split_name(name: str) -> tuple[str, str | None]:
    """Symbol as the table writes it, and the choice of origin or axes where one is added.

    Examples
    --------
    >>> [_split_name(text) for text in ("F d -3 m :2", "P2(1)/c", "Fd-3mZ", "R -3 m H", "P 21/c (14)")]
    [('F d -3 m', '2'), ('P21/c', None), ('Fd-3m', '2'), ('R -3 m', 'H'), ('P 21/c', None)]
    """
    # Dashes of other alphabets stand for a bar; underscores and brackets for a subscript.
    plain = re.sub("[\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{HYPHEN}]", "-", name).replace("_", "")
    plain = re.sub(r"\s*(\(\s*(no\.?\s*)?\d{1,3}\s*\)|\[.*\]|#\s*\d+|no\.?\s*\d+)\s*$", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"(\d)\((\d)\)", r"\1\2", plain).strip("* ")
    head, _, choice = (part.strip() for part in plain.partition(":"))
    ending = re.fullmatch(r"(.*[a-zA-Z0-9])\s*([SZHR])", head)
    if not choice and ending and len(head) > 3:
        return ending[1].strip(), _ORIGINS.get(ending[2], ending[2])
    return head, choice.upper() or None


def _read_choice(code: str | None) -> str | None:
    """Choice of origin (1, 2) or axes (H, R) of a code of the coordinate system; other codes name axes."""
    text = (code or "").upper()
    return text if text in ("1", "2", "H", "R") else None


def _list_operations(group: "gemmi.GroupOps") -> list[Operation]:
    operations = []
    for one in group:
        rows = tuple((int(row[0]) // one.DEN, int(row[1]) // one.DEN, int(row[2]) // one.DEN) for row in one.rot)
        x, y, z = (Fraction(int(value), one.DEN) % 1 for value in one.tran)
        operations.append((rows, (x, y, z)))
    return operations


def count_translations(operations: Sequence[Operation]) -> int:
    """Lattice translations in a cell: 1 for a primitive one, 4 for F."""
    return sum(operation[0] == _UNIT for operation in operations)


class IncompleteLines:
    """Symmetry lines that are part of the group that a file states: how many lack, and the settings that hold them."""

    def __init__(self, operations: list[Operation], stated: StatedGroup, settings: list[list[Operation]]) -> None:
        self.operations, self.stated, self.settings = operations, stated, settings

    def complete(self) -> list[Operation] | None:
        """Lines with the lattice translations of the group, None where more than these is missing."""
        rotations = {operation[0] for operation in self.operations}
        same = [group for group in self.settings if {operation[0] for operation in group} == rotations]
        # With two origins both may hold the lines; then nothing says which is meant.
        return same[0] if len(same) == 1 else None


def find_missing_lines(
    operations: list[Operation], stated: StatedGroup, cell: Sequence[float]
) -> IncompleteLines | None:
    """Find whether lines are a part of the group that the file states; None where no setting of it holds more."""
    settings = [group for _, group in find_settings(stated, cell)]
    known = set(operations)
    larger = [group for group in settings if known < set(group)]
    return IncompleteLines(operations, stated, larger) if larger else None


def check_number(
    operations: list[Operation], stated: StatedGroup, cell: Sequence[float], base: NDArray[np.float64], path: str
) -> None:
    """Refuse lines that form another space group than the file states, in whatever setting and with any origin."""
    number = find_number_of_operations(
        base,
        np.array([operation[0] for operation in operations]),
        np.array([[float(value) for value in operation[1]] for operation in operations]),
    )
    settings = find_settings(stated, cell)
    named = settings[0][0] if settings else stated.number
    # A number that contradicts the name decides nothing; lines that agree with one of them are taken.
    if number is None or named is None or number in (named, stated.number):
        return
    rotations = len({operation[0] for operation in operations})
    raise ReadError(
        path,
        found=f"{len(operations)} symmetry lines with {rotations} rotations, which form space group {number}, beside "
        f"the statement {stated}",
        cure=_GIVE_ALL,
    )


def refuse_lines(lines: IncompleteLines, path: str) -> ReadError:
    """Error for lines that lack more than the lattice translations of their group."""
    operations, whole = lines.operations, lines.settings[0]
    rotations, in_table = (len({operation[0] for operation in group}) for group in (operations, whole))
    return ReadError(
        path,
        found=f"{len(operations)} symmetry lines with {rotations} rotations, but the file states space group "
        f"{lines.stated}, which has {len(whole)} lines with {in_table} rotations",
        cure=_GIVE_ALL,
    )
