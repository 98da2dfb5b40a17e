"""Style of every figure: maps with scale bar and colour bar, legends. Colours and their reasons: ``palettes.py``.

matplotlib is imported inside the functions. Figures are made without pyplot, so none stays open in memory.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError

from .legend import add_legend
from .palettes import BACKGROUND_GREY, EDGE_GREY, PHASE_COLOURS, STATUS_COLOURS
from .value_range import display_range, name_clipped_ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Most figures need the colours beside the drawing.
__all__ = [
    "BACKGROUND_GREY",
    "EDGE_GREY",
    "PHASE_COLOURS",
    "STATUS_COLOURS",
    "categorical",
    "image",
    "panels",
    "round_length",
    "scale_bar",
]


def panels(rows: int = 1, columns: int = 1, *, width: float = 3.4, height: float = 3.0) -> "tuple[Figure, Any]":
    """Make an empty figure with a grid of axes, laid out so that labels do not overlap.

    Parameters
    ----------
    rows, columns
        Size of the grid.
    width, height
        Size of one panel [inch].

    Returns
    -------
    figure, axes
        A matplotlib figure and the (rows, columns) object array of its axes.

    See Also
    --------
    image : Draws a map on one of the axes.
    save_figure : Writes the figure.

    Examples
    --------
    >>> figure, axes = panels(1, 2)
    >>> axes.shape
    (1, 2)
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def image(
    ax: "Axes",
    array: xr.DataArray,
    *,
    cmap: str = "cividis",
    label: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    **imshow: Any,
) -> "AxesImage":
    """Draw a map with y downwards, equal aspect, its true extent and a colour bar that names the unit.

    Parameters
    ----------
    ax
        Axes to draw in.
    array
        Two-dimensional, ``(scan_y, scan_x)`` [nm] or ``(qy, qx)`` [1/angstrom or px]. NaN is drawn grey. Lazy data are
        computed. An array with a third dimension of 3 or 4 is taken as colours, without colour bar.
    cmap
        matplotlib colour map; cividis looks the same with every kind of colour vision.
    label
        Text of the colour bar; ``None`` takes name and unit from the array's attributes, ``""`` leaves the bar out.
    vmin, vmax
        Values at the ends of the colour map; ``None`` takes those of :func:`phasekit.viz.display_range`: the extremes,
        without single pixels that lie far outside all others. The colour bar then ends in an arrow.
    imshow
        Further settings of matplotlib's ``imshow`` (``norm=``, ``alpha=``, ...).

    Raises
    ------
    SchemaError
        ``array`` is not a map.

    See Also
    --------
    categorical : Maps of names.
    panels : Makes the axes.
    scale_bar : Adds the length scale.

    Examples
    --------
    >>> figure, axes = panels()
    >>> drawn = image(axes[0, 0], xr.DataArray(np.eye(3), dims=("scan_y", "scan_x"), name="eye"))
    >>> drawn.get_extent()
    [-0.5, 2.5, 2.5, -0.5]
    """
    colours = array.ndim == 3 and array.shape[-1] in (3, 4)
    if array.ndim != 2 and not colours:
        raise SchemaError(f"image: got dimensions {array.dims}, needs a map of two. Select one frame with .isel(...).")
    from matplotlib import colormaps

    # A norm brings its own limits, and matplotlib refuses both.
    map_ = colormaps[cmap].with_extremes(bad=BACKGROUND_GREY)
    values = np.asarray(array.astype(float)) if not colours else np.asarray(array)
    low, high = (None, None) if colours or "norm" in imshow else display_range(values)
    limits = {"vmin": low if vmin is None else vmin, "vmax": high if vmax is None else vmax}
    settings = {} if colours else {"cmap": map_, **({} if "norm" in imshow else limits)}
    map_image = ax.imshow(
        values, extent=_image_extent(array), origin="upper", **{"interpolation": "nearest", **settings, **imshow}
    )
    _label_axes(ax, array)
    text = _colour_bar_label(array) if label is None else label
    if text and not colours:
        bar = ax.figure.colorbar(map_image, ax=ax, shrink=0.85, extend=name_clipped_ends(values, map_image.norm))
        bar.set_label(text)
    return map_image


