"""Weights of given components in every pattern, their uncertainty, and the probability of an overlap."""

from typing import NamedTuple

import numba
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import FACTORS, FEATURES, LOADINGS, OVERLAP, describe, require
from ..fitting.arrays import compute_gram
from ..fitting.factors import sum_to_features
from ..fitting.hals import Array, fit_nonnegative_loading
from ..fitting.labels import read_scan_weight
from ..fitting.level import bring_to_unit_level
from ..fitting.multistart import make_feature_rows
from .overlap import choose_background, compute_component_weights, find_overlap

Cube = NDArray[np.float64]
_SWEEPS = 200
_ROWS = 512  # patterns at a time in double precision
_VARIANCE_FLOOR = 0.02  # of the pattern's mean variance: a model of zero does not mean that there is no noise


class _CountLoadings(NamedTuple):
    """Loadings (k, row), covariance (k, k, row) and chi-square (row,) of some patterns, in counts."""

    loading: Cube
    covariance: Cube
    chi_square: Cube


def fit_loadings(features: xr.Dataset, factors: xr.Dataset) -> xr.Dataset:
    r"""Fit every pattern with given components, non-negative, and compute the uncertainty of each weight.

    The weights of a pattern :math:`v` are those of least squares on the scaled features, with factors :math:`F`:

    .. math::

        \hat w = \arg\min_{w \ge 0} \lVert v - F^T w\rVert^2.

    Their covariance follows from the counting noise that the fit itself predicts, for the components that are not at
    zero:

    .. math::

        \mathrm{Cov}(\hat w) = (F F^T)^{-1}\, F\, \mathrm{diag}(\sigma^2)\, F^T\, (F F^T)^{-1},\qquad
        \sigma_j^2 = \frac{(F^T \hat w)_j}{g\, h_j}

    with the weights g of the scan point and h of the feature that were divided out. Where :math:`\sigma` is the same
    for all features, this is the inverse Fisher information :math:`\sigma^2 (F F^T)^{-1}`. The features are read once,
    block by block.

    Parameters
    ----------
    features
        FEATURES of the scan, scaled for Poisson counts; otherwise the errors mean nothing. Not averaged over
        neighbours.
    factors
        FACTORS on the same detector; of this scan or of another one.

    Returns
    -------
    xarray.Dataset
        LOADINGS. ``loading(component, scan_y, scan_x)`` [counts]. ``loading_error``: one standard deviation [counts].
        Where the loading is 0, it is the one it would have if it could be negative; an upper limit is twice that.
        ``loading_covariance(component, other, scan_y, scan_x)`` [counts squared]. ``share``: part of the pattern's
        modelled counts; NaN in an empty pattern. ``chi_square(scan_y, scan_x)``: per degree of freedom, 1 is noise
        alone; NaN in an empty pattern.

    Raises
    ------
    SchemaError
        Not FEATURES or FACTORS, another detector, or features with missing values.

    See Also
    --------
    factorise : Gives the components.
    overlap_probability : Overlap with the uncertainty of these weights.
    to_features : Prepare the features.

    References
    ----------
    White, Econometrica 48 (1980) 817 (covariance under uneven noise).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> features = pk.nmf.to_features(scan)
    >>> found = fit_loadings(features, pk.nmf.factorise(features, 3))
    >>> bool((found.loading_error > 0).all()), bool(abs(found.chi_square.mean() - 1) < 0.2)
    (True, True)
    """
    from threadpoolctl import threadpool_limits

    require(features, FEATURES, step="fit_loadings", argument="features")
    given, features = features, bring_to_unit_level(features)
    require(factors, FACTORS, step="fit_loadings", argument="factors")
    detector = tuple(factors.sizes[n] for n in ("qy", "qx"))
    if detector != features["feature_index"].shape:
        raise SchemaError(
            f"fit_loadings: factors have a detector of {detector}, the features of {features['feature_index'].shape}. "
            "Crop or bin both alike."
        )
    rows = make_feature_rows(features, "fit_loadings")
    if rows.missing:
        raise SchemaError("fit_loadings: the features hold missing values. Mask those detector pixels first.")
    # Patterns in counts are brought to the scale of the features, where noise is even.
    weight = features["feature_weight"].to_numpy().astype(np.float32)
    patterns = np.ascontiguousarray(sum_to_features(features, factors["factor"]) / weight, dtype=np.float32)
    with threadpool_limits(limits=1):
        parts = [
            _fit_block(block, patterns, read_scan_weight(features)[where], weight)
            for where, block in rows.source.read_blocks()
        ]
    found = _CountLoadings(*(np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)))
    out = _label_loadings(features, found)
    return describe(out, LOADINGS, step="fit_loadings", settings={}, source=given)


