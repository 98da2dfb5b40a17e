"""Figures of orientation mapping: a pattern with its peaks, virtual images, orientation maps with their key, grains.

Numbers come from ``phasekit.acom``; here they are only drawn.
"""

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from phasekit import acom
from phasekit.errors import SchemaError
from phasekit.schema import (
    ORIENTATIONS,
    PATTERNS,
    PEAKS,
    VIRTUAL,
    read_phase_names,
    renumber_phases,
    require,
)

from ...deprecation import renamed_arguments
from ..palettes import EDGE_GREY, GRAIN_COLOURS, assign_grain_colours
from ..style import categorical, image, panels
from .colour_key import draw_colour_key
from .colour_mask import mask_unreliable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pattern_figure(
    patterns: xr.Dataset, peaks: xr.Dataset, *, scan_y: int = 0, scan_x: int = 0, power: float = 0.35
) -> "Figure":
    """One pattern on a power scale, and beside it the same with every found peak ringed.

    Parameters
    ----------
    patterns, peaks
        PATTERNS and the PEAKS found in them, not calibrated: both in the same coordinates.
    scan_y, scan_x
        Index of the pattern; only this one is read.
    power
        Grey values are intensity to this power: 1 shows the direct beam alone, 0.35 also spots a thousandth of it.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels; the ring's area grows with the logarithm of the peak's intensity.

    Raises
    ------
    SchemaError
        Other kinds of data, or peaks in another unit than the patterns.

    See Also
    --------
    phasekit.acom.find_peaks : Finds the peaks.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> axes = {n: (n, np.arange(32.0), {"units": "px"}) for n in ("qy", "qx")}
    >>> counts = np.random.default_rng(0).poisson(1, (1, 1, 32, 32))
    >>> data = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)}, axes)
    >>> len(pattern_figure(data, acom.find_peaks(data)).axes) >= 2
    True
    """
    from matplotlib.colors import PowerNorm

    require(patterns, PATTERNS, step="pattern_figure", argument="patterns")
    require(peaks, PEAKS, step="pattern_figure", argument="peaks")
    position = {"scan_y": scan_y, "scan_x": scan_x}
    # Calibrated peaks count from the direct beam and would be ringed in the wrong places.
    if "direct" in peaks or peaks.qx.attrs.get("units") != patterns.qx.attrs.get("units", "px"):
        raise SchemaError(
            "pattern_figure: the peaks are calibrated already, needs them in the unit of the patterns. "
            "Pass the result of find_peaks."
        )
    pattern, spots = patterns.intensity.isel(position).compute(), peaks.isel(position).compute()
    figure, axes = panels(1, 2, width=4.2, height=3.8)
    counts = pattern.clip(min=0).assign_attrs(long_name="intensity", units=patterns.intensity.attrs.get("units", ""))
    for axis, label in zip(axes[0], ("", None), strict=True):
        image(axis, counts, cmap="cividis", norm=PowerNorm(power, vmin=0, vmax=float(counts.max()) or 1), label=label)
    # Rows of peaks are filled up with NaN.
    valid = np.isfinite(spots.qx.values)
    size = 60 + 30 * np.log10(np.maximum(spots.intensity.values[valid], 1))
    ring: dict[str, Any] = {"s": size, "facecolors": "none", "edgecolors": "#FFFFFF", "linewidths": 0.9}
    axes[0, 1].scatter(spots.qx.values[valid], spots.qy.values[valid], **ring)
    axes[0, 0].set_title(f"pattern ({scan_y}, {scan_x})", fontsize="medium")
    axes[0, 1].set_title(f"{int(spots['count'])} peaks", fontsize="medium")
    axes[0, 1].set_ylabel("")
    return figure


