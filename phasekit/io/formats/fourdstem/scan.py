"""What every 4D-STEM reader returns, and the one place that makes it a PATTERNS dataset.

Shapes, units, the blocks of the lazy array, and remarks on what the file does not say are settled here.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ....errors import ReadError, SchemaError
from ...plausibility.scans import check_scan
from ..lazy_sources import ScanSource, Source, TransposedSource, choose_block_shape
from .axes import DIMS, Axis, make_detector_axes, make_scan_axis, read_step_nm
from .axis_order import find_axis_order
from .given_calibration import apply_given, check_given

Chunks = str | int | Sequence[int] | Mapping[str, int]
#: Options that every format takes whose file is not phasekit's own.
SCAN_OPTIONS = ("chunks", "scan_shape", "dims", "voltage_kv", "step_nm", "q_step", "direct_beam_px")


class ScanOptions(NamedTuple):
    """Arguments of ``open_4dstem`` that a format may take."""

    chunks: Chunks = "auto"
    scan_shape: Sequence[int] | None = None
    dataset: str | None = None
    dims: Sequence[str] | None = None
    voltage_kv: float | None = None
    step_nm: float | Sequence[float] | None = None
    q_step: float | Sequence[float] | None = None
    direct_beam_px: Sequence[float] | None = None


@dataclass
class RawScan:
    """``data`` (a :class:`Source` or dask array of 2 to 4 dimensions), its axes in the file's order, and remarks.

    ``file_blocks`` is the shape of the blocks the file is stored in, None where it has none or they are not known.
    ``planned`` is the number of patterns that the file announces, where fewer were recorded.
    """

    data: Any
    axes: Sequence[Axis] = ()
    notes: list[str] = field(default_factory=list)
    voltage_kv: float | None = None
    file_blocks: tuple[int, ...] | None = None
    planned: int | None = None
    camera_length_mm: float | None = None


def build_patterns(raw: RawScan, path: Path, options: ScanOptions, accept: Collection[str] = ()) -> xr.Dataset:
    """Lazy dataset (scan_y, scan_x, qy, qx) with coordinates in nm and 1/angstrom (or px); no pattern is read."""
    given = check_given(options)
    _check_array(raw.data, path)
    notes = list(raw.notes)
    data, axes, stored = _reorder(raw, path, options.dims, notes)
    shape = _make_scan_shape(data.shape, path, options.scan_shape, raw.planned, notes)
    # The step along a line says nothing about the two steps of a folded map.
    if data.ndim == 3 and shape[0] > 1:
        axes = [Axis(), Axis(), *axes[-2:]]
    axes = [Axis()] * (4 - len(axes)) + axes
    voltage_kv = given.voltage_kv or raw.voltage_kv
    axes = apply_given(axes, given, voltage_kv)
    lazy = _to_dask(data, shape, path, options.chunks, stored)
    coords = {dim: make_scan_axis(dim, axes[n], shape[n]) for n, dim in enumerate(DIMS[:2])}
    coords |= make_detector_axes(axes[2:], shape[2:], voltage_kv)
    check_scan(path, _list_stated(raw, axes, coords, voltage_kv), accept)
    check_scan(path, _read_first_counts(data), accept)
    for position, dim in enumerate(DIMS):  # every axis grows, as an image is drawn
        if axes[position].scale is not None and float(axes[position].scale or 0) < 0:
            values = coords[dim].values
            lazy = lazy if values[0] <= values[-1] else lazy[(slice(None),) * position + (slice(None, None, -1),)]
            coords[dim] = coords[dim].copy(data=np.sort(values))
    attrs: dict[str, Any] = {} if voltage_kv is None else {"voltage_kv": float(voltage_kv)}
    if notes:
        attrs["comment"] = "; ".join(notes)
    return xr.Dataset({"intensity": (DIMS, lazy)}, coords=coords, attrs=attrs)


def _check_array(data: Any, path: Path) -> None:
    # Complex data are wave functions, objects are no numbers.
    if np.dtype(data.dtype).kind not in "iufb":
        raise ReadError(path, found=f"values of type {data.dtype}", cure="give real numbers (take the modulus)")
    if data.ndim not in (2, 3, 4) or 0 in data.shape:
        found = f"an array of shape {tuple(data.shape)}"
        raise ReadError(path, found=found, cure="give patterns as (scan_y, scan_x, qy, qx), (n, qy, qx) or (qy, qx)")


def _reorder(
    raw: RawScan, path: Path, dims: Sequence[str] | None, notes: list[str]
) -> tuple[Any, list[Axis], tuple[int, ...] | None]:
    """Array, axes and stored blocks with the scan first and the detector last."""
    data, axes, stored = raw.data, list(raw.axes), raw.file_blocks
    order = find_axis_order(axes, data.ndim, path, dims, notes)
    # Readers may know only the detector's axes, which are the last ones.
    axes = [Axis()] * (data.ndim - len(axes)) + axes
    if order == tuple(range(data.ndim)):
        return data, axes, stored
    if isinstance(data, Source):
        shape = tuple(data.shape[axis] for axis in order)
        data = TransposedSource(data.path, shape, data.dtype, data, order)
    else:
        data = data.transpose(order)
    stored = None if stored is None else tuple(stored[axis] for axis in order)
    return data, [axes[axis] for axis in order], stored


def _list_stated(
    raw: RawScan, axes: Sequence[Axis], coords: Mapping[str, xr.DataArray], voltage_kv: float | None
) -> dict[str, Any]:
    """What the file or the caller states, by rule of plausibility."""
    steps = [step for step in map(read_step_nm, axes[:2]) if step is not None]
    stated: dict[str, Any] = {"step_nm": np.abs(steps)} if steps else {}
    if voltage_kv is not None:
        stated["voltage"] = voltage_kv
    if raw.camera_length_mm is not None and coords["qx"].attrs["units"] == "1/angstrom":
        stated["camera_length"] = raw.camera_length_mm
    # A detector of one pixel, or a row of them, has no width to compare with.
    wide = [n for n in (2, 3) if coords[DIMS[n]].attrs["units"] == "1/angstrom" and coords[DIMS[n]].size > 1]
    pixels = {n: float(np.diff(coords[DIMS[n]].values[:2])[0]) for n in wide}
    if pixels:
        stated["q_step"] = np.abs(list(pixels.values()))
    # The pixels reach half a pixel beyond their centres.
    first = {n: float(coords[DIMS[n]].values[0]) / pixel for n, pixel in pixels.items() if not axes[n].cropped}
    if first:
        stated["direct_beam"] = [(0.5 - value) / coords[DIMS[n]].size for n, value in first.items()]
    return stated


def _read_first_counts(data: Any) -> dict[str, Any]:
    """Values of the first pattern where they have a sign; nothing where unsigned, or where they cannot be read."""
    if np.dtype(data.dtype).kind != "i" or not getattr(data, "has_quick_patterns", True):
        return {}
    try:
        return {"counts": np.asarray(data[(0,) * (data.ndim - 2)])}
    except Exception:  # damage is reported when the block is computed
        return {}


def _make_scan_shape(
    shape: Sequence[int], path: Path, scan_shape: Sequence[int] | None, planned: int | None, notes: list[str]
) -> tuple[int, int, int, int]:
    """Shape with two scan dimensions."""
    *scan, qy, qx = (int(n) for n in shape)
    n = math.prod(scan)
    # Folding is checked against the number of patterns, since a wrong shape shears the map.
    if scan_shape is not None:
        ny, nx = _read_pair(scan_shape)
        if planned is not None and 0 < ny * nx < n:
            notes.append(f"{n - ny * nx} recorded patterns lie after the last row of scan_shape and are left out")
        elif ny * nx != n or min(ny, nx) < 1:
            cure = f"give a scan_shape (scan_y, scan_x) whose product is {n}"
            cure += "" if planned is None else f", or a smaller one for the complete rows; {planned} were planned"
            raise ReadError(path, found=f"{n} patterns, but scan_shape={(ny, nx)} needs {ny * nx}", cure=cure)
        return ny, nx, qy, qx
    if len(scan) == 2:
        return scan[0], scan[1], qy, qx
    if n > 1:
        notes.append(f"{n} patterns in one line: scan_y = 1; give scan_shape=(scan_y, scan_x) to fold them into a map")
    return 1, n, qy, qx


def _read_pair(scan_shape: Sequence[int]) -> tuple[int, int]:
    try:
        ny, nx = (int(size) for size in scan_shape)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"open_4dstem: scan_shape={scan_shape!r}, needs two whole numbers. Give (scan_y, scan_x)."
        ) from error
    return ny, nx


def _to_dask(data: Any, shape: tuple[int, ...], path: Path, chunks: Chunks, stored: tuple[int, ...] | None) -> Any:
    import dask.array
    from dask.base import tokenize

    da: Any = dask.array  # only partly typed
    same = data.ndim == 4 and tuple(data.shape) == shape
    blocks = select_blocks(chunks, shape, data.dtype.itemsize, stored if same else None)
    if not isinstance(data, Source):
        lazy = da.asarray(data)
        return (lazy if same else lazy.reshape(shape)).rechunk(blocks)
    # Reading lines through a source keeps one task per block; reshaping in dask would make many.
    source = data if same else _fold_scan(data, shape)
    # The name holds time and size of the file: dask would take a rewritten file for the old one.
    stat = path.stat()
    name = f"patterns-{tokenize(source, stat.st_mtime_ns, stat.st_size, blocks)}"
    meta = np.empty((0,) * 4, dtype=data.dtype)
    return da.from_array(source, chunks=blocks, name=name, fancy=False, asarray=True, meta=meta)


def _fold_scan(data: Source, shape: tuple[int, ...]) -> Source:
    flat = data
    if data.ndim != 3:  # a map given another scan_shape: back to the order of acquisition first
        flat = _Flat(data.path, (shape[0] * shape[1], *shape[2:]), data.dtype, data)
    return ScanSource(data.path, shape, data.dtype, flat)


@dataclass(frozen=True)
class _Flat(Source):
    """Patterns of a 2- or 4-dimensional source in the order of acquisition."""

    source: Source

    def _read_box(self, box: tuple[slice, ...]) -> Any:
        if self.source.ndim == 2:
            return self.source[box[1:]][None]
        nx = self.source.shape[1]
        # Whole rows of the stored map are read, and the patterns outside the request are cut off.
        first, last = box[0].start // nx, -(-box[0].stop // nx)
        rows = self.source[(slice(first, last), slice(None), *box[1:])]
        flat = rows.reshape(-1, *rows.shape[2:])
        return flat[box[0].start - first * nx : box[0].stop - first * nx]


def select_blocks(
    chunks: Chunks, shape: tuple[int, ...], itemsize: int, stored: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Block shape from the ``chunks`` argument; the detector stays whole unless four sizes are given."""
    if isinstance(chunks, str):
        if chunks != "auto":
            raise SchemaError(f"open_4dstem: chunks='{chunks}', needs 'auto', an int, sizes or a dict. Use 'auto'.")
        return choose_block_shape(shape, itemsize, stored)
    if isinstance(chunks, Mapping):
        unknown = set(chunks) - set(DIMS)
        if unknown:
            raise SchemaError(f"open_4dstem: chunks for {sorted(unknown)}, needs names among {DIMS}. Rename them.")
        sizes: list[int] = [int(chunks.get(dim, n)) for dim, n in zip(DIMS, shape, strict=True)]
    else:
        given = [chunks, chunks] if isinstance(chunks, int) else list(chunks)
        if len(given) not in (2, 4):
            raise SchemaError(f"open_4dstem: chunks={chunks}, needs 2 sizes (scan) or 4. Use chunks='auto'.")
        sizes = [int(size) for size in given] + list(shape[len(given) :])
    return tuple(n if size < 1 else min(size, n) for size, n in zip(sizes, shape, strict=True))