def categorical(
    ax: "Axes",
    array: xr.DataArray,
    names: Sequence[str],
    *,
    colours: Sequence[str] | None = None,
    legend: bool = True,
    background: str = "none",
) -> "AxesImage":
    """Draw a map of indices, one colour each, with a legend of the names that occur.

    Parameters
    ----------
    ax
        Axes to draw in.
    array
        ``(scan_y, scan_x)`` indices into ``names``; negative or NaN is drawn grey and called ``background``.
    names
        Name of every index.
    colours
        Colour of every index; ``None`` takes Okabe and Ito's, repeated when there are more than seven.
    legend
        Whether to draw the legend, below the map.
    background
        Name of the grey pixels in the legend.

    Raises
    ------
    SchemaError
        An index has no name.

    See Also
    --------
    image : Maps of numbers.
    panels : Makes the axes.

    Examples
    --------
    >>> figure, axes = panels()
    >>> phase = xr.DataArray([[0, 1], [-1, 1]], dims=("scan_y", "scan_x"))
    >>> drawn = categorical(axes[0, 0], phase, ["Ni", "LiFePO4"])
    >>> [text.get_text() for text in axes[0, 0].get_legend().get_texts()]
    ['Ni', 'LiFePO4', 'none']
    """
    index = np.nan_to_num(np.asarray(array, dtype=float), nan=-1.0).astype(int)
    if index.size and index.max() >= len(names):
        raise SchemaError(f"categorical: found index {index.max()}, but there are {len(names)} names. Give one each.")
    from matplotlib.colors import to_rgb

    palette = [(colours or PHASE_COLOURS)[i % len(colours or PHASE_COLOURS)] for i in range(len(names))]
    table = np.array([to_rgb(colour) for colour in (*palette, BACKGROUND_GREY)])
    # Drawn as colours, not as numbers: a colour map would mix neighbouring indices where the map is scaled.
    index = np.where(index < 0, len(names), index)
    map_image = ax.imshow(table[index], extent=_image_extent(array), origin="upper", interpolation="nearest")
    _label_axes(ax, array)
    if legend:
        add_legend(ax, np.unique(index), [*names, background], [*palette, BACKGROUND_GREY])
    return map_image


def scale_bar(ax: "Axes", scan_x: xr.DataArray) -> None:
    """Draw a scale bar of a round length, about a fifth of the width, at the lower left.

    Parameters
    ----------
    ax
        Axes that hold a map drawn with :func:`image` or :func:`categorical`.
    scan_x
        Coordinate along x [nm]; bars of 1000 nm and more are labelled in um. Another unit is written as it is.

    See Also
    --------
    image : Draws the map.

    Examples
    --------
    >>> figure, axes = panels()
    >>> scale_bar(axes[0, 0], xr.DataArray(np.arange(100.0) * 5, dims="scan_x", attrs={"units": "nm"}))
    >>> axes[0, 0].texts[0].get_text()
    '100 nm'
    """
    x = np.asarray(scan_x, dtype=float)
    width = abs(x[-1] - x[0]) * (x.size / (x.size - 1)) if x.size > 1 else 1.0
    length = round_length(0.25 * width)
    unit = str(scan_x.attrs.get("units", "nm"))
    text = f"{length / 1000:g} µm" if unit == "nm" and length >= 1000 else f"{length:g} {unit}"
    from matplotlib.patches import Rectangle

    # In fractions of the axes, so that the bar keeps its place when the map is resized.
    fraction, left, bottom = length / width, 0.05, 0.05
    edge: dict[str, Any] = {"facecolor": "black", "edgecolor": "white", "linewidth": 0.6}
    ax.add_patch(Rectangle((left, bottom), fraction, 0.022, transform=ax.transAxes, **edge))
    # Black on a white box is readable on every colour map.
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.0}
    position = (left + fraction / 2, bottom + 0.04)
    ax.text(*position, text, transform=ax.transAxes, ha="center", va="bottom", fontsize="small", bbox=box)


def round_length(length: float) -> float:
    """Round down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(length))
    # The tolerance keeps a length that is round already: its logarithm may be rounded down.
    return float(max(step * power for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)))


def _image_extent(array: xr.DataArray) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) with half a pixel around the first and last centre."""
    (y0, y1), (x0, x1) = (_axis_edges(array, str(dim)) for dim in array.dims[:2])
    return x0, x1, y1, y0


def _axis_edges(array: xr.DataArray, dim: str) -> tuple[float, float]:
    """Outer edges of the first and the last pixel along an axis."""
    values = np.asarray(array[dim], dtype=float)  # xarray counts pixels where there is no coordinate
    half = (values[-1] - values[0]) / (values.size - 1) / 2 if values.size > 1 else 0.5
    return float(values[0] - half), float(values[-1] + half)


def _label_axes(ax: "Axes", array: xr.DataArray) -> None:
    """Scale bar on scan maps; labelled axes on detector patterns."""
    y, x = (str(dim) for dim in array.dims[:2])
    ax.set_aspect("equal")
    if x == "scan_x":
        # The length says more than positions in the scan, whose origin is arbitrary.
        ax.set_xticks([])
        ax.set_yticks([])
        if x in array.coords:
            scale_bar(ax, array[x])
        return
    unit = {dim: array[dim].attrs.get("units", "px").replace("1/angstrom", "1/Å") for dim in (y, x)}
    ax.set_xlabel(f"{x} [{unit[x]}]" if unit[x] not in ("", "1") else x)
    ax.set_ylabel(f"{y} [{unit[y]}]" if unit[y] not in ("", "1") else y)


def _colour_bar_label(array: xr.DataArray) -> str:
    """Name and unit as the attributes give them."""
    name = str(array.attrs.get("long_name", array.name or ""))
    unit = str(array.attrs.get("units", ""))
    return f"{name} [{unit}]" if unit not in ("", "1") else name
