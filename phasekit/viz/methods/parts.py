"""Parts that several drawings share: panels without axes, arrows, patterns of spots."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..style import panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def open_panels(titles: tuple[str, ...], description: str) -> "tuple[Figure, list[Axes]]":
    """Panels with titles and without axes, from 0 to 1 in both directions; the description is the figure's label."""
    figure, grid = panels(1, len(titles), width=3.6, height=2.7)
    for axis, title in zip(grid[0], titles, strict=True):
        axis.set(xlim=(0, 1), ylim=(0, 1), title=title)
        axis.set_axis_off()
    figure.set_label(description)
    return figure, list(grid[0])


def draw_arrow(axis: "Axes", start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """Arrow from a point to another."""
    look: dict[str, Any] = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.2, **style}
    axis.annotate("", end, start, arrowprops=look)


def write_text(axis: "Axes", place: tuple[float, float], text: str, **style: Any) -> None:
    """Small text, centred at a point."""
    axis.text(*place, text, **{"ha": "center", "va": "center", "fontsize": "small", **style})


def make_spots(angle_deg: float, spacing: float = 0.17, radius: float = 0.46) -> NDArray[np.float64]:
    """Positions (n, 2) of the spots of a square lattice around (0.5, 0.5), turned by an angle."""
    index = np.stack(np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)), axis=-1).reshape(-1, 2) * spacing
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    turned = index @ np.array([[cosine, sine], [-sine, cosine]])
    return turned[np.hypot(*turned.T) < radius] + 0.5


def draw_spots(axis: "Axes", places: NDArray[np.float64], box: tuple[float, float, float], **style: Any) -> None:
    """Spots of a pattern inside a square box (left, bottom, size); weaker away from the middle."""
    from matplotlib.patches import Rectangle

    left, bottom, size = box
    axis.add_patch(Rectangle((left, bottom), size, size, facecolor="none", edgecolor="0.4", linewidth=0.8))
    strength = np.exp(-6 * ((places - 0.5) ** 2).sum(axis=1))
    look: dict[str, Any] = {"s": 60 * size * strength + 4, "linewidths": 0, **style}
    axis.scatter(left + size * places[:, 0], bottom + size * places[:, 1], **look)
