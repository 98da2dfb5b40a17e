"""Figures of the stack before phases are labelled: aligned frames and optical density."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError
from phasekit.schema import OD, STACK, require

from ..palettes import CURVE_COLOURS
from ..style import image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def alignment_figure(aligned: xr.Dataset, *, truth: xr.Dataset | None = None) -> "Figure":
    """Frame shifts that were corrected, and the aligned image averaged over the energies.

    Parameters
    ----------
    aligned
        STACK from :func:`phasekit.stxm.align`, with ``shift_y, shift_x (energy)`` [px].
    truth
        Dataset that may carry ``truth_shift_y, truth_shift_x``; they are drawn as open circles.

    Returns
    -------
    matplotlib.figure.Figure
        Left the shifts with their errors, right the mean image. Pixels not seen at every energy are grey.

    Raises
    ------
    SchemaError
        ``aligned`` carries no shifts.

    See Also
    --------
    phasekit.stxm.align : Finds the shifts.

    Examples
    --------
    >>> import phasekit as pk
    >>> stack = pk.synthetic.stxm_stack(shape=(24, 32), n_particles=2)
    >>> shifts = {name: stack[f"truth_{name}"] for name in ("shift_y", "shift_x")}
    >>> len(alignment_figure(stack.assign(shifts)).axes)
    3
    """
    require(aligned, STACK, step="alignment_figure", argument="aligned")
    if "shift_y" not in aligned or "shift_x" not in aligned:
        raise SchemaError("alignment_figure: there is no 'shift_y' or 'shift_x'. pk.stxm.align makes them.")
    # Both axes in one plot: a jump of a frame is usually seen in both.
    figure, axes = panels(1, 2, width=4.2)
    plot, map_ = axes[0]
    for name, colour in zip(("shift_y", "shift_x"), CURVE_COLOURS, strict=True):
        error = aligned.get("shift_error")
        plot.errorbar(aligned["energy"], aligned[name], yerr=error, color=colour, marker=".", label=f"{name[-1]} found")
        # Open circles around the points show agreement and disagreement at once.
        if truth is not None and f"truth_{name}" in truth:
            style: dict[str, Any] = {"marker": "o", "linestyle": "none", "markerfacecolor": "none"}
            plot.plot(truth["energy"], truth[f"truth_{name}"], color=colour, label=f"{name[-1]} true", **style)
    plot.set(xlabel="photon energy / eV", ylabel="frame shift / px", title="Frame drift")
    plot.legend(fontsize="small", ncols=2)
    # The mean shows whether the frames lie on each other: where they do not, edges are blurred.
    mean = aligned["intensity"].mean("energy")
    image(map_, mean.where(aligned["seen"]) if "seen" in aligned else mean, label="mean intensity / counts")
    map_.set_title("Aligned, mean over energies")
    return figure


def od_figure(od: xr.Dataset, *, energy: float | None = None) -> "Figure":
    """Optical density at one energy, its noise there, and the incident intensity it was computed with.

    Parameters
    ----------
    od
        OD from :func:`phasekit.stxm.optical_density`.
    energy
        Photon energy [eV]. The nearest one measured is drawn. ``None``: the one with the highest mean OD.

    Returns
    -------
    matplotlib.figure.Figure
        Pixels that are not valid are grey; the region that gave I0, where there is one, is outlined.

    See Also
    --------
    phasekit.stxm.optical_density : Computes it.

    Examples
    --------
    >>> import phasekit as pk
    >>> stack = pk.synthetic.stxm_stack(shape=(32, 48), n_particles=3, energies=[510.0, 517.0, 525.0])
    >>> len(od_figure(pk.stxm.optical_density(stack), energy=517.0).axes)
    5
    """
    require(od, OD, step="od_figure", argument="od")
    # Pixels that are not valid have extreme values, which would decide the energy and the scale.
    density = od["optical_density"].where(od["valid"])
    if energy is None:
        index = int(density.mean(("scan_y", "scan_x")).argmax("energy").compute())
    else:
        index = int(np.abs(od["energy"].values - energy).argmin())
    figure, axes = panels(1, 3, width=3.8)
    energy_text = f"{float(od['energy'][index]):.1f} eV"
    for ax, array, label in ((axes[0, 0], density, "optical density"), (axes[0, 1], od["noise"], "noise of OD")):
        image(ax, array.isel(energy=index).where(od["valid"]), label=label)
        ax.set_title(f"{label[0].upper()}{label[1:]} at {energy_text}")
    # I0 may also come from a separate scan: then there is no region.
    if "i0_region" in od:
        y, x = od["scan_y"], od["scan_x"]
        axes[0, 0].contour(x, y, od["i0_region"].astype(float), levels=[0.5], colors="white", linewidths=0.6)
    if "i0" in od:
        axes[0, 2].plot(od["energy"], od["i0"], marker=".", color=CURVE_COLOURS[0])
    axes[0, 2].set(xlabel="photon energy / eV", ylabel="incident intensity / counts", title="I0")
    return figure
