"""Figure of cluster spectra beside the reference spectra they are labelled with."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.schema import CLUSTERS, REFERENCES, read_phase_names, renumber_phases, require

from ..palettes import CURVE_COLOURS
from ..style import PHASE_COLOURS, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_MARKERS = "os^Dv<>p"


def spectra_figure(clusters: xr.Dataset, refs: xr.Dataset, *, phases: xr.Dataset | None = None) -> "Figure":
    r"""Mean spectra of the clusters beside the references they are labelled with.

    Spectra are standardised over the energies of the data, as in Pearson's correlation:
    :math:`(D(E) - \bar D) / \sigma_D`. The thickness has no effect then.

    Parameters
    ----------
    clusters
        CLUSTERS.
    refs
        REFERENCES.
    phases
        PHASES made from them: each cluster is drawn in the panel of its ``cluster_phase``, and references are shifted
        by ``energy_offset``. ``None`` draws every cluster that has pixels in every panel.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per reference. Clusters without pixels are left out.

    See Also
    --------
    phasekit.stxm.assign_clusters : Makes the clusters.
    phasekit.stxm.label_phases : Finds the energy offset.

    Examples
    --------
    >>> import phasekit as pk
    >>> refs = pk.synthetic.vanadium_references([512.0, 516.0, 520.0])
    >>> map_ = xr.DataArray(np.zeros((2, 2)), dims=("scan_y", "scan_x"))
    >>> spectrum = refs["reference_spectrum"].rename(reference="cluster").drop_vars("cluster") * 0.2
    >>> clusters = xr.Dataset({"spectrum": spectrum, "label": map_,
    ...                        "responsibility": map_.expand_dims(cluster=5, axis=2)})
    >>> [ax.get_title() for ax in spectra_figure(clusters, refs).axes[:5]]
    ['Na3', 'Na2.4', 'Na2', 'Na1', 'Na0.5']
    """
    require(clusters, CLUSTERS, step="spectra_figure", argument="clusters")
    require(refs, REFERENCES, step="spectra_figure", argument="refs")
    names = [str(name) for name in refs["reference"].values]
    # Phases may come from a method without clusters or without a fit of the offset.
    offset = float(phases["energy_offset"]) if phases is not None and "energy_offset" in phases else 0.0
    assigned = None
    if phases is not None and "cluster_phase" in phases:
        # By name: the phases may have been labelled with fewer references than are drawn.
        given = read_phase_names(phases)
        assigned = np.asarray(renumber_phases(phases["cluster_phase"], given, names, step="spectra_figure")[0])
    columns = min(len(names), 3)
    figure, axes = panels(-(-len(names) // columns), columns, width=3.6, height=2.6)
    for index, (name, ax) in enumerate(zip(names, axes.flat, strict=False)):
        members = range(clusters.sizes["cluster"]) if assigned is None else np.flatnonzero(assigned == index)
        _draw_clusters(ax, clusters, members, None if assigned is None else PHASE_COLOURS[index % len(PHASE_COLOURS)])
        _draw_reference(ax, refs["reference_spectrum"].isel(reference=index), clusters["energy"], offset)
        own = "origin" in refs and int(refs["origin"][index]) == 1
        ax.set(title=f"{name} (from the data)" if own else name, xlabel="photon energy / eV", ylabel="OD, standardised")
        ax.legend(fontsize="x-small", loc="best")
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    return figure


def _draw_clusters(ax: "Axes", clusters: xr.Dataset, members: Iterable[int], phase_colour: str | None) -> None:
    """Standardised spectra of some clusters, with standard errors; in the colour of their phase where it is known."""
    for number, cluster in enumerate(members):
        spectrum = clusters["spectrum"].isel(cluster=int(cluster))
        # A cluster without pixels has no mean.
        if not bool(np.isfinite(np.asarray(spectrum)).all()):
            continue
        spread = spectrum.std("energy")
        error = clusters["spectrum_error"].isel(cluster=int(cluster)) / spread if "spectrum_error" in clusters else None
        # A colour means a phase; clusters of one phase differ by their markers.
        colour = phase_colour or CURVE_COLOURS[number % len(CURVE_COLOURS)]
        marker = _MARKERS[number % len(_MARKERS)]
        style: dict[str, Any] = {"marker": marker, "markersize": 4, "linewidth": 0.8, "color": colour}
        shape = (spectrum - spectrum.mean("energy")) / spread
        ax.errorbar(clusters["energy"], shape, yerr=error, label=f"cluster {int(cluster)}", **style)


def _draw_reference(ax: "Axes", spectrum: xr.DataArray, energies: xr.DataArray, offset: float) -> None:
    """The whole reference, standardised by its values at the energies of the data."""
    # Standardised over its own energies, a finer reference would not lie on the clusters' points.
    at_data = spectrum.interp(energy=energies.values + offset)
    axis = spectrum["energy"].values - offset
    inside = (axis >= energies.values.min()) & (axis <= energies.values.max())
    shape = (spectrum.values - float(at_data.mean())) / float(at_data.std())
    ax.plot(axis[inside], shape[inside], color="black", linewidth=1.2, alpha=0.6, label="reference", zorder=0)
