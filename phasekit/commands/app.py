"""``phasekit app``: the explorers in a browser."""

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import SchemaError

#: For `phasekit app --help`. The tests paste the example.
_EXAMPLE = """\
an example that can be pasted (it makes its own data; Ctrl-C ends it):
  phasekit samples make nmf_grains --out try
  phasekit app try/nmf_grains.nc

FILE is a run folder, a result (result.nc, .zarr), an image stack or a 4D-STEM scan. The page also browses --root, and
takes uploads. Nothing outside --root is read, and nothing is asked of the network.
Bound to this machine, the page needs no token. With --host of another address it does: open the printed address.
From another computer, a tunnel is safer than --host:  ssh -L 5006:localhost:5006 USER@MACHINE
"""


def add_app(commands: Any) -> None:
    """Add the command ``app`` and its options."""
    app = commands.add_parser(
        "app",
        help="explore a result or a raw file in the browser",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    app.add_argument("file", nargs="?", metavar="FILE", help="what is opened first")
    app.add_argument("--root", metavar="FOLDER", help="only files below it are read (default: folder of FILE, else .)")
    app.add_argument("--max-upload", default="200MB", metavar="SIZE", help="limit of an upload (default: 200MB)")
    app.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1, this machine only)")
    app.add_argument("--port", type=_read_port, help="port (default: the next free one from 5006; 0: any)")
    app.add_argument("--token", action="store_true", help="ask for a token on this machine, too: for shared computers")
    app.add_argument(
        "--origin", action="append", default=[], metavar="NAME", help="another name of this server, as of a proxy"
    )
    app.add_argument("--no-browser", action="store_true", help="print the address only")
    app.set_defaults(function=_run_app)


def _run_app(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from ..app.data_root import DataRoot
    from ..batch.manifest.limits import MEMORY_FORM, parse_memory

    file = None if options.file is None else Path(os.path.realpath(options.file))
    root = DataRoot(options.root or _choose_root(file))
    if file is not None:
        root.find(str(file))  # refused here and not in the page
    try:
        most = parse_memory(options.max_upload)
    except ValueError as error:
        raise SchemaError(f"app: --max-upload {options.max_upload!r}, {MEMORY_FORM}.") from error
    # Imported late: Panel takes a second, and a wrong argument should be told at once.
    from ..app.server import AppSettings, serve_until_stopped, start_app

    settings = AppSettings(
        root,
        "" if file is None else root.name(file) or ".",
        options.host,
        options.port,
        tuple(options.origin),
        options.token,
        most,
    )
    with start_app(settings) as app:

        def announce() -> None:
            # Flushed, so that the address is seen at once where the output goes to a file or a pipe.
            print(f"phasekit app: files below {root.folder}\n{app.address}\nCtrl-C ends it.", flush=True)
            if not options.no_browser:
                _open_browser(app.address)

        serve_until_stopped(app, announce)
    return 0


def _choose_root(file: Path | None) -> Path:
    """The folder of the file, or the run folder's own; else the current directory."""
    if file is None:
        return Path.cwd()
    # A run is browsed together with its neighbours.
    return file.parent


def _open_browser(address: str) -> None:
    """Open the address where there is a screen: in a plain terminal Python would start a text browser."""
    import sys
    import webbrowser

    has_screen = sys.platform in ("win32", "darwin") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    if has_screen:
        webbrowser.open(address)


def _read_port(text: str) -> int:
    """Port from 0 to 65535; argparse prints the message."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to 65535")
    return int(text)
