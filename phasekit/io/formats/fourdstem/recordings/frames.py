"""Frames of a recording: how many are complete, and what is said about the missing ones."""

from pathlib import Path
from typing import Any

import numpy as np

from .....errors import ReadError
from ...lazy_sources import FrameFile, FramesSource, ScanSource, Source
from ..scan import RawScan


def count_frames(size: int, first_byte: int, frame_bytes: int, stride: int) -> tuple[int, int]:
    """Number of complete frames in a file of ``size`` bytes, and the bytes after the last of them.

    Examples
    --------
    >>> count_frames(10 + 2 * 100 + 96, 10, 96, 100), count_frames(10 + 250, 10, 96, 100)
    ((3, 0), (2, 54))
    """
    rest = size - first_byte
    complete = max(0, (rest + stride - frame_bytes) // stride)
    used = (complete - 1) * stride + frame_bytes if complete else 0
    return complete, max(0, rest - used)


def make_recording(
    path: Path, parts: list[FrameFile], shape: tuple[int, int], dtype: Any, stride: int, *, bottom_up: bool = False
) -> FramesSource:
    """Source (n, y, x) of the frames of all parts.

    Raises
    ------
    ReadError
        No frame is complete.
    """
    n = sum(part.n_frames for part in parts)
    if n == 0:
        found = f"not one complete frame: {path.stat().st_size} bytes where the first frame needs {stride}"
        raise ReadError(path, found=found, cure="copy the file again")
    return FramesSource(str(path), (n, *shape), np.dtype(dtype), tuple(parts), stride, bottom_up)


def fold_recording(frames: Source, announced: int | None, line: int | None, cut_bytes: int = 0) -> RawScan:
    """Map of rows of ``line`` patterns where the recording is complete, else all complete patterns in one row.

    Parameters
    ----------
    frames
        Complete frames (n, y, x).
    announced
        Number of patterns that the file announces, None where it does not say.
    line
        Patterns per row of the scan, None where it is not known.
    cut_bytes
        Bytes of a frame that is not complete.
    """
    n, source = frames.shape[0], frames
    short = announced is not None and n < announced
    if not short and not cut_bytes:
        folds = line is not None and line > 1 and n % line == 0
        return RawScan(_fold(frames, line or n) if folds else source)
    planned = announced if announced is not None and short else n + 1
    note = f"{n} complete patterns of {planned if short else 'more'}: the recording was stopped, or the file is cut"
    if line is not None and 1 < line <= n:
        note += f"; scan_shape=({n // line}, {line}) gives the complete rows"
    return RawScan(source, notes=[note], planned=planned)


def _fold(frames: Source, line: int) -> Source:
    shape = (frames.shape[0] // line, line, *frames.shape[1:])
    return ScanSource(frames.path, shape, frames.dtype, frames)
