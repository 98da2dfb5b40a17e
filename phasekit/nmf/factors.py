"""The factorisation: k non-negative patterns and their weight maps."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ConvergenceError, SchemaError
from ..schema import FACTORS, FEATURES, describe, require
from ._hals import Array, Dense, Fit, compress
from ._starts import polish, race, random_start, svd_start
from .features import to_detector
from .masks import check_values


def factorise(
    features: xr.Dataset,
    k: int,
    *,
    seed: int = 0,
    n_starts: int = 3,
    max_iterations: int = 1000,
    tolerance: float = 1e-8,
    progress: bool = False,
) -> xr.Dataset:
    """Split a scan into ``k`` non-negative components by alternating least squares (HALS).

    Reads all features into memory once (4 bytes x scan points x features) and runs on one BLAS thread. ``n_starts``
    beginnings race on a compressed copy (rank k + 20); the best is finished on the data themselves until the exact
    squared error falls by less than ``tolerance`` of the data's square sum per iteration.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`.
    k
        Number of components, background included.
    seed
        Seed of the random starts.
    n_starts
        Number of starts: the first from the singular vectors, the others from the patterns of scan points that differ
        most. More starts guard against a poor local minimum.
    max_iterations
        Iterations on the full data before the fit counts as stopped early.
    tolerance
        1e-8 stops when 100 more iterations would change the error by less than 0.0001 % of the data's square sum.
    progress
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        FACTORS, strongest component first: ``factor(component, qy, qx)`` (sum 1 over the used pixels; NaN where the
        detector was masked), ``loading(component, scan_y, scan_x)`` [counts the component holds in that pattern],
        ``explained(component)`` (share of the modelled counts). Attributes: ``relative_error`` (of the scaled
        features), ``iterations``, ``converged``.

    Raises
    ------
    SchemaError
        Not FEATURES; ``k`` below 1 or above the scan points, the features or the rank of the data; negative or not
        finite values; zeros only.
    ConvergenceError
        ``max_iterations`` were not enough; ``.partial`` holds the FACTORS reached (``converged`` = 0).

    References
    ----------
    A. Cichocki and A.-H. Phan, IEICE Trans. Fundam. E92-A (2009) 708 (HALS); N. Gillis and F. Glineur, Neural Comput.
    24 (2012) 1085 (several inner sweeps per product).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> factors = factorise(pk.nmf.to_features(scan), 3)
    >>> dict(factors.loading.sizes), float(factors.factor[0].sum().round(3))
    ({'component': 3, 'scan_y': 8, 'scan_x': 8}, 1.0)
    """
    from threadpoolctl import threadpool_limits
    from tqdm.auto import tqdm

    require(features, FEATURES, step="factorise")
    data = feature_matrix(features, "factorise")
    check_rank(k, data.shape, "factorise")
    if n_starts < 1 or max_iterations < 1:
        raise SchemaError(f"factorise: n_starts = {n_starts}, max_iterations = {max_iterations}, need at least 1.")
    rng = np.random.default_rng(seed)
    with threadpool_limits(limits=1), tqdm(total=max_iterations, disable=not progress, desc="factorise") as bar:
        low = compress(data, k + 20, rng)
        _check_numerical_rank(low.left, k)
        starts = [svd_start(low, k), *(random_start(low, k, rng) for _ in range(n_starts - 1))]
        fit = polish(
            Dense(data),
            race(low, starts),
            max_iterations=max_iterations,
            tolerance=tolerance,
            tick=lambda done: bar.update(done - bar.n),
        )
    settings = {"k": k, "seed": seed, "n_starts": n_starts, "max_iterations": max_iterations, "tolerance": tolerance}
    out = describe(_label(features, fit), FACTORS, step="factorise", settings=settings, source=features)
    if not fit.converged:
        raise ConvergenceError(
            f"factorise: the error still fell by more than {tolerance:g} per iteration after {max_iterations} "
            "iterations. Raise max_iterations or tolerance, or use what was reached: error.partial.",
            out,
        )
    return out


def feature_matrix(features: xr.Dataset, step: str) -> Array:
    """All features in memory, (scan point, feature) float32, checked."""
    values = features["feature_value"].transpose("scan_y", "scan_x", "feature")
    data = np.asarray(values.data, dtype=np.float32).reshape(-1, values.sizes["feature"])
    check_values(float(data.min()), float(data.sum(dtype=np.float64)), step)
    return np.ascontiguousarray(data)


def check_rank(k: Any, shape: tuple[int, ...], step: str) -> None:
    """Refuse a k that no factorisation of this shape has."""
    limit = min(shape)
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= limit:
        raise SchemaError(
            f"{step}: k = {k!r}, needs a whole number from 1 to {limit} ({shape[0]} scan points, {shape[1]} features)."
        )


def _check_numerical_rank(left: Array, k: int) -> None:
    strength = np.linalg.norm(left, axis=0)  # singular values
    rank = int((strength > 1e-5 * strength[0]).sum())
    if k > rank:
        raise SchemaError(
            f"factorise: k = {k}, but the data have rank {rank}: further components would be empty. Choose k <= {rank}."
        )


def _label(features: xr.Dataset, fit: Fit) -> xr.Dataset:
    """FACTORS in counts, factors of sum 1, strongest first."""
    patterns = fit.factor * features["feature_weight"].to_numpy()
    maps = fit.loading * features["scan_weight"].to_numpy().reshape(1, -1)
    norm = patterns.sum(axis=1, dtype=np.float64)
    patterns, maps = _fold(patterns, maps, norm)
    total = maps.sum(axis=1, dtype=np.float64)
    order = np.argsort(-total, kind="stable")
    shape = (features.sizes["scan_y"], features.sizes["scan_x"])
    out = xr.Dataset(
        {
            "loading": (("component", "scan_y", "scan_x"), maps[order].reshape(-1, *shape)),
            "factor": to_detector(features, xr.DataArray(patterns[order], dims=("component", "feature"))),
            "explained": ("component", total[order] / max(total.sum(), 1e-300)),
        },
        coords={d: features[d] for d in ("scan_y", "scan_x", "qy", "qx") if d in features.coords},
    ).assign_coords(component=np.arange(len(order)))
    out["loading"].attrs["units"] = "counts"
    reached = {"relative_error": fit.error, "iterations": fit.iterations, "converged": int(fit.converged)}
    beam = {key: value for key, value in features.attrs.items() if key.startswith("beam_")}
    out.attrs = {**reached, **beam}
    return out


def _fold(patterns: Array, maps: Array, norm: NDArray[np.floating]) -> tuple[Array, Array]:
    """Divide each pattern by its norm and give it to its map."""
    safe = np.where(norm > 0, norm, 1.0)[:, None]
    return (patterns / safe).astype(np.float32), (maps * norm[:, None]).astype(np.float32)
