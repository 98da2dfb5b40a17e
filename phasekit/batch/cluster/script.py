"""The scripts of a SLURM array: one job for rows with equal limits, and one that collects and writes the page."""

import math
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from phasekit.errors import SchemaError

from .plan import Plan, find_limits

SUBMIT = "slurm_submit.sh"
COLLECT = "slurm_collect.sh"
#: Most tasks of one array: SLURM's own default of MaxArraySize is 1001.
_MOST = 1000
#: Room beside the limits of a row, which phasekit keeps first and explains [MB, s]: the worker's imports.
_ROOM_MB, _ROOM_S = 1000, 300
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def write_scripts(folder: Path, plan: Plan, *, at_once: int | None = None, options: Sequence[str] = ()) -> list[Path]:
    """Write the scripts into the folder of a batch; the last one submits the others.

    Parameters
    ----------
    folder
        Folder of the batch.
    plan
        Rows, those with equal limits one after another.
    at_once
        Most rows at the same time; ``None`` leaves that to SLURM.
    options
        Further options of ``sbatch``, such as ``--partition=short`` (:func:`check_options`).
    """
    # Scripts of an earlier plan would submit rows that have other numbers now.
    for old in folder.glob("slurm_rows_*.sh"):
        old.unlink()
    place = Path(os.path.abspath(folder))
    written = []
    for number, (first, count) in enumerate(_list_arrays(plan), start=1):
        path = folder / f"slurm_rows_{number}.sh"
        _write(path, _compose_array(place, plan, first, count, at_once, options))
        written.append(path)
    _write(folder / COLLECT, _compose_collect(place, options))
    _write(folder / SUBMIT, _compose_submit(place, [path.name for path in written]))
    return [*written, folder / COLLECT, folder / SUBMIT]


def check_options(options: Sequence[str]) -> None:
    """Refuse an option of ``sbatch`` that is none, or that holds a line break."""
    for option in options:
        if not option.startswith("-") or not option.isprintable():
            raise SchemaError(f"--sbatch {option!r}: needs one option of sbatch, as in --sbatch=--partition=short.")


def _list_arrays(plan: Plan) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each array."""
    first = 0
    for _, alike in groupby(plan.rows, key=lambda row: find_limits(row, plan.settings)):
        end = first + sum(1 for _ in alike)
        for start in range(first, end, _MOST):
            yield start, min(_MOST, end - start)
        first = end


def _compose_array(
    folder: Path, plan: Plan, first: int, count: int, at_once: int | None, options: Sequence[str]
) -> list[str]:
    """Lines of the script whose tasks run one row each."""
    memory, time = find_limits(plan.rows[first], plan.settings)
    limit = f"%{at_once}" if at_once else ""
    words = ["--job-name=phasekit-rows", f"--array=0-{count - 1}{limit}", "--ntasks=1", "--output=slurm_%A_%a.log"]
    # SLURM's megabytes have 2^20 bytes.
    words += [f"--mem={math.ceil(memory * 1e9 / 2**20) + _ROOM_MB}M"] if memory else []
    words += [f"--time={math.ceil((time + _ROOM_S) / 60)}"] if time else []
    number = f'"{plan.name}:$(({first} + SLURM_ARRAY_TASK_ID))"'
    threads = [f'export {name}="${{{name}:-${{SLURM_CPUS_PER_TASK:-1}}}}"' for name in _THREADS]
    return [*_compose_head([*words, *options]), *threads, f"{_name_command(folder)} --slurm-task {number}"]


def _compose_collect(folder: Path, options: Sequence[str]) -> list[str]:
    """Lines of the script that brings the journals into the ledger and writes the page."""
    words = ["--job-name=phasekit-page", "--ntasks=1", "--output=slurm_%j.log"]
    return [*_compose_head([*words, *options]), f"{_name_command(folder)} --collect"]


def _compose_submit(folder: Path, scripts: Sequence[str]) -> list[str]:
    """Lines of the script that gives all others to SLURM."""
    lines = ["#!/bin/bash", "set -eu", f"cd -- {shlex.quote(str(folder))}", "ids="]
    for name in scripts:
        # Of several clusters sbatch answers `number;cluster`.
        lines += [f'id="$(sbatch --parsable {name})"', 'ids="$ids:${id%%;*}"']
    return [*lines, f'sbatch --dependency="afterany$ids" {COLLECT}']


def _compose_head(options: Sequence[str]) -> list[str]:
    return ["#!/bin/bash", *(f"#SBATCH {option}" for option in options), "set -eu"]


def _name_command(folder: Path) -> str:
    """The command with the Python of now: a task has no activated environment."""
    return f"exec {shlex.quote(sys.executable)} -m phasekit batch --out={shlex.quote(str(folder))}"


def _write(path: Path, lines: Sequence[str]) -> None:
    # Names of folders may hold bytes that are no text.
    path.write_bytes(os.fsencode("\n".join(lines) + "\n"))
    path.chmod(0o755)
