"""The text of a CIF file: its data blocks, and the cell, symmetry and atoms of a block as they are written."""

import math
import re
from dataclasses import dataclass, field
from typing import NoReturn

from ....errors import ReadError
from .symmetry_lines import Operation, parse_operation

# A text field between lines that begin with ';', a quoted string (its closing quote is followed by white space),
# a comment, or a bare word: the four lexical forms of CIF 1.1 that a structure needs.
_TOKEN = re.compile(
    r"""^;(?P<text>.*?)^;(?=\s|\Z)|(?<!\S)'(?P<single>[^\n]*?)'(?=\s|\Z)|(?<!\S)"(?P<double>[^\n]*?)"(?=\s|\Z)"""
    r"""|(?P<comment>(?<!\S)\#[^\n]*)|(?P<word>\S+)""",
    re.MULTILINE | re.DOTALL,
)
# A number with an optional exponent and an optional uncertainty in brackets.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?(\(\d+\))?$")
_FORMULA_ELEMENT = re.compile(r"[A-Z][a-z]?")

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
    "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy "
    "Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf"
)
ELEMENTS = frozenset(_SYMBOLS.split())
# Deuterium and tritium scatter electrons as hydrogen; some programs write "Wat" for the oxygen of water.
_ALIASES = {"D": "H", "T": "H", "Wat": "O", "W": "W"}
# The same data have several tags: CIF 1.1 before and after 2003, and the dotted names of mmCIF.
_SYMOP_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)
_NAME_TAGS = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group.name_h-m_alt",
    "_space_group_name_h-m",
)
_NUMBER_TAGS = ("_space_group_it_number", "_symmetry_int_tables_number", "_space_group.it_number")
_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


# angstrom^2. Above it atoms would be off by more than half their radius: no measurement but a placeholder, such as the
# U = 1 (B = 79) of structures drawn in VESTA, under which every reflection but the innermost would vanish.
_LARGEST_U_ISO = 0.5


