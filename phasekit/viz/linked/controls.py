"""Controls of an explorer: sliders and choices, each with one sentence that says in numbers what it does."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Slider(NamedTuple):
    """One threshold of an explorer."""

    label: str
    start: float
    end: float
    step: float
    value: float  # at the start
    decimals: int = 2  # shown beside the slider
    help: str = ""  # what it does, in numbers


class Choice(NamedTuple):
    """One of several words."""

    label: str
    options: Sequence[str]
    value: str  # at the start
    help: str = ""


Control = Slider | Choice


def read_start(control: Control) -> Any:
    """Value of a control before anybody moved it."""
    return control.value if isinstance(control, Choice) else float(control.value)


def make_widget(control: Control) -> Any:
    """Panel widget of a control; a slider has a fixed number of decimals, so that the text beside it keeps its width."""
    import panel

    widgets: Any = panel.widgets  # only partly typed
    if isinstance(control, Choice):
        widget = widgets.Select(label=control.label, options=list(control.options), value=control.value, width=190)
    else:
        text = "0" if control.decimals == 0 else "0." + "0" * control.decimals
        limits = {"start": control.start, "end": control.end, "step": control.step, "value": control.value}
        widget = widgets.FloatSlider(label=control.label, format=text, width=270, **limits)
    # Panel waits 50 ms for further events; the views draw fast enough to do without.
    widget._debounce = 0
    return widget


def make_help(control: Control) -> Any:
    """The sentence below a control."""
    import panel

    pane: Any = panel.pane
    text = f'<span style="font-size:12px;opacity:0.75">{control.help}</span>'
    return pane.HTML(text, width=270 if isinstance(control, Slider) else 190, margin=(0, 10))
