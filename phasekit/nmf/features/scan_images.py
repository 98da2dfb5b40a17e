"""One pass over a scan: mean, variance and covariance with the neighbours of every detector pixel."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError

Image = NDArray[np.float64]
_BLOCK_BYTES = 1 << 20  # patterns at a time in double precision: few enough for the cache
_SUMS, _LOWS = 7, 2  # images that are added up over blocks, and images of which the smallest value is kept
_MEASURED, _TOTAL, _SQUARE, _RIGHT, _DOWN, _PAIRS_RIGHT, _PAIRS_DOWN, _LOWEST, _ROUNDING = range(_SUMS + _LOWS)


class ScanImages(NamedTuple):
    """Images ``(qy, qx)`` over all patterns; NaN values are left out of each."""

    mean: Image  # 0 where nothing was measured
    variance: Image
    right: Image  # covariance with the pixel at qx + 1 (last column: 0)
    down: Image  # covariance with the pixel at qy + 1 (last row: 0)
    measured: Image  # patterns in which the pixel holds a number
    n_patterns: int
    whole: bool  # every value is a whole number of electrons, within 0.001


def compute_scan_images(intensity: xr.DataArray, step: str, *, missing: bool = False, gain: float = 1.0) -> ScanImages:
    r"""Read all patterns once, block by block, and refuse what is negative, infinite or (without ``missing``) NaN.

    Variance and covariance are :math:`\langle v^2\rangle - \langle v\rangle^2` and :math:`\langle v v'\rangle - \langle
    v\rangle\langle v'\rangle` over the patterns in which the pixels were measured.
    """
    found = _reduce_blocks(intensity, _sum_block, (_SUMS, _LOWS), gain=gain)
    seen, total, square, right, down, pairs_right, pairs_down, lowest, whole = found
    n = intensity.sizes["scan_y"] * intensity.sizes["scan_x"]
    holes = not missing and bool((seen < n).any())
    check_values(np.nan if holes else float(lowest.min()), float(total.sum()), step)
    # Moments are taken from sums, so that one pass is enough; counts are small enough for double precision.
    count = np.maximum(seen, 1)
    mean = total / count
    beside, below = np.roll(mean, -1, axis=1), np.roll(mean, -1, axis=0)
    right = right / np.maximum(pairs_right, 1) - mean * beside
    down = down / np.maximum(pairs_down, 1) - mean * below
    right[:, -1], down[-1] = 0, 0
    variance = np.maximum(square / count - mean**2, 0)
    return ScanImages(mean, variance, right, down, seen, n, bool(whole.min() > -1e-3))


def has_whole_counts(intensity: xr.DataArray, gain: float) -> bool:
    """True when every value is a whole number of electrons within 0.001; floating numbers are read for it."""
    if _is_integer_type(intensity.dtype, gain):
        return True
    first = intensity.isel(scan_y=slice(1), scan_x=slice(1))  # most data that are not whole show it at once
    return all(
        bool(_reduce_blocks(part, _compute_rounding_distance, (0, 1), gain=gain).min() > -1e-3)
        for part in (first, intensity)
    )


def check_values(lowest: float, total: float, step: str) -> None:
    """Refuse intensities that a non-negative factorisation has no meaning for."""
    if not np.isfinite(lowest) or not np.isfinite(total):
        raise SchemaError(
            f"{step}: 'intensity' holds NaN or infinite values, needs finite ones. Fill them (patterns.fillna(0)), cut "
            "these scan points away with .isel(...), or keep NaN as not measured: to_features(..., missing='keep')."
        )
    if lowest < 0:
        raise SchemaError(
            f"{step}: 'intensity' goes down to {lowest:g}, needs values >= 0. Add the offset that was subtracted, "
            "or clip the noise: patterns.assign(intensity=patterns.intensity.clip(min=0))."
        )
    if total <= 0:
        raise SchemaError(f"{step}: every pattern is zero. Check that the right dataset of the file was opened.")


def split_scan_lines(intensity: xr.DataArray) -> list[slice]:
    """Ranges of scan lines that take about 4 MB, so that a pass over data in memory needs little more."""
    line = max(1, intensity.dtype.itemsize * intensity.size // intensity.sizes["scan_y"])
    step = max(1, (4 << 20) // line)
    return [slice(i, i + step) for i in range(0, intensity.sizes["scan_y"], step)]


def _reduce_blocks(
    intensity: xr.DataArray, kernel: Callable[..., Image], n_images: tuple[int, int], *, gain: float
) -> NDArray[np.float64]:
    """Images ``(image, qy, qx)`` of all blocks: the first ones added up, the others' smallest values."""
    n_sums, whole = n_images[0], sum(n_images)
    if intensity.chunks is None:
        out: Image | None = None
        for lines in split_scan_lines(intensity):
            found = kernel(intensity.isel(scan_y=lines).to_numpy(), gain)
            out = found if out is None else _merge_images(out, found, n_sums)
        assert out is not None
        return out
    import dask.array

    da: Any = dask.array

    # Each block becomes one small stack of images, so that no block has to meet another before the last sum.
    data = intensity.data.rechunk({2: -1, 3: -1})
    grid = [(1,) * len(sizes) for sizes in data.chunks[:2]]
    blocks = data.map_blocks(
        lambda frames: kernel(frames, gain)[None, None],
        chunks=(*grid, (whole,), *data.chunks[2:]),
        new_axis=2,
        dtype=np.float64,
        meta=np.empty((0,) * 5),
    )
    added, lowest = blocks[:, :, :n_sums].sum(axis=(0, 1)), blocks[:, :, n_sums:].min(axis=(0, 1))
    return np.asarray(da.concatenate([added, lowest]).compute())


