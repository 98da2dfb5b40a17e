"""The atoms of a CIF block: element, place, occupancy and displacement of each row, with its line for messages."""

import math
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from ....errors import ReadError
from .cif_text import Block, parse_number
from .elements import ElementError, Share, parse_formula_elements, read_label, read_symbol

# angstrom^2. Above it atoms would be off by more than half their radius: no measurement but a placeholder, such as the
# U = 1 (B = 79) of structures drawn in VESTA, under which every reflection but the innermost would vanish.
_LARGEST_U_ISO = 0.5
# Multiples of 1/8 are exact in three digits, so that their digits say nothing about the others.
_EXACT = 8
_MOST_DIGITS = 8


@dataclass(frozen=True)
class Site:
    """One element of one row of the atom list: label, fractional position, occupancy, mean square displacement.

    ``digits`` is the number of digits behind the point with which the position is written; ``line`` that of the text.
    """

    element: str
    label: str
    position: tuple[float, float, float]
    occupancy: float
    u_iso: float  # angstrom^2; 0 where the file gives none
    digits: int = _MOST_DIGITS
    line: int = 0


class _Columns(NamedTuple):
    labels: list[str]
    places: list[list[str]]
    symbols: list[str]
    shares: list[str]
    displacements: list[str]
    factor: float
    flags: list[str]
    lines: list[int]


def read_sites(block: Block, path: str) -> list[Site]:
    """Atoms of the asymmetric unit; dummy atoms (``_atom_site_calc_flag dum``) are left out."""
    columns = _collect_columns(block, path)
    formula = parse_formula_elements(block.first("_chemical_formula_sum"))
    sites = []
    for row in range(len(columns.labels)):
        if not (columns.flags and columns.flags[row].lower() == "dum"):
            sites += _read_row(columns, row, formula, path)
    if not sites:
        _refuse_text(path, "no atoms but dummy ones", "give the CIF of a crystal structure with its atoms")
    return sites


def _collect_columns(block: Block, path: str) -> _Columns:
    columns = {tag.replace(".", "_"): column for tag, column in block.columns.items()}
    lines = {tag.replace(".", "_"): column for tag, column in block.lines.items()}
    places = [columns.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    named = "_atom_site_label" if columns.get("_atom_site_label") else "_atom_site_type_symbol"
    labels = columns.get(named, [])
    if not labels or not all(places):
        _refuse_text(
            path, "no atoms (_atom_site_fract_x ...)", "add a loop with _atom_site_label and _atom_site_fract_x/y/z"
        )
    symbols = columns.get("_atom_site_type_symbol", [])
    shares = columns.get("_atom_site_occupancy", [])
    flags = columns.get("_atom_site_calc_flag", [])
    displacements, factor = columns.get("_atom_site_u_iso_or_equiv", []), 1.0
    if not displacements:
        displacements, factor = columns.get("_atom_site_b_iso_or_equiv", []), 1 / (8 * math.pi**2)  # B = 8 pi^2 U
    # Columns of one loop have one length; others come from a damaged loop.
    if {len(one) for one in (*places, symbols, shares, displacements, flags) if one} != {len(labels)}:
        _refuse_text(path, "atom columns of different lengths", "give all columns of the atoms in one loop_")
    return _Columns(labels, places, symbols, shares, displacements, factor, flags, lines[named])


def _read_row(columns: _Columns, row: int, formula: frozenset[str], path: str) -> list[Site]:
    label, line = columns.labels[row], columns.lines[row]
    where = f"in line {line}"
    texts = [column[row] for column in columns.places]
    x, y, z = (parse_number(text, f"the position of atom '{label}' {where}", path) for text in texts)
    # A position without occupancy is full.
    share = columns.shares[row] if columns.shares and columns.shares[row] not in ("?", ".") else "1"
    occupancy = parse_number(share, f"the occupancy of atom '{label}' {where}", path)
    # Rounded refinements give occupancies slightly above 1; positions far outside the cell are misread columns.
    if not 0 <= occupancy <= 1.05 or max(abs(x), abs(y), abs(z)) > 10:
        _refuse_text(
            path,
            f"atom '{label}' {where} at ({x}, {y}, {z}) with occupancy {occupancy}",
            "give fractions of the cell, and an occupancy from 0 to 1",
        )
    u_iso = _read_displacement(columns, row, path)
    digits = max(_count_digits(text) for text in texts)
    return [
        Site(element, label, (x, y, z), occupancy * part, u_iso, digits, line)
        for element, part in _read_elements(columns, row, formula, path)
    ]


def _read_elements(columns: _Columns, row: int, formula: frozenset[str], path: str) -> list[Share]:
    symbol = columns.symbols[row] if columns.symbols and columns.symbols[row] not in ("?", ".") else None
    try:
        return read_label(columns.labels[row], formula) if symbol is None else read_symbol(symbol, formula)
    except ElementError as error:
        raise ReadError(path, found=f"{error} in line {columns.lines[row]}", cure=error.cure) from error


def _count_digits(text: str) -> int:
    """Digits behind the point without zeros at the end; 0 for a multiple of 1/8, which has no rounding.

    Examples
    --------
    >>> [_count_digits(text) for text in ("0.3333", "0.25", "0", "0.333330", "-0.1245(3)", "1.2E-2")]
    [4, 0, 0, 5, 4, 3]
    """
    number = text.split("(", maxsplit=1)[0]
    if float(number) * _EXACT % 1 == 0:
        return 0
    mantissa, _, exponent = number.lower().partition("e")
    written = len(mantissa.partition(".")[2].rstrip("0"))
    return min(max(written - int(exponent or 0), 1), _MOST_DIGITS)


def _read_displacement(columns: _Columns, row: int, path: str) -> float:
    """Read U [angstrom^2] = factor * value; 0 (not known) where it is left open, not positive, or a placeholder."""
    text = columns.displacements[row] if columns.displacements else "?"
    if text in ("?", "."):
        return 0.0
    what = f"the displacement of atom '{columns.labels[row]}' in line {columns.lines[row]}"
    u_iso = columns.factor * parse_number(text, what, path)
    return u_iso if 0 < u_iso < _LARGEST_U_ISO else 0.0


def _refuse_text(path: str, found: str, cure: str) -> NoReturn:
    raise ReadError(path, found=found, cure=cure)
