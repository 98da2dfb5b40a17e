"""The thresholds of margin and confidence under sliders: which pixels are then too close to call."""

from typing import TYPE_CHECKING, Any

import xarray as xr

from phasekit.errors import StxmStatus
from phasekit.schema import PHASES, require
from phasekit.stxm import ambiguous_fraction, flag_ambiguous

from ..live import Classes, live_map, slider_value
from ..setup import is_interactive
from ..style import PHASE_COLOURS, categorical, panels, scale_bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels that fall below the threshold.
AMBIGUOUS_GREY = "#4D4D4D"
_MARGIN, _CONFIDENCE = "margin threshold", "least confidence"


def explorer(phases: xr.Dataset, *, margin: float = 0.002, min_confidence: float = 0.75) -> Any:
    """Phase map with the pixels that are too close to call greyed, both thresholds under sliders.

    Parameters
    ----------
    phases
        PHASES, in memory.
    margin, min_confidence
        Thresholds at the start; in a headless run the only ones.

    Returns
    -------
    panel.Column or matplotlib.figure.Figure
        With :func:`phasekit.viz.setup` interactive: sliders "margin threshold" and "least confidence", map, and the
        share of ambiguous pixels as :func:`phasekit.stxm.ambiguous_fraction` gives it (css class ``pk-readout``).
        Headless: the same view as a figure.

    Raises
    ------
    SchemaError
        ``phases`` is no PHASES, or ``margin`` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": map_.expand_dims(reference=["Na3"], axis=2)})
    >>> explorer(phases, margin=0.2).axes[0].get_title()
    'ambiguous: 100.0 % of pixels'
    """
    require(phases, PHASES, step="explorer")
    if not is_interactive():
        return _static(phases, margin, min_confidence)
    import panel

    widgets: Any = panel.widgets  # only partly typed
    end = max(0.05, 2 * margin)
    sliders = [
        widgets.FloatSlider(label=_MARGIN, start=0.0, end=end, step=0.001, value=margin, format="0.000"),
        widgets.FloatSlider(label=_CONFIDENCE, start=0.0, end=1.0, step=0.01, value=min_confidence, format="0.00"),
    ]

    def classes(least: float, sure: float) -> Classes:
        return Classes("phase", _classes(phases, least, sure), _names(phases), _colours(phases))

    return live_map(sliders, classes, lambda least, sure: _readout(phases, least, sure))


def chosen_margin(view: Any, margin: float) -> float:
    """Margin threshold that was chosen in an explorer, as a plain number for the next cell.

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

    Examples
    --------
    >>> chosen_margin(None, 0.002)
    0.002
    """
    return slider_value(view, _MARGIN, margin)


def chosen_confidence(view: Any, min_confidence: float) -> float:
    """Least confidence that was chosen in an explorer, as a plain number for the next cell.

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

    Examples
    --------
    >>> chosen_confidence(None, 0.75)
    0.75
    """
    return slider_value(view, _CONFIDENCE, min_confidence)


def _readout(phases: xr.Dataset, margin: float, sure: float) -> str:
    return f"ambiguous: {100 * ambiguous_fraction(phases, margin, min_confidence=sure):.1f} % of pixels"


def _names(phases: xr.Dataset) -> list[str]:
    return [*(str(name) for name in phases["reference"].values), "ambiguous"]


def _colours(phases: xr.Dataset) -> list[str]:
    return [PHASE_COLOURS[i % len(PHASE_COLOURS)] for i in range(phases.sizes["reference"])] + [AMBIGUOUS_GREY]


def _classes(phases: xr.Dataset, margin: float, sure: float) -> xr.DataArray:
    """Index into ``_names``, -1 for background."""
    status = flag_ambiguous(phases, margin, min_confidence=sure)["status"]
    ambiguous = (status == StxmStatus.AMBIGUOUS) & (phases["phase"] >= 0)
    return phases["phase"].where(~ambiguous, phases.sizes["reference"])


def _static(phases: xr.Dataset, margin: float, sure: float) -> "Figure":
    figure, axes = panels(width=4.5, height=3.8)
    ax = axes[0, 0]
    categorical(ax, _classes(phases, margin, sure), _names(phases), colours=_colours(phases), background="background")
    ax.set_title(_readout(phases, margin, sure))
    if "scan_x" in phases.coords:
        scale_bar(ax, phases["scan_x"])
    return figure
