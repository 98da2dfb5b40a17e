"""A kernel that is forked from a process which has imported everything, so that it starts in milliseconds."""

import asyncio
import contextlib
import functools
import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from ..kernel import NotebookKernelManager
from .isolation import end_with_parent

#: Bytes of a folder's path that leave room for the name of a socket.
_LONGEST = 80


class ForkedKernel:
    """Child process that becomes a kernel when it is told the file of its connection.

    It has the methods of :class:`subprocess.Popen` that Jupyter calls. Make it before this process starts an event loop
    or a thread: a fork copies neither.
    """

    stdin = stdout = stderr = None

    def __init__(self, modules_to: int) -> None:
        read, self._write = os.pipe()
        parent = os.getpid()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write)
            _become_kernel(read, parent, modules_to)
        os.close(read)

    def connect(self, connection_file: str, folder: str, environment: dict[str, str]) -> None:
        """Tell the child its connection, its working directory and its environment."""
        words = json.dumps({"file": connection_file, "folder": folder, "environment": environment})
        with os.fdopen(self._write, "wb") as pipe:
            pipe.write(words.encode())

    def poll(self) -> int | None:
        """Exit code, or ``None`` while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; exit code."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Gives Jupyter the kernel that was forked before."""

    kernel: ForkedKernel

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Tell the forked process its connection."""
        self.process = self.kernel  # type: ignore[assignment]
        self.pid, self.pgid = self.kernel.pid, None
        self.cwd = kwargs.get("cwd") or os.getcwd()
        assert self.parent is not None
        self.kernel.connect(self.parent.connection_file, str(self.cwd), dict(kwargs.get("env") or os.environ))
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for its end, in steps that a run of a tenth of a second does not notice."""
        while await self.poll() is None:
            await asyncio.sleep(0.005)
        self.process = None
        return 0


class PromptClient(AsyncKernelClient):
    """Client that begins when the kernel has answered.

    Jupyter's own waits a fifth of a second for further messages, and drops them. The runs need not: each output names
    the request that it belongs to.
    """

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        end = time.monotonic() + (timeout or 60.0)
        while time.monotonic() < end:
            self.kernel_info()
            answer = await _read_message(self.shell_channel, 1.0)
            # A first output proves that the channel of the outputs is connected.
            if answer is not None and await _read_message(self.iopub_channel, 0.2) is not None:
                self._handle_kernel_info_reply(answer)
                return
            if not await self._async_is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError(f"Kernel didn't respond in {timeout} seconds")

    wait_for_ready = _async_wait_for_ready


class ForkedKernelManager(NotebookKernelManager):
    """Manager of the kernel that this process forked."""

    kernel: ForkedKernel
    ending = "immediate"  # the worker ends everything that the kernel started

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.client_factory = PromptClient
        self._kernel_spec = find_kernel_spec()
        # Free TCP ports are asked for and taken later: of many kernels two would get the same one.
        folder = make_socket_folder(os.getpid())
        if folder is not None:
            self.transport, self.ip = "ipc", str(folder / "socket")
            self.connection_file = str(folder / "connection.json")
            self.transport_encryption = "disabled"  # files that nobody else may open

    async def _async_pre_start_kernel(self, **words: Any) -> Any:
        self.provisioner = ForkedProvisioner(
            kernel_id=self.kernel_id or "forked", kernel_spec=self.kernel_spec, parent=self
        )
        self.provisioner.kernel = self.kernel
        return await super()._async_pre_start_kernel(**words)


def name_socket_folder(process: int) -> Path:
    """Folder for the sockets of the kernel of a row."""
    return Path(tempfile.gettempdir()) / f"phasekit-row-{process}"


def make_socket_folder(process: int) -> Path | None:
    """Make that folder, for this user alone; ``None`` where its path is too long for a socket."""
    folder = name_socket_folder(process)
    if len(os.fsencode(folder)) > _LONGEST:
        return None
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed and had this number
    folder.mkdir(mode=0o700)
    return folder


@functools.cache
def find_kernel_spec() -> KernelSpec:
    """Description of the kernel, read once by the worker for all rows."""
    return KernelSpecManager().get_kernel_spec("python3")


async def _read_message(channel: Any, timeout: float) -> Any:
    try:
        return await channel.get_msg(timeout=timeout)
    except queue.Empty:
        return None


def _become_kernel(read: int, parent: int, modules_to: int) -> None:
    """Wait for the connection, then be a kernel until the end of this process."""
    try:
        end_with_parent(parent)
        with os.fdopen(read, "rb") as pipe:
            words = json.loads(pipe.read() or b"null")
        if words is None:  # nobody needs this kernel
            os._exit(0)
        _start_kernel(words, modules_to)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(0)


def _start_kernel(words: dict[str, Any], modules_to: int) -> None:
    import random

    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.environ.clear()
    os.environ.update(words["environment"])
    os.chdir(words["folder"])
    # Forks of one process would draw the same random numbers.
    random.seed()
    np.random.seed()  # noqa: NPY002 - the notebook's own use of it
    sys.path[:] = ["", *(path for path in sys.path if path)]
    known = set(sys.modules)
    app: Any = IPKernelApp.instance()
    # The history of the commands is a file that all kernels would write.
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"
    app.initialize(["-f", words["file"], "--HistoryManager.enabled=False", parent])
    # The worker imports what this kernel imported, so that the next one has it at once.
    app.shell.events.register("post_run_cell", lambda *_: _tell_modules(known, modules_to))
    app.start()


def _tell_modules(known: set[str], modules_to: int) -> None:
    new = set(sys.modules) - known
    known |= new
    with contextlib.suppress(OSError):
        os.write(modules_to, "".join(f"{name}\n" for name in sorted(new))[:30000].encode())
