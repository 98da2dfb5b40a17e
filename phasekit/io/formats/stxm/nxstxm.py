"""NXstxm and its dialects (PolLux, MAXYMUS, SoftiMAX, CLS, HERMES): find the counter, its axes and their order.

Nothing here relies on a beamline's name. Entries are groups of class NXentry; where no class is written, they are
groups that hold counters. Counters are NXdata groups, or groups with a ``data`` array. A stated order of the axes is
used only if their lengths agree with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from ....errors import ReadError
from ..hdf5_file import contains_hdf5
from .nexus_axes import (
    ENERGY,
    decode_text,
    find_axis,
    read_axis_order,
    read_energies,
    read_values_and_unit,
    select_axis_order,
)
from .nexus_dwell import find_dwell
from .stack import FrameSource, RawStack, StxmOptions, convert_to_nm

NAME = "NXstxm"
EXTENSIONS = (".hdf5", ".h5", ".nxs", ".hdf", ".stxm")
KEEPS = "energies, positions, dwell, ring current, read-back energy, title, start time"
OPTIONS = ("entry", "region", "counter", "energies", "step_nm")
CONTENT = "HDF5"
DIALECTS = ("PolLux", "MAXYMUS", "SoftiMAX", "CLS", "HERMES", "axes numbered before NXstxm")

# Groups beside the counters: monitors, motors and metadata.
_NOT_COUNTERS = ("control", "collection", "instrument", "sample", "user", "monitor", "process", "title", *ENERGY)
# Names of transmission detectors, the most common first.
_USUAL_COUNTERS = ("counter0", "apd", "pmt", "counter1", "diode")
# Names of the counts in groups that do not state their signal.
_SIGNALS = ("data", "counts", "signal")
_EMPTY = np.empty(0)


@dataclass(frozen=True)
class H5Frames(FrameSource):
    """Frames of one HDF5 dataset; ``order`` names its axes, a part of ``("energy", "y", "x")``."""

    dataset: str
    order: tuple[str, ...]

    def read_some(self) -> NDArray[Any]:
        """Read the middle row of the first frame."""
        with h5py.File(self.path, "r") as file:
            signal = file[self.dataset]
            place = {"energy": 0, "y": self.shape[1] // 2}
            return np.asarray(signal[tuple(place.get(axis, slice(None)) for axis in self.order)])

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices; the file is opened and closed here."""
        try:
            with h5py.File(self.path, "r") as file:
                frames = _select_frames(file[self.dataset], self.order, indices)
        except (OSError, KeyError, RuntimeError, ValueError) as error:
            raise ReadError(
                self.path,
                found=f"'{self.dataset}' unreadable at frames {indices[:1]} ({error})",
                cure="copy the file again",
            ) from error
        return frames


def _select_frames(dataset: h5py.Dataset, order: tuple[str, ...], indices: Sequence[int]) -> NDArray[Any]:
    # A single image has two axes and becomes a stack of one frame.
    if "energy" not in order:
        return np.asarray(dataset[()]).transpose([order.index(a) for a in ("y", "x")])[None][list(indices)]
    axis = order.index("energy")
    # One slice is read, because h5py is slow with lists of indices.
    low, high = min(indices), max(indices) + 1
    block = dataset[tuple(slice(low, high) if i == axis else slice(None) for i in range(len(order)))]
    frames = np.asarray(block).transpose([order.index(a) for a in ("energy", "y", "x")])
    return frames[[i - low for i in indices]]


