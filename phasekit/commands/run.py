"""``phasekit run``: one notebook on one file."""

import argparse
from pathlib import Path
from typing import Any

from ..errors import SchemaError
from .outcome import list_names, name_page, print_outcome

#: How values are written, for `phasekit run --help`. The tests run every line.
_VALUES = """\
forms of NAME=VALUE (`phasekit parameters WORKFLOW` lists the names and their types):
  -p seed=7                             one value
  -p cif_paths=Ni.cif,LiFePO4.cif       a list, with commas
  -p cif_paths=Ni.cif -p cif_paths=LiFePO4.cif    the same list, the name given again
  -p 'cif_paths=["Ni.cif", "LiFePO4.cif"]'        the same list as JSON
  -p 'reference_paths=refs/*.csv'       files that match a pattern
  -p reader.region=1                    one argument of the function that opens the file
  -p 'reader={"region": 1, "step_nm": 40}'        several of them as JSON
  -p reader.region=none                 no value, where the type allows None
Paths count from the current directory. Exit codes: 0 all well, 1 a run failed, 2 the command was wrong.
"""


def add_run(commands: Any) -> None:
    """Add the command ``run`` and its options."""
    # Raw: argparse would join the lines.
    run = commands.add_parser(
        "run",
        help="run a workflow's notebook on a file, without a screen",
        epilog=_VALUES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("workflow", help=f"{list_names()}, or the path of a notebook")
    # --input and --out are parameters of the notebook, too, but every run needs them.
    run.add_argument("--input", help="file to open (default: the sample)")
    run.add_argument("--out", required=True, help="folder for the results")
    run.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="repeatable; forms: see below"
    )
    run.add_argument("--page", action="store_true", help="also write the whole result as one HTML page, page.html")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    run.set_defaults(function=_run_one)


def _run_one(options: argparse.Namespace) -> int:
    """Run one notebook."""
    from ..batch import find_notebook, notebook_parameters, parse_settings, run_notebook
    from ..batch.paths import check_files, check_folder

    declared = notebook_parameters(find_notebook(options.workflow))
    # --input is one more setting, so that it is refused as one: unknown to the notebook, or given twice.
    given = [] if options.input is None else [f"input_path={options.input}"]
    values = parse_settings(declared, [*options.parameter, *given])
    if "output_dir" in values:
        raise SchemaError("run: -p output_dir is set by --out. Give the folder there only.")
    if options.page:
        values |= parse_settings(declared, [name_page(declared, "run")])
    check_files(declared, values)
    check_folder(options.out)
    record = run_notebook(options.workflow, options.out, parameters=values, progress=not options.quiet)
    print_outcome(record, Path(options.out))
    return 0 if record["status"] == "ok" else 1
