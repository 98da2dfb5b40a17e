"""Scans in TIFF files: one grey-valued page per pattern, or a hyperstack that states its shape."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ..lazy_sources import MemorySource, PagesSource, Source
from ..remote import is_remote, open_binary
from ..tiff_pages import check_page_bytes, is_tiff, open_tiff
from .scan import SCAN_OPTIONS, RawScan, ScanOptions

NAME = "TIFF"
EXTENSIONS = (".tif", ".tiff")
KEEPS = "the counts alone"
OPTIONS = SCAN_OPTIONS
CONTENT = "TIFF"
REMOTE = True


@dataclass(frozen=True)
class BytesSource(Source):
    """Numbers that lie one after another in a file that cannot be mapped: the rows of a block are one request."""

    offset: int

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        row = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        with open_binary(self.path) as file:
            file.seek(self.offset + box[0].start * row)
            values = np.frombuffer(file.read((box[0].stop - box[0].start) * row), self.dtype)
        return values.reshape(-1, *self.shape[1:])[(slice(None), *box[1:])]


def recognise(head: bytes, path: Path) -> bool:
    """Recognise a TIFF by its first bytes."""
    return is_tiff(head)


def read(path: Path, options: ScanOptions) -> RawScan:
    """Read the first series: (n, y, x), or (scan_y, scan_x, y, x) when it says so."""
    with open_tiff(path) as file:
        if not len(file.pages) or not file.series:
            found = f"{path.stat().st_size} bytes without a page"
            raise ReadError(path, found=found, cure="copy the file again")
        series = file.series[0]
        shape, dtype = tuple(int(n) for n in series.shape), np.dtype(series.dtype)
        # An axis S holds the samples of a colour.
        if "S" in series.axes or len(shape) > 4:
            raise ReadError(path, found=f"a colour image {series.axes} {shape}", cure="save grey values")
        check_page_bytes(path, file)
        _check_image_count(path, file, math.prod(shape[:-2]))
        _check_size(path, file, math.prod(shape) * dtype.itemsize)
        if series.dataoffset is not None and series.dtype is not None:
            # pages that lie one after another are mapped as one array, which needs no page table
            kind = dtype.newbyteorder(file.byteorder)
            source = BytesSource if is_remote(path) else MemorySource
            return RawScan(source(str(path), shape, kind, int(series.dataoffset)))
    # Compressed pages are read one by one.
    flat = (math.prod(shape[:-2]), *shape[-2:])
    raw = RawScan(PagesSource(str(path), flat, dtype))
    if len(shape) == 4:
        raw.notes.append(f"shape in the file {shape}")
    return raw


def _check_image_count(path: Path, file: Any, n: int) -> None:
    """Refuse an ImageJ stack of which pages are missing: its description holds their number."""
    announced = int((file.imagej_metadata or {}).get("images", 1)) if file.is_imagej else 1
    if n < announced:
        raise ReadError(path, found=f"{n} of {announced} images of an ImageJ stack", cure="copy the file again")


def _check_size(path: Path, file: Any, n_bytes: int) -> None:
    """Refuse a shape beyond the end of the file, and bytes that no page claims: a page chain was broken."""
    size, start = path.stat().st_size, file.series[0].dataoffset
    counts = [sum(page.databytecounts) for page in file.pages]
    # ImageJ keeps the text of "Show Info", overlays and regions in tags, which may be longer than the pages.
    texts = sum(tag.valuebytecount for page in file.pages for tag in getattr(page, "tags", ()))
    used = sum(counts)
    if start is not None:
        used = max(used, n_bytes)
        if start + n_bytes > size:
            found = f"a series of {n_bytes} bytes that ends beyond the file's {size} bytes"
            raise ReadError(path, found=found, cure="copy the file again")
    # tags and metadata take some room: 4 KiB per page, and 64 KiB or one page in all, are no sign of damage
    if size - used - texts > max(*counts, 2**16) + 4096 * len(file.pages):
        found = f"{size - used - texts} bytes that no page claims: the chain of its {len(counts)} pages is broken"
        raise ReadError(path, found=found, cure="copy the file again, or save it again as a stack with ImageJ")
