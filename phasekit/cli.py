"""The command ``phasekit``: run a workflow on a file, a list of them, the samples; see what there is.

Exit codes: 0 all well, 1 a run failed, 2 the command was wrong (nothing was run).
"""

import argparse
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
        print(f"phasekit: {error}", file=sys.stderr)
        return 2


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
    # `demo` needs no arguments, so that a first try is one word.
    demo = commands.add_parser("demo", help="run all workflows on the samples and write one page")
    demo.add_argument("--out", default="runs", help="folder for the results (default: runs)")
    demo.set_defaults(function=_run_demo)
    batch = commands.add_parser("batch", help="run every job of a manifest (.yaml, .json, .csv) and write one page")
    batch.add_argument("manifest")
    batch.add_argument("--out", required=True, help="folder for the results")
    batch.add_argument("--workers", type=_read_count, default=1, help="jobs at the same time (default: 1)")
    batch.add_argument("--again", action="store_true", help="also run jobs that already ended well")
    batch.set_defaults(function=_run_batch)
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
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs; give 1 or more")
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
    """Run the jobs of a manifest."""
    from .batch import run_manifest
    from .batch.paths import check_folder

    check_folder(options.out)

    def print_job(job: Any, record: dict[str, Any]) -> None:
        print(f"{record['status']:7} {job.workflow} {record.get('error') or ''}".rstrip(), flush=True)

    again = options.again
    records = run_manifest(options.manifest, options.out, workers=options.workers, resume=not again, report=print_job)
    failed = sum(record["status"] != "ok" for record in records)
    print(f"{len(records) - failed} of {len(records)} jobs ended well; see {Path(options.out) / 'index.html'}")
    return 1 if failed else 0


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
