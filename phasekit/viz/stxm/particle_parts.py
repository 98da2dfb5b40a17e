"""What the figures of particles are put together from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: More rows than this are not readable; the largest particles are drawn.
MOST_ROWS = 25


def select_largest(statistics: xr.Dataset) -> xr.Dataset:
    """Rows of the largest particles in the order of their numbers, kept as ``number``."""
    n = statistics.sizes["particle_number"]
    numbered = statistics.assign(number=("particle_number", np.arange(n))).compute()
    keep = np.sort(np.argsort(-numbered["area"].values, kind="stable")[:MOST_ROWS])
    return numbered.isel(particle_number=keep)


def draw_outlines(ax: "Axes", label: NDArray[Any], colour: str, width: float) -> None:
    """Lines along the edges of pixels where a label map, drawn last in ``ax``, changes."""
    from matplotlib.collections import LineCollection

    left, right, bottom, top = ax.images[-1].get_extent()
    height, n = label.shape
    y, x = np.nonzero(label[1:] != label[:-1])
    flat = np.stack([np.stack([x, y + 1], axis=1), np.stack([x + 1, y + 1], axis=1)], axis=1)
    y, x = np.nonzero(label[:, 1:] != label[:, :-1])
    upright = np.stack([np.stack([x + 1, y], axis=1), np.stack([x + 1, y + 1], axis=1)], axis=1)
    lines = np.concatenate([flat, upright]) * [(right - left) / n, (bottom - top) / height] + [left, top]
    ax.add_collection(LineCollection(list(lines), colors=colour, linewidths=width, capstyle="projecting"))


def draw_share_bars(
    ax: "Axes", shown: xr.Dataset, share: NDArray[Any], colours: Sequence[str], error: NDArray[Any] | None
) -> None:
    """One horizontal bar from 0 to 1 per particle, cut into shares; errors stand at the end of each share."""
    place = np.arange(len(share))
    left = np.zeros(len(share))
    for index, colour in enumerate(colours):
        width = np.nan_to_num(share[:, index])
        ax.barh(place, width, left=left, height=0.8, color=colour, edgecolor="white", linewidth=0.4)
        left = left + width
        if error is not None and index < len(colours) - 1:
            known = width > 0
            line: dict[str, Any] = {"linestyle": "none", "color": "black", "linewidth": 0.8, "capsize": 1.5}
            ax.errorbar(left[known], place[known], xerr=error[known, index], **line)
    ax.set_xlim(0, 1)
    ax.set_yticks(place, [str(int(number)) for number in shown["number"]])
    ax.set_ylim(max(len(share), 1) - 0.5, -0.5)


def draw_notes(ax: "Axes", shown: xr.Dataset) -> None:
    """Diameter and mean composition beside each bar."""
    for row in range(shown.sizes["particle_number"]):
        one = shown.isel(particle_number=row)
        text = f"{float(one['diameter']):.0f} nm"
        if np.isfinite(float(one["composition_mean"])):
            text += f", x = {float(one['composition_mean']):.2f}"
        if np.isfinite(float(one["composition_error"])):
            text += f" ± {float(one['composition_error']):.2f}"
        text += " (cut)" if bool(one["touches_border"]) else ""
        ax.annotate(text, (1.0, row), (4, 0), textcoords="offset points", va="center", fontsize="x-small")


def add_key(ax: "Axes", names: Sequence[str], colours: Sequence[Any], columns: int = 3) -> None:
    """Legend of colours below the axes, clear of their labels."""
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.4, label=name)
        for name, colour in zip(names, colours, strict=True)
    ]
    below = -0.02 if not ax.get_xlabel() else -0.14
    style: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, below), "frameon": False}
    ax.legend(handles=patches, ncols=min(columns, len(names)) or 1, fontsize="small", handlelength=1.0, **style)


def format_width(profile: xr.Dataset) -> str:
    """What a fit says about the width, in words."""
    seen = f"10–90 % as seen {float(profile['edge_width_seen']):.0f} ± {float(profile['edge_width_seen_error']):.0f} nm"
    if np.isfinite(float(profile["edge_width"])):
        own = f"without the probe {float(profile['edge_width']):.0f} ± {float(profile['edge_width_error']):.0f} nm"
    else:
        own = f"not resolved, below {float(profile['edge_width_upper']):.0f} nm (95 %)"
    return f"{seen}; {own}"
