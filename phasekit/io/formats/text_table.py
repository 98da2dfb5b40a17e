"""Text tables of spectra: columns of numbers with comments and, perhaps, names above them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError

# Marks of comments; the set is broad, because each program has its own.
_COMMENT = "#%*!;"
# A tab separates fields even where one is empty; blanks do so only together.
_SPLIT = {",": re.compile(r"\s*,\s*"), ";": re.compile(r"\s*;\s*"), "\t": re.compile(r"\t"), " ": re.compile(r"\s+")}
# A table of spectra has some kilobytes; a larger file is something else.
_LONGEST = 64 * 2**20


@dataclass
class Table:
    """Numbers of a text file, ``names`` of its columns ("" where it does not say), and its comment lines."""

    values: NDArray[np.float64]
    names: list[str]
    comments: list[str] = field(default_factory=list)

    def find_comment(self, key: str) -> str | None:
        """Text after ``key:`` in a comment line."""
        pattern = re.compile(rf"^\s*{re.escape(key)}\s*[:=]\s*(.*)$", re.IGNORECASE)
        return next((m.group(1).strip() for line in self.comments if (m := pattern.match(line))), None)


def read_numbers(path: Path) -> NDArray[np.float64]:
    """Numbers of a text table, shape (rows, columns)."""
    return read_table(path).values


def read_table(path: Path) -> Table:
    """Table of a text file: separated by comma, semicolon, tab or blanks; decimal commas where ';' separates.

    Lines that begin with one of ``#%*!;`` are comments. Text lines above the numbers are comments too, the last of
    them names the columns if it has as many fields.
    """
    lines = _read_lines(path)
    comments = [line.lstrip(_COMMENT).strip() for line in lines if line[0] in _COMMENT]
    body = [line for line in lines if line[0] not in _COMMENT]
    separator = _find_separator(body)
    rows = _split_fields(body, separator)
    # Lines of text above the first row of numbers are a header.
    first = next((i for i, row in enumerate(rows) if _parse_numbers(row, separator) is not None), len(rows))
    numbers = [_parse_numbers(row, separator) for row in rows[first:]]
    # A row of another length shows a damaged line, whichever separator is used.
    bad = next((i for i, row in enumerate(numbers) if row is None or len(row) != len(numbers[0] or [])), None)
    if bad is not None or not numbers:
        shown = body[first + bad] if bad is not None else (body[0] if body else "")
        raise ReadError(
            path,
            found=f"no table of numbers, beginning with line {shown[:60]!r}",
            cure="give a text file whose first column is the energy and whose rows have equally many numbers",
        )
    values = np.array(numbers, dtype=np.float64)
    names = rows[first - 1] if first and len(rows[first - 1]) == values.shape[1] else _find_names(comments, values)
    return Table(values, [n.strip().strip('"') for n in names], [*comments, *body[: max(0, first - 1)]])


def _read_lines(path: Path) -> list[str]:
    size = path.stat().st_size
    if size == 0 or size > _LONGEST:
        raise ReadError(path, found=f"a file of {size} bytes", cure="give a text table of spectra")
    raw = path.read_bytes()
    # Text holds no zero bytes, binary files soon do.
    if b"\0" in raw[:4096]:
        raise ReadError(path, found="binary data", cure="give a text table (csv, txt, xdi) or a .nc file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _find_separator(body: list[str]) -> str:
    """What stands in most lines, so that one damaged line does not decide."""
    for candidate in (";", "\t", ","):
        if 2 * sum(candidate in line for line in body) > len(body):
            return candidate
    return " "


def _split_fields(body: list[str], separator: str) -> list[list[str]]:
    """Fields of every line; an empty last column, which some programs write, is dropped."""
    rows = [[f.strip() for f in _SPLIT[separator].split(line.strip())] for line in body]
    if rows and separator in ",;" and all(row[-1] == "" for row in rows):
        return [row[:-1] for row in rows]
    return rows


def _parse_numbers(row: list[str], separator: str) -> list[float] | None:
    # Programs that write decimal commas separate fields by semicolons.
    row = [f.replace(",", ".") for f in row] if separator == ";" else row
    try:
        # An empty field is a missing number, which the caller may refuse.
        return [float(f) if f else float("nan") for f in row]
    except ValueError:
        return None


def _find_names(comments: list[str], values: NDArray[np.float64]) -> list[str]:
    """Names in the last comment line, if it has as many fields as there are columns (as XDI and Athena write it)."""
    for line in reversed(comments):
        fields = re.split(r"[\s,;]+", line.strip())
        if len(fields) == values.shape[1] and _parse_numbers(fields[:1], " ") is None and ":" not in line:
            return fields
    return [""] * values.shape[1]
