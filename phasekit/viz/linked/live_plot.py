"""A plot of lines, points and bars in the browser; each kind has one source of data that is replaced as a whole."""

from typing import Any

import numpy as np

from .live_map import set_paper
from .pictures import INK, PlotPicture

_COLUMNS = {
    "lines": ("x", "y", "name", "colour", "dash", "width"),
    "bands": ("x", "y", "colour"),
    "marks": ("x", "y", "label", "colour", "size", "marker"),
    "bars": ("x", "top", "colour", "name"),
    "verticals": ("x",),
    "labels": ("x", "y", "text"),
}


class LivePlot:
    """Figure of a plot."""

    def __init__(self, name: str, picture: PlotPicture, height: int = 300) -> None:
        from bokeh.models import ColumnDataSource
        from bokeh.plotting import figure

        self._sources = {kind: ColumnDataSource({c: [] for c in names}) for kind, names in _COLUMNS.items()}
        tools = "pan,box_zoom,wheel_zoom,reset"
        if picture.half_width:
            half = picture.half_width
            # A drawing: x to the right and y downwards, as in the maps, and nothing to read off.
            frame: dict[str, Any] = {"x_range": (-half, half), "y_range": (half, -half), "frame_width": height}
            self.figure: Any = figure(frame_height=height, tools="", toolbar_location=None, name=name, **frame)
        else:
            self.figure = figure(frame_width=320, frame_height=height, tools=tools, name=name)
        self.figure.toolbar.logo = self.figure.toolbar.active_scroll = None
        set_paper(self.figure)
        if picture.half_width:
            self.figure.axis.visible = self.figure.grid.visible = False
        self._add_layers()
        self.show(picture)

    def show(self, picture: PlotPicture) -> None:
        """Show another picture."""
        for kind, rows in _list_rows(picture).items():
            columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in _COLUMNS[kind]]
            data = dict(zip(_COLUMNS[kind], columns, strict=True))
            source = self._sources[kind]
            # A source that was empty and stays empty is not sent.
            if rows or source.data[_COLUMNS[kind][0]]:
                source.data = data
        plot = self.figure
        texts = ((plot.title, "text", picture.title), (plot.xaxis[0], "axis_label", picture.x_label))
        for model, attribute, text in (*texts, (plot.yaxis[0], "axis_label", picture.y_label)):
            if getattr(model, attribute) != text:
                setattr(model, attribute, text)
        if picture.bars is not None:
            names = dict(enumerate(picture.bars.names))
            if plot.xaxis[0].major_label_overrides != names:
                plot.xaxis[0].update(ticker=list(names), major_label_overrides=names)

    def _add_layers(self) -> None:
        from bokeh.models import HoverTool, VSpan

        plot, sources = self.figure, self._sources
        plot.patches("x", "y", source=sources["bands"], fill_color="colour", fill_alpha=0.25, line_alpha=0)
        bars = plot.vbar("x", 0.7, "top", source=sources["bars"], color="colour")
        style = {"color": "colour", "line_dash": "dash", "line_width": "width"}
        plot.multi_line("x", "y", source=sources["lines"], **style)
        span = VSpan(x="x", line_color=INK, line_dash="dashed")
        plot.add_glyph(sources["verticals"], span)
        points = {"size": "size", "marker": "marker", "fill_alpha": 0, "line_color": "colour"}
        marks = plot.scatter("x", "y", source=sources["marks"], **points)
        words = {"text_color": INK, "text_align": "center", "text_baseline": "middle", "text_font_style": "bold"}
        plot.text("x", "y", "text", source=sources["labels"], **words)
        # Two tools, because points and bars have different columns.
        plot.add_tools(HoverTool(renderers=[marks], tooltips="@label"))
        plot.add_tools(HoverTool(renderers=[bars], tooltips="@name: @top"))


def _list_rows(picture: PlotPicture) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of each source of data."""
    lines, bands = [], []
    for line in picture.lines:
        x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
        lines.append((x, y, line.name, line.colour, line.dash, line.width))
        if line.error is not None:
            # NaN would divide the polygon, which goes along the lower edge and back along the upper one.
            half = np.nan_to_num(np.asarray(line.error, dtype=float))
            bands.append((np.concatenate([x, x[::-1]]), np.concatenate([y - half, (y + half)[::-1]]), line.colour))
    marks = [
        (x, y, label, group.colour, group.size, group.marker)
        for group in picture.marks
        for x, y, label in zip(group.x, group.y, group.labels, strict=True)
    ]
    bars = picture.bars
    columns = [] if bars is None else list(zip(bars.heights, bars.colours, bars.names, strict=True))
    return {
        "lines": lines,
        "bands": bands,
        "marks": marks,
        "bars": [(i, float(height), colour, name) for i, (height, colour, name) in enumerate(columns)],
        "verticals": [(float(x),) for x in picture.verticals],
        "labels": [(label.x, label.y, label.text) for label in picture.labels],
    }
