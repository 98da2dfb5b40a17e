"""Patterns shifted to a common origin: the direct beam's place in each, and the shift between pixels.

The centre of mass of a disk about the last estimate is iterated. A bilinear shift then moves the pattern, so that
counts are conserved.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...detector.scan_images import split_scan_lines
from ...errors import SchemaError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MIN_BEAM_COUNTS = 10.0  # counts in the direct beam below which its place means nothing
_WHOLE_PIXEL_TOLERANCE = 1e-4  # [px] a shift this close to whole pixels is taken as whole


class Beam(NamedTuple):
    """Direct beam of the mean pattern [px]; NaN and 0 where none was found."""

    centre: tuple[float, float]
    radius: float


class Centring(NamedTuple):
    """Shifts ``(scan_y, scan_x, 2)`` [px] of every origin to ``target`` (qy, qx) [px]; None: nothing moves."""

    target: tuple[float, float]
    shifts: Array | None
    n_not_found: int = 0  # patterns that took the median origin


def compute_centring(centre: Any, patterns: xr.Dataset, intensity: xr.DataArray, beam: Beam) -> Centring:
    """Shifts to the median of measured or given origins.

    A pair of numbers is one origin for all patterns and moves nothing. Patterns without an origin do not move.
    """
    if centre is None:
        return Centring(beam.centre, None)
    scan = (patterns.sizes["scan_y"], patterns.sizes["scan_x"])
    if isinstance(centre, str):
        origins = _measure_origins(centre, intensity, beam)
    else:
        origins = _read_origins(centre, patterns)
        if origins.ndim == 1:
            return Centring((float(origins[0]), float(origins[1])), None)
    if origins.shape != (*scan, 2):
        raise SchemaError(f"to_features: centre has origins for a scan of {origins.shape[:-1]}, needs {scan}.")
    lost = np.asarray(~np.isfinite(origins).all(axis=-1))
    if lost.all():
        raise SchemaError(
            "to_features: the direct beam was found in no pattern. Give centre=(qy, qx) [px], or origins of your own."
        )
    # The median is the place that moves the fewest patterns far, and does not follow a few wrong origins.
    target = np.median(origins[~lost], axis=0)
    shifts = np.where(lost[..., None], 0.0, target - origins)
    return Centring(
        (float(target[0]), float(target[1])),
        shifts if np.abs(shifts).max() > _WHOLE_PIXEL_TOLERANCE else None,
        lost.sum(),
    )


def shift_frames(frames: NDArray[Any], shifts: Array, *, holes: bool = False) -> NDArray[np.float32]:
    r"""Frames ``(..., qy, qx)`` moved by ``shifts (..., 2)`` [px], bilinear.

    Over the edge comes 0, or NaN with ``holes``.
    With the shift (k + f, l + g) of whole pixels k, l and fractions f, g in [0, 1), the moved frame is

    .. math::

        I'(y + k + a,\, x + l + b) \mathrel{+}= |1 - a - f|\,|1 - b - g|\, I(y, x),\qquad a, b \in \{0, 1\}.

    The four weights sum to 1, so that counts that stay on the detector keep their sum.
    """
    flat = frames.reshape(-1, *frames.shape[-2:])
    out = np.zeros(flat.shape, dtype=np.float32)
    whole, part = _split_shifts(shifts.reshape(-1, 2))
    for frame, k, f, moved in zip(flat, whole, part, out, strict=True):
        for a, b in _list_corners(f):  # each of the up to four pixels that the moved pixel overlaps
            weight = abs(1 - a - f[0]) * abs(1 - b - f[1])
            there, here = _find_common_window(frame.shape, (k[0] + a, k[1] + b))
            moved[there] += np.float32(weight) * frame[here]
        if holes:
            moved[~_find_complete_pixels(frame.shape, k, f)] = np.nan
    return out.reshape(frames.shape)


def find_valid_pixels(good: Flags, shifts: Array, *, always: bool) -> Flags:
    """Pixels made up of good ones alone after a shift, in every pattern (``always``) or in at least one.

    ``good`` is ``(qy, qx)``, ``shifts`` ``(..., 2)`` [px].
    """
    whole, part = _split_shifts(shifts.reshape(-1, 2))
    out = np.full(good.shape, always)
    # Patterns with the same whole-pixel move and the same corners lose the same pixels: each kind is done once.
    for row in np.unique(np.column_stack([whole, part > 0]), axis=0):
        here = np.ones(good.shape, dtype=bool)
        for a, b in _list_corners(row[2:]):
            moved = np.zeros_like(good)
            there, source = _find_common_window(good.shape, (row[0] + a, row[1] + b))
            moved[there] = good[source]
            here &= moved
        out = out & here if always else out | here
    return out


def _measure_origins(centre: str, intensity: xr.DataArray, beam: Beam) -> Array:
    """Origins ``(scan_y, scan_x, 2)`` [px] of the direct beam in every pattern; NaN where none is found."""
    if centre != "measured":
        raise SchemaError(f"to_features: centre = {centre!r}, needs 'measured', None, (qy, qx) or origins.")
    if not beam.radius > 0:
        raise SchemaError(
            "to_features: centre='measured', but no direct beam stands out in the mean pattern. Give centre=(qy, qx) "
            "[px] or origins (scan_y, scan_x), e.g. those of pk.acom.calibrate_peaks."
        )
    core: dict[str, Any] = {"centre": np.array(beam.centre), "radius": max(beam.radius, 1.5)}
    if intensity.chunks is None:
        return np.concatenate(
            [_find_block_origins(intensity.isel(scan_y=s).to_numpy(), **core) for s in split_scan_lines(intensity)]
        )
    found = xr.apply_ufunc(
        _find_block_origins,
        intensity.drop_vars(["qy", "qx"], errors="ignore"),
        kwargs=core,
        input_core_dims=[["qy", "qx"]],
        output_core_dims=[["axis"]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {"axis": 2}, "allow_rechunk": True},
    )
    # Computed now: it is small, and otherwise every block of features would wait for the median over the scan.
    return np.asarray(found.compute())


def _read_origins(centre: Any, patterns: xr.Dataset) -> Array:
    """Origins ``(scan_y, scan_x, 2)`` or ``(2,)`` [px] from a dataset, a pair of arrays or a pair of numbers."""
    # A dataset's origins may be calibrated (1/angstrom); arrays of the user's own are in pixels by definition.
    if isinstance(centre, xr.Dataset):
        if not {"origin_y", "origin_x"} <= set(centre.variables):
            raise SchemaError(
                "to_features: centre is a dataset without 'origin_y' and 'origin_x' (scan_y, scan_x). "
                "pk.acom.calibrate_peaks gives them."
            )
        centre = tuple(_convert_to_pixels(centre[f"origin_{axis}"], patterns, f"q{axis}") for axis in "yx")
    if not isinstance(centre, tuple | list) or len(centre) != 2:
        raise SchemaError(
            f"to_features: centre is {type(centre).__name__}, needs 'measured', None, a pair (qy, qx) [px] of numbers "
            "or of arrays (scan_y, scan_x), or a dataset with origin_y and origin_x."
        )
    dims = ("scan_y", "scan_x")
    arrays = [a.transpose(*dims).to_numpy() if isinstance(a, xr.DataArray) and a.ndim == 2 else a for a in centre]
    return np.stack([np.asarray(a, dtype=np.float64) for a in arrays], axis=-1)


def _convert_to_pixels(origin: xr.DataArray, patterns: xr.Dataset, axis: str) -> xr.DataArray:
    """Pixel number on the detector of a position in the detector's unit."""
    unit = origin.attrs.get("units", "px")
    if axis not in patterns.coords and unit == "px":
        return origin
    if axis not in patterns.coords or patterns[axis].attrs.get("units", "px") != unit:
        raise SchemaError(
            f"to_features: the origins are in '{unit}', but the patterns' '{axis}' is not. Take them from peaks that "
            "were found on these patterns."
        )
    # The step from both ends: the mean of all steps has the least rounding.
    at = patterns[axis].to_numpy()
    return (origin - at[0]) / ((at[-1] - at[0]) / max(at.size - 1, 1) or 1.0)


