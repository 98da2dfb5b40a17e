"""Manifests as a table: cells separated by commas, semicolons or tabs, under a line of names."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from phasekit.errors import ReadError

from .entries import Entry

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_table(file: Path, text: str) -> list[Entry]:
    """Entries of a table; an empty cell is a value that is not given."""
    skipped, text, separator = _find_separator(file, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    lines = _read_lines(file, reader, skipped)
    names = [name.strip() for name in next(lines, (0, []))[1]]
    _check_head(file, names)
    filled = [(line, cells) for line, cells in lines if any(cell.strip() for cell in cells)]
    if not filled:
        cure = "write a line for each run below the names"
        raise ReadError(file, found="a line of names and no row" if any(names) else "no row", cure=cure)
    return [_make_entry(number, line, names, cells) for number, (line, cells) in enumerate(filled, start=1)]


def _find_separator(file: Path, text: str) -> tuple[int, str, str]:
    """Lines to skip, the text without them, and its separator, from the line of names."""
    head, *below = re.split(r"\r\n|\r|\n", text, maxsplit=1)
    # Spreadsheets write the separator into a first line of its own.
    if head.strip().lower().startswith("sep=") and len(head.strip()) in (4, 5):
        stated = head[4:5] or "\t"
        if stated in _SEPARATORS:
            return 1, "".join(below), stated
    names = "".join(head.split('"')[::2])  # outside quotes
    used = [separator for separator in _SEPARATORS if separator in names]
    if len(used) > 1:
        listed = " and ".join(_SEPARATORS[separator] for separator in used)
        raise ReadError(file, found=f"{listed} in the line of names", cure="separate all cells by one of them")
    return 0, text, used[0] if used else ","


def _read_lines(file: Path, reader: Iterator[list[str]], skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Number of the line where each row begins, and its cells."""
    line = skipped + 1
    try:
        for cells in reader:
            yield line, cells
            line = skipped + int(getattr(reader, "line_num", 0)) + 1
    except csv.Error as error:
        found = f"a row from line {line} on that cannot be read ({error})"
        cure = 'close every quote, and write a quote inside a quoted cell twice, "say ""so"""'
        raise ReadError(file, found=found, cure=cure) from error


def _check_head(file: Path, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ReadError(file, found=f"the column(s) {', '.join(twice)} twice", cure="write several values in one cell")


def _make_entry(number: int, line: int, names: Sequence[str], cells: Sequence[str]) -> Entry:
    """Row as a mapping without its empty cells."""
    given = dict(zip(names, cells, strict=False))
    extra = [cell for cell in cells[len(names) :] if cell.strip()]
    values = {name: cell for name, cell in given.items() if name and cell.strip()}
    if extra:
        found = f"an entry of {len(cells)} cells under {len(names)} names"
        needed = 'Needs one cell a name: quote a cell that holds a comma, "a.csv,b.csv".'
        return Entry(number, values, line, (found, needed))
    if given.get("", "").strip():
        return Entry(number, values, line, (f"the cell '{given['']}' under no name", "Needs a name in the first line."))
    return Entry(number, values, line)
