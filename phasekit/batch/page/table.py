"""The results page of a batch: one table of all rows that can be sorted and filtered, failures first."""

import html
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .numbers import CSV, PARQUET, split_number
from .style import SCRIPT, STYLE
from .thumbnails import THUMBNAIL

#: Order of the rows: what needs a person first.
ORDER = ("failed", "interrupted", "running", "queued", "ok")
_WORDS = {"ok": "ended well", "queued": "not run yet"}
#: Numbers with a column of their own; rarer ones are in the details of a row.
_MAX_COLUMNS = 10
#: Files of a row: text of the link, and name.
_FILES = (
    *(("notebook", "notebook.ipynb"), ("HTML", "notebook.html"), ("page", "page.html"), ("result", "result.nc")),
    *(("record", "run.json"), ("log", "log.txt"), ("traceback", "traceback.txt")),
)


def write_page(
    folder: Path, records: Mapping[str, Mapping[str, Any]], *, title: str = "phasekit runs", running: bool = False
) -> Path:
    """Write ``index.html`` over the rows of a batch.

    Parameters
    ----------
    folder
        Folder of the batch; the page links to the files in it, so the whole can be moved.
    records
        Record of each row, by its name, which is its folder below ``folder``.
    title
        Heading.
    running
        Whether the batch still runs; the page then loads itself again every ten seconds.

    Returns
    -------
    pathlib.Path
        The page. It is renamed when it is complete, so that a browser never reads half of one.

    See Also
    --------
    phasekit.batch.page.numbers.write_tables : The numbers as tables.
    """
    columns = _choose_columns(records)
    places = {status: place for place, status in enumerate(ORDER)}
    names = sorted(records, key=lambda name: places.get(str(records[name].get("status")), 0))
    body = "\n".join(_write_row(folder, name, records[name], columns) for name in names)
    target, partial = folder / "index.html", folder / ".index.html.part"
    partial.write_text(_write_document(folder, title, records, columns, body, running=running), encoding="utf-8")
    os.replace(partial, target)
    return target


def _choose_columns(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Key numbers that most rows have, in the order in which they come."""
    counts = Counter(key for record in records.values() for key in record.get("numbers") or {})
    common = {key for key, _ in counts.most_common(_MAX_COLUMNS)}
    return [key for key in counts if key in common]


def _write_document(
    folder: Path, title: str, records: Mapping[str, Any], columns: Sequence[str], body: str, *, running: bool
) -> str:
    states = Counter(str(record.get("status")) for record in records.values())
    others = ", ".join(f"{states[word]} {_WORDS.get(word, word)}" for word in ORDER[:-1] if states[word])
    choices = "".join(f'<option value="{word}">{word} ({states[word]})</option>' for word in ORDER if states[word])
    heads = ["name", "status", "seconds", *columns]
    sortable = "".join(f'<th data-column><button type="button">{html.escape(head)}</button></th>' for head in heads)
    tables = "".join(f' <a href="{name}">{name}</a>' for name in (CSV, PARQUET) if (folder / name).is_file())
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body{' data-running=1' if running else ''}><h1>{html.escape(title)}</h1>"
        f"<p>{states['ok']} of {len(records)} runs ended well{'; ' if others else ''}{others}.{tables}</p>"
        '<form><label>Find <input id="words" type="search" placeholder="words of a row"></label>'
        f'<label>Status <select id="status"><option value="">all</option>{choices}</select></label>'
        '<output id="shown"></output></form>'
        f"<table><thead><tr><th>figure</th>{sortable}<th>files</th></tr></thead><tbody>\n{body}\n</tbody></table>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _write_row(folder: Path, name: str, record: Mapping[str, Any], columns: Sequence[str]) -> str:
    """One row: its map, its state, its numbers, its files."""
    # Everything from a record is escaped: names of files and error messages may hold any character.
    status = html.escape(str(record.get("status", "running")), quote=True)
    numbers = record.get("numbers") or {}
    cells = "".join(_write_number(numbers.get(key)) for key in columns)
    error = f"<p>{html.escape(str(record['error']))}</p>" if record.get("error") else ""
    workflow = html.escape(Path(str(record.get("workflow", ""))).name)
    return (
        f'<tr class="{status}"><td>{_write_picture(folder, name, record)}</td>'
        f'<th scope="row">{html.escape(name)}<small>{workflow}</small>{error}</th>'
        f'<td data-value="{_rank(status)}"><span class="status">{status}</span></td>'
        f"<td>{html.escape(str(record.get('seconds') or ''))}</td>{cells}"
        f'<td class="links">{_write_links(folder, name)}{_write_details(record, columns)}</td></tr>'
    )


def _rank(status: str) -> int:
    return ORDER.index(status) if status in ORDER else 0


def _write_number(text: str | None) -> str:
    """Cell of a number, which is sorted by its value."""
    if text is None:
        return "<td></td>"
    value, _ = split_number(str(text))
    return f"<td{'' if value is None else f' data-value={value}'}>{html.escape(str(text))}</td>"


def _write_picture(folder: Path, name: str, record: Mapping[str, Any]) -> str:
    """Small copy of the first figure, which a browser loads when it comes into view."""
    figures = record.get("figures") or []
    if not figures or not (folder / name / figures[0]["file"]).is_file():
        return ""
    small = THUMBNAIL if (folder / name / THUMBNAIL).is_file() else figures[0]["file"]
    alt = html.escape(figures[0]["alt"], quote=True)
    image = f'<img loading="lazy" width="160" height="96" src="{_link(name, small)}" alt="{alt}">'
    return f'<a href="{_link(name, figures[0]["file"])}">{image}</a>'


def _write_links(folder: Path, name: str) -> str:
    """Links to those files of a row that exist."""
    # One listing for each row: a thousand rows on a network's file system.
    try:
        there = {entry.name: entry.stat().st_size for entry in os.scandir(folder / name)}
    except OSError:
        return ""
    # An empty log says nothing.
    return "".join(f'<a href="{_link(name, file)}">{text}</a>' for text, file in _FILES if there.get(file))


def _link(name: str, file: str) -> str:
    return html.escape(quote(f"{name}/{file}"), quote=True)


def _write_details(record: Mapping[str, Any], columns: Sequence[str]) -> str:
    """What unfolds on a click: why it was run, parameters, other numbers, versions."""
    numbers = {key: value for key, value in (record.get("numbers") or {}).items() if key not in columns}
    lines = [f"{key}: {value}" for key, value in numbers.items()]
    lines += [f"{key} = {value!r}" for key, value in (record.get("parameters") or {}).items()]
    if record.get("why"):
        lines.append(f"run because: {'; '.join(record['why'])}")
    lines.append(f"started {record.get('started', '?')} (UTC)")
    versions = ", ".join(f"{package} {number}" for package, number in (record.get("versions") or {}).items())
    text = html.escape("\n".join([*lines, versions]))
    return f"<details><summary>details</summary><article><pre>{text}</pre></article></details>"
