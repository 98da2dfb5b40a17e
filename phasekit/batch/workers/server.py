"""The program of a worker: it imports once and runs each row in a process of its own.

It reads rows as lines of JSON from its input and writes what happens as lines of JSON to its output. Where the system
cannot fork, each row gets a new Python. The worker ends when its input ends, which it does when the batch is killed.
"""

import contextlib
import importlib
import json
import os
import queue
import select
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .isolation import end_group, end_with_parent

#: Set in the environment: the process of the batch.
PARENT = "PHASEKIT_BATCH_PROCESS"
#: Set in the environment: each row gets a new Python, as on systems without a safe fork.
NO_FORK = "PHASEKIT_BATCH_NO_FORK"
_POLL_S = 0.01
#: Imported before the first row; what the kernels import besides is learned from them.
_FIRST = (
    *("numpy", "xarray", "h5py", "h5netcdf", "dask.array", "matplotlib.pyplot", "matplotlib_inline.backend_inline"),
    *("PIL.Image", "PIL.PngImagePlugin", "papermill", "papermill.iorw", "nbclient", "nbformat", "ipykernel.kernelapp"),
    *(
        "ipykernel.ipkernel",
        "ipykernel.debugger",
        "ipykernel.zmqshell",
        "IPython.core.completer",
        "jupyter_client.manager",
        "pandas",
    ),
    *("phasekit.io", "phasekit.io.stxm", "phasekit.viz", "phasekit.batch.runner", "phasekit.batch.numbers"),
    "phasekit.batch.workers.forked",
)
#: Packages whose import does nothing but define things; a module of the user may do anything.
_LEARNED = {
    *("phasekit", "numpy", "scipy", "xarray", "h5py", "h5netcdf", "dask", "matplotlib", "pandas", "PIL", "torch"),
    *("sklearn", "skimage", "numba", "orix", "diffpy", "gemmi", "spglib", "tifffile", "zarr", "numcodecs", "rsciio"),
    *("ipykernel", "IPython", "jupyter_client", "zmq", "comm", "traitlets", "tornado", "nbformat", "nbconvert"),
    *("periodictable", "xraydb", "threadpoolctl", "joblib", "pooch", "tqdm", "yaml", "mpl_toolkits", "pyparsing"),
}


def serve() -> int:
    """Run rows until the input ends."""
    messages = _take_output()
    # The imports take seconds, in which nobody would see the end of the input.
    end_with_parent(int(os.environ[PARENT]))
    # Elsewhere the system's own libraries start threads, which a fork does not copy.
    if not sys.platform.startswith("linux") or os.environ.get(NO_FORK):
        return _serve_without_fork(messages)
    from ..kernel import import_notebook_format

    import_notebook_format()
    _import_all(_FIRST)
    _warm()
    rest = b""
    while True:
        block = os.read(0, 65536)
        if not block:
            return 0
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not _run_one(json.loads(line), messages):
                return 0


def _take_output() -> int:
    """Descriptor for the messages; what else is printed goes to the error output."""
    messages = os.dup(1)
    os.dup2(2, 1)
    return messages


def _send(messages: int, words: dict[str, Any]) -> None:
    data = json.dumps(words, default=str).encode() + b"\n"
    while data:
        data = data[os.write(messages, data) :]


def _run_one(row: dict[str, Any], messages: int) -> bool:
    """Run one row; whether the batch still listens."""
    from .forked import name_socket_folder

    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _be_row(row, messages, write, parent)
    os.close(write)
    _send(messages, {"pid": pid})
    code = _wait_for(pid)
    end_group(pid)  # processes that the notebook started and left
    shutil.rmtree(name_socket_folder(pid), ignore_errors=True)
    if code is None:
        return False
    _send(messages, {"exit": code})
    _learn(read)
    return True


def _be_row(row: dict[str, Any], messages: int, modules_to: int, parent: int) -> None:
    """Be the process of a row: run it, tell its record, and end without cleaning up what the worker owns."""
    code = 1
    try:
        os.setpgid(0, 0)
        end_with_parent(parent)
        _redirect(row)
        run_alone(row, messages, modules_to)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _redirect(row: dict[str, Any]) -> None:
    """No input, and a log file for what is printed."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    with contextlib.suppress(OSError):  # a full disk: the log is not worth a row
        Path(row["folder"]).mkdir(parents=True, exist_ok=True)
        log = os.open(os.path.join(row["folder"], "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)


def run_alone(row: dict[str, Any], messages: int, modules_to: int | None = None) -> None:
    """Run a row in this process and tell its record."""
    from ..kernel import use_manager
    from ..runner import run_row

    if modules_to is not None:
        from .forked import ForkedKernel, ForkedKernelManager

        kernel = ForkedKernel(modules_to)
        os.close(modules_to)
        use_manager(type("Manager", (ForkedKernelManager,), {"kernel": kernel}))
        _send(messages, {"kernel": kernel.pid})
    _send(messages, {"record": run_row(row)})


def _wait_for(pid: int) -> int | None:
    """Exit code of a row; ``None`` when the batch ended meanwhile."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        # Nothing is sent while a row runs: what can be read is the end of the input.
        if select.select([0], [], [], _POLL_S)[0]:
            end_group(pid)
            os.waitpid(pid, 0)
            return None


def _learn(read: int) -> None:
    """Import what the kernel of a row imported."""
    with os.fdopen(read, "rb") as pipe:
        names = (pipe.read() or b"").decode(errors="replace").split()
    _import_all(name for name in names if name.partition(".")[0] in _LEARNED)


def _import_all(names: Any) -> None:
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a warning of the debugger, which nobody uses here
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in names:
        # A part that is not there is the notebook's affair, where it needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _warm() -> None:
    """Do once what every row would do again: compile the schema of notebooks, look for kernels and readers."""
    import nbformat
    import PIL.Image
    import xarray as xr

    from ..record import read_versions
    from .forked import find_kernel_spec

    with contextlib.suppress(Exception):
        nbformat.validate(nbformat.v4.new_notebook())  # type: ignore[no-untyped-call]
        find_kernel_spec()
        read_versions()
        PIL.Image.init()
        xr.backends.list_engines()


def _serve_without_fork(messages: int) -> int:
    """Run each row in a Python of its own, where a fork is not safe."""
    lines: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
    words = [sys.executable, "-m", "phasekit.batch.workers.server", "--row"]
    while line := lines.get():
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=messages, start_new_session=True)
        _send(messages, {"pid": process.pid})
        with contextlib.suppress(OSError), process.stdin as pipe:  # type: ignore[union-attr]
            pipe.write(line)
        # Nothing is sent while a row runs: a line is the end of the input.
        while process.poll() is None and lines.empty():
            time.sleep(_POLL_S)
        end_group(process.pid)
        _send(messages, {"exit": process.wait()})
    return 0


def _read_lines(lines: "queue.Queue[bytes]") -> None:
    """Rows, and an empty line at the end of the input."""
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(b"")


def _main() -> int:
    if "--row" not in sys.argv:
        return serve()
    end_with_parent(os.getppid())
    row = json.loads(sys.stdin.buffer.read())
    messages = _take_output()
    _redirect(row)
    run_alone(row, messages)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
