"""Figures of features, components and their overlap. All numbers come from ``phasekit.nmf``."""

from typing import TYPE_CHECKING, Any

import xarray as xr

from phasekit.errors import SchemaError
from phasekit.nmf import find_overlap, match_components, overlap_evolution, relabel, truth_as_factors
from phasekit.schema import CRYSTAL_GROUPS, FACTORS, PATTERNS, require

from ..style import STATUS_COLOURS, categorical, image, panels
from .threshold_explorer import draw_label_map, format_overlap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def features_figure(patterns: xr.Dataset, mask: xr.DataArray) -> "Figure":
    """Mean pattern of the scan, and the detector pixels that are masked.

    Parameters
    ----------
    patterns
        PATTERNS; lazy data are read once.
    mask
        ``(qy, qx)`` flags of :func:`phasekit.nmf.find_detector_mask`.

    Returns
    -------
    matplotlib.figure.Figure
        The mean pattern (logarithmic), and a map of the direct beam, dead and hot pixels.

    Raises
    ------
    SchemaError
        ``patterns`` is not PATTERNS.

    See Also
    --------
    phasekit.nmf.find_detector_mask : Makes the mask.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(32, 32))
    >>> len(features_figure(scan, pk.nmf.find_detector_mask(scan)).axes)
    3
    """
    from matplotlib.colors import LogNorm

    require(patterns, PATTERNS, step="features_figure", argument="patterns")
    mean = patterns["intensity"].mean(("scan_y", "scan_x")).compute()
    figure, axes = panels(1, 2, width=4.0, height=3.4)
    # Pixels that counted once in the whole scan would stretch the logarithmic scale.
    bottom = float(mean.where(mean > 0).quantile(0.01))
    norm = LogNorm(vmin=bottom, vmax=max(float(mean.max()), 2 * bottom), clip=True)
    image(axes[0, 0], mean, norm=norm, label="mean intensity [counts]")
    words = {
        "used": "ok",
        "direct beam": "no_reference",
        "dead": "overlap",
        "hot": "false_assignment",
        "beam stop": "too_thick",
    }
    colours = [STATUS_COLOURS[word] for word in words.values()]  # a kind of pixel is no phase
    categorical(axes[0, 1], mask.astype(int), list(words), colours=colours)
    axes[0, 1].set_title("mask", fontsize="medium")
    axes[0, 1].set(xticks=[], xlabel="")  # the legend stands there
    figure.set_label("Mean diffraction pattern, and the detector pixels that are masked.")
    return figure


def components_figure(
    factors: xr.Dataset, *, truth: xr.Dataset | None = None, groups: xr.Dataset | None = None
) -> "Figure":
    """Pattern and weight map of every component, strongest first; the matched truth below where there is one.

    Parameters
    ----------
    factors
        FACTORS.
    truth
        Simulated PATTERNS with ``truth_factor`` and ``truth_loading``. The cosine of each pair stands in its title.
    groups
        CRYSTAL_GROUPS of :func:`phasekit.nmf.group_crystals`. The crystal stands in the title of each of its patterns,
        and above all the numbers of patterns and crystals.

    Returns
    -------
    matplotlib.figure.Figure
        One column per component. Patterns share one scale (square root of the intensity), maps another. Masked detector
        pixels are grey.

    Raises
    ------
    SchemaError
        ``factors`` is not FACTORS, or the truth or the groups are of another size.

    See Also
    --------
    phasekit.nmf.factorise : Makes the components.
    phasekit.nmf.group_crystals : Which of them are one crystal.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> figure = components_figure(pk.nmf.factorise(pk.nmf.to_features(scan), 3), truth=scan)
    >>> figure.axes[0].get_title()[:11]
    'component 0'
    """
    require(factors, FACTORS, step="components_figure", argument="factors")
    # A measured scan may be passed, too: it has no truth, and only the components are drawn.
    has_truth = truth is not None and "truth_factor" in truth
    columns = factors.sizes["component"]
    figure, axes = panels(4 if has_truth else 2, columns, width=1.9, height=2.0)
    titles = [f"component {i}" for i in range(columns)]
    if groups is not None:
        titles = [f"{title}\n{name}" for title, name in zip(titles, _name_crystals(groups, columns), strict=True)]
        figure.suptitle(_count_in_words(groups), fontsize="medium")
    # Optional in FACTORS: the truth has no share of modelled counts.
    if "explained" in factors:
        shares = 100 * factors["explained"].to_numpy()
        titles = [f"{title}\n{share:.0f} % of counts" for title, share in zip(titles, shares, strict=True)]
    _draw_component_rows(axes[:2], factors, dict(enumerate(titles)), dict(enumerate(range(columns))))
    if truth is not None and has_truth:
        reference = truth_as_factors(truth, like=factors).compute()
        matches = match_components(factors, reference)
        # Each true component stands below the one that matches it; -1 has no match and is left out.
        partner = {int(c): t for t, c in enumerate(matches["component"].to_numpy()) if c >= 0}
        cosine = matches["pattern_cosine"].to_numpy()
        names = {column: f"truth {t}\ncosine {cosine[t]:.3f}" for column, t in partner.items()}
        _draw_component_rows(axes[2:], reference, names, partner)
    ending = " beside the truth." if has_truth else "."
    figure.set_label("Diffraction pattern and weight map of every component" + ending)
    return figure


