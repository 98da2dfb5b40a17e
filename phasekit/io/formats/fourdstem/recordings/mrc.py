"""Stacks in MRC files (MRC2014), read frame by frame, and compressed ones of MRCZ, which are decoded whole."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ...file_errors import missing_package
from ...lazy_sources import FrameFile, Source
from ..axes import Axis
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "MRC"
EXTENSIONS = (".mrc", ".mrcs", ".mrcz", ".ali")
KEEPS = "the counts alone"
OPTIONS = SCAN_OPTIONS
CONTENT = "an MRC stack"
DIALECTS = ("MRC2014", "SerialEM", "FEI", "MRCZ")

_HEADER_BYTES = 1024
_DTYPES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
_COMPRESSED = 1000  # MRCZ adds this times its codec to the mode
_IMOD_MARK, _SIGNED_FLAG = 1146047817, 1  # IMOD says whether bytes have a sign


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending, except movies of Direct Electron, whose text file gives the scan."""
    return path.is_file() and path.suffix.lower() in EXTENSIONS and not _has_scan_file(path)


def _has_scan_file(path: Path) -> bool:
    return path.stem.endswith("movie") and any(path.parent.glob(f"{path.stem.removesuffix('movie')}*info.txt"))


def _read_words(head: bytes) -> Any:
    """The 256 words of the header; its machine stamp tells the byte order."""
    order = ">" if head[212:214] == b"\x11\x11" else "<"
    return np.frombuffer(head, f"{order}i4", 256)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the header: number of columns, rows and sections, mode, and length of the extended header."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES:
        raise ReadError(path, found=f"{len(head)} bytes, less than an MRC header", cure="copy the file again")
    words = _read_words(head)
    columns, rows, sections, mode = (int(word) for word in words[:4])
    first = _HEADER_BYTES + int(words[23])
    if not 1 <= min(columns, rows, sections) <= max(columns, rows) <= 2**15 or first < _HEADER_BYTES:
        raise ReadError(path, found="no header of an MRC file", cure="check that the ending names its format")
    codec, mode = divmod(mode, _COMPRESSED) if mode > _COMPRESSED else (0, mode)
    if mode not in _DTYPES:
        found = f"an MRC file of mode {mode}, a variant that is not supported"
        raise ReadError(path, found=found, cure="save it as mode 1 (int16), 2 (float32) or 6 (uint16)")
    dtype = np.dtype(_DTYPES[mode]).newbyteorder(words.dtype.byteorder)
    if codec:
        return RawScan(_make_mrcz(path, (sections, rows, columns), dtype))
    if mode == 0 and not (int(words[38]) == _IMOD_MARK and int(words[39]) & _SIGNED_FLAG):
        dtype = np.dtype("u1")  # counts have no sign, and old files do not say
    frame_bytes = rows * columns * dtype.itemsize
    n, cut_bytes = count_frames(path.stat().st_size, first, frame_bytes, frame_bytes)
    part = FrameFile(str(path), first, min(n, sections))
    frames = make_recording(path, [part], (rows, columns), dtype, frame_bytes)
    raw = fold_recording(frames, sections, None, cut_bytes if n < sections else 0)
    cells = np.frombuffer(head, f"{words.dtype.byteorder}f4", 256)[10:13].astype(float)
    # The cell is that of an image [angstrom]; of a pattern it says nothing.
    if cells[0] > 0 and int(words[7]) > 0:
        raw.axes = [Axis(cells[n] / max(int(words[7 + n]), 1), 0.0, "A") for n in (1, 0)]
    return raw


# ---- MRCZ: frames compressed with blosc


@dataclass(frozen=True)
class _MrczSource(Source):
    """Compressed stack, decoded whole by the package mrcz and kept for the next block."""

    has_quick_patterns: ClassVar[bool] = False

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        return _load_mrcz(self.path, Path(self.path).stat().st_mtime_ns)[box]


@lru_cache(maxsize=1)
def _load_mrcz(path: str, changed: int) -> NDArray[Any]:
    # A file that was written again is another one.
    return np.asarray(import_module("mrcz").readMRC(path)[0])


def _make_mrcz(path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Source:
    import_module("mrcz")
    # mrcz decodes with either package, and would miss it only when the first block is read.
    if find_spec("blosc2") is None and find_spec("blosc") is None:
        raise missing_package(path, "blosc2")
    return _MrczSource(str(path), shape, dtype)
