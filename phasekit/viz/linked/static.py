"""Static twin of the pictures, drawn with matplotlib for runs without a screen."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..style import categorical, image, panels
from .pictures import INK, MapPicture, Picture, PlotPicture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = {"circle": "o", "x": "x", "square": "s", "cross": "+", "diamond": "D"}
_DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dotdash": "-."}


def draw_pictures(pictures: Mapping[str, Picture], title: str, alt: str) -> "Figure":
    """Figure of all pictures in a row of at most three; ``title`` stands above the first."""
    columns = min(len(pictures), 3)
    figure, axes = panels(-(-len(pictures) // columns), columns, width=4.5, height=3.9)
    for ax, (number, picture) in zip(axes.flat, enumerate(pictures.values()), strict=False):
        if isinstance(picture, MapPicture):
            _draw_map(ax, picture)
        else:
            _draw_plot(ax, picture)
        ax.set_title(title if number == 0 else picture.title, fontsize="medium")
    for ax in axes.flat[len(pictures) :]:
        ax.set_visible(False)
    figure.set_label(alt)
    return figure


def _draw_map(ax: Any, picture: MapPicture) -> None:
    if picture.is_colours or not picture.names:
        _draw_numbers(ax, picture)
    else:
        categorical(
            ax, picture.values, list(picture.names), colours=list(picture.colours), background=picture.background
        )
    if picture.shaded is not None:
        _shade_pixels(ax, picture)
    for outline in picture.outlines:
        ax.plot(outline.x, outline.y, color=outline.colour, linewidth=1.2)
    _draw_marks(ax, picture.marks)


def _shade_pixels(ax: Any, picture: MapPicture) -> None:
    """Draw the pixels darker that were not marked."""
    assert picture.shaded is not None
    veil = np.zeros((*picture.shaded.shape, 4))
    veil[..., 3] = 0.69 * picture.shaded
    ax.imshow(veil, extent=ax.images[-1].get_extent(), origin="upper", interpolation="nearest")


def _draw_numbers(ax: Any, picture: MapPicture) -> None:
    from matplotlib.colors import PowerNorm

    if picture.is_colours:
        image(ax, picture.values)
        return
    low, high = picture.scale
    norm = PowerNorm(picture.power, vmin=low, vmax=high, clip=True)
    drawn = image(ax, picture.values, cmap=picture.cmap, label=picture.label, norm=norm)
    drawn.set_cmap(drawn.cmap.with_extremes(bad=picture.missing))


def _draw_plot(ax: Any, picture: PlotPicture) -> None:
    for line in picture.lines:
        style = {"color": line.colour, "linestyle": _DASHES[line.dash], "linewidth": line.width}
        ax.plot(line.x, line.y, label=line.name, **style)
        if line.error is not None:
            middle, half = np.asarray(line.y), np.asarray(line.error)
            ax.fill_between(line.x, middle - half, middle + half, color=line.colour, alpha=0.25, linewidth=0)
    _draw_marks(ax, picture.marks)
    for position in picture.verticals:
        ax.axvline(position, color="0.5", linestyle="--", linewidth=0.8)
    if picture.bars is not None:
        ax.bar(range(len(picture.bars.heights)), picture.bars.heights, color=list(picture.bars.colours))
        ax.set_xticks(range(len(picture.bars.names)), picture.bars.names, fontsize="small")
    ax.set(xlabel=picture.x_label, ylabel=picture.y_label)
    for label in picture.labels:
        ax.text(label.x, label.y, label.text, color=INK, ha="center", va="center", weight="bold")
    if picture.half_width:
        edge = picture.half_width
        ax.set(xlim=(-edge, edge), ylim=(edge, -edge), aspect="equal")
        ax.set_axis_off()
    if any(line.name for line in picture.lines):
        ax.legend(fontsize="x-small", frameon=False)


def _draw_marks(ax: Any, marks: Sequence[Any]) -> None:
    for group in marks:
        # Matplotlib warns of an edge colour for markers that are lines alone.
        edge = {"facecolors": group.colour if group.filled else "none", "edgecolors": group.colour}
        colours: dict[str, Any] = {"color": group.colour} if group.marker in {"x", "cross"} else edge
        # Sizes are widths, as Bokeh takes them; matplotlib takes areas.
        ax.scatter(group.x, group.y, s=group.size**2, marker=_MARKERS[group.marker], linewidths=1.0, **colours)
