"""Figures of boundaries between grains, of misorientation inside them, and of pole figures."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.schema import BOUNDARIES, GRAINS, ORIENTATIONS, POLE_FIGURE, require

from ...deprecation import renamed_arguments
from ..palettes import BOUNDARY_LINES, CURVE_COLOURS
from ..style import image, panels
from .colour_mask import mask_unreliable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@renamed_arguments(found="orientations")
def boundary_figure(
    orientations: xr.Dataset,
    grains: xr.Dataset,
    maps: xr.Dataset,
    *,
    direction: Literal["x", "y", "z"] = "z",
    ipf_key: Literal["tsl", "cvd"] = "tsl",
) -> "Figure":
    """Orientation map with its boundaries drawn by kind, and the kernel misorientation beside it.

    Parameters
    ----------
    orientations
        ORIENTATIONS.
    grains
        GRAINS of ``orientations``; pixels in none are grey.
    maps
        BOUNDARIES, as ``pk.acom.misorientation_maps`` makes it of both.
    direction
        Sample direction whose place in the crystal gives the colour: ``"z"`` is the beam.
    ipf_key
        ``"tsl"``: red, green, blue corners; ``"cvd"``: corners distinct for every kind of colour vision.
        ``orientation_figure`` draws the key.

    Returns
    -------
    matplotlib.figure.Figure
        Two maps. Low angle: thin black line; high angle: thick black; phase: white between black; half turn: dots.

    Raises
    ------
    SchemaError
        Other kinds of data, or of different scans.

    See Also
    --------
    phasekit.acom.misorientation_maps : Makes the maps.
    phasekit.acom.label_grains : Makes the grains.
    orientation_figure : The map with its colour key.

    Examples
    --------
    >>> import json
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> data = {name: (scan, [[0.0] * 4]) for name in ("phase", "reliability", "phase_reliability", "status")}
    >>> data["quaternion"] = ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 3 + [[[0.8, 0.6, 0, 0]]]])
    >>> data["correlation"] = ((*scan, "match"), [[[1.0]] * 4])
    >>> best = xr.Dataset(data, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> grains = acom.label_grains(best)
    >>> [axis.get_title() for axis in boundary_figure(best, grains, acom.misorientation_maps(best)).axes][:2]
    ['2 grains (IPF-z)', 'kernel misorientation']
    """
    require(orientations, ORIENTATIONS, step="boundary_figure", argument="orientations")
    if grains.sizes.get("grain_number") != 0:  # a map without any grain is drawn, too
        require(grains, GRAINS, step="boundary_figure", argument="grains")
    require(maps, BOUNDARIES, step="boundary_figure", argument="maps")
    sizes = [(data.sizes["scan_y"], data.sizes["scan_x"]) for data in (orientations, grains, maps)]
    if len(set(sizes)) > 1:
        raise SchemaError(
            f"boundary_figure: map, grains and boundaries have {sizes} scan positions. Make all three of one map."
        )
    figure, axes = panels(1, 2, width=4.0, height=3.8)
    colours = acom.ipf_colours(orientations, direction=direction, ipf_key=ipf_key).where(grains["grain"] >= 0)
    image(axes[0, 0], mask_unreliable(orientations.fillna({"reliability": 0}), colours, 0.0).compute())
    axes[0, 0].set_title(f"{grains.sizes['grain_number']} grains (IPF-{direction})", fontsize="medium")
    _draw_boundary_lines(axes[0, 0], maps.compute())
    kernel = maps["kernel_misorientation"].compute()
    image(axes[0, 1], kernel, vmin=0, label="mean angle to the neighbours [degree]")
    axes[0, 1].set_title("kernel misorientation", fontsize="medium")
    return figure


def _draw_boundary_lines(axis: "Axes", maps: xr.Dataset) -> None:
    """Boundaries as lines on the edges of the pixels, with a legend of the kinds that occur."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    left, right, bottom, top = axis.images[0].get_extent()
    height, width = maps["boundary_x"].shape
    handles: list[tuple[Line2D, Line2D]] = []
    names: list[str] = []
    for kind, name, colours, widths, dashes in BOUNDARY_LINES:
        across, down = (maps[f"boundary_kind_{edge}"].values == kind for edge in ("x", "y"))
        ends = np.concatenate(
            [_join_segments(across.T)[..., ::-1], _join_segments(down)]
        )  # (line, end, (y, x) in edges of pixels)
        if not len(ends):
            continue
        position = np.stack(
            [left + ends[..., 1] * (right - left) / width, top + ends[..., 0] * (bottom - top) / height], axis=-1
        )
        # A wider line of the other shade below each, so that it is seen on every colour of the map.
        for colour, thick, form, order in zip(colours, widths, (dashes, "-"), (0.5, 0.4), strict=True):
            line = LineCollection(list(position), colors=colour, linewidths=thick, linestyles=[form], zorder=order)
            line.set_capstyle("projecting" if form == "-" else "butt")
            line.set_label(name if order > 0.4 else f"below {name}")
            axis.add_collection(line)
        below, above = (
            Line2D([], [], color=colour, linewidth=thick, linestyle=form)
            for colour, thick, form in zip(colours[::-1], widths[::-1], ("-", dashes), strict=True)
        )
        handles.append((below, above))
        names.append(name)
    style: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.02), "frameon": False}
    if handles:
        axis.legend(handles, names, ncols=len(handles), fontsize="small", handlelength=1.8, columnspacing=0.9, **style)