def _find_block_origins(frames: NDArray[Any], *, centre: Array, radius: float) -> Array:
    """Iterated centre of mass of the direct beam in each frame ``(..., qy, qx)`` -> ``(..., 2)`` [px]; NaN: not found.

    The first steps use twice the beam's radius, so that a beam that has moved is still reached. Later ones use the
    radius itself, until the centre moves by less than 0.1 px. Each frame is iterated on its own, whatever others are in
    the block.
    """
    size = np.array(frames.shape[-2:])
    reach = int(np.ceil(4 * radius)) + 2
    low = np.maximum(np.floor(centre).astype(int) - reach, 0)
    high = np.minimum(np.floor(centre).astype(int) + reach + 1, size)
    # Only the pixels that any iteration can reach are converted to double precision.
    patch = frames[..., low[0] : high[0], low[1] : high[1]].reshape(-1, *(high - low))
    out = np.empty((len(patch), 2))
    for start in range(0, len(patch), 64):
        part = np.nan_to_num(patch[start : start + 64].astype(np.float64), nan=0.0, posinf=0.0)
        out[start : start + 64] = _iterate_origins(part, centre - low, radius) + low
    return out.reshape(*frames.shape[:-2], 2)


def _iterate_origins(patch: Array, centre: Array, radius: float) -> Array:
    """Origins ``(pattern, 2)`` [px] in ``patch (pattern, y, x)`` [counts]; NaN where no beam is found.

    A beam must hold 10 counts, be 1.5 times denser than the ring around it, and lie within three radii of ``centre``.
    """
    # Patterns that stand still leave the iteration, so that a few slow ones do not cost the time of all.
    at, step = np.tile(centre, (len(patch), 1)), np.full(len(patch), np.inf)
    moving = np.arange(len(patch))
    for turn in range(40):
        mass, _ = _compute_disk_moments(patch[moving], at[moving], radius * (2 if turn < 5 else 1))
        new = np.where(mass[:, :1] > 0, mass[:, 1:] / np.maximum(mass[:, :1], 1e-300), at[moving])
        step[moving] = np.abs(new - at[moving]).max(axis=1)
        at[moving] = new
        if turn > 5:  # the radius changed at turn 5: steps before do not say that the iteration stands still
            moving = moving[step[moving] >= 0.1]
        if not moving.size:
            break
    # Density in the disk against the ring out to twice the radius.
    mass, inside = _compute_disk_moments(patch, at, radius)
    wide, area = _compute_disk_moments(patch, at, 2 * radius)
    ring = (wide[:, 0] - mass[:, 0]) / np.maximum(area - inside, 1e-9)
    found = (step < 0.1) & (mass[:, 0] >= _MIN_BEAM_COUNTS) & (mass[:, 0] / inside > 1.5 * ring)
    found &= np.hypot(*(at - centre).T) <= 3 * radius
    return np.where(found[:, None], at, np.nan)


