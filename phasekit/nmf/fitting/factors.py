"""The factorisation: k non-negative patterns and their weight maps."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import ConvergenceError, SchemaError
from ...schema import FACTORS, FEATURES, describe, require
from .arrays import find_device
from .divergence import minimise_divergence
from .hals import Fit, LowRank, fit_hals
from .labels import label_fit, read_scan_weight
from .level import bring_to_unit_level
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
_COMPRESSION_PASSES = 2  # enough for a start, since the fit goes on with the data themselves
_START_TOLERANCE = 1e-6  # of the error per iteration on the compressed data, where an iteration costs little
_START_ITERATIONS = 40  # on the compressed data from a start that is given


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
    sparsity: float = 0.0,
    smoothness: float = 0.0,
    orthogonality: float = 0.0,
) -> xr.Dataset:
    r"""Factorise a scan into ``k`` non-negative components by alternating least squares (HALS).

    The scaled counts :math:`V` (scan point, feature) are written as loadings :math:`W` times factors :math:`H`:

    .. math::

        \min_{W, H \ge 0}\; \tfrac12 \lVert V - W H \rVert_F^2.

    HALS updates one row of :math:`H`, or one column of :math:`W`, at a time, all others fixed:

    .. math::

        H_k \leftarrow \max\left(0,\; H_k + \frac{(W^T V)_k - (W^T W)_k H}{(W^T W)_{kk}}\right).

    With ``loss="kullback-leibler"`` the generalised divergence of the counts is lowered instead, with
    :math:`\lambda = W H` in counts:

    .. math::

        D(v \,\|\, \lambda) = \sum_{ij} v_{ij} \ln\frac{v_{ij}}{\lambda_{ij}} - v_{ij} + \lambda_{ij}.

    The data are compressed once by a randomised SVD of rank k + 12. ``n_starts`` starts are fitted to the compressed
    data for a few iterations, and the best of them until convergence. The best fit is then refined on the data.

    Parameters
    ----------
    features
        FEATURES of :func:`to_features`. Missing values (``to_features(missing="keep")``) are filled with the fit's own
        prediction and add nothing to the error.
    k
        Number of components, background included.
    loss
        ``"frobenius"``: least squares, on features scaled for Poisson counts by default. ``"kullback-leibler"``: the
        likelihood of the counts themselves, from the least-squares fit on. It is better below about 0.1 counts per
        feature and some 10 times slower.
    start
        FACTORS to begin with instead of ``n_starts`` starts, from the same features. With k - 1 components, one is
        added along the residual's strongest direction.
    seed
        Seed of the random starts: same seed, same result.
    n_starts
        Number of starts: the first from the singular vectors, the others from the patterns of scan points that differ
        most. More starts make a poor local minimum less likely.
    max_iterations
        Passes over the full data before the fit counts as stopped early.
    tolerance
        Relative change of the error per iteration at which the fit stops. At 1e-5, 100 more iterations would change
        the error by less than 0.1 %. The limit of single precision, 3e-8 of the data's square sum, also stops.
    in_memory
        ``True`` loads the features (4 bytes x scan points x features; 0.2 times as much on top). ``False`` computes
        them block by block on every pass (128 MB at a time). ``None`` loads what takes less than 40 % of the free
        memory.
    device
        ``"cpu"`` for the compiled code; ``"auto"`` takes a CUDA GPU if there is one, ``"cuda"`` asks for it.
    progress
        Show a progress bar.
    sparsity
        Weight of an L1 penalty on the maps, 0 to about 1. 0.1 takes a tenth of each map's mean off everywhere and so
        empties weak places.
    smoothness
        Weight of a pull towards the mean of the four scan neighbours. 1 draws every loading half way to it.
    orthogonality
        Weight of the overlap between patterns. 0.1 adds a tenth of the cost of explaining the same counts twice. With
        any of the three the error is not the least one possible; ``relative_error`` says by how much.

    Returns
    -------
    xarray.Dataset
        FACTORS, strongest component first. ``factor(component, qy, qx)``: sum 1 over the used pixels; NaN where the
        detector was masked. ``loading(component, scan_y, scan_x)``: counts of the component in that pattern.
        ``explained(component)``: share of the modelled counts. Attributes: ``relative_error`` (of the scaled features),
        ``optimality`` (projected gradient, 0 at a stationary point), ``iterations``, ``converged``.

    Raises
    ------
    SchemaError
        Not FEATURES; ``k`` below 1 or above the scan points, the features or the rank of the data; negative or not
        finite values; zeros only; a penalty below 0; a device that is not there.
    ConvergenceError
        ``max_iterations`` were not enough; ``.partial`` holds the FACTORS reached (``converged`` = 0).

    See Also
    --------
    to_features : Prepare the features.
    scan_ranks : Measure which ``k`` the data support.
    factorise_ranks : Fits of several k at once.
    separate_background : Clean the patterns of the background they contain.

    References
    ----------
    Cichocki and Phan, IEICE Trans. Fundam. E92-A (2009) 708 (HALS); Gillis and Glineur, Neural Comput.
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

    require(features, FEATURES, step="factorise", argument="features")
    given, features = features, bring_to_unit_level(features)
    scan = (features.sizes["scan_y"], features.sizes["scan_x"])
    penalties = Penalties(float(sparsity), float(smoothness), float(orthogonality), scan)
    settings = _FitSettings(k, loss, n_starts, max_iterations, tolerance, penalties, device)
    _check_settings(settings)
    torch_device = find_device(device, "factorise")
    rows = make_feature_rows(features, "factorise", in_memory=in_memory, device=torch_device)
    check_rank(k, rows.source.shape, "factorise")
    # First the compressed data, which cost little and show the best start; then the data themselves.
    # One thread: matrix products of a few rows are faster on one core than shared between several.
    with threadpool_limits(limits=1), tqdm(total=max_iterations, disable=not progress, desc="factorise") as bar:
        rng = np.random.default_rng(seed)
        low = compress_for_ranks(rows.filled, k, rng, _COMPRESSION_PASSES)
        check_numerical_rank(low, k, "factorise")
        if start is None:
            compressed_fit = next(
                fit_multistart(low, [k], n_starts, rng, stop_tolerance=_START_TOLERANCE, device=torch_device)
            )[0]
        else:
            compressed_fit = _fit_from_factors(start, features, k, low)
        fit = _refine_fit(rows, compressed_fit, settings, features, bar, None if rows.missing else low.norm2)
    arguments = {"k": k, "loss": loss, "start": start, "seed": seed, "n_starts": n_starts}
    arguments |= {"max_iterations": max_iterations, "tolerance": tolerance, "in_memory": in_memory, "device": device}
    arguments |= {"progress": progress, "sparsity": sparsity, "smoothness": smoothness, "orthogonality": orthogonality}
    out = describe(label_fit(features, fit), FACTORS, step="factorise", settings=arguments, source=given)
    # A fit that stopped early is often good enough to look at: it travels with the error.
    if not fit.converged:
        raise ConvergenceError(
            f"factorise: the error still changed by more than {tolerance:g} of itself per iteration after "
            f"{max_iterations} iterations. Raise max_iterations or tolerance, or use what was reached: error.partial.",
            out,
        )
    return out


