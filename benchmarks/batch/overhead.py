"""Overhead of a batch: seconds that a row costs beside the run time of its notebook, with 1 and 2 workers.

``python -m benchmarks.batch.overhead --rows 100`` runs tiny rows into a temporary folder and prints a table. The same
rows by one new Python and one new kernel each (``--before``) show what there was before.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from phasekit.batch import BatchRow, BatchSettings, run_batch
from phasekit.batch.workers.server import NO_FORK

CELLS = (
    'output_dir: str = ""\nseed: int = 0',
    "import numpy as np, xarray as xr, phasekit as pk\nstatus = {'flag_values': [0, 1], 'flag_meanings': 'ok vacuum'}",
    "values = np.random.default_rng(seed).integers(0, 2, (32, 32))\n"
    'result = xr.Dataset({"status": (("scan_y", "scan_x"), values, status)})',
    "pk.viz.setup(interactive=False)\nfigure, axes = pk.viz.panels()\npk.viz.image(axes[0, 0], result['status'])\n"
    'pk.viz.save_figure(figure, f"{output_dir}/figure_1.png", alt="Status.")',
    'pk.io.save(result, f"{output_dir}/result.nc")',
)


class Measured(NamedTuple):
    """One batch of tiny rows."""

    workers: int
    n_rows: int
    total_s: float  # of the whole batch
    first_s: float  # until the first row ended: the workers' imports
    notebook_s: float  # sum of the times of the cells
    processor_s: float  # of all processes, imports and cells included

    @property
    def per_row_s(self) -> float:
        """Overhead of a row on its worker after the first one."""
        busy = (self.total_s - self.first_s) * min(self.workers, self.n_rows)
        return (busy - self.notebook_s) / self.n_rows


def write_notebook(path: Path) -> Path:
    """Write the notebook of the tiny rows."""
    cells = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {"tags": ["parameters"]} if not number else {}}
        | {"execution_count": None, "outputs": [], "source": source}
        for number, source in enumerate(CELLS)
    ]
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def measure(n_rows: int, workers: int) -> Measured:
    """Run tiny rows in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        book = write_notebook(Path(folder) / "tiny.ipynb")
        rows = [BatchRow(f"row {number:04}", str(book), {"seed": number}, inputs=()) for number in range(n_rows)]
        ends: list[float] = []
        before = read_processor_time()
        start = time.perf_counter()
        outcome = run_batch(
            rows,
            Path(folder) / "out",
            BatchSettings(workers=workers),
            report=lambda *_: ends.append(time.perf_counter() - start),
        )
        total = time.perf_counter() - start
        processor = read_processor_time() - before
    assert outcome.exit_code == 0, [record["error"] for record in outcome.records][:3]
    cells = sum(cell["seconds"] or 0 for record in outcome.records for cell in record["cells"])
    return Measured(workers, n_rows, total, ends[0], cells, processor)


def read_processor_time() -> float:
    """Processor time of this process and of those that it started and that have ended [s]."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def write_table(found: list[Measured]) -> str:
    """Table of the batches."""
    heads = ("workers", "rows", "batch [s]", "until the first row [s]", "cells per row [s]", "overhead per row [s]")
    heads = (*heads, "processor time per row [s]")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in found:
        cells = row.notebook_s / row.n_rows
        numbers = f"{row.total_s:.1f} | {row.first_s:.1f} | {cells:.2f} | {row.per_row_s:.2f}"
        lines.append(f"| {row.workers} | {row.n_rows} | {numbers} | {row.processor_s / row.n_rows:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--before", action="store_true", help="a new Python and a new kernel for each row")
    options = parser.parse_args()
    if options.before:
        os.environ[NO_FORK] = "1"
    # One BLAS thread, as in a batch of several workers: otherwise the kernels' threads wait for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    print(write_table([measure(options.rows, workers) for workers in options.workers]))
    print(f"\nload of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
