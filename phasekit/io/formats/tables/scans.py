"""Several scans in one file are kept apart: SPEC files, and tables written one below the other."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ....errors import ReadError
from .options import TableOptions, advise
from .splitting import is_numeric, read_every_way

_SCAN = re.compile(r"#S\s+(\d+)\s*(.*)")
_FEWEST_ROWS = 2
_SHOWN = 12


@dataclass
class Scan:
    """Lines of one scan, its number in the file, and what the file says about it."""

    number: str
    title: str
    lines: list[str]


def select_scan(path: Path, lines: list[str], options: TableOptions) -> tuple[list[str], str]:
    """Lines of the chosen scan, or of the only one, and a remark on it.

    Raises
    ------
    ReadError
        There are several scans and none is chosen, or not the one that is.
    """
    scans = _read_spec(lines) if any(_SCAN.match(line) for line in lines) else _part_blocks(lines)
    if not scans:
        return lines, ""
    usable = [s for s in scans if s.lines]
    chosen = [s for s in usable if options.scan in (s.number, f"{s.number}.1")]
    if options.scan is None and len(usable) == 1:
        return usable[0].lines, f"scan {usable[0].number} of the file" if len(scans) > 1 else ""
    if options.scan is not None and len(chosen) == 1:
        return chosen[0].lines, f"scan {chosen[0].number} of the file"
    listed = "; ".join(f"{s.number}: {s.title}" for s in usable[:_SHOWN])
    asked = "" if options.scan is None else f", but not {options.scan!r}"
    raise ReadError(
        path,
        found=f"{len(usable)} scans in one file ({listed}{' ...' if len(usable) > _SHOWN else ''}){asked}",
        cure=advise(options, f"choose one, e.g. scan={usable[0].number if usable else '1'!r}"),
    )


def _read_spec(lines: list[str]) -> list[Scan]:
    """Scans of a SPEC file as tables with their names in a comment line; without numbers, no lines."""
    starts = [i for i, line in enumerate(lines) if _SCAN.match(line)]
    scans: list[Scan] = []
    seen: dict[str, int] = {}
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        found = _SCAN.match(lines[start])
        number, title = (found[1], found[2].strip()) if found else ("", "")
        seen[number] = seen.get(number, 0) + 1
        # A number that is used again counts on, as SPEC readers do: 1.1, 1.2.
        scans.append(Scan(f"{number}.{seen[number]}", title, _clean_spec(lines[start + 1 : end])))
    for scan in scans:
        if seen[scan.number.split(".")[0]] == 1:
            scan.number = scan.number.split(".")[0]
    return scans


def _clean_spec(lines: list[str]) -> list[str]:
    """Names and rows of one scan; spectra of a multichannel analyser left out."""
    kept, within = [], False
    for line in lines:
        skipped = line.startswith("@") or within
        within = skipped and line.rstrip().endswith("\\")
        if not skipped:
            kept.append(line)
    names = [line for line in kept if line.startswith("#L")]
    rows = [line for line in kept if not line.startswith("#")]
    if len(rows) < _FEWEST_ROWS:
        return []
    # Two blanks stand between names, which may hold one themselves.
    fields = [re.split(r"\t|\s{2,}", line[2:].strip()) for line in names[-1:]]
    width = len(rows[0].split())
    fields = [f if len(f) == width else line[2:].split() for f, line in zip(fields, names[-1:], strict=True)]
    stated = [f"#Label.{k + 1}: {name}" for f in fields for k, name in enumerate(f)]
    remarks = [line for line in kept if line.startswith("#C")]
    return [*remarks, *stated, *rows]


def _part_blocks(lines: list[str]) -> list[Scan]:
    """Tables below each other, each with text above it; none where there is one table."""
    body = [line for line in lines if not line.lstrip().startswith(("#", "%", "!", "//"))]
    reading = read_every_way(body, None)[0] if body else None
    if reading is None or not reading.good:
        return []
    rows = [len(f) > 1 and is_numeric(f, reading.decimal) for f in reading.fields]
    # A word at the begin of a line is no damaged number.
    texts = [f[0].strip("\"'").split(" ")[0].isalpha() or not any(map(_is_number, f)) for f in reading.fields]
    widths = [len(f) if row else 0 for f, row in zip(reading.fields, rows, strict=True)]
    starts = [
        i
        for i in range(1, len(rows))
        # Text above the first table is its header.
        if texts[i] and not rows[i] and rows[i - 1] and _holds_table(widths[:i]) and _holds_table(widths[i:])
    ]
    if not starts:
        return []
    blocks = [body[a:b] for a, b in pairwise([0, *starts, len(body)])]
    return [Scan(str(k + 1), f"{len(block)} lines from {block[0][:30]!r}", block) for k, block in enumerate(blocks)]


def _holds_table(widths: list[int]) -> bool:
    """Whether lines of numbers (their widths, 0 for text) are rows of a table, not dates and sizes of a header."""
    return any(a == b > 1 for a, b in pairwise(widths)) or len([w for w in widths if w]) >= 2 * _FEWEST_ROWS


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?[\d.,]+([eE][+-]?\d+)?", text.strip()))