def virtual_figure(images: xr.Dataset) -> "Figure":
    """Virtual images side by side: bright field, dark field, spot count and the threshold that was used.

    Parameters
    ----------
    images
        VIRTUAL, as ``pk.acom.virtual_images`` makes it.

    Returns
    -------
    matplotlib.figure.Figure
        Four maps with scale bars and colour bars.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.acom.virtual_images : Makes the images.

    Examples
    --------
    >>> maps = {v.name: (("scan_y", "scan_x"), np.eye(3)) for v in VIRTUAL.variables}
    >>> len(virtual_figure(xr.Dataset(maps)).axes)
    8
    """
    require(images, VIRTUAL, step="virtual_figure", argument="images")
    # The threshold is shown, too: where it is high, few spots say little.
    names = ("bright_field", "dark_field", "spot_count", "min_prominence")
    titles = ("bright field", "dark field", "spots", "adaptive threshold")
    figure, axes = panels(1, 4, width=3.0, height=2.8)
    for axis, name, title in zip(axes[0], names, titles, strict=True):
        unit = images[name].attrs.get("units", "")
        image(axis, images[name].compute(), label=unit if unit not in ("", "1") else "number")
        axis.set_title(title, fontsize="medium")
    return figure


@renamed_arguments(found="orientations")
def orientation_figure(
    orientations: xr.Dataset,
    truth: xr.Dataset | None = None,
    *,
    direction: Literal["x", "y", "z"] = "z",
    reliability: float = 0.0,
    ipf_key: Literal["tsl", "cvd"] = "tsl",
) -> "Figure":
    """Orientation, phase and reliability maps with the colour key, and the truth below where it is known.

    Parameters
    ----------
    orientations
        ORIENTATIONS. Pixels without an orientation are grey.
    truth
        Dataset with ``truth_quaternion(scan_y, scan_x, wxyz)`` and ``truth_phase``; drawn in the same colours. Its own
        ``attrs["phases"]`` name its phases, also those that ``orientations`` lacks ("not given" in the key).
    direction
        Sample direction whose place in the crystal gives the colour: ``"z"`` is the beam.
    reliability
        Pixels below this orientation reliability (0 .. 100) are grey in the orientation map.
    ipf_key
        ``"tsl"``: red, green, blue corners; ``"cvd"``: corners distinct for every kind of colour vision.

    Returns
    -------
    matplotlib.figure.Figure
        First row: orientation, phase, reliability, keys; second row with truth: orientation, phase.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.acom.ipf_colours : Computes the colours.
    explorer : The same map under a live threshold.

    Examples
    --------
    >>> from phasekit.crystals import crystal, phase_record
    >>> cell, scan = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)]), ("scan_y", "scan_x")
    >>> maps = {n: (scan, [[40.0, 20.0]]) for n in ("reliability", "phase_reliability")}
    >>> maps |= {n: (scan, [[0, 0]]) for n in ("phase", "status")}
    >>> best = {"quaternion": ((*scan, "match", "wxyz"), [[[[1.0, 0, 0, 0]]] * 2])}
    >>> best["correlation"] = ((*scan, "match"), [[[0.9]] * 2])
    >>> orientations = xr.Dataset({**maps, **best}, attrs={"phases": json.dumps([phase_record(cell)])})
    >>> [axis.get_title() for axis in orientation_figure(orientations).axes][:3]
    ['orientation (IPF-z)', 'phase', 'reliability']
    """
    require(orientations, ORIENTATIONS, step="orientation_figure", argument="orientations")
    records = _read_phases(orientations)
    names = [str(record["name"]) for record in records]
    true = None if truth is None else _make_true_orientations(truth, orientations)
    records = records if true is None else _read_phases(true)
    rows = 1 if truth is None else 2
    # Keys fill the columns at the right, from the first row on.
    columns = 3 + -(-len(records) // rows)
    figure, axes = panels(rows, columns, width=2.9, height=2.9)
    colours = acom.ipf_colours(orientations, direction=direction, ipf_key=ipf_key)
    image(axes[0, 0], mask_unreliable(orientations, colours, reliability).compute())
    axes[0, 0].set_title(f"orientation (IPF-{direction})", fontsize="medium")
    # No reliability means no orientation, whatever stands in the phase there.
    phase = orientations.phase.where(orientations.reliability.notnull(), -1)
    categorical(axes[0, 1], phase, names, background="not indexed")
    axes[0, 1].set_title("phase", fontsize="medium")
    image(axes[0, 2], orientations.reliability.compute(), vmin=0, label="reliability")
    axes[0, 2].set_title("reliability", fontsize="medium")
    for axis in axes[:, 3:].ravel():
        axis.set_axis_off()
    for axis, record in zip(axes[:, 3:].ravel(), records, strict=False):
        draw_colour_key(axis, record, ipf_key)
    if true is not None:
        image(axes[1, 0], mask_unreliable(true, acom.ipf_colours(true, direction=direction, ipf_key=ipf_key), 0.0))
        axes[1, 0].set_title(f"truth: orientation (IPF-{direction})", fontsize="medium")
        all_names = [*names, *(f"{record['name']} (not given)" for record in records[len(names) :])]
        categorical(axes[1, 1], true.phase, all_names, background="vacuum")
        axes[1, 1].set_title("truth: phase", fontsize="medium")
        axes[1, 2].set_axis_off()
    return figure


def grains_figure(grains: xr.Dataset) -> "Figure":
    """Grain map and the grain sizes beside it.

    Parameters
    ----------
    grains
        Dataset with ``grain(scan_y, scan_x)``, as ``pk.acom.label_grains`` makes it; negative: no grain.

    Returns
    -------
    matplotlib.figure.Figure
        The map, and the histogram of equivalent diameters (``diameter(grain_number)`` where it is there, else px).

    Raises
    ------
    SchemaError
        There is no variable ``grain``.

    See Also
    --------
    phasekit.acom.label_grains : Makes the grains.

    Examples
    --------
    >>> label = xr.Dataset({"grain": (("scan_y", "scan_x"), [[0, 0, 1], [0, -1, 1]])})
    >>> len(grains_figure(label).axes)
    2
    """
    if "grain" not in grains:
        raise SchemaError("grains_figure: there is no variable 'grain'. pk.acom.label_grains makes it.")
    label = np.asarray(grains.grain)
    n = int(label.max(initial=-1)) + 1
    figure, axes = panels(1, 2, width=3.6, height=3.2)
    # No legend: a colour says only that a grain is another one than its neighbours.
    palette = [GRAIN_COLOURS[i] for i in assign_grain_colours(label)] or GRAIN_COLOURS
    categorical(axes[0, 0], grains.grain, [str(i) for i in range(n)], colours=palette, legend=False)
    axes[0, 0].set_title(f"{n} grains", fontsize="medium")
    sizes = np.bincount(label[label >= 0].astype(int), minlength=n)
    measured = "diameter" in grains
    # Without a scale the diameter of the circle of equal area, in pixels.
    diameter = grains.diameter.values if measured else 2 * np.sqrt(sizes[sizes > 0] / np.pi)
    axes[0, 1].hist(diameter[np.isfinite(diameter)], bins=12, color="0.85", edgecolor=EDGE_GREY)
    axes[0, 1].set_xlabel(f"equivalent diameter [{grains.diameter.attrs.get('units', 'nm') if measured else 'px'}]")
    axes[0, 1].set_ylabel("grains")
    return figure


def _read_phases(orientations: xr.Dataset) -> list[dict[str, Any]]:
    """Records of the phases, from the attributes of the map."""
    if "phases" not in orientations.attrs:
        raise SchemaError("orientation_figure: attrs['phases'] is missing. pk.acom.match_orientations writes it.")
    return list(json.loads(orientations.attrs["phases"]))


def _make_true_orientations(truth: xr.Dataset, orientations: xr.Dataset) -> xr.Dataset:
    """Truth in the form of ORIENTATIONS, so that the same function colours both; phases numbered alike, by name."""
    out = orientations.isel(match=[0]).copy()
    out["quaternion"] = truth.truth_quaternion.expand_dims("match", axis=2)
    records = _read_phases(orientations)
    own = read_phase_names(truth)
    names = [str(record["name"]) for record in records]
    out["phase"], names = renumber_phases(truth.truth_phase, own, names, step="orientation_figure")
    # The colours of an orientation need the symmetry of its phase, also where the map lacks this phase.
    known = {str(record["name"]): record for record in [*(_read_phases(truth) if own else []), *records]}
    out.attrs["phases"] = json.dumps([known[name] for name in names])
    out["reliability"] = xr.full_like(orientations.reliability, 100.0).where(truth.truth_phase >= 0)
    return out
