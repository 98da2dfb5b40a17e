"""Lines split into fields, and fields read as numbers, in every way that tables are written."""

import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import isnan
from typing import NamedTuple

_MISSING: tuple[str, ...] = ("", "-", "--", "---", "na", "n/a", "nan", "null", "none", "#n/a", "nd", "n.d.")
# What spreadsheets write where a formula failed, in English, German and French.
_MISSING += (
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "#null!",
    "#nv",
    "#wert!",
    "#bezug!",
    "#zahl!",
    "#valeur!",
)
_DOT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?$")
_COMMA = re.compile(r"[+-]?(\d+(,\d+)?|,\d+)([eEdD][+-]?\d+)?$")
_INFINITE = re.compile(r"[+-]?inf(inity)?$", re.IGNORECASE)
_BESIDE_COMMA = re.compile(r"([\d.]+),(?=([\d.]+))")
_PART = re.compile(r"[+-]?\d+([eE][+-]?\d+)?")
# Text of these marks alone is a number that is written in another way, and no text.
_NUMBER_LIKE = re.compile(r"[\d.,;' \u00a0+\-]*\d[\d.,;' \u00a0]*[eE]?[\d+\-,;]*")
_DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}")
# A unit in brackets belongs to the name before it.
_UNIT_APART = re.compile(r"(?<=\S) +(?=[(\[][^()\[\]]*[)\]])")


class Reading(NamedTuple):
    """One way to read lines: which separator, which decimal mark, and the fields that it gives."""

    separator: str  # as messages name it
    decimal: str
    split: Callable[[str], list[str]]
    fields: list[list[str]]
    width: int  # columns of the table
    good: int  # lines of that many numbers
    has_text: bool  # whether some of these lines hold text as well
    rank: int  # place in the order of preference


def parse_number(field: str, decimal: str) -> float | None:
    """Number of a field, NaN for a missing one, None for text.

    Examples
    --------
    >>> parse_number("1.5D+2", "."), parse_number("0,12", ","), parse_number("1,234.5", "."), parse_number("n/a", ".")
    (150.0, 0.12, None, nan)
    """
    text = field.strip().strip("\"'").strip().replace("\u2212", "-")
    if text.lower() in _MISSING:
        return float("nan")
    if _INFINITE.match(text):
        return float(text)
    if not (_COMMA if decimal == "," else _DOT).match(text):
        return None
    return float(re.sub("[dD]", "e", text.replace(",", ".")))


def split_quoted(line: str, separator: str) -> list[str]:
    """Fields of a line where quoted text may hold the separator."""
    if '"' not in line:
        return [field.strip() for field in line.split(separator)]
    blanks = " " if separator == "\t" else r" \t"
    # A quotation begins at its mark, whatever blanks stand before it, and a doubled mark is one within it.
    # A mark that closes a quotation is followed by the separator, or the field is more than quoted text.
    quoted = rf'"(?:[^"]|"")*"(?=[{blanks}]*(?:{separator}|$))'
    found = re.findall(rf"(?:^|{separator})[{blanks}]*({quoted}|[^{separator}]*)[^{separator}]*", line)
    return [f[1:-1].replace('""', '"') if len(f) > 1 and f[0] == f[-1] == '"' else f.strip() for f in found]


def split_blanks(line: str) -> list[str]:
    """Fields between blanks; quoted text and a unit in brackets stay with their name."""
    line = line.strip()
    if '"' in line:
        return [(quoted or plain).strip() for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', line)]
    return [field.replace("\0", " ") for field in re.split(r"[ \t]+", _UNIT_APART.sub("\0", line))]


def split_at_marks(line: str) -> list[str]:
    """Fields between any of comma, semicolon, tab and blanks; a comma that may be a decimal mark splits nothing."""
    # A comma without a blank separates only what has decimal points on both sides.
    whole = any("." not in a or "." not in b for a, b in _BESIDE_COMMA.findall(line))
    return [line] if whole else [field for field in re.split(r"[\s,;]+", line.strip()) if field]


def _split_spaced_commas(line: str) -> list[str]:
    return [field.strip() for field in re.split(r",\s+", line.strip().removesuffix(","))]


def _join_pairs(line: str) -> list[str]:
    """Fields of a table whose commas both separate and mark the decimals: two parts make one number."""
    parts = split_quoted(line, ",")
    parts = parts[:-1] if len(parts) % 2 and parts[-1] == "" else parts
    numeric = len(parts) % 2 == 0 and all(_PART.fullmatch(part) for part in parts)
    return [f"{a},{b}" for a, b in zip(parts[::2], parts[1::2], strict=True)] if numeric else parts


_WAYS: tuple[tuple[str, str, Callable[[str], list[str]]], ...] = (
    ("tab", ".", partial(split_quoted, separator="\t")),
    ("tab", ",", partial(split_quoted, separator="\t")),
    ("semicolon", ".", partial(split_quoted, separator=";")),
    ("semicolon", ",", partial(split_quoted, separator=";")),
    ("comma", ".", partial(split_quoted, separator=",")),
    ("blank", ".", split_blanks),
    ("blank", ",", split_blanks),
    ("comma and blank", ",", _split_spaced_commas),
    ("comma", ",", _join_pairs),
    ("any", ".", split_at_marks),
)


def read_every_way(lines: list[str], decimal: str | None, fewest: int = 2) -> list[Reading]:
    """Readings of the lines, the one that reads most of them as ``fewest`` or more columns first."""
    readings = [
        _read_lines(lines, rank, *way) for rank, way in enumerate(_WAYS) if decimal is None or way[1] == decimal
    ]
    # A table of spectra has two columns at least; one column is what a wrong separator gives.
    return sorted(readings, key=lambda r: (r.width < fewest, -r.good, r.has_text, r.width < 2, r.rank))


def _read_lines(lines: list[str], rank: int, name: str, decimal: str, split: Callable[[str], list[str]]) -> Reading:
    fields = [split(line) for line in lines]
    numeric = [row for row in fields if is_numeric(row, decimal)]
    while numeric and len(numeric[0]) > 1 and all(len(row) > 1 and row[-1] == "" for row in numeric):
        # Some programs end every line with a separator.
        fields = [row[:-1] if len(row) > 1 and row[-1] == "" else row for row in fields]
        numeric = [row for row in fields if is_numeric(row, decimal)]
    lengths = Counter(len(row) for row in numeric)
    width = max(lengths, key=lambda n: (lengths[n], n)) if lengths else 0
    has_text = any(parse_number(field, decimal) is None for row in numeric if len(row) == width for field in row)
    return Reading(name, decimal, split, fields, width, lengths[width] if lengths else 0, has_text, rank)


def is_numeric(row: list[str], decimal: str) -> bool:
    """Whether a line is of numbers: all its fields, or two at least beside text such as a date."""
    values = [parse_number(field, decimal) for field in row]
    texts = [field for field, value in zip(row, values, strict=True) if value is None]
    if any(_NUMBER_LIKE.fullmatch(field) and not _DATE.match(field) for field in texts):
        return False
    numbers = sum(value is not None and not isnan(value) for value in values)
    return numbers >= 2 or (numbers >= 1 and None not in values)
