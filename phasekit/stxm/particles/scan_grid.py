"""The scan as a grid of pixels with sides in nm, from which lengths and areas follow."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError

Array = NDArray[np.float64]
SCAN = ("scan_y", "scan_x")


class ScanGrid(NamedTuple):
    """Coordinates [nm] of rows and columns, and the sides of a pixel [nm]."""

    y: Array  # of the rows [nm]
    x: Array  # of the columns [nm]
    steps: tuple[float, float]  # sides (y, x) of a pixel [nm], positive

    @property
    def pixel_area(self) -> float:
        """Area of a pixel [nm2]."""
        return self.steps[0] * self.steps[1]

    @property
    def pixel_side(self) -> float:
        """Side of the square of equal area [nm]."""
        return float(np.sqrt(self.pixel_area))


def read_scan_grid(data: xr.Dataset, step: str) -> ScanGrid:
    """Grid of ``data``; refused where the scan has no coordinates or is not even."""
    missing = [dim for dim in SCAN if dim not in data.coords]
    if missing:
        raise SchemaError(
            f"{step}: there is no coordinate {missing}, needs positions in nm to measure lengths. Set them with "
            ".assign_coords(scan_y=('scan_y', np.arange(n) * step_nm, {'units': 'nm'}), ...)."
        )
    y, x = (np.asarray(data[dim].values, dtype=np.float64) for dim in SCAN)
    sides = [_find_step(values, dim, step) for values, dim in zip((y, x), SCAN, strict=True)]
    # a scan of one row or column takes the step of the other direction
    known = [side for side in sides if np.isfinite(side)] or [np.nan]
    steps = tuple(side if np.isfinite(side) else known[0] for side in sides)
    if not np.isfinite(known[0]):
        raise SchemaError(f"{step}: the scan has one position only, needs at least two to know the step.")
    return ScanGrid(y, x, (steps[0], steps[1]))


def _find_step(values: Array, dim: str, step: str) -> float:
    """Distance between neighbours, NaN for one position alone."""
    gaps = np.diff(values)
    if not gaps.size:
        return float("nan")
    side = float(np.median(gaps))  # the median ignores single positions that are wrong
    if not np.isfinite(values).all() or side == 0 or np.abs(gaps - side).max() > 0.1 * abs(side):
        raise SchemaError(
            f"{step}: '{dim}' is not evenly spaced ({gaps.min():g}..{gaps.max():g} nm). "
            "Interpolate the map to an even grid first, data.interp(...)."
        )
    return abs(side)


def select_scan_coordinates(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Coordinates of the scan that ``data`` has, by dimension."""
    return {dim: data[dim] for dim in SCAN if dim in data.coords}


def require_same_scan(first: xr.Dataset, second: xr.Dataset, *, step: str, what: str, cure: str) -> None:
    """Refuse two datasets of different scans."""
    sizes = [tuple(data.sizes[dim] for dim in SCAN) for data in (first, second)]
    apart = (
        [
            dim
            for dim in SCAN
            if dim in first.coords and dim in second.coords and not np.allclose(first[dim], second[dim])
        ]
        if sizes[0] == sizes[1]
        else list(SCAN)
    )
    if apart:
        raise SchemaError(f"{step}: {what} have {sizes} scan positions, or differ in {apart}. {cure}")
