"""Mantis's exchange files (Data Exchange of the APS): ``exchange/data`` as (x, y, energy) with its axes beside it."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ....errors import ReadError
from ..hdf5_file import contains_hdf5, open_hdf5
from .nexus.axes import find_role, read_axis_orders, read_energies, select_axis_order
from .nexus.frames import H5Frames
from .nexus.text import decode_text, read_unit, read_values_and_unit
from .stack import RawStack, StxmOptions, convert_to_nm

NAME = "Data Exchange"
EXTENSIONS = (".hdf5", ".h5", ".hdf")
KEEPS = "energies, positions, title"
OPTIONS = ("energies", "step_nm", "axes")
REMOTE = True
CONTENT = "HDF5"
DIALECTS = ("Mantis 1 to 3", "detector in a group of its own, before version 1.0")

# Order in which Mantis writes its array (file_plugins/file_dataexch_hdf5.py of github mlerotic/spectromicroscopy).
_WRITTEN = ("x", "y", "energy")


def recognise(head: bytes, path: Path) -> bool:
    """Recognise an HDF5 file with a group ``exchange`` that holds data."""
    if not contains_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file:
            return _find_group(file) is not None
    except Exception:  # a damaged file: the reader it goes to says what is wrong
        return False


def _find_group(file: h5py.File) -> h5py.Group | None:
    # Older files have the data in a group of the detector.
    groups = [file.get(place) for place in ("exchange", "exchange/detector")]
    found = [g for g in groups if isinstance(g, h5py.Group) and isinstance(g.get("data"), h5py.Dataset)]
    return found[0] if found else None


def read(path: Path, options: StxmOptions) -> RawStack:
    """Read the axes of a stack; frames are read when computed."""
    with open_hdf5(path) as file:
        group = _find_group(file)
        if group is None:
            raise ReadError(path, found="no exchange/data", cure="export the stack again")
        data = group["data"]
        _check_kind(path, group, data, options)
        axis = group.get("energy")
        energy = options.energies if options.energies is not None else read_energies(path, axis, data.shape)
        (y, note_y), (x, note_x) = (_read_positions(path, group, role, data, options) for role in ("y", "x"))
        sizes = {role: None if v is None else v.size for role, v in (("energy", energy), ("y", y), ("x", x))}
        chosen = None if options.axes is None else tuple(find_role(name) for name in options.axes)
        stated_order = read_axis_orders(group, data) or [dict(zip(_WRITTEN, range(3), strict=True))]
        order, note = select_axis_order(path, data.shape, stated_order, sizes, chosen)
        by_role = dict(zip(order, data.shape, strict=True))
        frames = H5Frames(
            path=path,
            shape=(by_role["energy"], by_role["y"], by_role["x"]),
            dtype=np.dtype(data.dtype).newbyteorder("="),
            dataset=data.name,
            order=order,
        )
        unit = read_unit(data)
        attrs = _read_attributes(file)
        stated = {role: _read_unit(group, role) for role in ("energy", "y", "x") if role in group}
    stated = stated if options.energies is None else {k: u for k, u in stated.items() if k != "energy"}
    return RawStack(
        frames=frames, energy=energy, y=y, x=x, comments=[note_y, note_x, note], attrs=attrs, unit=unit, stated=stated
    )


def _check_kind(path: Path, group: h5py.Group, data: h5py.Dataset, options: StxmOptions) -> None:
    """Refuse projections of a tomography, which have the same groups."""
    angles = group.get("theta")
    turned = isinstance(angles, h5py.Dataset) and angles.size > 1
    if data.ndim != 3 or (turned and options.energies is None and "energy" not in group):
        kind = "projections of a tomography" if turned or data.ndim == 4 else f"data of shape {data.shape}"
        raise ReadError(path, found=kind, cure="give a stack of images over photon energy")


def _read_unit(group: h5py.Group, name: str) -> str | None:
    return read_unit(group[name]) or None


def _read_positions(path: Path, group: h5py.Group, role: str, data: h5py.Dataset, options: StxmOptions) -> Any:
    """Positions along an axis [nm] and a remark; None where the file has none or the caller gives the step."""
    axis = group.get(role)
    if options.step_nm is not None or not isinstance(axis, h5py.Dataset):
        return None, ""
    values, unit = read_values_and_unit(axis)
    # Without positions Mantis counts pixels; those are no lengths.
    if not unit and np.array_equal(np.ravel(values), np.arange(np.size(values))):
        return None, ""
    return convert_to_nm(path, role, values, unit)


def _read_attributes(file: h5py.File) -> dict[str, Any]:
    found = {key: decode_text(file.get(f"information/{key}")) for key in ("title", "comment")}
    return {"format": NAME, "counter": "data", "counters": "data", **{k: t for k, t in found.items() if t}}
