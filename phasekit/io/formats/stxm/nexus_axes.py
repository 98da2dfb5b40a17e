"""Axes of a NeXus counter: the datasets that hold them, and their order in the data."""

from itertools import permutations
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .stack import convert_to_ev

# Names that beamlines give to the axes, in lower case.
ENERGY = ("energy", "photon_energy")
ROLES = {
    **dict.fromkeys((*ENERGY, "photonenergy", "e"), "energy"),
    **dict.fromkeys(("sample_y", "y", "y_position", "image_y"), "y"),
    **dict.fromkeys(("sample_x", "x", "x_position", "image_x"), "x"),
}


def read_axis_order(counter: h5py.Group, signal: h5py.Dataset) -> tuple[str, ...]:
    """Read the axis names in any of the three ways in use; empty when the file states none."""
    axes = counter.attrs.get("axes", signal.attrs.get("axes"))
    if axes is not None:
        names = [decode_text(a) for a in np.atleast_1d(axes)]
        # One text may hold all names, as "[energy,sample_y,sample_x]" or with colons.
        names = names[0].strip("[]").replace(",", ":").split(":") if len(names) == 1 else names
        return tuple(ROLES.get(name.strip().lower(), name.strip().lower()) for name in names)
    numbered = {}
    for name, role in ROLES.items():  # before NXstxm was settled: attribute `axis`, counted from 1
        child = counter.get(name)
        if isinstance(child, h5py.Dataset) and "axis" in child.attrs:
            numbered[int(np.atleast_1d(child.attrs["axis"])[0])] = role
    return tuple(numbered[i] for i in sorted(numbered))


def select_axis_order(
    path: Path, shape: tuple[int, ...], declared: tuple[str, ...], sizes: dict[str, int | None]
) -> tuple[tuple[str, ...], str]:
    """Select an order of the axes that agrees with their sizes, and a remark where it is not the declared one.

    The declared order comes first, then (energy, y, x), then any other.
    """
    # The order of the NXstxm definition.
    roles: tuple[str, ...] = ("energy", "y", "x")
    if len(shape) == 2 and sizes["energy"] == 1:
        roles = ("y", "x")
    if len(shape) == len(roles):
        # The declared order is tried first if it names each axis once, then every order, beginning with the
        # definition's.
        candidates = [declared] * (sorted(declared) == sorted(roles)) + list(permutations(roles))
        for order in candidates:
            # An axis without positions fits any length.
            if all(sizes[role] in (None, n) for role, n in zip(order, shape, strict=True)):
                # Some files declare x and y in the wrong order: the sizes are right, the names are not.
                swapped = declared and order != declared and sorted(declared) == sorted(order)
                unstated = not declared and order != roles
                return order, f"axes read as {order} from their sizes" if swapped or unstated else ""
    known = ", ".join(f"{n} {role}" for role, n in sizes.items() if n is not None)
    raise ReadError(
        path,
        found=f"data of shape {shape} with axes of {known}",
        cure="copy the file again; energies=[...] replaces a wrong energy axis",
    )


def find_axis(path: Path, entry: h5py.Group, counter: h5py.Group, role: str) -> h5py.Dataset | None:
    """Find the dataset of an axis in the counter; the energy may also be that of the monochromator."""
    for name, this in ROLES.items():
        child = counter.get(name) if this == role else None
        if isinstance(child, h5py.Dataset) and child.dtype.kind in "iuf":
            return child
    # A single image may state its energy only at the monochromator.
    elsewhere = ("instrument/monochromator/energy", "energy/data") if role == "energy" else ()
    return next((entry[n] for n in elsewhere if n in entry and entry[n].size == 1), None)


def read_energies(path: Path, axis: h5py.Dataset | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Energies [eV] of the energy axis."""
    if axis is None:
        raise ReadError(path, found="no photon energies", cure=f"give them in eV with energies=[...], data are {shape}")
    return convert_to_ev(path, *read_values_and_unit(axis))


def read_values_and_unit(axis: h5py.Dataset | None) -> tuple[Any, str | None]:
    """Values of an axis and the unit it states, None for both where there is no axis."""
    return (None, None) if axis is None else (np.asarray(axis[()]), decode_text(axis.attrs.get("units")))


def decode_text(value: Any) -> str:
    """Decode the text of an attribute or scalar dataset, written as text, bytes or an array."""
    if isinstance(value, h5py.Dataset):
        value = value[()] if value.size else b""
    # Some writers store texts as arrays of one element.
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else b""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    try:
        return value.decode("utf-8")
    # Old files hold "µm" in Latin-1.
    except UnicodeDecodeError:
        return value.decode("latin-1")
