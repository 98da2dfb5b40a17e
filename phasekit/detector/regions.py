"""Regions of the detector that do not count: lines and gaps over its whole length, and disks at its limit."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
Flags = NDArray[np.bool_]

_WHOLE = 0.8  # share of a row from which on the row is bad, not its pixels
_WIDEST_LINE = 2  # [px]; what is wider is a gap between modules
_MIN_EXPECTED = 120.0  # electrons expected in a row of a gap in the whole scan, for their absence to mean something
_BRIGHT_BORDER = 0.1  # of the limit: what a true disk that reaches the limit has around it


def find_lines_and_gaps(bad: Flags) -> tuple[Flags, Flags]:
    """Rows and columns that are bad over four fifths of their length: up to two beside each other, and more."""
    line, gap = np.zeros(bad.shape, dtype=bool), np.zeros(bad.shape, dtype=bool)
    for rows, lines, gaps in ((bad, line, gap), (bad.T, line.T, gap.T)):
        for start, stop in _list_runs(rows.mean(axis=1) > _WHOLE):
            (lines if stop - start <= _WIDEST_LINE else gaps)[start:stop] = True
    return line & ~gap, gap


def find_dark_bands(mean: Image, n: int) -> Flags:
    """Bands of three rows or columns and more that are dark over their whole length, between rows that are not.

    ``mean`` is in electrons per pattern, ``n`` the number of patterns. A band at the edge of the detector has one
    bright side only, and is not found.
    """
    return _find_dark_rows(mean, n) | _find_dark_rows(mean.T, n).T


def find_saturated(at_limit: Flags, brightness: Image, limit: float) -> Flags:
    """Pixels at the detector's limit (``at_limit``) that a true disk has brought there.

    A disk has bright pixels around those at the limit: two of them at least a tenth of it. A masked pixel or a gap
    lies among pixels of any level. ``brightness`` (qy, qx) [counts] is the mean of what was counted.
    """
    from scipy.ndimage import binary_dilation, label

    out = np.zeros(at_limit.shape, dtype=bool)
    regions, count = label(at_limit, np.ones((3, 3)))
    for number in range(1, count + 1):
        region = regions == number
        border = np.sort(brightness[binary_dilation(region, np.ones((3, 3))) & ~at_limit])
        # A gap crosses bright disks too, so that a share of its border must be bright as well.
        least = max(2, border.size // 8)
        if border.size >= least and border[-least] >= _BRIGHT_BORDER * limit:
            out |= region
    return out


def _list_runs(flags: Flags) -> list[tuple[int, int]]:
    """First and last index + 1 of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _find_dark_rows(mean: Image, n: int) -> Flags:
    """Dark bands of rows; see :func:`find_dark_bands`."""
    out = np.zeros(mean.shape, dtype=bool)
    rows = len(mean)
    # A dark row holds hardly anything anywhere, so that only few rows are looked at.
    total = mean.sum(axis=1)
    for start, stop in _list_runs(total < 0.05 * np.median(total)):
        if stop - start <= _WIDEST_LINE or start < 2 or stop > rows - 2 or stop - start > rows // 4:
            continue
        above, below = mean[start - 2 : start].max(axis=0), mean[stop : stop + 2].max(axis=0)
        level = np.minimum(above, below)
        enough = level * n > 3
        odd = (mean[start:stop].max(axis=0) < 0.2 * level) & enough
        whole = odd.sum() > _WHOLE * max(enough.sum(), 1) and enough.mean() > _WHOLE
        if whole and level[enough].sum() * n > _MIN_EXPECTED:
            out[start:stop] = True
    return out
