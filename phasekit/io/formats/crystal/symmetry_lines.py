"""Symmetry lines of a CIF, such as ``1/2-x, y, z+0.5``, as integer matrices and exact translations."""

import re
from fractions import Fraction
from typing import NoReturn

from ....errors import ReadError

# A term of a symmetry line: a signed axis letter, or a number that may multiply an axis letter.
_TERM = re.compile(r"([+-]?)(?:([xyz])|(\d+/\d+|\d*\.\d+|\d+\.?)(?:\*?([xyz]))?)")

#: Rotation matrix (rows) and translation in [0, 1) of a symmetry operation, in fractions of the cell.
Operation = tuple[tuple[tuple[int, int, int], ...], tuple[Fraction, Fraction, Fraction]]


def parse_operation(line: str, path: str) -> Operation:
    """Parse one symmetry line into an integer matrix and a translation in [0, 1).

    Examples
    --------
    >>> parse_operation("-y, x-y, z+1/3", "demo.cif")
    (((0, -1, 0), (1, -1, 0), (0, 0, 1)), (Fraction(0, 1), Fraction(0, 1), Fraction(1, 3)))
    """
    parts = re.sub(r"\s", "", line.lower()).split(",")
    if len(parts) != 3 or len(line) > 200:
        _refuse_text(path, f"symmetry line '{line[:60]}'", "write three parts, for example 'x,1/2-y,z'")
    rows, shifts = zip(*(_parse_component(part, line, path) for part in parts), strict=True)
    # A rotation maps the lattice onto itself, so its integer matrix has determinant 1 or -1.
    determinant = sum(
        rows[0][i] * (rows[1][(i + 1) % 3] * rows[2][(i + 2) % 3] - rows[1][(i + 2) % 3] * rows[2][(i + 1) % 3])
        for i in range(3)
    )
    if abs(determinant) != 1:
        found = f"symmetry line '{line[:60]}', which is no rotation"
        _refuse_text(path, found, "write each axis once, for example 'x,1/2-y,z'")
    return rows, shifts


def _parse_component(part: str, line: str, path: str) -> tuple[tuple[int, int, int], Fraction]:
    row, shift, end = [0, 0, 0], Fraction(0), 0
    for match in _TERM.finditer(part):
        if match.start() != end or match.end() == match.start() or (end and not match.group(1)):
            break
        sign, letter, value, factor_letter = match.groups()
        size = Fraction(-1 if sign == "-" else 1)
        if value is not None:
            if value.endswith("/0") or len(value) > 12:
                break
            # Translations of space groups are simple fractions, so 0.3333 becomes 1/3.
            size *= Fraction(value).limit_denominator(48)
        axis = letter or factor_letter
        if axis:
            row["xyz".index(axis)] += int(size)
        else:
            shift += size
        end = match.end()
    if end != len(part) or not part or max(map(abs, row)) > 1:
        _refuse_text(
            path, f"symmetry line '{line[:60]}'", "write it with x, y, z and fractions, for example 'x,1/2-y,z'"
        )
    return (row[0], row[1], row[2]), shift % 1


def _refuse_text(path: str, found: str, cure: str) -> NoReturn:
    raise ReadError(path, found=found, cure=cure)
