"""Recordings of the EMPAD detector: ``scan_x256_y256.raw``, frames of 128 x 128 with two lines of footer.

The text file ``.xml`` beside it describes the scan. Either of the two may be opened.
"""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from .....errors import ReadError
from ...lazy_sources import FrameFile
from ..axes import Axis, read_voltage_kv
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "EMPAD"
EXTENSIONS = (".raw", ".xml")
KEEPS = "the shape of the scan; steps and voltage where the .xml file has them"
OPTIONS = SCAN_OPTIONS
CONTENT = "an EMPAD recording"

_SHAPE, _STORED_ROWS = (128, 128), 130
_STRIDE = _STORED_ROWS * _SHAPE[1] * 4  # [bytes] of a frame with its footer
_SEARCHED_BYTES = 2**20


class _Description(NamedTuple):
    """What the .xml file says: name of the values, rows and columns of the scan, and its measurements."""

    values: str
    shape: tuple[int, int]
    measured: dict[str, str]


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the values by their ending, and the description by the name of the values in it."""
    if path.suffix.lower() == ".raw":
        return path.is_file()
    if path.suffix.lower() != ".xml" or not path.is_file():
        return False
    with path.open("rb") as file:
        return b"<raw_file" in file.read(_SEARCHED_BYTES)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Count the frames, and fold them as the description or the name of the file says."""
    if path.suffix.lower() == ".xml":
        described = _read_description(path)
        values = path.with_name(described.values)
        if not values.exists():
            found = f"a description without its values '{values.name}'"
            raise ReadError(path, found=found, cure="put that file beside it, under this name")
    else:
        described, values = _describe_by_name(path), path
    n, cut_bytes = count_frames(values.stat().st_size, 0, _STRIDE, _STRIDE)
    frames = make_recording(values, [FrameFile(str(values), 0, n)], _SHAPE, "<f4", _STRIDE)
    rows, columns = described.shape
    raw = fold_recording(frames, rows * columns, columns, cut_bytes)
    _calibrate(raw, described)
    return raw


def _describe_by_name(path: Path) -> _Description:
    named = re.search(r"x(\d+)_y(\d+)", path.stem)
    if named is not None:
        return _Description(path.name, (int(named[2]), int(named[1])), {})
    beside = [p.name for p in (path.with_suffix(ending) for ending in (".rpl", ".xml", ".hdr")) if p.exists()]
    if beside:
        raise ReadError(path, found="the values without their description", cure=f"open '{beside[0]}' beside it")
    found = "bytes without a header: neither their shape nor their type is known"
    cure = "open the description beside them (.rpl, .xml), name an EMPAD recording scan_x<columns>_y<rows>.raw, or "
    raise ReadError(path, found=found, cure=cure + "read them with numpy.fromfile and save them with numpy.save")


def _read_description(path: Path) -> _Description:
    root = ElementTree.parse(path).getroot()
    values = str(getattr(root.find("raw_file"), "attrib", {}).get("filename", ""))
    measured = {node.tag: (node.text or "").strip() for part in root.iter("iom_measurements") for node in part.iter()}
    counts = [root.findtext(".//pix_y"), root.findtext(".//pix_x")]
    if None in counts:
        named = re.search(r"x(\d+)_y(\d+)", values)
        counts = ["1", root.findtext(".//series_count")] if named is None else [named[2], named[1]]
    numbers = [int(count) for count in counts if count and count.isdigit()]
    if not values or len(numbers) != 2 or min(numbers) < 1:
        cure = "open its .raw file, named scan_x<columns>_y<rows>.raw"
        raise ReadError(path, found="a description without the size of the scan", cure=cure)
    return _Description(values, (numbers[0], numbers[1]), measured)


def _calibrate(raw: RawScan, described: _Description) -> None:
    """Steps from the field of view [m], and the pixel [1e9 / nm] of older versions."""
    measured, (rows, columns) = described.measured, described.shape
    stated = (measured.get("source.get_voltage"), measured.get("high_voltage"))
    raw.voltage_kv = next((voltage for voltage in map(read_voltage_kv, stated) if voltage), None)
    view = re.findall(r"[\d.eE+-]+", measured.get("optics.get_full_scan_field_of_view", ""))
    steps: list[float | None] = [None, None]
    if len(view) == 2:
        steps = [float(view[0]) / rows, float(view[1]) / columns]
    elif measured.get("scale_factor") and measured.get("x"):
        # Version 1.2 states the longer side, times this factor.
        steps = [float(measured["x"]) / float(measured["scale_factor"]) / max(rows, columns)] * 2
    pixel = float(measured.get("calibrated_pixelsize") or "nan") * 1e9
    detector = Axis(pixel, 0.0, "1/nm") if pixel > 0 else Axis()
    scan = [Axis(step, 0.0, "m") for step in steps] if raw.data.ndim == 4 else [Axis()]
    raw.axes = [*scan, detector, detector]
