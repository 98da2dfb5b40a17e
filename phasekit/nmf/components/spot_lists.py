"""Spots of component patterns as plain lists, and how much of a pattern they hold."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
_BEAM_RADII = 2.0  # nearer to the direct beam a peak is what is left of it, or of the edge of its mask


@dataclass(frozen=True)
class SpotList:
    """Spots of one pattern: positions about the direct beam, and intensities.

    Attributes
    ----------
    position
        ``(spot, 2)`` as (y, x), in radii of a disk.
    weight
        Square root of the intensity ``(spot,)``, so that a spot of ten times the intensity counts about three times.
        The squares of the strong spots sum to 1.
    weak_position, weak_weight
        The same of maxima that are no spots by themselves, but may confirm one of another pattern.
    """

    position: Array
    weight: Array
    weak_position: Array
    weak_weight: Array


def read_spots(peaks: xr.Dataset) -> list[SpotList]:
    """Spots of every pattern of a line of PEAKS, positions in disk radii about the direct beam."""
    line, radius, beam = _read_geometry(peaks)
    lists = []
    for i in range(line.sizes["scan_x"]):
        strong, weak = (_read_list(line.isel(scan_x=i), prefix, beam, radius) for prefix in ("", "weak_"))
        norm = max(float(np.linalg.norm(strong[1])), 1e-300)
        lists.append(SpotList(strong[0], strong[1] / norm, weak[0], weak[1] / norm))
    return lists


def compute_spot_shares(factors: xr.Dataset, peaks: xr.Dataset) -> Array:
    """Part of every component pattern that is in its spots; the direct beam is left out on both sides."""
    line, radius, beam = _read_geometry(peaks)
    total = (
        (factors["factor"].sum(("qy", "qx")) * factors["loading"].max(("scan_y", "scan_x"))).to_numpy().astype(float)
    )
    every = np.nansum(line["intensity"].to_numpy().clip(min=0), axis=1)
    spots = [np.sum(_read_list(line.isel(scan_x=i), "", beam, radius)[1] ** 2) for i in range(len(total))]
    rest = np.maximum(total - (every - spots), 1e-300)
    return np.minimum(np.array(spots) / rest, 1.0)


def _read_geometry(peaks: xr.Dataset) -> tuple[xr.Dataset, float, Array]:
    """The line of peaks, its disk radius, and the direct beam (y, x) in the unit of the peaks."""
    line = peaks.isel(scan_y=0).compute()
    radius = max(float(line["disk_radius"].max()), 1e-9)
    if "detector_start" not in line.attrs:  # calibrated: positions count from the beam
        return line, radius, np.zeros(2)
    start, step, shape = (np.asarray(line.attrs[f"detector_{name}"], float) for name in ("start", "step", "shape"))
    # Coordinates that count from the first pixel have the beam, as far as is known, in the middle.
    return line, radius, np.where(start >= 0, start + step * (shape - 1) / 2, 0.0)


def _read_list(line: xr.Dataset, prefix: str, beam: Array, radius: float) -> tuple[Array, Array]:
    """Positions (spot, 2) in disk radii and amplitudes (spot,) without the direct beam and empty places."""
    if f"{prefix}intensity" not in line:
        return np.zeros((0, 2)), np.zeros(0)
    y, x, intensity = (line[f"{prefix}{name}"].to_numpy().astype(float) for name in ("qy", "qx", "intensity"))
    position = (np.stack([y, x], axis=1) - beam) / radius
    kept = (intensity > 0) & (np.linalg.norm(position, axis=1) > _BEAM_RADII)
    return position[kept], np.sqrt(intensity[kept])
