"""The factorisation: k non-negative patterns and their weight maps."""

from functools import partial
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import ConvergenceError, SchemaError
from ...schema import FACTORS, FEATURES, describe, require
from ..features.features import to_detector
from .arrays import find_device
from .divergence import minimise_divergence
from .hals import Array, Fit, LowRank, fit_hals
from .multistart import (
    FeatureRows,
    check_numerical_rank,
    check_rank,
    compress_for_ranks,
    fit_multistart,
    make_feature_rows,
    move_to_device,
    move_to_host,
)
from .penalties import Penalties
from .polish import refine_fits
from .starts import grow_start

LOSSES = ("frobenius", "kullback-leibler")
_START_ITERATIONS = 40  # iterations on the compressed data from a start that is given


class Wishes(TypedDict, total=False):
    """What else the components should be like; each 0 (no wish) to about 1."""

    sparsity: float
    smoothness: float
    orthogonality: float


def factorise(  # noqa: PLR0913 - further settings of one fit, keyword-only
    features: xr.Dataset,
    k: int,
    *,
    loss: str = "frobenius",
    start: xr.Dataset | None = None,
    seed: int = 0,
    n_starts: int = 5,
    max_iterations: int = 500,
    tolerance: float = 1e-5,
    in_memory: bool | None = None,
    device: str = "cpu",
    progress: bool = False,
    **wishes: Unpack[Wishes],
) -> xr.Dataset:
    """Split a scan into ``k`` non-negative components by alternating least squares (HALS).

    The data are compressed once (a randomised SVD of rank k + 12, four passes over the rows). ``n_starts``
    beginnings race on the compressed data; the best is finished on the data themselves, one pass an iteration.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`. Holes (``to_features(missing="keep")``) are filled with what the fit says and
        count nothing.
    k
        Number of components, background included.
    loss
        ``"frobenius"``: least squares, on features scaled for Poisson counts by default. ``"kullback-leibler"``: the
        likelihood of the counts themselves, from the least-squares fit on; better below about 0.1 counts per feature,
        some 10 times slower.
    start
        FACTORS to begin with instead of the race, from the same features; one of k - 1 components grows by what it
        leaves over.
    seed
        Seed of the random starts: same seed, same result.
    n_starts
        Number of starts: the first from the singular vectors, the others from the patterns of scan points that differ
        most. More starts guard against a poor local minimum.
    max_iterations
        Passes over the full data before the fit counts as stopped early.
    tolerance
        1e-5 stops when 100 more iterations would change the error by less than 0.1 % of itself. The limit of single
        precision, 3e-8 of the data's square sum, also stops.
    in_memory
        ``True`` loads the features (4 bytes x scan points x features; 0.2 times as much on top), ``False`` computes
        them block by block on every pass (128 MB at a time). ``None`` loads what takes less than 40 % of the free
        memory.
    device
        ``"cpu"`` for the compiled code; ``"auto"`` takes a CUDA GPU if there is one, ``"cuda"`` asks for it.
    progress
        Show a progress bar.
    wishes
        ``sparsity``: 0.1 empties weak places of the maps (a tenth of each map's mean is taken off everywhere).
        ``smoothness``: 1 draws every loading half way to the mean of its four neighbours. ``orthogonality``: 0.1 makes
        patterns share less (a tenth of the cost of explaining the same counts twice). The error is then not the
        least, and ``relative_error`` says by how much.

    Returns
    -------
    xarray.Dataset
        FACTORS, strongest component first: ``factor(component, qy, qx)`` (sum 1 over the used pixels; NaN where the
        detector was masked), ``loading(component, scan_y, scan_x)`` [counts the component holds in that pattern],
        ``explained(component)`` (share of the modelled counts). Attributes: ``relative_error`` (of the scaled
        features), ``optimality`` (projected gradient, 0 at a stationary point), ``iterations``, ``converged``.

    Raises
    ------
    SchemaError
        Not FEATURES; ``k`` below 1 or above the scan points, the features or the rank of the data; negative or not
        finite values; zeros only; a wish below 0; a device that is not there.
    ConvergenceError
        ``max_iterations`` were not enough; ``.partial`` holds the FACTORS reached (``converged`` = 0).

    References
    ----------
    A. Cichocki and A.-H. Phan, IEICE Trans. Fundam. E92-A (2009) 708 (HALS); N. Gillis and F. Glineur, Neural Comput.
    24 (2012) 1085 (several inner sweeps per product); N. B. Erichson et al., Pattern Recogn. Lett. 104 (2018) 1
    (randomised compression); D. D. Lee and H. S. Seung, NIPS 13 (2001) 556 (Kullback-Leibler).

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

    settings = {
        name: value for name, value in locals().items() if name not in ("features", "threadpool_limits", "tqdm")
    }
    require(features, FEATURES, step="factorise")
    plan = _FitSettings(k, loss, n_starts, max_iterations, tolerance, _penalties(wishes, features))
    _check_settings(plan)
    there = find_device(device, "factorise")
    rows = make_feature_rows(features, "factorise", in_memory=in_memory, device=there)
    check_rank(k, rows.source.shape, "factorise")
    with threadpool_limits(limits=1), tqdm(total=max_iterations, disable=not progress, desc="factorise") as bar:
        rng = np.random.default_rng(seed)
        low = compress_for_ranks(rows.whole, k, rng)
        check_numerical_rank(low, k, "factorise")
        if start is None:
            begun = next(fit_multistart(low, [k], n_starts, rng, device=there))[0]
        else:
            begun = _fit_from_factors(start, features, k, low)
        fit = _refine_fit(rows, begun, plan, features, there, bar)
    out = describe(label_fit(features, fit), FACTORS, step="factorise", settings=settings, source=features)
    if not fit.converged:
        raise ConvergenceError(
            f"factorise: the error still changed by more than {tolerance:g} of itself per iteration after "
            f"{max_iterations} iterations. Raise max_iterations or tolerance, or use what was reached: error.partial.",
            out,
        )
    return out


class _FitSettings(NamedTuple):
    """How a fit is to be made."""

    k: int
    loss: str
    n_starts: int
    max_iterations: int
    tolerance: float
    penalties: Penalties


def _penalties(wishes: Wishes, features: xr.Dataset) -> Penalties:
    scan = (features.sizes["scan_y"], features.sizes["scan_x"])
    return Penalties(**{name: float(value) for name, value in wishes.items()}, scan=scan)  # type: ignore[arg-type]


def _check_settings(plan: _FitSettings) -> None:
    if plan.loss not in LOSSES:
        raise SchemaError(f"factorise: loss = {plan.loss!r}, needs one of {', '.join(LOSSES)}.")
    if plan.n_starts < 1 or plan.max_iterations < 1:
        raise SchemaError(
            f"factorise: n_starts = {plan.n_starts}, max_iterations = {plan.max_iterations}, need at least 1."
        )
    wanted = plan.penalties[:3]
    if min(wanted) < 0:
        raise SchemaError(f"factorise: sparsity, smoothness, orthogonality = {wanted}, need values >= 0 (0: no wish).")
    if plan.loss == "kullback-leibler" and plan.penalties.active:
        raise SchemaError("factorise: sparsity, smoothness and orthogonality go with loss='frobenius' only.")


def _refine_fit(rows: FeatureRows, begun: Fit, plan: _FitSettings, features: xr.Dataset, device: Any, bar: Any) -> Fit:
    """The exact fit from a compressed one; the likelihood's from there if that is wanted."""
    exact = partial(refine_fits, rows.source, [move_to_device(begun, device)], tolerance=plan.tolerance)
    tick = lambda done: bar.update(done - bar.n)  # noqa: E731
    if plan.loss == "frobenius":
        return move_to_host(exact(max_iterations=plan.max_iterations, penalties=plan.penalties, tick=tick)[0])
    near = move_to_host(exact(max_iterations=min(10, plan.max_iterations))[0])
    weights = (read_scan_weight(features), features["feature_weight"].to_numpy().astype(np.float32))
    source = rows.source if device is None else make_feature_rows(features, "factorise").source
    return minimise_divergence(
        source, near, weights, max_iterations=plan.max_iterations, tolerance=plan.tolerance, tick=tick
    )


