"""What a command prints of a run, and the names of the workflows."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SchemaError
from ..workflows import list_workflows


def list_names() -> str:
    """Names of the workflows, with commas."""
    return ", ".join(workflow.name for workflow in list_workflows())


def name_page(declared: Mapping[str, Any], command: str) -> str:
    """The setting by which a notebook writes its page.

    Raises
    ------
    SchemaError
        The notebook has no such parameter.
    """
    if "page" not in declared:
        raise SchemaError(
            f"{command}: --page needs a notebook with the parameter 'page'; this one has {', '.join(declared)}. The "
            "notebooks of stxm, nmf and acom have it; in another one call pk.viz.acom.save_page or its likes."
        )
    return "page=true"


def print_outcome(record: dict[str, Any], folder: Path) -> None:
    """Print how a run ended and where its page is."""
    if record["status"] == "ok":
        # Key numbers here, too: on a cluster nobody opens the page at once.
        numbers = "; ".join(f"{key} {value}" for key, value in record["numbers"].items())
        print(f"{record['workflow']}: done in {record['seconds']} s, {folder / 'notebook.html'}\n  {numbers}".rstrip())
        if (folder / "page.html").is_file():
            print(f"  the whole result in one page: {folder / 'page.html'}")
    else:
        print(f"{record['workflow']}: failed after {record['seconds']} s: {record['error']}", file=sys.stderr)
