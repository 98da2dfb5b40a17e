"""The text of a CIF file: its data blocks, and the cell, symmetry and atoms of a block as they are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

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
_HALL_TAGS = ("_space_group_name_hall", "_symmetry_space_group_name_hall", "_space_group.name_hall")
_CHOICE_TAGS = ("_space_group_it_coordinate_system_code", "_space_group.it_coordinate_system_code")
_NUMBER_TAGS = ("_space_group_it_number", "_symmetry_int_tables_number", "_space_group.it_number")
_CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


class Token(NamedTuple):
    """A piece of the text: its lexical form, its content, and the line on which it begins."""

    kind: str
    value: str
    line: int


class StatedGroup(NamedTuple):
    """What a file says about its space group, apart from symmetry lines.

    Hermann-Mauguin symbol, number in the International Tables, Hall symbol, code of the coordinate system (1, 2, h, r).
    """

    name: str | None
    number: int | None
    hall: str | None = None
    choice: str | None = None

    def is_empty(self) -> bool:
        """Whether the file states neither symbol nor number."""
        return self.name is None and self.number is None and self.hall is None

    def __str__(self) -> str:
        words = [self.name, f"no. {self.number}" if self.number else None, f"Hall {self.hall}" if self.hall else None]
        return ", ".join(word for word in words if word) or "no space group"


@dataclass
class Block:
    """One data block: single values by lower-case tag, the columns of its loops, and the lines of their values."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def first(self, *tags: str) -> str | None:
        """First of these tags that has a value (also a loop of one row)."""
        for tag in tags:
            column = self.columns.get(tag, [])
            value = self.values.get(tag, column[0] if len(column) == 1 else "?")
            if value.strip() not in ("?", ".", ""):
                return value.strip()
        return None


def parse_blocks(text: str, path: str) -> list[Block]:
    """Data blocks of a CIF text, in file order."""
    tokens = list(_split_tokens(text))
    blocks: list[Block] = []
    position = 0
    while position < len(tokens):
        kind, value, _ = tokens[position]
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
            blocks[-1].values[lower] = tokens[position + 1].value
            position += 2
        else:  # a stray value: a sign of a cut or a hand edit, harmless unless the cell or the atoms miss something
            position += 1
    return blocks


def _split_tokens(text: str) -> Iterator[Token]:
    """Pieces of the text without comments; line ends of any system count as one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    line = seen = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "word"
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if kind != "comment":
            yield Token(kind, match.group(kind), line + 1)


def _is_keyword(token: Token) -> bool:
    kind, value, _ = token
    return kind == "word" and (value.startswith("_") or value.lower() == "loop_" or value.lower().startswith("data_"))


def _read_loop(tokens: list[Token], position: int, block: Block, path: str) -> int:
    tags = []
    while position < len(tokens) and tokens[position].kind == "word" and tokens[position].value.startswith("_"):
        tags.append(tokens[position].value.lower())
        position += 1
    start = position
    while position < len(tokens) and not _is_keyword(tokens[position]):
        position += 1
    values = [token.value for token in tokens[start:position]]
    if not tags or len(values) % len(tags):
        _refuse_text(
            path,
            f"a loop_ of {len(tags)} columns with {len(values)} values ({tags[0] if tags else 'no tag'})",
            "copy the file again (is it cut?), or put names with blanks between quotes",
        )
    for column, tag in enumerate(tags):
        block.columns[tag] = values[column :: len(tags)]
        block.lines[tag] = [token.line for token in tokens[start + column : position : len(tags)]]
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
    texts = [block.first(f"_cell_{tag}", f"_cell.{tag}") for tag in _CELL_TAGS]
    # The dictionary of CIF gives 90 degrees to angles that are left out; one of three was rather forgotten.
    texts = texts if any(texts[3:]) else [*texts[:3], "90", "90", "90"]
    for tag, value in zip(_CELL_TAGS, texts, strict=True):
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


def read_stated_group(block: Block, path: str) -> "StatedGroup":
    """Space group that the block states by its symbols and number, as far as given."""
    given = block.first(*_NUMBER_TAGS)
    table = None if given is None else int(parse_number(given, "the space group's number", path))
    if table is not None and not 1 <= table <= 230:
        _refuse_text(path, f"space group number {table}", "write a number from 1 to 230")
    return StatedGroup(block.first(*_NAME_TAGS), table, block.first(*_HALL_TAGS), block.first(*_CHOICE_TAGS))


def _refuse_text(path: str, found: str, cure: str) -> NoReturn:
    raise ReadError(path, found=found, cure=cure)