def _join_segments(lower: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Unbroken lines (line, end, (y, x)) below the pixels that are true.

    The line below pixel (i, j) is at y = i + 1, from x = j to j + 1.
    """
    # Neighbours are joined, because one short line per pixel would show no dashes.
    step = np.diff(np.pad(lower.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    y, start = np.nonzero(step == 1)
    _, stop = np.nonzero(step == -1)
    return np.stack([np.stack([y + 1, start], axis=1), np.stack([y + 1, stop], axis=1)], axis=1).astype(float)


def plot_pole_figure(pole: xr.Dataset) -> "Figure":
    """Poles of a form as points, and their density in multiples of random beside it.

    Parameters
    ----------
    pole
        POLE_FIGURE, as ``pk.acom.pole_figure`` makes it.

    Returns
    -------
    matplotlib.figure.Figure
        Two circles with the sample's x to the right and y downwards, as in the maps. The beam is in the middle. The
        area of a point increases with the number of poles gathered there.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.acom.pole_figure : Computes it.

    Examples
    --------
    >>> axis = np.linspace(-1, 1, 5)
    >>> data = {"density": (("pole_y", "pole_x"), np.ones((5, 5))), "n_pixels": 7, "weight": ("pole", [7])}
    >>> data |= {name: ("pole", [0.0]) for name in ("direction_y", "direction_x")}
    >>> pole = xr.Dataset(data, {"pole_y": axis, "pole_x": axis}, {"phase_name": "Ni", "form": "{0 0 1}"})
    >>> [axis.get_title() for axis in plot_pole_figure(pole).axes][:2]
    ['Ni {0 0 1}: poles of 7 pixels', 'density (equal area)']
    """
    require(pole, POLE_FIGURE, step="plot_pole_figure", argument="pole")
    pole = pole.compute()
    # Points show where single grains are, the density how strong a texture is.
    figure, axes = panels(1, 2, width=3.8, height=3.6)
    weight = pole["weight"].values / max(int(pole["weight"].max()), 1)
    points: dict[str, Any] = {"color": CURVE_COLOURS[0], "alpha": 0.5, "linewidths": 0}
    axes[0, 0].scatter(pole["direction_x"], pole["direction_y"], s=6 + 60 * weight, **points, zorder=3)
    title = f"{pole.attrs.get('phase_name', '')} {pole.attrs.get('form', '')}: poles of {int(pole['n_pixels'])} pixels"
    axes[0, 0].set_title(title.strip(), fontsize="medium")
    _draw_density(axes[0, 1], pole["density"])
    projection = str(pole.attrs.get("projection", "equal_area")).replace("_", " ")
    axes[0, 1].set_title(f"density ({projection})", fontsize="medium")
    for axis in axes[0]:
        _draw_circle(axis)
    return figure


def _draw_density(axis: "Axes", density: xr.DataArray) -> None:
    """Density inside the circle of the hemisphere."""
    from matplotlib.patches import Circle
    from scipy.ndimage import distance_transform_edt

    values = density.values
    # Filled beyond the rim and cut by a circle: the grid alone would leave a rim of steps.
    nearest = distance_transform_edt(np.isnan(values), return_distances=False, return_indices=True)
    edge = 1 + 1 / max(density.sizes["pole_x"] - 1, 1)  # half a step beyond the last centre
    extent = (-edge, edge, edge, -edge)
    map_image = axis.imshow(values[tuple(nearest)], extent=extent, cmap="cividis", vmin=0, interpolation="bilinear")
    map_image.set_clip_path(Circle((0, 0), 1, transform=axis.transData))
    axis.figure.colorbar(map_image, ax=axis, shrink=0.75).set_label("density [multiples of random]")


def _draw_circle(axis: "Axes") -> None:
    """Rim of the hemisphere, and the sample's axes on it."""
    from matplotlib.patches import Circle

    axis.add_patch(Circle((0, 0), 1, facecolor="none", edgecolor="black", linewidth=1.0, zorder=4))
    axis.plot([-1, 1], [0, 0], color="#BDBDBD", linewidth=0.5, zorder=1)
    axis.plot([0, 0], [-1, 1], color="#BDBDBD", linewidth=0.5, zorder=1)
    axis.text(1.07, 0, "x", ha="left", va="center")
    axis.text(0, 1.07, "y", ha="center", va="top")
    axis.set_xlim(-1.18, 1.18)
    axis.set_ylim(1.22, -1.12)
    axis.set_aspect("equal")
    axis.set_axis_off()