def overlap_probability(
    loadings: xr.Dataset, factors: xr.Dataset, *, threshold: float = 0.75, background: int | None = None
) -> xr.Dataset:
    r"""Compute the probability that two components overlap at each scan point, from the published ratio rule.

    With the two strongest weights :math:`w_1 \ge w_2`, their covariance C, threshold t and the normal distribution
    function :math:`\Phi`,

    .. math::

        P(w_2 \ge t\, w_1) = \Phi\!\left(\frac{w_2 - t\, w_1}{\sigma}\right),\qquad
        \sigma^2 = C_{22} + t^2 C_{11} - 2 t\, C_{12}.

    Parameters
    ----------
    loadings
        LOADINGS of :func:`fit_loadings`.
    factors
        FACTORS they belong to.
    threshold
        Ratio of the second to the first weight, 0..1, as in :func:`find_overlap`.
    background
        As in :func:`find_overlap`; it is neither first nor second.

    Returns
    -------
    xarray.Dataset
        OVERLAP as of :func:`find_overlap`, for these loadings, and ``probability(scan_y, scan_x)``. It is 0 where the
        background is the label or no second component is left. ``overlap`` is a probability of at least one half.

    Raises
    ------
    SchemaError
        As :func:`find_overlap`, or loadings of other components.

    See Also
    --------
    fit_loadings : Gives the weights and their covariance.
    find_overlap : The rule without uncertainty.
    overlap_pattern : One overlapped pattern beside the sum of its parts.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=3, shape=(16, 16), detector=(32, 32), boundary_width=3)
    >>> features = pk.nmf.to_features(scan)
    >>> factors = pk.nmf.factorise(features, 4)
    >>> found = overlap_probability(fit_loadings(features, factors), factors)
    >>> bool(found.probability.max() > 0.9), bool(found.probability.min() == 0)
    (True, True)
    """
    require(loadings, LOADINGS, step="overlap_probability", argument="loadings")
    require(factors, FACTORS, step="overlap_probability", argument="factors")
    if loadings.sizes["component"] != factors.sizes["component"]:
        raise SchemaError(
            f"overlap_probability: {loadings.sizes['component']} loadings for {factors.sizes['component']} factors. "
            "Fit the loadings of these factors."
        )
    chosen = choose_background(factors, background, "overlap_probability")
    fitted = factors.assign(loading=loadings["loading"])
    out = find_overlap(fitted, threshold=threshold, background=chosen)
    weights = compute_component_weights(fitted).transpose("component", "scan_y", "scan_x").to_numpy()
    # Weights are on another scale than loadings; the covariance is brought to theirs.
    scale = weights.max(axis=(1, 2)) / np.maximum(loadings["loading"].max(("scan_y", "scan_x")).to_numpy(), 1e-300)
    covariance = loadings["loading_covariance"].transpose("component", "other", "scan_y", "scan_x").to_numpy()
    chance = _compute_overlap_probability(
        weights, covariance * np.multiply.outer(scale, scale)[..., None, None], chosen, threshold
    )
    out["probability"] = (("scan_y", "scan_x"), np.where(out["label"] == chosen, 0.0, chance))
    out["overlap"] = out["probability"] >= 0.5
    settings = {"threshold": threshold, "background": background}
    return describe(out, OVERLAP, step="overlap_probability", settings=settings, source=loadings)


def _compute_overlap_probability(weights: Cube, covariance: Cube, background: int, threshold: float) -> Cube:
    """P(w2 >= threshold w1) of the two strongest components beside the background, (scan_y, scan_x)."""
    from scipy.special import ndtr

    # The two strongest of the grains at each point, found without the background.
    free = np.array([i for i in range(len(weights)) if i != background])
    if len(free) < 2:
        return np.zeros(weights.shape[1:])
    order = free[np.argsort(-weights[free], axis=0, kind="stable")[:2]]
    first, second = np.take_along_axis(weights, order, axis=0)
    y, x = np.indices(first.shape)
    of = [covariance[order[i], order[j], y, x] for i, j in ((0, 0), (1, 1), (0, 1))]
    spread = np.sqrt(np.maximum(of[1] + threshold**2 * of[0] - 2 * threshold * of[2], 1e-300))
    return np.where(second > 0, ndtr((second - threshold * first) / spread), 0.0)


