"""Scans of patterns in makers' formats through rosettasciio, and in ``.npy`` and TIFF files."""

import importlib
import math
import pickle
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ....diffraction import wavelength
from ....errors import ReadError
from ..frames import MemorySource, PagesSource, PluginSource, damaged
from .scan import Axis, RawScan, plain_unit, plausible_voltage

#: Plugins whose files hold no patterns, or that are read here in another way.
_NOT_PATTERNS = ("netCDF", "MSA", "Phenom", "Protochips", "Impulse", "numpy", "HSPY", "ZSPY", "TIFF")
_LARGEST_GRAPH = 2**24  # [bytes] a lazy array that pickles larger carries its data with it


@lru_cache(maxsize=1)
def plugin_endings() -> dict[str, str]:
    """Module of the rosettasciio plugin for every file ending it reads."""
    from rsciio import IO_PLUGINS

    return {
        ending.lower(): plugin["api"]
        for plugin in reversed(IO_PLUGINS)
        if plugin["name"] not in _NOT_PATTERNS
        for ending in plugin["file_extensions"]
    }


def read_plugin(path: Path, dataset: str | None) -> RawScan:
    """What the rosettasciio plugin of this ending reads, lazily."""
    ending = path.suffix.lower().lstrip(".")
    plugin = plugin_endings().get(ending)
    if plugin is None:
        known = ".hspy .zspy .blo .mib .dm3 .dm4 .tvips .app5 .emd .mrc .h5 .hdf5 .zarr .npy .tif .nc"
        raise ReadError(path, found=f"the unknown ending '{path.suffix}'", cure=f"give one of {known}")
    if ending == "blo":
        _check_blo(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        signals = importlib.import_module(plugin).file_reader(str(path), lazy=True)
    index = _choose(path, signals, dataset)
    raw = _from_signal(path, signals[index], plugin, index)
    raw.notes += [f"rosettasciio: {str(warning.message)[:120]}" for warning in caught]
    return raw


def _choose(path: Path, signals: list[dict[str, Any]], dataset: str | None) -> int:
    titles = [str(signal.get("metadata", {}).get("General", {}).get("title", "")) for signal in signals]
    if dataset is not None:
        found = [index for index, title in enumerate(titles) if dataset in (title, str(index))]
    else:
        deepest = max((signal["data"].ndim for signal in signals), default=0)
        found = [index for index, signal in enumerate(signals) if signal["data"].ndim == deepest]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{n}: '{t}' {s['data'].shape}" for n, (t, s) in enumerate(zip(titles, signals, strict=True)))
    raise ReadError(path, found=f"several signals ({listed})", cure="choose one by number: dataset='0'")


def _from_signal(path: Path, signal: dict[str, Any], plugin: str, index: int) -> RawScan:
    data, entries = signal["data"], signal["axes"]
    if math.prod(data.shape) * data.dtype.itemsize > 200 * max(path.stat().st_size, 1) + 2**24:
        found = f"a header that promises {tuple(data.shape)} in {path.stat().st_size} bytes"
        raise ReadError(path, found=found, cure="copy the file again (is it cut?)")
    axes = [
        Axis(_finite(entry.get("scale")), _finite(entry.get("offset")) or 0.0, _unit(entry.get("units")))
        for entry in entries
    ]
    if len(axes) != data.ndim:
        axes = [Axis()] * data.ndim
    raw = RawScan(data, axes, voltage_kv=_voltage(signal))
    order = _scan_first(entries, axes)
    if not _travels(data):
        raw.data = PluginSource(str(path), tuple(data.shape), np.dtype(data.dtype), plugin, index)
    if order != list(range(data.ndim)):
        import dask.array

        da: Any = dask.array  # only partly typed
        lazy = da.from_array(raw.data, chunks="auto", fancy=False) if isinstance(raw.data, PluginSource) else raw.data
        raw.data, raw.axes = da.asarray(lazy).transpose(order), [axes[n] for n in order]
    if plugin.endswith("blockfile"):
        _calibrate_blo(raw, signal)
    return raw


def _scan_first(entries: list[dict[str, Any]], axes: list[Axis]) -> list[int]:
    """Order of the axes with the detector last, by what the plugin marks, else by reciprocal units."""
    n = len(axes)
    scan = [position for position, entry in enumerate(entries) if entry.get("navigate")]
    if n >= 3 and len(scan) != n - 2:
        detector = [position for position, axis in enumerate(axes) if plain_unit(axis.units).startswith("1/")]
        scan = [position for position in range(n) if position not in detector] if len(detector) == 2 else []
    if len(scan) != n - 2:
        return list(range(n))
    return scan + [position for position in range(n) if position not in scan]


def _finite(value: Any) -> float | None:
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None


def _unit(value: Any) -> str:
    return value if isinstance(value, str) and value not in ("<undefined>", "undefined") else ""


def _voltage(signal: dict[str, Any]) -> float | None:
    tem = signal.get("metadata", {}).get("Acquisition_instrument", {}).get("TEM", {})
    header = signal.get("original_metadata", {}).get("blockfile_header", {})
    return plausible_voltage(tem.get("beam_energy")) or plausible_voltage(
        (_finite(header.get("Beam_energy")) or 0.0) / 1e3
    )


def _travels(data: Any) -> bool:
    """Whether a lazy array can be sent to a worker: it holds no open file and no data."""
    if not hasattr(data, "__dask_graph__"):
        return data.nbytes < _LARGEST_GRAPH
    try:
        return len(pickle.dumps(data)) < _LARGEST_GRAPH
    except (TypeError, ValueError, AttributeError, pickle.PicklingError):
        return False


# ---- .blo: its header says all, so all of it is checked


def _check_blo(path: Path) -> None:
    from rsciio.blockfile._api import get_header_dtype_list

    size = path.stat().st_size
    kind = np.dtype(get_header_dtype_list())
    if size < kind.itemsize:
        raise ReadError(path, found=f"{size} bytes, less than a .blo header", cure="copy the file again")
    header = np.fromfile(path, dtype=kind, count=1)[0]
    frame = 6 + int(header["DP_SZ"]) ** 2
    patterns = int(header["NX"]) * int(header["NY"])
    first = int(header["Data_offset_2"])
    if int(header["MAGIC"]) != 0x0102 or not bytes(header["ID"]).startswith(b"IMGBLO") or not patterns:
        raise ReadError(path, found="no .blo header", cure="check that this is a NanoMEGAS block file")
    surplus = size - first - patterns * frame
    if int(header["Data_offset_1"]) < kind.itemsize or first < int(header["Data_offset_1"]) or not 0 <= surplus < frame:
        found = f"{size} bytes where {patterns} patterns of {frame} bytes from byte {first} on need {size - surplus}"
        raise ReadError(path, found=found, cure="copy the file again, or convert what was recorded with its software")
    with path.open("rb") as file:
        for number in (0, patterns - 1):
            file.seek(first + number * frame)
            if file.read(2) != b"\xaa\x55":
                raise ReadError(path, found=f"no frame mark at pattern {number}", cure="copy the file again")


def _calibrate_blo(raw: RawScan, signal: dict[str, Any]) -> None:
    """Scattering vector of one pixel from the header's voltage, camera length [0.1 mm] and pixels per cm (x 100)."""
    header = signal["original_metadata"]["blockfile_header"]
    camera_mm, per_cm = float(header["Camera_length"]) / 10, float(header["SDP"]) / 100
    if raw.voltage_kv and camera_mm > 0 and per_cm > 0:
        step = 10 / per_cm / (camera_mm * wavelength(raw.voltage_kv))
        raw.axes = [*raw.axes[:-2], Axis(step, 0.0, "1/A"), Axis(step, 0.0, "1/A")]
        raw.notes.append("1/angstrom from the nominal camera length and voltage of the header")


# ---- .npy and TIFF


def read_npy(path: Path) -> RawScan:
    """Array of a ``.npy`` file, mapped."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        offset = file.tell()
    if dtype.hasobject or dtype.names:
        raise ReadError(path, found=f"values of type {dtype}", cure="save plain numbers")
    expected = offset + math.prod(shape) * dtype.itemsize
    if expected != path.stat().st_size:
        found = f"{path.stat().st_size} bytes where shape {shape} of {dtype} needs {expected}"
        raise ReadError(path, found=found, cure="copy the file again (is it cut?)")
    return RawScan(MemorySource(str(path), tuple(shape), dtype, offset, bool(fortran)))


def read_tiff(path: Path) -> RawScan:
    """Grey-valued pages of the first series of a TIFF: (n, y, x), or (scan_y, scan_x, y, x) when it says so."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        shape, dtype = tuple(int(n) for n in series.shape), np.dtype(series.dtype)
        if "S" in series.axes or len(shape) > 4:
            raise ReadError(path, found=f"a colour image {series.axes} {shape}", cure="save grey values")
        _check_pages(path, file, shape, dtype)
        if series.dataoffset is not None and series.dtype is not None:
            kind = dtype.newbyteorder(file.byteorder)
            return RawScan(MemorySource(str(path), shape, kind, int(series.dataoffset)))
    flat = (math.prod(shape[:-2]), *shape[-2:])
    raw = RawScan(PagesSource(str(path), flat, dtype))
    if len(shape) == 4:
        raw.notes.append(f"shape in the file {shape}")
    return raw


def _check_pages(path: Path, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Data beyond the end of the file, or much of the file that no page claims, betray a cut or a broken chain."""
    size, used, largest = path.stat().st_size, 0, 0
    for page in file.pages:
        pieces = list(zip(page.dataoffsets, page.databytecounts, strict=False))
        if any(offset + count > size for offset, count in pieces):
            raise ReadError(path, found="pages that lie beyond the end of the file", cure="copy the file again")
        largest = max(largest, sum(count for _, count in pieces))
        used += sum(count for _, count in pieces)
    contiguous = file.series[0].dataoffset
    if contiguous is not None:
        used = max(used, math.prod(shape) * dtype.itemsize)
        if contiguous + math.prod(shape) * dtype.itemsize > size:
            raise ReadError(path, found=f"shape {shape} beyond the end of the file", cure="copy the file again")
    if size - used > max(largest, 2**16) + 4096 * len(file.pages):
        raise ReadError(path, found=f"{size - used} bytes that no page claims", cure="copy the file again")


def wrap(path: Path, error: Exception) -> ReadError:
    """A library's exception as a ReadError."""
    return error if isinstance(error, ReadError) else damaged(path, error)
