"""Limits of a run from texts: memory, ``4GB``, and time, ``30min``."""

import re
from typing import Any

_BYTES = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
MEMORY_FORM = "needs a number with its unit (MB, GB, TB, MiB, GiB, TiB), as in 4GB"
TIME_FORM = "needs a number with its unit (s, min, h, d) or h:mm:ss, as in 30min or 1:30:00"


def parse_memory(value: Any) -> int:
    """Bytes of a text, ``4GB``; ``ValueError`` where it has no unit or is not positive.

    Examples
    --------
    >>> parse_memory("4GB"), parse_memory("1.5 GiB")
    (4000000000, 1610612736)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", str(value), re.IGNORECASE | re.ASCII)
    if match is None or match.group(2).lower() not in _BYTES:
        raise ValueError(value)
    # A unit as short as ``G`` is 10^9 bytes for dask and 2^30 bytes for SLURM, so it is refused.
    n_bytes = round(float(match.group(1)) * _BYTES[match.group(2).lower()])
    if not 1 <= n_bytes < 2**60:
        raise ValueError(value)
    return n_bytes


def parse_time(value: Any) -> float:
    """Seconds of a text, ``90s``, ``1h30min`` or ``1:30:00``; ``ValueError`` where it has no unit or is not positive.

    Examples
    --------
    >>> parse_time("90s"), parse_time("1h 30min"), parse_time("1:30:00")
    (90.0, 5400.0, 5400.0)
    """
    text = str(value).strip().lower()
    if clock := re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text, re.ASCII):
        hours, minutes, rest = map(int, clock.groups())
        seconds = hours * 3600.0 + minutes * 60 + rest
    elif re.fullmatch(r"(\d+(\.\d+)?\s*(s|min|h|d)\s*)+", text, re.ASCII):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)", text)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        raise ValueError(value)
    if not 0 < seconds < 1e8:
        raise ValueError(value)
    return seconds
