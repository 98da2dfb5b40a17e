"""Patterns to features: detector pixels masked, binned and scaled, with the way back to the detector."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import FEATURES, PATTERNS, describe, require
from .masks import USED, mask_from_images, scan_images

_SCAN = ("scan_y", "scan_x")


def to_features(
    patterns: xr.Dataset,
    *,
    mask: xr.DataArray | str | None = "auto",
    bin: int = 1,  # noqa: A002 - the field's word
    scan_mean: bool = False,
    scale: str | None = "poisson",
) -> xr.Dataset:
    """Turn each pattern into a row of features for the factorisation.

    ``mask="auto"`` reads the data once, block by block (mean and variance images); everything else stays lazy, and
    ``feature_value`` is lazy when ``patterns`` is.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], finite and >= 0.
    mask
        Detector pixels to use, ``(qy, qx)``: boolean (True = used) or the flags of :func:`find_mask` (0 = used).
        ``"auto"`` finds direct beam, dead and hot pixels; ``None`` uses every pixel.
    bin
        Detector pixels summed along each axis: 2 means a quarter of the features and four times the counts in each.
        Blocks at a mask or an edge hold fewer pixels, which is remembered.
    scan_mean
        Average each pattern with its 3 x 3 scan neighbours first. Noise falls threefold, boundaries blur by one
        step, and neighbours then share noise: :func:`scan_ranks` cannot thin counts any more.
    scale
        ``"poisson"``: divide by the square roots of the mean over the scan and of the mean over the detector, so that
        every feature carries about the same counting noise (Keenan and Kotula, Surf. Interface Anal. 36 (2004) 203,
        eq. 10). ``None``: counts as they are; bright spots then outvote faint ones.

    Returns
    -------
    xarray.Dataset
        FEATURES: ``feature_value(scan_y, scan_x, feature)``; what was divided out, ``scan_weight(scan_y, scan_x)`` and
        ``feature_weight(feature)`` (counts = value x both weights; 1 without scaling); ``feature_index(qy, qx)``
        (feature of a detector pixel, -1 where masked) and ``feature_pixels(feature)``. A pattern without any count
        stays a row of zeros.

    Raises
    ------
    SchemaError
        Not PATTERNS; negative, NaN or all-zero intensities; a mask of another shape or one that hides everything.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(6, 6), detector=(32, 32))
    >>> features = to_features(scan, bin=2)
    >>> features.sizes["feature"] < 16 * 16, bool((features.feature_index == -1).any())
    (True, True)
    """
    require(patterns, PATTERNS, step="to_features")
    if scale not in ("poisson", None):
        raise SchemaError(f"to_features: scale = {scale!r}, needs 'poisson' or None.")
    if not isinstance(bin, int | np.integer) or bin < 1 or bin > min(patterns.sizes["qy"], patterns.sizes["qx"]):
        raise SchemaError(f"to_features: bin = {bin!r}, needs a whole number from 1 to the detector's width.")
    used, beam = _used(patterns, mask)
    index, pixels = _feature_index(used.to_numpy(), int(bin))
    intensity = patterns["intensity"]
    whole = bool(np.issubdtype(intensity.dtype, np.integer)) and not scan_mean
    values = _gather(_scan_mean(intensity) if scan_mean else intensity, index, int(bin))
    out = xr.Dataset({"feature_value": values, **_weights(values, scale)})
    out["feature_value"] = (values / out["scan_weight"] / out["feature_weight"]).astype(np.float32)
    out["feature_value"] = out["feature_value"].transpose(*_SCAN, "feature").assign_attrs(units="counts")
    out["feature_index"] = (("qy", "qx"), index, {"long_name": "feature of the detector pixel", "units": "1"})
    out["feature_pixels"] = ("feature", pixels, {"long_name": "detector pixels in the feature", "units": "1"})
    out = out.assign_coords({d: patterns[d] for d in (*_SCAN, "qy", "qx") if d in patterns.coords})
    out.attrs = {"scale": scale or "none", "counts": int(whole), **beam}
    settings = {"mask": mask, "bin": bin, "scan_mean": scan_mean, "scale": scale}
    return describe(out, FEATURES, step="to_features", settings=settings, source=patterns)


def to_detector(features: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Lay feature values out on the detector.

    Parameters
    ----------
    features
        FEATURES that ``values`` belong to.
    values
        Array with dimension ``feature``, in counts (weights multiplied back in) per feature.

    Returns
    -------
    xarray.DataArray
        ``(..., qy, qx)``: counts per detector pixel (a bin's counts are shared evenly); NaN where masked.

    Raises
    ------
    SchemaError
        ``values`` has no dimension ``feature`` of that length.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(4, 4), detector=(16, 16))
    >>> features = to_features(scan, mask=None, scale=None)
    >>> bool((to_detector(features, features.feature_value) == scan.intensity).all())
    True
    """
    require(features, FEATURES, step="to_detector")
    n = features.sizes["feature"]
    if values.sizes.get("feature") != n:
        raise SchemaError(
            f"to_detector: values have {dict(values.sizes)}, need 'feature' = {n}. Use the same features."
        )
    density = (values / features["feature_pixels"]).drop_vars("feature", errors="ignore")
    index = features["feature_index"]
    spread = density.isel(feature=index.clip(min=0))
    return spread.where(index >= 0).transpose(..., "qy", "qx")


