"""The live page of an explorer: controls above, the number, and the views side by side."""

from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from time import perf_counter
from typing import Any

from ..style import BACKGROUND_GREY
from .busy import BusySign
from .controls import TEXT_STYLE
from .live_map import LiveMap
from .live_plot import LivePlot
from .live_text import make_text
from .pictures import MapPicture, Picture, PlotPicture
from .turns import BackgroundTask, run_later
from .views import View

_SLOW_SECONDS = 0.2
_SIGNS = {"circle": "&#9675;", "x": "&#10005;", "square": "&#9633;", "cross": "+", "diamond": "&#9671;"}


class Page:
    """One display of an explorer. Several may be open at once, each with its own figures."""

    def __init__(self, views: Mapping[str, View], draw: Callable[[str], Picture], listeners: Mapping[str, Any]) -> None:
        self._views, self._draw = views, draw
        self._late: set[str] = set()
        self._cost: dict[str, float] = {}  # seconds that the last picture of a view took
        self.live: dict[str, Any] = {}
        self._keys: dict[str, Any] = {}
        for name, view in views.items():
            picture = draw(name)
            if view.grid is not None and isinstance(picture, MapPicture):
                self.live[name] = LiveMap(name, picture, view.grid, listeners[name], view.width)
            else:
                self.live[name] = LivePlot(name, picture, view.height)  # type: ignore[arg-type]
        self._background = {
            name: BackgroundTask(partial(draw, name), partial(self._tell, name))
            for name, view in views.items()
            if view.background
        }
        self.layout: Any = None

    def build(self, controls: Any, readout: Any) -> Any:
        """Panel layout with the controls and the readout above the views."""
        import panel

        pn: Any = panel  # only partly typed
        # Inside one row each view keeps its key below itself.
        self._busy = make_text("HTML", "", css_classes=["pk-busy"], stylesheets=[TEXT_STYLE], height=18, margin=(0, 10))
        maps = [self._build_view(name) for name, live in self.live.items() if isinstance(live, LiveMap)]
        plots = [self._build_view(name) for name, live in self.live.items() if isinstance(live, LivePlot)]
        # Maps side by side, then all plots in one column, so that cursor and spectrum are seen together.
        columns = [*maps, *([pn.Column(*plots)] if plots else [])]
        body = columns[0] if len(columns) == 1 else pn.FlexBox(*columns, gap="4px")
        hint = pn.pane.HTML(_describe_gestures(self._views), stylesheets=[TEXT_STYLE], margin=(0, 10))
        self._sign = BusySign(next(iter(self.live.values())).figure) if self.live else None
        signs = [] if self._sign is None else [self._sign.view]
        self.layout = pn.Column(controls, pn.Row(readout, self._busy, *signs), *([hint] if hint.object else []), body)
        return self.layout

    def _build_view(self, name: str) -> Any:
        import panel

        pn: Any = panel
        pane = pn.pane.Bokeh(self.live[name].figure)
        width = 60 + self._views[name].width if isinstance(self.live[name], LiveMap) else 385
        style: dict[str, Any] = {"css_classes": ["pk-key"], "stylesheets": [TEXT_STYLE]}
        self._keys[name] = make_text("HTML", make_key(self._draw(name)), width=width, margin=(0, 10), **style)
        return pn.Column(pane, self._keys[name])

    @property
    def document(self) -> Any:
        """Document that holds the figures; ``None`` before they are shown."""
        return next(iter(self.live.values())).figure.document

    def refresh(self, names: Iterable[str], changed: Set[str] = frozenset()) -> None:
        """Draw the named views again, for which the values ``changed`` have changed.

        Slow ones follow after the others stand on the screen, and some are computed in threads of their own.
        """
        names = list(names)
        for name in names:
            if name in self._background and changed & set(self._views[name].background):
                self._background[name].request(self.document)
        # What a thread computes is drawn once it ends, with the values of then.
        names = [name for name in names if name not in self._background or not self._background[name].is_busy]
        slow = [name for name in names if self._views[name].is_slow or self._cost.get(name, 0.0) > _SLOW_SECONDS]
        self._show([name for name in names if name not in slow])
        is_first = bool(slow) and not self._late
        # A drawing that waits already takes the new names along.
        self._late.update(slow)
        if is_first:
            self._busy.object = "computing ..."
        if self._sign is not None:
            self._sign.answer()
        self._push()
        if is_first:
            run_later(self.document, self._show_late)

    def _show_late(self) -> None:
        names, self._late = sorted(self._late), set()
        self._show(names)
        self._say_busy()
        self._push()

    def _tell(self, name: str, has_answer: bool) -> None:
        """A thread has begun to compute a view, or has ended with or without an answer."""
        if has_answer:
            self._show([name])
        self._say_busy()
        self._push()

    def _say_busy(self) -> None:
        names = [name.replace("_", " ") for name, task in self._background.items() if task.is_busy]
        text = f"computing {', '.join(names)} ..." if names else ""
        if self._busy.object != text:
            self._busy.object = text

    def _show(self, names: Iterable[str]) -> None:
        for name in names:
            start = perf_counter()
            picture = self._draw(name)
            # What was slow gets a busy sign the next time, and the other views are sent before it.
            self._cost[name] = perf_counter() - start
            self.live[name].show(picture)
            key = make_key(picture)
            # Each assignment is sent to the browser, so an equal key is left as it is.
            if name in self._keys and self._keys[name].object != key:
                self._keys[name].object = key

    def acknowledge(self, cursors: Mapping[str, tuple[int, int]]) -> None:
        """Put the cursors where they are in the values, and tell the browser that all is drawn."""
        for name, pixel in cursors.items():
            self.live[name].move_cursor(pixel)
            self.live[name].acknowledge()
        self._push()

    def _push(self) -> None:
        """Send the changes in a notebook; a server sends them itself."""
        if self.layout is None or self.document is None or self.document.session_context is not None:
            return
        from panel.io import push_notebook

        push_notebook(self.layout)


