"""The machine that the numbers were measured on."""

import os
import platform
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe_machine(packages: Iterable[str]) -> dict[str, Any]:
    """Return processor, cores, memory [GB] and the versions of ``packages``; no names of hosts or paths."""
    return {
        "processor": _search_file(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": count_cores(),
        "memory_gb": round(int(_search_file(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo")) or 0) / 1024**2, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def count_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _search_file(pattern: str, path: Path) -> str:
    """Return the first group of the first match, or nothing where the file or the match is missing."""
    match = re.search(pattern, path.read_text(encoding="utf-8")) if path.exists() else None
    return match[1].strip() if match else ""
