"""Dwell of the frames, and counts told from counts per second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .units import find_unit_factor

# Factors to seconds by the unit in lower case.
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "microsecond", "microseconds"), 1e-6),
    "ns": 1e-9,
    "min": 60.0,
}
# Factors to a value per second. A current or a voltage is a mean over the dwell, as a rate is.
_RATES = {
    **dict.fromkeys(("hz", "cps", "counts/s", "counts/sec", "counts/second", "count/s", "1/s", "s^-1", "s-1"), 1.0),
    **dict.fromkeys(("khz", "kcps", "kcounts/s", "counts/ms"), 1e3),
    **dict.fromkeys(("mhz", "mcps"), 1e6),
    **dict.fromkeys(("v", "mv", "volt", "a", "ua", "na", "pa", "ampere"), 1.0),
}


def convert_to_seconds(values: Any, unit: str | None) -> NDArray[np.float64] | None:
    """Convert times to seconds; None where the unit is unknown or a time is not positive."""
    factor = find_unit_factor(unit, _SECONDS)
    seconds = np.asarray(values, dtype=np.float64) * (1.0 if factor is None else factor)
    # Zero is written where nothing was recorded.
    return seconds if seconds.size and np.isfinite(seconds).all() and (seconds > 0).all() else None


def find_time_factor(unit: str | None) -> float:
    """Factor from a time unit to seconds: 1 when there is no unit, NaN when it is unknown.

    Examples
    --------
    >>> find_time_factor("ms"), find_time_factor(None), find_time_factor("eV")
    (0.001, 1.0, nan)
    """
    factor = find_unit_factor(unit, _SECONDS)
    return 1.0 if factor is None else factor


def find_count_factor(values: NDArray[Any], dwell: float | None, unit: str) -> float | None:
    """Factor by which ``values`` of one frame and its dwell [s] are multiplied to give counts; None for counts.

    Whole numbers decide before the unit does: some files say "Hz" beside plain counts.

    Examples
    --------
    >>> find_count_factor(np.array([12500.0, 13000.0]), 0.002, "Hz"), find_count_factor(np.array([1251.0]), 0.001, "Hz")
    (1.0, None)
    """
    if dwell is None:
        return None
    per_second = find_unit_factor(unit, _RATES)
    stated = per_second is not None and not np.isnan(per_second)
    factor = float(per_second) if per_second is not None and stated else 1.0
    as_counts = _are_whole(values), _are_whole(values * factor * dwell)
    # A rate of whole counts, a plain count, or a rate that was rounded or averaged.
    if as_counts[0] and not (stated and as_counts[1]):
        return None
    return factor if as_counts[1] or stated else None


def _are_whole(values: NDArray[Any]) -> bool:
    """Whether the values are whole numbers of at least 1, up to the rounding of a text file."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    nearest = np.round(finite)
    # By chance one value in ten lies this near to a whole number.
    near = np.abs(finite - nearest) < 0.05
    # Values crowded about one number may all be near it; counts differ by one at least.
    steps = np.diff(np.unique(finite))
    return bool(finite.size and near.mean() > 0.95 and np.median(nearest) >= 1 and (steps > 0.9).all())


def describe_unit(unit: str, factor: float | None) -> str:
    """Remark on the unit of the file, empty for counts."""
    if factor is not None:
        return f"values per second in the file (unit '{unit}'), multiplied by the dwell"
    return "" if unit.lower() in ("", "counts", "count") else f"the file's unit is {unit}"
