"""Opening an HDF5 file, and what is checked in it before.

Texts of variable length lie in global heaps. The HDF5 library does not return from a heap in which an object has no
length. The heaps are therefore checked here first (HDF5 file format specification, section III.E).
"""

import mmap
import struct
from functools import lru_cache
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import ReadError
from .hdf5_links import check_links
from .remote import RemotePath, open_binary

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP_MARK = b"GCOL\x01\0\0\0"
_CHECKED_BYTES = 8 * 2**20  # at both ends of the file, where attributes are written; the counts lie between


def open_hdf5(path: str | PathLike[str]) -> Any:
    """Open an HDF5 file to read it; one that leads out of its folder is refused (:func:`.hdf5_links.check_links`)."""
    import h5py

    check_links(path)
    return h5py.File(open_binary(path), "r")


def contains_hdf5(path: Path) -> bool:
    """Whether an HDF5 file begins at byte 0, or at 512, 1024, 2048 ... behind a user block.

    PolLux files, for example, begin with 32 KiB of XMP text.
    """
    if not path.is_file():
        return False
    size = path.stat().st_size
    starts = [0, *(512 << n for n in range(size.bit_length()) if 512 << n < size)]
    with path.open("rb") as file:
        return any(file.seek(start) == start and file.read(8) == _SIGNATURE for start in starts)


def check_text_heaps(path: Path) -> None:
    """Refuse a file with a global heap whose objects do not fill it."""
    size = path.stat().st_size
    if isinstance(path, RemotePath):  # whoever wrote it there has read it; looking would fetch 16 MiB
        return
    # Mapped, so that searching costs no memory; the bytes between both ends are left out to bound the time.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, stop in ((0, min(size, _CHECKED_BYTES)), (max(_CHECKED_BYTES, size - _CHECKED_BYTES), size)):
            place = content.find(_HEAP_MARK, start, stop)
            while place >= 0:
                if not _is_intact(content, place, size):
                    raise ReadError(path, found=f"a damaged text heap at byte {place}", cure="copy the file again")
                place = content.find(_HEAP_MARK, place + 8, stop)


def _is_intact(content: mmap.mmap, place: int, size: int) -> bool:
    """Whether stepping from object to object ends at the end of the heap."""
    length = struct.unpack_from("<Q", content, place + 8)[0] if place + 16 <= size else 0
    if length < 16 or place + length > size:
        return False
    at, end = place + 16, place + length
    while at + 16 <= end:
        number, _, _, held = struct.unpack_from("<HHIQ", content, at)
        # object 0 is the free space, whose size includes its header; the others are padded to 8 bytes
        step = held if number == 0 else 16 + (held + 7) // 8 * 8
        if step < 16 or at + step > end:
            return False
        at += step
    return True


def visit_every_object(path: Path) -> None:
    """Reach every object once: h5netcdf, meeting a damaged one, would leave the file half closed."""
    with open_hdf5(path) as file:
        file.visititems(lambda _name, _object: None)


def read_root_attribute(path: Path, name: str) -> object:
    """Attribute of the file's root; None where it is missing or the file is damaged (its reader then says so)."""
    try:
        with open_hdf5(path) as file:
            return file.attrs.get(name)
    except Exception:
        return None


@lru_cache
def load_hdf5_filters() -> bool:
    """Let h5py read bitshuffle, lz4, blosc and zstd, if the package hdf5plugin is installed; whether it is."""
    try:
        import_module("hdf5plugin")
    except ImportError:
        return False
    return True
