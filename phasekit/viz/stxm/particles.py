"""Figures of results computed from a phase map: particles, profiles, composites, histograms."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.errors import SchemaError, StxmStatus
from phasekit.schema import (
    COMPOSITE,
    HISTOGRAM,
    PARTICLE_STATISTICS,
    PHASES,
    PROFILE,
    RADIAL_PROFILES,
    require,
)

from ..palettes import CURVE_COLOURS
from ..style import BACKGROUND_GREY, EDGE_GREY, PHASE_COLOURS, categorical, image, panels
from .maps import STATUS_COLOURS
from .particle_parts import add_key, draw_notes, draw_outlines, draw_share_bars, format_width, select_largest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def particle_figure(phases: xr.Dataset, particles: xr.Dataset, statistics: xr.Dataset) -> "Figure":
    """Phase map with the outlines of particles and domains, and one row of phase fractions and status per particle.

    Parameters
    ----------
    phases
        PHASES.
    particles
        PARTICLES of it.
    statistics
        PARTICLE_STATISTICS of both.

    Returns
    -------
    matplotlib.figure.Figure
        Left the map: particles outlined in black with their numbers, domains in white. Middle the phase fractions with
        their standard errors, mean composition and diameter. Right the shares of status. At most the 25 largest
        particles have a row.

    Raises
    ------
    SchemaError
        Other kinds of data.

    See Also
    --------
    phasekit.stxm.label_particles : Finds the particles.
    phasekit.stxm.particle_statistics : Makes the table.

    Examples
    --------
    >>> y, x = np.mgrid[:20, :20]
    >>> inside = np.hypot(y - 10, x - 10) < 8
    >>> phase = xr.DataArray(np.where(inside, x // 10, -1), dims=("scan_y", "scan_x"),
    ...                      coords={dim: (dim, np.arange(20) * 20.0, {"units": "nm"}) for dim in ("scan_y", "scan_x")})
    >>> full = phase.where(phase >= 0) * 0.0 + 1.0
    >>> phases = xr.Dataset({"phase": phase, "status": 1 * (phase < 0), "margin": full, "confidence": full,
    ...                      "composition": full, "pearson": full.expand_dims(reference=["Na3", "Na2"], axis=2)})
    >>> from phasekit import stxm
    >>> particles = stxm.label_particles(phases)
    >>> figure = particle_figure(phases, particles, stxm.particle_statistics(phases, particles))
    >>> [ax.get_title() for ax in figure.axes]
    ['1 particle, 2 phase domains', 'Phase fractions', 'Status']
    """
    require(phases, PHASES, step="particle_figure", argument="phases")
    if "particle" not in particles or "domain" not in particles:
        raise SchemaError("particle_figure: there is no 'particle' or 'domain'. pk.stxm.label_particles makes them.")
    if statistics.sizes.get("particle_number") != 0:  # a map without any particle is drawn, too
        require(statistics, PARTICLE_STATISTICS, step="particle_figure", argument="statistics")

    names = [str(name) for name in phases["reference"].values]
    largest = select_largest(statistics)
    # A row of text needs 0.26 inch.
    figure, axes = panels(1, 3, width=3.9, height=max(3.6, 0.8 + 0.26 * largest.sizes["particle_number"]))
    map_, bars, status = axes[0]
    categorical(map_, phases["phase"].compute(), names, background="no material")
    maps = particles[["particle", "domain"]].compute()
    # Domains first: where both outlines coincide, that of the particle is seen.
    draw_outlines(map_, maps["domain"].values, "white", 0.5)
    draw_outlines(map_, maps["particle"].values, "black", 1.0)
    for row in range(largest.sizes["particle_number"]):
        centroid = float(largest["centroid_x"][row]), float(largest["centroid_y"][row])
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
        map_.text(*centroid, str(int(largest["number"][row])), ha="center", va="center", fontsize="x-small", bbox=box)
    n, n_domains = statistics.sizes["particle_number"], int(maps["domain"].max()) + 1
    map_.set_title(f"{n} particle{'s' * (n != 1)}, {n_domains} phase domain{'s' * (n_domains != 1)}")
    colours = [PHASE_COLOURS[index % len(PHASE_COLOURS)] for index in range(len(names))]
    draw_share_bars(bars, largest, largest["phase_fraction"].values, colours, largest["phase_fraction_error"].values)
    draw_notes(bars, largest)
    bars.set(title="Phase fractions", ylabel="particle", xlabel="share of its area, with standard error")
    words = [code.name.lower().replace("_", " ") for code in StxmStatus]
    draw_share_bars(status, largest, largest["status_share"].values, STATUS_COLOURS, None)
    status.set(title="Status", xlabel="share of its pixels", yticklabels=[])
    # The key names only the words that occur.
    present = np.flatnonzero(largest["status_share"].values.sum(axis=0) > 0)
    add_key(status, [words[index] for index in present], [STATUS_COLOURS[index] for index in present])
    return figure


def profile_figure(profile: xr.Dataset, *, label: str = "composition x") -> "Figure":
    """Profile with its standard error and scatter, and the step fitted to it.

    Parameters
    ----------
    profile
        PROFILE of ``line_profile``, ``boundary_profile`` or ``fit_boundary_width``, or RADIAL_PROFILES of
        ``radial_profile``.
    label
        What the values are, for the axis; their unit is added.

    Returns
    -------
    matplotlib.figure.Figure
        Points with standard errors, a band of one standard deviation, the fit and its 10-90 % width. Radial profiles
        show each particle as a thin line, and their mean.

    Raises
    ------
    SchemaError
        Another kind of data.

    See Also
    --------
    phasekit.stxm.line_profile : A profile along a line.
    phasekit.stxm.boundary_profile : A profile across boundaries.

    Examples
    --------
    >>> values = ("distance", np.linspace(3, 2, 5))
    >>> data = {"profile": values, "profile_std": values, "profile_error": values, "n_pixels": values}
    >>> figure = profile_figure(xr.Dataset(data, {"distance": ("distance", np.arange(5.0), {"units": "nm"})}))
    >>> figure.axes[0].get_xlabel()
    'distance / nm'
    """
    radial = "depth" in profile.dims
    # A map without particles gives an empty profile, which is drawn, too; `require` refuses empty arrays.
    if not (radial and profile.sizes["particle_number"] == 0):
        require(profile, RADIAL_PROFILES if radial else PROFILE, step="profile_figure", argument="profile")
    figure, axes = panels(1, 1, width=5.0, height=3.4)
    ax = axes[0, 0]
    x, mean = ("depth", "pooled") if radial else ("distance", "profile")
    if radial:
        ax.plot(profile[x], profile["profile"].transpose("depth", ...), color="0.6", linewidth=0.7)
        ax.plot([], [], color="0.6", linewidth=0.7, label=f"each of {profile.sizes['particle_number']}")
    # The band is the scatter of the pixels, the bars the error of their mean: they differ by a factor of many.
    low, high = (profile[mean] + sign * profile[f"{mean}_std"] for sign in (-1, 1))
    line, dots = CURVE_COLOURS
    ax.fill_between(profile[x], low, high, color=dots, alpha=0.25, linewidth=0, label="± standard deviation")
    points: dict[str, Any] = {
        "color": dots,
        "marker": "o",
        "markersize": 3,
        "linestyle": "none",
        "capsize": 2,
    }
    name = "mean of all ± standard error" if radial else "mean ± standard error"
    ax.errorbar(profile[x], profile[mean], yerr=profile[f"{mean}_error"], label=name, **points)
    if "edge" in profile and bool(profile["edge"].notnull().any()):
        ax.plot(profile[x], profile["edge"], color=line, label="error function")
        ax.axvline(float(profile["edge_position"]), color=line, linewidth=0.8, linestyle=":")
        ax.set_title(format_width(profile), fontsize="medium")
    unit = str(profile[mean].attrs.get("units", "1"))
    ax.set(xlabel=f"{'depth under the surface' if radial else 'distance'} / nm")
    ax.set_ylabel(label if unit == "1" else f"{label} / {unit}")
    ax.legend(fontsize="small", frameon=False)
    return figure


def composite_figure(composite: xr.Dataset) -> "Figure":
    """Image of several amounts, one colour each, with the key of its colours.

    Parameters
    ----------
    composite
        COMPOSITE of :func:`phasekit.stxm.rgb_composite`.

    Returns
    -------
    matplotlib.figure.Figure
        Pixels that are not known are grey, pixels with none of the amounts black. The key names each channel, the
        mixtures of two, and the amount drawn at full colour.

    See Also
    --------
    phasekit.stxm.rgb_composite : Makes the image.

    Examples
    --------
    >>> data = {"rgb": (("scan_y", "scan_x", "rgb_channel"), np.zeros((4, 6, 3))), "full": ("channel", [1.0, 2.0]),
    ...         "colour": (("channel", "rgb_channel"), [[1.0, 0, 1], [0, 1, 0]])}
    >>> figure = composite_figure(xr.Dataset(data, {"channel": ["Na3", "Na1"]}))
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['Na3 (full at 1)', 'Na1 (full at 2)', 'Na3 + Na1', 'none of these', 'not known']
    """
    require(composite, COMPOSITE, step="composite_figure", argument="composite")
    from matplotlib.colors import to_rgb

    figure, axes = panels(1, 1, width=5.0, height=4.4)
    rgb = composite["rgb"].compute()
    image(axes[0, 0], rgb.where(rgb.notnull(), xr.DataArray(list(to_rgb(BACKGROUND_GREY)), dims="rgb_channel")))
    colour, full = composite["colour"].values, composite["full"].values
    names = [str(name) for name in composite["channel"].values]
    unit = str(composite["full"].attrs.get("units", "1"))
    texts = [
        f"{name} (full at {value:.3g}{'' if unit == '1' else ' ' + unit})"
        for name, value in zip(names, full, strict=True)
    ]
    # Mixtures are in the key, too: sums of colours are hard to predict.
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    texts += [f"{names[i]} + {names[j]}" for i, j in pairs]
    texts += ["none of these", "not known"]
    mixtures = [np.minimum(colour[i] + colour[j], 1) for i, j in pairs]
    add_key(axes[0, 0], texts, [*colour, *mixtures, "black", BACKGROUND_GREY])
    return figure


def histogram_figure(histogram: xr.Dataset, *, references: xr.Dataset | None = None) -> "Figure":
    """Histogram of the composition, stacked by status.

    Parameters
    ----------
    histogram
        HISTOGRAM of :func:`phasekit.stxm.composition_histogram`.
    references
        REFERENCES with ``composition``, drawn as vertical lines with their names. None: none.

    Returns
    -------
    matplotlib.figure.Figure
        Pixels with status ok at the bottom, then each other status; by area in um2, or volume in um3.

    See Also
    --------
    phasekit.stxm.composition_histogram : Counts the pixels.

    Examples
    --------
    >>> bins = {name: ("composition_bin", values) for name, values in (("bin_low", [0.0, 1]), ("bin_high", [1.0, 2]))}
    >>> both = ("composition_bin", "status_word")
    >>> histogram = xr.Dataset({"count": (both, [[1], [2]]), "weight": (both, [[1.0], [2]], {"units": "nm^2"}), **bins},
    ...                        {"status_word": ["ok"]})
    >>> histogram_figure(histogram).axes[0].get_ylabel()
    'area / µm²'
    """
    require(histogram, HISTOGRAM, step="histogram_figure", argument="histogram")

    figure, axes = panels(1, 1, width=5.4, height=3.4)
    ax = axes[0, 0]
    volume = histogram["weight"].attrs.get("units") == "nm^3"
    # nm3 or nm2 to um3 or um2, which give numbers of a few digits.
    weight = histogram["weight"].values * (1e-9 if volume else 1e-6)
    low, width = histogram["bin_low"].values, (histogram["bin_high"] - histogram["bin_low"]).values
    bottom = np.zeros(low.size)
    for index, word in enumerate(histogram["status_word"].values):
        # A status that does not occur gets no entry in the legend.
        if weight[:, index].any():
            style: dict[str, Any] = {"color": STATUS_COLOURS[index], "edgecolor": EDGE_GREY, "linewidth": 0.5}
            ax.bar(low, weight[:, index], width, bottom, align="edge", label=str(word).replace("_", " "), **style)
        bottom += weight[:, index]
    if references is not None and "composition" in references:
        # x in data, y in fractions of the axes: names stand above the frame whatever the bars.
        top = ax.get_xaxis_transform()
        for name, x in zip(references["reference"].values, references["composition"].values, strict=True):
            ax.axvline(float(x), color="0.5", linewidth=0.8, linestyle=":", zorder=0)
            ax.text(float(x), 1.01, str(name), transform=top, ha="center", va="bottom", fontsize="x-small")
    ax.set(xlabel="composition x", ylabel="volume / µm³" if volume else "area / µm²")
    ax.set_ylim(0, 1.08 * float(bottom.max()) or 1.0)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small", frameon=False)
    return figure
