"""Patterns gathered into features and scaled: in memory line by line, from files block by block."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .centring import shift_frames
from .scan_images import check_values, split_scan_lines

Values = NDArray[np.float32]
SCALES = ("poisson", "anscombe", None)
_SCAN = ("scan_y", "scan_x")
_ROWS = 64  # rows that are scaled at a time
_MISSING = np.float32(np.nan)


class Recipe(NamedTuple):
    """How one pattern becomes one row of features."""

    feature: NDArray[np.int32]  # feature of each detector pixel, -1: not used
    pixels: NDArray[np.int32]  # detector pixels in each feature
    single: bool  # one pixel per feature, in order
    gain: float  # counts per electron
    missing: bool  # NaN is kept
    bad: NDArray[np.bool_] | None = None  # pixels that are NaN before a shift
    shifts: xr.DataArray | None = None  # (scan_y, scan_x, axis) [px]


def compute_features(
    intensity: xr.DataArray, recipe: Recipe, *, scan_mean: bool, scale: str | None, lazy: bool
) -> dict[str, xr.DataArray]:
    """``feature_value`` and the two weights; counts = value x both weights (``"anscombe"``: see its inverse)."""
    values = _gather_lazily(intensity, recipe) if lazy else _gather_rows(intensity, recipe)
    if scan_mean:
        values = _average_neighbours(values)
    if scale == "anscombe":
        values = _stabilise_variance(values)
    scan, feature = (
        _compute_poisson_weights(values, recipe.missing) if scale == "poisson" else _make_unit_weights(values)
    )
    scan.attrs = {"long_name": "divided out at each scan point", "units": "1"}
    feature.attrs = {"long_name": "divided out of each feature", "units": "1"}
    if scale == "poisson":
        values = values / scan / feature if lazy else _divide_in_place(values, scan, feature)
    out = {"feature_value": values, "scan_weight": scan, "feature_weight": feature}
    return {name: array.astype(np.float32, copy=False) for name, array in out.items()}


def gather_block(frames: NDArray[Any], shifts: NDArray[np.float64] | None, recipe: Recipe) -> NDArray[Any]:
    """Sums over each feature's pixels, ``(..., qy, qx)`` -> ``(..., feature)`` [electrons].

    A feature of which some pixels are missing is scaled up to all of them; one without any is NaN.
    """
    if recipe.bad is not None:
        frames = np.where(recipe.bad, _MISSING, frames)
    if shifts is not None:
        frames = shift_frames(frames, shifts, holes=recipe.missing)
    flat = frames.reshape(*frames.shape[:-2], -1)
    used = np.flatnonzero(recipe.feature.ravel() >= 0)
    if recipe.single:
        rows = flat if len(used) == flat.shape[-1] else flat.take(used, axis=-1)
    else:
        rows = _sum_pixels(flat, used, recipe)
    return rows if recipe.gain == 1 else rows / np.float32(recipe.gain)


def _sum_pixels(flat: NDArray[Any], used: NDArray[np.intp], recipe: Recipe) -> Values:
    from scipy.sparse import csr_array

    number = recipe.feature.ravel()[used]
    shape = (flat.shape[-1], len(recipe.pixels))
    gather = csr_array((np.ones(len(used), dtype=np.float32), (used, number)), shape=shape)
    rows = flat.reshape(-1, flat.shape[-1]).astype(np.float32)
    if recipe.missing:
        seen = np.isfinite(rows)
        share = (seen.astype(np.float32) @ gather) / recipe.pixels.astype(np.float32)
        rows[~seen] = 0
        with np.errstate(invalid="ignore"):
            out = np.where(share > 0, (rows @ gather) / np.where(share > 0, share, 1), _MISSING)
    else:
        out = rows @ gather
    return np.asarray(out, dtype=np.float32).reshape(*flat.shape[:-1], shape[1])


def _gather_rows(intensity: xr.DataArray, recipe: Recipe) -> xr.DataArray:
    """All rows in memory; beyond the result, some lines of patterns at a time."""
    shape = (intensity.sizes["scan_y"], intensity.sizes["scan_x"], len(recipe.pixels))
    out, lowest, total = np.empty(shape, dtype=np.float32), np.inf, 0.0
    for lines in split_scan_lines(intensity):
        shifts = None if recipe.shifts is None else recipe.shifts[lines].to_numpy()
        block = out[lines]
        block[...] = gather_block(intensity.isel(scan_y=lines).to_numpy(), shifts, recipe)
        lowest = np.fmin(lowest, np.fmin.reduce(block, axis=None)) if recipe.missing else min(lowest, block.min())
        total += float((np.nansum if recipe.missing else np.sum)(block, dtype=np.float64))
    check_values(float(lowest), total, "to_features")
    coords = {d: intensity[d] for d in _SCAN if d in intensity.coords}
    return xr.DataArray(out, dims=(*_SCAN, "feature"), coords=coords)


def _gather_lazily(intensity: xr.DataArray, recipe: Recipe) -> xr.DataArray:
    """The same of every block when it is computed."""
    recipe, shifts = recipe._replace(shifts=None), recipe.shifts
    arrays = [intensity.drop_vars(["qy", "qx"], errors="ignore")]
    if shifts is not None:
        chunks = {d: intensity.chunksizes[d] for d in _SCAN}
        arrays.append(shifts.chunk(chunks))
    return xr.apply_ufunc(
        lambda frames, moves=None: gather_block(frames, moves, recipe).astype(np.float32, copy=False),
        *arrays,
        input_core_dims=[["qy", "qx"], ["axis"]][: len(arrays)],
        output_core_dims=[["feature"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"feature": len(recipe.pixels)}, "allow_rechunk": True},
    )


def _average_neighbours(values: xr.DataArray) -> xr.DataArray:
    """Mean of what is measured at each scan point and its neighbours (fewer at the rim)."""
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
    """The same of a block and one scan point around it (NaN beyond the scan), which is left as it is."""
    out = block.copy()
    for i in range(1, len(block) - 1):
        out[i] = _average_line(block[i - 1 : i + 2])
    return out


def _average_line(lines: Values) -> Values:
    """Mean over one to three lines and three neighbours along them, of what is not NaN."""
    seen = ~np.isnan(lines)
    if seen.all():
        count = len(lines) * _add_side_neighbours(np.ones((lines.shape[1], 1), dtype=np.float32))
        return _add_side_neighbours(lines.sum(axis=0)) / count
    total = _add_side_neighbours(np.where(seen, lines, 0).sum(axis=0))
    count = _add_side_neighbours(seen.sum(axis=0, dtype=np.float32))
    return np.where(count > 0, total / np.maximum(count, 1), _MISSING)


def _add_side_neighbours(line: Values) -> Values:
    out = line.copy()
    out[1:] += line[:-1]
    out[:-1] += line[1:]
    return out


def _stabilise_variance(values: xr.DataArray) -> xr.DataArray:
    """Anscombe's root, moved so that no electron gives 0."""
    if values.chunks is not None:
        return (values + np.float32(0.375)) ** 0.5 * np.float32(2) - np.float32(2 * np.sqrt(0.375))
    for line in values.to_numpy():
        line[...] = 2 * np.sqrt(line + np.float32(0.375)) - np.float32(2 * np.sqrt(0.375))
    return values


