"""Figure of the thickness and of the absorption tables it was computed with."""

from typing import TYPE_CHECKING

import xarray as xr

from phasekit.schema import THICKNESS, require

from ..palettes import CURVE_COLOURS
from ..style import image, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def thickness_figure(thickness: xr.Dataset) -> "Figure":
    """Thickness, its two errors, and the absorption tables it was computed with.

    Parameters
    ----------
    thickness
        THICKNESS of :func:`phasekit.stxm.thickness_map` or :func:`phasekit.stxm.thickness_from_references`.

    Returns
    -------
    matplotlib.figure.Figure
        Maps in nm: thickness and its standard error by noise. With tables also half the range over them, and their
        absorption with the energies used. Pixels that are not valid are grey.

    See Also
    --------
    phasekit.stxm.thickness_map : Computes the thickness from tables.
    phasekit.stxm.thickness_from_references : Computes the thickness from reference spectra.

    Examples
    --------
    >>> import numpy as np
    >>> map_ = xr.DataArray(np.ones((4, 6)), dims=("scan_y", "scan_x"))
    >>> figure = thickness_figure(xr.Dataset({"thickness": map_, "thickness_error": map_}))
    >>> [ax.get_title() for ax in figure.axes[:2]]
    ['Thickness', 'Error by noise']
    """
    require(thickness, THICKNESS, step="thickness_figure", argument="thickness")
    maps = {"Thickness": "thickness", "Error by noise": "thickness_error", "Spread of tables": "thickness_table_error"}
    available = {title: name for title, name in maps.items() if name in thickness}
    # Thickness from reference spectra has no tables, and then neither their spread nor a fourth panel.
    with_tables = "absorption" in thickness
    figure, axes = (
        panels(2, 2, width=4.4, height=3.4) if with_tables else panels(1, len(available), width=4.4, height=3.4)
    )
    for ax, (title, name) in zip(axes.flat, available.items(), strict=False):
        image(ax, thickness[name].compute(), label=f"{title.lower()} / nm", vmin=0)
        ax.set_title(title)
    if with_tables:
        _draw_tables(axes[1, 1], thickness)
    return figure


def _draw_tables(ax: "Axes", thickness: xr.Dataset) -> None:
    """Absorption by table; open circles mark the energies used."""
    absorption, used = thickness["absorption"], thickness["used"].values.astype(bool)
    for index, name in enumerate(absorption["table"].values):
        colour = CURVE_COLOURS[index % 2]
        dashes = ("-", "--", ":", "-.")[index % 4]
        line = absorption.isel(table=index)
        ax.plot(line["energy"], line, color=colour, ls=dashes, marker=".", markersize=3, linewidth=0.9, label=str(name))
        ax.plot(line["energy"][used], line[used], color=colour, marker="o", markersize=6, linestyle="none", mfc="none")
    # An empty line gives the legend one entry for all circles.
    ax.plot([], [], color="0.3", marker="o", markersize=6, linestyle="none", mfc="none", label="used")
    ax.set(xlabel="photon energy / eV", ylabel="absorption / µm$^{-1}$", title="Tables")
    ax.legend(fontsize="small", frameon=False)
