"""A map in the browser, whose cursor, pins and drawn outlines go to functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..style import BACKGROUND_GREY
from .controls import FOCUS_RING
from .gestures import ON_DONE, ON_MOUSE, ON_SHOWN, ON_TAP, Grid, read_outline
from .pictures import INK, MapPicture, encode_map
from .scale_bar import add_scale_bar


class Listeners(NamedTuple):
    """Functions that are told of gestures; ``None``: the gesture is not offered."""

    cursor: Callable[[tuple[int, int]], None] | None = None
    pin: Callable[[tuple[int, int]], None] | None = None
    outline: Callable[[dict[str, list[float]] | None], None] | None = None  # ``None``: what was drawn is removed


class LiveMap:
    """Figure of a map; only what differs from the last picture is sent."""

    def __init__(self, name: str, picture: MapPicture, grid: Grid, listeners: Listeners, width: int = 400) -> None:
        from bokeh.models import ColumnDataSource

        self.grid, self._listeners = grid, listeners
        # Boxes of one entry: the cursor and what the browser tells of gestures.
        self.cursor = ColumnDataSource({**self._place((0, 0)), "n": [0]})
        self._done = ColumnDataSource({"n": [0]})
        self._pin = ColumnDataSource({"iy": [0], "ix": [0], "n": [0]})
        self._sent: Any = None
        self.figure = self._make_figure(name, width)
        self._add_layers()
        self._add_gestures()
        self.show(picture)

    def show(self, picture: MapPicture) -> None:
        """Show another picture of the same pixels."""
        data, palette = encode_map(picture)
        self._send_image(data, palette, picture)
        self._send_shade(picture)
        marks = picture.marks
        places = [(x, y, m.colour, m.size, m.marker, t) for m in marks for x, y, t in zip(m.x, m.y, m.labels)]  # noqa: B905
        columns = zip(*places, strict=True) if places else [()] * 6
        _assign(
            self._marks, dict(zip(("x", "y", "colour", "size", "marker", "label"), map(list, columns), strict=True))
        )
        lines = picture.outlines
        colours = [line.colour for line in lines]
        _assign(self._outlines, {"x": [list(o.x) for o in lines], "y": [list(o.y) for o in lines], "colour": colours})
        if self.figure.title.text != picture.title:
            self.figure.title.text = picture.title

    def acknowledge(self) -> None:
        """Tell the browser that the last position of the cursor was drawn."""
        _assign(self._done, {"n": list(self.cursor.data["n"])})

    def move_cursor(self, pixel: tuple[int, int]) -> None:
        """Put the cursor on a pixel."""
        if (self.cursor.data["iy"][0], self.cursor.data["ix"][0]) != pixel:
            self.cursor.data = {**self._place(pixel), "n": list(self.cursor.data["n"])}

    def _place(self, pixel: tuple[int, int]) -> dict[str, list[Any]]:
        x, y = self.grid.find_centre(pixel)
        size = {"width": [abs(self.grid.dx)], "height": [abs(self.grid.dy)]}
        return {"x": [x], "y": [y], "iy": [pixel[0]], "ix": [pixel[1]], **size}

    def _make_figure(self, name: str, width: int) -> Any:
        from bokeh.models import BoxSelectTool, LassoSelectTool, PanTool, ResetTool, WheelZoomTool
        from bokeh.plotting import figure

        grid = self.grid
        # The first pixel stands at the upper left, as in the static maps, whichever way the coordinates run.
        x_range: Any = (grid.x, grid.x + grid.dx * grid.n_x)
        y_range: Any = (grid.y + grid.dy * grid.n_y, grid.y)
        ratio = abs(grid.dy * grid.n_y) / abs(grid.dx * grid.n_x)
        # A narrow scan keeps 60 pixels of height, else its axes would overlap.
        size: dict[str, Any] = {"frame_width": width, "frame_height": int(np.clip(width * ratio, 60, 1.2 * width))}
        tools: list[Any] = [PanTool(), WheelZoomTool(), ResetTool()]
        drag: Any = None
        if self._listeners.outline is not None:
            drag = BoxSelectTool(renderers=[])
            tools += [drag, LassoSelectTool(renderers=[], continuous=False)]
        plot: Any = figure(x_range=x_range, y_range=y_range, tools=tools, name=name, **size)
        plot.toolbar.active_drag = drag
        plot.toolbar.active_scroll = None  # the page scrolls, not the map
        plot.toolbar.logo = None
        plot.xaxis.axis_label, plot.yaxis.axis_label = (
            f"{dim} [{grid.unit}]" if grid.unit else dim for dim in grid.dims
        )
        set_paper(plot)
        add_scale_bar(plot, grid.unit)
        return plot

    def _add_layers(self) -> None:
        """Images, marks, outlines and the cursor, each with its data."""
        from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper
        from bokeh.models.annotations import ColorBar

        grid = self.grid
        width, height = grid.dx * grid.n_x, grid.dy * grid.n_y
        # A Bokeh image has its smallest coordinates first; `_orient` turns the rows and columns likewise.
        layout = {
            "x": min(grid.x, grid.x + width),
            "y": min(grid.y, grid.y + height),
            "dw": abs(width),
            "dh": abs(height),
        }
        self._mapper = LinearColorMapper(palette=[BACKGROUND_GREY], low=-0.5, high=0.5)
        empty = np.zeros((1, 1), np.uint8)
        self._image = ColumnDataSource({"image": [empty]})
        self._rgba = ColumnDataSource({"image": [empty.astype(np.uint32)]})
        plot = self.figure
        self._layers = (
            plot.image("image", source=self._image, color_mapper=self._mapper, **layout),
            plot.image_rgba("image", source=self._rgba, **layout),
        )
        self._add_veil(layout)
        self._outlines = ColumnDataSource({"x": [], "y": [], "colour": []})
        plot.multi_line("x", "y", source=self._outlines, color="colour", line_width=2)
        columns = ("x", "y", "colour", "size", "marker", "label")
        self._marks = ColumnDataSource({column: [] for column in columns})
        style = {"size": "size", "marker": "marker", "fill_alpha": 0, "line_color": "colour", "line_width": 1.5}
        marks = plot.scatter("x", "y", source=self._marks, **style)
        plot.add_tools(HoverTool(renderers=[marks], tooltips="@label"))
        if self._listeners.cursor is not None:
            for colour, width in (("white", 3.5), ("black", 1.5)):
                box = {"fill_alpha": 0, "line_color": colour, "line_width": width}
                plot.rect("x", "y", "width", "height", source=self.cursor, **box)
        self._scale = LinearColorMapper(palette=[BACKGROUND_GREY], low=0, high=1)
        bar: dict[str, Any] = {
            "width": 12,
            "major_label_text_color": INK,
            "title_text_color": INK,
            "background_fill_alpha": 0,
        }
        self._bar = ColorBar(color_mapper=self._scale, title="", **bar)
        plot.add_layout(self._bar, "right")

    def _add_veil(self, layout: dict[str, float]) -> None:
        """Dark layer over the pixels that were not marked."""
        from bokeh.models import ColumnDataSource, LinearColorMapper

        self._shade = ColumnDataSource({"image": [np.zeros((1, 1), np.uint8)]})
        veil = LinearColorMapper(palette=["#00000000", "#000000B0"], low=-0.5, high=1.5)
        self._shade_layer = self.figure.image("image", source=self._shade, color_mapper=veil, visible=False, **layout)

    def _send_image(self, data: Any, palette: list[str], picture: MapPicture) -> None:
        indexed, coloured = self._layers
        # Compared with what stands on the screen: an unchanged map is not sent again.
        if self._sent is None or self._sent.shape != data.shape or not np.array_equal(self._sent, data):
            self._sent = data
            source = self._rgba if picture.is_colours else self._image
            source.data = {"image": [self._orient(data.view(np.uint32)[..., 0] if picture.is_colours else data)]}
        show = {"visible": not picture.is_colours}
        _update(indexed, show)
        _update(coloured, {"visible": picture.is_colours})
        numbers = not picture.is_colours and not picture.names and picture.power == 1
        if palette:
            _update(self._mapper, {"palette": palette, "low": -0.5, "high": len(palette) - 0.5})
        if numbers:
            low, high = picture.scale
            _update(self._scale, {"palette": palette[:-1], "low": low, "high": high})
            _update(self._bar, {"title": picture.label})
        _update(self._bar, {"visible": numbers})

    def _send_shade(self, picture: MapPicture) -> None:
        if picture.shaded is not None:
            shade = self._orient(picture.shaded.astype(np.uint8))
            if not np.array_equal(self._shade.data["image"][0], shade):
                self._shade.data = {"image": [shade]}
        _update(self._shade_layer, {"visible": picture.shaded is not None})

    def _orient(self, pixels: Any) -> Any:
        """Pixels with their smallest coordinates first."""
        turned = pixels[:: 1 if self.grid.dy > 0 else -1, :: 1 if self.grid.dx > 0 else -1]
        return np.ascontiguousarray(turned)

    def _add_gestures(self) -> None:
        from bokeh.events import DoubleTap, SelectionGeometry
        from bokeh.models import CustomJS

        told = self._listeners
        label = f"{self.figure.name}: arrow keys move the cursor by 1 pixel, with Shift by 10; Enter pins it"
        args = {"cursor": self.cursor, "pin": self._pin, "grid": self.grid._asdict(), "figure": self.figure}
        # Named in a script, because only models that the figure refers to are kept in step with the browser.
        args |= {"label": label, "done": self._done}
        if told.cursor is not None:
            self.figure.js_on_event("mousemove", CustomJS(args=args, code=ON_MOUSE))
            self.figure.js_on_event("tap", CustomJS(args=args, code=ON_TAP))
            self.figure.js_on_change("inner_width", CustomJS(args=args, code=ON_SHOWN))
            self._done.js_on_change("data", CustomJS(args=args, code=ON_DONE))
            self.cursor.on_change("data", self._read_cursor)
            self._pin.on_change("data", lambda attr, old, new: _tell(told.pin, new))
        if told.outline is not None:
            outline = told.outline
            self.figure.on_event(SelectionGeometry, self._read_geometry)
            self.figure.on_event(DoubleTap, lambda event: outline(None))

    def _read_cursor(self, attribute: str, old: Any, new: dict[str, Any]) -> None:
        # Only what the browser moved has another number.
        if new["n"] != old["n"]:
            _tell(self._listeners.cursor, new)

    def _read_geometry(self, event: Any) -> None:
        if event.final and self._listeners.outline is not None:
            self._listeners.outline(read_outline(event.geometry))


def set_paper(plot: Any) -> None:
    """No paper of its own, and ink that is seen on a light and on a dark page."""
    plot.background_fill_alpha = plot.border_fill_alpha = 0
    plot.outline_line_color = plot.title.text_color = INK
    for axis in plot.axis:
        axis.axis_label_text_color = axis.major_label_text_color = axis.axis_line_color = INK
        axis.major_tick_line_color = axis.minor_tick_line_color = INK
    plot.grid.grid_line_alpha = 0.2
    # The figure and each button of its toolbar can have the focus of the keyboard.
    plot.stylesheets = [f":host(:focus-visible) {{ {FOCUS_RING} }}"]
    plot.toolbar.stylesheets = [f":focus-visible {{ {FOCUS_RING} }}"]


def _tell(function: Callable[[tuple[int, int]], None] | None, data: dict[str, Any]) -> None:
    if function is not None:
        function((int(data["iy"][0]), int(data["ix"][0])))


def _assign(source: Any, data: dict[str, list[Any]]) -> None:
    if dict(source.data) != data:
        source.data = data


def _update(model: Any, settings: dict[str, Any]) -> None:
    """Set the properties that differ: each that is set is sent."""
    changed = {name: value for name, value in settings.items() if getattr(model, name) != value}
    if changed:
        model.update(**changed)
