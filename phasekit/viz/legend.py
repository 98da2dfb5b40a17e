"""Legend of a map of names, below the map."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def add_legend(ax: "Axes", present: Any, names: Sequence[str], colours: Sequence[str]) -> None:
    """Legend of the indices that are present in the map."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colours[i], edgecolor="black", linewidth=0.4, label=names[i]) for i in present]
    # Below the map: inside it would hide pixels.
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.02), "frameon": False}
    columns = _count_legend_columns([names[i] for i in present])
    ax.legend(handles=patches, ncols=columns, fontsize="small", handlelength=1.0, columnspacing=1.0, **below)


def _count_legend_columns(names: Sequence[str], letters: int = 36) -> int:
    """Largest number of columns, up to four, that fits a panel."""
    # The layout would shrink the map under a legend that is wider. Six letters stand for the colour and the gap.
    for columns in range(min(len(names), 4), 1, -1):
        rows = -(-len(names) // columns)
        widths = [max(map(len, names[i : i + rows])) + 6 for i in range(0, len(names), rows)]
        if sum(widths) <= letters:
            return columns
    return 1
