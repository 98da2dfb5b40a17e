"""The command ``phasekit``: run a workflow on a file, a list of them, the samples; see what there is.

Exit codes: 0 all well, 1 a run failed, 2 the command was wrong (nothing was run).
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import PhasekitError, SchemaError
from .workflows import list_workflows

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

#: For `phasekit batch --help`. The tests paste the example.
_BATCH = """\
an example that can be pasted (it makes its own data):
  phasekit samples make nmf_grains --out try/scans
  phasekit batch 'try/scans/*.nc' --notebook virtual --set bright_field=0.1 --out try/runs --dry-run
  phasekit batch 'try/scans/*.nc' --notebook virtual --set bright_field=0.1 --out try/runs

a manifest is a .csv, .tsv, .yaml or .json file. Columns:
  notebook (or workflow)  stxm, nmf, acom, virtual or an .ipynb file; else --notebook counts
  name                    name of the folder for the results; else made from the input and a hash
  memory, time            limits of the row: 4GB, 30min
  all others              parameters of the notebook (`phasekit parameters WORKFLOW`), such as input_path
A cell that is empty is not given. What a row gives comes before --set, and --set before --parameters.
Relative paths count from the folder of the manifest; on the command line from the current directory.
All rows are checked first. A row that is done is left alone; one that is run again says why.
Exit codes: 0 all well, 1 a run failed, 2 something is wrong and nothing was run, 130 stopped by Ctrl-C.
"""


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
    options = _build_parser().parse_args(arguments)
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


def _build_parser() -> argparse.ArgumentParser:
    from . import __version__

    # Each command names its function, so that `main` needs no list of commands.
    parser = argparse.ArgumentParser(prog="phasekit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", action="version", version=f"phasekit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    # Raw: argparse would join the lines.
    run = commands.add_parser(
        "run",
        help="run a workflow's notebook on a file, without a screen",
        epilog=_VALUES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("workflow", help=f"{_list_names()}, or the path of a notebook")
    # --input and --out are parameters of the notebook, too, but every run needs them.
    run.add_argument("--input", help="file to open (default: the sample)")
    run.add_argument("--out", required=True, help="folder for the results")
    run.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE", help="repeatable; forms: see below"
    )
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    run.set_defaults(function=_run_one)
    show = commands.add_parser("parameters", help="list the parameters of a workflow's notebook")
    show.add_argument("workflow", help=f"start, {_list_names()}, or the path of a notebook")
    show.set_defaults(function=_print_parameters)
    demo = commands.add_parser("demo", help="run all workflows on the samples and write one page")
    demo.add_argument("--out", default="runs", help="folder for the results (default: runs)")
    demo.set_defaults(function=_run_demo)
    _add_batch(commands)
    notebooks = commands.add_parser("notebooks", help="copy the notebooks and samples to a folder, for a class")
    notebooks.add_argument("folder", help="folder to write to; nothing in it is overwritten")
    notebooks.add_argument("--solutions", action="store_true", help="keep the hidden solutions (for the teacher)")
    notebooks.set_defaults(function=_copy_notebooks)
    samples = commands.add_parser("samples", help="list, fetch or make sample data")
    samples.add_argument("action", nargs="?", choices=("list", "fetch", "make"), default="list")
    samples.add_argument("name", nargs="?", help="name of the sample (fetch: als_fe2p when left out; make: all)")
    samples.add_argument("--out", help="make: folder to write to (default: data-samples)")
    samples.set_defaults(function=_run_samples)
    return parser


def _add_batch(commands: Any) -> None:
    """Add the command ``batch`` and its options."""
    batch = commands.add_parser(
        "batch",
        help="run a notebook on many files: a manifest (.csv, .yaml, .json) or a pattern of files",
        epilog=_BATCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.add_argument("source", nargs="+", help="a manifest, or data files and patterns such as 'scans/*.h5'")
    batch.add_argument("--out", required=True, help="folder for the results")
    batch.add_argument("--notebook", metavar="NAME|PATH", help=f"{_list_names()} or a path, for rows that name none")
    batch.add_argument(
        "-p", "--set", action="append", default=[], metavar="NAME=VALUE", help="for all rows; repeatable"
    )
    batch.add_argument("--parameters", action="append", default=[], metavar="FILE", help=".yaml or .json, for all rows")
    batch.add_argument("--dry-run", action="store_true", help="check, print the rows and their folders, run nothing")
    batch.add_argument("--limit", type=_read_count, metavar="N", help="only the first N rows")
    batch.add_argument("--only", metavar="failed|PATTERN", help="rows that failed, or whose name or input matches")
    batch.add_argument("--memory", metavar="SIZE", help="limit of each row, such as 4GB (default: none)")
    batch.add_argument("--time", metavar="TIME", help="limit of each row, such as 30min or 1:30:00 (default: none)")
    batch.add_argument("--workers", type=_read_count, default=1, metavar="N", help="rows at the same time (default: 1)")
    batch.add_argument(
        "--retries", type=int, default=0, metavar="N", help="runs again of a row whose kernel crashed (default: 0)"
    )
    batch.add_argument("--html", action="store_true", help="also write each notebook as HTML (a second a row)")
    batch.add_argument("--wait", action="store_true", help="wait for another batch that writes into the same folder")
    batch.add_argument("--again", action="store_true", help="also run rows that already ended well")
    batch.set_defaults(function=_run_batch)


# The functions below import what they need themselves: `phasekit --version` must not wait for papermill.


def _list_names() -> str:
    return ", ".join(workflow.name for workflow in list_workflows())


def _run_one(options: argparse.Namespace) -> int:
    """Run one notebook."""
    from .batch import find_notebook, notebook_parameters, parse_settings, run_notebook
    from .batch.paths import check_files, check_folder

    declared = notebook_parameters(find_notebook(options.workflow))
    # --input is one more setting, so that it is refused as one: unknown to the notebook, or given twice.
    given = [] if options.input is None else [f"input_path={options.input}"]
    values = parse_settings(declared, [*options.parameter, *given])
    if "output_dir" in values:
        raise SchemaError("run: -p output_dir is set by --out. Give the folder there only.")
    check_files(declared, values)
    check_folder(options.out)
    record = run_notebook(options.workflow, options.out, parameters=values, progress=not options.quiet)
    _print_outcome(record, Path(options.out))
    return 0 if record["status"] == "ok" else 1


def _read_count(text: str) -> int:
    """Whole number from 1; argparse prints the message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; give 1 or more")
    return int(text)


