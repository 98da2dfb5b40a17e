"""``phasekit parameters``: what a notebook takes."""

import argparse
from typing import Any

from .outcome import list_names


def add_parameters(commands: Any) -> None:
    """Add the command ``parameters``."""
    show = commands.add_parser("parameters", help="list the parameters of a workflow's notebook")
    show.add_argument("workflow", help=f"start, {list_names()}, or the path of a notebook")
    show.set_defaults(function=_print_parameters)


def _print_parameters(options: argparse.Namespace) -> int:
    """Print the parameters of a notebook, one a line, and the arguments that a dict among them may hold."""
    from ..batch import find_notebook, notebook_parameters

    for parameter in notebook_parameters(find_notebook(options.workflow)).values():
        print(f"{parameter.name}: {parameter.kind} = {parameter.default!r}  {parameter.help}".rstrip())
        for name, argument in (parameter.arguments or {}).items():
            line = f"{parameter.name}.{name}: {argument.kind} = {argument.default!r}  {argument.help}"
            print(line.rstrip())
    return 0
