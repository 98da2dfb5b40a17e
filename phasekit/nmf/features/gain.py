"""How many counts a detector gives per electron, read off the scatter between neighbouring scan points."""

from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...errors import SchemaError
from ...schema import PATTERNS, require
from .scan_images import check_values

_MAX_GROUPS = 32  # at most so many groups of pairs per pixel: boundaries of grains then spoil some groups, not all
_MIN_ELECTRONS = 10.0  # a group must hold so many to count


def estimate_gain(patterns: xr.Dataset) -> float:
    """Counts per electron: half the squared difference of neighbouring scan points against their mean.

    Neighbours mostly see the same specimen, so what sets them apart is counting noise, whose variance is gain times
    mean. The pairs of each detector pixel are grouped by scan line (32 groups at most); the median over all groups
    with at least 10 electrons of variance over mean is the gain. Boundaries, moving spots and hot pixels raise the
    ratio of some groups and hardly the median. Reads the data once, one scan line at a time.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], without offset and not yet averaged over scan points.
        NaN values are left out. Pairs run along the longer scan axis.

    Returns
    -------
    float
        Gain [counts per electron], 1 for counted electrons. Within 4 % on simulated scans of 24 x 30 points with 200 or
        2000 electrons per pattern; too high by up to 20 % where nearly every pixel sees a boundary and counts are many
        (20000 electrons on 32 x 32 pixels), and on scans of about 10 x 10 points.

    Raises
    ------
    SchemaError
        Not PATTERNS; a single scan point; values negative, infinite or zero everywhere; no scatter at all.

    References
    ----------
    J. R. Janesick, Photon Transfer (SPIE Press, 2007), chapter 5 (variance of differences against the mean).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(12, 12), detector=(32, 32))
    >>> abs(estimate_gain(scan.assign(intensity=3.0 * scan.intensity)) / 3.0 - 1) < 0.1
    True
    """
    require(patterns, PATTERNS, step="estimate_gain")
    intensity = patterns["intensity"]
    if max(intensity.sizes["scan_y"], intensity.sizes["scan_x"]) < 2:
        raise SchemaError(
            "estimate_gain: the scan has a single point, needs neighbours. Give gain=<counts per electron>."
        )
    along = "scan_y" if intensity.sizes["scan_y"] > intensity.sizes["scan_x"] else "scan_x"
    across = "scan_x" if along == "scan_y" else "scan_y"
    sums = _sum_lines(intensity.transpose(across, along, "qy", "qx"), across)
    ratio = _compute_median_ratio(sums[0], sums[1])
    if not ratio > 0:
        raise SchemaError(
            "estimate_gain: neighbouring scan points do not differ, so no counting noise to read the gain from. "
            "Give gain=<counts per electron>, or 1 for counted electrons."
        )
    return ratio


def _sum_lines(intensity: xr.DataArray, across: str) -> NDArray[np.float64]:
    """Summed half squared differences and summed means of neighbours, ``(2, group, qy, qx)``."""
    n = intensity.sizes[across]
    shape = tuple(intensity.sizes[d] for d in ("qy", "qx"))
    sums = np.zeros((2, min(n, _MAX_GROUPS), *shape))
    lowest, total = 0.0, 0.0
    for line in range(n):
        frames = np.asarray(intensity.isel({across: line}).data)
        with np.errstate(invalid="ignore"):  # infinite values are refused below
            difference, mean = _sum_pairs(frames)
            sums[:, line * sums.shape[1] // n] += difference, mean
        lowest, total = min(lowest, float(np.fmin.reduce(frames, axis=None))), total + float(mean.sum())
    check_values(lowest, total, "estimate_gain")
    return sums


def _sum_pairs(frames: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over the pairs of one line; a pair with a hole (NaN) counts nothing."""
    difference, mean = np.zeros((2, *frames.shape[1:]))
    for first, second in pairwise(frames):
        a, b = first.astype(np.float64), second.astype(np.float64)
        both = ~(np.isnan(a) | np.isnan(b))
        difference += np.where(both, (a - b) ** 2 / 2, 0)
        mean += np.where(both, (a + b) / 2, 0)
    return difference, mean


def _compute_median_ratio(difference: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
    """Median variance over mean of the groups that hold enough electrons (all groups with counts, if none does)."""
    some = (mean > 0) & (difference > 0)
    if not some.any():
        return 0.0
    ratio, level = difference[some] / mean[some], mean[some]
    enough = level >= _MIN_ELECTRONS * float(np.median(ratio))
    return float(np.median(ratio[enough] if enough.any() else ratio))
