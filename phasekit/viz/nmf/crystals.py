"""Figure of the orientation map from components, beside the one matched pattern by pattern."""

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.schema import ORIENTATIONS, require

from ..acom.colour_key import draw_colour_key
from ..acom.colour_mask import mask_unreliable
from ..style import categorical, image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST_ANGLE = 10.0  # [degree] end of the colour scale; orientations further apart are different ones


def crystals_figure(
    by_components: xr.Dataset,
    direct: xr.Dataset,
    *,
    direction: Literal["x", "y", "z"] = "z",
    ipf_key: Literal["tsl", "cvd"] = "tsl",
) -> "Figure":
    """Orientation map from components, the map from single patterns, and the angle between the two.

    Parameters
    ----------
    by_components
        ORIENTATIONS of :func:`phasekit.nmf.map_component_orientations`; each component's number stands on its points.
    direct
        ORIENTATIONS of the same scan, matched pattern by pattern, with the same phases.
    direction
        Sample direction whose place in the crystal gives the colour: ``"z"`` is the beam.
    ipf_key
        ``"tsl"``: red, green, blue corners; ``"cvd"``: corners distinct for every kind of colour vision.

    Returns
    -------
    matplotlib.figure.Figure
        Orientations and phases of both maps, the angle between them, reliability of the components, a key for each
        phase. Grey: not indexed; for the angle also where the phases differ. Angles take the symmetry into account. Of
        two orientations half a turn about the beam apart the nearer one counts. The scale ends at 10 degrees.

    Raises
    ------
    SchemaError
        Not ORIENTATIONS, no ``component``, other phases, or another scan.

    See Also
    --------
    phasekit.nmf.map_component_orientations : Makes the map from components.
    phasekit.acom.compare_maps : Computes the angle between two maps.

    Examples
    --------
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[40.0, 20.0]]) for n in ("reliability", "phase_reliability")}
    >>> maps |= {n: (scan, [[0, 0]]) for n in ("phase", "status", "component")}
    >>> best = {"quaternion": ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 2])}
    >>> best["correlation"] = ((*scan, "match"), [[[0.9]] * 2])
    >>> orientations = xr.Dataset({**maps, **best}, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> crystals_figure(orientations, orientations).axes[2].get_title()
    'same phase: 100 %, median 0.0°'
    """
    for data in (by_components, direct):
        require(data, ORIENTATIONS, step="crystals_figure")
    if "component" not in by_components:
        raise SchemaError(
            "crystals_figure: the first map has no 'component'. pk.nmf.map_component_orientations makes it."
        )
    # "folded": kinematic spots alone do not distinguish half a turn about the beam.
    compared = acom.compare_maps(by_components, direct).sel(counting="folded")
    # Keys fill the columns at the right, two in each.
    records = json.loads(direct.attrs["phases"])
    figure, axes = panels(2, 3 + -(-len(records) // 2), width=2.9, height=2.9)
    for ax in axes[:, 3:].ravel():
        ax.set_axis_off()
    for ax, record in zip(axes[:, 3:].ravel(), records, strict=False):
        draw_colour_key(ax, record, ipf_key)
    colours = [acom.ipf_colours(map_, direction=direction, ipf_key=ipf_key) for map_ in (by_components, direct)]
    _draw_maps(axes[:, 0], by_components, colours[0], records, f"from components (IPF-{direction})")
    _draw_maps(axes[:, 1], direct, colours[1], records, f"from single patterns (IPF-{direction})")
    _draw_component_numbers(axes[0, 0], by_components["component"])
    image(axes[0, 2], compared["disorientation"], vmin=0, vmax=_LARGEST_ANGLE, label="angle between the two [degree]")
    share, angle = 100 * float(compared["phase_accuracy"]), float(compared["median"])
    axes[0, 2].set_title(f"same phase: {share:.0f} %, median {angle:.1f}°", fontsize="medium")
    # Beside the angle: where the components are not reliable, a large angle says little.
    image(axes[1, 2], by_components["reliability"], vmin=0, label="reliability")
    axes[1, 2].set_title("reliability of the components", fontsize="medium")
    figure.set_label(
        "Orientation map from the components, which are numbered, the map from single patterns, and the angle between "
        f"them: the phase is the same at {share:.0f} % of the indexed points."
    )
    return figure


def _draw_maps(axes: Any, orientations: xr.Dataset, colours: xr.DataArray, records: list[Any], title: str) -> None:
    """Orientation above, phase below."""
    # Threshold 0 makes exactly those pixels grey that have no orientation.
    image(axes[0], mask_unreliable(orientations.fillna({"reliability": 0}), colours, 0.0).compute())
    axes[0].set_title(title, fontsize="medium")
    names = [str(record["name"]) for record in records]
    categorical(axes[1], orientations["phase"].compute(), names, background="not indexed")
    axes[1].set_title("phase", fontsize="medium")


def _draw_component_numbers(ax: Any, component: xr.DataArray) -> None:
    """Write each component's number on its point that is nearest to the centroid."""
    # Not on the centroid: that of a bent or divided component lies outside it.
    y, x = (np.asarray(component[d], dtype=float) for d in component.dims)
    labels = np.asarray(component)
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "boxstyle": "round,pad=0.15"}
    for number in np.unique(labels[labels >= 0]):
        rows, columns = np.nonzero(labels == number)
        nearest = np.argmin(np.hypot(rows - rows.mean(), columns - columns.mean()))
        position = x[columns[nearest]], y[rows[nearest]]
        ax.text(*position, str(int(number)), ha="center", va="center", fontsize="x-small", bbox=box)
