"""The page of one visitor: what is open, the folder browser, the upload, and errors in words."""

import asyncio
import logging
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from phasekit.errors import PhasekitError, ReadError

from .browser import FolderBrowser
from .data_root import DataRoot
from .page_style import BOX_STYLE, PAGE_TEMPLATE, write_box
from .sources import READERS, Source, Wish, open_source
from .upload_button import make_upload_button
from .uploads import UploadFolder

_LOG = logging.getLogger(__name__)


class Session:
    """One page. Everything that it holds belongs to this visitor alone."""

    def __init__(self, root: DataRoot, first: str, uploads: UploadFolder) -> None:
        self._root, self._uploads = root, uploads
        self._wish: tuple[DataRoot, Wish] | None = None
        self._source: Source | None = None
        self._number = 0  # of the wishes, so that a slow one does not replace a later one
        self._first = _read_query("file") or first
        self._make_widgets()

    def build(self) -> Any:
        """Layout of the page."""
        import panel

        pn: Any = panel
        pn.state.curdoc.template = PAGE_TEMPLATE
        upload = make_upload_button(self._uploads, self._take_upload)
        reader = pn.Row(self._reader, self._arguments)
        card = pn.Card(
            pn.FlexBox(self._browser.layout, pn.Column(upload, reader)),
            title="Open a file",
            collapsed=bool(self._first),
            css_classes=["pk-open"],
            sizing_mode="stretch_width",
            margin=(5, 10),
        )
        self._card = card
        if self._first:
            pn.state.onload(partial(self._open_text, self._first))
        # The header is plain HTML: it is read at once, before any script has run.
        return pn.Column(
            self._head, card, self._message, self._notes, self._more, self._body, sizing_mode="stretch_width"
        )

    def end(self) -> None:
        """Close what is open, and what is still being read."""
        self._number += 1
        self._close()

    def _close(self) -> None:
        """Close the files of what is open."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _make_widgets(self) -> None:
        import panel

        pn: Any = panel
        widgets: Any = pn.widgets
        self._browser = FolderBrowser(self._root, self._open_text)
        self._reader = widgets.Select(label="read a raw file as", options=list(READERS), width=190)
        self._arguments = widgets.TextInput(
            label="arguments of the reader, as JSON", placeholder='{"scan_shape": [64, 64]}', width=300
        )
        # A new argument is tried at once on the file that asked for it.
        for widget in (self._reader, self._arguments):
            widget.param.watch(self._open_again, "value")
        style: dict[str, Any] = {"stylesheets": [BOX_STYLE], "margin": (0, 10), "sizing_mode": "stretch_width"}
        self._head = pn.pane.HTML(write_box("head", "phasekit", self._root.folder), **style)
        self._message = pn.pane.HTML("", css_classes=["pk-message"], visible=False, **style)
        self._notes = pn.pane.HTML("", css_classes=["pk-notes"], visible=False, **style)
        self._more = widgets.Button(label="", visible=False, margin=(5, 10))
        self._more.on_click(self._open_full)
        self._body = pn.Column(css_classes=["pk-body"], sizing_mode="stretch_width")

    async def _open_text(self, text: str) -> None:
        """Open what a person chose or typed, below the root."""
        try:
            path = self._root.find(text)
        except PhasekitError as error:
            self._show_error(error)
            return
        await self._open(self._root, path)

    async def _take_upload(self, name: str) -> None:
        """Open a file that was sent."""
        try:
            path = self._uploads.root.find(name)
        except PhasekitError as error:
            self._show_error(error)
            return
        await self._open(self._uploads.root, path)

    async def _open(self, root: DataRoot, path: Path) -> None:
        # The choices of the reader hold for raw files only; `open_source` leaves them out for results.
        wish = Wish(path, self._reader.value, self._arguments.value or "")
        await self._carry_out(root, wish)

    async def _open_again(self, _event: Any) -> None:
        if self._wish is not None:
            root, wish = self._wish
            await self._open(root, wish.path)

    async def _open_full(self, _event: Any) -> None:
        if self._wish is not None:
            root, wish = self._wish
            await self._carry_out(root, wish._replace(is_full=True))

    async def _carry_out(self, root: DataRoot, wish: Wish) -> None:
        """Read in a thread, so that other visitors are served; then show, or say what was wrong."""
        self._number += 1
        number, self._wish = self._number, (root, wish)
        text = (
            " The first time after an installation code is compiled, which takes minutes." if wish.path.is_dir() else ""
        )
        self._show("busy", f"reading {wish.path.name} ...{text}")
        try:
            source = await asyncio.to_thread(open_source, wish, root)
        except Exception as error:
            if number == self._number:
                self._show_error(error)
            return
        if number != self._number:  # another file was chosen meanwhile
            source.close()
            return
        self._show_source(source, root, wish)

    def _show_source(self, source: Source, root: DataRoot, wish: Wish) -> None:
        # Here and not in the thread: Bokeh's models belong to the page.
        try:
            explorer = source.build()
            layout = explorer.__panel__()
        except Exception as error:
            source.close()
            self._show_error(error)
            return
        # Only now: an error above leaves what was open before.
        self._close()
        self._source = source
        self._body[:] = [layout]
        self._message.visible = False
        self._notes.object = "".join(write_box("note", note) for note in source.notes)
        self._notes.visible = bool(source.notes)
        self._more.visible, self._more.label = bool(source.more), source.more
        self._card.collapsed = True
        self._tell_place(root, wish, source.title)

    def _tell_place(self, root: DataRoot, wish: Wish, title: str) -> None:
        """Header and address name what is open; an upload has no address, as no one else can see it."""
        import panel

        location: Any = panel.state.location
        is_upload = root is self._uploads.root
        place = f"upload: {wish.path.name}" if is_upload else root.name(wish.path) or str(root.folder)
        self._head.object = write_box("head", "phasekit", title, place)
        if location is not None:
            # The theme stays when another file is opened.
            kept = {key: value for key, value in (location.query_params or {}).items() if key != "file"}
            file = {} if is_upload else {"file": root.name(wish.path) or "."}
            location.search = f"?{urlencode(kept | file)}" if kept or file else ""

    def _show_error(self, error: BaseException) -> None:
        """Show an error; the page and the server go on."""
        if not isinstance(error, PhasekitError):
            # Not ours: the terminal has the traceback, the page what happened.
            _LOG.error("phasekit app: a file could not be shown", exc_info=error)
            error = ReadError(
                "this file", found=f"{type(error).__name__}: {error}", cure="see the terminal, and report it as a fault"
            )
        # The folder of an upload means nothing to its sender.
        self._show("error", str(error).replace(f"{self._uploads.folder}/", ""))
        self._card.collapsed = False

    def _show(self, kind: str, text: str) -> None:
        self._message.object = write_box(kind, text)
        self._message.visible = True


def _read_query(name: str) -> str:
    """Argument of the address of this page."""
    import panel

    arguments: Any = panel.state.session_args
    return arguments.get(name, [b""])[-1].decode("utf-8", "replace")
