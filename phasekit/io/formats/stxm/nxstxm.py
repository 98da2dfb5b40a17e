"""NXstxm and its dialects (PolLux, MAXYMUS, SoftiMAX, CLS, HERMES): a counter, its axes and what lies beside it.

Nothing here relies on a beamline's name. A stated order of the axes is used only if their lengths agree with it.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ..hdf5_file import contains_hdf5, open_hdf5
from .nexus.axes import find_axis, find_role, read_axis_orders, read_energies, select_axis_order
from .nexus.dwell import find_dwell
from .nexus.entries import choose_counter, choose_entry, find_counters, find_entries, find_signal
from .nexus.frames import H5Frames
from .nexus.monitors import read_monitors, read_one_current
from .nexus.text import decode_text, read_unit, read_values_and_unit
from .polarisation import fix_extra_axes, read_polarisations, select_polarisation
from .stack import RawStack, StxmOptions, convert_to_nm

NAME = "NXstxm"
EXTENSIONS = (".hdf5", ".h5", ".nxs", ".hdf", ".stxm")
KEEPS = "energies, positions, dwell, ring current, read-back energy, title, start time"
OPTIONS = ("entry", "region", "counter", "energies", "step_nm", "axes", "polarisation")
REMOTE = True
CONTENT = "HDF5"
DIALECTS = (
    "PolLux",
    "MAXYMUS",
    "SoftiMAX",
    "CLS",
    "HERMES",
    "pystxmcontrol from version 3",
    "axes numbered before NXstxm",
)

# Scans that are no images of a plane, by words in the name of their kind.
_OTHER_SCANS = ("line", "point", "focus", "single motor")


def recognise(head: bytes, path: Path) -> bool:
    """Recognise any HDF5 file that phasekit did not write; :func:`read` says what is missing in a foreign one."""
    return contains_hdf5(path)


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read the axes of a stack or single image; the file is closed again, and frames are read when computed."""
    with open_hdf5(path) as file:
        entry = choose_entry(path, file, options.entry, options.region)
        counter = choose_counter(path, entry, options.counter)
        signal = find_signal(path, counter)
        _check_scan_type(path, counter)
        order, fixed, axes, comments = _read_axes(path, entry, counter, signal, options)
        raw = _read_counter(path, entry, counter, signal, (order, fixed))
        raw.energy, raw.y, raw.x, raw.comments = axes["energy"], axes["y"], axes["x"], comments
        raw.stated = _read_units(entry, counter, options)
        values = read_polarisations(entry, counter)
    # An axis of polarisations is fixed by now.
    if any(name.startswith("polarisation") for name, _ in fixed):
        return raw
    return select_polarisation(path, raw, values, options.polarisation)


def _check_scan_type(path: Path, counter: h5py.Group) -> None:
    """Refuse line, point and focus scans: they have other axes, and as a stack they would have the wrong shape."""
    scan_type = decode_text(counter.get("stxm_scan_type"))
    axes = " ".join(decode_text(name) for name in np.ravel(np.asarray(counter.attrs.get("axes", ""))))
    if any(word in scan_type.lower() for word in _OTHER_SCANS) or "line_position" in axes:
        raise ReadError(path, found=f"a scan of type '{scan_type or 'line'}'", cure="give an image or an image stack")


def _read_counter(
    path: Path,
    entry: h5py.Group,
    counter: h5py.Group,
    signal: h5py.Dataset,
    layout: tuple[tuple[str, ...], tuple[tuple[str, int], ...]],
) -> RawStack:
    """Frames and records of a counter, whose axes are in this order and fixed so; the caller adds the axes."""
    order, fixed = layout
    by_role = dict(zip(order, signal.shape, strict=True))
    frames = H5Frames(
        path=path,
        shape=(by_role.get("energy", 1), by_role["y"], by_role["x"]),
        # Native byte order: numba and torch refuse the other one.
        dtype=np.dtype(signal.dtype).newbyteorder("="),
        dataset=signal.name,
        order=order,
        fixed=fixed,
    )
    dwell = find_dwell(entry, counter, signal.shape, order)
    per_energy: dict[str, Any] = dict(read_monitors(path, entry, frames))
    if dwell.by_energy is not None:
        per_energy["dwell"] = dwell.by_energy
    times = None if dwell.by_pixel is None else replace(frames, dataset=dwell.by_pixel, dtype=np.dtype(np.float64))
    return RawStack(
        frames=frames,
        energy=np.empty(0),
        y=None,
        x=None,
        per_energy=per_energy,
        attrs=_read_attributes(entry, counter),
        unit=read_unit(signal),
        pixel_dwell=None if times is None else (times, dwell.to_seconds),
        ring_current=read_one_current(entry),
    )


