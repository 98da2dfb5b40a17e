"""Pairing of two sets of components, one of them usually the truth."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FACTORS, describe, require

_MAP_ROUNDING = 8 * float(np.finfo(np.float32).eps)  # loadings are held in single precision


def match_components(factors: xr.Dataset, truth: xr.Dataset) -> xr.Dataset:
    r"""Pair the components of two factorisations so that the summed cosine of their patterns is largest.

    .. math::

        \max_{\pi} \sum_t c_{t, \pi(t)},\qquad
        c_{tk} = \frac{h_t \cdot h_k}{\lVert h_t\rVert\, \lVert h_k\rVert}

    over all one-to-one pairings :math:`\pi`, solved by the Hungarian method.

    Parameters
    ----------
    factors
        FACTORS to judge.
    truth
        FACTORS to compare with, or a simulated PATTERNS with ``truth_factor`` and ``truth_loading``. Pixels that are
        NaN (masked) on either side are left out.

    Returns
    -------
    xarray.Dataset
        By ``truth``, the index of the true component. ``component(truth)``: its partner; -1 when there are fewer
        components. ``pattern_cosine(truth)``: cosine of the patterns. ``loading_correlation(truth)``: Pearson
        correlation of the maps. The last two are NaN without a partner or for an empty component. So is the
        correlation of a map that is the same everywhere.

    Raises
    ------
    SchemaError
        One side is not FACTORS, or the detectors or scans differ.

    See Also
    --------
    truth_as_factors : The truth of a simulated scan.
    relabel : Give true components the numbers of their partners.
    compare_variants : Match after several ways of preparation.

    References
    ----------
    Kuhn, Nav. Res. Logist. Q. 2 (1955) 83 (the Hungarian method for the assignment).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> truth = truth_as_factors(scan)
    >>> match_components(truth.isel(component=[2, 0, 1]), scan).component.values
    array([1, 2, 0])
    """
    from scipy.optimize import linear_sum_assignment

    truth = truth_as_factors(truth) if "truth_factor" in truth else truth
    for data in (factors, truth):
        require(data, FACTORS, step="match_components")
    sizes = [tuple(d.sizes[n] for n in ("scan_y", "scan_x", "qy", "qx")) for d in (factors, truth)]
    if sizes[0] != sizes[1]:
        raise SchemaError(
            f"match_components: scan and detector are {sizes[0]} and {sizes[1]}, need the same. Crop or bin both alike."
        )
    # Masked pixels differ between fits: only those that both have seen may enter the cosine.
    patterns, true_patterns = _flatten_components(factors["factor"]), _flatten_components(truth["factor"])
    seen = np.isfinite(patterns).all(axis=0) & np.isfinite(true_patterns).all(axis=0)
    cosine = compute_cosines(true_patterns[:, seen], patterns[:, seen])
    # All pairs at once: matching the best pair first can leave a poor one for the last component.
    rows, columns = linear_sum_assignment(-cosine)
    component = np.full(len(true_patterns), -1)
    component[rows] = columns
    scores = np.full((2, len(true_patterns)), np.nan)
    maps = [_subtract_means(_flatten_components(side["loading"])) for side in (truth, factors)]
    for row, column in zip(rows, columns, strict=True):
        if true_patterns[row, seen].any() and patterns[column, seen].any():
            scores[0, row] = cosine[row, column]
        if maps[0][row].any() and maps[1][column].any():
            scores[1, row] = compute_cosines(maps[0][[row]], maps[1][[column]])[0, 0]
    meanings = ("cosine of the patterns", "Pearson correlation of the maps")
    return xr.Dataset(
        {
            "component": ("truth", component, {"long_name": "component that matches", "units": "1"}),
            "pattern_cosine": ("truth", scores[0], {"long_name": meanings[0], "units": "1"}),
            "loading_correlation": ("truth", scores[1], {"long_name": meanings[1], "units": "1"}),
        }
    )


def truth_as_factors(patterns: xr.Dataset, *, like: xr.Dataset | None = None) -> xr.Dataset:
    """Make FACTORS of the truth that a simulated scan carries, to be drawn or thresholded like a fit.

    Parameters
    ----------
    patterns
        PATTERNS of :func:`phasekit.synthetic.overlapping_grains`.
    like
        FACTORS whose masked pixels are masked here too, so that weights can be compared. A direct beam that the fit did
        not see then counts on neither side.

    Returns
    -------
    xarray.Dataset
        FACTORS: ``loading`` [counts on the used pixels], ``factor`` (sum 1; NaN only where ``like`` is).

    Raises
    ------
    SchemaError
        There is no truth in the dataset.

    See Also
    --------
    match_components : Pair a fit's components with these.
    phasekit.synthetic.overlapping_grains : Simulate such a scan.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(16, 16))
    >>> truth_as_factors(scan).sizes["component"]
    3
    """
    if "truth_factor" not in patterns or "truth_loading" not in patterns:
        raise SchemaError(
            "truth_as_factors: there is no 'truth_factor' and 'truth_loading', needs a simulated scan "
            "(pk.synthetic.overlapping_grains makes one). A measured scan has no truth to compare with."
        )
    out = patterns[["truth_loading", "truth_factor"]].rename(truth_loading="loading", truth_factor="factor")
    if like is not None:
        require(like, FACTORS, step="truth_as_factors", argument="like")
        out["factor"] = out["factor"].where(like["factor"].isel(component=0, drop=True).notnull())
        kept = out["factor"].sum(("qy", "qx"))  # what the mask leaves of a pattern of sum 1 goes over to the map
        out["factor"], out["loading"] = out["factor"] / kept.where(kept > 0, 1), out["loading"] * kept
        out.attrs |= {key: value for key, value in like.attrs.items() if key.startswith("beam_")}
    out["loading"].attrs["units"] = "counts"
    return describe(out, FACTORS, step="truth_as_factors", settings={"like": like}, source=patterns)


def relabel(label: xr.DataArray, matches: xr.Dataset) -> xr.DataArray:
    """Rename true components in a label map by the components they were matched with, so that colours agree.

    Parameters
    ----------
    label
        Map of indices into ``truth``; negative values stay.
    matches
        What :func:`match_components` returned.

    Returns
    -------
    xarray.DataArray
        The same map; a true component without partner gets the next free number.

    See Also
    --------
    match_components : Gives ``matches``.
    find_overlap : Gives label maps.

    Examples
    --------
    >>> matches = xr.Dataset({"component": ("truth", [2, -1, 0])})
    >>> relabel(xr.DataArray([[0, 1, 2, -1]]), matches).values
    array([[ 2,  3,  0, -1]])
    """
    # The appended -1 is what negative labels pick, so that they stay as they are.
    new = matches["component"].to_numpy().copy()
    alone = new < 0
    new[alone] = new.max(initial=-1) + 1 + np.arange(alone.sum())
    return label.copy(data=np.append(new, -1)[label.to_numpy()])


def _flatten_components(array: xr.DataArray) -> NDArray[np.float64]:
    """Maps or patterns as rows (component, point), double precision."""
    return array.transpose("component", ...).to_numpy().reshape(array.sizes["component"], -1).astype(np.float64)


def _subtract_means(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps (component, point) less their means; 0 where a map is constant within the rounding of its values."""
    away = maps - maps.mean(axis=1, keepdims=True)
    rounding = _MAP_ROUNDING * np.linalg.norm(maps, axis=1, keepdims=True)
    return np.where(np.linalg.norm(away, axis=1, keepdims=True) > rounding, away, 0.0)


def compute_cosines(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.floating]:
    """Cosine between every row of one and every row of the other; 0 for a row of zeros."""
    norms = [np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300) for rows in (first, second)]
    # The scalar product of two unit vectors is known to rounding only, and may pass 1 by it.
    return np.clip((first / norms[0]) @ (second / norms[1]).T, -1.0, 1.0)