def _print_parameters(options: argparse.Namespace) -> int:
    """Print the parameters of a notebook, one a line, and the arguments that a dict among them may hold."""
    from .batch import find_notebook, notebook_parameters

    for parameter in notebook_parameters(find_notebook(options.workflow)).values():
        print(f"{parameter.name}: {parameter.kind} = {parameter.default!r}  {parameter.help}".rstrip())
        for name, argument in (parameter.arguments or {}).items():
            line = f"{parameter.name}.{name}: {argument.kind} = {argument.default!r}  {argument.help}"
            print(line.rstrip())
    return 0


def _run_demo(options: argparse.Namespace) -> int:
    """Run every workflow on its sample and write one page."""
    from .batch import run_notebook, write_index
    from .batch.paths import check_folder

    check_folder(options.out)
    failed = 0
    names = [workflow.name for workflow in list_workflows()]
    for workflow in names:
        # Flushed, so that the line is seen at once where the output goes to a file or a pipe.
        print(f"{workflow}: running its notebook on the sample ...", flush=True)
        record = run_notebook(workflow, Path(options.out) / workflow)
        _print_outcome(record, Path(options.out) / workflow)
        failed += record["status"] != "ok"
    # Only the runs of this command: the folder may hold others.
    page = write_index(options.out, title="phasekit: maps from the samples", names=names)
    print(f"open {page.resolve().as_uri()}")
    return 1 if failed else 0


def _run_batch(options: argparse.Namespace) -> int:
    """Check the rows of a manifest or of data files, and run them."""
    from .batch import BatchSettings
    from .batch.manifest import entries, rows, running
    from .batch.manifest.options import read_shared
    from .batch.paths import check_folder

    check_folder(options.out)
    source = entries.read_source(options.source)
    given = {"notebook": options.notebook, "settings": options.set, "files": options.parameters}
    common = read_shared(**given, memory=options.memory, time=options.time)
    planned = rows.plan_rows(source, options.out, common)
    chosen = running.select_rows(planned, only=options.only, limit=options.limit)
    if options.dry_run or not chosen:
        for row in chosen:
            print(running.describe_row(row))
        print(f"{len(chosen)} of {len(planned)} rows chosen; nothing was run.")
        return 0
    settings = BatchSettings(
        workers=options.workers,
        resume=not options.again,
        retries=options.retries,
        wait=options.wait,
        html=options.html,
        title=f"phasekit: {Path(source.name).name}",
    )
    # Rows that run, the time left and each row's end are told on the error output.
    outcome = running.run_rows(chosen, options.out, settings, progress=True)
    for notice in outcome.notices:
        print(f"phasekit: {notice}", file=sys.stderr)
    print(f"{outcome.summarise()}; see {Path(options.out) / 'index.html'}")
    return outcome.exit_code


def _run_samples(options: argparse.Namespace) -> int:
    """List, fetch or make samples."""
    from . import samples
    from .batch.paths import check_folder

    if options.out is not None:
        check_folder(options.out)
    if options.action == "fetch":
        # A bar on a terminal only: in a log it would fill many lines.
        print(samples.fetch(options.name or "als_fe2p", progress=sys.stderr.isatty()))
    elif options.action == "make":
        for name in [options.name] if options.name else [sample.name for sample in samples.BUNDLED]:
            for path in samples.make(name, options.out):
                print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    else:
        for sample in (*samples.BUNDLED, *samples.PUBLIC):
            where = "comes with phasekit" if sample in samples.BUNDLED else f"phasekit samples fetch {sample.name}"
            print(f"{sample.name:16} {sample.about}\n{'':16} {sample.licence}; {where}")
    return 0


def _copy_notebooks(options: argparse.Namespace) -> int:
    """Write the notebooks of a class."""
    from .batch.paths import check_folder
    from .teaching import write_notebooks

    check_folder(options.folder)
    paths = write_notebooks(options.folder, solutions=options.solutions)
    print(f"{len(paths)} notebooks, {'with' if options.solutions else 'without'} their solutions: {paths[0].parent}")
    return 0


def _print_outcome(record: dict[str, Any], folder: Path) -> None:
    """Print how a run ended and where its page is."""
    if record["status"] == "ok":
        # Key numbers here, too: on a cluster nobody opens the page at once.
        numbers = "; ".join(f"{key} {value}" for key, value in record["numbers"].items())
        print(f"{record['workflow']}: done in {record['seconds']} s, {folder / 'notebook.html'}\n  {numbers}".rstrip())
    else:
        print(f"{record['workflow']}: failed after {record['seconds']} s: {record['error']}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
