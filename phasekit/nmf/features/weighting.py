"""Detector pixels summed to features and scaled: in memory line by line, from files block by block."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...detector.scan_images import check_values, split_scan_lines
from .centring import shift_frames

Values = NDArray[np.float32]
SCALES = ("poisson", "anscombe", None)
_SCAN = ("scan_y", "scan_x")
_ROWS = 64  # rows that are scaled at a time
_MISSING = np.float32(np.nan)


class GatherSettings(NamedTuple):
    """How the pixels of one pattern are summed to one row of features."""

    feature: NDArray[np.int32]  # feature of each detector pixel, -1: not used
    pixels: NDArray[np.int32]  # detector pixels in each feature
    single: bool  # one pixel per feature, in order
    gain: float  # counts per electron
    missing: bool  # NaN is kept
    bad: NDArray[np.bool_] | None = None  # pixels that are NaN before a shift
    shifts: xr.DataArray | None = None  # (scan_y, scan_x, axis) [px]


def gather_features(intensity: xr.DataArray, settings: GatherSettings, *, lazy: bool) -> xr.DataArray:
    """Features ``(scan_y, scan_x, feature)`` [electrons], float32; computed block by block when ``lazy``."""
    return _gather_lazily(intensity, settings) if lazy else _gather_rows(intensity, settings)


def scale_features(values: xr.DataArray, scale: str | None, *, missing: bool) -> dict[str, xr.DataArray]:
    """``feature_value`` and the two weights that were divided out, all float32; ``missing``: NaN may occur.

    Electrons are value x both weights. ``"anscombe"`` has unit weights and an inverse of its own. Values in memory are
    overwritten.
    """
    lazy = values.chunks is not None
    if scale == "anscombe":
        values = _stabilise_variance(values)
    scan, feature = _compute_poisson_weights(values, missing) if scale == "poisson" else _make_unit_weights(values)
    scan.attrs = {"long_name": "divided out at each scan point", "units": "1"}
    feature.attrs = {"long_name": "divided out of each feature", "units": "1"}
    if scale == "poisson":
        values = values / scan / feature if lazy else _divide_in_place(values, scan, feature)
    out = {"feature_value": values, "scan_weight": scan, "feature_weight": feature}
    out = {name: array.astype(np.float32, copy=False) for name, array in out.items()}
    out["feature_value"] = out["feature_value"].transpose(*_SCAN, "feature")
    out["feature_value"].attrs["units"] = "sqrt(counts)" if scale == "anscombe" else "counts"
    return out


def gather_block(frames: NDArray[Any], shifts: NDArray[np.float64] | None, settings: GatherSettings) -> NDArray[Any]:
    """Sums over each feature's pixels, ``(..., qy, qx)`` [counts] -> ``(..., feature)`` [electrons].

    A feature of which some pixels are missing is scaled up to all of them. One without any measured pixel is NaN.
    """
    if settings.bad is not None:
        frames = np.where(settings.bad, _MISSING, frames)
    if shifts is not None:
        frames = shift_frames(frames, shifts, holes=settings.missing)
    flat = frames.reshape(*frames.shape[:-2], -1)
    used = np.flatnonzero(settings.feature.ravel() >= 0)
    if settings.single:  # taking columns is many times faster than a product with a sparse matrix
        rows = flat if len(used) == flat.shape[-1] else flat.take(used, axis=-1)
    else:
        rows = _sum_pixels(flat, used, settings)
    return rows if settings.gain == 1 else rows / np.float32(settings.gain)


def _sum_pixels(flat: NDArray[Any], used: NDArray[np.intp], settings: GatherSettings) -> Values:
    """Patterns ``(..., pixel)`` times the sparse 0/1 matrix (pixel, feature) of the groups."""
    from scipy.sparse import csr_array

    number = settings.feature.ravel()[used]
    shape = (flat.shape[-1], len(settings.pixels))
    gather = csr_array((np.ones(len(used), dtype=np.float32), (used, number)), shape=shape)
    rows = flat.reshape(-1, flat.shape[-1]).astype(np.float32)
    if settings.missing:  # sums over what was measured, divided by the share of pixels that was
        seen = np.isfinite(rows)
        share = (seen.astype(np.float32) @ gather) / settings.pixels.astype(np.float32)
        rows[~seen] = 0
        with np.errstate(invalid="ignore"):
            out = np.where(share > 0, (rows @ gather) / np.where(share > 0, share, 1), _MISSING)
    else:
        out = rows @ gather
    return np.asarray(out, dtype=np.float32).reshape(*flat.shape[:-1], shape[1])


def _gather_rows(intensity: xr.DataArray, settings: GatherSettings) -> xr.DataArray:
    """All rows in memory; beyond the result, some lines of patterns at a time."""
    shape = (intensity.sizes["scan_y"], intensity.sizes["scan_x"], len(settings.pixels))
    out, lowest, total = np.empty(shape, dtype=np.float32), np.inf, 0.0
    for lines in split_scan_lines(intensity):
        shifts = None if settings.shifts is None else settings.shifts[lines].to_numpy()
        block = out[lines]
        block[...] = gather_block(intensity.isel(scan_y=lines).to_numpy(), shifts, settings)
        lowest = np.fmin(lowest, np.fmin.reduce(block, axis=None)) if settings.missing else min(lowest, block.min())
        total += float((np.nansum if settings.missing else np.sum)(block, dtype=np.float64))
    check_values(float(lowest), total, "to_features")
    coords = {d: intensity[d] for d in _SCAN if d in intensity.coords}
    return xr.DataArray(out, dims=(*_SCAN, "feature"), coords=coords)


def _gather_lazily(intensity: xr.DataArray, settings: GatherSettings) -> xr.DataArray:
    """The same as a dask array: each block is gathered when it is computed."""
    # The shifts go along as a second chunked array, so that each block gets its own part of them.
    settings, shifts = settings._replace(shifts=None), settings.shifts
    arrays = [intensity.drop_vars(["qy", "qx"], errors="ignore")]
    if shifts is not None:
        chunks = {d: intensity.chunksizes[d] for d in _SCAN}
        arrays.append(shifts.chunk(chunks))
    return xr.apply_ufunc(
        lambda frames, moves=None: gather_block(frames, moves, settings).astype(np.float32, copy=False),
        *arrays,
        input_core_dims=[["qy", "qx"], ["axis"]][: len(arrays)],
        output_core_dims=[["feature"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"feature": len(settings.pixels)}, "allow_rechunk": True},
    )


def average_neighbours(values: xr.DataArray) -> xr.DataArray:
    """Mean of what is measured at each scan point and its 3 x 3 neighbours; fewer at the edge of the scan.

    Values ``(scan_y, scan_x, feature)`` in memory are overwritten.
    """
    if values.chunks is not None:
        import dask.array as da

        depth = {0: 1, 1: 1, 2: 0}
        mean: Any = da.map_overlap
        return values.copy(data=mean(_average_block, values.data, depth=depth, boundary=np.nan, dtype=np.float32))
    data, before = values.to_numpy(), values.to_numpy()[:0]
    for i in range(len(data)):  # in place: only the line above is needed as it was
        lines = np.concatenate([before, data[i : i + 2]])
        before = data[i : i + 1].copy()
        data[i] = _average_line(lines)
    return values


def _average_block(block: Values) -> Values:
    """Means over 3 x 3 points of a block that carries one more point on each side (NaN beyond the scan), as a copy."""
    out = block.copy()
    for i in range(1, len(block) - 1):
        out[i] = _average_line(block[i - 1 : i + 2])
    return out


def _average_line(lines: Values) -> Values:
    """Mean over one to three lines ``(line, scan_x, feature)`` and three neighbours along them, of what is not NaN."""
    seen = ~np.isnan(lines)
    if seen.all():  # the usual case: one count for all features
        count = len(lines) * _add_side_neighbours(np.ones((lines.shape[1], 1), dtype=np.float32))
        return _add_side_neighbours(lines.sum(axis=0)) / count
    total = _add_side_neighbours(np.where(seen, lines, 0).sum(axis=0))
    count = _add_side_neighbours(seen.sum(axis=0, dtype=np.float32))
    return np.where(count > 0, total / np.maximum(count, 1), _MISSING)


def _add_side_neighbours(line: Values) -> Values:
    """Each scan point of a line plus its two neighbours along the line."""
    out = line.copy()
    out[1:] += line[:-1]
    out[:-1] += line[1:]
    return out


def _stabilise_variance(values: xr.DataArray) -> xr.DataArray:
    r"""Anscombe's root, which gives 0 for no electron; in place in memory.

    .. math::

        2\sqrt{x + 3/8} - 2\sqrt{3/8} = \frac{2 x}{\sqrt{x + 3/8} + \sqrt{3/8}}.

    The second form does not cancel: a small x keeps its digits.
    """
    shift, root = np.float32(0.375), np.float32(0.375**0.5)
    if values.chunks is not None:
        return values * np.float32(2) / ((values + shift) ** 0.5 + root)
    for line in values.to_numpy():
        divisor = np.sqrt(line + shift) + root
        np.multiply(line, 2, out=line)
        np.divide(line, divisor, out=line)
    return values


def _make_unit_weights(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Weights of 1 for both sides: nothing is divided out."""
    scan = xr.ones_like(values.isel(feature=0, drop=True), dtype=np.float32)
    return scan, xr.ones_like(values.isel(scan_y=0, scan_x=0, drop=True), dtype=np.float32)


