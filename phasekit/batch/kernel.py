"""The kernel of a run, and how it ends."""

import contextlib
import importlib
import logging
import sys

from jupyter_client.manager import AsyncKernelManager


class NotebookKernelManager(AsyncKernelManager):
    """Manager of a kernel that is asked to end, and not interrupted first.

    Jupyter interrupts every kernel before it asks it to end. At the end of a run the kernel still handles the last
    request, answers the interrupt with an exception, and logs an error in a run that went well. A cell that does not
    return is ended by the signals that follow the request.
    """

    #: How nbclient ends the kernel.
    ending = "graceful"

    async def _async_interrupt_kernel(self) -> None:
        if not self.shutting_down:
            await super()._async_interrupt_kernel()


#: Manager that the runs of this process take; a worker has its own (:mod:`phasekit.batch.workers.forked`).
_MANAGERS: list[type[NotebookKernelManager]] = [NotebookKernelManager]


def use_manager(manager: type[NotebookKernelManager]) -> None:
    """Let the runs of this process take another manager of kernels."""
    _MANAGERS[:] = [manager]


def get_manager() -> type[NotebookKernelManager]:
    """Manager of kernels of this process."""
    return _MANAGERS[0]


def import_notebook_format() -> None:
    """Import nbformat without the grammar of web addresses, which takes 2 s to compile and checks nothing here."""
    name = "rfc3987_syntax"
    if name in sys.modules or "jsonschema" in sys.modules:
        importlib.import_module("nbformat")
        return
    # jsonschema takes it where it can be imported.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        importlib.import_module("nbformat")
    finally:
        with contextlib.suppress(KeyError):
            del sys.modules[name]


def silence_papermill() -> None:
    """Drop papermill's warnings about names: it cannot read ``str | None``, and the names are checked before."""
    logging.getLogger("papermill").addFilter(_is_no_guess)


def _is_no_guess(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(("Passed unknown parameter", "Unable to parse line"))