def _name_crystals(groups: xr.Dataset, n: int) -> list[str]:
    """Crystal of each of the ``n`` components, in words."""
    require(groups, CRYSTAL_GROUPS, step="components_figure", argument="groups")
    crystals = groups["crystal"].to_numpy()
    if len(crystals) != n:
        raise SchemaError(
            f"components_figure: the groups are of {len(crystals)} components, needs {n}. Group these factors."
        )
    return [f"crystal {crystal}" if crystal >= 0 else "no crystal" for crystal in crystals]


def _count_in_words(groups: xr.Dataset) -> str:
    """Number of patterns and of crystals, with its range where there is one."""
    n, low, high = (int(groups.attrs[f"n_crystals{end}"]) for end in ("", "_low", "_high"))
    between = f" ({low} to {high})" if low < high else ""
    return f"{groups.attrs['n_patterns']} patterns, {n} crystals{between}"


def _draw_component_rows(axes: Any, factors: xr.Dataset, titles: dict[int, str], source: dict[int, int]) -> None:
    """Patterns above, maps below; ``source``: column -> component. The last column has the colour bars."""
    from matplotlib.colors import PowerNorm

    # The direct beam would leave the reflections dark; a square root brings out weak ones.
    top = float(factors["factor"].quantile(0.998))
    norm = PowerNorm(0.5, vmin=0, vmax=top)
    # Columns without a matching true component stay empty, so that pairs stand below each other.
    last = max(source, default=-1)
    for column in range(axes.shape[1]):
        for ax in axes[:, column]:
            ax.set_visible(column in source)
        if column not in source:
            continue
        pattern = factors["factor"].isel(component=source[column], drop=True)
        map_ = factors["loading"].isel(component=source[column], drop=True)
        texts = ("share of the pattern", _map_label(factors)) if column == last else ("", "")
        image(axes[0, column], pattern, cmap="cividis", norm=norm, label=texts[0])
        image(axes[1, column], map_, label=texts[1], vmin=0, vmax=float(factors["loading"].max()))
        axes[0, column].set_title(titles[column], fontsize="small")
        if column:
            axes[0, column].set_ylabel("")


def _map_label(factors: xr.Dataset) -> str:
    """Label of the weight maps, with the unit of the data that were factorised."""
    unit = factors["loading"].attrs.get("units", "1")
    return f"weight [{unit}]" if unit != "1" else "weight"


def overlap_figure(
    factors: xr.Dataset,
    *,
    threshold: float = 0.75,
    background: int | None = None,
    truth: xr.Dataset | None = None,
) -> "Figure":
    """Dominant component, overlap with a second one, and the highest threshold that finds it.

    Parameters
    ----------
    factors
        FACTORS.
    threshold, background
        As in :func:`phasekit.nmf.find_overlap`.
    truth
        Simulated PATTERNS with truth, drawn below. Its components take the colours of those they match.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels per row. Overlap is black on the component map, background grey.

    Raises
    ------
    SchemaError
        As :func:`phasekit.nmf.find_overlap`.

    See Also
    --------
    phasekit.nmf.find_overlap : Finds the overlap.
    explorer : The same map under a live threshold.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> figure = overlap_figure(pk.nmf.truth_as_factors(scan), truth=scan)
    >>> len([ax for ax in figure.axes if ax.get_title()])
    6
    """
    overlap = find_overlap(factors, threshold=threshold, background=background)
    has_truth = truth is not None and "truth_factor" in truth
    figure, axes = panels(2 if has_truth else 1, 3, width=3.6, height=3.3)
    title = f"components\n{format_overlap(factors, threshold, background)}"
    _draw_overlap_row(
        axes[0], overlap, overlap_evolution(factors, background=background), title, factors.sizes["component"]
    )
    if truth is not None and has_truth:
        reference = truth_as_factors(truth, like=factors).compute()
        matches = match_components(factors, reference)
        true_background = int(truth.attrs.get("truth_background", -1))
        true = find_overlap(reference, threshold=threshold, background=true_background)
        # Numbered as the components that match, so that both rows have the same colours.
        true["label"] = relabel(true["label"], matches)
        true.attrs["background"] = int(matches["component"][true_background]) if true_background >= 0 else -1
        title = f"truth\n{format_overlap(reference, threshold, true_background)}"
        # True components without a match get numbers beyond those of the fit.
        n = max(int(true["label"].max()) + 1, factors.sizes["component"])
        _draw_overlap_row(axes[1], true, overlap_evolution(reference, background=true_background), title, n)
    figure.set_label(
        "Map of the dominant component with the overlapping scan points in black, the weight ratio of the second "
        "component, and the highest threshold reached" + (", above the same maps of the truth." if has_truth else ".")
    )
    return figure


def _draw_overlap_row(axes: Any, overlap: xr.Dataset, evolution: xr.DataArray, title: str, n: int) -> None:
    """Component map, weight ratio, and the highest threshold at which a pixel still overlaps."""
    draw_label_map(axes[0], overlap, n)
    axes[0].set_title(title, fontsize="medium")
    image(axes[1], overlap["ratio"], label="second / first weight", vmin=0, vmax=1)
    axes[1].set_title("weight ratio", fontsize="medium")
    image(axes[2], 100 * evolution, label="threshold [%]", vmin=70, vmax=95)
    axes[2].set_title("overlap up to this threshold", fontsize="medium")
