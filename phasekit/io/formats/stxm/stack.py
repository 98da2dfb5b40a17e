"""What every STXM reader returns, and the one place that makes it a STACK: axes, units, lazy blocks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray

from ....errors import ReadError
from .dwell import describe_unit, find_count_factor
from .positions import check_length, make_axis
from .units import find_unit_factor

#: Largest block of a lazy stack [bytes]; whole frames, at least one.
BLOCK_BYTES = 32 * 2**20

# Factors to nm, and below to eV, by the unit in lower case.
_NM = {
    "m": 1e9,
    "meter": 1e9,
    "metre": 1e9,
    "mm": 1e6,
    "cm": 1e7,
    **dict.fromkeys(("inch", "inches", "in"), 25.4e6),
    "nm": 1.0,
    "pm": 1e-3,
    "a": 0.1,
    "angstrom": 0.1,
    **dict.fromkeys(("um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres"), 1e3),
}
_EV = {"ev": 1.0, "kev": 1e3, "mev": 1e-3, "j": 1 / 1.602176634e-19}


class StxmOptions(NamedTuple):
    """Arguments of ``open_stxm`` that a format may take; None where not given."""

    entry: str | None = None
    region: int | None = None
    counter: str | None = None
    energies: NDArray[np.float64] | None = None  # [eV]
    step_nm: tuple[float, float] | None = None  # of scan_y and scan_x
    axes: tuple[str, ...] | None = None  # order of the axes in the file
    polarisation: float | str | None = None
    missing_frames: str | None = None  # "nan": frames without a file are NaN


@dataclass(frozen=True)
class FrameSource(ABC):
    """Frames of a file that are read when dask asks for them.

    No file stays open, so the source can be pickled and sent to a worker. Subclasses implement :meth:`read`.
    """

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    ndim = 3
    frame_per_block = False  # True: one frame in each block, for formats where a frame is a file
    reads_some = False  # True: `read_some` is quick however large the file is

    @abstractmethod
    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices, shape ``(len(indices), n_y, n_x)``."""

    def read_some(self) -> NDArray[Any]:
        """Some values of the first frame, from which counts are told from rates."""
        return self.read([0])

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[Any]:
        first, *rest = key
        indices = np.arange(self.shape[0])[first]
        # dask asks for a slice of frames, or for one.
        frames = self.read([int(i) for i in np.atleast_1d(indices)])
        if frames.shape[1:] != self.shape[1:]:
            raise ReadError(
                self.path,
                found=f"frames of {frames.shape[1:]} pixels where {self.shape[1:]} was announced",
                cure="open it again if it was written meanwhile, or leave the frame of an interrupted scan out",
            )
        frames = np.asarray(frames, dtype=self.dtype)
        return frames[(slice(None), *rest)] if np.ndim(indices) else frames[(0, *rest)]

    def to_dask(self) -> da.Array:
        """Dask array of all frames, in blocks of whole frames."""
        n_energy, n_y, n_x = self.shape
        per_block = (
            1 if self.frame_per_block else max(1, BLOCK_BYTES // max(1, prod(self.shape[1:]) * self.dtype.itemsize))
        )
        # The name holds time and size of the file: dask would take a rewritten file for the old one.
        stat = self.path.stat()
        return da.from_array(  # type: ignore[no-untyped-call]
            self,
            chunks=(min(n_energy, per_block), n_y, n_x),
            name=f"stxm-{tokenize(self, stat.st_mtime_ns, stat.st_size)}",
            fancy=False,
            meta=np.empty((0, 0, 0), dtype=self.dtype),
        )


@dataclass
class RawStack:
    """A stack as a reader found it: ``frames(energy, y, x)``, energies in eV, positions in nm (None: unknown).

    ``per_energy`` holds the dwell [s] of the frames as ``dwell``, ``pixel_dwell`` that of every pixel in the unit of
    its file with the factor to seconds, and ``unit`` what the file says about the values of the frames. ``stated``
    holds the units of ``energy``, ``y`` and ``x`` as the file writes them, None where it writes none.
    """

    frames: FrameSource
    energy: NDArray[np.float64]
    y: NDArray[np.float64] | None
    x: NDArray[np.float64] | None
    per_energy: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    attrs: dict[str, Any] = field(default_factory=dict)
    unit: str = ""
    pixel_dwell: tuple[FrameSource, float] | None = None
    stated: dict[str, str | None] = field(default_factory=dict)
    ring_current: float | None = None  # [mA] one value, where those of all frames are read later
    full_field: bool = False  # all pixels of a frame are measured at once


def find_length_factor(unit: str | None) -> float | None:
    """Factor from a length unit to nm; None when there is no unit, NaN when it is unknown.

    Examples
    --------
    >>> find_length_factor("µm"), find_length_factor(" "), find_length_factor("parsec")
    (1000.0, None, nan)
    """
    return find_unit_factor(unit, _NM)


def find_energy_factor(unit: str | None) -> float | None:
    """Factor from an energy unit to eV; None when there is no unit, NaN when it is unknown.

    Examples
    --------
    >>> find_energy_factor("keV"), find_energy_factor(None), find_energy_factor("nm")
    (1000.0, None, nan)
    """
    return find_unit_factor(unit, _EV)


def convert_to_ev(path: Path, values: NDArray[Any], unit: str | None) -> NDArray[np.float64]:
    """Convert energies to eV, and refuse what cannot be photon energies of a soft X-ray stack."""
    factor = find_energy_factor(unit)
    if factor is not None and np.isnan(factor):
        raise ReadError(path, found=f"photon energies in '{unit}'", cure="give them in eV with energies=[...]")
    energy = np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel() * (factor or 1.0)
    if energy.size == 0 or not np.isfinite(energy).all() or (energy <= 0).any():
        raise ReadError(
            path,
            found=f"photon energies that are not all positive numbers ({_show_first(energy)})",
            cure="give one energy per frame in eV with energies=[...]",
        )
    # below 20 eV there is no soft X-ray edge, so the numbers are most likely keV
    if factor is None and energy.max() < 20:
        raise ReadError(
            path,
            found=f"photon energies of {_show_first(energy)} without a unit, too small for eV (keV perhaps)",
            cure="give them in eV with energies=[...]",
        )
    return energy


def convert_to_nm(
    path: Path, name: str, values: NDArray[Any] | None, unit: str | None
) -> tuple[NDArray[np.float64] | None, str]:
    """Convert positions to nm; a remark says what had to be assumed."""
    if values is None:
        return None, ""
    factor = find_length_factor(unit)
    if factor is not None and np.isnan(factor):
        raise ReadError(
            path, found=f"'{name}' in '{unit}'", cure="give step_nm=<step in nm>, or set its units to um or nm"
        )
    # Files without a unit, such as those of HERMES, are in micrometres.
    position = np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel() * (factor or 1e3)
    return position, "" if factor is not None else f"unit of {name} not said, um assumed"


def build_stack(raw: RawStack, path: Path, step_nm: tuple[float, float] | None) -> xr.Dataset:
    """Dataset with ascending axes from what a reader found. Sizes are checked; no frame is read."""
    step = step_nm or (None, None)
    n_energy, n_y, n_x = raw.frames.shape
    if 0 in raw.frames.shape:
        raise ReadError(path, found=f"an empty stack, shape {raw.frames.shape}", cure="choose another file or region")
    check_length(path, "energy", raw.energy, n_energy)
    factor = _find_count_factor(raw)
    comments = [*raw.comments, describe_unit(raw.unit, factor)]
    y, note_y = make_axis(path, "scan_y", raw.y, n_y, step[0])
    x, note_x = make_axis(path, "scan_x", raw.x, n_x, step[1])
    data = xr.Dataset(
        {"intensity": (("energy", "scan_y", "scan_x"), raw.frames.to_dask())},
        coords={"energy": raw.energy, "scan_y": y, "scan_x": x},
        attrs=raw.attrs,
    )
    for name, values in raw.per_energy.items():
        check_length(path, name, values, n_energy)
        data[name] = ("energy", values)
    if raw.pixel_dwell is not None:
        data = _add_pixel_dwell(data, *raw.pixel_dwell)
    if factor is not None:
        dwell = data["pixel_dwell"] if "pixel_dwell" in data else data["dwell"]
        data["intensity"] = data["intensity"] * (factor * dwell)
    data["intensity"].attrs["comment"] = "; ".join(dict.fromkeys(c for c in comments if c))
    for name, note in (("scan_y", note_y), ("scan_x", note_x)):
        data[name].attrs = {"units": "nm", "long_name": name.replace("_", " "), **({"comment": note} if note else {})}
    data["energy"].attrs = {"units": "eV", "long_name": "photon energy"}
    return _sort_axes(data)


def _find_count_factor(raw: RawStack) -> float | None:
    """Factor of values per second, see :func:`find_count_factor`; a few values of one frame are read."""
    dwell = raw.per_energy.get("dwell")
    # Integers without a unit are counts, and nothing need be read.
    if raw.frames.dtype.kind in "iu" and not raw.unit:
        return None
    if raw.pixel_dwell is not None:
        source, to_seconds = raw.pixel_dwell
        return find_count_factor(raw.frames.read_some(), to_seconds * float(np.mean(source.read_some())), raw.unit)
    return None if dwell is None else find_count_factor(raw.frames.read_some(), float(dwell[0]), raw.unit)


def _add_pixel_dwell(data: xr.Dataset, source: FrameSource, to_seconds: float) -> xr.Dataset:
    """Add the dwell of every pixel and the mean of each frame [s], lazily."""
    seconds = source.to_dask() * to_seconds
    # Blocks hold whole frames, so a mean does not depend on them.
    return data.assign(
        pixel_dwell=(data["intensity"].dims, seconds), dwell=("energy", da.nanmean(seconds, axis=(1, 2)))
    )


def _sort_axes(data: xr.Dataset) -> xr.Dataset:
    """Reverse every axis that falls strictly, so that x grows to the right, y downwards, and the energy upwards."""
    for dim in ("energy", "scan_y", "scan_x"):
        values = data[dim].values
        # The energy may also rise and fall within a scan; then its order of measurement is kept.
        if values.size > 1 and (np.diff(values) < 0).all():
            data = data.isel({dim: slice(None, None, -1)})
    return data


def _show_first(values: NDArray[np.float64]) -> str:
    shown = ", ".join(f"{v:g}" for v in values[:3])
    return shown + (" ..." if values.size > 3 else "")
