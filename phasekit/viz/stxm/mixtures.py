"""Figure that shows whether a specimen is made of phases or of mixtures."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import PHASES, require

from ..style import EDGE_GREY, image, panels
from .maps import STATUS_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_N_BINS = 25
#: statuses that tell phases from mixtures; they are at the bottom of the bars
_FIRST = (StxmStatus.OK, StxmStatus.BOUNDARY_TRANSITION, StxmStatus.TRANSITION)


def mixture_figure(phases: xr.Dataset) -> "Figure":
    """Share of the main phase in every pixel, and how often each share occurs.

    Pixels of a specimen of sharp phases pile up at a share of 1; those below it lie on boundaries. A specimen of
    mixtures has a broad distribution, and its pixels are transitions.

    Parameters
    ----------
    phases
        PHASES with ``reference_fraction``.

    Returns
    -------
    matplotlib.figure.Figure
        Map of the largest fraction (grey: none), and its histogram by status.

    Raises
    ------
    SchemaError
        ``phases`` holds no ``reference_fraction``.

    See Also
    --------
    phasekit.stxm.label_phases : Makes the fractions.
    fraction_figure : Fractions of a fit without neighbours, one map for each reference.
    phase_figure : The phases and the status.

    Examples
    --------
    >>> map_ = xr.DataArray(np.zeros((4, 6), np.int8), dims=("scan_y", "scan_x"))
    >>> pearson = map_.expand_dims(reference=["Na3", "Na2"], axis=2)
    >>> phases = xr.Dataset({"phase": map_, "status": map_, "margin": map_ + 0.1, "confidence": map_ + 1.0,
    ...                      "composition": map_ + 3.0, "pearson": pearson, "reference_fraction": pearson + 0.5})
    >>> [ax.get_title() for ax in mixture_figure(phases).axes[:2]]
    ['Share of the main phase', 'Phases or mixtures']
    """
    require(phases, PHASES, step="mixture_figure", argument="phases")
    if "reference_fraction" not in phases:
        raise SchemaError(
            "mixture_figure: there is no 'reference_fraction'. Make the map again with pk.stxm.label_phases."
        )
    largest = phases["reference_fraction"].max("reference")
    figure, axes = panels(1, 2, width=4.4, height=3.4)
    image(axes[0, 0], largest, label="largest fraction", vmin=0.5, vmax=1.0)
    axes[0, 0].set_title("Share of the main phase")
    _draw_histogram(axes[0, 1], largest.values, phases["status"].values)
    return figure


def _draw_histogram(ax: "Axes", largest: np.ndarray, status: np.ndarray) -> None:
    """Stacked bars of the largest fraction (y, x) by status (y, x), in the colours of the status map."""
    is_counted = np.isfinite(largest)
    order = [*_FIRST, *(code for code in StxmStatus if code not in _FIRST)]
    groups = {code.name.lower().replace("_", " "): (status == code, STATUS_COLOURS[code]) for code in order}
    edges = np.linspace(0.5, 1.0, _N_BINS + 1)  # the larger part of two
    bottom = np.zeros(_N_BINS)
    for name, (those, colour) in groups.items():
        count = np.histogram(largest[those & is_counted], bins=edges)[0]
        if count.any():
            ax.bar(
                edges[:-1], count, np.diff(edges), bottom, align="edge", color=colour, edgecolor=EDGE_GREY, label=name
            )
        bottom += count
    ax.set_xlabel("largest fraction")
    ax.set_ylabel("pixels")
    ax.set_title("Phases or mixtures")
    if bottom.any():
        ax.legend(frameon=False, loc="upper left")
