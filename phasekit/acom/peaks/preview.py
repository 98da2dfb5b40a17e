"""The peak search on a regular part of a scan, so that its settings can be judged before the whole scan is searched."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .finding import find_peaks

_MOST_BYTES = 2**27  # of the patterns in single precision


class PeakCounts(NamedTuple):
    """Number of peaks of the patterns that were searched."""

    count: xr.DataArray  # (scan_y, scan_x)
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
