"""Result files: JSON that is never half-written."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Return the content of a result file, or an empty dictionary where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def read_json_files(folder: Path, pattern: str) -> list[Any]:
    """Return the contents of all files in ``folder`` whose name matches ``pattern``, in the order of their names."""
    return [read_json(path) for path in sorted(folder.glob(pattern))]


def write_json(path: Path, values: Any) -> None:
    """Write ``values`` under another name first, so that an interrupted run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(values, indent=1, default=float) + "\n", encoding="utf-8")
    partial.replace(path)
