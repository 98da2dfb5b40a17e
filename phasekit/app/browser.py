"""The folder browser of the page: one list, a path to type, and a button."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from phasekit.errors import PhasekitError

from .data_root import DataRoot
from .page_style import BOX_STYLE, write_box

_UP = ".. (up)"


class FolderBrowser:
    """Lists a folder below the root; ``open_text`` is told the path of what was chosen."""

    def __init__(self, root: DataRoot, open_text: Callable[[str], Awaitable[None]]) -> None:
        import panel

        pn: Any = panel
        self._root, self._open_text, self._folder = root, open_text, root.folder
        self._folders: set[str] = set()
        self._list = pn.widgets.MultiSelect(label="", size=9, width=430, css_classes=["pk-list"])
        self._list.on_double_click(self._on_choice)
        self._path = pn.widgets.TextInput(label="path below the data root", width=330, css_classes=["pk-path"])
        self._path.param.watch(self._on_path, "value")
        self._button = pn.widgets.Button(label="open", width=80, align="end")
        self._button.on_click(self._on_choice)
        self._left_out = pn.pane.HTML("", stylesheets=[BOX_STYLE], margin=(0, 10))
        self.layout = pn.Column(pn.Row(self._path, self._button), self._list, self._left_out)
        self._show_folder(root.folder)

    def _show_folder(self, folder: Path) -> None:
        try:
            entries, left_out = self._root.list_entries(folder)
        except OSError as error:
            self._left_out.object = write_box("error", f"{self._root.name(folder)}: {error.strerror}")
            return
        self._folder = folder
        up = {} if folder == self._root.folder else {_UP: _UP}
        # A run is a folder that is opened like a file.
        self._folders = {entry.name for entry in entries if entry.is_folder and not entry.text.endswith("run")}
        self._list.options = up | {entry.text: entry.name for entry in entries}
        self._list.value = []
        self._list.label = f"{self._root.name(folder) or 'data root'} (double click or 'open')"
        text = f"{left_out} more are not listed; type their path." if left_out else ""
        text = text or ("" if entries else "This folder is empty.")
        self._left_out.object = write_box("note", text) if text else ""

    async def _on_choice(self, _event: Any) -> None:
        """Go into a folder, or open a file."""
        # The button serves the list and the field of the path.
        if not self._list.value:
            await self._open(self._path.value)
            return
        name = self._list.value[0]
        if name == _UP:
            self._show_folder(self._folder.parent)
        elif name in self._folders:
            await self._open(self._root.name(self._folder / name))
        else:
            await self._open_text(self._root.name(self._folder / name))

    async def _on_path(self, event: Any) -> None:
        await self._open(event.new)

    async def _open(self, text: str) -> None:
        """Show a folder, open anything else."""
        text = text.strip()
        if not text:
            return
        try:
            path = self._root.find(text)
        except PhasekitError:
            await self._open_text(text)  # says what is wrong with it
            return
        # A run opens as a whole; other folders are shown.
        if path.is_dir() and not (path / "run.json").exists() and not (path / "result.nc").exists():
            self._show_folder(path)
        else:
            await self._open_text(text)
