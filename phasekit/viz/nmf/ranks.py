"""Figure of the criteria for the number of components, and of their votes. Numbers come from ``phasekit.nmf``."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from phasekit.nmf import rank_votes
from phasekit.schema import RANKS, require

from ..palettes import CURVE_COLOURS, EDGE_GREY
from ..style import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GREY = "#595959"
_BAR = "0.85"
_NOISE = 3.0  # standard deviations that noise hardly exceeds
#: Names of rules that are not their words.
_NAMES = {"published": "published knee", "psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "vif_p": "VIF"}


def ranks_figure(ranks: xr.Dataset) -> "Figure":
    """Criteria for the number of components k in five panels, and the vote of every rule in a sixth.

    Parameters
    ----------
    ranks
        RANKS.

    Returns
    -------
    matplotlib.figure.Figure
        First row: K-component loss with the published knee and window, error on held-out data, and gain. The gain is
        the number of standard errors by which each k predicts better than the one before. Second row: stability and
        redundancy, how far each direction of the data stands above noise, and probability of k with all votes.
        The dashed line is the combined choice. The grey band of the last panel holds 90 % of the probability. Panels
        without data are left out.

    Raises
    ------
    SchemaError
        Not RANKS.

    See Also
    --------
    phasekit.nmf.scan_ranks : Computes the criteria.
    phasekit.nmf.rank_votes : Applies the rules.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> ranks = pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(1, 5), n_runs=2, progress=False)
    >>> len(ranks_figure(ranks).axes)
    6
    """
    require(ranks, RANKS, step="ranks_figure", argument="ranks")
    votes = rank_votes(ranks)
    figure, axes = panels(2, 3, width=4.0, height=3.1)
    k = ranks["rank"].to_numpy()
    _draw_loss(axes[0, 0], ranks, votes)
    _draw_curve(axes[0, 1], ranks["held_out_error"], "error on held-out data (relative)")
    _draw_gain(axes[0, 2], ranks)
    axes[1, 0].plot(k, ranks["stability"], "o-", color=CURVE_COLOURS[0], label="stability between runs")
    axes[1, 0].plot(k, ranks["redundancy"], "s-", color=CURVE_COLOURS[1], label="redundancy within a fit")
    axes[1, 0].set_ylabel("cosine [1]")
    axes[1, 0].set_ylim(0, 1.05)
    _draw_directions(axes[1, 1], ranks)
    _draw_votes(axes[1, 2], votes)
    combined = int(votes["vote"].sel(rule="combined"))
    for ax in axes.flat:
        ax.axvline(combined, color=_GREY, lw=1, ls="--", zorder=0, label=f"chosen, k = {combined}")
        ax.set_xlabel("number of components k")
        ax.xaxis.get_major_locator().set_params(integer=True)
    for ax in (axes[0, 0], axes[1, 0]):
        ax.legend(fontsize="small", frameon=False)
    figure.set_label(f"Evidence and votes against the number of components; chosen {combined}.")
    return figure


def _draw_loss(ax: Any, ranks: xr.Dataset, votes: xr.Dataset) -> None:
    """Training loss with the published knee and its window."""
    _draw_curve(ax, ranks["loss"], "K-component loss, mean |V - WH|")
    if "published" not in votes["rule"]:
        return  # the loss never falls, as for noise alone
    k, knee = ranks["rank"].to_numpy(), int(votes["vote"].sel(rule="published"))
    # The window is that of the paper and may lie beyond the numbers that were tried.
    window = max(votes.attrs["window_low"], k[0]), min(votes.attrs["window_high"], k[-1])
    ax.axvspan(window[0] - 0.5, window[1] + 0.5, color=_GREY, alpha=0.15, lw=0, label="published window")
    ax.axvline(knee, color=CURVE_COLOURS[0], lw=1, ls=":", label=f"published knee, k = {knee}")


def _draw_curve(ax: Any, curve: xr.DataArray, label: str) -> None:
    """Every run as a dot, their mean as a line."""
    # Single runs show how much the starting values matter.
    k = curve["rank"].to_numpy()
    runs = curve.transpose("rank", "run").to_numpy()
    ax.plot(k, runs, ".", color=_GREY, ms=3, alpha=0.6)
    ax.plot(k, runs.mean(axis=1), "-", color=CURVE_COLOURS[0])
    ax.set_ylabel(label)


def _draw_gain(ax: Any, ranks: xr.Dataset) -> None:
    """Bars upwards where one component more predicts better, downwards where it predicts worse."""
    # The gain is optional in RANKS.
    if "gain" not in ranks:
        ax.set_visible(False)
        return
    gain = ranks["gain"].to_numpy()
    # Upwards or downwards says it; a colour would mean a component.
    ax.bar(ranks["rank"], np.nan_to_num(gain), color=_BAR, edgecolor=EDGE_GREY, linewidth=0.5, width=0.7)
    ax.axhline(0, color=_GREY, lw=0.8)
    ax.set_ylabel("gain over k - 1 [standard errors]")


def _draw_directions(ax: Any, ranks: xr.Dataset) -> None:
    """How far every direction stands above noise, by both kinds of evidence; the grey band is noise."""
    curves = {"electron_excess": ("in held-out electrons", "o-"), "neighbour_excess": ("in neighbouring points", "s-")}
    found = [name for name in curves if name in ranks]
    if not found:
        ax.set_visible(False)
        return
    ax.axhspan(-_NOISE, _NOISE, color=_GREY, alpha=0.2, lw=0)
    for name, colour in zip(found, CURVE_COLOURS, strict=False):
        label, style = curves[name]
        # Below noise there is only noise: the axis ends there.
        ax.plot(ranks["rank"], np.maximum(ranks[name], -_NOISE), style, color=colour, ms=4, label=label)
    ax.set_yscale("symlog", linthresh=2 * _NOISE)
    ax.set_ylabel("direction k found again\n[standard deviations above noise]")
    ax.legend(fontsize="small", frameon=False)


def _draw_votes(ax: Any, votes: xr.Dataset) -> None:
    """Probability as bars below; one row with a marker for every rule above."""
    k = votes["rank"].to_numpy()
    low, high = votes.attrs["k_low"], votes.attrs["k_high"]
    ax.axvspan(low - 0.5, high + 0.5, color=_GREY, alpha=0.15, lw=0)
    ax.bar(k, votes["probability"], color=_BAR, edgecolor=EDGE_GREY, linewidth=0.5, width=0.7)
    # The combined choice has its own line in every panel.
    single = votes.sel(rule=votes["rule"] != "combined")
    names = [_NAMES.get(str(rule), str(rule).replace("_", " ")) for rule in single["rule"].to_numpy()]
    # Probabilities end at 1; the rows of the rules stand above on the same axis, so that k is shared.
    rows = 1.25 + 0.2 * np.arange(len(names))[::-1]
    ax.hlines(rows, k[0], k[-1], color=_GREY, lw=0.3)
    ax.plot(single["vote"], rows, "o", color=CURVE_COLOURS[0], ms=5)
    ax.set_yticks([0, 0.5, 1, *rows], ["0", "0.5", "1", *names], fontsize="small")
    ax.set_ylim(0, rows[0] + 0.2)
    ax.set_ylabel("probability [1]", loc="bottom")
