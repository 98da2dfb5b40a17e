"""Reports: a page of Markdown, its numbers as JSON, and pieces that several pages share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .files import write_json


def save_report(results: dict[str, Any], lines: Iterable[str], target: Path, *, page: str = "report.md") -> None:
    """Write ``report.json`` and the page into the folder ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / "report.json", results)
    (target / page).write_text("\n".join(lines) + "\n", encoding="utf-8")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table.

    >>> markdown_table(["dose", "share"], [["200", "0.9"]])
    ['| dose | share |', '|---|---|', '| 200 | 0.9 |']
    """
    return [markdown_row(head), f"|{'---|' * len(head)}", *(markdown_row(row) for row in rows)]


def markdown_row(cells: Sequence[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def format_machine(machine: dict[str, Any]) -> list[str]:
    """Return the sentence about the machine of ``describe_machine``, or nothing where it is not known."""
    if not machine:
        return []
    versions = ", ".join(f"{name} {value}" for name, value in machine["versions"].items())
    computer = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB"
    return [f"Machine: {computer}; Python {machine['python']}, {versions}.", ""]


def format_code_states(states: dict[str, int]) -> str:
    """Return states of the code with the number of results that each has made.

    >>> format_code_states({"0a1b2c3d": 4, "unrecorded": 1})
    '0a1b2c3d (4), unrecorded (1)'
    """
    return ", ".join(f"{name} ({count})" for name, count in states.items())
