"""One pass over a scan: mean, variance and covariance with the neighbours of every detector pixel."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import SchemaError
from .sums import (
    AT_LIMIT,
    DOWN,
    LOWEST,
    MARKED,
    MEASURED,
    MINUS_HIGHEST,
    MISSING,
    N_LOWS,
    N_SUMS,
    PAIRS_DOWN,
    PAIRS_RIGHT,
    RIGHT,
    ROUNDING,
    SPIKES,
    SQUARE,
    TOTAL,
)
from .values import CountRules

Image = NDArray[np.float64]
_WHOLE = 1e-3  # electrons: what counts that went through a division may be away from a whole number
_BLOCK_BYTES = 1 << 20  # patterns at a time in double precision: few enough for the cache


class ScanImages(NamedTuple):
    """Images ``(qy, qx)`` over all patterns; NaN values are left out of each."""

    mean: Image  # 0 where nothing was measured
    variance: Image
    right: Image  # covariance with the pixel at qx + 1 (last column: 0)
    down: Image  # covariance with the pixel at qy + 1 (last row: 0)
    measured: Image  # patterns in which the pixel holds a count
    n_patterns: int
    whole: bool  # every value is a whole number of electrons, within 0.001
    lowest: Image  # smallest and largest count; inf and -inf where nothing was measured
    highest: Image
    missing: Image  # patterns in which the pixel is NaN or infinite
    marked: Image  # ... holds a value that is no count
    at_limit: Image  # ... holds the largest value of its type, or one that detectors write into masked pixels
    spikes: Image  # ... is too bright for its neighbours


def compute_scan_images(
    intensity: xr.DataArray, step: str, *, missing: bool = False, gain: float = 1.0, rules: CountRules | None = None
) -> ScanImages:
    r"""Read all patterns once, block by block.

    Without ``rules`` every value counts, and what is negative, infinite or (without ``missing``) NaN is refused. With
    ``rules`` values that are no counts are left out, and how often a pixel holds one is counted.

    Variance and covariance are :math:`\langle v^2\rangle - \langle v\rangle^2` and :math:`\langle v v'\rangle - \langle
    v\rangle\langle v'\rangle` over the patterns in which the pixels were measured.
    """
    sums = _reduce_blocks(intensity, partial(_sum_block, rules=rules), (N_SUMS, N_LOWS), gain=gain)
    n = intensity.sizes["scan_y"] * intensity.sizes["scan_x"]
    if rules is None:
        holes = not missing and bool(sums[MISSING].any())
        check_values(np.nan if holes else float(sums[LOWEST].min()), float(sums[TOTAL].sum()), step)
    # Moments are taken from sums, so that one pass is enough; counts are small enough for double precision.
    count = np.maximum(sums[MEASURED], 1)
    mean = sums[TOTAL] / count
    beside, below = np.roll(mean, -1, axis=1), np.roll(mean, -1, axis=0)
    right = sums[RIGHT] / np.maximum(sums[PAIRS_RIGHT], 1) - mean * beside
    down = sums[DOWN] / np.maximum(sums[PAIRS_DOWN], 1) - mean * below
    right[:, -1], down[-1] = 0, 0
    variance = np.maximum(sums[SQUARE] / count - mean**2, 0)
    whole = _are_counts(sums[ROUNDING], -sums[MINUS_HIGHEST] / gain, intensity.dtype, gain)
    extremes = (sums[LOWEST], -sums[MINUS_HIGHEST])
    bad = (sums[MISSING], sums[MARKED], sums[AT_LIMIT], sums[SPIKES])
    return ScanImages(mean, variance, right, down, sums[MEASURED], n, whole, *extremes, *bad)


def has_whole_counts(intensity: xr.DataArray, gain: float) -> bool:
    """True when every value is a whole number of electrons within 0.001; floating numbers are read for it.

    Numbers that are too small or too large to show it are no counts: all below half an electron, or so large that
    their type holds whole numbers alone.
    """
    if _is_integer_type(intensity.dtype, gain):
        return True
    first = intensity.isel(scan_y=slice(1), scan_x=slice(1))  # most data that are not whole show it at once
    if not _reduce_blocks(first, _compute_rounding_distance, (0, 1), gain=gain).min() > -_WHOLE:
        return False
    distance, minus_highest = _reduce_blocks(intensity, _compute_count_images, (0, 2), gain=gain)
    return _are_counts(distance, -minus_highest, intensity.dtype, gain)


def _are_counts(distance: Image, highest: Image, dtype: np.dtype[Any], gain: float) -> bool:
    """Whole numbers from each pixel's distance (negative) and largest value [electrons], where some pixel shows it."""
    if _is_integer_type(dtype, gain):
        return True
    largest = 1 / np.finfo(dtype).eps if dtype.kind == "f" else np.inf  # beyond it every number of the type is whole
    return bool(distance.min() > -_WHOLE and ((highest >= 0.5) & (highest < largest)).any())


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


def _sum_block(frames: NDArray[Any], gain: float, *, rules: CountRules | None) -> Image:
    """Sums and smallest values over the patterns of a block, ``(image, qy, qx)``; see ``sums`` for their order."""
    from .sums import add_patterns  # compiled code is imported when it is needed

    rules = CountRules((), -np.inf, 0.0, 0.0, 0.0) if rules is None else rules
    shape = frames.shape[-2:]
    flat = frames.reshape(-1, *shape)
    out = np.zeros((N_SUMS + N_LOWS, *shape))
    out[[LOWEST, MINUS_HIGHEST]] = np.inf
    ceilings = np.array(rules.ceilings or (np.inf,))
    step = max(1, _BLOCK_BYTES // (8 * shape[0] * shape[1]))
    for start in range(0, len(flat), step):
        add_patterns(flat[start : start + step].astype(np.float64), ceilings, rules.least, rules.spike_limits, out)
    out[ROUNDING] = 0 if _is_integer_type(frames.dtype, gain) else _compute_rounding_distance(frames, gain)
    return out


def _compute_count_images(frames: NDArray[Any], gain: float) -> Image:
    """Distance from a whole number and largest value [electrons] of each pixel, ``(2, qy, qx)``, both negative."""
    highest = np.fmax.reduce(frames.reshape(-1, *frames.shape[-2:]), axis=0) / np.float64(gain)
    return np.concatenate([_compute_rounding_distance(frames, gain), -highest[None]])


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
