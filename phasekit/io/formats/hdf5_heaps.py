"""Check of an HDF5 file's global heaps, where its texts lie: the HDF5 library loops for ever in a damaged one."""

import mmap
import struct
from pathlib import Path

from ...errors import ReadError

_MARK = b"GCOL\x01\0\0\0"
_REACH = 8 * 2**20  # [bytes] at both ends of the file, where attributes are written; the patterns lie between


def check_heaps(path: Path) -> None:
    """Refuse a file with a heap whose objects do not fill it (HDF5 file format specification, III.E)."""
    size = path.stat().st_size
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, stop in ((0, min(size, _REACH)), (max(_REACH, size - _REACH), size)):
            place = content.find(_MARK, start, stop)
            while place >= 0:
                if not _sound(content, place, size):
                    raise ReadError(path, found=f"a damaged text heap at byte {place}", cure="copy the file again")
                place = content.find(_MARK, place + 8, stop)


def _sound(content: mmap.mmap, place: int, size: int) -> bool:
    length = struct.unpack_from("<Q", content, place + 8)[0] if place + 16 <= size else 0
    if length < 16 or place + length > size:
        return False
    at, end = place + 16, place + length
    while at + 16 <= end:
        number, _, _, held = struct.unpack_from("<HHIQ", content, at)
        step = held if number == 0 else 16 + (held + 7) // 8 * 8  # number 0: the free rest, its size with header
        if step < 16 or at + step > end:
            return False
        at += step
    return True
