"""Ring current and read-back energy of a NeXus entry, as means over each frame."""

from pathlib import Path

import dask.array as da
import h5py
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from ...hdf5_file import open_hdf5
from ..units import find_unit_factor
from .frames import H5Frames
from .text import decode_text

_EMPTY = np.empty(0)
# Factors to mA and eV by the unit in lower case.
_CURRENT = {"ma": 1.0, "a": 1e3, "ua": 1e-3}
_ENERGY = {"ev": 1.0, "kev": 1e3}


def read_monitors(path: Path, entry: h5py.Group, frames: H5Frames) -> dict[str, da.Array]:
    """Means of ring current [mA] and read-back energy [eV] over each frame, lazy; NaN where never recorded."""
    out = {}
    for name, variable, units in (("control", "ring_current", _CURRENT), ("energy", "energy_readback", _ENERGY)):
        group = entry.get(name)
        data = group.get("data") if isinstance(group, h5py.Group) else None
        # Both monitors are optional.
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf":
            continue
        by_role = dict(zip(("energy", "y", "x"), frames.shape, strict=True))
        own = tuple(axis for axis in frames.order if axis in by_role)
        # A monitor is recorded for every pixel or once for every frame.
        order = next((o for o in (own, ("energy",)) if data.shape == tuple(by_role[a] for a in o)), None)
        factor = find_unit_factor(decode_text(data.attrs.get("units")), units)
        # A monitor in a unit of something else is no ring current and no energy.
        if order is not None and not (factor is not None and np.isnan(factor)):
            mean = delayed(_compute_frame_means, pure=True)(path, data.name, order, factor or 1.0)
            out[variable] = da.from_delayed(mean, (frames.shape[0],), np.float64, _EMPTY)  # type: ignore[no-untyped-call]
    return out


def _compute_frame_means(path: Path, dataset: str, order: tuple[str, ...], factor: float) -> NDArray[np.float64]:
    with open_hdf5(path) as file:
        # Read when computed only: a monitor is as large as the stack.
        values = np.asarray(file[dataset][()], dtype=np.float64) * factor
    values = values if "energy" in order else values[None]
    axis = order.index("energy") if "energy" in order else 0
    flat = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    # Gaps in the record are NaN; np.nanmean would warn for frames without any value.
    seen = np.isfinite(flat)
    count = seen.sum(axis=1)
    total = np.where(seen, flat, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def read_one_current(entry: h5py.Group) -> float | None:
    """Ring current of the first pixel [mA]; None where none is recorded."""
    data = entry.get("control/data")
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf" or not data.size:
        return None
    factor = find_unit_factor(decode_text(data.attrs.get("units")), _CURRENT)
    try:
        return float(data[(0,) * data.ndim]) * (1.0 if factor is None else factor)
    except (OSError, RuntimeError):  # a monitor is optional; the error comes where it is computed
        return None
