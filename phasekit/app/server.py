"""The server: one address, every request checked, uploads received block by block, nothing asked of the network."""

import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import OutputTransform, RequestHandler, stream_request_body
from tornado.websocket import WebSocketClosedError

from phasekit.errors import SchemaError

from .access import Access, Asked
from .data_root import DataRoot
from .session import Session
from .uploads import Receiver, RefusedError, UploadFolder, list_endings, make_parent

FIRST_PORT = 5006
_TRIED_PORTS = 20
_MOST_BODY = 64 * 1024  # of any request but an upload
_MOST_MESSAGE = 2**20  # from the browser to the server, over the WebSocket
# The browser itself refuses whatever would leave the machine. Bokeh makes functions of texts, so 'unsafe-eval'.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)


class AppSettings(NamedTuple):
    """What the command line chose."""

    root: DataRoot
    first: str = ""  # opened at once, below the root
    host: str = "127.0.0.1"
    port: int | None = None  # None: the next free one from 5006
    origins: tuple[str, ...] = ()
    needs_token: bool = False
    most_upload: int = 200_000_000


class _SafeHeaders(OutputTransform):
    """Adds headers to every answer."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers["Content-Security-Policy"] = _POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        # The address may hold the token, and names of files.
        headers["Referrer-Policy"] = "no-referrer"
        return status_code, headers, chunk


class _CheckedTornado(BokehTornado):
    """Bokeh's application behind the check of every request: pages, scripts, WebSockets and uploads."""

    def __init__(self, applications: dict[str, Any], access: Access, port: int, **settings: Any) -> None:
        self._access, self._cookie = access, f"phasekit_{port}"
        super().__init__(applications, transforms=[_SafeHeaders], **settings)

    # Tornado asks here for every request, before any handler is made.
    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        cookie = request.cookies.get(self._cookie)
        asked = Asked(
            request.headers.get("Host", ""),
            request.headers.get("Origin", ""),
            "" if cookie is None else cookie.value,
            _read_argument(request, "token"),
        )
        answer = self._access.check(asked)
        if answer.status == 200:
            return super().find_handler(request, **kwargs)
        settings = {"answer": answer, "cookie": (self._cookie, self._access.token)}
        return self.get_handler_delegate(request, _AnswerHandler, settings)


class _AnswerHandler(RequestHandler):
    """Refuses a request, or takes the token out of the address into a cookie."""

    def initialize(self, answer: Any, cookie: tuple[str, str]) -> None:
        self._answer, self._token = answer, cookie

    def prepare(self) -> None:
        if self._answer.status == 302:
            name, value = self._token
            self.set_cookie(name, value, httponly=True, samesite="Strict")
            # What else the address asks for, such as the file, is kept.
            kept = {key: values for key, values in self.request.query_arguments.items() if key != "token"}
            query = urlencode(kept, doseq=True)
            self.redirect((self.request.path or "/") + (f"?{query}" if query else ""))
        else:
            self.set_status(self._answer.status)
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish(f"{self._answer.text}\n")

    def check_xsrf_cookie(self) -> None:
        """Nothing is changed by these answers."""


