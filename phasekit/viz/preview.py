"""First look at a file, whatever it holds: an image, and the mean pattern or spectrum."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError

from .palettes import CURVE_COLOURS
from .style import image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def preview_figure(data: xr.Dataset) -> "Figure":
    """Draw a stack or a scan as it comes from its file: nothing is corrected, nothing fitted.

    Parameters
    ----------
    data
        STACK or PATTERNS; lazy data are read once.

    Returns
    -------
    matplotlib.figure.Figure
        STACK: the frame with the lowest mean, where the specimen absorbs most, and the mean counts over the energies.
        PATTERNS: the sum of every pattern as a map, and the mean pattern on a compressed grey scale.

    Raises
    ------
    SchemaError
        ``data`` is neither.

    See Also
    --------
    mask_figure : Bad detector pixels.

    Examples
    --------
    >>> counts = xr.DataArray(np.array([[[9.0, 9]], [[9, 1]]]), dims=("energy", "scan_y", "scan_x"))
    >>> stack = counts.assign_coords(energy=[510.0, 517.0]).to_dataset(name="intensity")
    >>> [axis.get_title() for axis in preview_figure(stack).axes[:2]]
    ['Frame at 517.0 eV', 'Mean over the frame']
    """
    dims = data["intensity"].dims if "intensity" in data else ()
    if set(dims) == {"energy", "scan_y", "scan_x"}:
        return _preview_stack(data["intensity"])
    if set(dims) == {"scan_y", "scan_x", "qy", "qx"}:
        return _preview_scan(data["intensity"])
    raise SchemaError(
        "preview_figure: this is neither an image stack nor a scan of patterns. Open a file with pk.io.open_stxm or "
        "pk.io.open_4dstem."
    )


def _preview_stack(counts: xr.DataArray) -> "Figure":
    spectrum = counts.mean(("scan_y", "scan_x")).compute()
    darkest = int(np.argmin(spectrum.values))
    figure, axes = panels(1, 2, width=4.2, height=3.3)
    image(axes[0, 0], counts.isel(energy=darkest).compute(), label="intensity")
    axes[0, 0].set_title(f"Frame at {float(spectrum['energy'][darkest]):.1f} eV")
    axes[0, 1].plot(spectrum["energy"], spectrum, marker=".", color=CURVE_COLOURS[0])
    axes[0, 1].set(xlabel="photon energy / eV", ylabel="mean intensity", title="Mean over the frame")
    figure.set_label("The frame at which the specimen absorbs most, and the mean intensity over the photon energy.")
    return figure


def _preview_scan(counts: xr.DataArray) -> "Figure":
    total = counts.sum(("qy", "qx"), dtype=float).compute()
    mean = counts.mean(("scan_y", "scan_x")).compute()
    figure, axes = panels(1, 2, width=4.2, height=3.3)
    image(axes[0, 0], total, label="sum of the pattern [counts]")
    axes[0, 0].set_title("Sum of every pattern")
    image(axes[0, 1], mean.clip(min=0) ** 0.5, label="(mean intensity [counts])^(1/2)")
    axes[0, 1].set_title("Mean pattern")
    figure.set_label("Map of the sum of every pattern, and the mean diffraction pattern of the scan.")
    return figure
