"""A text parted into comments, header, rows of numbers and footer."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .options import TableOptions, advise
from .splitting import Reading, is_numeric, parse_number, read_every_way
from .words import rate_energy_name

_COMMENT = re.compile(r'^\s*["\']?\s*(//|--(?=\s)|[#%*!])+')
# Programs write a line of totals below a table; it is no measurement.
_TOTALS: tuple[str, ...] = ("total", "totals", "sum", "mean", "average", "avg", "mittel", "summe")
_TOTALS += ("median", "mittelwert", "moyenne", "min", "max", "std", "stdev", "stddev", "standard deviation", "std dev")
_ENDS = ("end", "eof", "end of data", "data end", "[end]", "*")
_BLANKS = "\u00a0\u202f\u2009"  # blanks that stand within numbers
_THOUSANDS = re.compile(rf"\d{{1,3}}([,'’ {_BLANKS}]\d{{3}})+(\.\d+)?$|\d{{1,3}}([. {_BLANKS}]\d{{3}})+(,\d+)?$")
# An error of a spreadsheet begins with the same sign as a remark.
_REMARK = re.compile(r"(?<=\S)\s+#(?!N/A|NV|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!|WERT!|BEZUG!|ZAHL!|VALEUR!).*$")


@dataclass
class Layout:
    """Rows of numbers (row, column), NaN where a cell is empty or text, and the text around them."""

    values: NDArray[np.float64]
    header: list[str]  # text lines above the numbers
    comments: list[str]  # lines with a sign of comment, without it, and text lines of another width
    above: list[str]  # those of them that stand above the numbers
    reading: Reading
    text_columns: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find_comment(self, key: str) -> str | None:
        """Text after ``key:`` in a comment line."""
        pattern = re.compile(rf"^\s*{key}\s*[:=]\s*(.*)$", re.IGNORECASE)
        return next((m.group(1).strip() for line in self.comments if (m := pattern.match(line))), None)


def arrange_lines(path: Path, lines: list[str], options: TableOptions) -> Layout:
    """Part the lines of a table.

    Raises
    ------
    ReadError
        There is no table, a line is damaged, or decimal commas cannot be told from separators.
    """
    comments, body, first = _part_comments(lines)
    reading = _choose_reading(path, body, comments, options)
    at = [i for i, row in enumerate(reading.fields) if len(row) == reading.width and is_numeric(row, reading.decimal)]
    if not at:
        shown = next((line for line in body if re.match(r'\s*["+-]?\d', line)), body[0] if body else "")
        raise _refuse_line(path, shown, reading.decimal)
    _refuse_thousands(path, [reading.fields[i] for i in at], reading, options)
    text = _find_text_columns([reading.fields[i] for i in at], reading)
    rows = [_convert_row(row, reading, text) for row in reading.fields]
    good = [i for i, row in enumerate(rows) if row is not None]
    # Rows of separators alone stand above a header as well.
    filled = [i for i in good if not np.isnan(rows[i] or [0.0]).all()]
    begin, end = (filled[0], good[-1]) if filled else (0, -1)
    bad = next((i for i in range(begin, end + 1) if rows[i] is None), None)
    if bad is not None or not filled:
        raise _refuse_line(path, body[bad if bad is not None else at[0]], reading.decimal)
    notes = _read_footer(path, body[end + 1 :], reading)
    prose = [line for line in body[:begin] if re.search(r"[^\s,;#]", line)]
    above = [line for number, line in comments if number < first[begin]] + prose
    values = np.array([row for row in rows[begin : end + 1] if row is not None], dtype=np.float64)
    # Spreadsheets end with rows of separators alone.
    values = values[~np.isnan(values).all(axis=1)]
    _check_header(path, prose, values, reading)
    values, notes = _leave_out_totals(values, notes)
    return Layout(values, prose, [line for _, line in comments] + prose, above, reading, text, notes)


def _part_comments(lines: list[str]) -> tuple[list[tuple[int, str]], list[str], list[int]]:
    """Comments with the numbers of their lines, the other lines, and the numbers of these."""
    # A semicolon begins a comment, unless semicolons separate the fields.
    separates = sum(";" in line.lstrip("; ") for line in lines if not _COMMENT.match(line)) * 2 > len(lines)
    comments, body, numbers = [], [], []
    for number, line in enumerate(lines):
        is_comment = _COMMENT.match(line) or (line.lstrip().startswith(";") and not (separates and ";" in line[1:]))
        if is_comment and not _is_signed_name(line):
            comments.append((number, re.sub(r'^[\s"\'#%*!;/]+|[\s",;]+$', "", line)))
        else:
            # What follows " #" on a row is a remark.
            body.append(_REMARK.sub("", line) if not re.search(r"[A-Za-z]{2}.*#", line) else line)
            numbers.append(number)
    return comments, body, numbers


def _is_signed_name(line: str) -> bool:
    """Whether a line begins with ``#`` as the name of an index column, not as the sign of a comment."""
    return bool(re.match(r'^\s*"?#"?\s*[,;\t]', line))


