"""The array with the patterns in an HDF5 file or zarr store: HyperSpy's layout, py4DSTEM/EMD, and plain arrays."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import ReadError
from ..hdf5_file import load_hdf5_filters
from ..hdf5_links import check_virtual
from ..lazy_sources import Hdf5Source, JoinedSource, Source, ZarrSource
from ..remote import is_remote
from .named_axes import read_named_axes
from .scan import RawScan
from .tree_axes import read_emd_axes, read_hyperspy_axes, read_text

_SIGNAL = re.compile(r"Experiments/[^/]+/data")  # of HyperSpy; what lies deeper are markers, models and variances
_EXPERIMENT = re.compile(r"Experiments/[^/]+/")
_BESIDE_SIGNAL = ("metadata", "original_metadata", "learning_results", "models")  # zarr cannot list markers
_NO_PATTERNS = ("realslice", "diffractionslice")  # virtual images and single patterns of py4DSTEM and Prismatic
# Filters of HDF5 that h5py lacks, by their registered numbers.
_FILTERS = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2"}


def read_tree(path: Path, root: Any, *, zarr: bool, dataset: str | None) -> RawScan:
    """The scan in an open HDF5 file or zarr group; ``dataset`` chooses where there are several."""
    if not hasattr(root, "keys"):  # a zarr store that is one array
        return RawScan(_make_source(path, root, "", zarr), read_named_axes(None, root), file_blocks=_read_blocks(root))
    names = _choose_arrays(path, root, dataset)
    for name in names:
        _check_grey(path, name, root[name])
        _check_complete(path, root[name], zarr)
    if len(names) > 1:
        parts = tuple(_make_source(path, root[name], name, zarr) for name in names)
        n = sum(part.shape[0] for part in parts)
        joined = JoinedSource(str(path), (n, *parts[0].shape[1:]), parts[0].dtype, parts)
        return RawScan(joined, notes=[f"joined from {len(parts)} arrays: {names[0]} to {names[-1]}"])
    name, node = names[0], root[names[0]]
    raw = RawScan(_make_source(path, node, name, zarr), file_blocks=_read_blocks(node))
    group = root[name.rpartition("/")[0]] if "/" in name.strip("/") else root
    if "axis-0" in group:
        read_hyperspy_axes(path, group, raw, node.shape)
    elif any(f"dim{n}" in group for n in (0, 1)):
        read_emd_axes(root, group, name, raw, node.shape)
    else:
        raw.axes = read_named_axes(group, node)
    return raw


def _iterate_arrays(group: Any, errors: list[Exception], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    # A link may lead back to a group above it: the depth ends the search.
    try:
        keys = list(group) if depth < 12 else []
    except Exception as error:  # zarr knows no ragged arrays, in which HyperSpy stores markers
        errors.append(error)
        keys = []
    for key in keys:
        if key in _BESIDE_SIGNAL and _EXPERIMENT.fullmatch(prefix):
            continue
        try:
            node = group[key]
        except (KeyError, OSError):  # a link to nowhere
            errors += _find_lost_file(group, key)
            continue
        except Exception as error:
            errors.append(error)
            continue
        if hasattr(node, "keys"):
            yield from _iterate_arrays(node, errors, f"{prefix}{key}/", depth + 1)
        elif hasattr(node, "shape") and hasattr(node, "dtype"):
            yield f"{prefix}{key}", node


def _find_lost_file(group: Any, key: str) -> list[Exception]:
    """Error for a link into another file, which is missing."""
    link = group.get(key, getlink=True) if hasattr(group, "file") else None
    name = getattr(link, "filename", None)  # of an external link only
    return [] if name is None else [FileNotFoundError(2, f"No such file or directory: '{name}'")]


def _is_series(names: list[str], arrays: dict[str, Any]) -> bool:
    """Whether arrays are the numbered parts of one recording, as Dectris writes them: data_000001, data_000002 ..."""
    matches = [re.fullmatch(r"(.*?)(\d+)", name) for name in names]
    numbers = [int(match[2]) for match in matches if match]
    heads = {
        (match[1], arrays[name].shape[1:], arrays[name].dtype)
        for match, name in zip(matches, names, strict=True)
        if match
    }
    first = min(numbers, default=-1)
    whole = len(numbers) == len(names) and sorted(numbers) == list(range(first, first + len(names)))
    return whole and first in (0, 1) and len(heads) == 1


def _choose_arrays(path: Path, root: Any, dataset: str | None) -> list[str]:
    """Name of the array with the patterns, or the names of its numbered parts."""
    errors: list[Exception] = []
    # Text and compound datasets are not patterns.
    arrays = {name: node for name, node in _iterate_arrays(root, errors) if node.dtype.kind in "iufbc"}
    largest = sorted(arrays.items(), key=lambda item: (-item[1].ndim, item[0]))
    listed = ", ".join(f"{name} {tuple(node.shape)}" for name, node in largest[:8]) or "no array"
    if dataset is not None:
        # A path, or a part of it: the title of a HyperSpy signal is the name of its group.
        wanted = f"/{dataset.strip('/')}/"
        found = [name for name in arrays if f"/{name}/".startswith(wanted)]
        found = found or [name for name in arrays if wanted in f"/{name}/"]
        found = [name for name in found if arrays[name].ndim >= 2] or found
        if len(found) != 1:
            raise ReadError(path, found=f"no single dataset '{dataset}' ({listed})", cure="name one of these")
        return found
    signals = [name for name in arrays if _SIGNAL.fullmatch(name)] or [
        name for name in arrays if name.rpartition("/")[2] not in _NO_PATTERNS
    ]
    # A map wins over a line of patterns, and an array called data over others, such as stored virtual images.
    for ndim in (4, 3):
        found = [name for name in signals if arrays[name].ndim == ndim]
        preferred = [name for name in found if _is_nexus_signal(root, name)]
        preferred = preferred or [name for name in found if name.rpartition("/")[2] in ("data", "array_data")] or found
        preferred = _drop_second_names(preferred, arrays)
        if errors and ndim == 3 and preferred and isinstance(errors[0], FileNotFoundError):
            raise errors[0]
        if len(preferred) == 1 or (ndim == 3 and _is_series(preferred, arrays)):
            return sorted(preferred)
        if preferred:
            cure = f"choose one: open_4dstem(path, dataset='{preferred[0]}')"
            raise ReadError(path, found=f"{len(preferred)} arrays of {ndim} dimensions ({listed})", cure=cure)
    if errors:
        raise errors[0]
    raise ReadError(path, found=f"no scan of patterns ({listed})", cure="give an array (scan_y, scan_x, qy, qx)")


def _drop_second_names(names: list[str], arrays: dict[str, Any]) -> list[str]:
    """Names of different arrays: in HDF5 a link gives one array several names."""
    kept: dict[Any, str] = {}
    for name in names:
        node = arrays[name]
        kept.setdefault(_find_address(node) if hasattr(node, "id") else name, name)
    return list(kept.values())


def _find_address(node: Any) -> tuple[int, int]:
    import h5py

    info = h5py.h5o.get_info(node.id)
    return int(info.fileno), int(info.addr)


def _is_nexus_signal(root: Any, name: str) -> bool:
    """Whether the group of an array is an NXdata that names it as its signal."""
    above, _, leaf = name.rpartition("/")
    attrs = root[above].attrs if above else root.attrs
    return read_text(attrs.get("NX_class", "")) == "NXdata" and read_text(attrs.get("signal", "")) == leaf


def _check_grey(path: Path, name: str, node: Any) -> None:
    """Refuse a colour image, whose last axis is red, green, blue and perhaps transparency."""
    shape = tuple(node.shape)
    if len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) > 4 and node.dtype == np.uint8:
        found = f"a colour image and no patterns: {name} {shape}"
        raise ReadError(path, found=found, cure="choose the array with the patterns by dataset=, if there is one")


def _make_source(path: Path, node: Any, name: str, zarr: bool) -> Source:
    kind = ZarrSource if zarr else Hdf5Source
    return kind(str(path), tuple(int(n) for n in node.shape), np.dtype(node.dtype), name)


def _read_blocks(node: Any) -> tuple[int, ...] | None:
    chunks = getattr(node, "chunks", None)
    return None if chunks is None else tuple(int(n) for n in chunks)


def _check_filters(path: Path, plist: Any) -> None:
    """Refuse data of a filter that is not installed: it would show only when the first block is read."""
    import h5py

    load_hdf5_filters()
    for number in range(plist.get_nfilters()):
        code, *_, label = plist.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            name = _FILTERS.get(code) or label.decode("utf-8", "replace")[:40] or "unknown"
            found = f"data compressed with {name} (HDF5 filter {code}), which is not installed"
            cure = "pip install phasekit[formats] or pip install hdf5plugin, and open the file again"
            raise ReadError(path, found=found, cure=cure)


def _check_complete(path: Path, node: Any, zarr: bool) -> None:
    """Blocks that were never written, or lie beyond the file's end, would be read as zeros."""
    # A zarr store lists no blocks; missing ones are its fill value by definition.
    if zarr or node.size == 0:
        return
    _check_filters(path, node.id.get_create_plist())
    check_virtual(path, node)
    # A contiguous dataset is complete if all its bytes lie inside the file.
    written = node.id.get_storage_size()
    if node.chunks is None:
        expected = node.size * node.dtype.itemsize
        # Of the linked file, where a master only links to it; one at an address links to none.
        size = (path if is_remote(path) else Path(node.file.filename)).stat().st_size
        complete = written == expected and (node.id.get_offset() or 0) + expected <= size
        # External and virtual datasets keep their bytes in other files.
        complete = complete or bool(node.external) or bool(node.is_virtual)
    else:
        expected = int(np.prod([-(-n // c) for n, c in zip(node.shape, node.chunks, strict=True)]))
        written = node.id.get_num_chunks()
        complete = written == expected
    if not complete:
        found = f"an array {tuple(node.shape)} of which {written} of {expected} blocks or bytes were written"
        # Blocks that were never written are missing in every copy.
        cure = "the recording was stopped: export the part that was recorded"
        raise ReadError(path, found=found, cure=f"copy the file again, or {cure}" if node.chunks is None else cure)