def _compute_poisson_weights(values: xr.DataArray, missing: bool) -> tuple[xr.DataArray, xr.DataArray]:
    r"""Weights of :math:`\tilde v_{ij} = v_{ij} / (\sqrt{g_i} \sqrt{h_j})` for Poisson counts.

    :math:`g_i` is the mean over the features of scan point i. :math:`h_j` is the mean over the scan of feature j,
    divided by its own mean over the features. Where nothing was counted a weight is 1. M. R. Keenan and P. G. Kotula,
    Surf. Interface Anal. 36 (2004) 203, eq. 10.
    """
    if values.chunks is None:
        by_scan, by_feature = _compute_means(values)
    else:
        by_scan, by_feature = (values.mean(d, dtype=np.float64, skipna=missing) for d in ("feature", _SCAN))
    # The square roots of the two means are the rank-one model of the noise's standard deviation.
    level = by_feature.mean()
    scan = by_scan.where(by_scan > 0, 1.0) ** 0.5
    feature = (by_feature / level).where(by_feature > 0, 1.0) ** 0.5
    return scan.astype(np.float32), feature.astype(np.float32)


def _compute_means(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Means over the features and over the scan, in double precision and a few rows at a time; NaN is left out."""
    rows = values.to_numpy().reshape(-1, values.shape[-1])
    by_scan, total, measured = np.zeros(len(rows)), np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for start in range(0, len(rows), _ROWS):
        block = rows[start : start + _ROWS]
        seen = ~np.isnan(block)
        known = block if seen.all() else np.where(seen, block, 0)
        by_scan[start : start + _ROWS] = known.sum(axis=1, dtype=np.float64) / np.maximum(seen.sum(axis=1), 1)
        total += known.sum(axis=0, dtype=np.float64)
        measured += seen.sum(axis=0)
    scan = values.isel(feature=0, drop=True).copy(data=by_scan.reshape(values.shape[:2]))
    return scan, xr.DataArray(total / np.maximum(measured, 1), dims="feature")


def _divide_in_place(values: xr.DataArray, scan: xr.DataArray, feature: xr.DataArray) -> xr.DataArray:
    """Divide by both weights, a few rows at a time: a second copy of the values would double the memory."""
    rows, divisor = values.to_numpy().reshape(-1, values.shape[-1]), scan.to_numpy().reshape(-1, 1)
    for start in range(0, len(rows), _ROWS):
        rows[start : start + _ROWS] /= divisor[start : start + _ROWS]
        rows[start : start + _ROWS] /= feature.to_numpy()
    return values
