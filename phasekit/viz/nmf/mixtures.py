"""Figures of the probability of overlap, and of a mean overlapping pattern beside the sum of its two components."""

from typing import TYPE_CHECKING

import xarray as xr

from phasekit.schema import LOADINGS, OVERLAP, OVERLAP_PATTERN, require

from ...deprecation import renamed_arguments
from ..style import image, panels
from .threshold_explorer import draw_label_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def mixtures_figure(loadings: xr.Dataset, overlap: xr.Dataset) -> "Figure":
    """Overlap of two components, its probability, and the misfit of every pattern.

    Parameters
    ----------
    loadings
        LOADINGS of :func:`phasekit.nmf.fit_loadings`.
    overlap
        OVERLAP of :func:`phasekit.nmf.overlap_probability` for them.

    Returns
    -------
    matplotlib.figure.Figure
        Three maps. The first is the dominant component, with overlap (probability of at least one half) in black. The
        others are the probability, and chi-square per degree of freedom (1 is noise alone).

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.nmf.overlap_probability : Computes the probability.
    overlap_figure : Overlap by a threshold of the weight ratio.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> features = pk.nmf.to_features(scan)
    >>> factors = pk.nmf.factorise(features, 3)
    >>> loadings = pk.nmf.fit_loadings(features, factors)
    >>> len(mixtures_figure(loadings, pk.nmf.overlap_probability(loadings, factors)).axes)
    5
    """
    require(loadings, LOADINGS, step="mixtures_figure", argument="loadings")
    require(overlap, OVERLAP, step="mixtures_figure", argument="overlap")
    figure, axes = panels(1, 3, width=3.6, height=3.3)
    draw_label_map(axes[0, 0], overlap, loadings.sizes["component"])
    # The mean probability is the expected share, which counting the black points would not give.
    share = 100 * float(overlap["probability"].mean())
    axes[0, 0].set_title(f"overlap expected at {share:.1f} % of points", fontsize="medium")
    image(axes[0, 1], overlap["probability"], label="probability of overlap [1]", vmin=0, vmax=1)
    # At least 1.2: in a good fit the noise of chi-square itself must not fill the colour scale.
    top = max(float(loadings["chi_square"].quantile(0.99)), 1.2)
    image(axes[0, 2], loadings["chi_square"], label="chi-square per degree of freedom", vmin=0.8, vmax=top)
    axes[0, 2].set_title("what no component explains", fontsize="medium")
    figure.set_label("Dominant component with overlap in black, probability of overlap, and misfit of every pattern.")
    return figure


@renamed_arguments(found="pattern")
def overlap_pattern_figure(pattern: xr.Dataset) -> "Figure":
    """Mean pattern of overlapping points, the sum of its two components, each of them, and the residual.

    Parameters
    ----------
    pattern
        OVERLAP_PATTERN of :func:`phasekit.nmf.overlap_pattern`.

    Returns
    -------
    matplotlib.figure.Figure
        Five panels. The first four share one scale (square root). The residual has its own, symmetric about 0.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.nmf.overlap_pattern : Makes the patterns.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, detector=(32, 32), boundary_width=4)
    >>> factors = pk.nmf.separate_background(pk.nmf.factorise(pk.nmf.to_features(scan), 4))
    >>> figure = overlap_pattern_figure(pk.nmf.overlap_pattern(scan, factors, pk.nmf.find_overlap(factors)))
    >>> len(figure.axes)
    7
    """
    from matplotlib.colors import PowerNorm

    require(pattern, OVERLAP_PATTERN, step="overlap_pattern_figure", argument="pattern")
    first, second = pattern.attrs["pair"]
    figure, axes = panels(1, 5, width=2.3, height=2.5)
    # One scale for measured and modelled, without the few brightest pixels of the direct beam.
    norm = PowerNorm(0.5, vmin=0, vmax=float(pattern["measured"].quantile(0.998)))
    titles = {
        "measured": f"measured\nmean of {pattern.attrs['n_points']} points",
        "modelled": f"components {first} + {second}\ncosine {pattern.attrs['cosine']:.3f}",
        "first": f"component {first}",
        "second": f"component {second}",
    }
    for ax, (name, title) in zip(axes[0], titles.items(), strict=False):
        image(ax, pattern[name], cmap="cividis", norm=norm, label="counts per pattern" if name == "second" else "")
        ax.set_title(title, fontsize="small")
        ax.set_ylabel("" if name != "measured" else ax.get_ylabel())
    limit = float(abs(pattern["residual"]).quantile(0.995))
    image(axes[0, 4], pattern["residual"], cmap="PuOr", vmin=-limit, vmax=limit, label="counts per pattern")
    axes[0, 4].set_title("residual", fontsize="small")
    axes[0, 4].set_ylabel("")
    figure.set_label("Mean pattern of overlapping scan points beside the sum of the two components, and the residual.")
    return figure
