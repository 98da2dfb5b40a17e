"""Scripts of a benchmark as processes of their own, each with a fixed number of threads."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .paths import ROOT

#: Environment variables that limit the threads of BLAS, OpenMP and Numba.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def log_progress(text: str) -> None:
    """Write one line of progress, with the time of day, to standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def run_module(module: str, *arguments: object, python: Path | str = sys.executable, threads: int = 1) -> str:
    """Run ``python -m module arguments`` from the top of the checkout; return what it printed.

    ``python`` is the interpreter of the environment to run in. The process gets ``threads`` threads. If it fails, the
    benchmark ends with the last lines of its error output.
    """
    command = [str(python), "-m", module, *(str(one) for one in arguments)]
    settings = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}
    process = subprocess.run(command, cwd=ROOT, env=settings, check=False, capture_output=True, text=True)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{process.stderr[-3000:]}")
    return process.stdout


def run_if_missing(
    result: Path,
    module: str,
    *arguments: object,
    python: Path | str = sys.executable,
    threads: int = 1,
    is_complete: Callable[[Path], bool] = Path.exists,
) -> None:
    """Run a module that writes the file ``result``, unless that file is there and ``is_complete``."""
    if result.exists() and is_complete(result):
        return
    log_progress(" ".join([module.removeprefix("benchmarks."), *(Path(str(one)).name for one in arguments)]))
    run_module(module, *arguments, python=python, threads=threads)


def run_tasks(tasks: list[Callable[[], None]], processes: int) -> None:
    """Run independent tasks, ``processes`` of them at a time."""
    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(lambda task: task(), tasks))
