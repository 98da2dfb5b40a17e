"""Figures of virtual imaging: detectors and their images, radial profiles, deflections."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from phasekit.schema import PATTERNS, require
from phasekit.viz.palettes import CURVE_COLOURS
from phasekit.viz.style import PHASE_COLOURS, image, panels

from .schema import DEFLECTION, RADIAL_SCAN, VIRTUAL_IMAGES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def detectors_figure(patterns: xr.Dataset, images: xr.Dataset) -> "Figure":
    """Mean pattern with the outlines of the virtual detectors, and the image of each detector.

    Parameters
    ----------
    patterns
        PATTERNS; lazy data are read once for the mean.
    images
        VIRTUAL_IMAGES of :func:`apply_detectors`.

    Returns
    -------
    matplotlib.figure.Figure
        The mean pattern (logarithmic), then one map per detector [counts].

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    apply_detectors : Makes the images.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> figure = detectors_figure(scan, pk.virtual.apply_detectors(scan, {"bright field": (0, 0.2)}))
    >>> [axis.get_title() for axis in figure.axes][:2]
    ['mean pattern', 'bright field']
    """
    require(patterns, PATTERNS, step="detectors_figure", argument="patterns")
    require(images, VIRTUAL_IMAGES, step="detectors_figure", argument="images")
    # An outline and the title of its image have the same colour.
    names = [str(name) for name in images["detector"].values]
    figure, axes = panels(1, 1 + len(names), width=3.2, height=2.9)
    mean = patterns["intensity"].mean(("scan_y", "scan_x")).compute()
    # Pixels without counts take the smallest positive mean, because a logarithm needs one.
    positive = mean.clip(min=float(mean.where(mean > 0).min()))
    logarithm = positive.copy(data=np.log10(positive.values))
    image(axes[0, 0], logarithm, label="log10 of counts")
    axes[0, 0].set_title("mean pattern", fontsize="medium")
    for number, name in enumerate(names):
        colour = PHASE_COLOURS[number % len(PHASE_COLOURS)]
        weight = images["weight"].isel(detector=number)
        # At one half the outline follows the radius, whatever the size of the pixels.
        axes[0, 0].contour(weight["qx"], weight["qy"], weight, levels=[0.5], colors=[colour], linewidths=1.2)
        image(axes[0, number + 1], images["virtual_image"].isel(detector=number).compute(), label="counts")
        axes[0, number + 1].set_title(name, fontsize="medium", color=colour)
    return figure


def radial_figure(profiles: xr.Dataset) -> "Figure":
    """Radial profile of the scan: mean, spread over the scan, and normalised variance.

    Parameters
    ----------
    profiles
        RADIAL_SCAN of :func:`compute_radial_profiles`.

    Returns
    -------
    matplotlib.figure.Figure
        Left: mean over the scan with its 10 % and 90 % quantiles. Right: variance over mean, which is 1 where there is
        nothing but counting noise.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    compute_radial_profiles : Makes the profiles.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> len(radial_figure(pk.virtual.compute_radial_profiles(scan)).axes)
    2
    """
    require(profiles, RADIAL_SCAN, step="radial_figure", argument="profiles")
    data = profiles.compute()
    scan = ("scan_y", "scan_x")
    figure, axes = panels(1, 2, width=4.4, height=3.0)
    radius = data["radius"].values
    # Quantiles, not a standard deviation: few patterns with a strong spot would widen it.
    mean, low, high = (
        data["radial_mean"].mean(scan),
        *(data["radial_mean"].quantile(share, scan) for share in (0.1, 0.9)),
    )
    left, right = axes[0]
    left.fill_between(radius, low, high, color=CURVE_COLOURS[1], alpha=0.4, label="10 % to 90 % of the scan")
    left.plot(radius, mean, color=CURVE_COLOURS[0], label="mean")
    left.set_yscale("log")
    left.set_ylabel("intensity [counts]")
    left.legend(frameon=False, fontsize="small")
    right.plot(radius, (data["radial_variance"] / data["radial_mean"]).mean(scan), color=CURVE_COLOURS[0])
    # Counting noise alone has a variance equal to the mean.
    right.axhline(1.0, color="grey", linestyle=":")
    right.set_ylim(bottom=0)
    right.set_ylabel("variance / mean [counts]")
    for axis in (left, right):
        axis.set_xlabel(f"distance from the direct beam [{data['radius'].attrs.get('units', 'px')}]")
    return figure


def deflection_figure(deflection: xr.Dataset) -> "Figure":
    """Maps of the centre of mass along y and x.

    Parameters
    ----------
    deflection
        DEFLECTION of :func:`compute_centre_of_mass`.

    Returns
    -------
    matplotlib.figure.Figure
        Two maps on one symmetric colour scale.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    compute_centre_of_mass : Makes the maps.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> len(deflection_figure(pk.virtual.compute_centre_of_mass(scan)).axes)
    4
    """
    require(deflection, DEFLECTION, step="deflection_figure", argument="deflection")
    data = deflection.compute()
    figure, axes = panels(1, 2, width=3.4, height=3.0)
    names = ("centre_of_mass_y", "centre_of_mass_x")
    # One pixel with few counts must not set the scale of the map.
    limit = max(float(abs(data[name]).quantile(0.99)) for name in names) or 1.0
    for axis, name in zip(axes[0], names, strict=True):
        unit = data[name].attrs["units"]
        image(axis, data[name], cmap="PuOr", vmin=-limit, vmax=limit, label=f"deflection [{unit}]")
        axis.set_title(f"along {name[-1]}", fontsize="medium")
    return figure
