"""Patterns drawn again from their peaks."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import PATTERNS, PEAKS, describe, require


def reconstruct_patterns(
    peaks: xr.Dataset,
    shape: tuple[int, int] = (128, 128),
    *,
    pixel_size: float | None = None,
    radius: float | None = None,
    direct_beam: bool = True,
) -> xr.Dataset:
    """Draw every pattern again as disks at the sub-pixel positions of its peaks, without noise and background.

    Each disk is drawn on a grid that is 4 times finer, and binned back. Its pixels sum to the peak's ``intensity``.
    This is the reconstruction of Folastre et al., with sums in place of mean intensities.

    Parameters
    ----------
    peaks
        PEAKS in px or 1/angstrom, lazy or not. A pattern without peaks becomes an empty pattern in its place.
    shape
        Pixels (ny, nx) of the new patterns.
    pixel_size
        Size of a new pixel, in the peaks' unit. ``None``: the new patterns cover the detector of the peaks. Where the
        detector is not known, it is 1 for peaks in px, and peaks in 1/angstrom need a value.
    radius
        Radius of the disks, in the peaks' unit (``None``: ``disk_radius`` of the peaks, else 2 new pixels).
    direct_beam
        False leaves out the peaks marked ``direct``.

    Returns
    -------
    xarray.Dataset
        PATTERNS, float32, on ``qy``, ``qx`` in the peaks' unit. For calibrated peaks (0, 0) lies in the middle, at
        pixel (n - 1) / 2. Other peaks keep the coordinates of the detector.

    Raises
    ------
    SchemaError
        Not PEAKS, an empty shape, a pixel size or radius that is not positive, or a pixel size that is not known.

    See Also
    --------
    find_peaks : Finds the peaks.
    calibrate_peaks : Puts them on the direct beam and in 1/angstrom.
    compression_ratio : Compares the sizes of patterns and peaks.

    References
    ----------
    Folastre et al., Sci. Rep. 14, 12385 (2024), doi:10.1038/s41598-024-63060-5.

    Examples
    --------
    >>> import xarray as xr
    >>> dims, scan = ("scan_y", "scan_x", "peak"), ("scan_y", "scan_x")
    >>> spots = {n: (dims, [[[3.5, 8.0]]], {"units": "px"}) for n in ("qy", "qx")}
    >>> heights = {n: (dims, [[[9.0, 2.0]]]) for n in ("intensity", "prominence")}
    >>> maps = {n: (scan, [[1.0]]) for n in ("noise", "min_prominence", "count", "status")}
    >>> image = reconstruct_patterns(xr.Dataset({**spots, **heights, **maps}), (12, 12), radius=1.0).intensity[0, 0]
    >>> float(image.sum().round(3)), float(image[3, 3])
    (11.0, 2.25)
    """
    settings: dict[str, Any] = {
        "shape": shape,
        "pixel_size": pixel_size,
        "radius": radius,
        "direct_beam": direct_beam,
    }
    require(peaks, PEAKS, step="reconstruct_patterns", argument="peaks")
    if len(shape) != 2 or min(shape) < 1:
        raise SchemaError(f"reconstruct_patterns: shape = {shape}, needs two positive numbers of pixels.")
    axes = _make_axes(peaks, shape, pixel_size)
    step = axes["qx"][1] - axes["qx"][0] if shape[1] > 1 else (pixel_size or 1.0)
    # The radius is lazy where the patterns are. Then it is not checked, because that would compute it.
    disk = peaks["disk_radius"] if radius is None and "disk_radius" in peaks else xr.DataArray(radius or 2.0 * step)
    if not peaks.qx.chunks and not float(disk) > 0:
        raise SchemaError(f"reconstruct_patterns: radius = {float(disk)}, needs a positive number in the unit of 'qx'.")
    # Left-out peaks become NaN, which the drawing ignores.
    kept = (
        peaks.intensity if direct_beam or "direct" not in peaks else peaks.intensity.where(~peaks.direct.astype(bool))
    )
    whole = (peaks.qy, peaks.qx, kept)
    images = xr.apply_ufunc(
        _draw_block,
        *(array.chunk(peak=-1) if peaks.qx.chunks else array for array in whole),
        disk,
        kwargs={"axes": (axes["qy"], axes["qx"]), "step": float(step)},
        input_core_dims=[["peak"], ["peak"], ["peak"], []],
        output_core_dims=[["qy", "qx"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"qy": shape[0], "qx": shape[1]}},
    )
    unit = str(peaks.qx.attrs.get("units", "px"))
    coords = {name: (name, values, {"units": unit}) for name, values in axes.items()}
    out = xr.Dataset({"intensity": images}).reset_coords(drop=True).assign_coords(coords)
    return describe(out, PATTERNS, step="reconstruct_patterns", settings=settings, source=peaks)


def _make_axes(peaks: xr.Dataset, shape: tuple[int, int], pixel_size: float | None) -> dict[str, NDArray[np.float64]]:
    """Coordinates (pixel,) of the new detector along ``qy`` and ``qx``, in the peaks' unit."""
    if pixel_size is not None and not pixel_size > 0:
        raise SchemaError(
            f"reconstruct_patterns: pixel_size = {pixel_size}, needs a positive number in the unit of 'qx'."
        )
    has_detector = "detector_step" in peaks.attrs and "detector_shape" in peaks.attrs
    in_px = peaks.qx.attrs.get("units") == "px"
    if pixel_size is None and not has_detector and not in_px:
        raise SchemaError(
            "reconstruct_patterns: the size of a pixel is not known. "
            "Give pixel_size=<1/angstrom per pixel of the new patterns>."
        )
    axes: dict[str, NDArray[np.float64]] = {}
    for i, name in enumerate(("qy", "qx")):
        # The field of view stays the same, so a new shape means a new pixel size.
        field = (
            float(peaks.attrs["detector_step"][i]) * float(peaks.attrs["detector_shape"][i])
            if has_detector
            else shape[i]
        )
        step = pixel_size or field / shape[i]
        if "detector_start" in peaks.attrs and has_detector:  # the edge of the first pixel stays where it was
            edge = float(peaks.attrs["detector_start"][i]) - float(peaks.attrs["detector_step"][i]) / 2
            axes[name] = edge + (np.arange(shape[i], dtype=np.float64) + 0.5) * step
        else:
            middle = (shape[i] - 1) / 2 if not in_px else 0.0
            axes[name] = (np.arange(shape[i], dtype=np.float64) - middle) * step
    return axes


def _draw_block(
    qy: NDArray[Any],
    qx: NDArray[Any],
    intensity: NDArray[Any],
    radius: NDArray[np.float64],
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    step: float,
) -> NDArray[np.float32]:
    """Patterns ``(..., qy, qx)`` of a block of peaks ``(..., peak)``, all in the unit of the ``axes``."""
    # Compiled code is imported when it is needed.
    from ...disks import draw_peaks

    return draw_peaks(qy, qx, intensity, radius, axes=axes, step=step)
