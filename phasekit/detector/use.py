"""What steps do with a mask: which pixels they use, and bad pixels of single patterns removed."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from ..schema import DETECTOR_MASK, PATTERNS, describe, require
from .kinds import is_bad
from .spikes import SpikeLimits

_DETECTOR = ("qy", "qx")


def apply_mask(patterns: xr.Dataset, mask: xr.Dataset) -> xr.Dataset:
    """Set bad pixels to NaN: those of the mask in all patterns, and spikes and marks of single patterns.

    Parameters
    ----------
    patterns
        PATTERNS. Lazy stays lazy.
    mask
        DETECTOR_MASK of the same detector.

    Returns
    -------
    xarray.Dataset
        PATTERNS in float32 (float64 stays), NaN where a pixel holds no count. Saturated pixels keep their value.

    Raises
    ------
    SchemaError
        Not PATTERNS, not DETECTOR_MASK, or a mask of another shape.

    See Also
    --------
    find_mask : Finds the mask.
    phasekit.nmf.to_features : ``missing="keep"`` takes patterns with NaN.

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(8, 8), detector=(32, 32), hot_pixels=3)
    >>> clean = apply_mask(scan, pk.detector.find_mask(scan))
    >>> int(clean.intensity.isnull().all(("scan_y", "scan_x")).sum())
    3
    """
    require(patterns, PATTERNS, step="apply_mask", argument="patterns")
    require(mask, DETECTOR_MASK, step="apply_mask", argument="mask")
    used = read_used(mask, patterns, "apply_mask")
    out = patterns.assign(intensity=remove_bad_values(patterns["intensity"], used, mask))
    return describe(out, PATTERNS, step="apply_mask", settings={"mask": mask}, source=patterns)


def read_used(mask: Any, patterns: xr.Dataset, step: str) -> NDArray[np.bool_]:
    """Detector pixels ``(qy, qx)`` that a mask lets a step use.

    ``mask`` is a DETECTOR_MASK, or an array ``(qy, qx)``: boolean (True: used) or flags (0: used). ``None``: all.
    """
    shape = tuple(patterns.sizes[dim] for dim in _DETECTOR)
    if mask is None:
        return np.ones(shape, dtype=bool)
    array = mask["kind"] if isinstance(mask, xr.Dataset) and "kind" in mask else mask
    if not isinstance(array, xr.DataArray) or set(array.dims) != set(_DETECTOR):
        raise SchemaError(
            f"{step}: the mask is {getattr(mask, 'dims', type(mask).__name__)}, needs DETECTOR_MASK or an "
            "xarray.DataArray (qy, qx). pk.detector.find_mask(patterns) makes one."
        )
    flags = array.transpose(*_DETECTOR)
    if flags.shape != shape:
        raise SchemaError(
            f"{step}: mask has {dict(flags.sizes)}, needs {dict(zip(_DETECTOR, shape, strict=True))}. "
            "pk.detector.find_mask(patterns) makes one."
        )
    values = np.asarray(flags)
    if values.dtype == bool:
        return values
    # Flags count kinds of bad pixels, so 0 is a good one; a saturated pixel has a name of its own.
    return ~is_bad(values) if isinstance(mask, xr.Dataset) else values == 0


def has_single_events(mask: Any, missing: NDArray[np.float64] | None = None) -> bool:
    """True where a DETECTOR_MASK tells of bad values in pixels that are used; NaN in ``missing`` patterns is none."""
    if not isinstance(mask, xr.Dataset) or "bad_share" not in mask:
        return False
    bad = (np.asarray(mask["bad_share"]) > 0) & ~is_bad(np.asarray(mask["kind"]))
    return bool((bad if missing is None else bad & (missing == missing.min())).any())


def remove_bad_values(
    intensity: xr.DataArray, used: NDArray[np.bool_], mask: xr.Dataset, *, bridge: bool = False
) -> xr.DataArray:
    """Intensities with NaN in pixels that are not ``used``, and at spikes and marks of single patterns.

    With ``bridge`` these get the mean of their neighbours instead.
    """
    limits = SpikeLimits(*(float(value) for value in mask.attrs["spike_limits"]))
    dtype = np.float64 if intensity.dtype == np.float64 else np.float32
    settings = {"used": used, "limits": limits, "least": float(mask.attrs["least_count"]), "dtype": dtype}
    return xr.apply_ufunc(
        _remove_block,
        intensity,
        kwargs={**settings, "bridge": bridge},
        input_core_dims=[_DETECTOR],
        output_core_dims=[_DETECTOR],
        dask="parallelized",
        output_dtypes=[dtype],
        dask_gufunc_kwargs={"allow_rechunk": True},
        keep_attrs=True,
    )


def _remove_block(
    frames: NDArray[Any],
    used: NDArray[np.bool_],
    limits: SpikeLimits,
    least: float,
    dtype: type[np.floating[Any]],
    *,
    bridge: bool = False,
) -> NDArray[np.floating[Any]]:
    """Frames ``(.., qy, qx)`` as floating numbers; a pixel that holds no count is NaN, or its neighbours' mean."""
    from .spikes import bridge_pixels
    from .values import remove_spikes

    out = np.ascontiguousarray(frames.astype(dtype).reshape(-1, *frames.shape[-2:]))
    with np.errstate(invalid="ignore"):
        out[~(out >= least) | np.isinf(out)] = np.nan
    out[:, ~used] = np.nan
    remove_spikes(out, limits)
    for image in out if bridge else ():
        bridge_pixels(image, np.flatnonzero(np.isnan(image)))
    return out.reshape(frames.shape)


def prepare_sample(
    sample: NDArray[Any], used: NDArray[np.bool_] | str | None
) -> tuple[tuple[float, ...], NDArray[np.bool_], NDArray[np.floating[Any]]]:
    """Limits of spikes with the smallest count, used pixels, and clean patterns (NaN: bad) from sample patterns.

    ``used`` (qy, qx) are the pixels of a mask, ``None`` finds them in the sample, and ``"none"`` uses all.
    """
    from .kinds import find_pixel_kinds
    from .values import estimate_rules

    if isinstance(used, str):
        # No limit: only what is no finite number is bad.
        return (np.inf, 0.0, 0.0, 0.0, 0.0, -np.inf), np.ones(sample.shape[-2:], dtype=bool), sample
    if used is None:
        found = find_pixel_kinds(xr.DataArray(sample, dims=("scan_y", "scan_x", *_DETECTOR)), "find_peaks")
        rules, used = found.rules, ~is_bad(found.kind)
    else:
        rules = estimate_rules(sample)
    clean = _remove_block(sample, used, rules.spike_limits, rules.least, np.float32)
    return (*rules.spike_limits, rules.least), used, clean