def _choose_reading(path: Path, body: list[str], comments: list[tuple[int, str]], options: TableOptions) -> Reading:
    """The way to read that most lines agree with; the header decides between equals."""
    readings = read_every_way(body, options.decimal, 1 if options.purpose == "energies" else 2)
    best = readings[0]
    equal = [r for r in readings if r.good == best.good and r.good and r.has_text == best.has_text]
    ways = [r for r in equal if {r.decimal, best.decimal} == {",", "."} and _differ(r, best)]
    said = [line for _, line in comments]
    fitting = [r for r in (best, *ways) if any(_has_names(row, r) for row in (*r.fields, *map(r.split, said[-3:])))]
    if not ways and (fitting or not _holds_integers_alone(best) or options.decimal is not None):
        return best
    if len({r.width for r in fitting}) == 1:
        return fitting[0]
    # Commas between names of which one is the energy separate the numbers as well.
    headed = [r for r in fitting if r.separator == "comma" and any(map(_names_energy, r.fields[:-1]))]
    if len(headed) == 1 and headed[0].width > 1:
        return headed[0]
    # Blanks beside commas: the commas are in the numbers.
    if best.separator == "blank" or best.width == 1:
        return best
    if all(r.width < 2 for r in ways) and options.purpose != "energies" and best.width == 2:
        return best
    row = next(line for line, fields in zip(body, best.fields, strict=True) if is_numeric(fields, best.decimal))
    raise ReadError(
        path,
        found=f"commas that separate columns or mark decimals ({row[:60]!r})",
        cure=advise(options, "say decimal='.' if they separate columns, or decimal=',' if they mark decimals"),
    )


def _holds_integers_alone(reading: Reading) -> bool:
    """Whether three or more columns between commas hold no decimal mark: the commas may be such marks."""
    rows = [row for row in reading.fields if is_numeric(row, reading.decimal)]
    return reading.separator == "comma" and reading.width > 2 and not any("." in field for row in rows for field in row)


def _differ(a: Reading, b: Reading) -> bool:
    """Whether two ways read other numbers."""
    return any(
        [parse_number(f, a.decimal) for f in x] != [parse_number(f, b.decimal) for f in y]
        for x, y in zip(a.fields, b.fields, strict=True)
        if is_numeric(x, a.decimal)
    )


def _has_names(row: list[str], reading: Reading) -> bool:
    if not row or len(row) != reading.width:
        return False
    numbers = [parse_number(name, reading.decimal) for name in row]
    # The first name of an index is empty.
    return numbers[0] is None or (row[0] == "" and len(row) > 2 and all(n is None for n in numbers[1:]))


def _names_energy(row: list[str]) -> bool:
    return len(row) > 1 and any(rate_energy_name(name) == 2 for name in row)


def _find_text_columns(rows: list[list[str]], reading: Reading) -> list[int]:
    """Columns without a number, such as dates."""
    parsed = [[parse_number(f, reading.decimal) for f in row] for row in rows]
    return [
        k
        for k in range(reading.width)
        if all(row[k] is None or row[k] != row[k] for row in parsed) and any(row[k] is None for row in parsed)
    ]


def _convert_row(row: list[str], reading: Reading, text: list[int]) -> list[float] | None:
    """Numbers of a row, None for a line that is no row of the table."""
    if len(row) != reading.width:
        return None
    values = [float("nan") if k in text else parse_number(f, reading.decimal) for k, f in enumerate(row)]
    return None if None in values else [v for v in values if v is not None]


