"""Overhead of a batch: seconds that a row costs beside the run time of its notebook, with 1 and 2 workers.

``python -m benchmarks.batch.overhead --rows 100`` runs tiny rows into a temporary folder and prints the page of the
report; ``--store`` keeps it. Rows by one new Python and one new kernel each (``--before``) show what there was before.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.files import write_json
from benchmarks.harness.machine import describe_machine
from phasekit.batch import BatchRow, BatchSettings, run_batch
from phasekit.batch.workers.server import NO_FORK

from .report import compose_overhead

REPORT = Path(__file__).parent / "report"
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
    parts: list[tuple[float, float, float]]  # of each row: its cells, its execution, until its end


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
    assert outcome.exit_code == 0, [record.get("error") for record in outcome.records][:3]
    cells = [sum(cell["seconds"] or 0 for cell in record["cells"]) for record in outcome.records]
    # With one worker the time between two ends is that of a row.
    rows = np.diff([0.0, *ends])
    parts = [
        (own, record["seconds"], float(row)) for own, record, row in zip(cells, outcome.records, rows, strict=True)
    ]
    return Measured(workers, n_rows, total, ends[0], sum(cells), processor, parts)


def read_processor_time() -> float:
    """Processor time of this process and of those that it started and that have ended [s]."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def split_row(found: Measured) -> dict[str, float]:
    """Parts of the time of a row on one worker [s], medians over the rows after the first."""
    parts = np.array(found.parts)[1:]
    cells, execution, row = (float(np.median(column)) for column in parts.T)
    return {
        "cells of the notebook": cells,
        "start of the kernel, messages, saving of the notebook": execution - cells,
        "fork, checks, key numbers, hash, small picture, ledger": row - execution,
    }


def measure_all(n_rows: int, workers: list[int], n_before: int) -> dict[str, Any]:
    """Measure the batches of the report; ``n_before`` rows each get a new Python and a new kernel."""
    batches = [("forked", measure(n_rows, number)) for number in workers]
    if n_before:
        os.environ[NO_FORK] = "1"
        batches += [("new Python", measure(n_before, number)) for number in workers]
        del os.environ[NO_FORK]
    alone = next((found for _, found in batches if found.workers == 1), batches[0][1])
    words = [{"way": way, **{k: v for k, v in found._asdict().items() if k != "parts"}} for way, found in batches]
    machine = describe_machine(["phasekit", "papermill", "ipykernel", "nbclient", "numpy"])
    return {"batches": words, "parts": split_row(alone), "machine": machine, "load": os.getloadavg()[0]}


def main() -> None:
    """Measure and print, and store where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--before", type=int, default=20, help="rows that get a new Python and a new kernel each")
    parser.add_argument("--store", action="store_true", help="write report/overhead.json and report/overhead.md")
    options = parser.parse_args()
    # One BLAS thread, as in a batch of several workers: otherwise the kernels' threads wait for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    results = measure_all(options.rows, options.workers, options.before)
    lines = compose_overhead(results)
    print("\n".join(lines))
    if options.store:
        write_json(REPORT / "overhead.json", results)
        (REPORT / "overhead.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
