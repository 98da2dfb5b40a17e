"""``phasekit notebooks``: the notebooks of a class."""

import argparse
from typing import Any


def add_notebooks(commands: Any) -> None:
    """Add the command ``notebooks`` and its options."""
    notebooks = commands.add_parser("notebooks", help="copy the notebooks and samples to a folder, for a class")
    notebooks.add_argument("folder", help="folder to write to; nothing in it is overwritten")
    notebooks.add_argument("--solutions", action="store_true", help="keep the hidden solutions (for the teacher)")
    notebooks.set_defaults(function=_copy_notebooks)


def _copy_notebooks(options: argparse.Namespace) -> int:
    """Write the notebooks of a class."""
    from ..batch.paths import check_folder
    from ..teaching import write_notebooks

    check_folder(options.folder)
    paths = write_notebooks(options.folder, solutions=options.solutions)
    print(f"{len(paths)} notebooks, {'with' if options.solutions else 'without'} their solutions: {paths[0].parent}")
    return 0
