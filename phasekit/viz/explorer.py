"""One explorer for every workflow: controls, linked views of datasets, and what was chosen in them.

The views are pure functions of the chosen values. They call the library for every number and return pictures.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from phasekit.errors import SchemaError

from .linked.controls import TEXT_STYLE, Choice, Control, Slider, make_help, make_widget, read_start
from .linked.pictures import Picture
from .linked.views import View
from .setup import is_interactive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Choice", "Explorer", "Slider", "View", "read_chosen_value"]
_MOST_PINS = 2
_MOST_PAGES = 6  # displays of one explorer that are kept up to date


class Explorer:
    r"""Linked views, and the values that were chosen with controls and gestures.

    Parameters
    ----------
    controls
        Name of the value -> :class:`Slider` or :class:`Choice`.
    readout
        Function of the values in ``readout_needs``, by name -> the number beside the views, as text.
    views
        Name -> :class:`View`. A view is drawn again when a value that it needs changes.
    thresholds
        Names of the controls that the next step takes; ``None``: all.
    readout_needs
        Names of the values that ``readout`` takes; ``None``: the thresholds.
    parameters
        Name of a value -> name of the notebook's parameter, where that is another one, or the value no threshold. For
        ``"search.blur_px"`` it is an argument in the parameter ``search``, left out where the value is 0.
    given
        The notebook's parameters that no control changes, as the data was made with them.
    start
        Values that gestures set, at the start: a pixel (y, x), a list of pins, an outline or ``None``.

    Attributes
    ----------
    view
        Panel layout with :func:`phasekit.viz.setup` interactive; else the matplotlib figure at the start values.

    See Also
    --------
    phasekit.viz.setup : Says whether views are live.

    Examples
    --------
    >>> import phasekit as pk
    >>> pk.viz.setup(interactive=False)
    >>> slider = Slider("threshold", 0, 1, 0.01, 0.75)
    >>> explorer = Explorer({"threshold": slider}, readout=lambda threshold: f"{threshold}", views={})
    >>> explorer.values, explorer.as_parameters()
    ({'threshold': 0.75}, 'threshold: 0.75\n')
    """

    def __init__(
        self,
        controls: Mapping[str, Control],
        *,
        readout: Callable[..., str],
        views: Mapping[str, View],
        thresholds: Sequence[str] | None = None,
        readout_needs: Sequence[str] | None = None,
        parameters: Mapping[str, str] | None = None,
        given: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.controls: dict[str, Any] = {}
        self._descriptions, self._views = dict(controls), dict(views)
        self._readout = readout
        self._names = tuple(controls if thresholds is None else thresholds)
        self._readout_needs = self._names if readout_needs is None else tuple(readout_needs)
        self._parameters = {name: name for name in self._names} | dict(parameters or {})
        self._given = dict(given or {})
        self._values = {name: read_start(control) for name, control in controls.items()} | dict(start or {})
        self._drawn: dict[str, tuple[dict[str, Any], Picture]] = {}
        # The same explorer may be shown in several cells, each with a page of its own.
        self._pages: list[Any] = []
        self._is_live = is_interactive()
        if self._is_live:
            self._make_controls()
        self._is_shown = self._is_number_due = False
        # Drawn now: a headless run shows what is wrong with the data in this cell.
        self.view: Any = self._open_page() if self._is_live else self.figure()

    @property
    def values(self) -> dict[str, Any]:
        """Everything that was chosen, by name: thresholds, choices, the pixel of the cursor, pins, outlines."""
        return dict(self._values)

    @property
    def thresholds(self) -> dict[str, Any]:
        """The part of the values that the next step takes as arguments."""
        return {name: self._values[name] for name in self._names}

    def as_parameters(self) -> str:
        """Thresholds as YAML, named as the notebook's parameters: papermill runs with what is seen."""
        import yaml

        found: dict[str, Any] = copy.deepcopy(self._given)
        for name, key in self._parameters.items():
            parameter, _, argument = key.partition(".")
            if not argument:
                found[parameter] = self._values[name]
            # A slider at 0 leaves the choice to the function, as does an argument that is not given.
            elif self._values[name]:
                found.setdefault(parameter, {})[argument] = self._values[name]
        return str(yaml.safe_dump(found, sort_keys=False))

    def choose(self, **values: Any) -> None:
        """Set chosen values by name, as the controls and gestures do.

        Raises
        ------
        SchemaError
            There is no such value.
        """
        unknown = sorted(values.keys() - self._values.keys())
        if unknown:
            raise SchemaError(f"choose: there is no value {unknown[0]!r}, needs one of {sorted(self._values)}.")
        for name in values.keys() & self.controls.keys():
            self.controls[name].value = values[name]  # its watcher does the rest
        self._set({name: value for name, value in values.items() if name not in self.controls})

    def draw(self, name: str) -> Picture:
        """Picture of a view at the chosen values; computed once for each set of values."""
        view = self._views[name]
        needed = {key: self._values[key] for key in view.needs}
        drawn = self._drawn.get(name)
        if drawn is None or drawn[0] != needed:
            # Set as a whole: a thread may draw the same view.
            drawn = self._drawn[name] = needed, view.draw(**needed)
        return drawn[1]

    def figure(self) -> "Figure":
        """The same views as a matplotlib figure, at the chosen values."""
        from .linked.static import draw_pictures

        text = self.read_number()
        pictures = {name: self.draw(name) for name in self._views}
        return draw_pictures(pictures, title=text, alt=f"{', '.join(self._views)}; {text}.") if pictures else None  # type: ignore[return-value]

    def read_number(self) -> str:
        """The number beside the views, as text."""
        return self._readout(**{name: self._values[name] for name in self._readout_needs})

    def _make_controls(self) -> None:
        from .linked.live_text import make_text

        self.controls = {name: make_widget(control) for name, control in self._descriptions.items()}
        for name, widget in self.controls.items():
            widget.param.watch(partial(self._on_widget, name), "value")
        # The class lets tests find the number on the page.
        style: dict[str, Any] = {"css_classes": ["pk-readout"], "stylesheets": [TEXT_STYLE], "margin": (0, 10)}
        self.readout = make_text("Markdown", self.read_number(), **style)

    def __panel__(self) -> Any:
        """The view on first use, then a new page each time: figures cannot stand on two pages."""
        if self._is_shown or not self._is_live:
            return self._open_page() if self._is_live else self.view
        self._is_shown = True
        return self.view

    def _open_page(self) -> Any:
        import panel

        from .linked.live_map import Listeners
        from .linked.page import Page

        pn: Any = panel
        listeners = {}
        for name, view in self._views.items():
            cursor = partial(self._on_cursor, view.cursor) if view.cursor else None
            pin = partial(self._on_pin, view.pins) if view.pins else None
            outline = partial(self._on_outline, view.outline) if view.outline else None
            listeners[name] = Listeners(cursor, pin, outline)
        page = Page(self._views, self.draw, listeners)
        for name, view in self._views.items():
            if view.cursor:
                page.live[name].move_cursor(self._values[view.cursor])
        # Old displays of a cell that ran often are left alone.
        self._pages = [*self._pages, page][-_MOST_PAGES:]
        parts = [
            pn.Column(widget, make_help(self._descriptions[name])) if self._descriptions[name].help else widget
            for name, widget in self.controls.items()
        ]
        return page.build(parts[0] if len(parts) == 1 else pn.FlexBox(*parts), self.readout)

    def _on_widget(self, name: str, event: Any) -> None:
        self._set({name: event.new})

    def _on_cursor(self, name: str, pixel: tuple[int, int]) -> None:
        self._set({name: pixel})

    def _on_pin(self, name: str, pixel: tuple[int, int]) -> None:
        others = [pin for pin in self._values[name] if pin != pixel]
        # A pin that is clicked again goes; a third one replaces the oldest.
        is_new = len(others) == len(self._values[name])
        self._set({name: [*others, pixel][-_MOST_PINS:] if is_new else others})

    def _on_outline(self, name: str, outline: dict[str, list[float]] | None) -> None:
        self._set({name: outline})

    def _set(self, values: dict[str, Any]) -> None:
        """Take new values and draw what needs them, on every page."""
        changed = {name for name, value in values.items() if self._values[name] != value}
        self._values.update(values)
        stale = [name for name, view in self._views.items() if changed & set(view.needs)]
        for page in self._pages:
            self._refresh(page, stale, changed)

    def _refresh(self, page: Any, stale: list[str], changed: set[str]) -> None:
        from .linked.turns import run_in, run_later

        def show() -> None:
            page.refresh(stale, changed)
            page.acknowledge({name: self._values[view.cursor] for name, view in self._views.items() if view.cursor})
            # Of the whole scan, not of the screen: the views do not wait for it. One run serves several steps.
            if changed & set(self._readout_needs) and not self._is_number_due:
                self._is_number_due = True
                run_later(page.document, self._show_number)

        run_in(page.document, show)

    def _show_number(self) -> None:
        self._is_number_due = False
        self.readout.object = self.read_number()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.__panel__())  # type: ignore[no-untyped-call]


def read_chosen_value(view: Any, name: str, otherwise: float, *, function: str) -> float:
    """Return the value for the old ``chosen_...`` functions, with a warning that names the replacement."""
    # The warning points at the caller's cell: this function, the old function, the cell.
    warnings.warn(
        f"{function}: an explorer's choice is now explorer.values[{name!r}]; this function is deprecated and will be "
        "removed.",
        FutureWarning,
        stacklevel=3,
    )
    return float(view.values[name]) if isinstance(view, Explorer) else float(otherwise)