@stream_request_body
class _UploadHandler(RequestHandler):
    """Receives one file of a visitor block by block."""

    def initialize(self, folders: dict[str, UploadFolder]) -> None:
        self._folders = folders
        self._receiver: Receiver | None = None

    def prepare(self) -> None:
        folder = self._folders.get(self.get_query_argument("key", ""))
        size = self.request.headers.get("Content-Length")
        try:
            if folder is None or self.request.method != "POST":
                raise RefusedError(403, "This upload belongs to no open page. Load the page again.")
            name, first = self.get_query_argument("name", ""), self.get_query_argument("first", "1") == "1"
            self._receiver = Receiver(folder, name, int(size) if size else None, is_first=first)
            # Without this the server would cut the connection at the limit of the other requests.
            connection: Any = self.request.connection
            connection.set_max_body_size(folder.most_bytes)
        except RefusedError as refused:
            self._refuse(refused)

    def data_received(self, chunk: bytes) -> None:
        # After a refusal blocks that were on their way may still arrive.
        if self._receiver is None or self._finished:
            return
        try:
            self._receiver.write(chunk)
        except RefusedError as refused:
            self._receiver = None
            self._refuse(refused)

    def post(self) -> None:
        if self._receiver is not None:
            self.finish({"name": self._receiver.finish()})
            self._receiver = None

    def on_connection_close(self) -> None:
        # Half a file must not look like a whole one.
        if self._receiver is not None:
            self._receiver.cancel()
            self._receiver = None

    def _refuse(self, refused: RefusedError) -> None:
        self.set_status(refused.status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        # The rest of the body is not read: the sender is told to stop.
        self.set_header("Connection", "close")
        self.finish(str(refused))


class RunningApp(NamedTuple):
    """A server that listens; its loop is not yet running."""

    address: str
    loop: IOLoop
    stop: Callable[[], None]


@contextmanager
def start_app(settings: AppSettings) -> Iterator[RunningApp]:
    """Bind the address and make the server; everything is closed and removed at the end.

    Raises
    ------
    SchemaError
        The port is taken, or the host is no address of this machine.
    """
    from bokeh.core.validation import silence
    from bokeh.core.validation.warnings import EMPTY_LAYOUT
    from panel.io.application import build_applications

    from phasekit import viz

    # First of all: a port that is taken is told before Panel loads.
    bound, port = _bind(settings.host, settings.port)
    viz.setup(interactive=True)
    silence(EMPTY_LAYOUT, True)  # nothing is open yet
    access = Access(settings.host, origins=settings.origins, needs_token=settings.needs_token)
    loop, folders = IOLoop.current(), {}  # type: ignore[var-annotated]
    with make_parent() as parent:
        make_folder = partial(UploadFolder, parent, settings.most_upload, list_endings())
        applications = build_applications(lambda: _open_session(settings, make_folder, folders), title="phasekit")
        tornado = _CheckedTornado(
            applications,
            access,
            port,
            # Tunnels give the server another port; the check of the origin compares it with the host.
            extra_websocket_origins=[f"{_bracket(name)}:*" for name in access.names],
            extra_patterns=[(r"/upload", _UploadHandler, {"folders": folders})],
            websocket_max_message_size_bytes=_MOST_MESSAGE,
            # A page that lost its connection may come back for 15 s; then its uploads are removed.
            check_unused_sessions_milliseconds=2000,
        )
        http = HTTPServer(tornado, max_body_size=_MOST_BODY)
        http.add_socket(bound)
        server = BaseServer(loop, tornado, http)
        server.start()
        try:
            yield RunningApp(make_address(settings.host, port, access.token), loop, loop.stop)
        finally:
            server.stop()
            # Pages that are still open have no end of their own.
            for folder in folders.values():
                folder.remove()


def serve_until_stopped(app: RunningApp, announce: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; both end the server quietly, from the announcement on."""

    def stop(*_: Any) -> None:
        app.loop.add_callback_from_signal(app.stop)

    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    # Bokeh tells of each page that is opened.
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    app.loop.asyncio_loop.set_exception_handler(_report_unless_closed)  # type: ignore[attr-defined]
    try:
        announce()
        app.loop.start()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _report_unless_closed(loop: Any, context: dict[str, Any]) -> None:
    """Report what nobody caught, but for messages to a page that was closed meanwhile."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _open_session(settings: AppSettings, make_folder: Callable[[], UploadFolder], folders: dict[str, Any]) -> Any:
    """Page of one visitor; nothing in it is shared with another."""
    import panel

    uploads = make_folder()
    folders[uploads.key] = uploads
    session = Session(settings.root, settings.first, uploads)

    def end(_context: Any) -> None:
        folders.pop(uploads.key, None)
        session.end()
        uploads.remove()

    state: Any = panel.state
    state.on_session_destroyed(end)
    return session.build()


def _bind(host: str, port: int | None) -> tuple[socket.socket, int]:
    """Socket on a port; without a wish on the next free one from 5006."""
    # Taken ports are common where several people explore on one machine.
    last = FIRST_PORT + _TRIED_PORTS - 1
    for number in [port] if port is not None else range(FIRST_PORT, last + 1):
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            bound = socket.create_server((host, number), family=family)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise SchemaError(
                    f"app: --host {host!r} is no address of this machine ({error.strerror}). Give one of its own, "
                    "or 0.0.0.0 for all."
                ) from error
            continue
        bound.setblocking(False)
        return bound, int(bound.getsockname()[1])
    wanted = f"port {port} of {host} is" if port is not None else f"ports {FIRST_PORT} to {last} of {host} are"
    raise SchemaError(f"app: {wanted} taken or not allowed. Give another --port, or --port 0 for any that is free.")


def make_address(host: str, port: int, token: str) -> str:
    """Address for the browser, with the token where there is one."""
    name = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(host, host)
    return f"http://{_bracket(name)}:{port}/" + (f"?token={token}" if token else "")


def _bracket(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _read_argument(request: HTTPServerRequest, name: str) -> str:
    return request.query_arguments.get(name, [b""])[-1].decode("utf-8", "replace")
