"""Explorer of an orientation map: a reliability threshold, and the diffraction pattern under the cursor."""

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.schema import ORIENTATIONS, PATTERNS, PEAKS, TEMPLATES, require

from ...deprecation import renamed_arguments
from ..explorer import Choice, Explorer, Slider, View
from .colour_mask import mask_unreliable
from .pattern_views import ScanData, ScanViews

__all__ = ["explorer", "mask_unreliable"]


@renamed_arguments(found="orientations")
def explorer(
    orientations: xr.Dataset,
    reliability: float = 15.0,
    *,
    direction: Literal["x", "y", "z"] = "z",
    patterns: xr.Dataset | None = None,
    found_peaks: xr.Dataset | None = None,
    peaks: xr.Dataset | None = None,
    bank: xr.Dataset | None = None,
    mask: Any = None,
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

    Returns
    -------
    Explorer
        ``thresholds`` holds the chosen ``threshold``, as :func:`phasekit.acom.reliable_fraction` takes it. This
        fraction is the number beside the map. In a run without a screen ``view`` is a figure of the same views.

    Raises
    ------
    SchemaError
        Another kind of data, or data of another scan.

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
    data = ScanData(orientations, patterns, found_peaks, peaks, bank, mask)
    _check_data(data)
    drawn = ScanViews(data, direction)
    controls: dict[str, Any] = {"threshold": make_threshold(reliability)}
    views = {"map": View(drawn.draw_map, ("threshold",), drawn.grid)}
    start: dict[str, Any] = {}
    if patterns is not None:
        controls |= _make_controls(found_peaks is not None, bank is not None)
        start = {"pixel": _find_start(orientations), "pins": [], "aperture": None}
        views = _link_views(drawn, controls)
    return Explorer(
        controls,
        readout=partial(_format_share, orientations),
        views=views,
        thresholds=("threshold",),
        parameters={"threshold": "reliability"},
        start=start,
    )


def make_threshold(reliability: float) -> Slider:
    """Slider of the reliability, for the explorer and for the page of a result."""
    text = "Grey below this reliability (0 to 100): above about 15 a map is commonly taken as safe."
    # Useful thresholds lie below 60.
    return Slider("reliability threshold", 0, 60, 1, reliability, decimals=0, help=text)


def _make_controls(has_peaks: bool, has_bank: bool) -> dict[str, Any]:
    shown = ["orientation", "phase", "reliability", "status", *(["virtual image"] if has_peaks else [])]
    controls: dict[str, Any] = {
        "show": Choice(
            "map", shown, "orientation", f"1 of {len(shown)} maps, under the cursor; all are of the same pixels."
        )
    }
    if has_bank:
        text = "Spots of 0, 1 or 2 orientations: the matched one and the second best."
        controls["template"] = Choice("template", ["none", "best", "best and second"], "best", text)
    text = "Counts that a peak must rise above its surroundings; 0: the noise decides."
    controls["prominence"] = Slider("least prominence", 0.0, 20.0, 0.1, 0.0, decimals=1, help=text)
    text = "Width of the blur before the search; spots nearer than about 2 blurs are one. 0: from the disk size."
    controls["blur"] = Slider("blur [px]", 0.0, 8.0, 0.25, 0.0, help=text)
    text = "At most this many peaks, the brightest; 150 keeps all of most patterns."
    controls["max_peaks"] = Slider("number of peaks", 1, 150, 1, 150, decimals=0, help=text, is_whole=True)
    if has_peaks:
        text = "A drawn box is the aperture: 1 circle, 1 ring or 2 opposite circles about the direct beam."
        controls["aperture_kind"] = Choice("aperture", ["circle", "ring", "Friedel pair"], "circle", text)
    return controls


def _link_views(drawn: ScanViews, controls: dict[str, Any]) -> dict[str, View]:
    kinds = tuple(name for name in ("aperture_kind",) if name in controls)
    # A view may need only values that have a control, and some controls are left out.
    settings = tuple(name for name in ("template", "prominence", "blur", "max_peaks") if name in controls)
    aperture = ("aperture",) if kinds else ()
    map_ = View(
        drawn.draw_map, ("threshold", "show", "pins", *kinds, *aperture), drawn.grid, cursor="pixel", pins="pins"
    )
    needs = ("pixel", *settings, *kinds, *aperture)
    return {
        "map": map_,
        "pattern": View(drawn.draw_pattern, needs, drawn.detector, outline="aperture" if kinds else ""),
    }


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
