"""Explorer of an orientation map: a reliability threshold, and the diffraction pattern under the cursor."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.schema import ORIENTATIONS, PATTERNS, PEAKS, TEMPLATES, require

from ...deprecation import renamed_arguments
from ..explorer import Explorer, Slider, View
from .colour_mask import mask_unreliable
from .linked_views import PARAMETERS, link_views, make_controls, make_start
from .pattern_views import ScanData, ScanViews
from .peak_preview import read_other_settings
from .pole_views import name_poles

__all__ = ["explorer", "mask_unreliable"]


@renamed_arguments(found="orientations")
def explorer(  # noqa: PLR0913 -- one argument for each dataset that is linked
    orientations: xr.Dataset,
    reliability: float = 15.0,
    *,
    direction: Literal["x", "y", "z"] = "z",
    patterns: xr.Dataset | None = None,
    found_peaks: xr.Dataset | None = None,
    peaks: xr.Dataset | None = None,
    bank: xr.Dataset | None = None,
    mask: Any = None,
    pole: Sequence[int] | None = None,
) -> Explorer:
    """Orientation map under a live reliability threshold, beside the diffraction pattern under the cursor.

    Parameters
    ----------
    orientations
        ORIENTATIONS.
    reliability
        Threshold at the start (0 to 100); maps are commonly taken as safe above about 15.
    direction
        Sample direction of the colours.
    patterns
        PATTERNS, lazy or not. With them the pattern under the cursor is shown, and its peaks under live settings. Only
        this pattern is read.
    found_peaks, peaks
        PEAKS in the coordinates of the patterns, and the same calibrated. The first also give virtual images, by an
        aperture that is drawn on the pattern.
    bank
        TEMPLATES: the spots of the best and the second-best solution are drawn over the pattern, with their indices.
    mask
        Bad detector pixels, as :func:`phasekit.acom.find_peaks` takes them.
    pole
        Miller indices of the pole figure at the start, as (1, 1, 1). With them or with ``patterns`` a pole figure and
        the unit cell at the cursor's pixel stand beside the map. What is drawn in the pole figure marks its pixels on
        the map, and what is drawn on the map marks its poles.

    Returns
    -------
    Explorer
        ``thresholds`` holds the chosen ``threshold``, as :func:`phasekit.acom.reliable_fraction` takes it. This
        fraction is the number beside the map. In a run without a screen ``view`` is a figure of the same views.

    Raises
    ------
    SchemaError
        Another kind of data, data of another scan, or indices that are no plane.

    See Also
    --------
    orientation_figure : The map with its keys.
    phasekit.acom.reliable_fraction : The number beside the map.
    phasekit.acom.pole_figure : The density of the poles.

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
    data = ScanData(orientations, patterns, found_peaks, peaks, bank, mask)
    _check_data(data)
    drawn = ScanViews(data, direction)
    controls: dict[str, Any] = {"threshold": make_threshold(reliability)}
    views = {"map": View(drawn.draw_map, ("threshold",), drawn.grid)}
    start: dict[str, Any] = {}
    if patterns is not None or pole is not None:
        controls |= make_controls(data, drawn.poles.names, name_poles(pole))
        start = make_start(data, _find_start(orientations))
        views = link_views(drawn, data, controls)
    return Explorer(
        controls,
        readout=partial(_format_share, orientations),
        views=views,
        thresholds=("threshold",),
        parameters={"threshold": "reliability", **(PARAMETERS if patterns is not None else {})},
        given={"search": others} if patterns is not None and (others := read_other_settings(found_peaks)) else {},
        start=start,
    )


def make_threshold(reliability: float) -> Slider:
    """Slider of the reliability, for the explorer and for the page of a result."""
    text = "Grey below this reliability (0 to 100): above about 15 a map is commonly taken as safe."
    # Useful thresholds lie below 60.
    return Slider("reliability threshold", 0, 60, 1, reliability, decimals=0, help=text)


def _format_share(orientations: xr.Dataset, threshold: float) -> str:
    return f"indexed above threshold: {100 * acom.reliable_fraction(orientations, threshold):.1f} % of pixels"


def _check_data(data: ScanData) -> None:
    shape = data.orientations["phase"].shape
    kinds = {"patterns": PATTERNS, "found_peaks": PEAKS, "peaks": PEAKS}
    for name, kind in kinds.items():
        one = getattr(data, name)
        if one is None:
            continue
        require(one, kind, step="explorer", argument=name)
        found = tuple(one.sizes[dim] for dim in ("scan_y", "scan_x"))
        if found != shape:
            raise SchemaError(f"explorer: '{name}' has {found} scan positions, the map {shape}. Give one scan.")
    if data.found_peaks is not None and "direct" in data.found_peaks:
        raise SchemaError(
            "explorer: 'found_peaks' is calibrated already, needs peaks in the coordinates of the patterns. Pass the "
            "result of find_peaks there, and that of calibrate_peaks as 'peaks'."
        )
    if data.bank is not None:
        require(data.bank, TEMPLATES, step="explorer", argument="bank")


def _find_start(orientations: xr.Dataset) -> tuple[int, int]:
    """Pixel of the highest reliability; the first one where nothing is indexed."""
    values = orientations["reliability"].values
    best = int(np.nanargmax(values)) if np.isfinite(values).any() else 0
    row, column = np.unravel_index(best, values.shape)
    return int(row), int(column)
