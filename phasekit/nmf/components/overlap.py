"""Where two components overlap: the published rule of spatial weights, on weights with a meaning."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FACTORS, OVERLAP, describe, require

_BACKGROUND_THRESHOLD = 0.65  # published: a component of this share of the background's weight gives the label


def find_overlap(factors: xr.Dataset, *, threshold: float = 0.75, background: int | None = None) -> xr.Dataset:
    r"""Label each scan point with its dominant component, and find where a second one is nearly as strong.

    The weight of component k is its own share of the image, :math:`w_k = W_k \lVert H_k\rVert`. All maps together are
    scaled to 0..1 and sorted, :math:`w_1 \ge w_2 \ge w_3` of components a, b, c. The published rule with the background
    :math:`\beta` and the threshold t is

    .. math::

        (\mathrm{label}, \mathrm{partner}, r) = \begin{cases}
        (b, c, w_3 / w_2) & a = \beta,\; w_2 / w_1 \ge 0.65,\\
        (a, b, w_2 / w_1) & \mathrm{otherwise,}
        \end{cases}
        \qquad \mathrm{overlap} = (r \ge t).

    A background is never a partner, and has none. Unlike in the article, the weight contains the norm of the factor.
    The arbitrary scale between map and pattern then cannot change the result.

    Parameters
    ----------
    factors
        FACTORS of :func:`factorise`.
    threshold
        Ratio of the second to the first weight, 0..1, from which on two components overlap. 0.75 as published; 0.95
        leaves only almost equal pairs.
    background
        Index of the background component; ``None`` takes :func:`propose_background`; -1 means there is none.

    Returns
    -------
    xarray.Dataset
        OVERLAP. ``label(scan_y, scan_x)``: component; -1 where all weights are 0. ``partner``: the second component,
        whether or not it reaches the threshold; -1 without one. ``ratio``: its weight over the label's; NaN without
        one. ``overlap``: boolean. Attributes ``background``, ``threshold``.

    Raises
    ------
    SchemaError
        Not FACTORS, a threshold outside 0..1, or a background that is no component.

    See Also
    --------
    separate_background : Clean the weights first.
    overlap_probability : The rule with the uncertainty of the weights.
    overlap_evolution : Several thresholds in one map.
    overlap_pattern : One overlapped pattern beside the sum of its parts.

    References
    ----------
    Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H, spatial weights.

    Examples
    --------
    >>> maps = np.array([[[1.0, 0.9, 0.0]], [[0.0, 0.8, 1.0]]])
    >>> factors = xr.Dataset(
    ...     {"loading": (("component", "scan_y", "scan_x"), maps),
    ...      "factor": (("component", "qy", "qx"), np.eye(2).reshape(2, 1, 2))}
    ... )
    >>> find_overlap(factors, background=-1).overlap.values
    array([[False,  True, False]])
    """
    require(factors, FACTORS, step="find_overlap", argument="factors")
    if not 0 <= threshold <= 1:
        raise SchemaError(f"find_overlap: threshold = {threshold}, needs a ratio from 0 to 1, e.g. 0.75 for 75 %.")
    chosen = choose_background(factors, background, "find_overlap")
    label, partner, ratio = xr.apply_ufunc(
        _apply_overlap_rule,
        compute_component_weights(factors),
        kwargs={"background": chosen},
        input_core_dims=[["component"]],
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=[np.int64, np.int64, np.float64],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    out = xr.Dataset({"label": label, "partner": partner, "overlap": ratio >= threshold, "ratio": ratio})
    out.attrs = {"background": chosen, "threshold": float(threshold)}
    settings = {"threshold": threshold, "background": background}
    return describe(out, OVERLAP, step="find_overlap", settings=settings, source=factors)


def overlap_fraction(factors: xr.Dataset, threshold: float = 0.75, *, background: int | None = None) -> float:
    """Compute the fraction of the scan where two components overlap.

    Parameters
    ----------
    factors
        FACTORS.
    threshold, background
        As in :func:`find_overlap`.

    Returns
    -------
    float
        0..1; it falls as the threshold rises.

    Raises
    ------
    SchemaError
        As :func:`find_overlap`.

    See Also
    --------
    find_overlap : The map behind it.
    overlap_evolution : The map for several thresholds.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(12, 12), detector=(32, 32))
    >>> truth = pk.nmf.truth_as_factors(scan)
    >>> overlap_fraction(truth, 0.75) >= overlap_fraction(truth, 0.95)
    True
    """
    return float(find_overlap(factors, threshold=threshold, background=background)["overlap"].mean())


def overlap_evolution(
    factors: xr.Dataset,
    thresholds: Sequence[float] = (0.75, 0.8, 0.85, 0.9, 0.95),
    *,
    background: int | None = None,
) -> xr.DataArray:
    """Find the highest of several thresholds at which each scan point still counts as overlap.

    This is the published evolution map.

    Parameters
    ----------
    factors
        FACTORS.
    thresholds
        Ratios to try, 0..1.
    background
        As in :func:`find_overlap`.

    Returns
    -------
    xarray.DataArray
        ``(scan_y, scan_x)`` [1]; NaN where no threshold is reached.

    Raises
    ------
    SchemaError
        As :func:`find_overlap`, or no threshold at all.

    See Also
    --------
    find_overlap : The map for one threshold.
    overlap_fraction : The fraction of the scan for one threshold.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, detector=(32, 32), boundary_width=4, direct_beam=0)
    >>> float(overlap_evolution(pk.nmf.truth_as_factors(scan)).min())
    0.75
    """
    steps = sorted(float(t) for t in thresholds)
    if not steps or steps[0] < 0 or steps[-1] > 1:
        raise SchemaError(f"overlap_evolution: thresholds = {steps}, needs at least one ratio from 0 to 1.")
    ratio = find_overlap(factors, threshold=steps[0], background=background)["ratio"]
    # The number of thresholds reached is the index of the highest one; NaN reaches none.
    reached = sum((ratio >= step).astype(int) for step in steps)
    highest = xr.DataArray(np.array([np.nan, *steps])[np.asarray(reached)], dims=ratio.dims, coords=ratio.coords)
    return highest.rename("evolution").assign_attrs(long_name="overlap up to a weight ratio of", units="1")


def propose_background(factors: xr.Dataset) -> int:
    r"""Find the component most like a background: isotropic around the direct beam rather than made of spots.

    The isotropy of a pattern h compares :math:`\sqrt h` with its mean over rings r of :math:`n_r` pixels:

    .. math::

        \eta = \frac{\sum_r n_r \langle \sqrt h\rangle_r^2}{\sum \left(\sqrt h\right)^2}.

    Parameters
    ----------
    factors
        FACTORS.

    Returns
    -------
    int
        Index of the component of the largest isotropy. It must be more than 0.6, and 0.1 above the median of the
        others; else -1.

    Raises
    ------
    SchemaError
        Not FACTORS.

    See Also
    --------
    separate_background : Take the background out of the other patterns.
    find_overlap : Takes the background out of the rule.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(8, 8), detector=(32, 32))
    >>> propose_background(pk.nmf.truth_as_factors(scan)) == scan.attrs["truth_background"]
    True
    """
    require(factors, FACTORS, step="propose_background", argument="factors")
    patterns = factors["factor"].transpose("component", "qy", "qx").to_numpy().astype(float)
    shape = patterns.shape[1:]
    centre = [factors.attrs.get(f"beam_{d}_px", np.nan) for d in ("qy", "qx")]
    centre = [float(c) if np.isfinite(c) else (n - 1) / 2 for c, n in zip(centre, shape, strict=True)]
    y, x = np.indices(shape)
    # Rings of one pixel about the direct beam, or about the detector's middle where no beam was found.
    ring = np.rint(np.hypot(y - centre[0], x - centre[1])).astype(int)
    scores = np.array([_compute_isotropy(pattern, ring) for pattern in patterns])
    # A scan without background has a most isotropic component too: it must differ from the others.
    best = int(scores.argmax())
    stands_out = len(scores) == 1 or scores[best] > np.median(np.delete(scores, best)) + 0.1
    return best if scores[best] > 0.6 and stands_out else -1


def _compute_isotropy(pattern: NDArray[np.float64], ring: NDArray[np.integer]) -> float:
    """Share of the square sum of sqrt(pattern) that its mean over rings holds; sqrt, so that noise is even."""
    seen = np.isfinite(pattern)
    root, rings = np.sqrt(np.maximum(pattern[seen], 0)), ring[seen]
    pixels = np.bincount(rings)
    mean = np.bincount(rings, weights=root) / np.maximum(pixels, 1)
    total = float(np.sum(root**2))
    return float(np.sum(pixels * mean**2)) / total if total > 0 else 0.0


def choose_background(factors: xr.Dataset, background: int | None, step: str) -> int:
    """The background that was asked for, or the proposed one; -1 for none."""
    chosen = propose_background(factors) if background is None else int(background)
    n = factors.sizes["component"]
    if not -1 <= chosen < n:
        raise SchemaError(f"{step}: background = {background}, needs a component 0..{n - 1}, -1 for none, or None.")
    return chosen


def compute_component_weights(factors: xr.Dataset) -> xr.DataArray:
    """Loading times the factor's norm, all maps together scaled to 0..1."""
    # One minimum and maximum for all maps, as published: ratios between components keep their meaning.
    norm = np.sqrt((factors["factor"].astype(np.float64) ** 2).sum(("qy", "qx")))
    weight = factors["loading"].astype(np.float64) * norm
    low, high = weight.min(), weight.max()
    return (weight - low) / (high - low).where(high > low, 1.0)


def _apply_overlap_rule(
    weights: NDArray[np.float64], background: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Label, partner (-1: none) and their weight ratio (NaN: none) over the last axis, by the published rule."""
    n = weights.shape[-1]
    padded = np.concatenate([weights, np.zeros((*weights.shape[:-1], 2))], axis=-1)  # so that a third always exists
    order = np.argsort(-padded, axis=-1, kind="stable")[..., :3]
    w = np.take_along_axis(padded, order, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        second, third = w[..., 1] / w[..., 0], w[..., 2] / w[..., 1]
    a, b, c = (order[..., i] for i in range(3))
    # A grain nearly as strong as the background gives the label, and the rule goes on with its own ratio.
    grain = (a == background) & (second >= _BACKGROUND_THRESHOLD)
    label = np.where(grain, b, a)
    partner = np.where(grain, c, b)
    ratio = np.where(grain, third, second)
    label = np.where(w[..., 0] > 0, label, -1)
    none = (label == background) | (partner == background) | (partner >= n) | (label < 0) | ~(ratio > 0)
    return label, np.where(none, -1, partner), np.where(none, np.nan, ratio)
