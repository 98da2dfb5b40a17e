"""What a command prints of a run, and the names of the workflows."""

import sys
from pathlib import Path
from typing import Any

from ..workflows import list_workflows


def list_names() -> str:
    """Names of the workflows, with commas."""
    return ", ".join(workflow.name for workflow in list_workflows())


def print_outcome(record: dict[str, Any], folder: Path) -> None:
    """Print how a run ended and where its page is."""
    if record["status"] == "ok":
        # Key numbers here, too: on a cluster nobody opens the page at once.
        numbers = "; ".join(f"{key} {value}" for key, value in record["numbers"].items())
        print(f"{record['workflow']}: done in {record['seconds']} s, {folder / 'notebook.html'}\n  {numbers}".rstrip())
    else:
        print(f"{record['workflow']}: failed after {record['seconds']} s: {record['error']}", file=sys.stderr)
