"""Scans of NanoMEGAS' TopSpin (``.app5``): HDF5 with one group per pattern, whose text gives its position."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ...hdf5_file import contains_hdf5, open_hdf5
from ...lazy_sources import ScanSource, Source
from ..axes import Axis, read_voltage_kv
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "TopSpin"
EXTENSIONS = (".app5",)
KEEPS = "scan step, scattering angle and voltage"
OPTIONS = (*SCAN_OPTIONS, "dataset")
CONTENT = "HDF5"

_UNITS = {"Angle": "rad", "Position": "m"}


def recognise(head: bytes, path: Path) -> bool:
    """Recognise HDF5 with TopSpin's ending."""
    return path.suffix.lower() == ".app5" and contains_hdf5(path)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the texts of the first row and of the microscope; a pattern is read when its block is computed."""
    with open_hdf5(path) as file:
        scans = [name for name, group in _iterate_groups(file) if "Data" in group.get("0", {})]
        name = _choose_scan(path, scans, options.dataset)
        group = file[name]
        n, first = _count_patterns(path, group), group["0/Data"]
        flat = _PatternGroups(str(path), (n, *first.shape), np.dtype(first.dtype), name)
        line, steps = _read_row(group, n)
        raw = _fold(flat, line)
        raw.axes = [*(Axis(step, 0.0, "nm") for step in steps), *_read_detector(group["0/Metadata"])]
        raw.axes = raw.axes if raw.data.ndim == len(raw.axes) else [Axis(), *raw.axes[-2:]]
        raw.voltage_kv = _read_voltage(file, name)
    return raw


def _iterate_groups(file: Any) -> list[tuple[str, Any]]:
    """Groups of the file and of the experiments in it."""
    groups = [(key, file[key]) for key in file if hasattr(file[key], "keys")]
    inner = [(f"{name}/{key}", group[key]) for name, group in groups if "0" not in group for key in group]
    return [(name, group) for name, group in [*groups, *inner] if hasattr(group, "keys")]


def _choose_scan(path: Path, scans: list[str], dataset: str | None) -> str:
    chosen = [name for n, name in enumerate(scans) if dataset in (None, str(n), name, name.rpartition("/")[2])]
    if len(chosen) == 1:
        return chosen[0]
    if not scans:
        raise ReadError(path, found="no scan of patterns", cure="export the scan with its patterns from TopSpin")
    listed = ", ".join(f"{n}: {name}" for n, name in enumerate(scans))
    raise ReadError(path, found=f"{len(scans)} scans ({listed})", cure="choose one by number: dataset='0'")


def _count_patterns(path: Path, group: Any) -> int:
    """Number of patterns, which are numbered from 0 without a gap."""
    numbers = sorted(int(key) for key in group if key.isdigit() and "Data" in group[key])
    if numbers != list(range(len(numbers))):
        missing = min(set(range(numbers[-1])) - set(numbers))
        raise ReadError(path, found=f"no pattern {missing} among {len(numbers)}", cure="copy the file again")
    return len(numbers)


def _read_row(group: Any, n: int) -> tuple[int, tuple[float | None, float | None]]:
    """Patterns per row, and the steps (y, x) [nm]: positions are read until the second row begins."""
    places: list[tuple[float, float]] = []
    for number in range(n):
        x, y = (float(value.text or "nan") for value in _parse_text(group[f"{number}/Metadata"])[1][0][1][:2])
        places.append((y, x))
        if number and abs(y - places[0][0]) > 0.5 * abs(places[1][1] - places[0][1]) and x != places[number - 1][1]:
            break
    rows = places[-1][0] - places[0][0]
    line = len(places) - 1 if rows else len(places)
    columns = places[1][1] - places[0][1] if line > 1 else 0.0
    return line, (round(rows * 1e9, 6) or None, round(columns * 1e9, 6) or None)


def _fold(flat: "_PatternGroups", line: int) -> RawScan:
    n = flat.shape[0]
    if n % line == 0:
        shape = (n // line, line, *flat.shape[1:])
        return RawScan(ScanSource(flat.path, shape, flat.dtype, flat))
    note = f"{n} patterns in rows of {line}: the recording was stopped"
    note += f"; scan_shape=({n // line}, {line}) gives the complete rows"
    return RawScan(flat, notes=[note], planned=(n // line + 1) * line)


def _parse_text(node: Any) -> ElementTree.Element:
    # The text says that it is UTF-16, which it is not.
    text = node[()].decode("utf-8", "replace")
    return ElementTree.fromstring(re.sub(r"^<\?xml.*?\?>", "", text).strip())


def _read_detector(node: Any) -> list[Axis]:
    """Rows and columns: step, first value, and unit of the first pattern."""
    calibration = _parse_text(node)[0]
    axes = []
    for axis in (calibration[1], calibration[0]):
        offset, scale, unit = axis[0].text, axis[1].text, axis[2][1].text or ""
        axes.append(Axis(float(scale or "nan"), float(offset or "nan"), _UNITS.get(unit, unit)))
    return axes


def _read_voltage(file: Any, name: str) -> float | None:
    """Voltage [V] among the settings of the microscope."""
    above = name.rpartition("/")[0]
    place = f"{above}/Metadata".strip("/")
    text = file[place][()].decode("utf-8", "replace") if place in file else ""
    found = re.search(r">GunHighVoltage<.*?<Value[^>]*>([^<]+)<", text, re.DOTALL)
    return read_voltage_kv(found[1]) if found else None


@dataclass(frozen=True)
class _PatternGroups(Source):
    """Patterns in one dataset each: ``<group>/<number>/Data``."""

    group: str

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:

        with open_hdf5(self.path) as file:
            group = file[self.group]
            patterns = [group[f"{number}/Data"][box[1:]] for number in range(box[0].start, box[0].stop)]
        return np.stack(patterns) if patterns else np.empty([part.stop - part.start for part in box], self.dtype)
