"""Recordings of TVIPS cameras: ``name_000.tvips`` with a header, continued in ``name_001.tvips`` and so on."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from .....errors import ReadError
from ...lazy_sources import FrameFile
from ..axes import Axis, read_voltage_kv
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "TVIPS"
EXTENSIONS = (".tvips",)
KEEPS = "the counts and the voltage"
OPTIONS = SCAN_OPTIONS
DIALECTS = ("TVIPS recorder", "HyperSpy")

_HEADER_FIELDS = (
    "size",
    "version",
    "columns",
    "rows",
    "bits",
    "offset_x",
    "offset_y",
    "bin_x",
    "bin_y",
    "pixel_size",
    "voltage",
    "magnification",
    "frame_header",
)
_HEADER = np.dtype([*((name, "<u4") for name in _HEADER_FIELDS), ("text", "S204")])
_FRAME_HEADER_VERSION_1 = 12  # [bytes]
_MODE_BYTE = 24  # of the frame header, where 1 is image and 2 is diffraction


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending, since its parts after the first have no header."""
    return path.is_file() and path.suffix.lower() == ".tvips"


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the header of the first part, and count the frames of all parts."""
    header = _read_header(path)
    dtype = np.dtype(f"<u{int(header['bits']) // 8}")
    shape = int(header["rows"]), int(header["columns"])
    before = _FRAME_HEADER_VERSION_1 if header["version"] == 1 else int(header["frame_header"])
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    files, parts, cut_bytes = _list_parts(path), [], 0
    for number, file in enumerate(files):
        # Only a part without successor may end within a frame.
        if cut_bytes:
            found = f"'{files[number - 1].name}', which ends within a frame though '{file.name}' continues it"
            raise ReadError(path, found=found, cure=f"copy '{files[number - 1].name}' again")
        first = before + (int(header["size"]) if number == 0 else 0)
        n, cut_bytes = count_frames(file.stat().st_size, first, frame_bytes, before + frame_bytes)
        parts.append(FrameFile(str(file), first, n))
    frames = make_recording(path, parts, shape, dtype, before + frame_bytes)
    raw = fold_recording(frames, None, None, cut_bytes)
    raw.voltage_kv = read_voltage_kv(header["voltage"])
    _calibrate(path, raw, header)
    return raw


def _read_header(path: Path) -> Any:
    part = _split_name(path)
    if part is not None and part[1] > 0:
        first = path.with_name(f"{part[0]}_000{path.suffix}")
        state = "" if first.exists() else ", which is missing here"
        found = f"part {part[1]} of a recording that begins with '{first.name}'{state}"
        raise ReadError(path, found=found, cure=f"open '{first.name}', which reads all its parts")
    if path.stat().st_size < _HEADER.itemsize:
        found = f"{path.stat().st_size} bytes, less than the header of a recording"
        raise ReadError(path, found=found, cure="copy the file again")
    header = np.fromfile(path, dtype=_HEADER, count=1)[0]
    before = header["frame_header"] if header["version"] == 2 else _FRAME_HEADER_VERSION_1
    sizes = header["columns"], header["rows"]
    if not 1 <= min(sizes) <= max(sizes) <= 2**15 or not _HEADER.itemsize <= header["size"] <= 2**16 or before > 2**16:
        raise ReadError(path, found="no header of a TVIPS recording", cure="check that TVIPS' recorder wrote the file")
    if header["version"] not in (1, 2) or header["bits"] not in (8, 16, 32):
        found = f"version {header['version']} with {header['bits']} bits per pixel, a variant that is not supported"
        raise ReadError(path, found=found, cure="export it from the software of the camera as TIFF")
    return header


def _split_name(path: Path) -> tuple[str, int] | None:
    """Name without its number, and the number of the part; None where the name has none."""
    match = re.fullmatch(r"(.+)_(\d{3})", path.stem)
    return None if match is None else (match[1], int(match[2]))


def _list_parts(path: Path) -> list[Path]:
    part = _split_name(path)
    if part is None:
        return [path]
    beside = (p for p in path.parent.glob("*") if p.suffix.lower() == ".tvips")
    named = {split[1]: p for p in beside if (split := _split_name(p)) is not None and split[0] == part[0]}
    missing = sorted(set(range(max(named) + 1)) - set(named))
    if missing:
        names = ", ".join(f"{part[0]}_{number:03d}{path.suffix}" for number in missing[:3])
        found = f"a recording of {max(named) + 1} parts of which {names} is missing"
        raise ReadError(path, found=found, cure="put the missing part beside the others")
    return [named[number] for number in sorted(named)]


def _calibrate(path: Path, raw: RawScan, header: Any) -> None:
    """Scale of files that HyperSpy wrote; the recorder states the size of a pixel on the camera."""
    with path.open("rb") as file:
        file.seek(int(header["size"]) + _MODE_BYTE)
        mode = int.from_bytes(file.read(4), "little") if header["version"] == 2 else 0
    if mode == 1:
        raw.notes.append("the recorder says image mode, not diffraction")
    step = float(header["pixel_size"])
    if bytes(header["text"]).startswith(b"HYPERSPY") and step:
        unit = "1/nm" if mode == 2 else "nm"
        offsets = float(header["offset_y"]), float(header["offset_x"])
        raw.axes = [Axis(), *(Axis(step, offset, unit) for offset in offsets)]
    elif step:
        raw.notes.append(f"camera pixel {step:g} nm, magnification {header['magnification']}; q_step sets 1/angstrom")
