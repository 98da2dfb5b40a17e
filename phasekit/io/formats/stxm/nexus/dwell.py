"""Dwell of the frames of a NeXus entry: beside the counter, in its detector, or in the request of the scan."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ..dwell import convert_to_seconds, find_time_factor
from .text import decode_text

# Names that beamlines give to the dwell, in lower case.
_NAMES = ("count_time", "dwell_time", "dwelltime", "dwell", "exposure_time", "integration_time")
_REQUEST = "collection/scan_request/scan_request"


class Dwell(NamedTuple):
    """Dwell by energy [s], or the name of the dataset that holds that of every pixel; both None where not stated."""

    by_energy: NDArray[np.float64] | None = None
    by_pixel: str | None = None
    to_seconds: float = 1.0


def find_dwell(entry: h5py.Group, counter: h5py.Group, shape: tuple[int, ...], order: tuple[str, ...]) -> Dwell:
    """Find the dwell of a counter whose data have this shape and order of axes."""
    n_energy = dict(zip(order, shape, strict=True)).get("energy", 1)
    for dataset in _iterate_times(entry, counter):
        unit = decode_text(dataset.attrs.get("units"))
        factor = find_time_factor(unit)
        if np.isnan(factor):
            continue
        if dataset.shape == shape and len(shape) > 1:
            return Dwell(None, dataset.name, factor)
        seconds = _arrange_by_energy(dataset, n_energy, shape, order)
        found = None if seconds is None else convert_to_seconds(seconds, unit)
        if found is not None:
            return Dwell(found)
    requested = _read_request(entry.get(_REQUEST), n_energy)
    return Dwell(None if requested is None else convert_to_seconds(requested, "s"))


def _iterate_times(entry: h5py.Group, counter: h5py.Group) -> Iterator[h5py.Dataset]:
    """Iterate over the datasets that may hold the dwell, the nearest to the counter first."""
    name = counter.name.rsplit("/", maxsplit=1)[-1]
    detectors = [entry.get(f"{place}/{name}") for place in ("instrument", "collection")]
    for group in (counter, *detectors, entry.get("control"), entry, entry.get("collection")):
        if not isinstance(group, h5py.Group):
            continue
        by_lower = {key.lower(): key for key in group}
        children = [group.get(by_lower[key]) for key in _NAMES if key in by_lower]
        yield from (c for c in children if isinstance(c, h5py.Dataset) and c.dtype.kind in "iuf" and c.size)


def _arrange_by_energy(
    dataset: h5py.Dataset, n_energy: int, shape: tuple[int, ...], order: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """One value per energy: from one for all, one for each, or a flat list of all pixels; None for other sizes."""
    if dataset.size in (1, n_energy):
        return np.broadcast_to(np.asarray(dataset[()], dtype=np.float64).ravel(), (n_energy,)).copy()
    # A flat list runs in the order of measurement, that is frame by frame.
    if dataset.ndim == 1 and dataset.size == int(np.prod(shape)) and order[0] in ("energy", "y"):
        return np.asarray(dataset[()], dtype=np.float64).reshape(n_energy, -1).mean(axis=1)
    return None


def _read_request(dataset: Any, n_energy: int) -> list[float] | None:
    """Dwell [s] of each frame from the request of the scan (JSON): its outer regions are ranges of energies."""
    if not isinstance(dataset, h5py.Dataset):
        return None
    try:
        regions = json.loads(decode_text(dataset))["outerRegions"]
        out = [float(one["dwellTime"]) for one in regions for _ in range(_count_points(one))]
        same = {float(one["dwellTime"]) for one in regions}
    # The request is free text of the control program; whatever it lacks is not stated.
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    if len(out) == n_energy:
        return out
    return [same.pop()] * n_energy if len(same) == 1 else None


def _count_points(region: dict[str, Any]) -> int:
    return int(region["axes"][0]["nPoints"])