def _fit_from_factors(start: xr.Dataset, features: xr.Dataset, k: int, low: LowRank) -> Fit:
    """A given factorisation on the compressed data, grown by one component if it has one too few."""
    require(start, FACTORS, step="factorise")
    sizes = [tuple(d.sizes[n] for n in ("scan_y", "scan_x")) for d in (start, features)]
    detector = tuple(start.sizes[n] for n in ("qy", "qx")), features["feature_index"].shape
    if sizes[0] != sizes[1] or detector[0] != detector[1] or start.sizes["component"] not in (k, k - 1):
        raise SchemaError(
            f"factorise: start has {start.sizes['component']} components on a scan of {sizes[0]} and a detector of "
            f"{detector[0]}, needs {k} or {k - 1} on {sizes[1]} and {detector[1]}. Fit it to these features first."
        )
    pattern = sum_to_features(features, start["factor"]) / features["feature_weight"].to_numpy()
    maps = start["loading"].transpose("component", "scan_y", "scan_x").to_numpy().reshape(len(pattern), -1)
    fit = Fit((maps / read_scan_weight(features)).astype(np.float32), pattern.astype(np.float32), np.inf)
    return fit_hals(low, grow_start(low, fit, k), _START_ITERATIONS)


def read_scan_weight(features: xr.Dataset) -> Array:
    """What was divided out of each scan point, (scan point,)."""
    return features["scan_weight"].transpose("scan_y", "scan_x").to_numpy().astype(np.float32).ravel()


