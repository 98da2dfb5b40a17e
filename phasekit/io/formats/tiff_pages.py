"""TIFF files of either instrument: how they are recognised, and whether their pages are complete."""

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ...errors import ReadError
from .remote import open_binary

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little- and big-endian, TIFF and BigTIFF


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a TIFF or BigTIFF."""
    return head.startswith(_SIGNATURES)


def open_tiff(path: str | Path) -> Any:
    """Open a TIFF with tifffile, which reads no other file for it.

    An image may be spread over several files (OME, NDTiff), each of which names the others. A file from somebody else
    could so bring the content of any TIFF of the reader into a result.

    Raises
    ------
    ReadError
        Its image is spread over several files.
    """
    import tifffile

    # With False the names of other files are not followed: what is in this file is read as it is.
    file = tifffile.TiffFile(open_binary(path), _multifile=False)
    try:
        others = _list_other_files(path, file)
    except BaseException:
        file.close()
        raise
    if not others:
        return file
    file.close()
    found = f"a part of an image in several files: it names '{others[0]}'"
    raise ReadError(path, found=found, cure="save the whole image as one file, in ImageJ by File > Save As > Tiff")


def _list_other_files(path: str | Path, file: Any) -> list[str]:
    """Names of further files that the metadata of an open TIFF gives."""
    if file.is_ndtiff:
        return ["NDTiff.index"]
    if not file.is_ome:
        return []
    try:
        elements = list(ElementTree.fromstring(file.ome_metadata).iter())
    except ElementTree.ParseError:  # tifffile takes such a file for a plain one
        return []
    names = [element.get(key) for element in elements for key in ("FileName", "MetadataFile")]
    own = os.path.basename(path).lower()
    return [name for name in names if name and name.lower() != own]


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
