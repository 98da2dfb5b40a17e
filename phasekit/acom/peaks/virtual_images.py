"""Maps and numbers made from peaks: virtual images, how many pixels are indexed, how much smaller the table is."""

import math
from typing import Any

import numpy as np
import xarray as xr

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...schema import ORIENTATIONS, PEAKS, VIRTUAL, describe, require


def virtual_images(peaks: xr.Dataset, *, aperture: tuple[float, float, float] | None = None) -> xr.Dataset:
    """Images of the scan from its peaks: what detectors behind masks would have seen, without their background.

    Parameters
    ----------
    peaks
        PEAKS, registered or not. The direct beam is the peak marked ``direct``, or where that is missing (peaks not
        registered) the one nearest the middle of the detector, within a tenth of its width.
    aperture
        (qy, qx, radius) of the dark-field aperture, in the peaks' unit; ``None``: everything but the direct beam.

    Returns
    -------
    xarray.Dataset
        VIRTUAL maps ``(scan_y, scan_x)``: ``bright_field``, ``full`` (all spots), ``dark_field``, ``prominence``
        (summed) [counts], ``spot_count``, ``noise``, ``min_prominence``. A pattern without peaks is 0 in place.

    Raises
    ------
    SchemaError
        Not PEAKS, or an aperture without a positive radius.

    Examples
    --------
    >>> import xarray as xr
    >>> dims, scan = ("scan_y", "scan_x", "peak"), ("scan_y", "scan_x")
    >>> spots = {n: (dims, [[[0.0, 0.4]]], {"units": "1/angstrom"}) for n in ("qy", "qx")}
    >>> heights = {n: (dims, [[[9.0, 2.0]]]) for n in ("intensity", "prominence")}
    >>> maps = {n: (scan, [[1.0]]) for n in ("noise", "min_prominence", "count", "status")}
    >>> images = virtual_images(xr.Dataset({**spots, **heights, **maps, "direct": (dims, [[[True, False]]])}))
    >>> float(images.bright_field[0, 0]), float(images.dark_field[0, 0])
    (9.0, 2.0)
    """
    require(peaks, PEAKS, step="virtual_images")
    direct = _direct_beam(peaks)
    if aperture is None:
        chosen = ~direct
    else:
        qy, qx, radius = aperture
        if not radius > 0:
            raise SchemaError(f"virtual_images: aperture radius = {radius}, needs a positive number.")
        chosen = (peaks.qy - qy) ** 2 + (peaks.qx - qx) ** 2 <= radius**2
    out = xr.Dataset(
        {
            "bright_field": peaks.intensity.where(direct).sum("peak"),
            "full": peaks.intensity.sum("peak"),
            "dark_field": peaks.intensity.where(chosen).sum("peak"),
            "spot_count": peaks["count"],
            "noise": peaks.noise,
            "min_prominence": peaks.min_prominence,
            "prominence": peaks.prominence.sum("peak"),
        }
    )
    return describe(out, VIRTUAL, step="virtual_images", settings={"aperture": aperture}, source=peaks)


def _direct_beam(peaks: xr.Dataset) -> xr.DataArray:
    """Mask of the direct beam's peak."""
    if "direct" in peaks:
        return peaks.direct.astype(bool)
    centre, reach = (0.0, 0.0), math.inf
    if all(key in peaks.attrs for key in ("detector_start", "detector_step", "detector_shape")):
        start, step, shape = (np.asarray(peaks.attrs[f"detector_{k}"], float) for k in ("start", "step", "shape"))
        middle = start + step * (shape - 1) / 2
        centre, reach = (float(middle[0]), float(middle[1])), float(np.min(shape * step)) / 10
    elif peaks.qx.attrs.get("units") == "px":
        raise SchemaError("virtual_images: the middle of the detector is not known. Run calibrate_peaks first.")
    away = np.hypot(peaks.qy - centre[0], peaks.qx - centre[1]).fillna(np.inf)
    nearest = away == away.min("peak")
    return nearest & (away <= reach)


@renamed_arguments(found="orientations")
def reliable_fraction(orientations: xr.Dataset, threshold: float = 15.0) -> float:
    """Part of all scan pixels whose orientation is indexed with at least this reliability.

    Parameters
    ----------
    orientations
        ORIENTATIONS. NaN reliability (vacuum, too few peaks) counts as not indexed.
    threshold
        Reliability R = 100 (1 - Q2 / Q1), 0 .. 100; above about 15 is commonly called safe.

    Returns
    -------
    float
        0 .. 1. A number to show, so lazy reliabilities are computed here.

    Raises
    ------
    SchemaError
        Not ORIENTATIONS.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> scan, match = ("scan_y", "scan_x"), ("scan_y", "scan_x", "match")
    >>> maps = {n: (scan, [[40.0, np.nan]]) for n in ("phase", "reliability", "phase_reliability", "status")}
    >>> best = {"quaternion": ((*match, "wxyz"), np.ones((1, 2, 1, 4))), "correlation": (match, np.ones((1, 2, 1)))}
    >>> reliable_fraction(xr.Dataset({**maps, **best}))
    0.5
    """
    require(orientations, ORIENTATIONS, step="reliable_fraction")
    return float((orientations.reliability >= threshold).mean())


def compression_ratio(
    shape: tuple[int, int], n_peaks: Any, *, columns: int = 9, pattern_bytes: int = 4, value_bytes: int = 4
) -> Any:
    """Bytes of a pattern over bytes of its table of peaks: ny nx pattern_bytes / (n_peaks columns value_bytes).

    Both sides uncompressed; padding, coordinates and what all patterns share are not counted.

    Parameters
    ----------
    shape
        Pixels of a pattern (ny, nx).
    n_peaks
        Number of peaks: a number or an array, such as ``peaks["count"]``.
    columns
        Numbers stored per peak; 9 in the published tables, 4 in PEAKS.
    pattern_bytes, value_bytes
        Bytes of a pixel and of a number in the table.

    Returns
    -------
    float or array
        The ratio, infinite for a pattern without peaks. Published example: 512 x 512 float32 and 30 peaks of 9 float32
        give 971.

    Raises
    ------
    SchemaError
        A size that is not positive.

    Examples
    --------
    >>> round(compression_ratio((512, 512), 30))
    971
    """
    if min(*shape, columns, pattern_bytes, value_bytes) <= 0:
        raise SchemaError(f"compression_ratio: shape {shape}, {columns} columns: all sizes must be positive.")
    table = n_peaks * (columns * value_bytes)
    with np.errstate(divide="ignore"):
        ratio = np.divide(float(math.prod(shape) * pattern_bytes), table)
    return float(ratio) if np.ndim(ratio) == 0 and not isinstance(ratio, xr.DataArray) else ratio
