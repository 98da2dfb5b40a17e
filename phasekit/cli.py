"""The command ``phasekit``: run a workflow on a file, a list of them, the samples; see what there is.

Exit codes: 0 all well, 1 a run failed, 2 the command was wrong (nothing was run).
"""

import argparse
import shutil
import sys
from collections.abc import Sequence

from .commands.app import add_app
from .commands.batch import add_batch
from .commands.demo import add_demo
from .commands.notebooks import add_notebooks
from .commands.parameters import add_parameters
from .commands.run import add_run
from .commands.samples import add_samples
from .errors import PhasekitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words of the command line; ``None`` takes those of the process.

    Returns
    -------
    int
        Exit code: 0 all well, 1 a run failed, 2 the command was wrong.

    Examples
    --------
    >>> main(["samples", "list"])  # doctest: +ELLIPSIS
    stxm_nvpf ...
    0
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a degree sign is no reason to fail where the locale is ASCII
    options = build_parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except PhasekitError as error:  # its message holds the cure; a traceback would hide it
        print(f"phasekit: {_write_error(error)}", file=sys.stderr)
        return 2


def _write_error(error: PhasekitError) -> str:
    """Message of an error; a table is wrapped where a person reads it on a terminal."""
    from .batch import ManifestError

    if isinstance(error, ManifestError) and sys.stderr.isatty():
        return error.write(width=shutil.get_terminal_size().columns)
    return str(error)


def build_parser() -> argparse.ArgumentParser:
    """Parser of all commands and their options."""
    from . import __version__

    # Each command names its function, so that `main` needs no list of commands.
    parser = argparse.ArgumentParser(prog="phasekit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"phasekit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_run, add_parameters, add_demo, add_batch, add_app, add_notebooks, add_samples):
        add(commands)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
