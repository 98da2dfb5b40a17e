"""Parts of the figures of particles: outlines, bars, notes, keys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..style import EDGE_GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More rows than this are not readable; the largest particles are drawn.
MOST_ROWS = 25


def select_largest(statistics: xr.Dataset) -> xr.Dataset:
    """Select the largest particles in the order of their numbers, kept as ``number``."""
    n = statistics.sizes["particle_number"]
    numbered = statistics.assign(number=("particle_number", np.arange(n))).compute()
    # A stable sort: particles of equal area are selected in the order of their numbers on every machine.
    keep = np.sort(np.argsort(-numbered["area"].values, kind="stable")[:MOST_ROWS])
    return numbered.isel(particle_number=keep)


def draw_outlines(ax: "Axes", label: NDArray[Any], colour: str, width: float) -> None:
    """Draw lines along the edges of pixels where a label map changes; ``ax`` must hold the map already."""
    from matplotlib.collections import LineCollection

    # Edges, not contours: a contour would cut the corners of single pixels.
    left, right, bottom, top = ax.images[-1].get_extent()
    height, n = label.shape
    y, x = np.nonzero(label[1:] != label[:-1])
    flat = np.stack([np.stack([x, y + 1], axis=1), np.stack([x + 1, y + 1], axis=1)], axis=1)
    y, x = np.nonzero(label[:, 1:] != label[:, :-1])
    upright = np.stack([np.stack([x + 1, y], axis=1), np.stack([x + 1, y + 1], axis=1)], axis=1)
    lines = np.concatenate([flat, upright]) * [(right - left) / n, (bottom - top) / height] + [left, top]
    ax.add_collection(LineCollection(list(lines), colors=colour, linewidths=width, capstyle="projecting"))


def draw_share_bars(
    ax: "Axes", particles: xr.Dataset, share: NDArray[Any], colours: Sequence[str], error: NDArray[Any] | None
) -> None:
    """Draw one horizontal bar from 0 to 1 per particle, divided into shares with their errors."""
    row = np.arange(len(share))
    left = np.zeros(len(share))
    for index, colour in enumerate(colours):
        # A particle without any named pixel has NaN shares, and an empty bar.
        width = np.nan_to_num(share[:, index])
        ax.barh(row, width, left=left, height=0.8, color=colour, edgecolor=EDGE_GREY, linewidth=0.4)
        left = left + width
        # The last share ends at 1 whatever its error.
        if error is not None and index < len(colours) - 1:
            present = width > 0
            line: dict[str, Any] = {"linestyle": "none", "color": "black", "linewidth": 0.8, "capsize": 1.5}
            ax.errorbar(left[present], row[present], xerr=error[present, index], **line)
    ax.set_xlim(0, 1)
    ax.set_yticks(row, [str(int(number)) for number in particles["number"]])
    ax.set_ylim(max(len(share), 1) - 0.5, -0.5)


def draw_notes(ax: "Axes", particles: xr.Dataset) -> None:
    """Write diameter and mean composition beside each bar."""
    for row in range(particles.sizes["particle_number"]):
        particle = particles.isel(particle_number=row)
        text = f"{float(particle['diameter']):.0f} nm"
        if np.isfinite(float(particle["composition_mean"])):
            text += f", x = {float(particle['composition_mean']):.2f}"
        if np.isfinite(float(particle["composition_error"])):
            text += f" ± {float(particle['composition_error']):.2f}"
        # The frame cuts it: its diameter is a lower bound.
        text += " (cut)" if bool(particle["touches_border"]) else ""
        ax.annotate(text, (1.0, row), (4, 0), textcoords="offset points", va="center", fontsize="x-small")


def add_key(ax: "Axes", names: Sequence[str], colours: Sequence[Any], columns: int = 3) -> None:
    """Add a legend of colours below the axes and their labels."""
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.4, label=name)
        for name, colour in zip(names, colours, strict=True)
    ]
    # Further down where the axis has a label, which the legend would hide.
    below = -0.02 if not ax.get_xlabel() else -0.14
    style: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, below), "frameon": False}
    ax.legend(handles=patches, ncols=min(columns, len(names)) or 1, fontsize="small", handlelength=1.0, **style)


def format_width(profile: xr.Dataset) -> str:
    """Format the fitted width of a step: as seen, and without the probe or its upper bound."""
    seen = f"10–90 % as seen {float(profile['edge_width_seen']):.0f} ± {float(profile['edge_width_seen_error']):.0f} nm"
    # NaN: the step is not wider than the probe, so only an upper bound is known.
    if np.isfinite(float(profile["edge_width"])):
        intrinsic = (
            f"without the probe {float(profile['edge_width']):.0f} ± {float(profile['edge_width_error']):.0f} nm"
        )
    else:
        intrinsic = f"not resolved, below {float(profile['edge_width_upper']):.0f} nm (95 %)"
    return f"{seen}; {intrinsic}"
