"""What all benchmarks share: environments of the peers, the runner, measuring, provenance, machine and report.

A benchmark is a folder. Its ``bench.py`` says which runs are made. Each of its scripts measures one thing and writes
one result file. ``collect.py`` turns result files into numbers, ``report.py`` numbers into Markdown.

The scripts of the other packages run in environments that hold neither phasekit nor its dependencies. So the harness
needs only the standard library.
"""

from .environments import peer_environment
from .files import read_json, read_json_files, write_json
from .machine import describe_machine
from .measuring import StepClock, measure_cost, peak_memory_kib, peak_memory_mb, pin_to_one_core, record_time
from .provenance import compute_code_state
from .report import format_code_states, format_machine, markdown_row, markdown_table, save_report
from .runner import log_progress, run_if_missing, run_module, run_tasks

__all__ = [
    "StepClock",
    "compute_code_state",
    "describe_machine",
    "format_code_states",
    "format_machine",
    "log_progress",
    "markdown_row",
    "markdown_table",
    "measure_cost",
    "peak_memory_kib",
    "peak_memory_mb",
    "peer_environment",
    "pin_to_one_core",
    "read_json",
    "read_json_files",
    "record_time",
    "run_if_missing",
    "run_module",
    "run_tasks",
    "save_report",
    "write_json",
]
