"""Scans in the formats of microscope and camera makers, read through rosettasciio."""

import importlib
import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import ReadError
from ..lazy_sources import PluginSource
from .axes import Axis, read_voltage_kv
from .scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "RosettaSciIO"
EXTENSIONS = (".dm3", ".dm4", ".emd", ".emi")
KEEPS = "axes and voltage, where the plugin gives them"
OPTIONS = (*SCAN_OPTIONS, "dataset")
DIALECTS = (
    "DigitalMicrograph",
    "Velox",
    "Direct Electron",
    "TIA",
    "further plugins",
)

# Plugins whose files hold no patterns, or are read by another module of this folder.
_NOT_PATTERNS = (
    "netCDF",
    "MSA",
    "Phenom",
    "Protochips",
    "Impulse",
    "numpy",
    "HSPY",
    "ZSPY",
    "TIFF",
    "JobinYvon",
    "MRCZ",
)
# A file with one of these endings is read by another module: where its content says otherwise it is damaged.
_READ_ELSEWHERE = (".nc", ".npy", ".tif", ".tiff", ".hspy", ".h5", ".hdf5", ".mib", ".tvips", ".blo", ".mrcz", ".app5")
_NETCDF3 = b"CDF"
_LARGEST_ARRAY = 2**24  # [bytes] a larger one in memory is read again in each process
_SPECTRAL_NAMES = ("energy", "wavelength")


@lru_cache(maxsize=1)
def plugin_endings() -> dict[str, str]:
    """Module of the rosettasciio plugin for every file ending it reads."""
    from rsciio import IO_PLUGINS

    return {
        ending.lower(): plugin["api"]
        # Where two plugins share an ending the first one of the list wins.
        for plugin in reversed(IO_PLUGINS)
        if plugin["name"] not in _NOT_PATTERNS
        # An .asw of JEOL names the files it is made of, with their folders.
        for ending in plugin["file_extensions"]
        if ending.lower() != "asw"
    }


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending, which chooses the plugin."""
    if head.startswith(_NETCDF3) or path.suffix.lower() in _READ_ELSEWHERE:
        return False
    return path.is_file() and path.suffix.lower().lstrip(".") in plugin_endings()


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read lazily what the plugin of this ending finds; its warnings become remarks."""
    ending = path.suffix.lower().lstrip(".")
    plugin = plugin_endings()[ending]
    # What a plugin warns about belongs to this file: it goes into the comment of the dataset.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        signals = importlib.import_module(plugin).file_reader(str(path), lazy=True)
    index = _choose_signal(path, signals, options.dataset)
    raw = _make_scan(path, signals[index], plugin, index)
    spoken = [warning.message for warning in caught if not issubclass(warning.category, ResourceWarning)]
    raw.notes += [f"rosettasciio: {str(message)[:120]}" for message in spoken]
    return raw


def _choose_signal(path: Path, signals: list[dict[str, Any]], dataset: str | None) -> int:
    titles = [str(signal.get("metadata", {}).get("General", {}).get("title", "")) for signal in signals]
    if dataset is not None:
        found = [index for index, title in enumerate(titles) if dataset in (title, str(index))]
    else:
        # Files often hold an overview image beside the scan; the scan has more dimensions.
        deepest = max((signal["data"].ndim for signal in signals), default=0)
        found = [index for index, signal in enumerate(signals) if signal["data"].ndim == deepest]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{n}: '{t}' {s['data'].shape}" for n, (t, s) in enumerate(zip(titles, signals, strict=True)))
    raise ReadError(path, found=f"several signals ({listed})", cure="choose one by number: dataset='0'")


def _make_scan(path: Path, signal: dict[str, Any], plugin: str, index: int) -> RawScan:
    data, entries = signal["data"], signal["axes"]
    # A damaged header may promise terabytes, which dask would try to plan.
    if math.prod(data.shape) * data.dtype.itemsize > 200 * max(path.stat().st_size, 1) + 2**24:
        found = f"a header that promises {tuple(data.shape)} in {path.stat().st_size} bytes"
        raise ReadError(path, found=found, cure="copy the file again (is it cut?)")
    axes = [_read_axis(entry, plugin) for entry in entries]
    # Axes that do not fit the data cannot be assigned to dimensions.
    if len(axes) != data.ndim:
        axes = [Axis()] * data.ndim
    _refuse_spectra(path, entries)
    raw = RawScan(data, axes, voltage_kv=_read_voltage(signal))
    # Arrays that hold an open file cannot go to another process; the plugin opens it again there.
    if hasattr(data, "__dask_graph__") or data.nbytes > _LARGEST_ARRAY:
        raw.data = PluginSource(str(path), tuple(data.shape), np.dtype(data.dtype), plugin, index)
    return raw


def _read_axis(entry: dict[str, Any], plugin: str) -> Axis:
    units, flag = _read_unit(entry.get("units")), entry.get("navigate")
    offset = _read_number(entry.get("offset")) or 0.0
    # The TIA plugin turns steps from 1/m into 1/nm and from m into nm, but leaves the offsets (rosettasciio 0.15).
    if plugin.endswith("tia"):
        offset *= {"1 / nm": 1e-9, "nm": 1e9}.get(units, 1.0)
    name, marked = str(entry.get("name") or ""), None if flag is None else bool(flag)
    # The plugin for Direct Electron sets every step to 1, whatever the text file says (rosettasciio 0.15).
    if plugin.endswith("mrc"):
        return Axis(name=name, navigate=marked)
    return Axis(_read_number(entry.get("scale")), offset, units, name, marked)


def _refuse_spectra(path: Path, entries: list[dict[str, Any]]) -> None:
    names = [str(entry.get("name") or "") for entry in entries]
    spectral = [name for name in names if name.lower().startswith(_SPECTRAL_NAMES)]
    if spectral:
        found = f"spectra and no patterns: an axis '{spectral[0]}'"
        raise ReadError(path, found=found, cure="give a scan of diffraction patterns")


def _read_number(value: Any) -> float | None:
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None


def _read_unit(value: Any) -> str:
    return value if isinstance(value, str) and value not in ("<undefined>", "undefined") else ""


def _read_voltage(signal: dict[str, Any]) -> float | None:
    tem = signal.get("metadata", {}).get("Acquisition_instrument", {}).get("TEM", {})
    return read_voltage_kv(tem.get("beam_energy"))