def _used(patterns: xr.Dataset, mask: xr.DataArray | str | None) -> tuple[xr.DataArray, dict[str, float]]:
    """Boolean detector image of the pixels to use, and what is known of the direct beam."""
    shape = (patterns.sizes["qy"], patterns.sizes["qx"])
    if isinstance(mask, str):
        if mask != "auto":
            raise SchemaError(f"to_features: mask = {mask!r}, needs 'auto', None or an array (qy, qx).")
        mask = mask_from_images(scan_images(patterns["intensity"], "to_features"), "auto")
    if mask is None:
        return xr.DataArray(np.ones(shape, dtype=bool), dims=("qy", "qx")), {}
    if not isinstance(mask, xr.DataArray) or set(mask.dims) != {"qy", "qx"} or _shape(mask) != shape:
        raise SchemaError(
            f"to_features: the mask is {getattr(mask, 'dims', type(mask).__name__)} {np.shape(mask)}, needs an "
            f"xarray.DataArray (qy, qx) of shape {shape}. Start from pk.nmf.find_mask(patterns)."
        )
    used = (mask if mask.dtype == bool else mask == USED).transpose("qy", "qx")
    if not bool(used.any()):
        raise SchemaError("to_features: the mask hides every detector pixel. True (or flag 0) must mean 'use'.")
    return used, {key: value for key, value in mask.attrs.items() if key.startswith("beam_")}


def _shape(mask: xr.DataArray) -> tuple[int, int]:
    return mask.sizes["qy"], mask.sizes["qx"]


def _feature_index(used: NDArray[np.bool_], width: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Feature number of every pixel (-1: masked), counted along rows of bins, and the pixels in each feature."""
    y, x = np.indices(used.shape) // width
    block = y * (x.max() + 1) + x
    present, number = np.unique(block[used], return_inverse=True)
    index = np.full(used.shape, -1, dtype=np.int32)
    index[used] = number
    return index, np.bincount(number, minlength=len(present)).astype(np.int32)


def _scan_mean(intensity: xr.DataArray) -> xr.DataArray:
    """Mean over each pattern and its scan neighbours (fewer at the rim), lazily."""
    padded = intensity.astype(np.float32).pad({"scan_y": 1, "scan_x": 1}, constant_values=np.nan)
    rolled = padded.rolling(scan_y=3, scan_x=3, center=True, min_periods=1).mean()
    mean = rolled.isel(scan_y=slice(1, -1), scan_x=slice(1, -1))
    return mean.chunk(dict(zip(intensity.dims, intensity.chunks, strict=True))) if intensity.chunks else mean


def _gather(intensity: xr.DataArray, index: NDArray[np.int32], width: int) -> xr.DataArray:
    """Counts per feature, ``(scan_y, scan_x, feature)``; lazy data stay lazy."""
    n = int(index.max()) + 1
    return xr.apply_ufunc(
        _sum_features,
        intensity.drop_vars(["qy", "qx"], errors="ignore"),
        kwargs={"index": index, "width": width},
        input_core_dims=[["qy", "qx"]],
        output_core_dims=[["feature"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"feature": n}, "allow_rechunk": True},
    )


def _sum_features(frames: NDArray[Any], index: NDArray[np.int32], width: int) -> NDArray[np.float32]:
    """Sum each frame's pixels by feature. One pixel per feature is a plain selection; bins go through a sparse sum."""
    flat = frames.reshape(*frames.shape[:-2], -1)
    used = np.flatnonzero(index.ravel() >= 0)
    if width == 1:
        return flat[..., used].astype(np.float32)
    from scipy.sparse import csr_array

    number = index.ravel()[used]
    shape = (flat.shape[-1], int(index.max()) + 1)
    gather = csr_array((np.ones(len(used), dtype=np.float32), (used, number)), shape=shape)
    rows = flat.reshape(-1, flat.shape[-1]).astype(np.float32)
    return np.asarray(rows @ gather, dtype=np.float32).reshape(*flat.shape[:-1], shape[1])


def _weights(values: xr.DataArray, scale: str | None) -> dict[str, xr.DataArray]:
    """Square roots of the means along both sides, the detector's of unit mean square; 1 where nothing was counted."""
    if scale is None:
        scan = xr.ones_like(values.isel(feature=0, drop=True), dtype=np.float32)
        feature = xr.ones_like(values.isel(scan_y=0, scan_x=0, drop=True), dtype=np.float32)
    else:
        by_scan, by_feature = values.mean("feature", dtype=np.float64), values.mean(_SCAN, dtype=np.float64)
        level = by_feature.mean()
        scan = (by_scan.where(by_scan > 0, 1.0) ** 0.5).astype(np.float32)
        feature = ((by_feature / level).where(by_feature > 0, 1.0) ** 0.5).astype(np.float32)
    scan.attrs = {"long_name": "divided out at each scan point", "units": "1"}
    feature.attrs = {"long_name": "divided out of each feature", "units": "1"}
    return {"scan_weight": scan, "feature_weight": feature}
