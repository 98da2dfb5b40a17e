"""Drawing of virtual imaging."""

from typing import TYPE_CHECKING

import numpy as np

from ..palettes import CURVE_COLOURS
from .parts import draw_arrow, draw_spots, make_spots, open_panels, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DESCRIPTION = (
    "At every scan point a diffraction pattern is recorded; a disk around the direct beam and a ring outside it are "
    "summed; the two sums over all scan points are the bright-field and the dark-field image."
)


def draw_virtual() -> "Figure":
    """Draw the probe, the two detectors on a pattern, and the two images."""
    figure, (probe, detectors, images) = open_panels(("1. Scan", "2. Sum", "3. Image"), _DESCRIPTION)
    _draw_probe(probe)
    _draw_detectors(detectors)
    _draw_images(images)
    return figure


def _draw_probe(axis: "Axes") -> None:
    from matplotlib.patches import Polygon, Rectangle

    axis.add_patch(Polygon([(0.35, 0.98), (0.65, 0.98), (0.5, 0.55)], facecolor="0.85"))
    axis.add_patch(Rectangle((0.1, 0.5), 0.8, 0.06, facecolor="0.6", edgecolor="black", linewidth=0.8))
    for end in (0.3, 0.5, 0.7):
        draw_arrow(axis, (0.5, 0.49), (end, 0.2), color=CURVE_COLOURS[0])
    write_text(axis, (0.2, 0.64), "specimen")
    write_text(axis, (0.5, 0.1), "detector: a pattern per point")


def _draw_detectors(axis: "Axes") -> None:
    from matplotlib.patches import Annulus, Circle

    axis.add_patch(Annulus((0.5, 0.56), 0.36, 0.16, facecolor=CURVE_COLOURS[1], alpha=0.3))
    axis.add_patch(Circle((0.5, 0.56), 0.1, facecolor=CURVE_COLOURS[0], alpha=0.3))
    draw_spots(axis, make_spots(15), (0.12, 0.18, 0.76), color="black")
    axis.set_aspect("equal")
    write_text(axis, (0.24, 0.08), "disk: bright field", color=CURVE_COLOURS[0])
    write_text(axis, (0.76, 0.08), "ring: dark field", color=CURVE_COLOURS[1])


def _draw_images(axis: "Axes") -> None:
    y, x = np.mgrid[0:1:40j, 0:1:40j]
    grain = np.hypot(y - 0.5, x - 0.45) < 0.3
    # What the grain scatters is missing in the direct beam: one image is the reverse of the other.
    for left, image, word in ((0.03, 1.0 - 0.7 * grain, "bright field"), (0.53, 0.2 + 0.7 * grain, "dark field")):
        axis.imshow(image, extent=(left, left + 0.44, 0.3, 0.85), cmap="cividis", aspect="auto", vmin=0, vmax=1)
        write_text(axis, (left + 0.22, 0.2), word)
    axis.set(xlim=(0, 1), ylim=(0, 1))
