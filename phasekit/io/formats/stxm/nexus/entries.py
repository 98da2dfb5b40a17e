"""Entries and counters of a NeXus file: which there are, and which one is meant.

Nothing here relies on a beamline's name. Entries are groups of class NXentry; where no class is written, they are
groups that hold counters. Counters are NXdata groups, or groups with a ``data`` array.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .....errors import ReadError
from ...hdf5_links import check_virtual
from .axes import ENERGY
from .text import decode_text, sort_naturally

# Groups beside the counters: monitors, motors and metadata.
_NOT_COUNTERS = ("control", "collection", "instrument", "sample", "user", "monitor", "process", "title", *ENERGY)
# Names of transmission detectors, the most common first.
_USUAL_COUNTERS = ("counter0", "apd", "pmt", "counter1", "diode")
# Names of the counts in groups that do not state their signal.
_SIGNALS = ("data", "counts", "signal")


def _read_class(group: Any) -> str:
    return decode_text(group.attrs.get("NX_class"))


def _iterate_groups(parent: h5py.Group) -> Iterator[tuple[str, h5py.Group]]:
    """Iterate over subgroups in the order of their numbers; links to nowhere or out of the file are skipped."""
    for name in sort_naturally(list(parent)):
        # Resolving an external link would open another file, which need not exist.
        link = parent.get(name, getlink=True)
        child = None if isinstance(link, h5py.ExternalLink) else parent.get(name)
        if isinstance(child, h5py.Group):
            yield name, child


def find_entries(file: h5py.File) -> list[str]:
    """Find the entries that hold counters, in the order of the numbers in their names."""
    groups = [(name, group) for name, group in _iterate_groups(file) if find_counters(group)]
    # Groups of class NXentry win; HERMES writes no classes at all.
    classed = [name for name, group in groups if _read_class(group) == "NXentry"]
    return classed or [name for name, _ in groups]


def find_counters(entry: h5py.Group) -> list[tuple[str, h5py.Group]]:
    """Find groups with a numeric signal of 2 to 4 dimensions; only those of class NXdata if there are any."""
    found = [
        (name, group)
        for name, group in _iterate_groups(entry)
        if name.lower() not in _NOT_COUNTERS and _read_class(group) in ("", "NXdata") and _list_signals(group)
    ]
    # Monitors may look like counters, but only counters have the class NXdata.
    classed = [(name, group) for name, group in found if _read_class(group) == "NXdata"]
    return classed or found


def find_signal(path: Path, group: h5py.Group) -> h5py.Dataset:
    """Find the counts of a counter, and refuse a group that names two."""
    named = decode_text(group.attrs.get("signal"))
    marked = _list_marked(group)
    # The attribute of the group and the mark of the dataset are two ways to say the same.
    both = list(dict.fromkeys([name for name in (named, *marked) if _is_signal(group.get(name) if name else None)]))
    if len(both) > 1:
        where = group.name.strip("/")
        raise ReadError(
            path,
            found=f"two signals in '{where}': {both[0]!r} by its attribute, {both[1]!r} by a mark",
            cure=f"write the right name into the attribute 'signal' of '{where}'",
        )
    found = _list_signals(group)
    usual = list(dict.fromkeys(dataset.name.rsplit("/", maxsplit=1)[-1] for dataset in found))
    if named and not both and len(usual) > 1:
        raise ReadError(
            path,
            found=f"a signal '{named}' that is not there, beside {usual} in '{group.name.strip('/')}'",
            cure=f"write the right name into the attribute 'signal' of '{group.name.strip('/')}'",
        )
    check_virtual(path, found[0])
    return found[0]


def _list_signals(group: h5py.Group) -> list[h5py.Dataset]:
    names = [decode_text(group.attrs.get("signal")), *_list_marked(group), *_SIGNALS]
    return [group[name] for name in names if name and _is_signal(group.get(name))]


def _is_signal(child: Any) -> bool:
    return isinstance(child, h5py.Dataset) and 2 <= child.ndim <= 4 and child.dtype.kind in "iuf"


def _list_marked(group: h5py.Group) -> list[str]:
    """Names of the datasets that say they are the signal, as files before NXdata's attribute ``signal`` do."""
    # Resolving an external link would open another file, which need not exist.
    local = [name for name in group if not isinstance(group.get(name, getlink=True), h5py.ExternalLink)]
    marks = {name: group[name].attrs.get("signal") for name in local if _is_signal(group.get(name))}
    return [name for name, mark in marks.items() if decode_text(np.asarray(mark)).strip() == "1"]


def choose_entry(path: Path, file: h5py.File, entry: str | None, region: int | None) -> h5py.Group:
    """Choose the entry of that name, or of that place in the natural order."""
    names = find_entries(file)
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
    listed = ", ".join(f"'{name}' {_list_signals(find_counters(file[name])[0][1])[0].shape}" for name in names)
    asked = f", but not entry={entry!r}, region={region}" if (entry, region) != (None, None) else ""
    raise ReadError(
        path,
        found=f"{len(names)} entries: {listed}{asked}",
        cure=f"choose one, e.g. open_stxm(..., entry='{names[0]}'), or by its place from 0 with region=",
    )


def choose_counter(path: Path, entry: h5py.Group, counter: str | None) -> h5py.Group:
    """Choose the counter of that name, else the entry's default, else a usual name, else the first."""
    counters = dict(find_counters(entry))
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
