"""The pages of ``benchmarks/batch/report``, composed from the numbers that are stored beside them."""

from typing import Any

from benchmarks.harness.report import format_machine, markdown_table

_COUNTS = ("lost", "wrong", "stale", "half", "orphans")


def compose_faults(results: dict[str, Any]) -> list[str]:
    """Lines of the table of faults and outcomes."""
    rows = results["rows"]
    total = {count: sum(row[count] for row in rows) for count in _COUNTS}
    head = ["fault", "rows", "lost", "wrong", "stale", "half files", "orphans", "what the first failed row said"]
    table = [[row["fault"], *(str(row[key]) for key in ("rows", *_COUNTS)), _escape(row["said"])] for row in rows]
    sums = ", ".join(f"{name} {number}" for name, number in total.items())
    return [
        "# Faults of a batch and what came of them",
        "",
        "Each fault meets a batch of two workers. Its cause is then removed, and the same batch is run again.",
        "After that every row, file and process is looked at:",
        "",
        "- lost: rows that the second run did not finish,",
        "- wrong: results whose content is not what the ledger knows,",
        "- stale: results that are not those of the parameters and inputs as they are now,",
        "- half files: files that a writer left under a temporary name,",
        "- orphans: processes that outlived their batch.",
        "",
        *format_machine(results["machine"]),
        *markdown_table(head, table),
        "",
        f"All together: {sums}.",
        "",
        "Made by `python -m benchmarks.batch.faults`, as root for the two faults of disks. The tests do the same with",
        "fewer kills, and `make test-long` with fifty.",
    ]


def compose_overhead(results: dict[str, Any]) -> list[str]:
    """Lines of the page on the overhead of a row."""
    head = ["way", "workers", "rows", "batch [s]", "until the first row [s]", "cells per row [s]"]
    head += ["overhead per row [s]", "processor time per row [s]"]
    return [
        "# Overhead of a batch",
        "",
        "Rows of a tiny notebook: a map of 32 x 32 pixels, one figure, one result file. The overhead of a row is the",
        "time of its worker less the time of its cells. The worker's imports, until the first row ends, are beside it.",
        "",
        *format_machine(results["machine"]),
        f"Load of the machine at the end: {results['load']:.1f}.",
        "",
        *markdown_table(head, [_write_batch(row) for row in results["batches"]]),
        "",
        "The way *new Python* is that of systems without a safe fork: a Python and a kernel for each row.",
        "",
        "## Where the time of a row goes",
        "",
        *markdown_table(
            ["part", "ms per row"],
            [[name, f"{1000 * seconds:.0f}"] for name, seconds in results["parts"].items()],
        ),
        "",
        "Medians over the rows of one worker. Made by `python -m benchmarks.batch.overhead --store`.",
    ]


def _write_batch(row: dict[str, Any]) -> list[str]:
    n_rows = row["n_rows"]
    busy = (row["total_s"] - row["first_s"]) * min(row["workers"], n_rows)
    numbers = [f"{row['total_s']:.1f}", f"{row['first_s']:.1f}", f"{row['notebook_s'] / n_rows:.2f}"]
    numbers += [f"{(busy - row['notebook_s']) / n_rows:.2f}", f"{row['processor_s'] / n_rows:.2f}"]
    return [row["way"], str(row["workers"]), str(n_rows), *numbers]


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
