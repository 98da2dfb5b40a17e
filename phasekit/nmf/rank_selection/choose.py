"""One number of components from the evidence, every rule's vote, and how certain the choice is."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...errors import SchemaError
from ...schema import RANKS, describe, require
from ..image_metrics import METRICS
from .evidence import compute_probability

_SEEN = 3.0  # standard deviations above noise: one direction of noise in some hundred is as far
RULES = ("combined", "published", "held_out", "deviance", "stability", "redundancy", "scree", *METRICS)


def choose_rank(ranks: xr.Dataset, rule: str = "combined") -> int:
    """Choose the number of components.

    Parameters
    ----------
    ranks
        RANKS of :func:`scan_ranks`.
    rule
        ``"combined"`` (default): the number of patterns seen, see :func:`rank_votes`. ``"published"``: the knee
        of the mean K-component loss, as in the article. ``"held_out"``: smallest error on unseen data. ``"deviance"``:
        smallest Poisson deviance of unseen counts. ``"stability"``: last k before its largest fall. ``"redundancy"``:
        last k before its largest rise. ``"scree"``: number of directions that are found again in held-out electrons
        (of data that are not counts: whose maps hang together), more than 3 standard deviations above noise.
        ``"psnr"``, ``"ssim"``, ``"ms_ssim"``, ``"gmsd"``, ``"mdsi"``, ``"fsim"``, ``"vif_p"``: best predicted
        held-out patterns.

    Returns
    -------
    int
        One of the ranks tried. At the smallest or largest of them the true k may be outside the range.
        ``rank_votes(ranks).attrs["at_edge"]`` is 1 then: scan a wider range.

    Raises
    ------
    SchemaError
        Not RANKS, an unknown rule, or a rule whose evidence is missing (stability of a single run).

    See Also
    --------
    scan_ranks : Measure the evidence.
    rank_votes : Votes of all rules, and a probability over k.
    published_knee : The knee of the K-component loss.
    factorise : Factorise with the chosen k.

    Examples
    --------
    >>> curve = [9.0, 5.0, 1.0, 1.1, 1.2]
    >>> ranks = xr.Dataset(
    ...     {
    ...         "loss": (("rank", "run"), np.c_[curve]),
    ...         "held_out_error": (("rank", "run"), np.c_[curve]),
    ...         "stability": ("rank", [1.0, 1.0, 0.98, 0.6, 0.5]),
    ...         "redundancy": ("rank", [0.1, 0.1, 0.2, 0.6, 0.7]),
    ...     },
    ...     coords={"rank": [2, 3, 4, 5, 6]},
    ... )
    >>> choose_rank(ranks), choose_rank(ranks, rule="published")
    (4, 4)
    """
    if rule not in RULES:
        raise SchemaError(f"choose_rank: rule = {rule!r}, needs one of {', '.join(RULES)}.")
    votes = rank_votes(ranks)
    if rule not in votes["rule"]:
        cure = "Scan smaller ranks: the loss never falls" if rule == "published" else "Scan with n_runs >= 2"
        raise SchemaError(f"choose_rank: the ranks hold no evidence for rule = {rule!r}. {cure}.")
    return int(votes["vote"].sel(rule=rule))


def rank_votes(ranks: xr.Dataset) -> xr.Dataset:
    r"""Collect every rule's vote, and compute a probability over k.

    The probability is that of the number of directions that are real. Two kinds of evidence decide. A direction is
    found again in electrons that were held out. Its map hangs together from scan point to scan point. With the odds
    :math:`B_j` that direction number j is real,

    .. math::

        p_r \propto \prod_{j=2}^{r} B_j,\qquad
        p_k = \sum_{r \le k} p_r \binom{k}{k - r} p_0^{k - r} (1 - p_0)^{r + 1} .

    For noise both have a known law, so that nothing is fitted (ADR 32). The vote is the number that is seen. Further
    patterns may be too weak. How many is estimated from how near to the noise those are that are seen, and is part of
    the probability: at low dose the probability of the vote is small. The other rules vote, but have no weight. The
    number is that of different patterns: a grain so bent that its ends differ counts as two. The probability is one
    over the ranks tried only.

    Parameters
    ----------
    ranks
        RANKS of :func:`scan_ranks`.

    Returns
    -------
    xarray.Dataset
        ``vote(rule)`` (rules without evidence left out), ``probability(rank)`` (sum 1). Attributes: ``k_low`` and
        ``k_high`` are the interval grown from the choice until it holds at least 90 %. ``window_low`` and
        ``window_high`` are the published window around the knee; left out where the loss never falls. ``at_edge`` is
        1 when the choice is the smallest or largest rank tried, or when the largest still predicts unseen data better
        by 3 standard errors than the one before: then the ranks do not reach into noise.

    Raises
    ------
    SchemaError
        Not RANKS, or fewer than 3 of them.

    See Also
    --------
    scan_ranks : Measure the evidence.
    choose_rank : One k by one rule.
    published_window : The window around the knee.

    References
    ----------
    Dharamshi et al., J. Mach. Learn. Res. 26 (2025) 1 (data thinning); Moran, Biometrika 37 (1950) 17 (coherence of
    neighbours); Chiani, J. Multivar. Anal. 129 (2014) 69 (law of the largest eigenvalue of noise).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(10, 10), detector=(32, 32))
    >>> votes = rank_votes(pk.nmf.scan_ranks(pk.nmf.to_features(scan), range(1, 6), n_runs=3, progress=False))
    >>> int(votes.vote.sel(rule="combined")), votes.attrs["k_low"] <= 3 <= votes.attrs["k_high"]
    (3, True)
    """
    require(ranks, RANKS, step="rank_votes", argument="ranks")
    k = ranks["rank"].to_numpy()
    if len(k) < 3:
        raise SchemaError(f"rank_votes: got the ranks {k.tolist()}, needs at least 3. Scan more of them.")
    # The vote is what is seen. The probability allows for patterns that are not; the interval grows from the vote.
    seen, chance = compute_probability(ranks)
    best = int(seen.argmax())
    votes = {"combined": k[best], **_collect_votes(ranks, k)}
    out = xr.Dataset(
        {
            "vote": ("rule", np.array([int(v) for v in votes.values()])),
            "probability": ("rank", chance),
        },
        coords={"rule": list(votes), "rank": k},
    )
    low, high = _find_interval(chance, best)
    out.attrs = {"k_low": int(k[low]), "k_high": int(k[high])}
    if "published" in votes:
        out.attrs |= dict(zip(("window_low", "window_high"), published_window(votes["published"]), strict=True))
    out.attrs["at_edge"] = int(best in (0, len(k) - 1) or _predicts_better_to_the_end(ranks))
    out["vote"].attrs = {"long_name": "number of components the rule votes for", "units": "1"}
    out["probability"].attrs = {"long_name": "probability of the number of components", "units": "1"}
    return out.assign_attrs(provenance=describe(out, RANKS, step="rank_votes", settings={}, source=ranks).provenance)


def _collect_votes(ranks: xr.Dataset, k: NDArray[np.integer]) -> dict[str, int]:
    """The vote of every single piece of evidence; those that are missing have no vote."""
    curves = {
        name: ranks[name].mean("run").to_numpy() for name in ("loss", "held_out_error", "deviance") if name in ranks
    }
    votes = {"published": published_knee(curves["loss"], k)} if curves["loss"].min() < curves["loss"][0] else {}
    votes["held_out"] = int(k[curves["held_out_error"].argmin()])
    if "deviance" in curves and np.isfinite(curves["deviance"]).all():
        votes["deviance"] = int(k[curves["deviance"].argmin()])
    # The last k counts as if a change of 0.05 followed it: it gets the vote where no step changes more.
    stability = ranks["stability"].to_numpy()
    if np.isfinite(stability).all():
        votes["stability"] = int(k[np.append(-np.diff(stability), 0.05).argmax()])
    # Redundancy rises most where a real component is first split in two.
    votes["redundancy"] = int(k[np.append(np.diff(ranks["redundancy"].to_numpy()), 0.05).argmax()])
    # The number of directions above the noise, as an index into the ranks tried.
    excess = next((name for name in ("electron_excess", "neighbour_excess") if name in ranks), None)
    if excess or "scree" in ranks:
        above = ranks[excess].to_numpy() > _SEEN if excess else ranks["scree"].to_numpy() > 1
        votes["scree"] = int(k[max(int(np.cumprod(above).sum()) - 1, 0)])
    for name, metric in METRICS.items():
        if name in ranks:
            score = ranks[name].to_numpy() * (1 if metric.higher_is_better else -1)
            votes[name] = int(k[score.argmax()])
    return votes


def published_knee(loss: ArrayLike, ranks: ArrayLike) -> int:
    r"""Find the knee of a convex decreasing curve, as in the published K-component rule.

    Loss :math:`y` and ranks :math:`x` are scaled to 0..1. The knee is where the curve is deepest below its chord:

    .. math::

        k^* = \arg\max_k\; \left(1 - \frac{y_k - y_{\min}}{y_{\max} - y_{\min}}\right)
        - \frac{x_k - x_{\mathrm{first}}}{x_{\mathrm{last}} - x_{\mathrm{first}}}.

    Parameters
    ----------
    loss
        Loss at each rank, any unit. Small rises on the way are allowed.
    ranks
        Values of k, increasing.

    Returns
    -------
    int
        The rank of the knee (the first of several).

    Raises
    ------
    SchemaError
        Fewer than 3 points, not finite, or a loss that does not fall.

    See Also
    --------
    scan_ranks : Its ``loss`` is the K-component loss.
    published_window : The ranks to examine around the knee.
    choose_rank : ``rule="published"`` takes this knee.

    References
    ----------
    Satopaa, Albrecht, Irwin and Raghavan, ICDCS Workshops (2011) 166, doi 10.1109/ICDCSW.2011.20
    (kneedle: the largest local maximum of the difference curve, without smoothing).

    Examples
    --------
    >>> published_knee([9, 5, 2, 1.8, 1.7], [2, 3, 4, 5, 6])
    4
    """
    y, x = np.asarray(loss, dtype=float), np.asarray(ranks, dtype=float)
    if y.shape != x.shape or y.ndim != 1 or len(y) < 3 or not np.isfinite(y).all():
        raise SchemaError(f"published_knee: got {y.shape} losses for {x.shape} ranks, needs at least 3 finite pairs.")
    if not y.min() < y[0]:
        raise SchemaError("published_knee: the loss does not fall with k, so it has no knee. Scan smaller ranks.")
    depth = 1 - (y - y.min()) / (y.max() - y.min()) - (x - x[0]) / (x[-1] - x[0])
    return int(x[depth.argmax()])


def published_window(k: int) -> tuple[int, int]:
    """Give the first and last k that the article examines around a knee k: k - 4, not below 1, and k + 4.

    Parameters
    ----------
    k
        Knee of the loss.

    Returns
    -------
    tuple of int
        Both ends included.

    See Also
    --------
    published_knee : The knee itself.
    rank_votes : Its attributes hold this window.

    Examples
    --------
    >>> published_window(8)
    (4, 12)
    """
    return max(1, int(k) - 4), int(k) + 4


def _predicts_better_to_the_end(ranks: xr.Dataset) -> bool:
    """True where the largest rank tried is as far from noise as a real step: noise is then measured on patterns."""
    return "gain" in ranks and bool(ranks["gain"].to_numpy()[-1] > _SEEN)


def _find_interval(compute_probability: NDArray[np.float64], best: int) -> tuple[int, int]:
    """Indices of the interval grown from the best towards the likelier side until it holds 90 %."""
    # Beyond either end the probability counts as -1, so that the interval grows on the other side.
    low = high = best
    while compute_probability[low : high + 1].sum() < 0.9:
        below = compute_probability[low - 1] if low > 0 else -1.0
        above = compute_probability[high + 1] if high + 1 < len(compute_probability) else -1.0
        low, high = (low - 1, high) if below > above else (low, high + 1)
    return low, high
