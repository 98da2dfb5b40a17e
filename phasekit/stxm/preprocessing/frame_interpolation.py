"""Interpolation of frames by sub-pixel shifts, with lost pixels kept apart."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .count_statistics import fill_lost_pixels

Array = NDArray[np.floating]


def apply_shifts(frames: Array, shift_y: Array, shift_x: Array, order: int) -> NDArray[np.float32]:
    """Apply shifts [px]: move the content at ``r + shift`` of each frame (.., y, x) to ``r`` by a spline."""
    out = np.empty(frames.shape, dtype=np.float32)
    for index in np.ndindex(frames.shape[:-2]):
        by = (
            -float(np.broadcast_to(shift_y, frames.shape[:-2])[index]),
            -float(np.broadcast_to(shift_x, frames.shape[:-2])[index]),
        )
        # Frames that do not move keep their counts exactly.
        moved = any(abs(step) > 1e-9 for step in by)
        frame = np.asarray(frames[index], dtype=np.float64)
        out[index] = _interpolate_frame(frame, by, order) if moved else frame
    return out


def _interpolate_frame(frame: Array, by: tuple[float, float], order: int) -> Array:
    """Move one frame by ``by`` = (y, x) pixels; every pixel that a lost one (NaN) contributes to is lost."""
    # A NaN would spread over the whole spline, so lost pixels are filled first and marked again afterwards.
    lost = ~np.isfinite(frame)
    moved = ndimage.shift(fill_lost_pixels(frame), by, order=order, mode="nearest")
    if lost.any():
        moved[ndimage.shift(lost.astype(np.float32), by, order=1, mode="nearest") > 1e-3] = np.nan
    return np.asarray(moved)


def find_seen_pixels(shift: Array, ny: int, nx: int) -> NDArray[np.bool_]:
    """Find the pixels (y, x) whose position ``r + shift`` lies inside the frame at every energy."""
    # A shift of exactly zero must not lose the border by rounding.
    slack = 1e-6
    sides: list[NDArray[np.bool_]] = []
    for axis, n in ((0, ny), (1, nx)):
        place = np.arange(n)[:, None] + shift[None, :, axis]
        sides.append(np.asarray(((place >= -slack) & (place <= n - 1 + slack)).all(axis=1)))
    return sides[0][:, None] & sides[1][None, :]
