"""Where numbers come from: the state of the code that made them, and the machine it ran on."""

import hashlib
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import phasekit

HERE = Path(__file__).resolve().parent
#: What a cell's result depends on, beside the packages.
PARTS = ("stxm", "synthetic", "schema", "correlation.py")
SCRIPTS = ("cells.py", "run_cell.py", "scores.py", "run_mantis.py")


def code_state() -> str:
    """Eight letters that change with any source file a cell's result depends on."""
    package = Path(str(phasekit.__file__)).parent
    files = [HERE / name for name in SCRIPTS]
    for part in PARTS:
        files += sorted((package / part).rglob("*.py")) if (package / part).is_dir() else [package / part]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions; no names of hosts or paths."""
    names = ("numpy", "scipy", "scikit-learn", "torch", "xarray", "pymcr")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _first(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": cores,
        "memory_gb": round(int(_first(r"MemTotal:\s*(\d+) kB", Path("/proc/meminfo")) or 0) / 1024**2, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


def _first(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text(encoding="utf-8")) if path.exists() else None
    return found[1].strip() if found else ""
