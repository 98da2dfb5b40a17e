"""Tidy tables of the key numbers of every row of a batch: one line for each number."""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CSV = "numbers.csv"
PARQUET = "numbers.parquet"
COLUMNS = ("row", "workflow", "status", "seconds", "number", "value", "unit", "text", "error")


def write_tables(folder: Path, records: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write ``numbers.csv`` and, where pyarrow is installed, ``numbers.parquet``; a row without numbers has one line.

    Parameters
    ----------
    folder
        Folder of the batch.
    records
        Record of each row, by name.

    Returns
    -------
    list of pathlib.Path
        The files.

    See Also
    --------
    phasekit.batch.page.table.write_page : The same numbers beside pictures.
    """
    lines = [line for name, record in records.items() for line in list_numbers(name, record)]
    written = [folder / CSV]
    partial = folder / f".{CSV}.part"
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(lines)
    os.replace(partial, folder / CSV)
    # Asked for by its name: pandas would import it to find out.
    if find_spec("pyarrow") is not None:
        import pandas as pd

        partial = folder / f".{PARQUET}.part"
        pd.DataFrame(lines, columns=list(COLUMNS)).to_parquet(partial)
        os.replace(partial, folder / PARQUET)
        written.append(folder / PARQUET)
    return written


def list_numbers(name: str, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines of one row.

    Examples
    --------
    >>> [line["value"] for line in list_numbers("a", {"status": "ok", "numbers": {"ok": "75.0 % of pixels"}})]
    [75.0]
    """
    known = {"row": name, "workflow": record.get("workflow"), "status": record.get("status")}
    known |= {"seconds": record.get("seconds"), "error": record.get("error") or None}
    for number, text in (record.get("numbers") or {"": ""}).items():
        value, unit = split_number(str(text))
        yield {**known, "number": number or None, "value": value, "unit": unit or None, "text": text or None}


def split_number(text: str) -> tuple[float | None, str]:
    """Number at the beginning of a text, and its unit; a text without one has no value.

    Examples
    --------
    >>> split_number("-0.120 eV"), split_number("7"), split_number("2 x 2 pixels"), split_number("none")
    ((-0.12, 'eV'), (7.0, ''), (None, ''), (None, ''))
    """
    found = re.fullmatch(r"\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?!\d|\s*x\b)\s*(.*)", text, re.IGNORECASE)
    return (float(found.group(1)), found.group(2).strip()) if found else (None, "")
