"""The state of a batch on a terminal: a line for each worker and a total with the time left; plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from ..ledger.truth import NEW

#: Width of a name in a plain line; longer ones keep their end, where scans differ.
_WIDTH = 40
#: Most lines of workers; a cluster has more than a terminal.
_MOST = 16


class Lines:
    """Lines on the error output while a batch runs."""

    def __init__(self, total: int, workers: int, *, show: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._show = show
        self._is_terminal = show and self._stream.isatty()
        self._total, self._done, self._failed = total, 0, 0
        self._running: dict[int, tuple[str, float]] = {}
        self._start = time.monotonic()
        self._n_run = 0  # rows that were run now and not before: they tell the time left
        self._bars: list[Any] = []
        if self._is_terminal:
            from tqdm import tqdm

            form = "{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}, {postfix}]"
            self._bars.append(tqdm(total=total, desc="rows", file=self._stream, bar_format=form, position=0))
            self._bars += [
                tqdm(total=0, bar_format="{desc}", file=self._stream, position=number + 1, leave=False)
                for number in range(min(workers, _MOST))
            ]

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in reversed(self._bars):
            bar.close()

    def tell(self, text: str) -> None:
        """Write a line that stays."""
        if self._is_terminal:
            self._bars[0].write(text, file=self._stream)
        elif self._show:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def start(self, worker: int, name: str) -> None:
        """A worker began a row."""
        self._running[worker] = name, time.monotonic()

    def end(self, worker: int, name: str, record: Mapping[str, Any]) -> None:
        """A worker ended a row."""
        self._running.pop(worker, None)
        self._done += 1
        self._n_run += not record.get("skipped")
        self._failed += record["status"] == "failed"
        if self._is_terminal:
            self._bars[0].update(1)
        # Lines of many rows that were done before would hide those that were run.
        if record.get("skipped"):
            return
        self.tell(self._write_end(name, record))

    def refresh(self) -> None:
        """Bring the lines of a terminal up to date."""
        if not self._is_terminal:
            return
        failed = f", {self._failed} failed" if self._failed else ""
        self._bars[0].set_postfix_str(f"{self._write_left()}{failed}")
        for number, bar in enumerate(self._bars[1:]):
            name, start = self._running.get(number, ("", 0.0))
            bar.set_description_str(f"  {_shorten(name)}  {time.monotonic() - start:.0f} s" if name else "  -")

    def _write_end(self, name: str, record: Mapping[str, Any]) -> str:
        parts = [
            f"[{self._done}/{self._total}]",
            f"{record['status']:<11}",
            _shorten(name),
            f"{record.get('seconds', 0)} s",
        ]
        # Of a first run there is nothing to say.
        why = "; ".join(reason for reason in record.get("why", []) if reason != NEW)
        parts.append(f"({why})" if why and record["status"] == "ok" else str(record.get("error") or ""))
        left = "" if self._is_terminal or self._done >= self._total else f"  {self._write_left()}"
        return " ".join(part for part in parts if part) + left

    def _write_left(self) -> str:
        """Time left, from the rows that were run now."""
        if not self._n_run:
            return "time left ?"
        # Time of the batch per row, not time of a row: it holds for any number of workers.
        left = (time.monotonic() - self._start) / self._n_run * (self._total - self._done)
        return f"{_write_time(left)} left"


def _shorten(name: str) -> str:
    return name if len(name) <= _WIDTH else f"...{name[3 - _WIDTH :]}"


def _write_time(seconds: float) -> str:
    """Time in one unit or two.

    Examples
    --------
    >>> _write_time(42), _write_time(600), _write_time(9000)
    ('42 s', '10 min', '2 h 30 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
