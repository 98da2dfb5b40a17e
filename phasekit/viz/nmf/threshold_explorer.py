"""Explorer of the overlap: a slider for the threshold of the weight ratio, and the map of the components."""

from typing import TYPE_CHECKING, Any

import xarray as xr

from phasekit.nmf import find_overlap, overlap_fraction
from phasekit.schema import FACTORS, require

from ..explorer import Classes, Explorer, Slider, draw_classes, make_colour_key, read_chosen_value
from ..style import PHASE_COLOURS, categorical, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Scan points where two components overlap.
OVERLAP_BLACK = "#000000"


def explorer(factors: xr.Dataset, threshold: float = 0.75, *, background: int | None = None) -> Explorer:
    """Component map with the overlapping scan points in black, and a slider for the threshold.

    Parameters
    ----------
    factors
        FACTORS, in memory.
    threshold
        Weight ratio at the start; in a headless run the only one.
    background
        As in :func:`phasekit.nmf.find_overlap`.

    Returns
    -------
    Explorer
        ``values`` holds the chosen ``threshold``. The number beside the map (css class ``pk-readout``) is
        :func:`phasekit.nmf.overlap_fraction`. In a run without a screen ``view`` is the same map as a figure.

    Raises
    ------
    SchemaError
        ``factors`` is not FACTORS, or the threshold is outside 0..1.

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
    n = factors.sizes["component"]
    names, colours = _class_names(n), _class_colours(n)

    def readout(threshold: float) -> str:
        return format_overlap(factors, threshold, background)

    def figure(threshold: float) -> "Figure":
        figure, axes = panels(width=4.5, height=4.0)
        draw_label_map(axes[0, 0], find_overlap(factors, threshold=threshold, background=background), n)
        axes[0, 0].set_title(readout(threshold))
        figure.set_label(f"Map of the dominant component, overlapping scan points in black; {readout(threshold)}.")
        return figure

    def picture(threshold: float) -> Any:
        # The step itself is called, so that the map and the next cell of the notebook agree.
        overlap = find_overlap(factors, threshold=threshold, background=background)
        return draw_classes(Classes("component", _classify_pixels(overlap, n), names, colours))

    # Below 0.3 nearly every point has a second component of that weight, by noise alone.
    slider = Slider("overlap threshold", 0.3, 1.0, 0.01, threshold)
    key = make_colour_key(names, colours)
    return Explorer({"threshold": slider}, readout=readout, picture=picture, figure=figure, key=key)


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
    categorical(ax, _classify_pixels(overlap, n), _class_names(n), colours=_class_colours(n), background="background")


def _classify_pixels(overlap: xr.Dataset, n: int) -> xr.DataArray:
    """Index into ``_class_names``: the component, ``n`` for overlap, -1 for background."""
    background = int(overlap.attrs["background"])
    label = overlap["label"].where(overlap["label"] != background, -1)
    return label.where(~overlap["overlap"], n)


# Overlap is one more class behind the components, and the background none.
def _class_names(n: int) -> list[str]:
    return [*(str(i) for i in range(n)), "overlap"]


def _class_colours(n: int) -> list[str]:
    return [PHASE_COLOURS[i % len(PHASE_COLOURS)] for i in range(n)] + [OVERLAP_BLACK]
