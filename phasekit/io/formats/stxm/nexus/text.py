"""Texts of HDF5 files, their values with units, and names in the order of their numbers."""

import re
from typing import Any

import h5py
import numpy as np


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


def read_unit(dataset: h5py.Dataset) -> str:
    """Read the unit a dataset states, empty where it states none; a few programs write ``unit``."""
    return decode_text(dataset.attrs.get("units", dataset.attrs.get("unit"))).strip()


def read_values_and_unit(axis: h5py.Dataset | None) -> tuple[Any, str | None]:
    """Values of an axis and the unit it states, None for both where there is no axis."""
    return (None, None) if axis is None else (np.asarray(axis[()]), read_unit(axis))


def sort_naturally(names: list[str]) -> list[str]:
    """Sort names by their numbers, so that entry2 comes before entry10.

    Examples
    --------
    >>> sort_naturally(["entry10", "entry1", "entry2"])
    ['entry1', 'entry2', 'entry10']
    """
    return sorted(names, key=lambda name: [int(t) if t.isdecimal() else t for t in re.split(r"(\d+)", name)])
