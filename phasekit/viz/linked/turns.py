"""When functions run: later, in the turn of a document, or in a thread of their own."""

import asyncio
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any

#: A moved slider sends many values. The computation begins once it has rested for so long.
_REST_SECONDS = 0.15


def run_later(document: Any, function: Callable[[], None], seconds: float = 0.001) -> None:
    """Run a function after what was changed so far has been sent; at once where no event loop runs."""
    if document is not None and document.session_context is not None:
        document.add_timeout_callback(function, max(int(1000 * seconds), 1))
        return
    loop = _find_loop()
    if loop is None:
        function()
    else:
        loop.call_later(seconds, function)


def run_in(document: Any, function: Callable[[], None]) -> None:
    """Run a function that changes the models of a document, in its own turn where a server holds it."""
    import panel

    state: Any = panel.state
    if document is None or document.session_context is None or state.curdoc is document:
        function()
    else:
        document.add_next_tick_callback(function)


def _find_loop() -> asyncio.AbstractEventLoop | None:
    """Event loop that runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class BackgroundTask:
    """A slow computation in a thread of its own, so that the cursor moves on. Only the newest request counts.

    ``compute`` runs in the thread and changes no model. ``tell`` runs in the turn of the document: with ``True`` once
    the answer to the newest request is there, and with ``False`` once the thread starts or ended in an error.
    """

    def __init__(self, compute: Callable[[], Any], tell: Callable[[bool], None]) -> None:
        self._compute, self._tell = compute, tell
        self._newest = 0
        self._is_running = False
        self.is_busy = False

    def request(self, document: Any) -> None:
        """Ask for the computation, once no further request has come for a moment."""
        self._newest += 1
        self.is_busy = True
        run_later(document, partial(self._start, document, self._newest), _REST_SECONDS)

    def _start(self, document: Any, number: int) -> None:
        # A later request has a start of its own, or follows when the thread ends.
        if number != self._newest or self._is_running:
            return
        loop = _find_loop()
        if loop is None and (document is None or document.session_context is None):
            # Nobody could bring the answer back into this thread.
            self._work(document, number, lambda finish: finish())
            return
        self._is_running = True
        self._tell(False)
        if document is not None and document.session_context is not None:
            bring = document.add_next_tick_callback  # the one function of a document that other threads may call
        else:
            assert loop is not None
            bring = loop.call_soon_threadsafe
        Thread(target=self._work, args=(document, number, bring), daemon=True).start()

    def _work(self, document: Any, number: int, bring: Callable[[Callable[[], None]], Any]) -> None:
        error = None
        try:
            self._compute()
        except Exception as found:  # raised again in the turn of the document
            error = found
        bring(partial(self._finish, document, number, error))

    def _finish(self, document: Any, number: int, error: Exception | None) -> None:
        self._is_running = False
        if number != self._newest:
            self._start(document, self._newest)
            return
        self.is_busy = False
        # After an error the view stays as it was: to show it would compute it again, and fail in this turn.
        self._tell(error is None)
        if error is not None:
            raise error
