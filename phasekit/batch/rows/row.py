"""What a batch is given and what it gives back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasekit.errors import SchemaError


@dataclass(frozen=True)
class BatchRow:
    """One run of a batch.

    Parameters
    ----------
    name
        Folder of the row below the folder of the batch; also its title on the page.
    workflow
        Name of a workflow, or the path of a notebook.
    parameters
        Values that differ from the notebook's own, checked, with absolute paths.
    inputs
        Files and folders that decide the result besides the notebook; ``None`` finds them from the parameters.
    memory_gb, time_s
        Limits of the row [GB, s]; ``None`` takes those of the batch.
    """

    name: str
    workflow: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    memory_gb: float | None = None
    time_s: float | None = None


@dataclass(frozen=True)
class BatchSettings:
    """How a batch is run.

    Parameters
    ----------
    workers
        Rows at the same time. 0 runs them one after the other by this process, without limits of memory and time.
    resume
        Whether rows that are done are left alone.
    retries
        How often a row is run again whose kernel or worker crashed. An error of a cell is not tried again.
    wait
        Whether to wait for another batch in the same folder.
    html
        Whether to write each notebook as HTML, too. A process of its own does this, about a second a row, while further
        rows run. Pages that are missing beside rows that are done are written as well.
    memory_gb, time_s
        Limits of each row [GB, s]; ``None`` has no limit.
    title
        Heading of the page.
    scheduler
        Address of a dask cluster that runs the rows, ``tcp://HOST:8786``; empty runs them here. ``workers`` above 1 is
        then the number of rows that are sent at the same time; 1 sends one for each thread that the cluster has.
    """

    workers: int = 1
    resume: bool = True
    retries: int = 0
    wait: bool = False
    html: bool = False
    memory_gb: float | None = None
    time_s: float | None = None
    title: str = "phasekit runs"
    scheduler: str = ""


@dataclass(frozen=True)
class BatchOutcome:
    """What a batch gives back: a record for each row, and what else is to be told."""

    records: Sequence[dict[str, Any]]
    page: Path | None = None
    interrupted: bool = False
    notices: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 1 where a row failed or something could not be written, else 0."""
        if self.interrupted:
            return 130
        # A script must also learn of a page or a table that could not be written.
        is_well = all(record["status"] == "ok" for record in self.records) and not self.notices
        return 0 if is_well else 1

    def summarise(self) -> str:
        """One line: how many rows ended how."""
        states = [str(record["status"]) for record in self.records]
        done = sum(1 for record in self.records if record.get("skipped"))
        parts = [f"{states.count('ok')} of {len(states)} jobs ended well"]
        parts += [f"{done} done before"] if done else []
        parts += [
            f"{states.count(word)} {word}" for word in ("failed", "interrupted", "running", "queued") if word in states
        ]
        return ", ".join(parts)


class BatchInterrupted(KeyboardInterrupt):
    """A batch was stopped by Ctrl-C; ``outcome`` has what was done until then."""

    def __init__(self, outcome: BatchOutcome) -> None:
        super().__init__("the batch was stopped")
        self.outcome = outcome


def select_distinct(rows: Sequence[BatchRow], folder: Path) -> list[BatchRow]:
    """Rows without repetitions; the same row several times is one.

    Raises
    ------
    SchemaError
        Two different rows would write into one folder, or a name lies outside the folder of the batch.
    """
    distinct: dict[Path, BatchRow] = {}
    base = folder.resolve()
    for row in rows:
        # Resolved, because `a` and `b/../a` are one folder.
        place = (base / row.name).resolve()
        if not row.name or place == base or not place.is_relative_to(base):
            raise SchemaError(f"batch: the row '{row.name}' would write outside {folder}. Give it a plain name.")
        first = distinct.setdefault(place, row)
        if _write_definition(first) != _write_definition(row):
            raise SchemaError(f"batch: two different rows have the name '{row.name}'. Give each a name of its own.")
    return list(distinct.values())


def _write_definition(row: BatchRow) -> str:
    # Without the limits: they do not change what is written. Parameters may hold paths, hence `str`.
    return json.dumps([row.workflow, dict(row.parameters)], sort_keys=True, default=str)