def _describe_gestures(views: Mapping[str, View]) -> str:
    """What mouse and keys do, in one line; empty without gestures."""
    texts = []
    if any(view.cursor for view in views.values()):
        texts.append("mouse or arrow keys: move the cursor (Shift: 10 pixels)")
    if any(view.pins for view in views.values()):
        texts.append("click or Enter: pin, at most two")
    outlines = {name: view.outline.replace("_", " ") for name, view in views.items() if view.outline}
    texts += [f"drag on the {name}: {outline}" for name, outline in outlines.items()]
    texts += ["double click: remove what was drawn"] if outlines else []
    return f'<span style="font-size:12px;opacity:0.75">{"; ".join(texts)}</span>' if texts else ""


def make_key(picture: Picture) -> str:
    """Names of the classes of a map, or of the lines of a plot, beside their colours, as HTML; empty without any."""
    dots = [
        f'<span style="color:{group.colour};background:#4448">{_SIGNS[group.marker]}</span> {escape(group.name)}'
        for group in picture.marks
        if group.name
    ]
    if isinstance(picture, PlotPicture):
        dashes = {"solid": "", "dashed": "5,3", "dotted": "1.5,2", "dotdash": "5,2,1,2"}
        lines = [
            f'<svg width="26" height="10"><line x1="0" y1="5" x2="26" y2="5" stroke="{line.colour}" '
            f'stroke-width="{line.width + 0.5}" stroke-dasharray="{dashes[line.dash]}"/></svg> {escape(line.name)}'
            for line in picture.lines
            if line.name
        ]
        return _join_entries([*lines, *dots])
    if not picture.names:
        return picture.key + _join_entries(dots)
    shown = range(len(picture.names)) if picture.shown is None else picture.shown
    names = [*(picture.names[i] for i in shown), picture.background]
    colours = [*(picture.colours[i % len(picture.colours)] for i in shown), BACKGROUND_GREY]
    square = (
        '<span style="display:inline-block;width:0.9em;height:0.9em;border:1px solid currentColor;'
        'background:{colour}"></span> {name}'
    )
    return picture.key + _join_entries(
        [square.format(colour=colour, name=escape(name)) for name, colour in zip(names, colours, strict=True)]
    )


def _join_entries(entries: list[str]) -> str:
    span = '<span style="white-space:nowrap;margin-right:0.9em">{}</span>'
    return " ".join(span.format(entry) for entry in entries)


def escape(text: str) -> str:
    """Text that HTML shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
