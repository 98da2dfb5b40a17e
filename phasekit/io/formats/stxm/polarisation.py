"""Stacks of several polarisations, and other axes beside energy, y and x."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .nexus.axes import POLARISATION, Places
from .nexus.text import decode_text
from .stack import FrameSource, RawStack

# Places of the polarisation outside the counter.
_ELSEWHERE = (
    *(f"instrument/{name}" for name in ("epu", "source", "insertion_device", "monochromator")),
    "collection",
    "sample",
)
_USUAL = ("energy", "y", "x")


class ExtraAxes(NamedTuple):
    """Axes of the data beside energy, y and x: their place and name, and the index that is taken."""

    names: dict[int, str]
    place: dict[int, int]


def fix_extra_axes(
    path: Path, shape: tuple[int, ...], stated: Sequence[Places], values: list[Any], wanted: float | str | None
) -> ExtraAxes:
    """Fix every axis of the data beside energy, y and x at one index: the wanted polarisation, or the only one.

    Raises
    ------
    ReadError
        An axis is neither of the three nor polarisation, or the polarisation is not chosen.
    """
    names = _find_extra_axes(path, shape, stated, len(values))
    index = {}
    for axis, name in names.items():
        if name != "polarisation" and shape[axis] > 1:
            found = f"data of shape {shape} with {shape[axis]} values along '{name}'"
            raise ReadError(path, found=found, cure="give a stack over photon energy, y and x, or name them with axes=")
        listed = values if len(values) == shape[axis] else list(range(shape[axis]))
        index[axis] = choose_polarisation(path, listed, wanted) if name == "polarisation" else 0
    return ExtraAxes(names, index)


def _find_extra_axes(path: Path, shape: tuple[int, ...], stated: Sequence[Places], n_values: int) -> dict[int, str]:
    by_place: dict[int, str] = {}
    for places in stated:
        by_place |= {i: role for role, i in places.items() if 0 <= i < len(shape) and i not in by_place}
    names = {i: role for i, role in by_place.items() if role not in _USUAL}
    # Axes of length 1 that nobody names hold nothing to choose from.
    unnamed = [i for i in range(len(shape)) if shape[i] == 1 and i not in by_place]
    names.update(dict.fromkeys(unnamed[: max(0, len(shape) - len(names) - 3)], "unnamed"))
    left = [i for i in range(len(shape)) if i not in by_place and i not in names]
    fitting = [i for i in left if shape[i] == n_values]
    # One axis that nobody names has the length of the polarisations.
    if len(shape) - len(names) == 4 and len(fitting) == 1:
        names[fitting[0]] = "polarisation"
    if len(shape) - len(names) > 3:
        raise ReadError(
            path,
            found=f"data of shape {shape} with an axis beside energy, y and x that the file does not name",
            cure="name all axes with axes=, e.g. axes=('energy', 'polarisation', 'scan_y', 'scan_x')",
        )
    return dict(sorted(names.items()))


def choose_polarisation(path: Path, values: Sequence[Any], wanted: float | str | None) -> int:
    """Index of the wanted polarisation among different ones; the only one needs no choice."""
    if wanted is None and len(values) == 1:
        return 0
    fitting = [i for i, value in enumerate(values) if wanted is not None and _is_same(value, wanted)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{value!r}" if isinstance(value, str) else f"{value:g}" for value in values)
    asked = "" if wanted is None else f", but not polarisation={wanted!r}"
    found = f"{len(values)} polarisations per energy ({listed}){asked}"
    raise ReadError(path, found=found, cure=f"choose one from the list, e.g. polarisation={values[0]!r}")


def _is_same(value: Any, wanted: float | str) -> bool:
    if isinstance(value, str) or isinstance(wanted, str):
        return str(value).strip().lower() == str(wanted).strip().lower()
    return bool(np.isclose(value, wanted, rtol=0, atol=1e-3))


def read_polarisations(entry: h5py.Group, counter: h5py.Group) -> list[Any]:
    """Polarisations of the counter or of its source, as numbers or texts; empty where none are recorded."""
    groups = [counter, *(entry.get(place) for place in _ELSEWHERE), entry]
    found = [group.get(name) for group in groups if isinstance(group, h5py.Group) for name in POLARISATION]
    dataset = next((d for d in found if isinstance(d, h5py.Dataset) and d.ndim == 1), None)
    if dataset is None:
        return []
    values = np.asarray(dataset[()])
    if values.dtype.kind in "iuf":
        return [float(np.round(value, 3)) for value in values]
    return [decode_text(value) for value in values]


def select_polarisation(path: Path, raw: RawStack, values: list[Any], wanted: float | str | None) -> RawStack:
    """Keep the frames of the wanted polarisation where each energy was measured at several.

    ``values`` holds the polarisation of every frame, or is empty where none is recorded.

    Raises
    ------
    ReadError
        The polarisation is not chosen, or the file has none to choose from.
    """
    n_energy = raw.energy.size
    different = list(dict.fromkeys(values))
    repeated = np.unique(np.round(raw.energy, 3)).size < n_energy
    if len(values) != n_energy or (len(different) > 1 and not repeated):
        different = []
    if different and different[0] is not None and (len(different) > 1 or wanted is not None):
        chosen = different[choose_polarisation(path, different, wanted)]
        return select_frames(raw, [i for i, value in enumerate(values) if value == chosen])
    if wanted is not None:
        raise ReadError(path, found=f"no polarisations for polarisation={wanted!r}", cure="leave that argument out")
    note = "some energies were measured more than once" if repeated else ""
    return replace(raw, comments=[*raw.comments, note])


@dataclass(frozen=True)
class SelectedFrames(FrameSource):
    """Frames ``selected`` of another source, in that order."""

    source: FrameSource
    selected: tuple[int, ...]

    def read_some(self) -> NDArray[Any]:
        """Read some values of the source's first frame."""
        return self.source.read_some()

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices."""
        return self.source.read([self.selected[i] for i in indices])


def select_frames(raw: RawStack, selected: Sequence[int]) -> RawStack:
    """Keep the frames of these indices, their energies, and what is recorded with them."""
    index = np.asarray(selected, dtype=np.intp)
    kept = tuple(int(i) for i in index)
    dwell = None if raw.pixel_dwell is None else (_select(raw.pixel_dwell[0], kept), raw.pixel_dwell[1])
    per_energy = {name: values[index] for name, values in raw.per_energy.items()}
    return replace(
        raw, frames=_select(raw.frames, kept), energy=raw.energy[index], per_energy=per_energy, pixel_dwell=dwell
    )


def _select(source: FrameSource, kept: tuple[int, ...]) -> SelectedFrames:
    shape = (len(kept), *source.shape[1:])
    return SelectedFrames(path=source.path, shape=shape, dtype=source.dtype, source=source, selected=kept)
