"""Block files of NanoMEGAS (``.blo``): their header says all, so all of it is checked."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .....diffraction import wavelength
from .....errors import ReadError
from ...lazy_sources import FrameFile, ScanSource
from ..axes import Axis, read_voltage_kv
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, make_recording

NAME = "NanoMEGAS block file"
EXTENSIONS = (".blo",)
KEEPS = "scan step, voltage, and the scale of the detector from the nominal camera length"
OPTIONS = SCAN_OPTIONS

_MAGIC, _FRAME_MARK, _FRAME_HEADER = 0x0102, b"\xaa\x55", 6


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending."""
    return path.is_file() and path.suffix.lower() == ".blo"


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the header; a file that holds fewer patterns than it says needs ``scan_shape``."""
    header = _read_header(path)
    side, nx, ny = (int(header[name]) for name in ("DP_SZ", "NX", "NY"))
    first, frame_bytes = int(header["Data_offset_2"]) + _FRAME_HEADER, side * side
    n, _ = count_frames(path.stat().st_size, first, frame_bytes, frame_bytes + _FRAME_HEADER)
    _check_marks(path, int(header["Data_offset_2"]), frame_bytes + _FRAME_HEADER, min(n, nx * ny))
    planned = None if n >= nx * ny else nx * ny
    # The frames end where the file ends; more bytes than one frame mean another frame size.
    if n > nx * ny or (planned is not None and not _has_choice(options.scan_shape, n)):
        raise _refuse_size(path, header, n)
    frames = make_recording(path, [FrameFile(str(path), first, min(n, nx * ny))], (side, side), "u1", side * side + 6)
    notes = [] if planned is None else [f"{n} of {planned} patterns: the file is cut, or the recording was stopped"]
    # Complete rows keep the steps of the map; another shape of a cut file has none.
    rows = _read_rows(options.scan_shape, nx)
    if planned is not None and rows is not None:
        ny, planned = rows, None
        notes += [f"{n - ny * nx} recorded patterns lie after the last row of scan_shape and are left out"]
    data: Any = frames if planned else ScanSource(str(path), (ny, nx, side, side), frames.dtype, frames)
    raw = RawScan(data, notes=notes, planned=planned, voltage_kv=read_voltage_kv(float(header["Beam_energy"])))
    raw.axes = [Axis()] if planned else [_make_scan_axis(header, name) for name in ("SY", "SX")]
    raw.axes = [*raw.axes, *_calibrate(raw, header, options.voltage_kv)]
    return raw


def _read_header(path: Path) -> Any:
    from rsciio.blockfile._api import get_header_dtype_list

    # The header of the format is a fixed record; sizes and offsets in it determine the length of the file.
    size = path.stat().st_size
    kind = np.dtype(get_header_dtype_list())
    if size < kind.itemsize:
        raise ReadError(path, found=f"{size} bytes, less than a .blo header", cure="copy the file again")
    header = np.fromfile(path, dtype=kind, count=1)[0]
    patterns = int(header["NX"]) * int(header["NY"]) * int(header["DP_SZ"])
    offsets = int(header["Data_offset_1"]), int(header["Data_offset_2"])
    known = int(header["MAGIC"]) == _MAGIC and bytes(header["ID"]).startswith(b"IMGBLO")
    if not known or not patterns or not kind.itemsize <= offsets[0] <= offsets[1]:
        raise ReadError(path, found="no .blo header", cure="check that this is a NanoMEGAS block file")
    return header


def _has_choice(scan_shape: Sequence[int] | None, n: int) -> bool:
    """Whether the caller chooses among the patterns that are there; a wrong kind of choice is refused later."""
    try:
        return scan_shape is not None and math.prod(int(size) for size in scan_shape) <= n
    except (TypeError, ValueError):
        return True


def _read_rows(scan_shape: Sequence[int] | None, nx: int) -> int | None:
    """Number of rows of the recorded map that the caller asks for; None where the shape is another one."""
    try:
        rows, columns = (int(size) for size in scan_shape or ())
    except (TypeError, ValueError):
        return None
    return rows if rows > 0 and columns == nx else None


def _refuse_size(path: Path, header: Any, n: int) -> ReadError:
    size, nx, ny = path.stat().st_size, int(header["NX"]), int(header["NY"])
    frame, first = int(header["DP_SZ"]) ** 2 + _FRAME_HEADER, int(header["Data_offset_2"])
    found = (
        f"{size} bytes where {nx * ny} patterns of {frame} bytes from byte {first} on need {first + nx * ny * frame}"
    )
    if n > nx * ny:
        return ReadError(path, found=found, cure="write it again with its software: its header does not fit its data")
    cure = "copy the file again"
    if n:
        rows = f" or scan_shape=({n // nx}, {nx}) for the complete rows" if n >= nx else ""
        cure += f", or open its {n} complete patterns by scan_shape=(1, {n}){rows}"
    return ReadError(path, found=found, cure=cure)


def _check_marks(path: Path, first: int, stride: int, n: int) -> None:
    with path.open("rb") as file:
        # Each frame begins with two marked bytes; the first and the last one prove offset and frame size.
        for number in {0, n - 1} if n else ():
            file.seek(first + number * stride)
            if file.read(2) != _FRAME_MARK:
                raise ReadError(path, found=f"no frame mark at pattern {number}", cure="copy the file again")


def _make_scan_axis(header: Any, name: str) -> Axis:
    step = float(header[name])
    return Axis(step if math.isfinite(step) and step else None, 0.0, "nm")


def _calibrate(raw: RawScan, header: Any, voltage_kv: float | None) -> tuple[Axis, Axis]:
    """Scattering vector of one pixel from the header's voltage, camera length [0.1 mm] and pixels per cm (x 100)."""
    camera_mm, per_cm = float(header["Camera_length"]) / 10, float(header["SDP"]) / 100
    raw.camera_length_mm = camera_mm or None
    voltage = voltage_kv or raw.voltage_kv
    if not voltage or camera_mm <= 0 or per_cm <= 0:
        return Axis(), Axis()
    # One pixel is 10 / per_cm millimetres at the distance of the camera length: g = d / (L lambda) for small angles.
    step = 10 / per_cm / (camera_mm * wavelength(voltage))
    raw.notes.append("1/angstrom from the nominal camera length and voltage of the header")
    return Axis(step, 0.0, "1/A"), Axis(step, 0.0, "1/A")
