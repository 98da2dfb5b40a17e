"""Files of pystxmcontrol (ALS): counts at measured positions, and from version 2.1 also at the requested ones.

Versions and their layouts: ``pystxmcontrol/utils/writeNX.py`` of github davidalexandershapiro/pystxmcontrol. Every
version writes the dwell in ms; those before 3 call it s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ..file_errors import damaged_file
from ..hdf5_file import contains_hdf5, open_hdf5
from . import nxstxm
from .dwell import convert_to_seconds
from .nexus.axes import read_energies
from .nexus.entries import choose_entry, find_entries
from .nexus.frames import H5Frames
from .nexus.text import decode_text, read_values_and_unit
from .stack import FrameSource, RawStack, StxmOptions, convert_to_nm

NAME = "pystxmcontrol"
EXTENSIONS = (".stxm", ".hdf5", ".h5")
KEEPS = "energies, positions, dwell, title, start time"
OPTIONS = ("entry", "region", "counter", "energies", "step_nm", "axes", "polarisation")
REMOTE = True
CONTENT = "HDF5"
DIALECTS = ("before 2", "2.0: rebinned to the requested positions", "2.1", "3")

# Groups of versions 2.1 and 2.0 that hold the requested positions.
_REQUESTED = ("binned_values", "requested_values")


@dataclass(frozen=True)
class RebinnedFrames(FrameSource):
    """Counts at measured positions of x, averaged into pixels of the requested ones.

    A pixel holds the mean of its readings times the readings per pixel, and NaN where it has none.
    """

    entry: str
    edges: tuple[float, ...]  # of the pixels along x, rising
    falling: bool

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices."""
        try:
            with open_hdf5(self.path) as file:
                group = file[f"{self.entry}/counter0"]
                return np.stack([self._rebin(group["data"][i], group["sample_x"][i]) for i in indices])
        except KeyError as error:
            raise ReadError(self.path, found=f"a changed file ({error})", cure="open it again") from error
        except (OSError, RuntimeError) as error:
            raise damaged_file(self.path, error) from error

    def _rebin(self, counts: NDArray[Any], positions: NDArray[Any]) -> NDArray[np.float64]:
        n_y, n_x = self.shape[1:]
        pixel = np.searchsorted(np.asarray(self.edges), positions, side="right") - 1
        # The stage turns outside the field.
        inside = (pixel >= 0) & (pixel < n_x)
        place = (np.arange(n_y)[:, None] * n_x + pixel)[inside]
        total = np.bincount(place, weights=np.asarray(counts, dtype=np.float64)[inside], minlength=n_y * n_x)
        number = np.bincount(place, minlength=n_y * n_x)
        mean = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        frame = mean.reshape(n_y, n_x) * (counts.shape[-1] / n_x)
        return frame[:, ::-1] if self.falling else frame


def recognise(head: bytes, path: Path) -> bool:
    """Recognise an HDF5 file whose first entry has requested positions, or experimenters and motors."""
    if not contains_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file:
            entry = file.get("entry0")
            return isinstance(entry, h5py.Group) and _is_written_by_it(entry)
    except Exception:  # a damaged file: the reader it goes to says what is wrong
        return False


