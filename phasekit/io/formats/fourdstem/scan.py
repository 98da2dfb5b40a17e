"""What every 4D-STEM reader returns, and the one place that makes it a PATTERNS dataset.

Shapes, units, the blocks of the lazy array, and remarks on what the file does not say are settled here.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ....diffraction import wavelength
from ....errors import ReadError, SchemaError
from ..lazy_sources import ScanSource, Source, choose_block_shape

DIMS = ("scan_y", "scan_x", "qy", "qx")
Chunks = str | int | Sequence[int] | Mapping[str, int]

# Factors to nm.
_LENGTHS = {"m": 1e9, "cm": 1e7, "mm": 1e6, "um": 1e3, "micron": 1e3, "nm": 1.0, "A": 0.1, "pm": 1e-3}
# Factors to rad.
_ANGLES = {"rad": 1.0, "mrad": 1e-3, "urad": 1e-6, "deg": math.pi / 180, "degree": math.pi / 180}


class ScanOptions(NamedTuple):
    """Arguments of ``open_4dstem`` that a format may take."""

    chunks: Chunks = "auto"
    scan_shape: Sequence[int] | None = None
    dataset: str | None = None


@dataclass(frozen=True)
class Axis:
    """Regular axis of a file: step, first value, unit as written there; a step of None means it is not known."""

    scale: float | None = None
    offset: float = 0.0
    units: str = ""


@dataclass
class RawScan:
    """``data`` (a :class:`Source` or dask array of 2 to 4 dimensions, detector last), its axes, and remarks.

    ``file_blocks`` is the shape of the blocks the file is stored in, None where it has none or they are not known.
    """

    data: Any
    axes: Sequence[Axis] = ()
    notes: list[str] = field(default_factory=list)
    voltage_kv: float | None = None
    file_blocks: tuple[int, ...] | None = None


def build_patterns(raw: RawScan, path: Path, chunks: Chunks, scan_shape: Sequence[int] | None) -> xr.Dataset:
    """Lazy dataset (scan_y, scan_x, qy, qx) with coordinates in nm and 1/angstrom (or px); no pattern is read."""
    data, axes, notes = raw.data, list(raw.axes), list(raw.notes)
    # Complex data are wave functions, objects are no numbers.
    if np.dtype(data.dtype).kind not in "iufb":
        raise ReadError(path, found=f"values of type {data.dtype}", cure="give real numbers (take the modulus)")
    if data.ndim not in (2, 3, 4) or 0 in data.shape:
        found = f"an array of shape {tuple(data.shape)}"
        raise ReadError(path, found=found, cure="give patterns as (scan_y, scan_x, qy, qx), (n, qy, qx) or (qy, qx)")
    # Readers may know only the detector's axes, which are the last ones.
    axes = [Axis()] * (data.ndim - len(axes)) + axes
    shape = _make_scan_shape(data.shape, path, scan_shape, notes)
    # The step along a line says nothing about the two steps of a folded map.
    if data.ndim == 3 and shape[0] > 1:
        axes = [Axis(), Axis(), *axes[-2:]]
    axes = [Axis()] * (4 - len(axes)) + axes
    lazy = _to_dask(data, shape, path, chunks, raw.file_blocks)
    coords = {}
    for dim, axis in zip(DIMS[:2], axes[:2], strict=True):
        coords[dim] = _make_scan_axis(dim, axis, shape[DIMS.index(dim)])
    coords |= _make_detector_axes(axes[2:], shape[2:], raw.voltage_kv)
    for position, dim in enumerate(DIMS):  # every axis grows, as an image is drawn
        if axes[position].scale is not None and float(axes[position].scale or 0) < 0:
            values = coords[dim].values
            lazy = lazy if values[0] <= values[-1] else lazy[(slice(None),) * position + (slice(None, None, -1),)]
            coords[dim] = coords[dim].copy(data=np.sort(values))
    attrs: dict[str, Any] = {} if raw.voltage_kv is None else {"voltage_kv": float(raw.voltage_kv)}
    if notes:
        attrs["comment"] = "; ".join(notes)
    return xr.Dataset({"intensity": (DIMS, lazy)}, coords=coords, attrs=attrs)


def _make_scan_shape(
    shape: Sequence[int], path: Path, scan_shape: Sequence[int] | None, notes: list[str]
) -> tuple[int, int, int, int]:
    """Shape with two scan dimensions."""
    *scan, qy, qx = (int(n) for n in shape)
    n = math.prod(scan)
    # Folding is checked against the number of patterns, since a wrong shape shears the map.
    if scan_shape is not None:
        try:
            ny, nx = (int(size) for size in scan_shape)
        except (TypeError, ValueError) as error:
            raise SchemaError(
                f"open_4dstem: scan_shape={scan_shape!r}, needs two whole numbers. Give (scan_y, scan_x)."
            ) from error
        if ny * nx != n or min(ny, nx) < 1:
            cure = f"give a scan_shape (scan_y, scan_x) whose product is {n}"
            raise ReadError(path, found=f"{n} patterns, but scan_shape={(ny, nx)} needs {ny * nx}", cure=cure)
        return ny, nx, qy, qx
    if len(scan) == 2:
        return scan[0], scan[1], qy, qx
    if n > 1:
        notes.append(f"{n} patterns in one line: scan_y = 1; give scan_shape=(scan_y, scan_x) to fold them into a map")
    return 1, n, qy, qx


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


def normalise_unit(unit: str) -> str:
    """Unit in plain letters: ``$A^{-1}$``, ``1/Å`` -> 1/A, ``µm`` -> um.

    Examples
    --------
    >>> [normalise_unit(unit) for unit in ("$A^{-1}$", "1/angstrom", "nm⁻¹", "µm", "[n_m]", "pixels")]
    ['1/A', '1/A', '1/nm', 'um', 'nm', 'pixels']
    """
    # Units are written as LaTeX, with Unicode superscripts, in brackets, or as words.
    text = re.sub(r"[\s${}\\\[\]()]", "", unit.replace("⁻¹", "^-1").replace("µ", "u").replace("μ", "u"))
    text = re.sub("(?i)angstroms?|Å|Å", "A", text)
    text = re.sub(r"([nupm])_m\b", r"\1m", text)  # EMD writes [n_m]
    inverse = re.fullmatch(r"([A-Za-z_]+)\^?(?:\*\*)?-1", text)
    text = f"1/{inverse.group(1)}" if inverse else text
    return re.sub("nanometers?|nanometres?", "nm", text)


def _has_scale(axis: Axis) -> bool:
    return axis.scale is not None and math.isfinite(axis.scale) and axis.scale != 0 and math.isfinite(axis.offset)


def _make_scan_axis(dim: str, axis: Axis, size: int) -> xr.DataArray:
    factor = _LENGTHS.get(normalise_unit(axis.units))
    steps = np.arange(size, dtype=float)
    attrs = {"units": "nm", "long_name": f"scan position along {dim[-1]}"}
    if factor is None or not _has_scale(axis):
        attrs["comment"] = "step size unknown, 1 nm assumed"
        return xr.DataArray(steps, dims=dim, attrs=attrs)
    return xr.DataArray((axis.offset + steps * float(axis.scale or 0)) * factor, dims=dim, attrs=attrs)


def _make_detector_axes(
    axes: Sequence[Axis], shape: Sequence[int], voltage_kv: float | None
) -> dict[str, xr.DataArray]:
    factors = [_find_inverse_angstrom(axis, voltage_kv) for axis in axes]
    calibrated = None not in factors
    coords = {}
    for dim, axis, size, factor in zip(DIMS[2:], axes, shape, factors, strict=True):
        steps = np.arange(size, dtype=float)
        attrs = {"units": "px", "long_name": f"detector position along {dim[-1]}"}
        # Mixed units would distort angles between reflections: either both axes are calibrated or none.
        if calibrated and factor is not None:
            attrs["units"] = "1/angstrom"
            scale, offset = float(axis.scale or 0) * factor, axis.offset * factor
            if axis.offset == 0:  # the direct beam is never in the corner: the file does not say where it is
                offset = -scale * (size - 1) / 2
                attrs["comment"] = "origin not in the file, middle of the detector assumed"
            steps = offset + steps * scale
        elif axis.units and normalise_unit(axis.units) not in ("px", "pixel", "pixels"):
            attrs["comment"] = f"the file's unit '{axis.units[:20]}' is no scattering vector, pixels kept"
        coords[dim] = xr.DataArray(steps, dims=dim, attrs=attrs)
    return coords


def _find_inverse_angstrom(axis: Axis, voltage_kv: float | None) -> float | None:
    """Factor from the axis's unit to 1/angstrom; an angle needs the voltage."""
    unit = normalise_unit(axis.units)
    if not _has_scale(axis):
        return None
    if unit.startswith("1/") and unit[2:] in _LENGTHS:
        return 0.1 / _LENGTHS[unit[2:]]
    # For small angles the scattering vector is theta / lambda.
    if unit in _ANGLES and voltage_kv:
        return _ANGLES[unit] / wavelength(voltage_kv)
    return None


def read_voltage_kv(value: Any) -> float | None:
    """Accelerating voltage [kV] of a file's header; volts become kilovolts, None where it cannot be one.

    Examples
    --------
    >>> [read_voltage_kv(value) for value in (200, 300e3, 0.0, float("nan"), "", None)]
    [200.0, 300.0, None, None, None, None]
    """
    try:
        voltage = float(value)
    except (TypeError, ValueError):
        return None
    # Files state kilovolts or volts; 20 kV to 3 MV in volts overlap with no voltage in kilovolts.
    voltage = voltage / 1e3 if 20e3 <= voltage <= 3e6 else voltage
    return voltage if 10 <= voltage <= 3e3 else None
