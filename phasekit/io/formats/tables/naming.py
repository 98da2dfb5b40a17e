"""Columns of a table with their names and units, from a header, units below it, or the last comment line."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .layout import Layout
from .options import TableOptions, advise
from .splitting import Reading, split_at_marks
from .words import find_error_owner, is_fine_structure, is_unit, is_wave_name, rate_energy_name, split_unit

_KEPT_COMMENTS = 3  # lines above the numbers in which names are looked for


@dataclass
class Column:
    """One column: its name ("" where the file does not say), unit, place from 0, and numbers."""

    name: str
    unit: str | None
    place: int
    values: NDArray[np.float64]

    def describe(self) -> str:
        """Name and place, for messages."""
        return f"{self.place} {self.name!r}" if self.name else f"{self.place}"


@dataclass
class Names:
    """Names and units of all columns; ``certain`` where the file marks them as names."""

    names: list[str]
    units: list[str | None]
    certain: bool


def name_columns(path: Path, layout: Layout, options: TableOptions) -> tuple[list[Column], bool]:
    """Columns of a table, and whether their names are certain.

    Raises
    ------
    ReadError
        A header names energies or errors, but not as many columns as there are.
    """
    found = _find_column_comments(layout) or _read_header(path, layout, options) or _read_comments(layout)
    width = layout.values.shape[1]
    found = found or Names([""] * width, [None] * width, certain=False)
    columns = [
        Column(name, unit or split_unit(name)[1], k, layout.values[:, k])
        for k, (name, unit) in enumerate(zip(found.names, found.units, strict=True))
    ]
    lost = next((c for c in columns if c.place in layout.text_columns and rate_energy_name(c.name) == 2), None)
    if lost is not None and options.energy_column is None:
        raise ReadError(
            path,
            found=f"text where the column {lost.describe()} should hold numbers",
            cure=advise(options, "leave numbers alone in it, or choose another column with energy_column="),
        )
    return [c for c in columns if c.place not in layout.text_columns], found.certain


def _find_column_comments(layout: Layout) -> Names | None:
    """Names that XDI states as ``Column.1: energy eV``, and those of a SPEC scan."""
    width = layout.values.shape[1]
    labels = [layout.find_comment(rf"label\.{k + 1}") for k in range(width)]
    if all(label is not None for label in labels):
        return Names([label or "" for label in labels], [None] * width, certain=True)
    said = [layout.find_comment(rf"column\.{k + 1}") for k in range(width)]
    if not any(said):
        return None
    last = _read_comments(layout)
    names: list[str] = []
    units: list[str | None] = []
    for k, text in enumerate(said):
        words = (text or (last.names[k] if last else "")).split("||")[0].split()
        # The second word of the energy is its unit; names of samples may have blanks.
        has_unit = len(words) > 1 and (rate_energy_name(words[0]) or words[0].lower() in ("angle", "k"))
        names.append(words[0] if has_unit else " ".join(words))
        units.append(words[1] if has_unit else None)
    return Names(names, units, certain=True)


def _read_header(path: Path, layout: Layout, options: TableOptions) -> Names | None:
    """Names in the text lines directly above the numbers."""
    width = layout.values.shape[1]
    rows = [_fit_width(line, width, layout.reading) for line in layout.header[-_KEPT_COMMENTS:]]
    if rows and rows[-1] is None and _has_row_names(layout):
        short = _fit_width(layout.header[-1], width - 1, layout.reading)
        rows[-1] = None if short is None else ["", *short]
    fitting = [row for row in rows if row is not None]
    if rows and rows[-1] is None:
        _refuse_unfit_header(path, layout, options)
    if not fitting:
        return None
    units = next((row for row in fitting if _is_units_row(row)), None)
    named = [row for row in fitting if row is not units]
    if not named:
        return Names([""] * width, [text.strip("()[] ") or None for text in units or []], certain=True)
    # A row that names the energy is the row of names; the last one otherwise.
    chosen = next((row for row in reversed(named) if any(rate_energy_name(name) == 2 for name in row)), named[-1])
    stated: list[str | None] = [_clean_unit(text) for text in units or [""] * width]
    # Rows of text in a table without separators may be a title.
    certain = layout.reading.separator != "blank" or any(rate_energy_name(name) for name in chosen)
    return Names(_distinguish_names(chosen, [row for row in named if row is not chosen]), stated, certain)


def _distinguish_names(names: list[str], others: list[list[str]]) -> list[str]:
    """Names from another row of the header in place of those that occur twice, such as ``OD`` under each substance.

    The name of a pair may stand above its energies, one column to the left.
    """
    twice = [k for k, name in enumerate(names) if names.count(name) > 1 and not rate_energy_name(name)]
    for row in others:
        found = {k: row[k] or row[max(k - 1, 0)] for k in twice}
        if all(found.values()) and len(set(found.values())) == len(found) and not any(map(is_unit, found.values())):
            return [found.get(k, name) for k, name in enumerate(names)]
    return names


def _fit_width(line: str, width: int, reading: Reading) -> list[str] | None:
    """Fields of a header as names of ``width`` columns; None where their number differs."""
    ways = [reading.split(line)]
    ways += [re.split(r"\t+|\s{2,}", line.strip())] if reading.separator in ("blank", "any") else []
    # A header may be separated by other marks than the numbers below it.
    ways += [line.split(","), line.split(";")] if reading.separator == "blank" else []
    # Commas and semicolons separate only where they do in the numbers.
    ways += [split_at_marks(line)] if reading.separator == "any" else []
    for fields in ways:
        names = [re.sub(r"^(['\"])(.*)\1$", r"\2", field.strip().rstrip(",")).strip() for field in fields]
        while len(names) > width and names[-1] == "":
            names = names[:-1]
        if len(names) == width + 1 and names[0] == "#":
            names = names[1:]
        if len(names) == width:
            return names
    return None


def _has_row_names(layout: Layout) -> bool:
    """Whether the first column is text, or 1, 2, 3, ...: R writes a header without a name above its row names."""
    first = layout.values[:, 0]
    return 0 in layout.text_columns or bool((first == np.arange(first.size) + 1).all())


def _is_units_row(row: list[str]) -> bool:
    """Whether a row holds units: every field may be one, and one of them is of energy."""
    return all(is_unit(field) for field in row) and any(_clean_unit(field) for field in row)


def _clean_unit(text: str) -> str | None:
    unit = text.strip("()[] ")
    return unit if unit.lower() in ("ev", "kev", "nm", "å", "mev") else None


def _refuse_unfit_header(path: Path, layout: Layout, options: TableOptions) -> None:
    """Refuse a header that tells columns apart, but cannot be laid over them."""
    width = layout.values.shape[1]
    row = layout.reading.split(layout.header[-1])
    telling = [name for name in row if rate_energy_name(name) or find_error_owner(name, row)[0]]
    separates = layout.reading.separator not in ("blank", "any") and len(row) > 1
    # The title of two columns of text says nothing about them.
    if not separates and not (telling and width > 2):
        return
    if options.energy_column is not None and options.columns is not None:
        return
    raise ReadError(
        path,
        found=f"a header of {len(row)} name(s) ({', '.join(row)[:60]!r}) above {width} columns",
        cure=advise(options, "choose by place, e.g. energy_column=0, columns=[1], or quote names that hold separators"),
    )


def _read_comments(layout: Layout) -> Names | None:
    """Names in the last comment lines above the numbers, as Athena and XDI write them."""
    width = layout.values.shape[1]
    lines = [line for line in layout.above if re.search(r"\w", line)]
    for line in reversed(lines[-_KEPT_COMMENTS:]):
        text = re.sub(r"^(columns?|names?|fields)\s*[:=]\s*", "", line, flags=re.IGNORECASE)
        # ``key: value`` is a remark on the file.
        if re.match(r"[\w. ]+:\s", text):
            continue
        ways = [layout.reading.split(text), re.split(r"\t|\s{2,}", text.strip()), split_at_marks(text)]
        fields = next((f for f in ways if len(f) == width), None)
        names = [field.strip("\"' ") for field in fields or []]
        # Words of a remark are no names, unless one of them names an axis.
        telling = any(rate_energy_name(name) or is_wave_name(name) for name in names)
        telling = telling or (bool(names) and all(is_fine_structure(name) for name in names))
        if telling and not _is_units_row(names):
            return Names(names, [None] * width, certain=rate_energy_name(names[0]) == 2)
    return None
