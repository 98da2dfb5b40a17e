"""Counts per electron of a detector, measured from the scatter between neighbouring scan points."""

from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...detector.scan_images import check_values
from ...errors import SchemaError
from ...schema import PATTERNS, require

_MAX_GROUPS = 32  # groups of pairs per pixel, at most: boundaries of grains then spoil some groups, not all
_MIN_ELECTRONS = 10.0  # in a group: with fewer, variance over mean scatters too much to be useful


def estimate_gain(patterns: xr.Dataset) -> float:
    r"""Estimate the counts per electron from the scatter between neighbouring scan points.

    Neighbours mostly show the same specimen, so their difference is counting noise. For counts :math:`v = g\,n` with
    Poisson distributed :math:`n`, the variance is :math:`g` times the mean:

    .. math::

        \hat g = \mathrm{median}_{\mathrm{groups}}\;
        \frac{\sum_{\mathrm{pairs}} (v_1 - v_2)^2 / 2}{\sum_{\mathrm{pairs}} (v_1 + v_2) / 2}.

    The pairs of each detector pixel are grouped by scan line, in 32 groups at most. The median is over all groups with
    at least 10 electrons. Boundaries, moving spots and hot pixels raise the ratio of some groups and hardly the median.
    The data are read once, one scan line at a time.

    Parameters
    ----------
    patterns
        PATTERNS: ``intensity(scan_y, scan_x, qy, qx)`` [counts], without offset and not yet averaged over scan points.
        NaN values are left out. Pairs run along the longer scan axis.

    Returns
    -------
    float
        Gain [counts per electron], 1 for counted electrons. It is within 4 % on simulated scans of 24 x 30 points with
        200 or 2000 electrons per pattern. It is too high by up to 20 % on scans of about 10 x 10 points. The same holds
        where nearly every pixel crosses a boundary and counts are many (20000 electrons on 32 x 32 pixels).

    Raises
    ------
    SchemaError
        Not PATTERNS; a single scan point; values negative, infinite or zero everywhere; no scatter at all.

    See Also
    --------
    to_features : Takes the result as ``gain``.
    find_detector_mask : Finds dead and hot pixels in the same data.

    References
    ----------
    Janesick, Photon Transfer (SPIE Press, 2007), chapter 5 (variance of differences against the mean).

    Examples
    --------
    >>> import phasekit as pk
    >>> scan = pk.synthetic.overlapping_grains(n_components=2, shape=(12, 12), detector=(32, 32))
    >>> abs(estimate_gain(scan.assign(intensity=3.0 * scan.intensity)) / 3.0 - 1) < 0.1
    True
    """
    require(patterns, PATTERNS, step="estimate_gain", argument="patterns")
    intensity = patterns["intensity"]
    if max(intensity.sizes["scan_y"], intensity.sizes["scan_x"]) < 2:
        raise SchemaError(
            "estimate_gain: the scan has a single point, needs neighbours. Give gain=<counts per electron>."
        )
    # The longer axis gives the most pairs per group.
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
    """Summed half squared differences and summed means of neighbours, ``(2, group, qy, qx)`` [counts^2, counts]."""
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
    """Sums over the pairs of one line; a pair with a missing value (NaN) adds nothing."""
    difference, mean = np.zeros((2, *frames.shape[1:]))
    for first, second in pairwise(frames):
        a, b = first.astype(np.float64), second.astype(np.float64)
        both = ~(np.isnan(a) | np.isnan(b))
        difference += np.where(both, (a - b) ** 2 / 2, 0)
        mean += np.where(both, (a + b) / 2, 0)
    return difference, mean


def _compute_median_ratio(difference: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
    """Median variance over mean of the groups with enough electrons; of all groups with counts, if none has."""
    some = (mean > 0) & (difference > 0)
    if not some.any():
        return 0.0
    # Electrons are counts over the gain, which is not known yet: the median of all groups serves as a first estimate.
    ratio, level = difference[some] / mean[some], mean[some]
    enough = level >= _MIN_ELECTRONS * float(np.median(ratio))
    return float(np.median(ratio[enough] if enough.any() else ratio))
