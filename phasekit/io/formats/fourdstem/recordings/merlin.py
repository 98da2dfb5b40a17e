"""Recordings of Quantum Detectors' Merlin and Medipix cameras (``.mib``, with the text file ``.hdr`` beside it)."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ...lazy_sources import FrameFile
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "Merlin"
EXTENSIONS = (".mib",)
KEEPS = "the counts, and the shape of the scan where the .hdr file or the time stamps give it"
OPTIONS = SCAN_OPTIONS
CONTENT = "a Merlin recording"
DIALECTS = ("Quantum Detectors", "single chip and quad")

_MARK = b"MQ1,"
_DTYPES = {"U01": ">u1", "U08": ">u1", "U16": ">u2", "U32": ">u4"}
_STAMP = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?")
_LARGEST_LINE_SEARCH = 10_000  # frames whose time stamps are read
_LEAST_PAUSE_NS = 1000  # longer than the neighbours of a pause


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the mark at the beginning of the first frame's header."""
    return head.startswith(_MARK)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the first header, and the scan's shape where it can be known; the detector's lowest row is stored first."""
    with path.open("rb") as file:
        fields = file.read(1024).split(b",")
    try:
        header, columns, rows = (int(fields[n]) for n in (2, 4, 5))
        kind = fields[6].decode("ascii").strip()
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise ReadError(path, found="a Merlin header that cannot be read", cure="copy the file again") from error
    if kind not in _DTYPES:
        mode = " in raw mode" if kind.startswith("R") else ""
        found = f"a Merlin recording{mode} ({kind}), a variant that is not supported"
        cure = "record processed data (U08, U16, U32), or export it as such with the software of the camera"
        raise ReadError(path, found=found, cure=cure)
    dtype = np.dtype(_DTYPES[kind])
    frame_bytes = rows * columns * dtype.itemsize
    stride = header + frame_bytes
    n, cut_bytes = count_frames(path.stat().st_size, header, frame_bytes, stride)
    # The first frame of an intact file is followed by the mark of the second one.
    _check_mark(path, stride, n)
    part = FrameFile(str(path), header, n)
    frames = make_recording(path, [part], (rows, columns), dtype, stride, bottom_up=True)
    announced, line = _read_hdr(path)
    guessed = _find_line(path, (header, stride), n) if line is None else None
    raw = fold_recording(frames, announced, line or guessed, cut_bytes)
    if guessed and raw.data.ndim == 4:
        raw.notes.append(f"rows of {guessed} patterns by the gaps of the time stamps; scan_shape=(y, x) decides else")
    return raw


def _check_mark(path: Path, stride: int, n: int) -> None:
    with path.open("rb") as file:
        for number in {1, n - 1} if n > 1 else ():
            file.seek(number * stride)
            if file.read(len(_MARK)) != _MARK:
                found = f"no header at frame {number + 1}, {number * stride} bytes after the first"
                raise ReadError(path, found=found, cure="copy the file again")


def _read_hdr(path: Path) -> tuple[int | None, int | None]:
    """Number of frames announced, and frames per row; None where the ``.hdr`` file does not say or is missing."""
    beside = next((p for p in (path.with_suffix(".hdr"), path.with_suffix(".HDR")) if p.exists()), None)
    if beside is None:
        return None, None
    lines = beside.read_text(encoding="utf-8", errors="replace").splitlines()
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    announced = _read_count(values.get("Frames in Acquisition (Number)"))
    line = _read_count(values.get("Frames per Trigger (Number)"))
    # One frame per trigger means that each scan position has its own trigger.
    return announced, line if line is not None and line > 1 else None


def _read_count(text: str | None) -> int | None:
    """Number of frames; 0 stands for a recording without end."""
    digits = re.fullmatch(r"\d+", text or "")
    return int(digits[0]) or None if digits else None


def _find_line(path: Path, layout: tuple[int, int], n: int) -> int | None:
    """Patterns per row, if pauses of the camera divide all patterns into rows of one length.

    ``layout`` holds the bytes of a header, and from frame to frame.
    """
    if not 4 <= n <= _LARGEST_LINE_SEARCH:
        return None
    times = _read_times(path, layout, n)
    if times is None:
        return None
    excess = np.diff(times).astype(np.int64)
    excess -= np.int64(np.median(excess))
    # The camera counts in steps of 10 ns; the beam needs microseconds to fly back.
    ends = np.flatnonzero(excess > max(10 * np.median(np.abs(excess)), _LEAST_PAUSE_NS)) + 1
    if not ends.size or ends[0] < 2 or n % ends[0]:
        return None
    line = int(ends[0])
    return line if np.array_equal(ends, np.arange(line, n, line)) else None


def _read_times(path: Path, layout: tuple[int, int], n: int) -> NDArray[np.datetime64] | None:
    header, stride = layout
    stamps = []
    with path.open("rb") as file:
        for number in range(n):
            file.seek(number * stride)
            found = _STAMP.findall(file.read(header))
            if not found:
                return None
            # The second stamp of a header counts nanoseconds in universal time.
            stamps.append(np.datetime64(found[-1].decode("ascii").replace(" ", "T"), "ns"))
    return np.array(stamps)
