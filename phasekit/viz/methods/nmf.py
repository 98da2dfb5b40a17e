"""Drawing of non-negative matrix factorisation."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..palettes import COMPONENT_COLOURS
from .parts import draw_spots, make_spots, open_panels, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DESCRIPTION = (
    "A scan of diffraction patterns; each pattern is a sum of a few component patterns, with weights that are "
    "not negative; the weights of each component make a map, and where two are large, two grains overlap."
)


def draw_nmf() -> "Figure":
    """Draw the scan, a pattern as a sum, and the two maps."""
    figure, (scan, model, maps) = open_panels(("1. Measure", "2. Decompose", "3. Map the weights"), _DESCRIPTION)
    _draw_scan(scan)
    _draw_sum(model)
    _draw_maps(maps)
    return figure


def _pattern(axis: "Axes", box: tuple[float, float, float], *grains: int) -> None:
    for grain in grains:
        style: dict[str, Any] = {"color": COMPONENT_COLOURS[grain], "alpha": 0.85}
        draw_spots(axis, make_spots((8, 35)[grain]), box, **style)


def _draw_scan(axis: "Axes") -> None:
    for row in range(3):
        for column in range(3):
            # The boundary lies in the middle column: its patterns are sums of both grains.
            grains = (0,) if column == 0 else (1,) if column == 2 else (0, 1)
            _pattern(axis, (0.08 + 0.3 * column, 0.7 - 0.29 * row, 0.25), *grains)
    write_text(axis, (0.5, 0.03), "a pattern at every scan point")


def _draw_sum(axis: "Axes") -> None:
    _pattern(axis, (0.34, 0.63, 0.32), 0, 1)
    write_text(axis, (0.5, 0.55), "$\\approx$")
    _pattern(axis, (0.12, 0.17, 0.32), 0)
    _pattern(axis, (0.64, 0.17, 0.32), 1)
    write_text(axis, (0.05, 0.33), "$w_1$")
    write_text(axis, (0.55, 0.33), "$+\\;w_2$")
    write_text(axis, (0.5, 0.05), "$w_1, w_2 \\geq 0$, patterns $\\geq 0$")


def _draw_maps(axis: "Axes") -> None:
    x = np.linspace(0, 1, 40)
    first = 1 / (1 + np.exp((x - 0.5) / 0.07))
    for bottom, weight, name in ((0.55, first, "$w_1$"), (0.12, 1 - first, "$w_2$")):
        image = np.repeat(weight[None], 20, axis=0)
        axis.imshow(image, extent=(0.15, 0.95, bottom, bottom + 0.32), cmap="cividis", aspect="auto", vmin=0, vmax=1)
        write_text(axis, (0.07, bottom + 0.16), name)
    axis.plot([0.55, 0.55], [0.1, 0.9], color="white", linewidth=1.2, linestyle=":")
    write_text(axis, (0.55, 0.94), "overlap")
    axis.set(xlim=(0, 1), ylim=(0, 1))
