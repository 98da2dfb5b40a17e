"""Drawing of STXM phase mapping."""

from typing import TYPE_CHECKING

import numpy as np

from ..palettes import BACKGROUND_GREY, CURVE_COLOURS, PHASE_COLOURS, STATUS_COLOURS
from .parts import draw_arrow, open_panels, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DESCRIPTION = (
    "X-rays of one energy after the other pass through a particle and are counted; the absorption of a pixel over the "
    "energies is compared with reference spectra; every pixel gets the name of the nearest one, or a reason for doubt."
)


def draw_stxm() -> "Figure":
    """Draw beam and particle, spectra of two references and a pixel, and the map."""
    figure, (beam, spectra, result) = open_panels(("1. Measure", "2. Compare", "3. Label"), _DESCRIPTION)
    _draw_beam(beam)
    _draw_spectra(spectra)
    _draw_map(result)
    return figure


def _draw_beam(axis: "Axes") -> None:
    from matplotlib.patches import Ellipse, Rectangle

    for y in (0.42, 0.5, 0.58):
        draw_arrow(axis, (0.02, y), (0.32, y), color=CURVE_COLOURS[0])
        draw_arrow(axis, (0.6, y), (0.82, y), color=CURVE_COLOURS[0], alpha=0.45)
    axis.add_patch(Ellipse((0.46, 0.5), 0.2, 0.5, facecolor=PHASE_COLOURS[0], edgecolor="black", linewidth=0.8))
    axis.add_patch(Rectangle((0.85, 0.3), 0.07, 0.4, facecolor=BACKGROUND_GREY, edgecolor="black", linewidth=0.8))
    write_text(axis, (0.16, 0.7), "$I_0$ photons\nof energy $E$")
    write_text(axis, (0.46, 0.84), "particle")
    write_text(axis, (0.88, 0.2), "counts $I$")
    write_text(axis, (0.46, 0.06), "$\\mathrm{OD}(E) = -\\ln(I / I_0)$")


def _draw_spectra(axis: "Axes") -> None:
    energy = np.linspace(0.05, 0.95, 200)
    lines = [0.2 + 0.1 * energy + 0.45 * np.exp(-(((energy - centre) / 0.07) ** 2)) for centre in (0.42, 0.55)]
    for line, name, index in zip(lines, ("reference A", "reference B"), (0, 1), strict=True):
        axis.plot(energy, line, color=PHASE_COLOURS[index], linewidth=2, label=name)
    measured = energy[::14]
    noise = 0.03 * np.sin(37 * measured)  # drawn, not random: the picture is the same every time
    pixel = 0.85 * np.interp(measured, energy, lines[0]) + 0.15 * np.interp(measured, energy, lines[1]) + noise
    axis.errorbar(measured, pixel, yerr=0.04, fmt="o", color="black", markersize=3, linewidth=0.8, label="pixel")
    axis.legend(fontsize="x-small", frameon=False, loc="upper right")
    write_text(axis, (0.5, 0.06), "photon energy $E$")
    write_text(axis, (0.02, 0.45), "OD", rotation=90)


def _draw_map(axis: "Axes") -> None:
    y, x = np.mgrid[0:12, 0:12]
    inside = np.hypot(y - 5.5, x - 5.5) < 5.2
    colours = np.full((12, 12), 3)
    colours[inside] = np.where(x[inside] < 6, 0, 1)
    # At the boundary a pixel may hold both phases, so that its label is in doubt.
    colours[inside & (x == 6) & (y % 3 == 0)] = 2
    palette = [PHASE_COLOURS[0], PHASE_COLOURS[1], STATUS_COLOURS["ambiguous"], BACKGROUND_GREY]
    from matplotlib.colors import to_rgb

    axis.imshow(np.array([to_rgb(colour) for colour in palette])[colours], extent=(0.2, 0.8, 0.25, 0.95), aspect="auto")
    for index, (place, word) in enumerate(zip((0.12, 0.36, 0.66), ("A", "B", "ambiguous"), strict=True)):
        axis.scatter([place], [0.1], marker="s", s=40, color=palette[index])
        write_text(axis, (place + 0.04, 0.1), word, ha="left")
