"""Figure of the thickness and of the tables it was computed with."""

from typing import TYPE_CHECKING

import xarray as xr

from phasekit.schema import THICKNESS, require

from ..style import PHASE_COLOURS, image, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def thickness_figure(thickness: xr.Dataset) -> "Figure":
    """Thickness, its two errors, and the tables it rests on.

    Parameters
    ----------
    thickness
        THICKNESS of :func:`phasekit.stxm.thickness_map` or :func:`phasekit.stxm.thickness_from_references`.

    Returns
    -------
    matplotlib.figure.Figure
        Maps in nm: thickness, standard error by noise, and with tables half their range and their absorption, the
        energies used marked. Not valid is grey.

    See Also
    --------
    phasekit.stxm.thickness_map : Computes the thickness.

    Examples
    --------
    >>> map_ = xr.DataArray(np.ones((4, 6)), dims=("scan_y", "scan_x"))
    >>> figure = thickness_figure(xr.Dataset({"thickness": map_, "thickness_error": map_}))
    >>> [ax.get_title() for ax in figure.axes[:2]]
    ['Thickness', 'Error by noise']
    """
    require(thickness, THICKNESS, step="thickness_figure")
    maps = {"Thickness": "thickness", "Error by noise": "thickness_error", "Spread of tables": "thickness_table_error"}
    drawn = {title: name for title, name in maps.items() if name in thickness}
    with_tables = "absorption" in thickness
    figure, axes = panels(2, 2, width=4.4, height=3.4) if with_tables else panels(1, len(drawn), width=4.4, height=3.4)
    for ax, (title, name) in zip(axes.flat, drawn.items(), strict=False):
        values = thickness[name].compute()
        top = float(values.quantile(0.995)) if bool(values.notnull().any()) else 1.0  # a few bad pixels hide the rest
        image(ax, values, label=f"{title.lower()} / nm", vmin=0, vmax=top)
        ax.set_title(title)
    if with_tables:
        _draw_tables(axes[1, 1], thickness)
    return figure


def _draw_tables(ax: "Axes", thickness: xr.Dataset) -> None:
    """Absorption by table, the energies used marked."""
    absorption, used = thickness["absorption"], thickness["used"].values.astype(bool)
    for index, name in enumerate(absorption["table"].values):
        colour = PHASE_COLOURS[(4, 5, 2)[index % 3]]
        line = absorption.isel(table=index)
        ax.plot(line["energy"], line, color=colour, marker=".", markersize=3, linewidth=0.9, label=str(name))
        ax.plot(line["energy"][used], line[used], color=colour, marker="o", markersize=6, linestyle="none", mfc="none")
    ax.plot([], [], color="0.3", marker="o", markersize=6, linestyle="none", mfc="none", label="used")
    ax.set(xlabel="photon energy / eV", ylabel="absorption / µm$^{-1}$", title="Tables")
    ax.legend(fontsize="small", frameon=False)
