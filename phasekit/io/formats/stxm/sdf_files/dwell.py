"""Dwell of the frames of an SDF scan, which its header states in up to three places."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dwell import convert_to_seconds
from .header import list_items

_KEYS = ("DwellTime", "Dwell")


def read_dwell(header: dict[str, Any], energy: NDArray[np.float64], region: int) -> NDArray[np.float64] | None:
    """Dwell [s] of every frame; None where the header states none. Headers give it in ms.

    The record of the frame comes before the region of energies, and that before the whole scan.
    """
    n_energy = energy.size
    scan = header.get("ScanDefinition", {})
    by_frame = [_get_dwell(header.get(f"Image{i:03d}_{region}")) for i in range(n_energy)]
    by_region = _list_by_energy_region(header, scan, n_energy)
    regions = list_items(scan, "Regions")
    whole = _get_dwell(regions[region] if region < len(regions) else None) or _get_dwell(scan)
    for found in (by_frame, by_region, [whole] * n_energy):
        values = [one for one in found if one is not None]
        # A gap could not be told from a change of the dwell.
        if len(values) == n_energy:
            return convert_to_seconds(values, "ms")
    return None


def _list_by_energy_region(header: dict[str, Any], scan: dict[str, Any], n_energy: int) -> list[float | None]:
    """Dwell of each frame from the regions of energies; empty where the header has none."""
    settings = header.get("ImageScan", scan)
    regions = list_items(settings if isinstance(settings, dict) else {}, "EnergyRegions")
    axis = scan.get("StackAxis")
    points = list_items(axis, "Points") if isinstance(axis, dict) else []
    if not regions or not all(isinstance(one, dict) and isinstance(one.get("Points"), int) for one in regions):
        return []
    in_order = [_get_dwell(one) for one in regions for _ in range(one["Points"])]
    # Energies where two regions meet may be listed once only; then the energies decide.
    out = in_order if len(in_order) == max(len(points), 1) else [_find_region_dwell(regions, p) for p in points]
    return out[:n_energy]


def _find_region_dwell(regions: list[dict[str, Any]], energy: Any) -> float | None:
    """Dwell of the first region of energies that holds an energy [eV]."""
    for one in regions:
        ends = [value for key in ("StartEnergy", "EndEnergy") if isinstance(value := one.get(key), int | float)]
        # Energies in headers are rounded to their last digit.
        if len(ends) == 2 and isinstance(energy, int | float) and min(ends) - 1e-3 <= energy <= max(ends) + 1e-3:
            return _get_dwell(one)
    return None


def _get_dwell(struct: Any) -> float | None:
    found = [struct[key] for key in _KEYS if key in struct] if isinstance(struct, dict) else []
    return float(found[0]) if found and isinstance(found[0], int | float) else None
