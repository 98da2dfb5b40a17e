"""Recordings of Quantum Detectors' Merlin and Medipix cameras (``.mib``, with the text file ``.hdr`` beside it)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ...lazy_sources import FrameFile, Source
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "Merlin"
EXTENSIONS = (".mib",)
KEEPS = "the counts, and the shape of the scan where the .hdr file or the time stamps give it"
OPTIONS = SCAN_OPTIONS
CONTENT = "a Merlin recording"
DIALECTS = ("single chip", "quad", "raw mode of 1 bit")

_MARK = b"MQ1,"
_RAW = "R64"
# Chips of raw frames by their row from below and their column: number of the chip, and -1 where it is turned by 180
# degrees.
_CHIPS = {"1x1": (((0, 1),),), "2x2": (((3, 1), (2, 1)), ((1, -1), (0, -1)))}
_DTYPES = {"U01": ">u1", "U08": ">u1", "U16": ">u2", "U32": ">u4"}
_STAMP = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?")
_LARGEST_LINE_SEARCH = 10_000  # frames whose time stamps are read
_LEAST_PAUSE_NS = 1000  # longer than the neighbours of a pause


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the mark at the beginning of the first frame's header."""
    return head.startswith(_MARK)


class _Header(NamedTuple):
    """Header of the first frame: its length, stored rows and columns, kind of values, layout and counter depth."""

    length: int
    rows: int
    columns: int
    kind: str
    layout: str
    depth: int


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the first header, and the scan's shape where it can be known; the detector's lowest row is stored first."""
    header = _read_header(path)
    raw_bits = header.kind == _RAW and header.depth == 1 and header.layout in _CHIPS
    if header.kind not in _DTYPES and not raw_bits:
        mode = f" in raw mode with {header.depth} bits" if header.kind == _RAW else ""
        found = f"a Merlin recording{mode} ({header.kind}), a variant that is not supported"
        cure = "record processed data (U08, U16, U32), or export it as such with the software of the camera"
        raise ReadError(path, found=found, cure=cure)
    dtype = np.dtype("u1" if raw_bits else _DTYPES[header.kind])
    shape = header.rows, header.columns // 8 if raw_bits else header.columns
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    stride = header.length + frame_bytes
    n, cut_bytes = count_frames(path.stat().st_size, header.length, frame_bytes, stride)
    # The first frame of an intact file is followed by the mark of the second one.
    _check_mark(path, stride, n)
    part = FrameFile(str(path), header.length, n)
    frames: Source = make_recording(path, [part], shape, dtype, stride, bottom_up=not raw_bits)
    if raw_bits:
        frames = _make_bits(frames, header)
    announced, line = _read_hdr(path)
    guessed = _find_line(path, (header.length, stride), n) if line is None else None
    raw = fold_recording(frames, announced, line or guessed, cut_bytes)
    if guessed and raw.data.ndim == 4:
        raw.notes.append(f"rows of {guessed} patterns by the gaps of the time stamps; scan_shape=(y, x) decides else")
    return raw


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        text = file.read(1024)
    fields = text.split(b",")
    try:
        length, columns, rows = (int(fields[n]) for n in (2, 4, 5))
        kind, layout = (fields[n].decode("ascii").strip() for n in (6, 7))
    except (ValueError, IndexError) as error:
        raise ReadError(path, found="a Merlin header that cannot be read", cure="copy the file again") from error
    depth = re.search(rb"MQ1A,[^,]*,[^,]*,(\d+)", text[:length])
    return _Header(length, rows, columns, kind, layout, int(depth[1]) if depth else 0)


def _make_bits(frames: Source, header: _Header) -> Source:
    across = len(_CHIPS[header.layout][0])
    down = len(_CHIPS[header.layout])
    shape = frames.shape[0], header.rows * down, header.columns // (down * across) * across
    return _BitSource(frames.path, shape, np.dtype("u1"), frames, header.layout)


@dataclass(frozen=True)
class _BitSource(Source):
    """Frames of one bit per pixel in raw mode: words of 64 pixels, the first pixel last, and chips side by side.

    Checked against processed frames of the same camera: dead and hot pixels lie at the same places.
    """

    words: Source
    layout: str

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        words = self.words[box[0]]
        n, rows = words.shape[:2]
        bits = np.unpackbits(words.reshape(n, rows, -1, 8)[..., ::-1], axis=-1, bitorder="little").reshape(n, rows, -1)
        chips = _CHIPS[self.layout]
        parts = np.split(bits, sum(map(len, chips)), axis=-1)
        lines = [np.concatenate([parts[chip][:, ::turn, ::turn] for chip, turn in line], axis=-1) for line in chips]
        # The lowest row is stored first.
        return np.concatenate(lines, axis=1)[:, ::-1][:, box[1], box[2]]


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
