"""Processes that end with the one that started them, and the end of a process with all that it started."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

_PDEATHSIG = 1  # PR_SET_PDEATHSIG of Linux


def end_with_parent(parent: int) -> None:
    """Let the system kill this process when its parent ends, on Linux; ``parent`` is its process number."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the call.
    if os.getppid() != parent:
        os._exit(1)


def end_group(leader: int) -> None:
    """Kill a process, everything it started, and the rest of its process group."""
    found = _list_tree(leader)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_children(parent: int) -> None:
    """Kill what a process started, and not the process."""
    for process in _list_tree(parent)[1:]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def measure_memory(leader: int) -> float:
    """Memory of a process and of all that it started [GB]; shared pages are counted in parts where Linux says them."""
    return sum(_measure_process(process) for process in _list_tree(leader)) / 1e9


def describe_process() -> dict[str, Any]:
    """Number, machine and start of this process, which together name it."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "created": psutil.Process().create_time()}


def find_process(owner: Mapping[str, Any]) -> int | None:
    """Number of a process (:func:`describe_process`) where it still runs on this machine."""
    if owner.get("host") != socket.gethostname():
        return None
    try:
        # A process of the same number that began at another time is another one.
        same = abs(psutil.Process(owner["pid"]).create_time() - owner["created"]) < 2
        return int(owner["pid"]) if same else None
    except psutil.Error:
        return None


def is_gone(owner: Mapping[str, Any]) -> bool:
    """Whether a process of this machine has ended; of another machine's this is not known."""
    return owner.get("host") == socket.gethostname() and find_process(owner) is None


def _list_tree(leader: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(leader)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _measure_process(process: psutil.Process) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    except OSError:
        pass
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