@dataclass
class Block:
    """One data block: single values by lower-case tag, and the columns of its loops."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)

    def first(self, *tags: str) -> str | None:
        """First of these tags that has a value (also a loop of one row)."""
        for tag in tags:
            column = self.columns.get(tag, [])
            value = self.values.get(tag, column[0] if len(column) == 1 else "?")
            if value.strip() not in ("?", ".", ""):
                return value.strip()
        return None


@dataclass(frozen=True)
class Site:
    """One row of the atom list: element, label, fractional position, occupancy, mean square displacement."""

    element: str
    label: str
    position: tuple[float, float, float]
    occupancy: float
    u_iso: float  # angstrom^2; 0 where the file gives none


def parse_blocks(text: str, path: str) -> list[Block]:
    """Data blocks of a CIF text, in file order."""
    # Comments are dropped, and line ends of any system count as one.
    tokens = [
        (match.lastgroup or "word", match.group(match.lastgroup or "word"))
        for match in _TOKEN.finditer(text.replace("\r\n", "\n").replace("\r", "\n"))
        if match.lastgroup != "comment"
    ]
    blocks: list[Block] = []
    position = 0
    while position < len(tokens):
        kind, value = tokens[position]
        lower = value.lower()
        if kind == "word" and lower.startswith("data_"):
            blocks.append(Block(value[5:]))
            position += 1
        elif not blocks:
            _refuse_text(
                path, f"'{value[:40]}' before the first 'data_' line", "give a CIF file, which begins with data_"
            )
        elif kind == "word" and lower == "loop_":
            position = _read_loop(tokens, position + 1, blocks[-1], path)
        elif kind == "word" and value.startswith("_"):
            if position + 1 == len(tokens) or _is_keyword(tokens[position + 1]):
                _refuse_text(
                    path, f"no value after '{value}'", "copy the file again, or write a value (or ?) after the tag"
                )
            blocks[-1].values[lower] = tokens[position + 1][1]
            position += 2
        else:  # a stray value: a sign of a cut or a hand edit, harmless unless the cell or the atoms miss something
            position += 1
    return blocks


def _is_keyword(token: tuple[str, str]) -> bool:
    kind, value = token
    return kind == "word" and (value.startswith("_") or value.lower() == "loop_" or value.lower().startswith("data_"))


def _read_loop(tokens: list[tuple[str, str]], position: int, block: Block, path: str) -> int:
    tags = []
    while position < len(tokens) and tokens[position][0] == "word" and tokens[position][1].startswith("_"):
        tags.append(tokens[position][1].lower())
        position += 1
    start = position
    while position < len(tokens) and not _is_keyword(tokens[position]):
        position += 1
    values = [value for _, value in tokens[start:position]]
    if not tags or len(values) % len(tags):
        _refuse_text(
            path,
            f"a loop_ of {len(tags)} columns with {len(values)} values ({tags[0] if tags else 'no tag'})",
            "copy the file again (is it cut?), or put names with blanks between quotes",
        )
    for column, tag in enumerate(tags):
        block.columns[tag] = values[column :: len(tags)]
    return position


def choose_block(blocks: list[Block], path: str) -> Block:
    """The one block that holds a unit cell."""
    found = [block for block in blocks if block.first("_cell_length_a", "_cell.length_a") is not None]
    if not found:
        _refuse_text(
            path, "no unit cell (_cell_length_a)", "give the CIF of a crystal structure, with cell, symmetry, atoms"
        )
    if len(found) > 1:
        # A file with two structures does not say which one is meant.
        names = ", ".join(block.name for block in found)
        _refuse_text(path, f"{len(found)} structures ({names})", "keep one data_ block per file")
    return found[0]


def parse_number(value: str, what: str, path: str) -> float:
    """Number with or without an uncertainty in brackets, ``2.824(1)``."""
    if not _NUMBER.match(value.strip()):
        _refuse_text(path, f"'{value[:40]}' as {what}", "write a number there")
    return float(value.strip().split("(")[0])


def read_cell(block: Block, path: str) -> tuple[float, ...]:
    """a, b, c [angstrom], alpha, beta, gamma [degrees], in the file's own order."""
    cell = []
    for tag in _CELL_TAGS:
        value = block.first(f"_cell_{tag}", f"_cell.{tag}")
        if value is None:
            _refuse_text(path, f"no _cell_{tag}", "add the missing cell parameter")
        cell.append(parse_number(value, f"_cell_{tag}", path))
    # No cell edge is below 0.5 angstrom; larger than 1000 means another unit.
    if min(cell[:3]) < 0.5 or max(cell[:3]) > 1000 or min(cell[3:]) < 10 or max(cell[3:]) > 170:
        _refuse_text(path, f"an impossible cell {cell}", "give lengths in angstrom and angles in degrees")
    return tuple(cell)


def read_operations(block: Block, path: str) -> list[Operation]:
    """Symmetry lines of the block; empty when it has none."""
    for tag in _SYMOP_TAGS:
        lines = block.columns.get(tag, [block.values[tag]] if tag in block.values else [])
        if lines:
            return [parse_operation(line, path) for line in lines]
    return []


def read_symmetry_name(block: Block, path: str) -> tuple[str | None, int | None]:
    """Hermann-Mauguin symbol and number in the International Tables, as far as given."""
    given = block.first(*_NUMBER_TAGS)
    table = None if given is None else int(parse_number(given, "the space group's number", path))
    if table is not None and not 1 <= table <= 230:
        _refuse_text(path, f"space group number {table}", "write a number from 1 to 230")
    return block.first(*_NAME_TAGS), table


