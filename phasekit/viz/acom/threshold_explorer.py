"""Explorer of an orientation map: a reliability threshold, the share of pixels that pass it, and the map."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.schema import ORIENTATIONS, require

from ...deprecation import renamed_arguments
from ..explorer import Explorer, Slider
from ..style import BACKGROUND_GREY, image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@renamed_arguments(found="orientations")
def explorer(
    orientations: xr.Dataset, reliability: float = 15.0, *, direction: Literal["x", "y", "z"] = "z"
) -> Explorer:
    """Orientation map with a slider for the reliability threshold, and the share of the pixels that pass it.

    Parameters
    ----------
    orientations
        ORIENTATIONS.
    reliability
        Threshold at the start (0 to 100); maps are commonly taken as safe above about 15.
    direction
        Sample direction of the colours.

    Returns
    -------
    Explorer
        ``values`` holds the chosen ``threshold``, as :func:`phasekit.acom.reliable_fraction` takes it. This fraction is
        the number beside the map. In a run without a screen ``view`` is the same map as a figure.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    orientation_figure : The map with its keys.
    phasekit.acom.reliable_fraction : The number beside the map.

    Examples
    --------
    >>> import json
    >>> import phasekit as pk
    >>> pk.viz.setup(interactive=False)
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[40.0, 20.0]]) for n in ("reliability", "phase_reliability")}
    >>> maps |= {n: (scan, [[0, 0]]) for n in ("phase", "status")}
    >>> best = {"quaternion": ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 2])}
    >>> best["correlation"] = ((*scan, "match"), [[[0.9]] * 2])
    >>> orientations = xr.Dataset({**maps, **best}, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> explorer(orientations, reliability=30.0).view.axes[0].get_title()
    'indexed above threshold: 50.0 % of pixels'
    """
    require(orientations, ORIENTATIONS, step="explorer", argument="orientations")
    # In memory and coloured once: a slider that moves only changes which pixels are grey.
    data = orientations.compute()
    colours = acom.ipf_colours(data, direction=direction)

    def readout(threshold: float) -> str:
        return f"indexed above threshold: {100 * acom.reliable_fraction(data, threshold):.1f} % of pixels"

    def figure(threshold: float) -> "Figure":
        figure, axes = panels(1, 1, width=4.5, height=4.2)
        image(axes[0, 0], mask_unreliable(data, colours, threshold))
        axes[0, 0].set_title(readout(threshold), fontsize="medium")
        return figure

    # Useful thresholds lie below 60.
    slider = Slider("reliability threshold", 0, 60, 1, reliability, decimals=0)
    return Explorer(
        {"threshold": slider},
        readout=readout,
        picture=lambda threshold: _draw_colours(mask_unreliable(data, colours, threshold)),
        figure=figure,
    )


def _draw_colours(colours: xr.DataArray) -> Any:
    """Colours (scan_y, scan_x, rgb) as a HoloViews image."""
    import holoviews as hv

    element = hv.RGB((colours.scan_x.values, colours.scan_y.values, *np.moveaxis(colours.values, -1, 0)))
    ratio = colours.sizes["scan_y"] / colours.sizes["scan_x"]
    # A narrow scan keeps at least 60 pixels of height, else its axes would overlap.
    size = {"frame_width": 460, "frame_height": max(int(460 * ratio), 60)}
    axes = {"xlabel": "scan_x [nm]", "ylabel": "scan_y [nm]", "title": "orientation above the threshold"}
    return element.opts(hv.opts.RGB(invert_yaxis=True, **size, **axes))


def mask_unreliable(orientations: xr.Dataset, colours: xr.DataArray, threshold: float) -> xr.DataArray:
    """Set colours (scan_y, scan_x, rgb) to grey where the reliability is below the threshold or unknown."""
    from matplotlib.colors import to_rgb

    # Both conditions: a pixel may have an orientation of low reliability, or a colour that is NaN.
    channel = str(colours.dims[-1])
    grey = xr.DataArray(list(to_rgb(BACKGROUND_GREY)), dims=channel)
    return colours.where((orientations.reliability >= threshold) & colours.notnull().all(channel), grey)