def _read_axes(
    path: Path, entry: h5py.Group, counter: h5py.Group, signal: h5py.Dataset, options: StxmOptions
) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], dict[str, Any], list[str]]:
    """Order of all axes, those that are fixed at an index, values of energy [eV], y and x [nm], and remarks."""
    chosen = None if options.axes is None else tuple(find_role(name) for name in options.axes)
    if chosen is not None and len(chosen) != signal.ndim:
        found = f"data of shape {signal.shape} for axes={options.axes}"
        raise ReadError(path, found=found, cure="name every axis of the data")
    stated = [{role: i for i, role in enumerate(chosen)}] if chosen else read_axis_orders(counter, signal)
    polarisations = read_polarisations(entry, counter)
    extra = fix_extra_axes(path, signal.shape, stated, polarisations, options.polarisation)
    kept = [i for i in range(signal.ndim) if i not in extra.names]
    shape = tuple(signal.shape[i] for i in kept)
    places = [{role: kept.index(i) for role, i in one.items() if i in kept} for one in stated]
    axes, notes, sizes = _read_positions(path, counter, options)
    # Given energies replace wrong ones, so those of the file are not even read.
    given = options.energies
    axes["energy"] = given if given is not None else read_energies(path, find_axis(entry, counter, "energy"), shape)
    sizes["energy"] = axes["energy"].size
    usual = None if chosen is None else tuple(role for i, role in enumerate(chosen) if i in kept)
    order, note = select_axis_order(path, shape, places, sizes, usual, may_replace=options.step_nm is not None)
    names = {**dict(zip(kept, order, strict=True)), **{i: f"{name} {i}" for i, name in extra.names.items()}}
    fixed = tuple((f"{name} {i}", extra.place[i]) for i, name in extra.names.items())
    return tuple(names[i] for i in range(signal.ndim)), fixed, axes, [*notes, note]


def _read_positions(
    path: Path, counter: h5py.Group, options: StxmOptions
) -> tuple[dict[str, Any], list[str], dict[str, int | None]]:
    """Positions of y and x [nm], None where the caller gives the step; remarks; and the numbers of positions."""
    axes: dict[str, Any] = {"y": None, "x": None}
    sizes: dict[str, int | None] = {"energy": None, "y": None, "x": None}
    notes = []
    for role in axes:
        values, unit = read_values_and_unit(find_axis(counter, counter, role))
        if values is not None and values.ndim > 1:
            values = _average_positions(values)
        # Their number tells the axes apart also where a step replaces them.
        sizes[role] = None if values is None else int(np.size(values))
        if options.step_nm is None:
            axes[role], note = convert_to_nm(path, f"sample_{role}", values, unit)
            notes.append(note)
    return axes, notes, sizes


def _average_positions(values: NDArray[Any]) -> NDArray[np.float64]:
    """Positions along one axis from those of every pixel: means of the first frame, along the axis they vary on."""
    frame = np.asarray(values, dtype=np.float64).reshape(-1, *values.shape[-2:])[0]
    means = [frame.mean(axis=0), frame.mean(axis=1)]
    return max(means, key=np.ptp)


def _read_units(entry: h5py.Group, counter: h5py.Group, options: StxmOptions) -> dict[str, str | None]:
    """Units as the file writes them, None where it writes none; what the caller gives has none in the file."""
    found = {role: find_axis(entry, counter, role) for role in ("energy", "y", "x")}
    units = {role: read_unit(axis) or None for role, axis in found.items() if axis}
    return {role: unit for role, unit in units.items() if role != "energy" or options.energies is None}


def _read_attributes(entry: h5py.Group, counter: h5py.Group) -> dict[str, Any]:
    """Format, chosen entry and counter with the others to choose from, title and time."""
    return {
        "format": "NXstxm" if "NXstxm" in decode_text(entry.get("definition")) else "HDF5",
        "entry": entry.name.strip("/"),
        "entries": ", ".join(find_entries(entry.file)),
        "counter": counter.name.rsplit("/", maxsplit=1)[-1],
        "counters": ", ".join(name for name, _ in find_counters(entry)),
        **{key: text for key in ("title", "start_time") if (text := decode_text(entry.get(key)))},
    }
