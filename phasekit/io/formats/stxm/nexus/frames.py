"""Frames of an HDF5 dataset whose axes may lie in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ...file_errors import damaged_file
from ...hdf5_file import open_hdf5
from ..stack import FrameSource


@dataclass(frozen=True)
class H5Frames(FrameSource):
    """Frames of one HDF5 dataset.

    ``order`` names the axes, a part of ``("energy", "y", "x")``; an axis of another name stands at its index in
    ``fixed``.
    """

    dataset: str
    order: tuple[str, ...]
    fixed: tuple[tuple[str, int], ...] = ()

    reads_some = True

    def read_some(self) -> NDArray[Any]:
        """Read the middle row of the first frame."""
        with open_hdf5(self.path) as file:
            signal = file[self.dataset]
            place: dict[str, Any] = {"energy": 0, "y": self.shape[1] // 2, **dict(self.fixed)}
            return np.asarray(signal[tuple(place.get(axis, slice(None)) for axis in self.order)])

    def read(self, indices: Sequence[int]) -> NDArray[Any]:
        """Frames of these indices; the file is opened and closed here."""
        try:
            with open_hdf5(self.path) as file:
                frames = _select_frames(file[self.dataset], self.order, dict(self.fixed), indices)
        except (KeyError, ValueError) as error:
            raise ReadError(self.path, found=f"a changed file ({error})", cure="open it again") from error
        except (OSError, RuntimeError) as error:
            raise damaged_file(self.path, error) from error
        return frames


def _select_frames(
    dataset: h5py.Dataset, order: tuple[str, ...], fixed: dict[str, int], indices: Sequence[int]
) -> NDArray[Any]:
    # One slice is read, because h5py is slow with lists of indices.
    low, high = min(indices), max(indices) + 1
    place: dict[str, Any] = {**fixed, "energy": slice(low, high)}
    block = np.asarray(dataset[tuple(place.get(axis, slice(None)) for axis in order)])
    kept = [axis for axis in order if axis not in fixed]
    # A single image has two axes and becomes a stack of one frame.
    if "energy" not in kept:
        return block.transpose([kept.index(a) for a in ("y", "x")])[None][list(indices)]
    return block.transpose([kept.index(a) for a in ("energy", "y", "x")])[[i - low for i in indices]]
