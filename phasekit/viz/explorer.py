"""Explorers: sliders, and a number and a map that follow them.

The chosen values are read by the next cell of the notebook.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .setup import is_interactive
from .style import BACKGROUND_GREY


class Slider(NamedTuple):
    """One threshold of an explorer."""

    label: str
    start: float
    end: float
    step: float
    value: float  # at the start
    decimals: int = 2  # shown beside the slider


class Classes(NamedTuple):
    """A map of classes with the name and colour of each class."""

    kind: str  # what is mapped: "phase", "component"
    label: xr.DataArray  # (scan_y, scan_x): index into ``names``, -1: background
    names: Sequence[str]
    colours: Sequence[str]


class Explorer:
    """A view whose thresholds can be moved, and the values that were chosen.

    Parameters
    ----------
    sliders
        Name of the threshold -> :class:`Slider`. The names are those of the step that uses the threshold next.
    readout
        Function of all thresholds, by name -> the number beside the map, as text.
    picture
        Function of all thresholds, by name -> HoloViews element. It is drawn again when a slider moves.
    figure
        Function of all thresholds, by name -> the same view as a matplotlib figure, for runs without a screen.
    key
        HTML below the map.

    Attributes
    ----------
    view
        ``panel.Column`` with :func:`phasekit.viz.setup` interactive; else the matplotlib figure at the start values.

    See Also
    --------
    phasekit.viz.setup : Says whether views are live.

    Examples
    --------
    >>> import phasekit as pk
    >>> pk.viz.setup(interactive=False)
    >>> sliders = {"threshold": Slider("threshold", 0, 1, 0.01, 0.75)}
    >>> explorer = Explorer(sliders, readout=str, picture=None, figure=lambda threshold: f"a figure at {threshold}")
    >>> explorer.values, explorer.view
    ({'threshold': 0.75}, 'a figure at 0.75')
    """

    def __init__(
        self,
        sliders: Mapping[str, Slider],
        *,
        readout: Callable[..., str],
        picture: Callable[..., Any] | None,
        figure: Callable[..., Any],
        key: str = "",
    ) -> None:
        self._start = {name: float(slider.value) for name, slider in sliders.items()}
        self._widgets: dict[str, Any] = {}
        if is_interactive():
            self._widgets = {name: _make_widget(slider) for name, slider in sliders.items()}
            self.view: Any = self._build_view(readout, picture, key)
        else:
            self.view = figure(**self._start)

    @property
    def values(self) -> dict[str, float]:
        """Chosen thresholds by name, as plain numbers; the start values in a run without a screen."""
        return {name: float(widget.value) for name, widget in self._widgets.items()} or dict(self._start)

    def _build_view(self, readout: Callable[..., str], picture: Callable[..., Any] | None, key: str) -> Any:
        import holoviews as hv
        import panel

        pn: Any = panel  # only partly typed
        # `bind` connects functions and sliders in the kernel; the class lets tests find the number on the page.
        text = pn.pane.Markdown(pn.bind(readout, **self._widgets), css_classes=["pk-readout"])
        image = pn.pane.HoloViews(hv.DynamicMap(pn.bind(picture, **self._widgets)))
        widgets = list(self._widgets.values())
        controls = widgets[0] if len(widgets) == 1 else pn.Row(*widgets)
        return pn.Column(controls, text, image, *([pn.pane.HTML(key)] if key else []))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.view)  # type: ignore[no-untyped-call]

    def __panel__(self) -> Any:
        """The view, for use inside a Panel layout."""
        return self.view


def _make_widget(slider: Slider) -> Any:
    """Panel slider with a fixed number of decimals, so that the text beside it keeps its width."""
    import panel

    widgets: Any = panel.widgets  # only partly typed
    text = "0" if slider.decimals == 0 else "0." + "0" * slider.decimals
    limits = {"start": slider.start, "end": slider.end, "step": slider.step, "value": slider.value}
    return widgets.FloatSlider(label=slider.label, format=text, **limits)


def read_chosen_value(view: Any, name: str, otherwise: float, *, function: str) -> float:
    """Return the value for the old ``chosen_...`` functions, with a warning that names the replacement."""
    # The warning points at the caller's cell: this function, the old function, the cell.
    warnings.warn(
        f"{function}: an explorer's choice is now explorer.values[{name!r}]; this function is deprecated and will be "
        "removed.",
        FutureWarning,
        stacklevel=3,
    )
    return view.values[name] if isinstance(view, Explorer) else float(otherwise)


def draw_classes(classes: Classes) -> Any:
    """Draw a map of classes as a HoloViews image, with equal scales on both axes."""
    import holoviews as hv

    x, y = (np.asarray(classes.label[dim], dtype=float) for dim in ("scan_x", "scan_y"))
    axes = [("scan_x", "x (nm)"), ("scan_y", "y (nm)")]
    element = hv.Image((x, y, np.asarray(classes.label, dtype=float)), kdims=axes, vdims=[classes.kind])
    # Limits half a class beyond the first and last: each class, background included, gets exactly one colour.
    colours = {"cmap": [BACKGROUND_GREY, *classes.colours], "clim": (-1.5, len(classes.names) - 0.5)}
    return element.opts(hv.opts.Image(**colours, invert_yaxis=True, data_aspect=1, frame_width=420, tools=["hover"]))


def make_colour_key(names: Sequence[str], colours: Sequence[str]) -> str:
    """Make a colour key as HTML, with the name of each class beside its colour."""
    entries = zip([*names, "background"], [*colours, BACKGROUND_GREY], strict=True)
    square = '<span style="display:inline-block;width:0.9em;height:0.9em;background:{colour}"></span> {name}'
    return " &nbsp; ".join(square.format(colour=colour, name=name) for name, colour in entries)
