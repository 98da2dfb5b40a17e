"""Figure of a planned scan: its energies and the predicted errors."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.schema import FORECAST, REFERENCES, require

from ..style import PHASE_COLOURS, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vP*X"
#: Error rates below this are drawn here: less than one pixel of a usual scan.
_FLOOR = 1e-5


def planning_figure(refs: xr.Dataset, energies: xr.DataArray, *, forecast: xr.Dataset | None = None) -> "Figure":
    """References with the chosen energies, and predicted errors over the number of energies and the dwell time.

    Parameters
    ----------
    refs
        REFERENCES.
    energies
        Chosen energies [eV], from :func:`phasekit.stxm.select_energies` or
        :func:`phasekit.stxm.select_energies_from_scan`.
    forecast
        FORECAST of the same references; ``None`` leaves the two panels on the right out.

    Returns
    -------
    matplotlib.figure.Figure
        Left the references, with a point on each at every chosen energy. Middle the mean error rate of the phases.
        Right the standard error of a share in a mixture of two. There is one line per dose, with the dwell time where
        the forecast has it. Rates below 1e-5 are drawn at 1e-5.

    Raises
    ------
    SchemaError
        Other kinds of data, or no energy lies within the references.

    See Also
    --------
    phasekit.stxm.select_energies : Chooses the energies.
    phasekit.stxm.predict_errors : Makes the forecast.

    Examples
    --------
    >>> import phasekit as pk
    >>> refs = pk.synthetic.vanadium_references()
    >>> forecast = pk.stxm.predict_errors(refs, [8, 12], photons=[300, 3000])
    >>> figure = planning_figure(refs, pk.stxm.select_energies(refs, 8), forecast=forecast)
    >>> [ax.get_title() for ax in figure.axes]
    ['8 energies', 'Wrong phase', 'Share of a phase']
    """
    require(refs, REFERENCES, step="planning_figure", argument="refs")
    # Energies chosen from a scan may lie outside the references, where nothing can be drawn.
    inside = _select_inside(refs, energies)
    if forecast is not None:
        require(forecast, FORECAST, step="planning_figure", argument="forecast")
    figure, axes = panels(1, 1 if forecast is None else 3, width=4.3, height=3.2)
    _draw_references(axes[0, 0], refs, inside)
    if forecast is not None:
        # The mean over the phases; a rate of zero has no place on a logarithmic axis.
        rate = forecast["error_rate"].mean("reference").clip(min=_FLOOR)
        _draw_error(axes[0, 1], rate, "Wrong phase", "mean error rate")
        _draw_error(axes[0, 2], forecast["share_error"], "Share of a phase", "standard error of a share")
        # One legend for both panels, which show the same doses.
        below: dict[str, Any] = {"loc": "outside lower right", "fontsize": "small", "title_fontsize": "small"}
        handles = axes[0, 2].get_lines()
        figure.legend(handles=handles, ncols=len(handles), title=_legend_title(forecast), frameon=False, **below)
    return figure


def _select_inside(refs: xr.Dataset, energies: xr.DataArray) -> xr.DataArray:
    """Chosen energies within those of the references, sorted; NaN is left out."""
    low, high = float(refs["energy"].min()), float(refs["energy"].max())
    values = np.asarray(energies, dtype=float).ravel()
    values = np.sort(values[(values >= low) & (values <= high)])
    if values.size == 0:
        raise SchemaError(
            f"planning_figure: no energy lies within the references' {low:g}..{high:g} eV. Give the references the "
            "energies were chosen with."
        )
    return xr.DataArray(values, dims="energy", coords={"energy": values})


def _draw_references(ax: "Axes", refs: xr.Dataset, chosen: xr.DataArray) -> None:
    """Reference spectra with a point on each at every chosen energy."""
    spectra = refs["reference_spectrum"].sortby("energy")
    # Lines behind the spectra: points alone are hard to assign to an energy.
    for energy in chosen.values:
        ax.axvline(energy, color="#999999", linewidth=0.6, zorder=0)
    for index, name in enumerate(spectra["reference"].values):
        colour = PHASE_COLOURS[index % len(PHASE_COLOURS)]
        spectrum = spectra.isel(reference=index)
        ax.plot(spectrum["energy"], spectrum, color=colour, linewidth=1.2, label=str(name))
        ax.plot(chosen, spectrum.interp(energy=chosen), color=colour, linestyle="none", marker="o", markersize=3.5)
    unit = str(spectra.attrs.get("units", "1"))
    label = "reference spectrum" if unit == "1" else f"reference spectrum / {unit.replace('1/um', '(1/µm)')}"
    ax.set(xlabel="photon energy / eV", ylabel=label, title=f"{chosen.size} energies")
    ax.legend(fontsize="x-small")


def _draw_error(ax: "Axes", error: xr.DataArray, title: str, label: str) -> None:
    """One line per dose; the colours go from weak (light) to strong (dark)."""
    from matplotlib import colormaps

    # From 15 % of the colour map on: its lightest colours are hardly seen on white. Markers help in grey print.
    n = error.sizes["photons"]
    for index in range(n):
        line = error.isel(photons=index)
        shade = colormaps["cividis_r"](0.15 + 0.85 * index / max(n - 1, 1))
        marker = _MARKERS[index % len(_MARKERS)]
        ax.plot(line["n_energies"], line, color=shade, marker=marker, markersize=4, label=_format_dose(line))
    ax.set(xlabel="number of energies", ylabel=label, title=title, yscale="log")
    ax.grid(visible=True, which="both", linewidth=0.3, alpha=0.5)


def _format_dose(line: xr.DataArray) -> str:
    """Photons, with the dwell time where the forecast has it."""
    photons = f"{float(line['photons']):g}"
    return f"{photons} ({float(line['dwell_ms']):g} ms)" if "dwell_ms" in line.coords else photons


def _legend_title(forecast: xr.Dataset) -> str:
    return "photons (dwell time)" if "dwell_ms" in forecast.coords else "photons per energy"
