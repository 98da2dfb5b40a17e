"""The strangers' scans by author and condition, and by dose; shares of them as text."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .run_strangers import AUTHORS

Rows = list[dict[str, Any]]
_BANDS = ((50, 200), (200, 1000), (1000, 5000), (5000, 1e9))


def keep_case(case: dict[str, Any]) -> dict[str, Any]:
    """What the pages say of a case."""
    return {name: case[name] for name in ("author", "condition", "electrons", "shape")}


def group_by_author(rows: Rows) -> dict[str, Rows]:
    """The scans of each author, the authors in turn."""
    return _group(_sort_by_author(rows), _name_author)


def group_by_condition(rows: Rows) -> dict[str, Rows]:
    """The scans of each author and condition, the authors in turn."""
    return _group(_sort_by_author(rows), lambda row: f"{_name_author(row)}: {row['case']['condition']}")


def group_by_dose(rows: Rows) -> dict[str, Rows]:
    """The scans of each band of electrons per pattern that has some."""
    groups = {
        f"{low:g} to {high:g} electrons" if high < 1e8 else f"{low:g} electrons and more": [
            row for row in rows if low <= row["case"]["electrons"] < high
        ]
        for low, high in _BANDS
    }
    return {name: some for name, some in groups.items() if some}


def is_linear(row: dict[str, Any]) -> bool:
    """Whether the expected counts are exactly the number of patterns that was mixed."""
    return bool(row["exactly_linear"])


def format_rate(misses: Iterable[float], within: int) -> str:
    """Share of the misses (counted minus true, NaN without an answer) that are at most ``within``; "" without any."""
    values = np.array(list(misses))
    return f"{np.mean(np.abs(np.nan_to_num(values, nan=99)) <= within):.0%}" if len(values) else ""


def _name_author(row: dict[str, Any]) -> str:
    return str(row["case"]["author"]).replace("_", " ")


def _sort_by_author(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: AUTHORS.index(row["case"]["author"]))


def _group(rows: Rows, key: Callable[[dict[str, Any]], str]) -> dict[str, Rows]:
    groups: dict[str, Rows] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
