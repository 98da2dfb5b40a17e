"""Patterns drawn from their peaks, on the detector on which the peaks were found."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import PEAKS, require

_BLOCK_BYTES = 8 << 20


def draw_patterns(peaks: xr.Dataset, patterns: xr.Dataset) -> xr.DataArray:
    """Intensities of ``patterns`` replaced by disks at the peaks, drawn block by block when they are needed (dask).

    Peaks in the unit of the detector's coordinates are placed by these coordinates. Calibrated peaks in 1/angstrom on a
    detector in px are placed about its middle.
    """
    require(peaks, PEAKS, step="to_features", argument="peaks")
    scan = tuple(patterns.sizes[d] for d in ("scan_y", "scan_x"))
    if tuple(peaks.sizes[d] for d in ("scan_y", "scan_x")) != scan:
        raise SchemaError(
            f"to_features: peaks are of a scan of {peaks.qx.shape[:2]}, needs {scan}. Find them on these patterns."
        )
    axes = tuple(_compute_axis(peaks, patterns, i) for i in range(2))
    # Without a measured radius, disks get a radius of two pixels.
    step = float(axes[1][1] - axes[1][0])
    radius = peaks["disk_radius"] if "disk_radius" in peaks else xr.DataArray(2.0 * step)
    chunks = _choose_chunks(patterns)
    # Coordinates of the peaks are dropped: they would have to agree with the scan's, which may carry other units.
    return xr.apply_ufunc(
        _draw_block,
        *(peaks[name].drop_vars(peaks[name].coords).chunk(chunks | {"peak": -1}) for name in ("qy", "qx", "intensity")),
        radius,
        kwargs={"axes": axes, "step": step},
        input_core_dims=[["peak"], ["peak"], ["peak"], []],
        output_core_dims=[["qy", "qx"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"qy": axes[0].size, "qx": axes[1].size}},
    ).reset_coords(drop=True)


def _compute_axis(peaks: xr.Dataset, patterns: xr.Dataset, i: int) -> NDArray[np.float64]:
    """Positions of the detector's pixels along axis ``i`` in the peaks' unit."""
    name = ("qy", "qx")[i]
    n, unit = patterns.sizes[name], peaks[name].attrs.get("units", "px")
    if name in patterns.coords and patterns[name].attrs.get("units", "px") == unit:
        return np.asarray(patterns[name].to_numpy(), dtype=np.float64)
    if name not in patterns.coords and unit == "px":
        return np.arange(n, dtype=np.float64)
    # Calibrated peaks are centred on the direct beam, so that the detector's middle is their origin.
    shape, step = peaks.attrs.get("detector_shape"), peaks.attrs.get("detector_step")
    if shape is None or step is None or int(shape[i]) != n:
        raise SchemaError(
            f"to_features: the peaks' '{name}' is in '{unit}', the patterns' is not, and the peaks do not say how "
            "large a pixel of this detector is. Give peaks as pk.acom.find_peaks found them on these patterns."
        )
    return np.asarray((np.arange(n) - (n - 1) / 2) * float(step[i]), dtype=np.float64)


def _choose_chunks(patterns: xr.Dataset) -> dict[str, Any]:
    """Scan chunks of the patterns, or lines that take about 8 MB when drawn."""
    chunks = {d: patterns.chunksizes[d] for d in ("scan_y", "scan_x") if d in patterns.chunksizes}
    if chunks:
        return chunks
    line = 4 * patterns.sizes["scan_x"] * patterns.sizes["qy"] * patterns.sizes["qx"]
    return {"scan_y": max(1, _BLOCK_BYTES // line), "scan_x": -1}


def _draw_block(*peaks: NDArray[Any], **detector: Any) -> NDArray[np.float32]:
    """Patterns ``(..., qy, qx)`` of a block of peaks; compiled code is imported only when it is needed."""
    from ...disks import draw_peaks

    return draw_peaks(*peaks, **detector)
