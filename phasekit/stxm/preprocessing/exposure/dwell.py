"""Dwell of stack and incident intensity, and dark counts: what counts are compared with."""

import warnings

import numpy as np
import xarray as xr

from ....errors import SchemaError


class IntensityWarning(UserWarning):
    """Sample and incident intensity cannot be brought to the same dwell, so optical densities may be wrong."""


def normalise_pixel_dwell(stack: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Scale the counts of every pixel to the mean dwell of its frame; return them and the pixel's share of that dwell.

    The share (energy, scan_y, scan_x) is None where the stack states no dwell per pixel. Counts of a pixel whose dwell
    is not positive are lost.
    """
    if "pixel_dwell" not in stack:
        return stack["intensity"], None
    own = stack["pixel_dwell"]
    share = own.where(own > 0) / _get_frame_dwell(stack)
    return stack["intensity"] / share, share


def _get_frame_dwell(stack: xr.Dataset) -> xr.DataArray:
    """Mean dwell by energy [s]."""
    return stack["dwell"] if "dwell" in stack else stack["pixel_dwell"].mean(("scan_y", "scan_x"))


def find_dwell(data: xr.Dataset | xr.DataArray) -> xr.DataArray | None:
    """Find the dwell (energy) [s] of a stack, or of a spectrum that carries it as a coordinate; None where unknown."""
    if isinstance(data, xr.Dataset) and "pixel_dwell" in data:
        return _get_frame_dwell(data).astype(np.float64)
    return get_condition(data, "dwell")


def get_condition(data: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray | None:
    """Read a condition by energy, such as the ring current; None where it is missing or not positive everywhere."""
    if name not in (data if isinstance(data, xr.Dataset) else data.coords) or data[name].dims != ("energy",):
        return None
    values = data[name].astype(np.float64)
    return values if bool((values > 0).all()) else None


def warn_of_unknown_dwell(own: xr.DataArray | None, stack: xr.DataArray | None) -> None:
    """Warn where the dwell changes with the energy in one of I0 and stack, and the other states none."""
    known = own if stack is None else stack
    if known is None or (own is not None and stack is not None):
        return
    # A constant factor is a constant in OD, which every later step fits.
    if float(known.max()) <= 1.01 * float(known.min()):
        return
    states, silent = ("i0", "the stack") if stack is None else ("the stack", "i0")
    cure = (
        "Add it: stack.assign(dwell=('energy', [...]))"
        if stack is None
        else "Give i0 as a stack with its dwell, or with i0.assign_coords(dwell=('energy', [...]))"
    )
    warnings.warn(
        f"optical_density: the dwell of {states} changes from {float(known.min()):g} to {float(known.max()):g} s with "
        f"the energy, and {silent} states none. Both are taken to have the same dwell. {cure}, in seconds.",
        IntensityWarning,
        stacklevel=5,
    )


def arrange_dark(dark: float | xr.DataArray, frames: xr.DataArray) -> xr.DataArray | float:
    """Arrange dark counts for the subtraction from frames: a number, (energy), (scan_y, scan_x) or all three."""
    if not isinstance(dark, xr.DataArray):
        return float(dark)
    dims = tuple(d for d in ("energy", "scan_y", "scan_x") if d in dark.dims)
    if set(dims) != set(dark.dims) or len(dims) == 0 or ("scan_y" in dims) != ("scan_x" in dims):
        raise SchemaError(
            f"optical_density: dark has dimensions {dark.dims}, needs ('energy',) or ('scan_y', 'scan_x'), or a "
            "number. Rename them."
        )
    sizes = {d: frames.sizes[d] for d in dims}
    if dict(dark.sizes) != sizes:
        raise SchemaError(
            f"optical_density: dark has the sizes {dict(dark.sizes)}, needs those of the stack, {sizes}. "
            "Select the same energies and pixels."
        )
    # By position and not by coordinate: a dark frame is seldom scanned at the same stage positions.
    return dark.transpose(*dims).drop_vars(list(dark.coords)).astype(np.float64)


def average_dark(dark: xr.DataArray | float, energy: xr.DataArray) -> xr.DataArray:
    """Average dark counts over the frame: one number by energy."""
    mean = dark.mean([d for d in dark.dims if d != "energy"]) if isinstance(dark, xr.DataArray) else dark
    return (xr.zeros_like(energy, dtype=np.float64).drop_attrs() + mean).rename("dark")
