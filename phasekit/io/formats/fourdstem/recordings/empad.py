"""Recordings of the EMPAD detector: ``scan_x256_y256.raw``, frames of 128 x 128 with two lines of footer."""

import re
from pathlib import Path

from .....errors import ReadError
from ...lazy_sources import FrameFile
from ..scan import SCAN_OPTIONS, RawScan, ScanOptions
from .frames import count_frames, fold_recording, make_recording

NAME = "EMPAD"
EXTENSIONS = (".raw",)
KEEPS = "the counts, and the shape of the scan that the name of the file gives"
OPTIONS = SCAN_OPTIONS
CONTENT = "an EMPAD recording"

_SHAPE, _STORED_ROWS = (128, 128), 130
_STRIDE = _STORED_ROWS * _SHAPE[1] * 4  # [bytes] of a frame with its footer


def recognise(head: bytes, path: Path) -> bool:
    """Recognise the file by its ending; a description beside it is pointed out."""
    return path.is_file() and path.suffix.lower() == ".raw"


def read(path: Path, options: ScanOptions) -> RawScan:
    """Count the frames, and fold them as the name of the file says."""
    named = re.search(r"x(\d+)_y(\d+)", path.stem)
    beside = [p.name for p in (path.with_suffix(ending) for ending in (".rpl", ".xml", ".hdr")) if p.exists()]
    if beside and named is None:
        raise ReadError(path, found="the values without their description", cure=f"open '{beside[0]}' beside it")
    n, cut_bytes = count_frames(path.stat().st_size, 0, _STRIDE, _STRIDE)
    if named is None:
        found = "bytes without a header: neither their shape nor their type is known"
        cure = "open the description beside them (.rpl, .xml), name an EMPAD recording scan_x<columns>_y<rows>.raw, or "
        raise ReadError(path, found=found, cure=cure + "read them with numpy.fromfile and save them with numpy.save")
    columns, rows = int(named[1]), int(named[2])
    frames = make_recording(path, [FrameFile(str(path), 0, n)], _SHAPE, "<f4", _STRIDE)
    return fold_recording(frames, columns * rows, columns, cut_bytes)