def _fit_block(block: Array, patterns: Array, scan: Array, feature: Array) -> _CountLoadings:
    """Loadings (k, rows) and covariance (k, k, rows) in counts, and chi-square (rows,) of some rows.

    ``block`` is (row, feature) and ``patterns`` (k, feature), both scaled. ``scan`` (row,) and ``feature`` (feature,)
    are the weights that were divided out.
    """
    k, n = len(patterns), len(block)
    squares = compute_gram(patterns)
    loading = fit_nonnegative_loading(patterns @ block.T, squares.astype(np.float32), _SWEEPS)
    model = loading.T @ patterns
    variance = model / (scan[:, None] * feature)  # Poisson: the counts' own variance is their expectation
    np.maximum(variance, np.float32(_VARIANCE_FLOOR) * variance.mean(axis=1, keepdims=True), out=variance)
    # F diag(variance) F^T of every row is one matrix product with the products of pairs of patterns.
    first, second = np.triu_indices(k)
    pairs = patterns[first].astype(np.float64) * patterns[second]
    noise = np.empty((n, k, k))
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        noise[rows, first, second] = noise[rows, second, first] = variance[rows].astype(np.float64) @ pairs.T
    covariance = np.empty((k, k, n))
    _fill_sandwich_covariance(squares, noise, loading > 0, covariance)
    free = max(block.shape[1] - k, 1)
    # A pattern without any count has no noise that could be compared with: 0 / 0.
    with np.errstate(invalid="ignore"):
        chi_square = np.sum((block - model) ** 2 / variance, axis=1, dtype=np.float64) / free
    weight = scan.astype(np.float64)  # its square is beyond single precision in some units
    return _CountLoadings(loading * weight, covariance * weight**2, np.asarray(chi_square))


@numba.njit(cache=True, nogil=True)
def _fill_sandwich_covariance(gram: Cube, noise: Cube, free: NDArray[np.bool_], out: Cube) -> None:
    """Inverse Gram x noise x inverse Gram of every row, over its free components and each bound one added to them.

    ``gram`` (k, k), ``noise`` (row, k, k) and ``free`` (k, row) go in, ``out`` (k, k, row) is filled; float64. An
    inverse is symmetric only up to its rounding, times the condition of the Gram matrix. Each element of the result is
    therefore the mean of the two that stand for it.
    """
    k, n = free.shape
    for row in range(n):
        out[:, :, row] = 0.0
        # -1: the free components alone; k of them: what a component at zero would have if it were free.
        for extra in range(-1, k):
            if extra >= 0 and free[extra, row]:
                continue
            chosen = np.array([i for i in range(k) if free[i, row] or i == extra])
            m = len(chosen)
            if m == 0:
                continue
            part, spread = np.empty((m, m)), np.empty((m, m))
            for i in range(m):
                for j in range(m):
                    part[i, j], spread[i, j] = gram[chosen[i], chosen[j]], noise[row, chosen[i], chosen[j]]
                part[i, i] *= 1 + 1e-9  # two equal patterns would make the matrix singular
            inverse = np.linalg.inv(part)
            product = inverse @ spread @ inverse
            found = (product + product.T) / 2
            for i in range(m):
                for j in range(m):
                    if extra < 0 or chosen[i] == extra or chosen[j] == extra:
                        out[chosen[i], chosen[j], row] = found[i, j]


def _label_loadings(features: xr.Dataset, found: _CountLoadings) -> xr.Dataset:
    """LOADINGS from loadings, covariance and chi-square."""
    shape = features.sizes["scan_y"], features.sizes["scan_x"]
    loading, covariance, chi_square = (part.reshape(*part.shape[:-1], *shape) for part in found)
    maps = ("component", "scan_y", "scan_x")
    total = loading.sum(axis=0)
    error = np.sqrt(np.einsum("iiyx->iyx", covariance))
    out = xr.Dataset(
        {
            "loading": (maps, loading, {"units": "counts"}),
            "loading_error": (maps, error, {"units": "counts"}),
            "loading_covariance": (("component", "other", "scan_y", "scan_x"), covariance, {"units": "counts2"}),
            "share": (maps, np.where(total > 0, loading / np.where(total > 0, total, 1), np.nan)),
            "chi_square": (("scan_y", "scan_x"), chi_square),
        },
        coords={d: features[d] for d in ("scan_y", "scan_x") if d in features.coords},
    )
    return out.assign_coords(component=np.arange(len(loading)), other=np.arange(len(loading)))
