"""``phasekit batch``: a notebook on many files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outcome import list_names

if TYPE_CHECKING:
    from ..batch import BatchOutcome, BatchSettings
    from ..batch.manifest.rows import Row

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


def add_batch(commands: Any) -> None:
    """Add the command ``batch`` and its options."""
    batch = commands.add_parser(
        "batch",
        help="run a notebook on many files: a manifest (.csv, .yaml, .json) or a pattern of files",
        epilog=_BATCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    batch.add_argument("source", nargs="*", help="a manifest, or data files and patterns such as 'scans/*.h5'")
    batch.add_argument("--out", required=True, help="folder for the results")
    batch.add_argument("--notebook", metavar="NAME|PATH", help=f"{list_names()} or a path, for rows that name none")
    batch.add_argument(
        "-p", "--set", action="append", default=[], metavar="NAME=VALUE", help="for all rows; repeatable"
    )
    batch.add_argument("--parameters", action="append", default=[], metavar="FILE", help=".yaml or .json, for all rows")
    batch.add_argument("--dry-run", action="store_true", help="check, print the rows and their folders, run nothing")
    batch.add_argument("--limit", type=_read_count, metavar="N", help="only the first N rows")
    batch.add_argument("--only", metavar="failed|PATTERN", help="rows that failed, or whose name or input matches")
    batch.add_argument("--memory", metavar="SIZE", help="limit of each row, such as 4GB (default: none)")
    batch.add_argument("--time", metavar="TIME", help="limit of each row, such as 30min or 1:30:00 (default: none)")
    batch.add_argument(
        "--workers", type=_read_workers, metavar="N", help="rows at the same time (default: 1; 0: in this process)"
    )
    batch.add_argument(
        "--retries", type=int, default=0, metavar="N", help="runs again of a row whose kernel crashed (default: 0)"
    )
    batch.add_argument("--html", action="store_true", help="also write each notebook as HTML, while further rows run")
    batch.add_argument("--page", action="store_true", help="also write each result as one HTML page, page.html")
    batch.add_argument("--wait", action="store_true", help="wait for another batch that writes into the same folder")
    batch.add_argument("--again", action="store_true", help="also run rows that already ended well")
    _add_machines(batch)
    batch.set_defaults(function=_run_batch)


def _add_machines(batch: argparse.ArgumentParser) -> None:
    """Add the options for many machines that see one file system."""
    many = batch.add_argument_group("many machines")
    many.add_argument("--scheduler", metavar="tcp://HOST:8786", help="run the rows on this dask cluster")
    many.add_argument("--slurm", action="store_true", help="write the scripts of a SLURM array into --out, run nothing")
    many.add_argument(
        "--sbatch", action="append", default=[], metavar="OPTION", help="further option for --slurm; repeatable"
    )
    many.add_argument("--collect", action="store_true", help="bring what SLURM's tasks did into ledger and page")
    many.add_argument("--slurm-task", metavar="PLAN:N", help="run one row of --slurm; the scripts give this")


def _run_batch(options: argparse.Namespace) -> int:
    """Check the rows of a manifest or of data files, and run them."""
    from ..batch.manifest import entries, rows, running
    from ..batch.manifest.options import read_shared
    from ..batch.paths import check_folder

    check_folder(options.out)
    _check_options(options)
    if options.slurm_task or options.collect:
        return _run_task(options) if options.slurm_task else _collect(options)
    source = entries.read_source(options.source)
    given = {
        "notebook": options.notebook,
        "settings": [*options.set, *(["page=true"] if options.page else [])],
        "files": options.parameters,
    }
    common = read_shared(**given, memory=options.memory, time=options.time)
    planned = rows.plan_rows(source, options.out, common)
    chosen = running.select_rows(planned, only=options.only, limit=options.limit)
    if options.dry_run or not chosen:
        for row in chosen:
            print(running.describe_row(row))
        print(f"{len(chosen)} of {len(planned)} rows chosen; nothing was run.")
        return 0
    settings = _make_settings(options, f"phasekit: {Path(source.name).name}")
    if options.workers == 0:
        _refuse_limits(chosen)
    if options.slurm:
        return _write_array(options, chosen, settings)
    # Rows that run, the time left and each row's end are told on the error output.
    return _print_outcome(running.run_rows(chosen, options.out, settings, progress=True), options.out)


def _check_options(options: argparse.Namespace) -> None:
    """Refuse options that exclude each other, and a batch without data."""
    from ..errors import SchemaError

    ways = {"--scheduler": options.scheduler, "--slurm": options.slurm}
    ways |= {"--slurm-task": options.slurm_task, "--collect": options.collect}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise SchemaError(f"batch: {' and '.join(given)} exclude each other. Leave one out.")
    if given and options.workers == 0:
        raise SchemaError(f"batch: --workers 0 runs rows in this process. Leave it out, or {given[0]}.")
    if options.sbatch and not options.slurm:
        raise SchemaError("batch: --sbatch belongs to --slurm. Give both, or none.")
    if options.collect or options.slurm_task:
        if options.source:
            raise SchemaError(f"batch: {given[0]} takes no data: --out names the batch. Leave {options.source[0]} out.")
    elif not options.source:
        raise SchemaError("batch: no data. Give a manifest, or data files and patterns such as 'scans/*.h5'.")


def _make_settings(options: argparse.Namespace, title: str) -> "BatchSettings":
    from ..batch import BatchSettings

    return BatchSettings(
        workers=1 if options.workers is None else options.workers,
        resume=not options.again,
        retries=options.retries,
        wait=options.wait,
        html=options.html,
        title=title,
        scheduler=options.scheduler or "",
    )


def _refuse_limits(chosen: "Sequence[Row]") -> None:
    """Refuse limits that nobody would keep."""
    from ..errors import SchemaError

    limited = [row.label or row.name for row in chosen if row.memory_bytes or row.time_s]
    if limited:
        cure = "Give --workers 1, or leave the limits out."
        raise SchemaError(f"batch: --workers 0 keeps no limits of memory and time, as {limited[0]} has them. {cure}")


def _write_array(options: argparse.Namespace, chosen: "Sequence[Row]", settings: "BatchSettings") -> int:
    """Write the scripts of a SLURM array."""
    import shlex

    from ..batch.cluster.collect import prepare_array
    from ..batch.manifest.running import make_batch_rows

    rows = make_batch_rows(chosen)
    script = prepare_array(rows, options.out, settings, at_once=options.workers, options=options.sbatch)
    print(f"{len(rows)} rows. Submit them, and the job that writes the page after them:")
    print(f"  bash {shlex.quote(str(script))}")
    print("Look at the page while they run, and after an array that was cancelled:")
    print(f"  phasekit batch --out={shlex.quote(str(options.out))} --collect")
    return 0


def _run_task(options: argparse.Namespace) -> int:
    """Run one row of a SLURM array."""
    from ..batch.cluster.task import run_task

    row, record = run_task(Path(options.out), options.slurm_task)
    why = record.get("error") or ("done before" if record.get("skipped") else f"{record.get('seconds', 0)} s")
    print(f"{record['status']:<11} {row.name}  {why}")
    if record["status"] == "interrupted":
        return 130
    return 0 if record["status"] == "ok" else 1


def _collect(options: argparse.Namespace) -> int:
    """Bring the journals of a SLURM array into the ledger."""
    from ..batch.cluster.collect import collect_array

    return _print_outcome(collect_array(options.out), options.out)


def _print_outcome(outcome: "BatchOutcome", folder: str) -> int:
    for notice in outcome.notices:
        print(f"phasekit: {notice}", file=sys.stderr)
    print(f"{outcome.summarise()}; see {Path(folder) / 'index.html'}")
    return outcome.exit_code


def _read_workers(text: str) -> int:
    """Whole number from 0; argparse prints the message."""
    return 0 if text == "0" else _read_count(text)


def _read_count(text: str) -> int:
    """Whole number from 1; argparse prints the message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; give 1 or more")
    return int(text)
