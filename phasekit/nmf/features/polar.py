"""Detector pixels grouped into features: pixels, square bins, rings about the direct beam, sectors of rings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LAYOUTS = ("cartesian", "radial", "polar")
Index = NDArray[np.int32]


class Layout(NamedTuple):
    """How pixels are grouped into features."""

    kind: str = "cartesian"
    width: int = 1  # [px] side of a bin, width of a ring
    n_sectors: int = 12
    origin: tuple[float, float] = (np.nan, np.nan)  # [px] (qy, qx) of the direct beam, for rings


def assign_features(used: NDArray[np.bool_], layout: Layout) -> tuple[Index, Index]:
    """Feature number of every pixel ``(qy, qx)`` (-1: not used) and the number of pixels in each ``(feature,)``.

    Features are counted along rows of bins, or from the innermost ring outwards and round each ring.
    """
    group = _assign_bins(used.shape, layout.width) if layout.kind == "cartesian" else _assign_rings(used.shape, layout)
    # Numbers without gaps: bins and rings that the mask hides altogether are no features.
    present, number = np.unique(group[used], return_inverse=True)
    index = np.full(used.shape, -1, dtype=np.int32)
    index[used] = number
    return index, np.bincount(number, minlength=len(present)).astype(np.int32)


def compute_feature_positions(
    index: Index, pixels: Index, layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean distance [px] and mean direction [degree, from +qx towards +qy, -180..180] of each feature's pixels."""
    used = index >= 0
    flat, y, x = index[used], *np.nonzero(used)
    dy, dx = y - layout.origin[0], x - layout.origin[1]
    # The direction of the mean vector: a mean of angles would be wrong where they pass from 180 to -180 degrees.
    total = [np.bincount(flat, weights=part, minlength=len(pixels)) for part in (np.hypot(dy, dx), dy, dx)]
    return total[0] / pixels, np.degrees(np.arctan2(total[1], total[2]))


def _assign_bins(shape: tuple[int, ...], width: int) -> NDArray[np.intp]:
    """Number of the square bin that each pixel lies in."""
    rows, columns = (np.arange(n) // width for n in shape)
    return np.asarray(rows[:, None] * (shape[1] // width + 1) + columns)


def _assign_rings(shape: tuple[int, ...], layout: Layout) -> NDArray[np.intp]:
    """Number of the ring, or of the sector of a ring, that each pixel lies in.

    The innermost ring has half the width in radius. The first sector is centred on +qx: pixels on an axis then do not
    lie on a border between sectors.
    """
    y, x = np.indices(shape)
    dy, dx = y - layout.origin[0], x - layout.origin[1]
    ring = np.floor(np.hypot(dy, dx) / layout.width + 0.5).astype(np.intp)
    if layout.kind == "radial":
        return ring
    turn = np.arctan2(dy, dx) / (2 * np.pi) * layout.n_sectors
    sector = np.floor(turn + 0.5).astype(np.intp) % layout.n_sectors
    return np.asarray(ring * layout.n_sectors + np.where(ring == 0, 0, sector))  # the centre has no direction