class _FitSettings(NamedTuple):
    """Settings of one fit, as :func:`factorise` explains them."""

    k: int
    loss: str
    n_starts: int
    max_iterations: int
    tolerance: float
    penalties: Penalties
    device: str


def _check_settings(settings: _FitSettings) -> None:
    """Refuse settings that have no meaning."""
    if settings.loss not in LOSSES:
        raise SchemaError(f"factorise: loss = {settings.loss!r}, needs one of {', '.join(LOSSES)}.")
    if settings.n_starts < 1 or settings.max_iterations < 1:
        raise SchemaError(
            f"factorise: n_starts = {settings.n_starts}, max_iterations = {settings.max_iterations}, need at least 1."
        )
    wanted = settings.penalties[:3]
    if min(wanted) < 0:
        raise SchemaError(f"factorise: sparsity, smoothness, orthogonality = {wanted}, need values >= 0 (0: none).")
    if settings.loss == "kullback-leibler" and settings.penalties.is_active:
        raise SchemaError(
            "factorise: sparsity, smoothness and orthogonality go with loss='frobenius' only. Leave "
            "them at 0, or fit with loss='frobenius'."
        )


def _refine_fit(
    rows: FeatureRows, fit: Fit, settings: _FitSettings, features: xr.Dataset, bar: Any, norm2: float | None
) -> Fit:
    """Refine a fit of the compressed data on the data themselves, for the loss that was asked for."""
    device = find_device(settings.device, "factorise")
    start = [move_to_device(fit, device)]
    exact = partial(refine_fits, rows.source, start, tolerance=settings.tolerance, norm2=norm2)
    tick = lambda done: bar.update(done - bar.n)  # noqa: E731
    if settings.loss == "frobenius":
        return move_to_host(exact(max_iterations=settings.max_iterations, penalties=settings.penalties, tick=tick)[0])
    # Ten least-squares passes first: multiplicative updates are slow far from the solution.
    near = move_to_host(exact(max_iterations=min(10, settings.max_iterations))[0])
    weights = (read_scan_weight(features), features["feature_weight"].to_numpy().astype(np.float32))
    # Multiplicative updates run on the processor, so rows on a device are read once more.
    source = rows.source if device is None else make_feature_rows(features, "factorise").source
    return minimise_divergence(
        source, near, weights, max_iterations=settings.max_iterations, tolerance=settings.tolerance, tick=tick
    )


def _fit_from_factors(start: xr.Dataset, features: xr.Dataset, k: int, low: LowRank) -> Fit:
    """A given factorisation fitted to the compressed data, with one more component if it has one too few."""
    require(start, FACTORS, step="factorise", argument="start")
    sizes = [tuple(d.sizes[n] for n in ("scan_y", "scan_x")) for d in (start, features)]
    detector = tuple(start.sizes[n] for n in ("qy", "qx")), features["feature_index"].shape
    if sizes[0] != sizes[1] or detector[0] != detector[1] or start.sizes["component"] not in (k, k - 1):
        raise SchemaError(
            f"factorise: start has {start.sizes['component']} components on a scan of {sizes[0]} and a detector of "
            f"{detector[0]}, needs {k} or {k - 1} on {sizes[1]} and {detector[1]}. Fit it to these features first."
        )
    # The start is in counts; the fit works on scaled features.
    pattern = sum_to_features(features, start["factor"]) / features["feature_weight"].to_numpy()
    maps = start["loading"].transpose("component", "scan_y", "scan_x").to_numpy().reshape(len(pattern), -1)
    fit = Fit((maps / read_scan_weight(features)).astype(np.float32), pattern.astype(np.float32), np.inf)
    return fit_hals(low, grow_start(low, fit, k), _START_ITERATIONS)


def sum_to_features(features: xr.Dataset, patterns: xr.DataArray) -> NDArray[np.float64]:
    """Patterns on the detector summed to features, (component, feature): the inverse of :func:`to_detector`."""
    index = features["feature_index"].transpose("qy", "qx").to_numpy()
    used = index >= 0
    images = np.nan_to_num(patterns.transpose("component", "qy", "qx").to_numpy())[:, used]
    n = features.sizes["feature"]
    return np.array([np.bincount(index[used], weights=image, minlength=n) for image in images])
