"""Arrays in files as sources that dask slices.

Every read opens the file and closes it again, so a source can be pickled and sent to any worker.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from .file_errors import damaged_file
from .hdf5_file import load_hdf5_filters, open_hdf5
from .remote import RemotePath, check_store_name
from .tiff_pages import open_tiff

#: Largest block of patterns [bytes] with ``chunks="auto"``.
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Source(ABC):
    """Array of a file with basic indexing; a subclass reads one box of it."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    # Whether one pattern can be read without most of the file.
    has_quick_patterns: ClassVar[bool] = True

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @abstractmethod
    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """Values of a box, read from the file that is opened for it."""

    def __getitem__(self, key: Any) -> NDArray[Any]:
        # a box with positive steps is read, because h5py and tifffile know no others; the rest is done in memory
        keys = key if isinstance(key, tuple) else (key,)
        keys = keys + (slice(None),) * (self.ndim - len(keys))
        ranges = [range(n)[k] if isinstance(k, slice) else [range(n)[k]] for k, n in zip(keys, self.shape, strict=True)]
        lows = [min(r[0], r[-1]) if len(r) else 0 for r in ranges]
        highs = [max(r[0], r[-1]) + 1 if len(r) else 0 for r in ranges]
        box = tuple(slice(low, high) for low, high in zip(lows, highs, strict=True))
        try:
            values = np.asarray(self._read_box(box))
        except ReadError:  # of the source inside this one
            raise
        except Exception as error:  # h5py, zarr and tifffile raise nearly anything on a damaged block
            raise damaged_file(self.path, error) from error
        if values.shape != tuple(high - low for low, high in zip(lows, highs, strict=True)):
            raise ReadError(self.path, found=f"a block of shape {values.shape}", cure="copy the file again")
        for axis, (r, low) in enumerate(zip(ranges, lows, strict=True)):
            if isinstance(r, range) and r.step != 1:
                values = np.take(values, np.asarray(r) - low, axis=axis)
        return values[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)]


@dataclass(frozen=True)
class Hdf5Source(Source):
    """Dataset of an HDF5 file."""

    dataset: str

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:

        load_hdf5_filters()
        with open_hdf5(self.path) as file:
            return np.asarray(file[self.dataset][box])


@dataclass(frozen=True)
class ZarrSource(Source):
    """Array of a zarr store (version 2 or 3, folder or zip)."""

    dataset: str

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        array = open_zarr(self.path)
        return np.asarray((array[self.dataset] if self.dataset else array)[box])


@dataclass(frozen=True)
class MemorySource(Source):
    """Numbers that lie one after another in a file (``.npy``, uncompressed TIFF), mapped, never loaded whole."""

    offset: int
    fortran: bool = False

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        order: Any = "F" if self.fortran else "C"
        # The copy lets the mapping close with the block.
        mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order)
        return np.array(mapped[box])


@dataclass(frozen=True)
class PagesSource(Source):
    """Pages of a TIFF, read one by one: shape (page, y, x)."""

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        # Pages of one block only are decoded.
        with open_tiff(self.path) as file:
            chosen: list[Any] = [file.series[0].pages[n] for n in range(box[0].start, box[0].stop)]
            pages = [page.asarray() for page in chosen]
        return np.stack([page[box[1:]] for page in pages])


@dataclass(frozen=True)
class PluginSource(Source):
    """Signal of a rosettasciio plugin that keeps its file open: reopened once per process."""

    plugin: str
    index: int
    has_quick_patterns: ClassVar[bool] = False

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        data = _open_plugin_data(self.path, self.plugin, self.index)
        # The scheduler of the caller already runs blocks in parallel.
        part = data[box]
        return np.asarray(part.compute(scheduler="synchronous") if hasattr(part, "compute") else part)


@lru_cache(maxsize=4)
def _open_plugin_data(path: str, plugin: str, index: int) -> Any:
    from importlib import import_module

    return import_module(plugin).file_reader(path, lazy=True)[index]["data"]


@dataclass(frozen=True)
class ScanSource(Source):
    """Patterns in the order of acquisition, (n, y, x), folded into a scan, (scan_y, scan_x, y, x)."""

    flat: Source

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        rows, columns = box[:2]
        # Whole rows of the scan are one run of patterns in the file.
        nx = self.shape[1]
        if columns == slice(0, nx):
            block = self.flat[(slice(rows.start * nx, rows.stop * nx), *box[2:])]
            return block.reshape(rows.stop - rows.start, nx, *block.shape[1:])
        # A part of a row is one run per row.
        lines = [slice(y * nx + columns.start, y * nx + columns.stop) for y in range(rows.start, rows.stop)]
        return np.stack([self.flat[(line, *box[2:])] for line in lines])


