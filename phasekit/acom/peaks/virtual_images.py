"""Maps and numbers made from peaks: virtual images, fraction of reliable pixels and compression ratio."""

import math
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...deprecation import renamed_arguments
from ...errors import SchemaError
from ...schema import ORIENTATIONS, PEAKS, VIRTUAL, describe, require
from .finding import find_peaks

_MOST_BYTES = 2**27  # of the patterns of a preview in single precision


def virtual_images(peaks: xr.Dataset, *, aperture: tuple[float, float, float] | None = None) -> xr.Dataset:
    """Make images of the scan from its peaks, like those of detectors behind masks, but without background.

    Parameters
    ----------
    peaks
        PEAKS, calibrated or not. The direct beam is the peak marked ``direct``. Peaks that are not calibrated have no
        mark. There it is the peak nearest the middle of the detector, within a tenth of its width.
    aperture
        (qy, qx, radius) of the dark-field aperture, in the peaks' unit. ``None``: all peaks but the direct beam.

    Returns
    -------
    xarray.Dataset
        VIRTUAL maps ``(scan_y, scan_x)``: ``bright_field``, ``full`` (all spots), ``dark_field``, ``prominence``
        (summed) [counts], ``spot_count``, ``noise``, ``min_prominence``. A pattern without peaks is 0 at its place.

    Raises
    ------
    SchemaError
        Not PEAKS, an aperture without a positive radius, or peaks whose detector is not known.

    See Also
    --------
    find_peaks : Finds the peaks.
    calibrate_peaks : Marks the direct beam.
    reconstruct_patterns : Draws the patterns again from the peaks.

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
    require(peaks, PEAKS, step="virtual_images", argument="peaks")
    direct = _find_direct_beam(peaks)
    # Without an aperture the dark field is everything that was scattered.
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


def _find_direct_beam(peaks: xr.Dataset) -> xr.DataArray:
    """Mask (scan_y, scan_x, peak) of the direct beam."""
    if "direct" in peaks:
        return peaks.direct.astype(bool)
    centre, reach = (0.0, 0.0), math.inf
    if all(key in peaks.attrs for key in ("detector_start", "detector_step", "detector_shape")):
        start, step, shape = (np.asarray(peaks.attrs[f"detector_{k}"], float) for k in ("start", "step", "shape"))
        middle = start + step * (shape - 1) / 2
        centre, reach = (float(middle[0]), float(middle[1])), float(np.min(shape * step)) / 10
    elif peaks.qx.attrs.get("units") == "px":
        raise SchemaError("virtual_images: the middle of the detector is not known. Run calibrate_peaks first.")
    # A pattern whose nearest peak is far from the middle has lost its direct beam: none is taken.
    away = np.hypot(peaks.qy - centre[0], peaks.qx - centre[1]).fillna(np.inf)
    nearest = away == away.min("peak")
    return nearest & (away <= reach)


@renamed_arguments(found="orientations")
def reliable_fraction(orientations: xr.Dataset, threshold: float = 15.0) -> float:
    """Compute the fraction of all scan pixels whose orientation has at least this reliability.

    Parameters
    ----------
    orientations
        ORIENTATIONS. NaN reliability (vacuum, too few peaks) counts as not indexed.
    threshold
        Reliability R = 100 (1 - Q2 / Q1), 0 .. 100. Values above about 15 are commonly called safe.

    Returns
    -------
    float
        0 .. 1. Lazy reliabilities are computed here.

    Raises
    ------
    SchemaError
        Not ORIENTATIONS.

    See Also
    --------
    match_orientations : Computes the reliability.
    refine_orientations : Computes it again after refinement.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> scan, match = ("scan_y", "scan_x"), ("scan_y", "scan_x", "match")
    >>> maps = {n: (scan, [[40.0, np.nan]]) for n in ("phase", "reliability", "phase_reliability", "status")}
    >>> best = {"quaternion": ((*match, "wxyz"), np.ones((1, 2, 1, 4))), "correlation": (match, np.ones((1, 2, 1)))}
    >>> reliable_fraction(xr.Dataset({**maps, **best}))
    0.5
    """
    require(orientations, ORIENTATIONS, step="reliable_fraction", argument="orientations")
    return float((orientations.reliability >= threshold).mean())


def compression_ratio(
    shape: tuple[int, int], n_peaks: Any, *, columns: int = 9, pattern_bytes: int = 4, value_bytes: int = 4
) -> Any:
    r"""Compute the ratio of the size of a pattern to that of its table of peaks.

    .. math:: r = \frac{n_y\, n_x\, b_{pattern}}{n_{peaks}\, n_{columns}\, b_{value}}

    Both sizes are uncompressed. Padding, coordinates, and what all patterns have in common are not counted.

    Parameters
    ----------
    shape
        Pixels of a pattern (ny, nx).
    n_peaks
        Number of peaks, a number or an array such as ``peaks["count"]``.
    columns
        Numbers stored per peak; 9 in the published tables, 4 in PEAKS.
    pattern_bytes, value_bytes
        Bytes of a pixel and of a number in the table.

    Returns
    -------
    float or array
        The ratio, infinite for a pattern without peaks. The published example of 512 x 512 float32 and 30 peaks of 9
        float32 gives 971.

    Raises
    ------
    SchemaError
        A size that is not positive.

    See Also
    --------
    find_peaks : Finds the peaks.
    reconstruct_patterns : Draws the patterns again from the peaks.

    Examples
    --------
    >>> round(compression_ratio((512, 512), 30))
    971
    """
    if min(*shape, columns, pattern_bytes, value_bytes) <= 0:
        raise SchemaError(
            f"compression_ratio: shape {shape}, {columns} columns, {pattern_bytes} and {value_bytes} bytes; all need "
            "to be positive. Give the shape of the detector, patterns.qy.size and patterns.qx.size."
        )
    table = n_peaks * (columns * value_bytes)
    # A pattern without peaks has an infinite ratio, not a warning.
    with np.errstate(divide="ignore"):
        ratio = np.divide(float(math.prod(shape) * pattern_bytes), table)
    return float(ratio) if np.ndim(ratio) == 0 and not isinstance(ratio, xr.DataArray) else ratio


class PeakCounts(NamedTuple):
    """Number of peaks of the patterns that were searched."""

    n_peaks: xr.DataArray  # (scan_y, scan_x)
    median: float  # number of peaks
    empty_share: float  # 0..1, of patterns with at most one peak: the direct beam alone


def select_regularly(patterns: xr.Dataset, most: int = 256) -> dict[str, slice]:
    """Selection of at most ``most`` patterns with one step along both axes of the scan, as ``isel`` takes it.

    Of large patterns there are fewer, so that they take 128 MiB at most. The first one lies half a step from the edge.
    """
    sizes = {dim: patterns.sizes[dim] for dim in ("scan_y", "scan_x")}
    bytes_each = 4 * patterns.sizes["qy"] * patterns.sizes["qx"] if "qy" in patterns.sizes else 1
    most = max(min(most, _MOST_BYTES // bytes_each), 1)
    step = 1
    while np.prod([-(-n // step) for n in sizes.values()]) > most:
        step += 1
    # A line of pixels is thinner than half a step.
    return {dim: slice(min((step - 1) // 2, (n - 1) // 2), None, step) for dim, n in sizes.items()}


def count_peaks(patterns: xr.Dataset, **settings: Any) -> PeakCounts:
    """Search the peaks of PATTERNS with the ``settings`` of :func:`find_peaks`, and count them."""
    return summarise_counts(find_peaks(patterns, weak_peaks=0, **settings)["count"].compute())


def summarise_counts(count: xr.DataArray) -> PeakCounts:
    """Median number of peaks, and the share of patterns with at most one; NaN without any pattern."""
    values = np.asarray(count.values)
    if values.size == 0:
        return PeakCounts(count, np.nan, np.nan)
    return PeakCounts(count, float(np.median(values)), float((values <= 1).mean()))
