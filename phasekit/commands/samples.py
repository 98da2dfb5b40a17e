"""``phasekit samples``: the sample data."""

import argparse
import sys
from typing import Any


def add_samples(commands: Any) -> None:
    """Add the command ``samples`` and its options."""
    samples = commands.add_parser("samples", help="list, fetch or make sample data")
    samples.add_argument("action", nargs="?", choices=("list", "fetch", "make"), default="list")
    samples.add_argument("name", nargs="?", help="name of the sample (fetch: als_fe2p when left out; make: all)")
    samples.add_argument("--out", help="make: folder to write to (default: data-samples)")
    samples.set_defaults(function=_run_samples)


def _run_samples(options: argparse.Namespace) -> int:
    """List, fetch or make samples."""
    from .. import samples
    from ..batch.paths import check_folder

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
