"""What is measured on any phase map: its fraction per reference, its lone pixels, its status."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phasekit.errors import StxmStatus


def find_lone_pixels(phase: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which named pixels are unlike every named neighbour (of four), two of them at least.

    Half-toning shows as many of them. A pixel with fewer named neighbours says nothing of it.

    Examples
    --------
    >>> find_lone_pixels(np.array([[0, 0, 0], [0, 1, 0], [0, 0, -1]])).sum()
    np.int64(1)
    """
    framed = np.pad(phase, 1, constant_values=-1)
    inner = slice(1, -1)
    neighbours = np.stack(
        [framed[:-2, inner], framed[2:, inner], framed[inner, :-2], framed[inner, 2:]],
    )
    named = neighbours >= 0
    alike = (neighbours == phase) & named
    return (phase >= 0) & ~alike.any(axis=0) & (named.sum(axis=0) >= 2)


def compute_lone_share(phase: NDArray[Any], use: NDArray[np.bool_]) -> float:
    """Share of lone pixels among the named pixels of ``use``; NaN where there is none."""
    counted = use & (phase >= 0)
    return float(find_lone_pixels(phase)[counted].mean()) if counted.any() else np.nan


def select_fraction(phases: xr.Dataset) -> NDArray[np.float64]:
    """Fraction (scan_y, scan_x, reference) of a map: its own where it states one.

    Else 1 for the phase of the pixel and 0 for the others. NaN where the map names nothing.
    """
    dims = ("scan_y", "scan_x", "reference")
    if "reference_fraction" in phases:
        return np.asarray(phases["reference_fraction"].transpose(*dims).values, dtype=float)
    phase = phases["phase"].values
    one_hot = np.eye(phases.sizes["reference"])[np.maximum(phase, 0)]
    return np.where((phase >= 0)[..., None], one_hot, np.nan)


def count_statuses(status: NDArray[Any], use: NDArray[np.bool_]) -> dict[str, float]:
    """Share of every status in ``use``, by its name."""
    return {one.name.lower(): float((status[use] == one).mean()) for one in StxmStatus}


def correlate_fractions(found: NDArray[Any], wanted: NDArray[Any], use: NDArray[np.bool_]) -> float:
    """Pearson correlation over the pixels of ``use`` where both are known; NaN where one of them does not vary."""
    good = use & np.isfinite(found) & np.isfinite(wanted)
    if good.sum() < 3 or np.ptp(found[good]) == 0 or np.ptp(wanted[good]) == 0:
        return np.nan
    return float(np.corrcoef(found[good], wanted[good])[0, 1])
