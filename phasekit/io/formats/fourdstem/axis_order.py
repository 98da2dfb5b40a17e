"""Which axes of an array are the scan and which the detector: told by ``dims``, units, flags and names."""

import re
from collections.abc import Sequence
from pathlib import Path

from ....errors import ReadError, SchemaError
from .axes import DIMS, Axis, is_angle, is_energy, is_reciprocal

_CURE = (
    "name the axes in the order of the file, e.g. dims=('qy', 'qx', 'scan_y', 'scan_x'), "
    "or give an array (scan_y, scan_x, qy, qx)"
)
# Names of HyperSpy and its readers. py4DSTEM's Rx is the row of the scan, and no name here.
_ALONG_Y = ("y", "scan_y", "ky", "qy", "dy", "height", "k_y", "q_y", "det_y", "detector_y")
_ALONG_X = ("x", "scan_x", "kx", "qx", "dx", "width", "k_x", "q_x", "det_x", "detector_x")
_OF_DETECTOR = re.compile("(k|q|d|det|detector)_?[xy]")


def find_axis_order(
    axes: Sequence[Axis], ndim: int, path: Path, dims: Sequence[str] | None, notes: list[str]
) -> tuple[int, ...]:
    """Positions of the axes in the order scan, detector; what decided against the file's own order is noted.

    Parameters
    ----------
    axes
        Axes of the file in its order; fewer than ``ndim`` where it describes none or only some.
    ndim, path
        Number of dimensions of the array, and the file for the message.
    dims
        Names of the axes in the file's order, or None.
    notes
        Remarks on the file; one is added where the order is changed.

    Raises
    ------
    ReadError
        Neither units nor flags nor ``dims`` tell two detector axes, or ``dims`` has another number of names.
    SchemaError
        ``dims`` holds an unknown name, one name twice, or no detector.
    """
    if dims is not None:
        return _order_by_dims(tuple(dims) if not isinstance(dims, str) else (dims,), ndim, path)
    kept = tuple(range(ndim))
    _refuse_spectra(axes, path)
    if ndim < 3 or len(axes) != ndim:
        return kept
    detector = _find_detector(axes, path, notes)
    scan = [position for position in kept if position not in detector]
    order = (*_sort_by_name(scan, axes), *_sort_by_name(detector, axes))
    if order != kept:
        notes.append(f"axes {order} of the file are taken as scan, detector; dims=(...) names them otherwise")
    return order


def _order_by_dims(dims: tuple[str, ...], ndim: int, path: Path) -> tuple[int, ...]:
    unknown = [name for name in dims if name not in DIMS]
    if unknown or len(set(dims)) != len(dims) or not {"qy", "qx"} <= set(dims):
        raise SchemaError(
            f"open_4dstem: dims={dims!r}, needs qy and qx and at most one each of {DIMS}. "
            "Give the names of the axes in the order of the file."
        )
    if len(dims) != ndim:
        found = f"an array of {ndim} dimensions, but dims={dims!r} names {len(dims)}"
        raise ReadError(path, found=found, cure="name every axis of the file once")
    return tuple(dims.index(name) for name in DIMS if name in dims)


def _refuse_spectra(axes: Sequence[Axis], path: Path) -> None:
    """Refuse an axis of energies, unless two others are a detector: patterns may be filtered by energy."""
    energies = [axis.units for axis in axes if is_energy(axis.units)]
    if energies and sum(is_reciprocal(axis.units) for axis in axes) != 2:
        found = f"spectra and no patterns: an axis in {energies[0]}"
        raise ReadError(path, found=found, cure="give a scan of diffraction patterns; " + _CURE)


def _find_detector(axes: Sequence[Axis], path: Path, notes: list[str]) -> list[int]:
    """Positions of the two detector axes: units win over flags, because a flag is a choice of display."""
    n = len(axes)
    reciprocal = [position for position, axis in enumerate(axes) if is_reciprocal(axis.units)]
    angles = [position for position, axis in enumerate(axes) if is_angle(axis.units)]
    by_unit = reciprocal if len(reciprocal) == 2 else angles if len(angles) == 2 and not reciprocal else []
    if by_unit:
        return by_unit
    flags = [axis.navigate for axis in axes]
    by_flag = [position for position, flag in enumerate(flags) if flag is False]
    if None not in flags and len(by_flag) == 2:
        return by_flag
    # A file that marks axes, but not two as detector, holds spectra or single images, or is marked wrongly.
    if None not in flags:
        listed = ", ".join(f"{axis.name or '?'} [{axis.units or '?'}]" for axis in axes)
        found = f"{len(by_flag)} of {n} axes marked as detector where two are needed ({listed})"
        raise ReadError(path, found=found, cure=_CURE)
    by_name = [position for position, axis in enumerate(axes) if _OF_DETECTOR.fullmatch(axis.name.lower())]
    return by_name if len(by_name) == 2 else [n - 2, n - 1]


def _sort_by_name(positions: list[int], axes: Sequence[Axis]) -> list[int]:
    """Rows before columns, where the names of a pair tell which is which."""
    names = [axes[position].name for position in positions]
    swapped = len(names) == 2 and names[0] in _ALONG_X and names[1] in _ALONG_Y
    return positions[::-1] if swapped else positions