def recognise(head: bytes, path: Path) -> bool:
    """Recognise any HDF5 file that phasekit did not write; :func:`read` says what is missing in a foreign one."""
    return contains_hdf5(path)


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read the axes of a stack or single image; the file is closed again, and frames are read when computed."""
    with h5py.File(path, "r") as file:
        entry = _choose_entry(path, file, options.entry, options.region)
        counter = _choose_counter(path, entry, options.counter)
        return _read_counter(path, entry, counter, options.energies)


def _read_counter(path: Path, entry: h5py.Group, counter: h5py.Group, energies: NDArray[np.float64] | None) -> RawStack:
    signal = _find_signal(counter)
    shape = signal.shape
    scan_type = decode_text(counter.get("stxm_scan_type"))
    declared = read_axis_order(counter, signal)
    # Line and point scans have other axes; as a stack they would have the wrong shape.
    if "line" in scan_type.lower() or "point" in scan_type.lower() or "line_position" in declared:
        raise ReadError(path, found=f"a scan of type '{scan_type or 'line'}'", cure="give an image or an image stack")
    axes = {role: find_axis(path, entry, counter, role) for role in ("energy", "y", "x")}
    # Given energies replace wrong ones, so those of the file are not even read.
    energy = energies if energies is not None else read_energies(path, axes["energy"], shape)
    y, note_y = convert_to_nm(path, "sample_y", *read_values_and_unit(axes["y"]))
    x, note_x = convert_to_nm(path, "sample_x", *read_values_and_unit(axes["x"]))
    sizes = {"energy": energy.size, "y": _count_values(y), "x": _count_values(x)}
    order, note = select_axis_order(path, shape, declared, sizes)
    by_role = dict(zip(order, shape, strict=True))
    frames = H5Frames(
        path=path,
        shape=(by_role.get("energy", 1), by_role["y"], by_role["x"]),
        # Native byte order: numba and torch refuse the other one.
        dtype=np.dtype(signal.dtype).newbyteorder("="),
        dataset=signal.name,
        order=order,
    )
    dwell = find_dwell(entry, counter, signal.shape, order)
    per_energy = _read_monitors(path, entry, frames)
    times = None if dwell.by_pixel is None else replace(frames, dataset=dwell.by_pixel, dtype=np.dtype(np.float64))
    by_pixel = None if times is None else (times, dwell.to_seconds)
    return RawStack(
        frames=frames,
        energy=energy,
        y=y,
        x=x,
        per_energy=per_energy if dwell.by_energy is None else {**per_energy, "dwell": dwell.by_energy},
        comments=[note_y, note_x, note],
        attrs=_read_attributes(entry, counter),
        unit=decode_text(signal.attrs.get("units")).strip(),
        pixel_dwell=by_pixel,
    )


def _read_attributes(entry: h5py.Group, counter: h5py.Group) -> dict[str, Any]:
    """Format, chosen entry and counter with the others to choose from, title and time."""
    return {
        "format": "NXstxm" if "NXstxm" in decode_text(entry.get("definition")) else "HDF5",
        "entry": entry.name.strip("/"),
        "entries": ", ".join(_find_entries(entry.file)),
        "counter": counter.name.rsplit("/", maxsplit=1)[-1],
        "counters": ", ".join(name for name, _ in _find_counters(entry)),
        **{key: text for key in ("title", "start_time") if (text := decode_text(entry.get(key)))},
    }


# ---- entries and counters


def _read_class(group: Any) -> str:
    return decode_text(group.attrs.get("NX_class"))


def _iterate_groups(parent: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Iterate over subgroups; links to nowhere or out of the file are skipped."""
    for name in parent:
        # Resolving an external link would open another file, which need not exist.
        link = parent.get(name, getlink=True)
        child = None if isinstance(link, h5py.ExternalLink) else parent.get(name)
        if isinstance(child, h5py.Group):
            yield name, child


def _find_entries(file: h5py.File) -> list[str]:
    groups = [(name, group) for name, group in _iterate_groups(file) if _find_counters(group)]
    # Groups of class NXentry win; HERMES writes no classes at all.
    classed = [name for name, group in groups if _read_class(group) == "NXentry"]
    return classed or [name for name, _ in groups]


def _find_counters(entry: h5py.Group) -> list[tuple[str, h5py.Group]]:
    """Find groups with a numeric signal of 2 to 4 dimensions; only those of class NXdata if there are any."""
    found = [
        (name, group)
        for name, group in _iterate_groups(entry)
        if name.lower() not in _NOT_COUNTERS
        and _read_class(group) in ("", "NXdata")
        and _find_signal(group) is not None
    ]
    # Monitors may look like counters, but only counters have the class NXdata.
    classed = [(name, group) for name, group in found if _read_class(group) == "NXdata"]
    return classed or found


