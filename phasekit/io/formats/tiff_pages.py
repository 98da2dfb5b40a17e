"""TIFF files of either instrument: how they are recognised, and whether their pages are complete."""

from pathlib import Path
from typing import Any

from ...errors import ReadError

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, TIFF and BigTIFF


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a TIFF or BigTIFF."""
    return head.startswith(_SIGNATURES)


def check_page_bytes(path: Path, file: Any) -> None:
    """Refuse pages beyond the end of the file or with too few bytes, which tifffile would fill with zeros.

    Parameters
    ----------
    path
        The file, for its size and the message.
    file
        The same as an open ``tifffile.TiffFile``.
    """
    size = path.stat().st_size
    # Bytes of a page may be split into strips or tiles.
    for page in file.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        stored = sum(page.databytecounts)
        short = file.pages.first.compression == 1 and stored < page.nbytes
        if not ends or max(ends) > size or stored <= 0 or short:
            raise ReadError(
                path,
                found=f"{size} bytes, of which page {page.index} has {stored} of {page.nbytes}",
                cure="copy the file again",
            )