def is_zarr_store(path: Path) -> bool:
    """Whether a folder holds zarr's metadata, or a file has the ending of a packed store."""
    if isinstance(path, RemotePath) and not path.is_dir():
        return False  # zarr maps a packed store, which is a file of this machine
    if path.is_dir():
        return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))
    if path.suffix.lower() != ".zip":
        return path.suffix.lower() in (".zspy", ".zarr")
    try:
        with ZipFile(path) as packed:
            return not {"zarr.json", ".zgroup", ".zarray"}.isdisjoint(packed.namelist())
    except (OSError, BadZipFile):
        return False


def open_zarr(path: str) -> Any:
    """Open the group or array of a zarr store, a folder or a zip file."""
    import zarr

    options = path.options if isinstance(path, RemotePath) else None
    # HyperSpy packs a store into one zip file.
    is_folder = options is not None or Path(path).is_dir()
    check_store_name(path)
    store = path if is_folder else zarr.storage.ZipStore(path, mode="r")
    try:
        return zarr.open(store, mode="r", storage_options=options)
    except ValueError:
        # The summary of all metadata cannot be read if one array has a type unknown to zarr 3, e.g. ragged markers of
        # HyperSpy. Without the summary each array stands for itself.
        return zarr.open_group(store, mode="r", use_consolidated=False, storage_options=options)


@dataclass(frozen=True)
class TransposedSource(Source):
    """Another source with its axes in another order: axis n of this one is axis ``order[n]`` of ``source``."""

    source: Source
    order: tuple[int, ...]
    has_quick_patterns: ClassVar[bool] = False

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        stored = tuple(box[self.order.index(axis)] for axis in range(self.ndim))
        return self.source[stored].transpose(self.order)


@dataclass(frozen=True)
class JoinedSource(Source):
    """Several sources (n, y, x) one after another."""

    parts: tuple[Source, ...]

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        blocks, before = [], 0
        for part in self.parts:
            low, high = max(box[0].start - before, 0), min(box[0].stop - before, part.shape[0])
            if low < high:
                blocks.append(part[(slice(low, high), *box[1:])])
            before += part.shape[0]
        return np.concatenate(blocks) if blocks else self.parts[0][(slice(0, 0), *box[1:])]


class FrameFile(NamedTuple):
    """Part of a recording: a file, the byte of its first frame's first value, and its number of frames."""

    path: str
    first_byte: int
    n_frames: int


@dataclass(frozen=True)
class FramesSource(Source):
    """Frames with a header before or after each, in one file or in several that continue it: shape (n, y, x).

    ``stride`` is the number of bytes from frame to frame. ``bottom_up`` says that the lowest row is stored first.
    """

    files: tuple[FrameFile, ...]
    stride: int
    bottom_up: bool = False

    def _read_box(self, box: tuple[slice, ...]) -> NDArray[Any]:
        parts, before = [], 0
        for part in self.files:
            low, high = max(box[0].start - before, 0), min(box[0].stop - before, part.n_frames)
            if low < high:
                parts.append(self._map_frames(part)[low:high])
            before += part.n_frames
        stack = [part[:, ::-1] if self.bottom_up else part for part in parts]
        # Joining copies, which lets the mappings close with the block.
        return np.concatenate([part[(slice(None), *box[1:])] for part in stack]) if stack else self._make_empty(box)

    def _map_frames(self, part: FrameFile) -> NDArray[Any]:
        mapped = np.memmap(part.path, np.uint8, "r")
        size = self.dtype.itemsize
        strides = (self.stride, self.shape[2] * size, size)
        return np.ndarray((part.n_frames, *self.shape[1:]), self.dtype, mapped.data, part.first_byte, strides)

    def _make_empty(self, box: tuple[slice, ...]) -> NDArray[Any]:
        return np.empty([part.stop - part.start for part in box], self.dtype)


def choose_block_shape(shape: tuple[int, ...], itemsize: int, stored: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Scan positions per block: whole patterns, at most 64 MiB, about 16 blocks where the data are smaller.

    ``stored`` is the size of the file's own blocks; ours are multiples of it, so that no block is decoded twice.

    Examples
    --------
    >>> choose_block_shape((200, 300, 256, 256), 2)
    (1, 300, 256, 256)
    >>> choose_block_shape((2, 3, 4096, 4096), 4)
    (1, 1, 4096, 4096)
    """
    ny, nx, *detector = shape
    frame = int(np.prod(detector)) * itemsize
    # About 16 blocks let a small file use several processors; 1 MiB is worth a task.
    positions = max(1, min(BLOCK_BYTES, max(frame * ny * nx // 16, 2**20)) // frame)
    across = min(nx, positions)
    down = max(1, positions // across) if across == nx else 1
    if stored is not None and len(stored) == len(shape):
        across, down = (
            _round_to_multiple(n, own, size) for n, own, size in ((across, stored[1], nx), (down, stored[0], ny))
        )
        # a file stored in huge blocks: bounded memory is worth more than decoding a block twice
        if across * down * frame > 4 * BLOCK_BYTES:
            across, down = min(nx, positions), 1
    return (min(ny, down), across, *detector)


def _round_to_multiple(n: int, own: int, size: int) -> int:
    return min(size, max(1, round(n / max(own, 1))) * max(own, 1))