def _find_signal(group: h5py.Group) -> Any:
    for name in (decode_text(group.attrs.get("signal")), *_SIGNALS):
        child = group.get(name) if name else None
        if isinstance(child, h5py.Dataset) and 2 <= child.ndim <= 4 and child.dtype.kind in "iuf":
            return child
    return None


def _choose_entry(path: Path, file: h5py.File, entry: str | None, region: int | None) -> h5py.Group:
    names = _find_entries(file)
    if not names:
        raise ReadError(
            path,
            found=f"an HDF5 file without an STXM counter (its groups: {', '.join(list(file)[:6]) or 'none'})",
            cure="give a NXstxm file with an image or stack; phasekit's own results open with pk.io.load",
        )
    if entry is not None and entry.strip("/") in names:
        return file[entry]
    if entry is None and region is not None and 0 <= region < len(names):
        return file[names[region]]
    if entry is None and region is None and len(names) == 1:
        return file[names[0]]
    # Sizes help to recognise the region that is wanted.
    listed = ", ".join(f"'{name}' {_find_signal(_find_counters(file[name])[0][1]).shape}" for name in names)
    asked = f", but not entry={entry!r}, region={region}" if (entry, region) != (None, None) else ""
    raise ReadError(
        path,
        found=f"{len(names)} entries: {listed}{asked}",
        cure=f"choose one, e.g. open_stxm(..., entry='{names[0]}')",
    )


def _choose_counter(path: Path, entry: h5py.Group, counter: str | None) -> h5py.Group:
    """Choose the counter of that name, else the entry's default, else a usual name, else the first."""
    counters = dict(_find_counters(entry))
    if counter is not None and counter not in counters:
        raise ReadError(
            path, found=f"the counters {list(counters)}, but not '{counter}'", cure="choose counter= from the list"
        )
    # The first of two names that differ in capitals counts.
    by_lower = {name.lower(): name for name in reversed(counters)}
    usual = [by_lower[name] for name in _USUAL_COUNTERS if name in by_lower]
    default = decode_text(entry.attrs.get("default"))
    ranked = [counter, default if default in counters else None, *usual, *counters]
    return counters[next(name for name in ranked if name)]


def _read_monitors(path: Path, entry: h5py.Group, frames: H5Frames) -> dict[str, da.Array]:
    """Means of ring current and read-back energy over each frame, computed lazily; NaN where never recorded."""
    out = {}
    for name, variable in (("control", "ring_current"), ("energy", "energy_readback")):
        group = entry.get(name)
        data = group.get("data") if isinstance(group, h5py.Group) else None
        # Both monitors are optional.
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf":
            continue
        by_role = dict(zip(("energy", "y", "x"), frames.shape, strict=True))
        # A monitor is recorded for every pixel or once for every frame.
        order = next((o for o in (frames.order, ("energy",)) if data.shape == tuple(by_role[a] for a in o)), None)
        if order is not None:
            mean = delayed(_compute_frame_means, pure=True)(path, data.name, order)
            out[variable] = da.from_delayed(mean, (frames.shape[0],), np.float64, _EMPTY)  # type: ignore[no-untyped-call]
    return out


def _compute_frame_means(path: Path, dataset: str, order: tuple[str, ...]) -> NDArray[np.float64]:
    with h5py.File(path, "r") as file:
        # Read when computed only: a monitor is as large as the stack.
        values = np.asarray(file[dataset][()], dtype=np.float64)
    values = values if "energy" in order else values[None]
    axis = order.index("energy") if "energy" in order else 0
    flat = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    # Gaps in the record are NaN; np.nanmean would warn for frames without any value.
    seen = np.isfinite(flat)
    count = seen.sum(axis=1)
    total = np.where(seen, flat, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _count_values(values: NDArray[np.float64] | None) -> int | None:
    return None if values is None else values.size
