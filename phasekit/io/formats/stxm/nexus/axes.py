"""Axes of a counter: the datasets that hold them, and their order in the data.

Three ways to state the order are in use: the attribute ``axes``, the attributes ``AXISNAME_indices``, and a number on
each axis. Each may leave something open. Those that agree with the lengths of the axes must agree with each other.
"""

import re
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from .....errors import ReadError
from ..stack import convert_to_ev
from .text import decode_text, read_values_and_unit

# Names that beamlines give to the axes, in lower case.
ENERGY = ("energy", "photon_energy")
POLARISATION = ("polarization", "polarisation", "epu_polarization", "epu_polarisation", "sample_polarization", "pol")
ROLES = {
    **dict.fromkeys((*ENERGY, "photonenergy", "e"), "energy"),
    **dict.fromkeys(("sample_y", "y", "y_position", "image_y", "scan_y"), "y"),
    **dict.fromkeys(("sample_x", "x", "x_position", "image_x", "scan_x"), "x"),
    **dict.fromkeys(POLARISATION, "polarisation"),
}
# Stages that some files name instead of the sample: stage_y, fine_x, hexapod_y, x_motor.
_STAGE = re.compile(
    r"(?:(?:sample|stage|fine|coarse|piezo|hexapod|scanner|interferometer|motor|pos|position)_?)+([xy])(?:_?\w{2,})?"
    r"|([xy])_?(?:stage|motor|pos|axis|fine|coarse|piezo)"
)
_CURE = "give their order with axes=, e.g. axes=('energy', 'scan_y', 'scan_x')"
#: Place of each axis in the data, as far as one statement of the file says it.
Places = dict[str, int]


def read_axis_orders(counter: h5py.Group, signal: h5py.Dataset) -> list[Places]:
    """Read every statement about the order of the axes: from lists, from ``_indices`` and from numbers."""
    listed = [_read_list(owner.attrs["axes"], signal.shape) for owner in (counter, signal) if "axes" in owner.attrs]
    indices = [_read_indices(owner, signal.ndim) for owner in (counter, signal)]
    found = [*listed, *indices, _read_numbers(counter)]
    return [places for places in found if places]


def _read_list(axes: object, shape: tuple[int, ...]) -> Places:
    names = [decode_text(a) for a in np.atleast_1d(np.asarray(axes))]
    # One text may hold all names, as "[energy,sample_y,sample_x]" or with colons.
    names = names[0].strip("[]").replace(",", ":").split(":") if len(names) == 1 else names
    # A shorter list leaves out the axes of length 1.
    long = [i for i, n in enumerate(shape) if n > 1]
    places = list(range(len(shape))) if len(names) == len(shape) else long
    if len(names) != len(places):
        return {}
    roles = [find_role(name) for name in names]
    # "." stands for an axis without a name.
    return {role: i for i, role in zip(places, roles, strict=True) if role != "." and roles.count(role) == 1}


def find_role(name: str) -> str:
    """Role of an axis by its name: energy, y, x or polarisation; else its own name in lower case."""
    plain = name.strip().lower()
    stage = _STAGE.fullmatch(plain)
    return ROLES.get(plain, (stage[1] or stage[2]) if stage else plain)


def _read_indices(owner: h5py.Group | h5py.Dataset, n_axes: int) -> Places:
    """Read ``AXISNAME_indices``, the axes of the data that an axis of an NXdata group runs along."""
    out: Places = {}
    for key, value in owner.attrs.items():
        name = key.removesuffix("_indices")
        # Some programs write the numbers as text.
        places = re.findall(r"-?\d+", " ".join(decode_text(one) for one in np.ravel(np.asarray(value))))
        # Positions of every pixel run along several axes and order none.
        if name != key and len(places) == 1:
            # Negative ones count from the last.
            out[find_role(name)] = int(places[0]) % n_axes
    return out


def _read_numbers(counter: h5py.Group) -> Places:
    """Read the attribute ``axis`` of each axis, as files before NXstxm was settled have it; it counts from 1."""
    numbered = {}
    for name, role in ROLES.items():
        child = counter.get(name)
        if isinstance(child, h5py.Dataset) and "axis" in child.attrs:
            text = decode_text(np.asarray(child.attrs["axis"])).strip()
            # Several numbers, as "1,2", are positions of every pixel.
            numbered.update({role: int(text)} if text.isdecimal() else {})
    # Some files count from 0.
    first = min(1, *numbered.values()) if len(numbered) > 1 else 1
    return {role: number - first for role, number in numbered.items()}


