"""Notebooks as HTML, written by a process of its own while the rows run: no worker waits for it."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from .isolation import end_group, end_with_parent
from .server import PARENT

EXECUTED, PAGE = "notebook.ipynb", "notebook.html"


class PageWriter:
    """Writes ``notebook.html`` beside executed notebooks, one after the other; it starts when it is first asked."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._asked = self._ended = 0
        #: What could not be written, with the reason.
        self.faults: list[str] = []

    def ask(self, folder: Path) -> None:
        """Write the page of a row, where there is a notebook and no page."""
        if (folder / PAGE).is_file() or not (folder / EXECUTED).is_file():
            return
        self._asked += 1
        self._queue.put(folder)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def count_left(self) -> int:
        """Pages that are still to be written."""
        return self._asked - self._ended

    def close(self) -> None:
        """End at once; pages that are left are written when they are asked for again."""
        self._queue.put(None)
        if self._process is not None:
            end_group(self._process.pid)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _work(self) -> None:
        while (folder := self._queue.get()) is not None:
            fault = self._write(folder)
            if fault:
                self.faults.append(f"{folder.name}: {fault}")
            self._ended += 1
        self._end_process()

    def _write(self, folder: Path) -> str:
        """Let the process write one page; what is wrong."""
        if self._process is None or self._process.poll() is not None:
            self._end_process()
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
            self._process.stdin.flush()
            return str(json.loads(self._process.stdout.readline()))
        except (OSError, ValueError):
            return "the process that writes pages ended"

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "phasekit.batch.workers.pages"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {PARENT: str(os.getpid())},
            start_new_session=True,  # Ctrl-C reaches the batch, which decides what ends
        )

    def _end_process(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, AttributeError):
                pipe.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        self._process = None


def write_html(folder: Path) -> str:
    """Write the page of the executed notebook in a folder; what is wrong, or nothing."""
    from ..executed import read_executed, write_page

    try:
        page, notebook = read_executed(folder / EXECUTED)
        write_page(notebook, page["title"], folder / PAGE)
    except Exception as error:  # a full disk, a notebook that was cut short: the row is not worth less
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def _serve() -> int:
    """Write the pages of the folders that come as lines, and answer each with what is wrong."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    end_with_parent(int(os.environ[PARENT]))
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)  # the rows come first
    for line in sys.stdin.buffer:
        answers.write(json.dumps(write_html(Path(json.loads(line)))).encode() + b"\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(_serve())