def read_sites(block: Block, path: str) -> list[Site]:
    """Atoms of the asymmetric unit."""
    columns = {tag.replace(".", "_"): column for tag, column in block.columns.items()}
    places = [columns.get(f"_atom_site_fract_{axis}", []) for axis in "xyz"]
    labels = columns.get("_atom_site_label", []) or columns.get("_atom_site_type_symbol", [])
    if not labels or not all(places):
        _refuse_text(
            path, "no atoms (_atom_site_fract_x ...)", "add a loop with _atom_site_label and _atom_site_fract_x/y/z"
        )
    symbols = columns.get("_atom_site_type_symbol", [])
    shares = columns.get("_atom_site_occupancy", [])
    displacements, factor = columns.get("_atom_site_u_iso_or_equiv", []), 1.0
    if not displacements:
        displacements, factor = columns.get("_atom_site_b_iso_or_equiv", []), 1 / (8 * math.pi**2)  # B = 8 pi^2 U
    # Columns of one loop have one length; others come from a damaged loop.
    if {len(column) for column in (*places, symbols, shares, displacements) if column} != {len(labels)}:
        _refuse_text(path, "atom columns of different lengths", "copy the file again")
    formula = set(_FORMULA_ELEMENT.findall(block.first("_chemical_formula_sum") or ""))
    sites = []
    for row, label in enumerate(labels):
        x, y, z = (parse_number(column[row], f"the position of atom '{label}'", path) for column in places)
        # A position without occupancy is full.
        share = shares[row] if shares and shares[row] not in ("?", ".") else "1"
        occupancy = parse_number(share, f"the occupancy of atom '{label}'", path)
        # Rounded refinements give occupancies slightly above 1; positions far outside the cell are misread columns.
        if not 0 <= occupancy <= 1.05 or max(abs(x), abs(y), abs(z)) > 10:
            _refuse_text(
                path,
                f"atom '{label}' at ({x}, {y}, {z}) with occupancy {occupancy}",
                "give fractions of the cell, and an occupancy from 0 to 1",
            )
        symbol = symbols[row] if symbols and symbols[row] not in ("?", ".") else None
        u_iso = _read_displacement(displacements[row] if displacements else "?", factor, label, path)
        sites.append(Site(find_element(symbol or label, formula, path), label, (x, y, z), occupancy, u_iso))
    return sites


def _read_displacement(text: str, factor: float, label: str, path: str) -> float:
    """Read U [angstrom^2] = factor * value; 0 (not known) where it is left open, not positive, or a placeholder."""
    if text in ("?", "."):
        return 0.0
    u_iso = factor * parse_number(text, f"the displacement of atom '{label}'", path)
    return u_iso if 0 < u_iso < _LARGEST_U_ISO else 0.0


def find_element(text: str, formula: set[str], path: str) -> str:
    """Chemical element of a type symbol or label: ``Fe3+`` -> Fe, ``O1`` -> O, ``CA`` -> Ca.

    Examples
    --------
    >>> [find_element(text, set(), "demo.cif") for text in ("Fe3+", "O1", "CA", "Oa2", "NA1+", "D")]
    ['Fe', 'O', 'Ca', 'O', 'Na', 'H']
    >>> find_element("HO1", {"H", "O"}, "demo.cif")
    'H'
    """
    # A label such as HO1 is oxygen-bound hydrogen or holmium: the formula decides where it can.
    letters = re.match(r"[A-Za-z]*", text).group()  # type: ignore[union-attr]
    if letters.capitalize() in _ALIASES and letters.capitalize() not in formula:
        return _ALIASES[letters.capitalize()]
    choices = [name for name in (letters[:2].capitalize(), letters[:1].upper()) if name in ELEMENTS]
    choices = [name for name in choices if name in formula] or choices
    if not choices:
        _refuse_text(path, f"unknown element '{text[:20]}'", "write the element's symbol in _atom_site_type_symbol")
    return choices[0]


def _refuse_text(path: str, found: str, cure: str) -> NoReturn:
    raise ReadError(path, found=found, cure=cure)
