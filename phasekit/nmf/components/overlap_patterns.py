"""An overlapped pattern beside the sum of its two components."""

import numpy as np
import xarray as xr

from ...errors import SchemaError
from ...schema import FACTORS, OVERLAP, OVERLAP_PATTERN, PATTERNS, describe, require


def overlap_pattern(
    patterns: xr.Dataset, factors: xr.Dataset, overlap: xr.Dataset, *, pair: tuple[int, int] | None = None
) -> xr.Dataset:
    r"""Average the measured patterns where two components overlap, beside what the factorisation makes of them.

    With the mean measured pattern :math:`v` over the points of the pair and the mean loadings :math:`w`,

    .. math::

        \mathrm{modelled} = w_1 h_1 + w_2 h_2,\qquad \mathrm{residual} = v - \sum_k w_k h_k.

    Parameters
    ----------
    patterns
        PATTERNS, lazy or not: only the points of the pair are read.
    factors
        FACTORS of the same scan and detector.
    overlap
        OVERLAP of :func:`find_overlap` or :func:`overlap_probability`.
    pair
        Two components, in any order. ``None`` takes the pair that overlaps at most scan points. Where nothing overlaps,
        it is the one point where a second component comes nearest to the first.

    Returns
    -------
    xarray.Dataset
        OVERLAP_PATTERN on ``qy, qx`` [counts per pattern]. ``measured``: the mean. ``first`` and ``second``: each
        component's pattern times its mean weight there. ``modelled``: their sum. ``residual``: measured minus all
        components. NaN where the factors are masked. Attributes: ``pair``, ``n_points``, ``cosine`` (of measured and
        modelled).

    Raises
    ------
    SchemaError
        Another kind of data or another scan, or a pair that overlaps nowhere.

    See Also
    --------
    find_overlap : Gives ``overlap``.
    overlap_probability : Gives it with the uncertainty of the weights.
    fit_loadings : Weights of given components.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, detector=(32, 32), boundary_width=4)
    >>> factors = pk.nmf.separate_background(pk.nmf.factorise(pk.nmf.to_features(scan), 4))
    >>> found = overlap_pattern(scan, factors, pk.nmf.find_overlap(factors))
    >>> found.attrs["cosine"] > 0.95
    True
    """
    for data, kind in ((patterns, PATTERNS), (factors, FACTORS), (overlap, OVERLAP)):
        require(data, kind, step="overlap_pattern")
    sizes = [tuple(d.sizes[n] for n in ("scan_y", "scan_x")) for d in (patterns, factors, overlap)]
    detectors = [tuple(d.sizes[n] for n in ("qy", "qx")) for d in (patterns, factors)]
    if len(set(sizes)) > 1 or len(set(detectors)) > 1:
        raise SchemaError(
            f"overlap_pattern: scans are {sizes} and detectors {detectors}, need the same. Crop or bin all alike."
        )
    both = overlap[["label", "partner", "overlap", "ratio"]].compute()
    # Without any overlap the nearest case is shown instead: the one point of the largest ratio.
    if pair is None and not bool(both["overlap"].any()):
        both["overlap"] = both["ratio"] == both["ratio"].max()
    chosen = _find_largest_pair(both) if pair is None else (int(pair[0]), int(pair[1]))
    # A pair has no order: either component may be the stronger one.
    is_pair = both["overlap"] & (
        ((both["label"] == chosen[0]) & (both["partner"] == chosen[1]))
        | ((both["label"] == chosen[1]) & (both["partner"] == chosen[0]))
    )
    n = int(is_pair.sum())
    if n == 0:
        raise SchemaError(
            f"overlap_pattern: components {chosen} overlap nowhere. Lower the threshold of "
            "find_overlap, or give another pair."
        )
    points = is_pair.stack(point=("scan_y", "scan_x"), create_index=False)
    point_indices = np.flatnonzero(points.to_numpy())
    is_used = factors["factor"].isel(component=0, drop=True).notnull()
    measured = _select_points(patterns["intensity"], point_indices).mean("point").where(is_used).compute()
    weight = _select_points(factors["loading"], point_indices).mean("point")
    # Mean of products = product of means here: each pattern is the same at all points.
    parts = (factors["factor"] * weight).compute()
    first, second = (parts.isel(component=c, drop=True) for c in chosen)
    out = xr.Dataset({"measured": measured, "modelled": first + second, "first": first, "second": second})
    out["residual"] = measured - parts.sum("component", skipna=False)
    out = out.assign_coords({d: factors[d] for d in ("qy", "qx") if d in factors.coords}).transpose("qy", "qx")
    cosine = float((out.measured * out.modelled).sum() / ((out.measured**2).sum() * (out.modelled**2).sum()) ** 0.5)
    out.attrs = {"pair": list(chosen), "n_points": n, "cosine": cosine}
    return describe(out, OVERLAP_PATTERN, step="overlap_pattern", settings={"pair": pair}, source=overlap)


def _select_points(array: xr.DataArray, points: np.ndarray) -> xr.DataArray:
    """Some scan points of an array, along ``point``."""
    array = array.drop_vars(["scan_y", "scan_x"], errors="ignore")
    return array.stack(point=("scan_y", "scan_x"), create_index=False).isel(point=points)


def _find_largest_pair(overlap: xr.Dataset) -> tuple[int, int]:
    """The two components that overlap at most scan points."""
    chosen = overlap["overlap"].to_numpy()
    pairs = np.stack([overlap["label"].to_numpy()[chosen], overlap["partner"].to_numpy()[chosen]])
    if pairs.shape[1] == 0:
        raise SchemaError("overlap_pattern: no point has a second component beside the background. Choose a larger k.")
    found, count = np.unique(np.sort(pairs, axis=0), axis=1, return_counts=True)
    return int(found[0, count.argmax()]), int(found[1, count.argmax()])
