"""The published use of image quality: components against each other, and against the patterns they represent."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import COMPONENT_QUALITY, FACTORS, PATTERNS, describe, require
from .filters import Scores
from .images import score_images
from .reference import Reference, check_metrics

_SCAN = ("scan_y", "scan_x")


def component_quality(
    factors: xr.Dataset, patterns: xr.Dataset, *, metrics: Sequence[str] = ("psnr", "ssim", "gmsd", "mdsi")
) -> xr.Dataset:
    r"""Score the components of one fit against each other, and against the patterns that each of them represents.

    A component is represented by its brightest image, factor times the largest loading. It is compared with the other
    representatives, where unlike means separate components. It is also compared with the mean of the measured patterns
    in which it is the strongest. The strongest has the largest product of loading and Euclidean norm of the factor,

    .. math::

        k^*(i) = \arg\max_k\; W_{ik} \lVert H_k\rVert.

    Lazy patterns are read once, block by block, when the result is computed; ``pairwise_`` scores need none of them.

    Parameters
    ----------
    factors
        FACTORS. Pixels that are NaN (masked) in any component are left out (set to 0) on both sides.
    patterns
        PATTERNS that were factorised [counts], same scan and detector. A pixel that is NaN in one of the patterns of a
        component is left out of its mean.
    metrics
        As in :func:`image_quality`; the published four by default.

    Returns
    -------
    xarray.Dataset
        COMPONENT_QUALITY. ``pairwise_<metric>(component, other)``: ``component`` is the reference, and full scale is
        the largest value of all representatives. NaN on the diagonal and beside an empty component.
        ``fidelity_<metric>(component)``: the mean pattern is the reference, and full scale is the largest value of all
        mean patterns. NaN for a component that is nowhere the strongest. ``n_assigned(component)``: patterns in the
        mean. The brightest image has more counts than the mean pattern. Fidelity scores are therefore below 1 (or 80
        dB) also for a perfect fit. Compare them between components or fits, not with a fixed number.

    Raises
    ------
    SchemaError
        Not FACTORS or PATTERNS, scans or detectors that differ, an unknown metric or a detector too small for one.

    See Also
    --------
    image_quality : The metrics, on any pairs of images.
    factorise : Gives the components.
    choose_rank : Choice of k, also by these metrics.

    References
    ----------
    Cao et al., Digital Discovery (2025), doi 10.1039/D5DD00071H, image quality assessment; of the metrics: see
    :func:`image_quality`.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32))
    >>> found = component_quality(pk.nmf.truth_as_factors(scan), scan, metrics=["ssim"])
    >>> found.pairwise_ssim.shape, int(found.n_assigned.sum())
    ((3, 3), 64)
    """
    require(factors, FACTORS, step="component_quality", argument="factors")
    require(patterns, PATTERNS, step="component_quality", argument="patterns")
    sizes = [tuple(data.sizes[n] for n in (*_SCAN, "qy", "qx")) for data in (factors, patterns)]
    if sizes[0] != sizes[1]:
        raise SchemaError(
            f"component_quality: scan and detector of factors and patterns are {sizes[0]} and {sizes[1]}, need the "
            "same. Hand in the patterns that were factorised."
        )
    # Checked before any pattern is read.
    names = check_metrics(metrics, sizes[0][2:], "component_quality")
    # A pixel masked in one component is masked in all, so that every pair is compared on the same pixels.
    best = factors["factor"] * factors["loading"].max(_SCAN)
    best = best.where(best.notnull().all("component")).drop_vars(("qy", "qx"), errors="ignore")
    label = _find_strongest(factors)
    mean, n = _average_patterns(patterns["intensity"], label, factors["factor"])
    fidelity = score_images(mean, best, names, None).rename({name: f"fidelity_{name}" for name in names})
    out = xr.merge([_score_pairwise(best, names), fidelity]).assign(n_assigned=n)
    settings = {"metrics": names, "patterns": patterns}
    return describe(out, COMPONENT_QUALITY, step="component_quality", settings=settings, source=factors)


def _find_strongest(factors: xr.Dataset) -> xr.DataArray:
    """Component of the largest share of each pattern, ``(scan_y, scan_x)``; -1 where all shares are 0."""
    norm = np.sqrt((factors["factor"].astype(np.float64) ** 2).sum(("qy", "qx")))
    weight = (factors["loading"] * norm).transpose(*_SCAN, "component")
    weight = weight.chunk(component=-1) if weight.chunks else weight
    best = weight.argmax("component")
    return best.where(weight.max("component") > 0, -1).drop_vars("component", errors="ignore")


def _score_pairwise(best: xr.DataArray, names: tuple[str, ...]) -> xr.Dataset:
    """Variables ``pairwise_<metric>(component, other)``, lazy when the components are."""
    scores = xr.apply_ufunc(
        _score_pairs,
        best,
        kwargs={"names": names},
        input_core_dims=[["component", "qy", "qx"]],
        output_core_dims=[["component", "other", "metric"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={
            "output_sizes": {"other": best.sizes["component"], "metric": len(names)},
            "allow_rechunk": True,
        },
    )
    if "component" in best.coords:
        scores = scores.assign_coords(other=best["component"].to_numpy())
    return xr.Dataset({f"pairwise_{name}": scores.isel(metric=i) for i, name in enumerate(names)})


def _score_pairs(best: NDArray[np.floating], names: tuple[str, ...]) -> Scores:
    """Scores ``(k, k, metric)`` of every image against every other; NaN on the diagonal and for empty images."""
    images = np.nan_to_num(best)
    k = len(images)
    out = np.full((k, k, len(names)), np.nan)
    # Empty components have no image to compare.
    alive = np.flatnonzero(images.max(axis=(1, 2)) > 0)
    if len(alive) < 2:
        return out
    reference = Reference(images[alive], data_range=float(images.max()))
    for step in range(1, len(alive)):  # all references at once, so that what they keep serves every partner
        partner = np.roll(alive, -step)
        found = reference.scores(images[partner], names)
        out[alive, partner] = np.stack([found[name] for name in names], axis=1)
    return out


def _average_patterns(
    intensity: xr.DataArray, label: xr.DataArray, like: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Mean pattern (component, qy, qx) of the scan points with each label, NaN without any, and their number."""
    k = like.sizes["component"]
    own = {"component": like["component"]} if "component" in like.coords else {}
    numbers = xr.DataArray(np.arange(k), dims="component", coords=own)
    n = (label == numbers).sum(_SCAN)
    # Lazy on either side: both go through dask, so that no pattern is read before the result is computed.
    if intensity.chunks or label.chunks:
        sums = _sum_lazily(intensity if intensity.chunks else intensity.chunk(), label, k)
    else:
        sums = _sum_by_label(intensity.to_numpy(), label.to_numpy()[:, :, None, None], k)[:, 0, 0]
    total = xr.DataArray(sums, dims=("component", "qy", "qx"), coords=own)
    return total / n.where(n > 0), n


def _sum_lazily(intensity: xr.DataArray, label: xr.DataArray, k: int) -> Any:
    """Sums of every block, then over blocks, so that no block has to meet another one."""
    from dask import array as da

    # The labels get the chunks of the patterns, so that each block finds its own.
    rows, cols, *detector = intensity.data.chunks
    where = da.asarray(label.data).rechunk((rows, cols))[:, :, None, None]  # type: ignore[no-untyped-call]
    blocks = da.map_blocks(  # type: ignore[no-untyped-call]
        _sum_by_label,
        intensity.data,
        where,
        k,
        chunks=((k,), (1,) * len(rows), (1,) * len(cols), *detector),
        new_axis=0,
        dtype=np.float64,
        meta=np.empty((0,) * 5),
    )
    return blocks.sum(axis=(1, 2))


def _sum_by_label(patterns: NDArray[np.generic], label: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Sum ``(k, 1, 1, y, x)`` of the patterns ``(scan_y, scan_x, y, x)`` with label 0 .. k - 1."""
    flat = label[:, :, 0, 0]
    return np.stack([patterns[flat == i].sum(axis=0, dtype=np.float64) for i in range(k)])[:, None, None]
