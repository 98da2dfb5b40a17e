"""Axes that a file names: xarray (netCDF, zarr) and NeXus, with one array of positions per name."""

from typing import Any

import numpy as np

from .axes import Axis
from .tree_axes import read_text


def read_named_axes(group: Any, node: Any) -> list[Axis]:
    """Axes of an array by their names, with steps and units of the arrays of these names; [] where it names none.

    Parameters
    ----------
    group
        Group of the array, in which the arrays of positions lie; None where the store is one array.
    node
        HDF5 dataset or zarr array.

    Returns
    -------
    list of Axis
        One per dimension in the order of the file. Positions that are not regular give no step.
    """
    names = _read_array_names(node) or _read_scale_names(node) or _read_nexus_names(group, node)
    if len(names) != len(node.shape):
        return []
    return [_read_axis(group, name, size) for name, size in zip(names, node.shape, strict=True)]


def _read_array_names(node: Any) -> list[str]:
    """Names that xarray writes: in the attributes of zarr 2, in the metadata of zarr 3."""
    listed = node.attrs.get("_ARRAY_DIMENSIONS", None)
    if listed is None:
        listed = getattr(getattr(node, "metadata", None), "dimension_names", None)
    return [read_text(name or "") for name in listed] if isinstance(listed, list | tuple | np.ndarray) else []


def _read_scale_names(node: Any) -> list[str]:
    """Names of netCDF-4: the dimension scales of HDF5."""
    dims = getattr(node, "dims", None)
    if dims is None or isinstance(dims, tuple):
        return []
    names = []
    for dim in dims:
        try:
            names.append(dim[0].name.rpartition("/")[2] if len(dim) else "")
        except (RuntimeError, KeyError, AttributeError):  # a scale that was deleted
            names.append("")
    return names if any(names) else []


def _read_nexus_names(group: Any, node: Any) -> list[str]:
    """Names that NXdata gives: the attribute ``axes`` of the group or, in old files, of the array."""
    if group is None:
        return []
    name = getattr(node, "name", "").rpartition("/")[2]
    signal = read_text(group.attrs.get("signal", ""))
    listed = group.attrs.get("axes") if signal and signal in (name, "data") else None
    listed = node.attrs.get("axes") if listed is None else listed
    if listed is None:
        return _read_indices(group, len(node.shape)) if signal == name else []
    names = [read_text(item) for item in np.ravel(listed)]
    # Old files write the names in one text.
    return names[0].replace(",", ":").strip("[]").split(":") if len(names) == 1 and len(node.shape) > 1 else names


def _read_indices(group: Any, ndim: int) -> list[str]:
    """Names of NXdata that states only the place of every axis (``x_indices`` = 1)."""
    names = [""] * ndim
    for key, value in group.attrs.items():
        places = np.ravel(value) if key.endswith("_indices") else np.empty(0)
        if places.size == 1 and places.dtype.kind in "iu" and 0 <= places[0] < ndim:
            names[int(places[0])] = key.removesuffix("_indices")
    return names if any(names) else []


def _read_axis(group: Any, name: str, size: int) -> Axis:
    node: Any = group[name] if group is not None and name not in ("", ".") and name in group else None
    if getattr(node, "shape", None) != (size,) or size < 2 or node.dtype.kind not in "iuf":
        return Axis(name=name)
    values: np.ndarray = np.asarray(node[:], dtype=float)
    units = read_text(node.attrs.get("units", ""))
    steps = np.diff(values)
    # A step between rounded positions differs by their rounding only.
    if not np.allclose(steps, steps.mean(), rtol=1e-3, atol=1e-6 * float(np.abs(values).max())):
        return Axis(units=units, name=name)
    return Axis(float(steps.mean()), float(values[0]), units, name)