def _check_header(path: Path, header: list[str], values: NDArray[np.float64], reading: Reading) -> None:
    """Refuse a damaged row above the others, which would pass for a header."""
    if not header:
        return
    # Text below a number shows that the number belongs to a header.
    row = reading.split(header[-1])
    numbers = [parse_number(field, reading.decimal) for field in row]
    is_count = len(row) == 1 and numbers[0] == len(values)
    if None not in numbers and not is_count:
        raise _refuse_line(path, header[-1], reading.decimal)
    if len(row) != reading.width or any(rate_energy_name(field) for field in row):
        return
    low, high = np.nanmin(values, axis=0, initial=np.inf), np.nanmax(values, axis=0, initial=-np.inf)
    step = (high - low) / max(len(values) - 1, 1)
    inside = [n is not None and low[k] - 2 * step[k] <= n <= high[k] + 2 * step[k] for k, n in enumerate(numbers)]
    if 2 * sum(inside) >= len(row):
        raise _refuse_line(path, header[-1], reading.decimal)


def _leave_out_totals(values: NDArray[np.float64], notes: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Rows without a last one that is the sum or the mean of the others in every column, and a remark."""
    rows, last = values[:-1], values[-1:]
    if len(rows) < 3 or values.shape[1] < 2 or np.isnan(values).any():
        return values, notes
    with np.errstate(over="ignore"):
        sums, means = rows.sum(axis=0), rows.mean(axis=0)
    for word, total in (("sum", sums), ("mean", means)):
        # An axis that goes on evenly is not where its mean is.
        if np.allclose(last, total, rtol=2e-3, atol=0) and np.ptp(rows, axis=0).all():
            return rows, [*notes, f"the last row left out, the {word} of the others"]
    return values, notes


def _read_footer(path: Path, lines: list[str], reading: Reading) -> list[str]:
    """Remarks on the lines below the numbers; anything but totals is a damaged line."""
    notes = []
    for line in lines:
        fields = [field for field in reading.split(line) if field]
        word = fields[0].strip("\"':= ").lower() if fields else ""
        if word in _TOTALS and len(fields) > 1:
            notes.append(f"the line '{fields[0]}' below the numbers left out")
        elif line.strip().lower() not in _ENDS:
            raise _refuse_line(path, line, reading.decimal)
    return notes


def _refuse_thousands(path: Path, rows: list[list[str]], reading: Reading, options: TableOptions) -> None:
    """Refuse commas that may separate thousands; ``decimal`` says what they are."""
    if options.decimal is not None:
        return
    marked = [field for row in rows for field in row if "," in field]
    # 7,112 may be seven thousand; 0,112 and 7,1 are not.
    unclear = reading.decimal == "," and marked and all(re.fullmatch(r"[1-9]\d{0,2},\d{3}", f) for f in marked)
    # A header with a name for every column says that commas separate.
    headed = any(_has_names(row, reading) for row in reading.fields)
    if reading.separator == "comma" and reading.width > 2 and not headed:
        unclear = unclear or any(_has_parted_thousands(rows, k) for k in range(reading.width - 1))
    if unclear:
        raise ReadError(
            path,
            found=f"commas that mark decimals, separate columns, or separate thousands ({marked[:2] or rows[0][:3]})",
            cure=advise(options, "say decimal=',' or decimal='.'; take separators of thousands out"),
        )


def _has_parted_thousands(rows: list[list[str]], k: int) -> bool:
    """Whether two columns are thousands and the rest of one number in the range of edges."""
    before, after = [row[k] for row in rows], [row[k + 1] for row in rows]
    if not all(re.fullmatch(r"[1-9]\d?", field) for field in before):
        return False
    return all(re.fullmatch(r"\d{3}(\.\d+)?", field) for field in after) and len(set(before)) <= 2


def _refuse_line(path: Path, line: str, decimal: str) -> ReadError:
    parts = re.split(r'"([^"]*)"|[;\t]|,(?=\s)|\s{2,}', line)
    thousands = any(_THOUSANDS.match(part.strip()) for part in parts if part)
    # Two decimal marks in fields that something else separates.
    two_marks = re.search(r"[;\t ]", line) and re.search(r"\d\.\d", line) and re.search(r"\d,\d", line)
    if thousands or two_marks:
        return ReadError(
            path,
            found=f"no table of numbers: thousands separators or two decimal marks at line {line[:60]!r}",
            cure="write the numbers without separators of thousands, 7112.5",
        )
    return ReadError(
        path,
        found=f"no table of numbers at line {line[:60]!r}",
        cure="give a text table of energy and spectra as columns, whose rows have equally many numbers",
    )