def _make_unit_weights(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    scan = xr.ones_like(values.isel(feature=0, drop=True), dtype=np.float32)
    return scan, xr.ones_like(values.isel(scan_y=0, scan_x=0, drop=True), dtype=np.float32)


def _compute_poisson_weights(values: xr.DataArray, missing: bool) -> tuple[xr.DataArray, xr.DataArray]:
    """Square roots of the means along both sides, the detector's of unit mean square; 1 where nothing was counted."""
    if values.chunks is None:
        by_scan, by_feature = _compute_means(values)
    else:
        by_scan, by_feature = (values.mean(d, dtype=np.float64, skipna=missing) for d in ("feature", _SCAN))
    level = by_feature.mean()
    scan = by_scan.where(by_scan > 0, 1.0) ** 0.5
    feature = (by_feature / level).where(by_feature > 0, 1.0) ** 0.5
    return scan.astype(np.float32), feature.astype(np.float32)


def _compute_means(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Means of what is measured over the features and over the scan, a few rows at a time."""
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
    """In place, a few rows at a time."""
    rows, divisor = values.to_numpy().reshape(-1, values.shape[-1]), scan.to_numpy().reshape(-1, 1)
    for start in range(0, len(rows), _ROWS):
        rows[start : start + _ROWS] /= divisor[start : start + _ROWS]
        rows[start : start + _ROWS] /= feature.to_numpy()
    return values
