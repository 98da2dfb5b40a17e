"""The rows of a SLURM array, in a file from which each task takes its own."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from phasekit.errors import ReadError

from ..rows.row import BatchRow, BatchSettings

PLAN = "slurm_rows.json"


class Plan(NamedTuple):
    """Rows of an array, and how they are run."""

    name: str  # no other plan has it
    rows: list[BatchRow]
    settings: BatchSettings


def write_plan(folder: Path, rows: Sequence[BatchRow], settings: BatchSettings) -> Plan:
    """Write the rows, those with equal limits one after another."""
    ordered = sorted(rows, key=lambda row: _order_limits(row, settings))
    plan = Plan(uuid.uuid4().hex[:12], ordered, settings)
    words = {"name": plan.name, "settings": asdict(settings), "rows": [asdict(row) for row in ordered]}
    partial = folder / f".{PLAN}.part"
    partial.write_text(json.dumps(words, indent=1, default=str), encoding="utf-8")
    os.replace(partial, folder / PLAN)
    return plan


def read_plan(folder: Path) -> Plan:
    """Read the rows of an array.

    Raises
    ------
    ReadError
        There is no such file, or it is damaged.
    """
    path = folder / PLAN
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        rows = [_make_row(row) for row in words["rows"]]
        return Plan(words["name"], rows, BatchSettings(**words["settings"]))
    except FileNotFoundError as error:
        cure = "write it with `phasekit batch ... --slurm`"
        raise ReadError(path, found="no rows of a SLURM array", cure=cure) from error
    except (ValueError, KeyError, TypeError) as error:
        cure = "write it again with `phasekit batch ... --slurm`"
        raise ReadError(path, found=f"rows that cannot be read ({error})", cure=cure) from error


def find_limits(row: BatchRow, settings: BatchSettings) -> tuple[float | None, float | None]:
    """Limits of a row [GB, s]: its own, else those of the batch."""
    memory = settings.memory_gb if row.memory_gb is None else row.memory_gb
    return memory, settings.time_s if row.time_s is None else row.time_s


def _order_limits(row: BatchRow, settings: BatchSettings) -> tuple[float, float]:
    memory, time = find_limits(row, settings)
    return memory or 0.0, time or 0.0


def _make_row(words: Mapping[str, Any]) -> BatchRow:
    inputs = words["inputs"]
    return BatchRow(**{**words, "inputs": None if inputs is None else tuple(inputs)})
