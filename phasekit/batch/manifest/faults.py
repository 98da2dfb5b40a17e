"""Faults of the rows of a batch, and the one error that lists them all."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from phasekit.errors import PhasekitError, ReadError, SchemaError

_LONGEST = 400  # characters of a cell
_HEAD = ("row", "file", "parameter", "found", "needed")


class Fault(NamedTuple):
    """What is wrong with one value of one row."""

    row: int  # number of the entry, from 1; 0: what all rows share
    file: str  # input of the row, or where a shared value is given
    parameter: str
    found: str
    needed: str
    line: int = 0  # of the file; 0: not known


class ManifestError(SchemaError, ReadError):
    """Rows that cannot be run; ``faults`` holds every fault of every row, and the message is their table."""

    def __init__(self, source: str, faults: Sequence[Fault], n_rows: int) -> None:
        PhasekitError.__init__(self, _write_head(source, faults, n_rows) + "\n" + format_faults(faults))
        self.source, self.faults, self.n_rows = source, tuple(faults), n_rows

    def __reduce__(self) -> tuple[Any, ...]:
        """Parts from which another process rebuilds the error."""
        return type(self), (self.source, self.faults, self.n_rows)

    def write(self, width: int | None = None) -> str:
        """Message whose table is wrapped to a width in characters."""
        return _write_head(self.source, self.faults, self.n_rows) + "\n" + format_faults(self.faults, width=width)


def format_faults(faults: Sequence[Fault], *, width: int | None = None) -> str:
    """Table of faults, one a line; the same fault of several rows is written once, with the numbers of all.

    Parameters
    ----------
    faults
        Faults in any order.
    width
        Characters of a line; the last two columns are wrapped. ``None``: nothing is wrapped.

    Examples
    --------
    >>> print(format_faults([Fault(n, "", "sead", "'sead' is unknown", "Did you mean 'seed'?") for n in (1, 2, 3, 5)]))
    row             file  parameter  found              needed
    entries 1-3, 5        sead       'sead' is unknown  Did you mean 'seed'?
    """
    table = [_HEAD, *_join_equal(faults)]
    sizes = [min(max(len(cells[column]) for cells in table), 40) for column in range(4)]
    if width is None:
        return "\n".join("  ".join(_pad(cells, sizes)).rstrip() for cells in table)
    left = sizes[:3]
    rest = max(width - sum(left) - 8, 40)
    half = min(max(len(cells[3]) for cells in table), rest // 2)
    return "\n".join(_wrap_cells(cells, (*left, half, rest - half)) for cells in table)


def _write_head(source: str, faults: Sequence[Fault], n_rows: int) -> str:
    """Sentence above the table."""
    wrong = {fault.row for fault in faults if fault.row}
    where = f" in {len(wrong)} of {n_rows} rows" if wrong else " in what all rows share"
    return f"{source}: {len(faults)} fault{'s' * (len(faults) != 1)}{where}. Nothing was run."


def _join_equal(faults: Iterable[Fault]) -> list[tuple[str, ...]]:
    """Lines of the table in the order of the rows."""
    groups: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in sorted(faults, key=lambda fault: fault.row):
        groups.setdefault((fault.parameter, fault.found, fault.needed), []).append(fault)
    return [(_write_rows(alike), _write_files(alike), *map(_make_printable, words)) for words, alike in groups.items()]


def _write_rows(alike: Sequence[Fault]) -> str:
    """Numbers of the rows, ``entry 3, line 4`` or ``entries 1-3, 5``."""
    first = alike[0]
    if not first.row:
        return "all rows"
    if len(alike) == 1:
        return f"entry {first.row}, line {first.line}" if first.line else f"entry {first.row}"
    runs: list[list[int]] = []
    for fault in alike:
        if runs and fault.row - runs[-1][-1] <= 1:
            runs[-1][1:] = [fault.row]
        else:
            runs.append([fault.row])
    texts = [f"{run[0]}-{run[-1]}" if run[0] != run[-1] else str(run[0]) for run in runs]
    more = f" and {len(alike)} in all" if len(texts) > 5 else ""
    return f"entries {', '.join(texts[:5])}{more}"


def _write_files(alike: Sequence[Fault]) -> str:
    files = list(dict.fromkeys(fault.file for fault in alike if fault.file))
    return _make_printable(files[0]) if len(files) == 1 else f"{len(files)} files" if files else ""


def _make_printable(text: str) -> str:
    """Text without line breaks, control characters and letters that no encoding can write."""
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _pad(cells: Sequence[str], sizes: Sequence[int]) -> list[str]:
    return [cell.ljust(size) for cell, size in zip(cells, (*sizes, 0), strict=True)]


def _wrap_cells(cells: Sequence[str], sizes: Sequence[int]) -> str:
    """Line of the table whose cells are wrapped, as several lines."""
    parts = [textwrap.wrap(cell, size or 1) or [""] for cell, size in zip(cells, sizes, strict=True)]
    height = max(map(len, parts))
    rows = [[part[n] if n < len(part) else "" for part in parts] for n in range(height)]
    return "\n".join("  ".join(_pad(row, sizes[:4])).rstrip() for row in rows)
