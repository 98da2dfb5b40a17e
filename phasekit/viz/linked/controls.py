"""Controls of an explorer: sliders and choices, each with one sentence that says in numbers what it does."""

from collections.abc import Sequence
from typing import Any, NamedTuple

#: Colour of text as the notebook or the page has it, on light and on dark paper.
TEXT_STYLE = (
    ":host { color: var(--jp-content-font-color1, var(--panel-on-background-color, inherit)); } "
    # The chosen word lies on the page, and the list that opens has white paper of its own.
    "select.bk-input { background-color: transparent; color: inherit; } option { background: white; color: black; }"
)
#: Ring around what has the focus of the keyboard. Its contrast is 4 on white and on near-black paper.
FOCUS_RING = "outline: 2px solid #2F7FD6 !important; outline-offset: 2px !important;"
_FOCUS_STYLE = f":focus-visible {{ {FOCUS_RING} }}"


class Slider(NamedTuple):
    """One threshold of an explorer."""

    label: str
    start: float
    end: float
    step: float
    value: float  # at the start
    decimals: int = 2  # shown beside the slider
    help: str = ""  # what it does, in numbers
    is_whole: bool = False  # the value is a whole number


class Choice(NamedTuple):
    """One of several words."""

    label: str
    options: Sequence[str]
    value: str  # at the start
    help: str = ""


Control = Slider | Choice


def read_start(control: Control) -> Any:
    """Value of a control before anybody moved it."""
    if isinstance(control, Choice):
        return control.value
    return int(control.value) if control.is_whole else float(control.value)


def make_widget(control: Control) -> Any:
    """Panel widget of a control; a fixed number of decimals keeps the width of the text beside a slider."""
    import panel

    widgets: Any = panel.widgets  # only partly typed
    if isinstance(control, Choice):
        widget = widgets.Select(
            label=control.label, options=list(control.options), value=control.value, width=_find_width(control)
        )
    else:
        text = "0" if control.decimals == 0 else "0." + "0" * control.decimals
        limits = {"start": control.start, "end": control.end, "step": control.step, "value": control.value}
        kind = widgets.IntSlider if control.is_whole else widgets.FloatSlider
        widget = kind(label=control.label, format=text, width=_find_width(control), **limits)
    widget.stylesheets = [TEXT_STYLE, _FOCUS_STYLE]
    # Panel waits 50 ms for further events; the views draw fast enough to do without.
    widget._debounce = 0
    return widget


def make_help(control: Control) -> Any:
    """The sentence below a control."""
    import panel

    pane: Any = panel.pane
    text = f'<span style="font-size:12px;opacity:0.75">{control.help}</span>'
    return pane.HTML(text, width=_find_width(control), margin=(0, 10), stylesheets=[TEXT_STYLE])


def _find_width(control: Control) -> int:
    """Width on the screen [px]; choices between short words are narrow."""
    if isinstance(control, Slider):
        return 270
    return 190 if max(map(len, control.options)) > 5 else 90
