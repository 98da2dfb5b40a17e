"""What the live views share: a map of classes under a slider, its key in words, and the number beside it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .style import BACKGROUND_GREY


class Classes(NamedTuple):
    """What is mapped, its map (scan_y, scan_x) of places in ``names`` (-1: background), and the colour of each name."""

    kind: str
    label: xr.DataArray
    names: Sequence[str]
    colours: Sequence[str]


def live_map(sliders: Sequence[Any], classes: Callable[..., Classes], text: Callable[..., str]) -> Any:
    """Sliders, readout (css class ``pk-readout``), map and key in a column; the functions take the sliders' values."""
    import holoviews as hv
    import panel

    pn: Any = panel  # only partly typed
    readout = pn.pane.Markdown(pn.bind(text, *sliders), css_classes=["pk-readout"])
    picture = hv.DynamicMap(pn.bind(lambda *values: _image(classes(*values)), *sliders))
    key = pn.pane.HTML(_key(classes(*(slider.value for slider in sliders))))
    controls = sliders[0] if len(sliders) == 1 else pn.Row(*sliders)
    return pn.Column(controls, readout, pn.pane.HoloViews(picture), key)


def slider_value(view: Any, label: str, otherwise: float) -> float:
    """Value of the slider of that label in a live view, as a plain number; ``otherwise`` where there is none."""
    widgets = view.select() if hasattr(view, "select") else []
    values = [widget.value for widget in widgets if getattr(widget, "label", "") == label]
    return float(values[0]) if values else float(otherwise)


def _image(classes: Classes) -> Any:
    import holoviews as hv

    x, y = (np.asarray(classes.label[dim], dtype=float) for dim in ("scan_x", "scan_y"))
    axes = [("scan_x", "x (nm)"), ("scan_y", "y (nm)")]
    drawn = hv.Image((x, y, np.asarray(classes.label, dtype=float)), kdims=axes, vdims=[classes.kind])
    look = {"cmap": [BACKGROUND_GREY, *classes.colours], "clim": (-1.5, len(classes.names) - 0.5)}
    return drawn.opts(hv.opts.Image(**look, invert_yaxis=True, data_aspect=1, frame_width=420, tools=["hover"]))


def _key(classes: Classes) -> str:
    """Colour key as HTML, in words beside the colours."""
    entries = zip([*classes.names, "background"], [*classes.colours, BACKGROUND_GREY], strict=True)
    square = '<span style="display:inline-block;width:0.9em;height:0.9em;background:{colour}"></span> {name}'
    return " &nbsp; ".join(square.format(colour=colour, name=name) for name, colour in entries)
