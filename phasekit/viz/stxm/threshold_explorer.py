"""Explorer of a phase map: sliders for the thresholds of margin and confidence, and the ambiguous pixels."""

from typing import TYPE_CHECKING, Any

import xarray as xr

from phasekit.errors import StxmStatus
from phasekit.schema import PHASES, require
from phasekit.stxm import ambiguous_fraction, flag_ambiguous

from ..explorer import Classes, Explorer, Slider, draw_classes, make_colour_key, read_chosen_value
from ..style import PHASE_COLOURS, categorical, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels that fall below the threshold.
AMBIGUOUS_GREY = "#4D4D4D"


def explorer(phases: xr.Dataset, *, margin: float = 0.002, min_confidence: float = 0.75) -> Explorer:
    """Phase map with the ambiguous pixels in dark grey, and sliders for both thresholds.

    Parameters
    ----------
    phases
        PHASES, in memory.
    margin, min_confidence
        Thresholds at the start; in a headless run the only ones.

    Returns
    -------
    Explorer
        ``values`` holds the chosen ``margin`` and ``min_confidence``, as :func:`phasekit.stxm.flag_ambiguous` takes
        them. The number beside the map (css class ``pk-readout``) is :func:`phasekit.stxm.ambiguous_fraction`. In a run
        without a screen ``view`` is the same map as a figure.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is negative.

    See Also
    --------
    phasekit.stxm.flag_ambiguous : Takes the chosen thresholds.
    phase_figure : The map with its status.

    Examples
    --------
    >>> import numpy as np
    >>> import phasekit as pk
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> pk.viz.setup(interactive=False)
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> explorer(phases, margin=0.2).view.axes[0].get_title()
    'ambiguous: 100.0 % of pixels'
    """
    require(phases, PHASES, step="explorer", argument="phases")
    # Usual margins are a few thousandths, so the slider is fine and its range short.
    sliders = {
        "margin": Slider("margin threshold", 0.0, max(0.05, 2 * margin), 0.001, margin, decimals=3),
        "min_confidence": Slider("least confidence", 0.0, 1.0, 0.01, min_confidence),
    }
    names, colours = _class_names(phases), _class_colours(phases)

    def readout(margin: float, min_confidence: float) -> str:
        share = ambiguous_fraction(phases, margin, min_confidence=min_confidence)
        return f"ambiguous: {100 * share:.1f} % of pixels"

    def classify(margin: float, min_confidence: float) -> xr.DataArray:
        """Index into ``names``, -1 for background."""
        # The step itself is called, so that the map and the next cell of the notebook agree.
        status = flag_ambiguous(phases, margin, min_confidence=min_confidence)["status"]
        ambiguous = (status == StxmStatus.AMBIGUOUS) & (phases["phase"] >= 0)
        return phases["phase"].where(~ambiguous, phases.sizes["reference"])

    def figure(**thresholds: float) -> "Figure":
        figure, axes = panels(width=4.5, height=3.8)
        categorical(axes[0, 0], classify(**thresholds), names, colours=colours, background="background")
        axes[0, 0].set_title(readout(**thresholds))
        return figure

    return Explorer(
        sliders,
        readout=readout,
        picture=lambda **thresholds: draw_classes(Classes("phase", classify(**thresholds), names, colours)),
        figure=figure,
        key=make_colour_key(names, colours),
    )


def chosen_margin(view: Any, margin: float) -> float:
    """Read the margin threshold that was chosen in an explorer, as a plain number for the next cell.

    Parameters
    ----------
    view
        What :func:`explorer` returned.
    margin
        Answer in a headless run, where there is no slider.

    Returns
    -------
    float
        The slider's value, or ``margin``.

    See Also
    --------
    explorer : Its ``values`` replace this function.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     chosen_margin(None, 0.002)
    0.002
    """
    return read_chosen_value(view, "margin", margin, function="chosen_margin")


def chosen_confidence(view: Any, min_confidence: float) -> float:
    """Read the least confidence that was chosen in an explorer, as a plain number for the next cell.

    Parameters
    ----------
    view
        What :func:`explorer` returned.
    min_confidence
        Answer in a headless run, where there is no slider.

    Returns
    -------
    float
        The slider's value, or ``min_confidence``.

    See Also
    --------
    explorer : Its ``values`` replace this function.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     chosen_confidence(None, 0.75)
    0.75
    """
    return read_chosen_value(view, "min_confidence", min_confidence, function="chosen_confidence")


# Ambiguous pixels are one more class behind the references.
def _class_names(phases: xr.Dataset) -> list[str]:
    return [*(str(name) for name in phases["reference"].values), "ambiguous"]


def _class_colours(phases: xr.Dataset) -> list[str]:
    return [PHASE_COLOURS[i % len(PHASE_COLOURS)] for i in range(phases.sizes["reference"])] + [AMBIGUOUS_GREY]
