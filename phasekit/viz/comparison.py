"""Figure of many results side by side."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError

from .palettes import CURVE_COLOURS
from .style import EDGE_GREY, PHASE_COLOURS, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def comparison_figure(table: xr.Dataset) -> "Figure":
    """Phase fractions, number of components and grain sizes of many results, one row for each result.

    Parameters
    ----------
    table
        What :func:`phasekit.batch.compare_results` returned.

    Returns
    -------
    matplotlib.figure.Figure
        One panel for each of the three that at least one result has. Bars of k carry the range that holds 90 % of the
        probability. Grain diameters are medians, with lines from the 10 % to the 90 % quantile.

    Raises
    ------
    SchemaError
        ``table`` is something else, or none of its results has any of the three.

    See Also
    --------
    phasekit.batch.compare_results : Makes the table.

    Examples
    --------
    >>> table = xr.Dataset({"phase_fraction": (("result", "phase"), [[0.2, 0.8]]), "k": ("result", [np.nan]),
    ...                     "grain_diameter": (("result", "quantile"), [[np.nan] * 3])},
    ...                    {"result": ["a"], "phase": ["Na3", "Na1"]})
    >>> [axis.get_title() for axis in comparison_figure(table).axes]
    ['Phases']
    """
    parts = {"phase_fraction": _draw_fractions, "k": _draw_components, "grain_diameter": _draw_diameters}
    if not set(parts) <= set(table.data_vars):
        raise SchemaError("comparison_figure: this is no table of results. pk.batch.compare_results makes one.")
    # Results of one workflow alone leave the columns of the others empty.
    found = {name: draw for name, draw in parts.items() if bool(table[name].notnull().any())}
    if not found:
        raise SchemaError("comparison_figure: no result holds phases, components or grains. Give other results.")
    rows = max(int(_select(table, name).sizes["result"]) for name in found)
    figure, axes = panels(1, len(found), width=4.4, height=1.6 + 0.35 * rows)
    for axis, (name, draw) in zip(axes[0], found.items(), strict=True):
        part = _select(table, name)
        draw(axis, part)
        axis.set_yticks(range(part.sizes["result"]), [str(one) for one in part["result"].values])
        axis.set_ylim(part.sizes["result"] - 0.5, -0.5)
    figure.set_label("Results side by side: phase fractions, number of components, grain diameters.")
    return figure


def _select(table: xr.Dataset, name: str) -> xr.Dataset:
    """Rows that have a value."""
    other = [dim for dim in table[name].dims if dim != "result"]
    return table.isel(result=np.flatnonzero(table[name].notnull().any(other).values))


def _draw_fractions(axis: "Axes", part: xr.Dataset) -> None:
    left = np.zeros(part.sizes["result"])
    for index, name in enumerate(part["phase"].values):
        width = part["phase_fraction"].isel(phase=index).values
        if not width.any():
            continue
        colour = PHASE_COLOURS[index % len(PHASE_COLOURS)]
        axis.barh(range(left.size), width, left=left, color=colour, edgecolor=EDGE_GREY, linewidth=0.5, label=str(name))
        left = left + width
    axis.set(title="Phases", xlabel="share of the pixels with a phase [1]", xlim=(0, 1))
    axis.legend(fontsize="small", ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.08), frameon=False)


def _draw_components(axis: "Axes", part: xr.Dataset) -> None:
    k = part["k"].values
    axis.barh(range(k.size), k, color="0.85", edgecolor=EDGE_GREY, linewidth=0.5)  # a colour would mean a phase
    if "k_low" in part and bool(part["k_low"].notnull().all()):
        range_ = np.stack([np.maximum(k - part["k_low"].values, 0), np.maximum(part["k_high"].values - k, 0)])
        axis.errorbar(k, range(k.size), xerr=range_, fmt="none", color="black", capsize=3)
    axis.set(title="Components", xlabel="number of components k")


def _draw_diameters(axis: "Axes", part: xr.Dataset) -> None:
    low, middle, high = part["grain_diameter"].transpose("quantile", "result").values
    spread = np.stack([middle - low, high - middle])
    axis.errorbar(middle, range(middle.size), xerr=spread, fmt="o", color=CURVE_COLOURS[0], capsize=3)
    unit = part["grain_diameter"].attrs.get("units", "nm")
    axis.set(title="Grains", xlabel=f"diameter, 10 % to 90 % [{unit}]")
    axis.set_xlim(left=0)
