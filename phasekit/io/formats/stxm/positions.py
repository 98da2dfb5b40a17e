"""Axis of one scan direction from the positions of a file, and the check of lengths."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError

_STEP = "replace the positions with step_nm=<step in nm>"
_CURES = {
    "energy": "give one energy per frame: energies=[...] with {size} values in eV",
    "scan_y": _STEP,
    "scan_x": _STEP,
}


def make_axis(
    path: Path, name: str, values: NDArray[np.float64] | None, size: int, step_nm: float | None
) -> tuple[NDArray[np.float64], str]:
    """Axis of one scan direction, regular where the file does not give a usable one."""
    # A step that the caller gives replaces whatever the file states.
    if step_nm is not None:
        return np.arange(size, dtype=np.float64) * step_nm, ""
    if values is None:
        return np.arange(size, dtype=np.float64), "step size unknown, 1 nm assumed"
    check_length(path, name, values, size)
    step = np.diff(values)
    # Steps may vary by an encoder's noise; the axis is kept as it is as long as it is monotonic.
    if np.isfinite(values).all() and (size == 1 or (step > 0).all() or (step < 0).all()):
        return values, ""
    if not np.isfinite(values).all() or values[-1] == values[0]:
        return np.arange(
            size, dtype=np.float64
        ), "positions in the file are not usable; step size unknown, 1 nm assumed"
    # encoders jitter: neighbouring positions may swap, while their mean step is right
    line = np.polyfit(np.arange(size), values, 1)
    straight = np.asarray(np.polyval(line, np.arange(size)), dtype=np.float64)
    return straight, "positions in the file are not monotonic; a straight line through them"


def check_length(path: Path, name: str, values: Any, size: int) -> None:
    """Refuse values of an axis or a frame record whose number is not that of the data."""
    if values.shape == (size,):
        return
    raise ReadError(
        path,
        found=f"{values.shape[0] if values.ndim == 1 else values.shape} values of '{name}' for {size} of the data",
        cure=_CURES.get(name, "correct them in the file").format(size=size),
    )
