"""Where numbers come from: the state of the code that made them, and the machine they were made on.

python provenance.py OUT.json   writes the machine
"""

import hashlib
import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import write_json

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "phasekit"  # by place: the peers' environments do not have it installed
#: What a result depends on in the package, beside its scripts: phasekit's own, and another package's on the same data.
OWN = ("nmf", "synthetic", "schema")
DATA = ("synthetic", "nmf/features.py")
SHARED = ("common.py",)


def code_state(*scripts: str, parts: tuple[str, ...] = OWN) -> str:
    """Eight letters that change with any source file, of phasekit's ``parts`` or the ``scripts``, behind a result."""
    files = [HERE / name for name in (*SHARED, *scripts)]
    for part in parts:
        files += sorted((PACKAGE / part).rglob("*.py")) if (PACKAGE / part).is_dir() else [PACKAGE / part]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions; no names of hosts or paths."""
    names = ("numpy", "scipy", "numba", "scikit-learn", "torch", "xarray", "dask")
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


if __name__ == "__main__":
    write_json(Path(sys.argv[1]), describe_machine())
