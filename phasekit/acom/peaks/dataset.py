"""The dataset of peaks, made from arrays in pixels and the axes of the detector."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from ...errors import AcomStatus, SchemaError, status_attributes


class DetectorAxis(NamedTuple):
    """First value, step, number of pixels and unit of a detector axis."""

    start: float
    step: float
    size: int
    unit: str


def read_axis(patterns: xr.Dataset, dim: str) -> DetectorAxis:
    """Read a detector axis; refuse axes that are uneven, too short or without a known unit."""
    size = patterns.sizes[dim]
    values = patterns[dim].values if dim in patterns.coords else np.arange(float(size))
    unit = str(patterns[dim].attrs.get("units", "")) if dim in patterns.coords else "px"
    if unit not in ("px", "1/angstrom"):
        raise SchemaError(
            f"find_peaks: '{dim}' is in '{unit}', needs 'px' or '1/angstrom'. Set patterns['{dim}'].attrs['units']."
        )
    # A smaller pattern has no room for a disk and its background.
    if size < 16:
        raise SchemaError(f"find_peaks: '{dim}' has {size} pixels, needs at least 16. Do not bin the patterns so far.")
    # Positions in pixels become positions in the unit by one step, so the axis must be even.
    step = (values[-1] - values[0]) / (size - 1)
    if not np.isfinite(step) or step <= 0 or np.abs(np.diff(values) - step).max() > 0.01 * step:
        raise SchemaError(
            f"find_peaks: '{dim}' is not evenly rising, needs one step. Interpolate with .interp({dim}=...)."
        )
    return DetectorAxis(float(values[0]), float(step), size, unit)


def make_weak_peaks(found: dict[str, xr.DataArray], axes: dict[str, DetectorAxis]) -> dict[str, xr.DataArray]:
    """The weak peaks in the coordinates' units; empty where none were asked for."""
    if found["intensity"].sizes["peak"] == 0:
        return {}
    weak = {name: array.rename(peak="weak_peak") for name, array in found.items()}
    out = {"weak_intensity": weak["intensity"]}
    for name in ("qy", "qx"):
        out[f"weak_{name}"] = _convert_positions(weak[name], axes[name])
    return out


def make_peaks(found: dict[str, xr.DataArray], radius: xr.DataArray, axes: dict[str, DetectorAxis]) -> xr.Dataset:
    """PEAKS in the coordinates' units from the kernel's arrays in pixels."""
    out = xr.Dataset()
    for name in ("qy", "qx"):
        out[name] = _convert_positions(found[name], axes[name])
    for name in ("intensity", "prominence", "noise", "min_prominence", "count"):
        out[name] = found[name]
    out["status"] = found["status"].assign_attrs(status_attributes(AcomStatus))
    out["disk_radius"] = (radius * axes["qx"].step).assign_attrs(
        units=axes["qx"].unit, long_name="radius of a diffraction disk"
    )
    out = out.drop_vars(["qy", "qx"], errors="ignore").assign({n: out[n] for n in ("qy", "qx")})
    # The detector is needed to draw patterns again, and to find the middle before calibration.
    out.attrs["detector_shape"] = [axes["qy"].size, axes["qx"].size]
    out.attrs["detector_start"] = [axes["qy"].start, axes["qx"].start]
    out.attrs["detector_step"] = [axes["qy"].step, axes["qx"].step]
    return out


def _convert_positions(pixels: xr.DataArray, axis: DetectorAxis) -> xr.DataArray:
    """Positions [px] in the unit of the axis."""
    return (pixels * axis.step + axis.start).astype(np.float32).assign_attrs(units=axis.unit)