def select_axis_order(
    path: Path,
    shape: tuple[int, ...],
    stated: Sequence[Places],
    sizes: dict[str, int | None],
    chosen: tuple[str, ...] | None = None,
    *,
    may_replace: bool = False,
) -> tuple[tuple[str, ...], str]:
    """Select an order of the axes that agrees with their sizes, and a remark where it is not the stated one.

    ``chosen`` is the caller's order. Statements that contradict the sizes are overruled by them. With ``may_replace``
    the positions of y and x are replaced, and may have other sizes than the data.

    Raises
    ------
    ReadError
        No order fits the sizes, or several do and the file does not decide between them.
    """
    # The order of the NXstxm definition; a single image has two axes.
    roles = ("y", "x") if len(shape) == 2 and sizes["energy"] == 1 else ("energy", "y", "x")
    known = ", ".join(f"{n} {role}" for role, n in sizes.items() if n is not None)
    orders = [o for o in permutations(roles) if _has_sizes(o, shape, sizes)] if len(shape) == len(roles) else []
    if not orders and may_replace:
        replaced = {"energy": sizes["energy"], "y": None, "x": None}
        return select_axis_order(path, shape, stated, replaced, chosen)
    if chosen is not None:
        orders = [o for o in orders if o == chosen]
    if not orders:
        asked = "" if chosen is None else f", not in the order {chosen}"
        cure = "energies=[...] replaces a wrong energy axis, step_nm= replaces wrong positions"
        raise ReadError(path, found=f"data of shape {shape} with axes of {known}{asked}", cure=cure)
    # What each statement leaves of the orders that fit; nothing where it contradicts the sizes.
    left = [[o for o in orders if _agrees(o, places)] for places in stated]
    common = [o for o in orders if all(o in some for some in left if some)]
    # A square map whose axes nobody names is in the order of the definition.
    if chosen is None and (not common or (len(common) > 1 and roles not in common)):
        raise _ask_for_order(path, shape, common, stated)
    order = chosen or (roles if roles in common else common[0])
    agreed = all(_agrees(order, places) for places in stated)
    if chosen is None and (not agreed or (not stated and order != roles)):
        return order, f"axes read as {order} from their sizes"
    return order, f"axes not stated, read as {order}" if chosen is None and len(common) > 1 else ""


def _has_sizes(order: tuple[str, ...], shape: tuple[int, ...], sizes: dict[str, int | None]) -> bool:
    # An axis without positions fits any length.
    return all(sizes[role] in (None, n) for role, n in zip(order, shape, strict=True))


def _agrees(order: tuple[str, ...], places: Places) -> bool:
    return all(0 <= i < len(order) and order[i] == role for role, i in places.items() if role in order)


def _ask_for_order(
    path: Path, shape: tuple[int, ...], common: list[tuple[str, ...]], stated: Sequence[Places]
) -> ReadError:
    if common:
        fit = " or ".join(str(order) for order in common[:3])
        return ReadError(path, found=f"data of shape {shape} whose axes may be {fit}", cure=_CURE)
    listed = " and ".join(str(sorted(places, key=lambda role: places[role])) for places in stated)
    return ReadError(path, found=f"data of shape {shape} whose axes are stated as {listed}", cure=_CURE)


def find_axis(entry: h5py.Group, counter: h5py.Group, role: str) -> h5py.Dataset | None:
    """Find the dataset of an axis in the counter; the energy may also be that of the monochromator."""
    for name, this in ROLES.items():
        child = counter.get(name) if this == role else None
        if isinstance(child, h5py.Dataset) and child.dtype.kind in "iuf" and child.size:
            return child
    stages = [child for name, child in counter.items() if role in ("y", "x") and find_role(name) == role]
    for child in stages:
        if isinstance(child, h5py.Dataset) and child.ndim == 1 and child.dtype.kind in "iuf" and child.size > 1:
            return child
    # A single image may state its energy only at the monochromator.
    elsewhere = ("instrument/monochromator/energy", "energy/data") if role == "energy" else ()
    found = [entry[n] for n in elsewhere if n in entry]
    return next((d for d in found if isinstance(d, h5py.Dataset) and d.ndim < 2 and d.size), None)


def read_energies(path: Path, axis: h5py.Dataset | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Energies [eV] of the energy axis."""
    if axis is None:
        raise ReadError(path, found="no photon energies", cure=f"give them in eV with energies=[...], data are {shape}")
    return convert_to_ev(path, *read_values_and_unit(axis))
