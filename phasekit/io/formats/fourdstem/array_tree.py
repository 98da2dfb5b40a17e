"""Scans of patterns in HDF5 and zarr: HyperSpy's layout, py4DSTEM/EMD, and plain arrays."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import ReadError
from ..lazy_sources import Hdf5Source, Source, ZarrSource
from .scan import Axis, RawScan, read_voltage_kv

# Places of the calibration in successive versions of py4DSTEM.
_CALIBRATIONS = ("metadatabundle/calibration", "calibration", "metadata/metadata_0/calibration")
# Names of the pixel sizes in successive versions of py4DSTEM; R is the scan, Q the detector.
_STEP_KEYS = {"R": ("R_pixel_size", "R_pix_size"), "Q": ("Q_pixel_size", "K_pix_size", "Q_pix_size")}
_UNIT_KEYS = {
    "R": ("R_pixel_units", "R_pixel_size_units", "R_pix_units"),
    "Q": ("Q_pixel_units", "Q_pixel_size_units", "K_pix_units"),
}


def read_tree(path: Path, root: Any, *, zarr: bool, dataset: str | None) -> RawScan:
    """The scan in an open HDF5 file or zarr group; ``dataset`` chooses where there are several."""
    if not hasattr(root, "keys"):  # a zarr store that is one array
        return RawScan(_make_source(path, root, "", zarr), file_blocks=_read_blocks(root))
    name = _choose_array(path, root, dataset)
    node = root[name]
    _check_complete(path, node, zarr)
    raw = RawScan(_make_source(path, node, name, zarr), file_blocks=_read_blocks(node))
    group = root[name.rpartition("/")[0]] if "/" in name.strip("/") else root
    if "axis-0" in group:
        _read_hyperspy_axes(path, group, raw, node.shape)
    elif any(f"dim{n}" in group for n in (0, 1)):
        _read_emd_axes(root, group, name, raw, node.shape)
    return raw


def _iterate_arrays(group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    # A link may lead back to a group above it: the depth ends the search.
    for key in group if depth < 12 else ():
        try:
            node = group[key]
        except (KeyError, OSError):  # a link to nowhere
            continue
        if hasattr(node, "keys"):
            yield from _iterate_arrays(node, f"{prefix}{key}/", depth + 1)
        elif hasattr(node, "shape") and hasattr(node, "dtype"):
            yield f"{prefix}{key}", node


def _choose_array(path: Path, root: Any, dataset: str | None) -> str:
    # Text and compound datasets are not patterns.
    arrays = {name: node for name, node in _iterate_arrays(root) if node.dtype.kind in "iufbc"}
    listed = ", ".join(f"{name} {tuple(node.shape)}" for name, node in list(arrays.items())[:8]) or "no array"
    if dataset is not None:
        found = [name for name in arrays if name == dataset.strip("/") or name.startswith(dataset.strip("/") + "/")]
        found = [name for name in found if arrays[name].ndim >= 2] or found
        if len(found) != 1:
            raise ReadError(path, found=f"no single dataset '{dataset}' ({listed})", cure="name one of these")
        return found[0]
    # A map wins over a line of patterns, and an array called data over others, such as stored virtual images.
    for ndim in (4, 3):
        found = [name for name, node in arrays.items() if node.ndim == ndim]
        preferred = [name for name in found if name.rpartition("/")[2] in ("data", "array_data")] or found
        if len(preferred) == 1:
            return preferred[0]
        if preferred:
            cure = f"choose one: open_4dstem(path, dataset='{preferred[0]}')"
            raise ReadError(path, found=f"{len(preferred)} arrays of {ndim} dimensions ({listed})", cure=cure)
    raise ReadError(path, found=f"no scan of patterns ({listed})", cure="give an array (scan_y, scan_x, qy, qx)")


def _make_source(path: Path, node: Any, name: str, zarr: bool) -> Source:
    kind = ZarrSource if zarr else Hdf5Source
    return kind(str(path), tuple(int(n) for n in node.shape), np.dtype(node.dtype), name)


def _read_blocks(node: Any) -> tuple[int, ...] | None:
    chunks = getattr(node, "chunks", None)
    return None if chunks is None else tuple(int(n) for n in chunks)


def _check_complete(path: Path, node: Any, zarr: bool) -> None:
    """Blocks that were never written, or lie beyond the file's end, would be read as zeros."""
    # A zarr store lists no blocks; missing ones are its fill value by definition.
    if zarr or node.size == 0:
        return
    import h5py

    # A missing filter would show only when the first block is read.
    plist = node.id.get_create_plist()
    for number in range(plist.get_nfilters()):
        code, *_, label = plist.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            found = f"data compressed with filter {code} ({label!r}), which h5py lacks"
            raise ReadError(path, found=found, cure="pip install hdf5plugin, import it, and open the file again")
    # A contiguous dataset is complete if all its bytes lie inside the file.
    written = node.id.get_storage_size()
    if node.chunks is None:
        expected = node.size * node.dtype.itemsize
        complete = written == expected and (node.id.get_offset() or 0) + expected <= path.stat().st_size
        # External and virtual datasets keep their bytes in other files.
        complete = complete or bool(node.external) or bool(node.is_virtual)
    else:
        expected = int(np.prod([-(-n // c) for n, c in zip(node.shape, node.chunks, strict=True)]))
        written = node.id.get_num_chunks()
        complete = written == expected
    if not complete:
        found = f"an array {tuple(node.shape)} of which {written} of {expected} blocks or bytes were written"
        raise ReadError(path, found=found, cure="copy the file again, or export the part that was recorded")


def _read_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    value = value[()] if getattr(value, "shape", None) == () else value
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read_number(value: Any) -> float | None:
    try:
        found = float(np.ravel(value[()] if hasattr(value, "dtype") else value)[0])
    except (TypeError, ValueError, IndexError):
        return None
    return found if np.isfinite(found) else None


# ---- HyperSpy (.hspy, .zspy)


def _read_hyperspy_axes(path: Path, group: Any, raw: RawScan, shape: tuple[int, ...]) -> None:
    entries = [dict(group[f"axis-{n}"].attrs) for n in range(len(shape)) if f"axis-{n}" in group]
    sizes = tuple(int(_read_number(entry.get("size", n)) or 0) for entry, n in zip(entries, shape, strict=False))
    if sizes != tuple(shape):
        found = f"data of shape {tuple(shape)} with axes of size {sizes}"
        raise ReadError(path, found=found, cure="copy the file again, or save it again with HyperSpy")
    # HyperSpy marks scan axes with navigate; files of other programs may leave it out.
    signal = [not bool(entry.get("navigate", n < len(shape) - 2)) for n, entry in enumerate(entries)]
    if sum(signal) != 2 or not all(signal[-2:]):
        raw.notes.append("the file does not mark two detector axes: the last two are taken")
    raw.axes = [
        Axis(
            _read_number(entry.get("scale")),
            _read_number(entry.get("offset", 0.0)) or 0.0,
            _read_unit(entry.get("units", "")),
        )
        for entry in entries
    ]
    tem = "metadata/Acquisition_instrument/TEM"
    if tem in group:
        raw.voltage_kv = read_voltage_kv(_read_number(group[tem].attrs.get("beam_energy", "none")))


def _read_unit(value: Any) -> str:
    text = _read_text(value)
    return "" if text in ("_None_", "None", "<undefined>", "t", "undefined") else text


# ---- py4DSTEM and EMD: dim vectors beside the data, a calibration elsewhere in the tree


def _read_emd_axes(root: Any, group: Any, name: str, raw: RawScan, shape: tuple[int, ...]) -> None:
    first = 0 if "dim0" in group else 1
    axes = [_read_vector(group.get(f"dim{n + first}") if hasattr(group, "get") else None) for n in range(len(shape))]
    calibration = _find_calibration(root, name)
    for position, letter in enumerate("RRQQ" if len(shape) == 4 else ""):
        origin_key = ("", "", "qx0_mean", "qy0_mean")[position]
        # Axes of py4DSTEM are R, R, Q, Q: scan rows, scan columns, detector rows, detector columns.
        axes[position] = _apply_calibration(axes[position], calibration, letter, origin_key)
    raw.axes = axes
    # Rotation and mirroring of the detector against the scan change no pattern, but their angles.
    turned = [f"{key} = {calibration[key]}" for key in ("QR_rotation", "QR_flip") if key in calibration]
    if turned:
        raw.notes.append("not applied: " + ", ".join(turned))


def _read_vector(node: Any) -> Axis:
    if node is None or node.ndim != 1 or node.size < 2 or node.dtype.kind not in "iuf":
        return Axis()
    # Two values give the step of a regular axis; some writers store no more.
    head = np.asarray(node[:2], dtype=float)
    return Axis(float(head[1] - head[0]), float(head[0]), _read_text(node.attrs.get("units", "")))


def _apply_calibration(axis: Axis, calibration: Mapping[str, Any], letter: str, origin_key: str) -> Axis:
    """The calibration wins over the dim vector, which keeps its offset when it has one."""
    step = next((_read_number(calibration[key]) for key in _STEP_KEYS[letter] if key in calibration), None)
    unit = next((_read_text(calibration[key]) for key in _UNIT_KEYS[letter] if key in calibration), "")
    if step is None or unit in ("", "pixels", "px"):
        return axis
    # A dim vector with the same step and an offset holds the origin, which the calibration lacks.
    if axis.offset and axis.scale and np.isclose(axis.scale, step, rtol=1e-3):
        return Axis(axis.scale, axis.offset, unit)
    origin = _read_number(calibration[origin_key]) if origin_key in calibration else None
    return Axis(step, 0.0 if origin is None else -origin * step, unit)


def _find_calibration(root: Any, name: str) -> dict[str, Any]:
    """Calibration nearest to the data: looked for in each group above it."""
    parts = name.strip("/").split("/")[:-1]
    # Several data cubes may lie in one file, each with its own calibration.
    for depth in range(len(parts), -1, -1):
        above = "/".join(parts[:depth])
        for place in _CALIBRATIONS:
            full = f"{above}/{place}".strip("/")
            if full in root and hasattr(root[full], "keys"):
                node = root[full]
                items = {key: node[key][()] for key in node if getattr(node[key], "shape", None) == ()}
                return {**dict(node.attrs), **items}
    return {}
