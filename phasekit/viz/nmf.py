"""Figures of the NMF workflow: components, the evidence for k, overlap. All numbers come from ``phasekit.nmf``."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.nmf import find_overlap, match_components, overlap_evolution, rank_votes, relabel, truth_as_factors
from phasekit.schema import FACTORS, PATTERNS, RANKS, require

from .nmf_explorer import chosen_threshold, explorer, label_map, overlap_text
from .style import PHASE_COLOURS, categorical, image, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["chosen_threshold", "components_figure", "explorer", "features_figure", "overlap_figure", "ranks_figure"]

_GREY = "#595959"


def features_figure(patterns: xr.Dataset, mask: xr.DataArray) -> "Figure":
    """Mean pattern of the scan, and what of it is masked.

    Parameters
    ----------
    patterns
        PATTERNS; lazy data are read once.
    mask
        ``(qy, qx)`` flags of :func:`phasekit.nmf.find_mask`.

    Returns
    -------
    matplotlib.figure.Figure
        The mean pattern (logarithmic), and a map of the direct beam, dead and hot pixels.

    Raises
    ------
    SchemaError
        ``patterns`` is not PATTERNS.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(32, 32))
    >>> len(features_figure(scan, pk.nmf.find_mask(scan)).axes)
    3
    """
    from matplotlib.colors import LogNorm

    require(patterns, PATTERNS, step="features_figure")
    mean = patterns["intensity"].mean(("scan_y", "scan_x")).compute()
    figure, axes = panels(1, 2, width=4.0, height=3.4)
    bottom = float(mean.where(mean > 0).quantile(0.01))
    norm = LogNorm(vmin=bottom, vmax=max(float(mean.max()), 2 * bottom), clip=True)
    image(axes[0, 0], mean, norm=norm, label="mean intensity [counts]")
    names = ["direct beam", "dead", "hot"]
    categorical(axes[0, 1], mask.astype(int) - 1, names, background="used")
    axes[0, 1].set_title("mask", fontsize="medium")
    axes[0, 1].set(xticks=[], xlabel="")  # the legend stands there
    figure.set_label("Mean diffraction pattern, and the detector pixels that are masked.")
    return figure


def components_figure(factors: xr.Dataset, *, truth: xr.Dataset | None = None) -> "Figure":
    """Pattern and weight map of every component, strongest first; the matched truth below where there is one.

    Parameters
    ----------
    factors
        FACTORS.
    truth
        Simulated PATTERNS with ``truth_factor`` and ``truth_loading``; the cosine of each pair is written on it.

    Returns
    -------
    matplotlib.figure.Figure
        One column per component. Patterns share one scale (square root of the intensity), maps another; masked
        detector pixels are grey.

    Raises
    ------
    SchemaError
        ``factors`` is not FACTORS, or the truth is of another size.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> figure = components_figure(pk.nmf.factorise(pk.nmf.to_features(scan), 3), truth=scan)
    >>> figure.axes[0].get_title()[:11]
    'component 0'
    """
    require(factors, FACTORS, step="components_figure")
    known = truth is not None and "truth_factor" in truth
    columns = factors.sizes["component"]
    figure, axes = panels(4 if known else 2, columns, width=1.9, height=2.0)
    titles = [f"component {i}" for i in range(columns)]
    if "explained" in factors:
        shares = 100 * factors["explained"].to_numpy()
        titles = [f"{title}\n{share:.0f} % of counts" for title, share in zip(titles, shares, strict=True)]
    _pair_of_rows(axes[:2], factors, dict(enumerate(titles)), dict(enumerate(range(columns))))
    if truth is not None and known:
        reference = truth_as_factors(truth, like=factors).compute()
        matches = match_components(factors, reference)
        partner = {int(c): t for t, c in enumerate(matches["component"].to_numpy()) if c >= 0}
        cosine = matches["pattern_cosine"].to_numpy()
        names = {column: f"truth {t}\ncosine {cosine[t]:.3f}" for column, t in partner.items()}
        _pair_of_rows(axes[2:], reference, names, partner)
    figure.set_label("Diffraction pattern and weight map of every component" + (" beside the truth." if known else "."))
    return figure


def _pair_of_rows(axes: Any, factors: xr.Dataset, titles: dict[int, str], source: dict[int, int]) -> None:
    """Patterns above, maps below; ``source`` says which component stands in which column. Colour bars on the last."""
    from matplotlib.colors import PowerNorm

    top = float(factors["factor"].quantile(0.998))
    norm = PowerNorm(0.5, vmin=0, vmax=top)
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
    unit = factors["loading"].attrs.get("units", "1")
    return f"weight [{unit}]" if unit != "1" else "weight"


def ranks_figure(ranks: xr.Dataset) -> "Figure":
    """What speaks for each number of components: loss, held-out error, stability, and who voted what.

    Parameters
    ----------
    ranks
        RANKS.

    Returns
    -------
    matplotlib.figure.Figure
        Four panels over k. The dashed line is the combined choice; the shaded band in the first panel is the
        published window around the knee.

    Raises
    ------
    SchemaError
        Not RANKS.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> ranks = pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(1, 5), n_runs=2, progress=False)
    >>> len(ranks_figure(ranks).axes)
    4
    """
    require(ranks, RANKS, step="ranks_figure")
    votes = rank_votes(ranks)
    figure, axes = panels(2, 2, width=4.4, height=3.0)
    k = ranks["rank"].to_numpy()
    _curve(axes[0, 0], ranks["loss"], "K-component loss, mean |V - WH|")
    knee = int(votes["vote"].sel(rule="published"))
    window = max(votes.attrs["window_low"], k[0]), min(votes.attrs["window_high"], k[-1])
    axes[0, 0].axvspan(window[0] - 0.5, window[1] + 0.5, color="#56B4E9", alpha=0.2, lw=0, label="published window")
    axes[0, 0].axvline(knee, color=PHASE_COLOURS[5], lw=1, label=f"published knee, k = {knee}")
    _curve(axes[0, 1], ranks["held_out_error"], "error on held-out data (relative)")
    axes[1, 0].plot(k, ranks["stability"], "o-", color=PHASE_COLOURS[2], label="stability between runs")
    axes[1, 0].plot(k, ranks["redundancy"], "s-", color=PHASE_COLOURS[5], label="redundancy within a fit")
    axes[1, 0].set_ylabel("cosine [1]")
    axes[1, 0].set_ylim(0, 1.05)
    _votes(axes[1, 1], votes)
    chosen = int(votes["vote"].sel(rule="combined"))
    for ax in axes.flat:
        ax.axvline(chosen, color=_GREY, lw=1, ls="--", zorder=0, label=f"chosen, k = {chosen}")
        ax.set_xlabel("number of components k")
        ax.set_xticks(k)
    for ax in (axes[0, 0], axes[1, 0]):
        ax.legend(fontsize="small", frameon=False)
    figure.set_label(f"Loss, held-out error, stability and votes against the number of components; chosen {chosen}.")
    return figure


def _curve(ax: Any, curve: xr.DataArray, label: str) -> None:
    """Every run as a dot, their mean as a line."""
    k = curve["rank"].to_numpy()
    runs = curve.transpose("rank", "run").to_numpy()
    ax.plot(k, runs, ".", color=_GREY, ms=3, alpha=0.6)
    ax.plot(k, runs.mean(axis=1), "-", color=PHASE_COLOURS[4])
    ax.set_ylabel(label)


def _votes(ax: Any, votes: xr.Dataset) -> None:
    """Probability as bars; under every k the rules that chose it."""
    k = votes["rank"].to_numpy()
    ax.bar(k, votes["probability"], color=PHASE_COLOURS[1], width=0.7)
    chosen: dict[int, list[str]] = {}
    for rule, vote in zip(votes["rule"].to_numpy(), votes["vote"].to_numpy(), strict=True):
        if rule != "combined":
            chosen.setdefault(int(vote), []).append(str(rule).replace("_", " "))
    for vote, rules in chosen.items():
        ax.text(vote, 1.04, "\n".join(rules), ha="left", va="bottom", fontsize="x-small", rotation=50)
        ax.plot(np.full(len(rules), vote), 1.02 - 0.05 * np.arange(len(rules)), "v", color=PHASE_COLOURS[5], ms=4)
    ax.set_ylim(0, 1.6)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("probability [1], votes above")


def overlap_figure(
    factors: xr.Dataset,
    *,
    threshold: float = 0.75,
    background: int | None = None,
    truth: xr.Dataset | None = None,
) -> "Figure":
    """Dominant component, where a second one overlaps, and up to which threshold; the truth below where there is one.

    Parameters
    ----------
    factors
        FACTORS.
    threshold, background
        As in :func:`phasekit.nmf.find_overlap`.
    truth
        Simulated PATTERNS with truth; its components take the colours of those they match.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels per row; overlap is drawn black on the component map, background grey.

    Raises
    ------
    SchemaError
        As :func:`phasekit.nmf.find_overlap`.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> figure = overlap_figure(pk.nmf.truth_as_factors(scan), truth=scan)
    >>> len([ax for ax in figure.axes if ax.get_title()])
    6
    """
    found = find_overlap(factors, threshold=threshold, background=background)
    known = truth is not None and "truth_factor" in truth
    figure, axes = panels(2 if known else 1, 3, width=3.6, height=3.3)
    title = f"components\n{overlap_text(factors, threshold, background)}"
    _overlap_row(axes[0], found, overlap_evolution(factors, background=background), title, factors.sizes["component"])
    if truth is not None and known:
        reference = truth_as_factors(truth, like=factors).compute()
        matches = match_components(factors, reference)
        haze = int(truth.attrs.get("truth_background", -1))
        true = find_overlap(reference, threshold=threshold, background=haze)
        true["label"] = relabel(true["label"], matches)
        true.attrs["background"] = int(matches["component"][haze]) if haze >= 0 else -1
        title = f"truth\n{overlap_text(reference, threshold, haze)}"
        n = max(int(true["label"].max()) + 1, factors.sizes["component"])
        _overlap_row(axes[1], true, overlap_evolution(reference, background=haze), title, n)
    figure.set_label(
        "Map of the dominant component with the overlapping scan points in black, the weight ratio of the second "
        "component, and the highest threshold reached" + (", above the same maps of the truth." if known else ".")
    )
    return figure


def _overlap_row(axes: Any, found: xr.Dataset, evolution: xr.DataArray, title: str, n: int) -> None:
    label_map(axes[0], found, n)
    axes[0].set_title(title, fontsize="medium")
    image(axes[1], found["ratio"], label="second / first weight", vmin=0, vmax=1)
    axes[1].set_title("weight ratio", fontsize="medium")
    image(axes[2], 100 * evolution, label="threshold [%]", vmin=70, vmax=95)
    axes[2].set_title("overlap up to this threshold", fontsize="medium")
