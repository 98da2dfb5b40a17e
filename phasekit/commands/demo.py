"""``phasekit demo``: every workflow on its sample."""

import argparse
from pathlib import Path
from typing import Any

from ..workflows import list_workflows
from .outcome import print_outcome


def add_demo(commands: Any) -> None:
    """Add the command ``demo``."""
    demo = commands.add_parser("demo", help="run all workflows on the samples and write one page")
    demo.add_argument("--out", default="runs", help="folder for the results (default: runs)")
    demo.set_defaults(function=_run_demo)


def _run_demo(options: argparse.Namespace) -> int:
    """Run every workflow on its sample and write one page."""
    from ..batch import run_notebook, write_index
    from ..batch.paths import check_folder

    check_folder(options.out)
    failed = 0
    names = [workflow.name for workflow in list_workflows()]
    for workflow in names:
        # Flushed, so that the line is seen at once where the output goes to a file or a pipe.
        print(f"{workflow}: running its notebook on the sample ...", flush=True)
        record = run_notebook(workflow, Path(options.out) / workflow)
        print_outcome(record, Path(options.out) / workflow)
        failed += record["status"] != "ok"
    # Only the runs of this command: the folder may hold others.
    page = write_index(options.out, title="phasekit: maps from the samples", names=names)
    print(f"open {page.resolve().as_uri()}")
    return 1 if failed else 0
