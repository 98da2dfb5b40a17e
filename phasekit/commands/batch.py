"""``phasekit batch``: a notebook on many files."""

import argparse
import sys
from pathlib import Path
from typing import Any

from .outcome import list_names

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
    batch.add_argument("source", nargs="+", help="a manifest, or data files and patterns such as 'scans/*.h5'")
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
    batch.add_argument("--workers", type=_read_count, default=1, metavar="N", help="rows at the same time (default: 1)")
    batch.add_argument(
        "--retries", type=int, default=0, metavar="N", help="runs again of a row whose kernel crashed (default: 0)"
    )
    batch.add_argument("--html", action="store_true", help="also write each notebook as HTML (a second a row)")
    batch.add_argument("--page", action="store_true", help="also write each result as one HTML page, page.html")
    batch.add_argument("--wait", action="store_true", help="wait for another batch that writes into the same folder")
    batch.add_argument("--again", action="store_true", help="also run rows that already ended well")
    batch.set_defaults(function=_run_batch)


def _run_batch(options: argparse.Namespace) -> int:
    """Check the rows of a manifest or of data files, and run them."""
    from ..batch import BatchSettings
    from ..batch.manifest import entries, rows, running
    from ..batch.manifest.options import read_shared
    from ..batch.paths import check_folder

    check_folder(options.out)
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


def _read_count(text: str) -> int:
    """Whole number from 1; argparse prints the message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number; give 1 or more")
    return int(text)
