"""The live view of an orientation map: a reliability threshold, the number of pixels that pass it, the map."""

from typing import Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.schema import ORIENTATIONS, require

from ...deprecation import renamed_arguments
from ..setup import is_interactive
from ..style import BACKGROUND_GREY, image, panels


@renamed_arguments(found="orientations")
def explorer(orientations: xr.Dataset, reliability: float = 15.0, *, direction: Literal["x", "y", "z"] = "z") -> Any:
    """Orientation map under a live reliability threshold, with the part of the pixels that pass it.

    Parameters
    ----------
    orientations
        ORIENTATIONS.
    reliability
        Threshold at the start (0 .. 100); about 15 is commonly called safe.
    direction
        Sample direction of the colours.

    Returns
    -------
    panel.Column or matplotlib.figure.Figure
        A slider, the number and the map; in a headless run (``pk.viz.setup(interactive=False)``) the same view at
        ``reliability`` as a figure.

    Raises
    ------
    SchemaError
        Another kind of data.

    Examples
    --------
    >>> import json
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[40.0, 20.0]]) for n in ("reliability", "phase_reliability")}
    >>> maps |= {n: (scan, [[0, 0]]) for n in ("phase", "status")}
    >>> best = {"quaternion": ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 2])}
    >>> best["correlation"] = ((*scan, "match"), [[[0.9]] * 2])
    >>> found = xr.Dataset({**maps, **best}, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> explorer(found, reliability=30.0).axes[0].get_title()
    'indexed above threshold: 50.0 % of pixels'
    """
    require(orientations, ORIENTATIONS, step="explorer")
    orientations = orientations.compute()
    colours = acom.ipf_colours(orientations, direction=direction)
    if is_interactive():
        return _live(orientations, colours, reliability)
    figure, axes = panels(1, 1, width=4.5, height=4.2)
    image(axes[0, 0], masked(orientations, colours, reliability))
    axes[0, 0].set_title(_readout(orientations, reliability), fontsize="medium")
    return figure


def _live(orientations: xr.Dataset, colours: xr.DataArray, start: float) -> Any:
    """Slider, readout and map, bound to the same pure functions as the static view."""
    import holoviews as hv
    import panel as pn

    widgets: Any = pn.widgets
    panes: Any = pn.pane
    slider = widgets.FloatSlider(label="reliability threshold", start=0, end=60, step=1, value=start, width=420)
    text = pn.bind(lambda value: _readout(orientations, value), slider)
    readout = panes.Markdown(text, css_classes=["pk-readout"])

    def picture(value: float) -> Any:
        shown = masked(orientations, colours, value)
        return hv.RGB((shown.scan_x.values, shown.scan_y.values, *np.moveaxis(shown.values, -1, 0)))

    ratio = orientations.sizes["scan_y"] / orientations.sizes["scan_x"]
    view = hv.DynamicMap(pn.bind(picture, slider)).opts(
        hv.opts.RGB(
            invert_yaxis=True,
            frame_width=460,
            frame_height=max(int(460 * ratio), 60),
            xlabel="scan_x [nm]",
            ylabel="scan_y [nm]",
            title="orientation above the threshold",
        )
    )
    return pn.Column(slider, readout, panes.HoloViews(view))


def _readout(orientations: xr.Dataset, threshold: float) -> str:
    return f"indexed above threshold: {100 * acom.reliable_fraction(orientations, threshold):.1f} % of pixels"


def masked(orientations: xr.Dataset, colours: xr.DataArray, threshold: float) -> xr.DataArray:
    """Colours (scan_y, scan_x, rgb), grey where the reliability is below the threshold or unknown."""
    from matplotlib.colors import to_rgb

    channel = str(colours.dims[-1])
    grey = xr.DataArray(list(to_rgb(BACKGROUND_GREY)), dims=channel)
    return colours.where((orientations.reliability >= threshold) & colours.notnull().all(channel), grey)