def sum_to_features(features: xr.Dataset, patterns: xr.DataArray) -> NDArray[np.float64]:
    """Patterns on the detector summed to features, (component, feature); the way back from :func:`to_detector`."""
    index = features["feature_index"].transpose("qy", "qx").to_numpy()
    used = index >= 0
    images = np.nan_to_num(patterns.transpose("component", "qy", "qx").to_numpy())[:, used]
    n = features.sizes["feature"]
    return np.array([np.bincount(index[used], weights=image, minlength=n) for image in images])


def label_fit(features: xr.Dataset, fit: Fit) -> xr.Dataset:
    """FACTORS in counts, factors of sum 1, strongest first."""
    patterns = fit.factor * features["feature_weight"].to_numpy()
    maps = fit.loading * read_scan_weight(features)
    norm = patterns.sum(axis=1, dtype=np.float64)
    patterns, maps = _normalise_patterns(patterns, maps, norm)
    total = maps.sum(axis=1, dtype=np.float64)
    order = np.argsort(-total, kind="stable")
    shape = (features.sizes["scan_y"], features.sizes["scan_x"])
    out = xr.Dataset(
        {
            "loading": (("component", "scan_y", "scan_x"), maps[order].reshape(-1, *shape)),
            "factor": to_detector(features, xr.DataArray(patterns[order], dims=("component", "feature"))).astype("f4"),
            "explained": ("component", total[order] / max(total.sum(), 1e-300)),
        },
        coords={d: features[d] for d in ("scan_y", "scan_x", "qy", "qx") if d in features.coords},
    ).assign_coords(component=np.arange(len(order)))
    out["loading"].attrs["units"] = "counts"
    reached = {"relative_error": fit.error, "iterations": fit.iterations, "converged": int(fit.converged)}
    if np.isfinite(fit.optimality):
        reached["optimality"] = fit.optimality
    beam = {key: value for key, value in features.attrs.items() if key.startswith("beam_")}
    out.attrs = {**reached, **beam}
    return out


def _normalise_patterns(patterns: Array, maps: Array, norm: NDArray[np.floating]) -> tuple[Array, Array]:
    """Divide each pattern by its norm and give it to its map."""
    safe = np.where(norm > 0, norm, 1.0)[:, None]
    return (patterns / safe).astype(np.float32), (maps * norm[:, None]).astype(np.float32)
