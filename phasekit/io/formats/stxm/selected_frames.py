"""Some frames of a stack, with everything that is recorded per frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stack import FrameSource, RawStack


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
