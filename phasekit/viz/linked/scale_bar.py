"""The scale bar of a live map: a round length that stays right when the map is zoomed."""

from typing import Any

#: Unit of a coordinate -> as Bokeh writes it.
_LENGTHS = {"nm": "nm", "um": "µm", "µm": "µm", "μm": "µm", "pm": "pm", "mm": "mm", "m": "m"}
_STEPS: list[float] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]


def add_scale_bar(plot: Any, unit: str) -> None:
    """Add a bar of at most 30 % of the width at the lower left; none where the unit is no length."""
    if unit not in _LENGTHS:
        return
    from bokeh.models.annotations import ScaleBar
    from bokeh.models.annotations.dimensional import Metric

    # Black on white, as in the figures: readable on every colour map.
    style: dict[str, Any] = {"bar_line_color": "black", "label_text_color": "black", "border_line_alpha": 0}
    style |= {"background_fill_color": "white", "background_fill_alpha": 0.7, "bar_line_width": 3}
    style |= {"label_text_font_size": "12px", "padding": 4, "margin": 6, "label_standoff": 3}
    length = Metric(base_unit="m", ticks=_STEPS, include=sorted(set(_LENGTHS.values())))
    # No ticks: a bar is read by its ends.
    bar = ScaleBar(range=plot.x_range, unit=_LENGTHS[unit], dimensional=length, location="bottom_left", **style)
    # Bokeh takes the next longer round length: between 12 and 30 % of the width.
    bar.update(bar_length=0.12, label="@{value} @{unit}", ticker=_make_no_ticks())
    plot.add_layout(bar)


def _make_no_ticks() -> Any:
    from bokeh.models import FixedTicker

    return FixedTicker(ticks=[], minor_ticks=[])
