"""The state of the code that made a result."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .paths import BENCHMARKS, PACKAGE


def compute_code_state(benchmark: str, scripts: Iterable[str], parts: Iterable[str]) -> str:
    """Return eight letters that change with any source file behind a result.

    ``scripts`` are files of the folder ``benchmark``. ``parts`` are folders or files of phasekit. The clocks of the
    harness count for every result.
    """
    digest = hashlib.sha256()
    for path in list_sources(benchmark, scripts, parts):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def list_sources(benchmark: str, scripts: Iterable[str], parts: Iterable[str]) -> list[Path]:
    """Return the source files behind a result, always in the same order."""
    sources = [BENCHMARKS / "harness" / "measuring.py", *(BENCHMARKS / benchmark / name for name in scripts)]
    for part in parts:
        path = PACKAGE / part
        sources += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return sources