def _is_written_by_it(entry: h5py.Group) -> bool:
    motors = any(place in entry for place in ("motors", "instrument/motors"))
    return any(place in entry for place in _REQUESTED) or (motors and "experimenters" in entry)


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read an entry of any version; frames are read when computed."""
    with open_hdf5(path) as file:
        entry = choose_entry(path, file, options.entry, options.region)
        requested = next((entry[name] for name in _REQUESTED if isinstance(entry.get(name), h5py.Group)), None)
        raw = None if requested is None else _read_requested(path, entry, requested, options)
        if raw is not None:
            raw.attrs |= {"entry": entry.name.strip("/"), "entries": ", ".join(find_entries(file))}
            return raw
    return _correct_records(nxstxm.read(path, options))


def _correct_records(raw: RawStack) -> RawStack:
    """Correct the dwell, which is in ms whatever its unit; the ring current is a place holder of zeros."""
    kept = {name: values for name, values in raw.per_energy.items() if name not in ("dwell", "ring_current")}
    dwell = raw.per_energy.get("dwell")
    kept |= {} if dwell is None else {"dwell": dwell * 1e-3}
    by_pixel = None if raw.pixel_dwell is None else (raw.pixel_dwell[0], raw.pixel_dwell[1] * 1e-3)
    return replace(raw, per_energy=kept, pixel_dwell=by_pixel, ring_current=None, attrs={**raw.attrs, "format": NAME})


def _read_requested(path: Path, entry: h5py.Group, requested: h5py.Group, options: StxmOptions) -> RawStack:
    """Read versions 2.0 and 2.1: the counts at the requested positions."""
    if options.counter not in (None, "counter0"):
        found = f"the counters ['counter0'], but not '{options.counter}'"
        raise ReadError(path, found=found, cure="choose counter= from the list")
    needless = [name for name in ("axes", "polarisation") if getattr(options, name) is not None]
    if needless:
        found = f"a file of {NAME} before version 3, which takes no {needless[0]}="
        raise ReadError(path, found=found, cure="leave that argument out")
    counter = entry["counter0"]
    scan_type = decode_text(counter.get("stxm_scan_type"))
    if "image" not in scan_type.lower():
        raise ReadError(path, found=f"a scan of type '{scan_type}'", cure="give an image or an image stack")
    axis = counter.get("energy")
    energy = options.energies if options.energies is not None else read_energies(path, axis, counter["data"].shape)
    (x, note_x), (y, note_y) = (
        convert_to_nm(path, name, *read_values_and_unit(requested.get(name))) for name in ("sample_x", "sample_y")
    )
    if x is None or y is None:
        raise ReadError(path, found="no requested positions", cure="export the stack with pystxmcontrol again")
    times = counter.get("count_time")
    seconds = convert_to_seconds(np.ravel(times[()]), "ms") if isinstance(times, h5py.Dataset) else None
    return RawStack(
        frames=_find_frames(path, entry, requested, (energy.size, y.size, x.size)),
        energy=energy,
        y=y if options.step_nm is None else None,
        x=x if options.step_nm is None else None,
        per_energy={} if seconds is None or seconds.size != energy.size else {"dwell": seconds},
        comments=[note_x, note_y],
        attrs={
            "format": NAME,
            "counter": "counter0",
            "counters": "counter0",
            **{key: text for key in ("title", "start_time") if (text := decode_text(entry.get(key)))},
        },
    )


def _find_frames(path: Path, entry: h5py.Group, requested: h5py.Group, shape: tuple[int, int, int]) -> FrameSource:
    """Counts at the requested positions as the file has them, else rebinned from the measured positions."""
    binned = requested.get("data")
    if isinstance(binned, h5py.Dataset) and binned.shape == shape:
        dtype = np.dtype(binned.dtype).newbyteorder("=")
        frames = H5Frames(path=path, shape=shape, dtype=dtype, dataset=binned.name, order=("energy", "y", "x"))
        # The program fills them in only where its window was open.
        if np.any(frames.read_some()):
            return frames
    counts, positions = entry["counter0/data"], entry.get("counter0/sample_x")
    lines_up = isinstance(positions, h5py.Dataset) and positions.shape == counts.shape
    if counts.ndim != 3 or counts.shape[:2] != shape[:2] or not lines_up:
        found = f"counts of shape {counts.shape} for {shape} requested (energy, y, x), and none at those"
        raise ReadError(path, found=found, cure="open the file in pystxmcontrol and save it with binned values")
    x = np.asarray(requested["sample_x"][()], dtype=np.float64).ravel()
    falling = bool(x[-1] < x[0])
    rising = x[::-1] if falling else x
    middle = (rising[1:] + rising[:-1]) / 2
    half = (rising[-1] - rising[0]) / max(1, rising.size - 1) / 2
    edges = (rising[0] - half, *middle, rising[-1] + half)
    return RebinnedFrames(
        path=path,
        shape=shape,
        dtype=np.dtype(np.float64),
        entry=entry.name,
        edges=tuple(float(edge) for edge in edges),
        falling=falling,
    )