def _merge_images(first: Image, second: Image, n_sums: int) -> Image:
    """Join the images of a second block into those of the first."""
    first[:n_sums] += second[:n_sums]
    np.minimum(first[n_sums:], second[n_sums:], out=first[n_sums:])
    return first


def _sum_block(frames: NDArray[Any], gain: float) -> Image:
    """Sums over patterns: measured, value, square, products with the right and lower neighbour, and their pairs.

    Two more images are each pixel's lowest value and its largest distance from a whole number of electrons (negative).
    """
    shape = frames.shape[-2:]
    flat = frames.reshape(-1, *shape)
    out = np.zeros((_SUMS + _LOWS, *shape))
    out[_LOWEST] = np.inf
    step = max(1, _BLOCK_BYTES // (8 * shape[0] * shape[1]))
    with np.errstate(invalid="ignore"):  # infinite values are refused when all is read
        for start in range(0, len(flat), step):
            _add_patterns(flat[start : start + step], out)
    out[_ROUNDING] = 0 if _is_integer_type(frames.dtype, gain) else _compute_rounding_distance(frames, gain)
    return out


def _add_patterns(part: NDArray[Any], out: Image) -> None:
    """Add some patterns ``(pattern, qy, qx)`` to the sums."""
    values = part.astype(np.float64)
    # fmin passes over NaN; the two pair sums count what was measured on both sides of a product.
    np.fmin(out[_LOWEST], np.fmin.reduce(part, axis=0), out=out[_LOWEST])
    total = values.sum(axis=0)
    out[[_MEASURED, _PAIRS_RIGHT, _PAIRS_DOWN]] += len(values)
    if np.isnan(total).any():  # the sum is NaN if any value is missing; only then are masks made
        seen = ~np.isnan(values)
        values[~seen] = 0
        total = values.sum(axis=0)
        out[_MEASURED] += seen.sum(axis=0) - len(values)
        out[_PAIRS_RIGHT, :, :-1] += (seen[:, :, :-1] & seen[:, :, 1:]).sum(axis=0) - len(values)
        out[_PAIRS_DOWN, :-1] += (seen[:, :-1] & seen[:, 1:]).sum(axis=0) - len(values)
    out[_TOTAL] += total
    out[_SQUARE] += np.einsum("nyx,nyx->yx", values, values)
    out[_RIGHT, :, :-1] += np.einsum("nyx,nyx->yx", values[:, :, :-1], values[:, :, 1:])
    out[_DOWN, :-1] += np.einsum("nyx,nyx->yx", values[:, :-1], values[:, 1:])


def _compute_rounding_distance(frames: NDArray[Any], gain: float) -> Image:
    """Largest distance of each pixel from a whole number of electrons, ``(1, qy, qx)``, negative; NaN is left out."""
    shape = frames.shape[-2:]
    flat = frames.reshape(-1, *shape)
    out = np.zeros((1, *shape))
    step = max(1, _BLOCK_BYTES // (8 * shape[0] * shape[1]))
    for start in range(0, len(flat), step):
        electrons = flat[start : start + step] / np.float64(gain)
        with np.errstate(invalid="ignore"):
            away = np.abs(electrons - np.rint(electrons))
        np.minimum(out[0], -np.fmax.reduce(away, axis=0, initial=0.0), out=out[0])
    return out


def _is_integer_type(dtype: np.dtype[Any], gain: float) -> bool:
    """True when the type alone says that every value is a whole number of electrons."""
    return gain == 1 and dtype.kind in "iub"