def _compute_disk_moments(patch: Array, at: Array, radius: float) -> tuple[Array, Array]:
    """Counts and first moments ``(pattern, 3)`` in a disk whose rim falls off over one pixel, and its area [px^2]."""
    y, x = np.indices(patch.shape[1:])
    # A soft rim: with a hard one the centre of mass would jump whenever a pixel enters or leaves the disk.
    rim = radius + 0.5 - np.hypot(y - at[:, 0, None, None], x - at[:, 1, None, None])
    window = np.clip(rim, 0.0, 1.0)
    weighted = patch * window
    moments = [weighted.sum(axis=(1, 2)), (weighted * y).sum(axis=(1, 2)), (weighted * x).sum(axis=(1, 2))]
    return np.stack(moments, axis=1), np.maximum(window.sum(axis=(1, 2)), 1e-9)


def _split_shifts(shifts: Array) -> tuple[NDArray[np.intp], Array]:
    """Whole pixels and the rest in [0, 1); a rest below the tolerance counts as none."""
    whole = np.floor(shifts + _WHOLE_PIXEL_TOLERANCE)
    part = shifts - whole
    return whole.astype(np.intp), np.where(part <= _WHOLE_PIXEL_TOLERANCE, 0.0, part)


def _list_corners(part: NDArray[Any]) -> list[tuple[int, int]]:
    """Offsets of the one, two or four pixels over which a moved pixel is spread."""
    return [(a, b) for a in range(1 + (part[0] > 0)) for b in range(1 + (part[1] > 0))]


def _find_common_window(
    shape: tuple[int, ...], move: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where on the detector the frame moved by whole pixels lies, and which part of the frame that is."""
    pairs = [(min(max(int(k), -n), n), n) for k, n in zip(move, shape, strict=True)]
    there = [slice(max(k, 0), n + min(k, 0)) for k, n in pairs]
    here = [slice(max(-k, 0), n - max(k, 0)) for k, n in pairs]
    return (there[0], there[1]), (here[0], here[1])


def _find_complete_pixels(shape: tuple[int, ...], whole: NDArray[np.intp], part: Array) -> Flags:
    """Pixels of the moved frame that received all their counts from inside the frame."""
    rows, columns = (
        (np.arange(n) >= k + (f > 0)) & (np.arange(n) < n + k) for n, k, f in zip(shape, whole, part, strict=True)
    )
    return np.asarray(rows[:, None] & columns)
