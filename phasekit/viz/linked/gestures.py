"""What the browser does itself: the cursor follows mouse and arrow keys at once, and the kernel is told one at a time.

While the kernel is at work on one position, later ones are dropped but for the last. A slow computation is therefore
late by one position and never by a queue of them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .pictures import GESTURE, Marks, Outline, find_edges


class Grid(NamedTuple):
    """Pixels of a map: edge of the first pixel, signed step and number along each axis."""

    x: float
    dx: float
    n_x: int
    y: float
    dy: float
    n_y: int
    unit: str = "nm"
    dims: tuple[str, str] = ("x", "y")

    def find_pixel(self, x: float, y: float) -> tuple[int, int]:
        """Index (y, x) of the pixel at a position; positions outside give the nearest pixel."""
        # Rounded down, because positions count from the edge of the first pixel; steps may be negative.
        column, row = int((x - self.x) // self.dx), int((y - self.y) // self.dy)
        return min(max(row, 0), self.n_y - 1), min(max(column, 0), self.n_x - 1)

    def find_centre(self, pixel: tuple[int, int]) -> tuple[float, float]:
        """Position (x, y) of the middle of a pixel (y, x)."""
        return self.x + self.dx * (pixel[1] + 0.5), self.y + self.dy * (pixel[0] + 0.5)


def make_grid(y: xr.DataArray, x: xr.DataArray) -> Grid:
    """Grid of the pixels with these coordinates."""
    (left, right), (top, bottom) = find_edges(x), find_edges(y)
    unit = str(x.attrs.get("units", "px")).replace("1/angstrom", "1/Å")
    dims = (str(x.name or "x").removeprefix("scan_"), str(y.name or "y").removeprefix("scan_"))
    return Grid(left, (right - left) / x.size, x.size, top, (bottom - top) / y.size, y.size, unit, dims)


def select_pixels(grid: Grid, outline: dict[str, list[float]]) -> NDArray[np.bool_]:
    """Pixels (y, x) whose middle lies inside an outline, in the coordinates of the map."""
    from matplotlib.path import Path

    x = grid.x + grid.dx * (np.arange(grid.n_x) + 0.5)
    y = grid.y + grid.dy * (np.arange(grid.n_y) + 0.5)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside = Path(np.column_stack([outline["x"], outline["y"]])).contains_points(points)
    return np.asarray(inside.reshape(grid.n_y, grid.n_x))


def read_outline(geometry: dict[str, Any]) -> dict[str, list[float]]:
    """Corners of a drawn box or lasso, as lists of x and y."""
    if geometry["type"] == "rect":
        x0, x1, y0, y1 = (float(geometry[name]) for name in ("x0", "x1", "y0", "y1"))
        return {"x": [x0, x1, x1, x0], "y": [y0, y0, y1, y1]}
    return {axis: [float(value) for value in geometry[axis]] for axis in ("x", "y")}


def mark_pins(grid: Grid, pins: Sequence[tuple[int, int]]) -> list[Marks]:
    """The first pin as a circle, the second as a square; their lines in plots are solid and dashed."""
    places = [grid.find_centre(pin) for pin in pins]
    # Not strict: there may be fewer pins than shapes.
    shapes = zip(places, ("circle", "square"), strict=False)
    return [Marks([x], [y], [f"pin {i + 1}"], GESTURE, 11, shape) for i, ((x, y), shape) in enumerate(shapes)]


def close_outline(outline: dict[str, list[float]] | None) -> list[Outline]:
    """A drawn outline as a closed line; no line where nothing is drawn."""
    if outline is None:
        return []
    return [Outline([*outline["x"], outline["x"][0]], [*outline["y"], outline["y"][0]], GESTURE)]


# After 2 s the kernel counts as free again: an answer that is lost must not stop the cursor.
#: Begins every script: moves the cursor, or notes the position while the kernel is busy.
_MOVE = """
const state = cursor.pk_state ?? (cursor.pk_state = {since: 0, next: null, n: 0});
const go = (iy, ix) => {
  iy = Math.min(Math.max(iy, 0), grid.n_y - 1);
  ix = Math.min(Math.max(ix, 0), grid.n_x - 1);
  const now = cursor.data;
  if (now.iy[0] === iy && now.ix[0] === ix) return;
  state.n += 1;
  state.since = performance.now();
  cursor.data = {x: [grid.x + grid.dx * (ix + 0.5)], y: [grid.y + grid.dy * (iy + 0.5)], iy: [iy], ix: [ix],
                 width: now.width, height: now.height, n: [state.n]};
};
const busy = () => state.since > 0 && performance.now() - state.since < 2000;
const move = (iy, ix) => { if (busy()) { state.next = [iy, ix]; } else { go(iy, ix); } };
"""
# A figure that is zoomed out shows places beside the map; there the cursor stays where it is.
ON_MOUSE = (
    _MOVE
    + """
const iy = Math.floor((cb_obj.y - grid.y) / grid.dy), ix = Math.floor((cb_obj.x - grid.x) / grid.dx);
if (iy >= 0 && ix >= 0 && iy < grid.n_y && ix < grid.n_x) move(iy, ix);
"""
)
ON_DONE = (
    _MOVE
    + """
state.since = 0;
if (state.next !== null) { const [iy, ix] = state.next; state.next = null; go(iy, ix); }
"""
)
#: Run once the figure stands on the page: makes it reachable by Tab, and lets arrow keys move the cursor.
ON_SHOWN = (
    _MOVE
    + """
const view = Bokeh.index.find_one(figure);
if (view != null && !view.el.hasAttribute("data-pk")) {
  view.el.setAttribute("data-pk", figure.name);
  view.el.setAttribute("tabindex", "0");
  view.el.setAttribute("role", "application");
  view.el.setAttribute("aria-label", label);
  view.el.addEventListener("pointerdown", () => view.el.focus());
  view.el.addEventListener("keydown", (event) => {
    const step = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}[event.key];
    const [iy, ix] = state.next ?? [cursor.data.iy[0], cursor.data.ix[0]];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      const far = event.shiftKey ? 10 : 1;
      move(iy + far * step[0], ix + far * step[1]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      pin.data = {iy: [iy], ix: [ix], n: [pin.data.n[0] + 1]};
    }
  });
}
"""
)
# The number `n` makes a second click on one pixel differ from the first.
ON_TAP = (
    _MOVE
    + """
const iy = Math.floor((cb_obj.y - grid.y) / grid.dy), ix = Math.floor((cb_obj.x - grid.x) / grid.dx);
if (iy >= 0 && ix >= 0 && iy < grid.n_y && ix < grid.n_x) {
  move(iy, ix);
  pin.data = {iy: [iy], ix: [ix], n: [pin.data.n[0] + 1]};
}
"""
)
