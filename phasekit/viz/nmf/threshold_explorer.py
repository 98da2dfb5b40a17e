"""Explorer of components: the threshold of the overlap, the number of components, and the pattern of a pixel."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.nmf import overlap_fraction
from phasekit.schema import FACTORS, PATTERNS, RANKS, require

from ..explorer import Choice, Explorer, Slider, View, read_chosen_value
from ..palettes import list_component_classes
from ..style import STATUS_COLOURS, categorical
from .component_views import ComponentViews, draw_votes

#: Scan points where two components overlap.
OVERLAP_BLACK = STATUS_COLOURS["overlap"]


def explorer(
    factors: xr.Dataset,
    threshold: float = 0.75,
    *,
    background: int | None = None,
    patterns: xr.Dataset | None = None,
    fits: Mapping[int, xr.Dataset] | None = None,
    ranks: xr.Dataset | None = None,
) -> Explorer:
    """Component map with the overlapping scan points in black, under a live threshold, beside the pattern of a pixel.

    Parameters
    ----------
    factors
        FACTORS, in memory.
    threshold
        Weight ratio at the start; in a headless run the only one.
    background
        As in :func:`phasekit.nmf.find_overlap`.
    patterns
        PATTERNS that were factorised. With them the pattern under the cursor is shown beside its model, its residual in
        standard errors and its weights. Only this pattern is read.
    fits
        FACTORS by number of components, as of :func:`phasekit.nmf.factorise_ranks`: a slider over k. The background of
        other numbers than that of ``factors`` is proposed anew.
    ranks
        RANKS: probability of each k, and the votes of the rules.

    Returns
    -------
    Explorer
        ``thresholds`` holds the chosen ``threshold``, ``values`` this and whatever else was chosen. The number beside
        the map (css class ``pk-readout``) is :func:`phasekit.nmf.overlap_fraction`. In a run without a screen ``view``
        is a figure of the same views.

    Raises
    ------
    SchemaError
        ``factors`` is not FACTORS, the threshold is outside 0..1, or other data do not fit it.

    See Also
    --------
    phasekit.nmf.find_overlap : Takes the chosen threshold.
    overlap_figure : The map with its evolution.

    Examples
    --------
    >>> import phasekit as pk
    >>> pk.viz.setup(interactive=False)
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> explorer(pk.nmf.truth_as_factors(scan), 1.0).view.axes[0].get_title()
    'overlap: 0.0 % of pixels'
    """
    require(factors, FACTORS, step="explorer", argument="factors")
    k, all_fits = factors.sizes["component"], dict(fits or {})
    _check_data(factors, patterns, all_fits)
    # In memory, so that the slider of k waits for no file. The given factors replace a fit of the same k.
    all_fits = {int(n): all_fits[n].compute() for n in sorted(all_fits)} | {k: factors}
    drawn = ComponentViews(all_fits, patterns, {k: background})
    controls: dict[str, Any] = {"threshold": make_threshold(threshold)}
    views = {"map": View(drawn.draw_map, ("threshold",), drawn.grid)}
    start: dict[str, Any] = {}
    if len(all_fits) > 1:
        controls["k"] = _make_k_slider(all_fits, k)
    if patterns is not None or len(all_fits) > 1:
        controls |= _make_choices(max(all_fits), patterns is not None)
        start = {"pixel": _find_start(factors), "pins": [], "component": (0, 0)}
        views = _link_views(drawn, controls)
    if ranks is not None:
        require(ranks, RANKS, step="explorer", argument="ranks")
        views["votes"] = View(partial(draw_votes, ranks), tuple(n for n in ("k",) if n in controls), height=200)
    return Explorer(
        controls,
        readout=partial(_read_overlap, all_fits, {k: background}, k),
        views=views,
        thresholds=("threshold",),
        readout_needs=tuple(n for n in ("threshold", "k") if n in controls),
        parameters={"k": "n_components"} if "k" in controls else {},
        start=start,
    )


def make_threshold(threshold: float) -> Slider:
    """Slider of the overlap, for the explorer and for the page of a result."""
    text = "Overlap where the second weight is at least this part of the first: 0.75 as published, 0.95 nearly equal."
    # Below 0.3 nearly every point has a second component of that weight, by noise alone.
    return Slider("overlap threshold", 0.3, 1.0, 0.01, threshold, help=text)


def _make_k_slider(fits: Mapping[int, xr.Dataset], k: int) -> Slider:
    text = f"Number of components, {min(fits)} to {max(fits)} were fitted."
    return Slider("components k", min(fits), max(fits), 1, k, decimals=0, help=text, is_whole=True)


def _make_choices(k: int, has_patterns: bool) -> dict[str, Choice]:
    shown = ["components", "weight", "evolution", "composite"]
    text = (
        "weight: of the 1 component chosen in the gallery; evolution: highest threshold that finds overlap, 70 to 95 %."
    )
    choices = {"show": Choice("map", shown, "components", text)}
    numbers = ["none", *(str(i) for i in range(k))]
    for place, channel in enumerate(("red", "green", "blue")):
        # With fewer than three components the last one is taken again.
        start = numbers[min(place + 1, k)]
        choices[channel] = Choice(channel, numbers, start, f"1 of {k} in the composite")
    if has_patterns:
        text = "model: sum of the components; residual: measured less model, -4 to 4 standard errors of the counts."
        choices["pattern"] = Choice("pattern", ["measured", "model", "residual"], "measured", text)
    return choices


def _link_views(drawn: ComponentViews, controls: Mapping[str, Any]) -> dict[str, View]:
    own = tuple(name for name in controls if name != "pattern")
    k = tuple(name for name in ("k",) if name in controls)
    views = {
        "map": View(drawn.draw_map, (*own, "component", "pins"), drawn.grid, cursor="pixel", pins="pins"),
        "gallery": View(drawn.draw_gallery, k, drawn.make_gallery_grid(), cursor="component", width=700),
        "loadings": View(drawn.draw_loadings, ("pixel", "threshold", *k), height=180),
    }
    if "pattern" in controls:
        pattern = View(drawn.draw_pattern, ("pixel", "pattern", *k), drawn.detector)
        views = {"map": views["map"], "pattern": pattern, "gallery": views["gallery"], "loadings": views["loadings"]}
    return views


def _read_overlap(
    fits: Mapping[int, xr.Dataset], given: Mapping[int, int | None], start: int, threshold: float, k: int | None = None
) -> str:
    chosen = start if k is None else k
    return format_overlap(fits[chosen], threshold, given.get(chosen))


def _check_data(factors: xr.Dataset, patterns: xr.Dataset | None, fits: Mapping[int, xr.Dataset]) -> None:
    others = {f"fits[{k}]": one for k, one in fits.items()}
    if patterns is not None:
        require(patterns, PATTERNS, step="explorer", argument="patterns")
        others["patterns"] = patterns
    for name, data in others.items():
        if name != "patterns":
            require(data, FACTORS, step="explorer", argument=name)
        sizes = [tuple(one.sizes[dim] for dim in ("scan_y", "scan_x", "qy", "qx")) for one in (data, factors)]
        if sizes[0] != sizes[1]:
            raise SchemaError(f"explorer: '{name}' has the sizes {sizes[0]}, the factors {sizes[1]}. Give one scan.")


def _find_start(factors: xr.Dataset) -> tuple[int, int]:
    """Scan point with the largest total weight."""
    total = np.nan_to_num(factors["loading"].sum("component").values)
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    return int(row), int(column)


def chosen_threshold(view: Any, threshold: float) -> float:
    """Read the threshold that was chosen in an explorer, as a plain number for the next cell.

    Parameters
    ----------
    view
        What :func:`explorer` returned.
    threshold
        Answer in a headless run, where there is no slider.

    Returns
    -------
    float
        The slider's value, or ``threshold``.

    See Also
    --------
    explorer : Its ``values`` replace this function.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     chosen_threshold(None, 0.75)
    0.75
    """
    return read_chosen_value(view, "threshold", threshold, function="chosen_threshold")


def format_overlap(factors: xr.Dataset, threshold: float, background: int | None = None) -> str:
    """Format the number beside the map."""
    return f"overlap: {100 * overlap_fraction(factors, threshold, background=background):.1f} % of pixels"


def draw_label_map(ax: Any, overlap: xr.Dataset, n: int) -> None:
    """Draw the dominant component of an OVERLAP, overlap in black, background in grey."""
    background = int(overlap.attrs["background"])
    names, colours = list_component_classes(n, background)
    # Components behind the last colour share one class; overlap is the class behind them, and background none.
    label = overlap["label"].where(overlap["label"] != background, -1).clip(max=len(names) - 1)
    classes = label.where(~overlap["overlap"], len(names))
    categorical(ax, classes, [*names, "overlap"], colours=[*colours, OVERLAP_BLACK], background="background")
