"""Which controls and views the explorer of an orientation map has, by the data that it was given."""

from typing import Any

from ..explorer import Choice, Slider, View
from ..style import round_length
from .pattern_views import ScanData, ScanViews
from .peak_preview import MOST_PEAKS, find_highest_prominence, read_search

#: Values of the peak search -> arguments in the notebook's parameter ``search``.
PARAMETERS = {
    "prominence": "search.min_prominence",
    "min_distance": "search.min_distance_px",
    "blur": "search.blur_px",
    "max_peaks": "search.max_peaks",
}
_SEARCH = ("prominence", "min_distance", "blur", "max_peaks")


def make_controls(data: ScanData, phases: list[str], poles: list[str]) -> dict[str, Any]:
    """Controls of the linked views, each with one sentence."""
    shown = ["orientation", "phase", "reliability", "status"]
    shown += ["virtual image"] if data.patterns is not None and data.found_peaks is not None else []
    controls: dict[str, Any] = {
        "show": Choice(
            "map", shown, "orientation", f"1 of {len(shown)} maps, under the cursor; all are of the same pixels."
        )
    }
    if data.patterns is not None:
        controls |= _make_pattern_controls(data)
    text = f"1 of {len(poles)} families of planes (h k l), each with all equivalent ones."
    controls["pole"] = Choice("pole figure", poles, poles[0], text)
    if len(phases) > 1:
        controls["pole_phase"] = Choice(
            "of the phase", phases, phases[0], f"1 of {len(phases)} phases; only its pixels have poles in the figure."
        )
    return controls


def _make_pattern_controls(data: ScanData) -> dict[str, Any]:
    controls: dict[str, Any] = {}
    if data.bank is not None:
        text = "Spots of 0, 1 or 2 orientations: the matched one and the second best."
        controls["template"] = Choice("template", ["none", "best", "best and second"], "best", text)
    # The sliders start where the given peaks were found.
    start, _ = read_search(data.found_peaks)
    top = max(8.0, 2 * start.prominence, find_highest_prominence(data.found_peaks))
    top = 10 * round_length(top / 4)  # a round number above it, in steps of a 200th
    text = "Counts that a peak must rise above its surroundings; 0: the noise decides."
    controls["prominence"] = Slider("least prominence", 0.0, top, top / 200, start.prominence, decimals=1, help=text)
    text = "Of two peaks nearer than this only the brighter is kept; 0: both."
    top = max(30.0, 2 * start.min_distance)
    controls["min_distance"] = Slider("least distance [px]", 0.0, top, 0.5, start.min_distance, decimals=1, help=text)
    text = "Width of the blur before the search; spots nearer than about 2 blurs are one. 0: from the disk size."
    controls["blur"] = Slider("blur [px]", 0.0, max(8.0, 2 * start.blur), 0.25, start.blur, help=text)
    text, top = (
        "At most this many peaks, the brightest; 150 keeps all of most patterns.",
        max(MOST_PEAKS, start.max_peaks),
    )
    controls["max_peaks"] = Slider("number of peaks", 1, top, 1, start.max_peaks, 0, text, is_whole=True)
    if data.found_peaks is not None:
        text = "A drawn box is the aperture: 1 circle, 1 ring or 2 opposite circles about the direct beam."
        controls["aperture_kind"] = Choice("aperture", ["circle", "ring", "Friedel pair"], "circle", text)
    return controls


def make_start(data: ScanData, pixel: tuple[int, int]) -> dict[str, Any]:
    """Values that gestures set, before the first gesture."""
    start: dict[str, Any] = {"pixel": pixel, "pins": [], "region": None, "pole_region": None}
    return start | ({"aperture": None} if data.patterns is not None else {})


def link_views(drawn: ScanViews, data: ScanData, controls: dict[str, Any]) -> dict[str, View]:
    """Views by name; a view needs only values that have a control or a gesture."""
    kinds = tuple(name for name in ("aperture_kind",) if name in controls)
    aperture = ("aperture",) if kinds else ()
    pole = tuple(name for name in ("pole", "pole_phase") if name in controls)
    needs = ("threshold", "show", "pins", *kinds, *aperture, *pole, "region", "pole_region")
    views = {"map": View(drawn.draw_map, needs, drawn.grid, cursor="pixel", pins="pins", outline="region")}
    if data.patterns is not None:
        settings = tuple(name for name in ("template", *_SEARCH) if name in controls)
        needs = ("pixel", *settings, *kinds, *aperture)
        views["pattern"] = View(drawn.draw_pattern, needs, drawn.detector, outline="aperture" if kinds else "")
    # The density takes seconds where all pixels differ, and the preview searches 256 patterns.
    needs = ("pixel", "threshold", *pole, "region", "pole_region")
    slow = ("threshold", *pole)
    figure = View(drawn.poles.draw_poles, needs, drawn.poles.grid, outline="pole_region", width=230, background=slow)
    views["pole figure"] = figure
    if data.patterns is not None:
        views["preview"] = View(drawn.preview.draw, _SEARCH, drawn.grid, width=230, background=_SEARCH)
    views["unit cell"] = View(drawn.poles.draw_cell, ("pixel",), height=230)
    return views
