"""Drawing of automated crystal orientation mapping."""

from typing import TYPE_CHECKING

import numpy as np

from ..palettes import BACKGROUND_GREY, CURVE_COLOURS
from .parts import draw_arrow, draw_spots, make_spots, open_panels, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DESCRIPTION = (
    "Electrons are scattered where the Ewald sphere meets points of the reciprocal lattice, which gives a pattern of "
    "spots; the spots found are compared with templates of many orientations; the best one is the orientation, and the "
    "second best tells how reliable it is."
)


def draw_acom() -> "Figure":
    """Draw the Ewald sphere, the comparison with templates, and the scores."""
    figure, (sphere, compare, scores) = open_panels(("1. Diffract", "2. Match", "3. Trust or not"), _DESCRIPTION)
    _draw_sphere(sphere)
    _draw_matches(compare)
    _draw_scores(scores)
    return figure


def _draw_sphere(axis: "Axes") -> None:
    x = np.linspace(0.05, 0.95, 200)
    # In a drawing a parabola is near enough to a sphere.
    surface = 0.3 + 0.45 * (x - 0.5) ** 2
    points = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 9), np.linspace(0.1, 0.5, 5)), axis=-1).reshape(-1, 2)
    distance = np.abs(points[:, 1] - (0.3 + 0.45 * (points[:, 0] - 0.5) ** 2))
    # In a thin crystal also points near the sphere give spots, so it need not meet them.
    excited = distance < 0.03
    axis.plot(x, surface, color=CURVE_COLOURS[1], linewidth=1.5)
    axis.scatter(points[~excited, 0], points[~excited, 1], s=14, color=BACKGROUND_GREY, linewidths=0)
    axis.scatter(points[excited, 0], points[excited, 1], s=34, color=CURVE_COLOURS[0], linewidths=0)
    draw_arrow(axis, (0.5, 0.98), (0.5, 0.33))
    write_text(axis, (0.66, 0.85), "electrons")
    write_text(axis, (0.8, 0.58), "Ewald sphere", color=CURVE_COLOURS[1])
    write_text(axis, (0.5, 0.03), "points near the sphere become spots")


def _draw_matches(axis: "Axes") -> None:
    for column, (angle, word) in enumerate(((8, "right orientation"), (35, "another one"))):
        box = (0.03 + 0.5 * column, 0.35, 0.44)
        draw_spots(axis, make_spots(angle), box, facecolors="none", edgecolors=CURVE_COLOURS[1], linewidths=1.0, s=70)
        draw_spots(axis, make_spots(8), box, color=CURVE_COLOURS[0])
        write_text(axis, (box[0] + 0.22, 0.87), word)
    axis.scatter(
        [0.1, 0.6], [0.16, 0.16], s=[30, 70], color=[CURVE_COLOURS[0], "none"], edgecolors=["none", CURVE_COLOURS[1]]
    )
    write_text(axis, (0.15, 0.16), "spot found", ha="left")
    write_text(axis, (0.66, 0.16), "template", ha="left")


def _draw_scores(axis: "Axes") -> None:
    height = np.array([0.62, 0.34, 0.3, 0.27, 0.22])
    colours = [CURVE_COLOURS[1], "#FFFFFF", *[BACKGROUND_GREY] * 3]
    axis.bar(
        np.linspace(0.15, 0.85, 5), height, width=0.12, bottom=0.22, color=colours, edgecolor="black", linewidth=0.5
    )
    write_text(axis, (0.15, 0.9), "$Q_1$")
    write_text(axis, (0.325, 0.62), "$Q_2$")
    write_text(axis, (0.64, 0.85), "$R = 100\\,(1 - Q_2/Q_1)$")
    write_text(axis, (0.5, 0.14), "orientations, best first")
