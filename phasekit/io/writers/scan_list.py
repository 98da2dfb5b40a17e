"""Planned energies and dwell times as lines of text: one per energy, or one per region of equal steps."""

import json
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...schema.checks import package_version

NAME = "scan list"
EXTENSIONS = (".csv", ".txt")
KEEPS = "energies [eV], dwell times [ms], in .csv the provenance"
FUNCTIONS = ("save_scan_list",)

Array = NDArray[np.float64]
Layout = Literal["energies", "regions"]
SAME_STEP_EV = 1.5e-4  # energies are written to 0.1 meV


class _Region(NamedTuple):
    """Energies at equal steps with one dwell time, both ends included."""

    start: float
    stop: float
    n: int
    dwell: float


def make_lines(values: Array, dwell: Array, energies: xr.DataArray, layout: Layout, *, comma: bool) -> list[str]:
    """Lines of the file; with ``comma`` those of the CSV, which begin with units and provenance.

    ``values`` [eV] and ``dwell`` [ms] are checked and ascend; the attributes of ``energies`` say how they were chosen.
    """
    lines = [*_make_header(values, dwell, energies, layout)] if comma else []
    separator = "," if comma else " "
    if layout == "regions":
        regions = _find_regions(values, dwell)
        lines += [separator.join((f"{r.start:.4f}", f"{r.stop:.4f}", f"{r.n}", f"{r.dwell:.4f}")) for r in regions]
    elif comma:
        lines += [f"{energy:.4f},{time:.4f}" for energy, time in zip(values, dwell, strict=True)]
    else:
        lines += [f"{energy:.4f}" for energy in values]
    return lines


def _make_header(values: Array, dwell: Array, energies: xr.DataArray, layout: Layout) -> list[str]:
    columns = "energy_eV,dwell_ms" if layout == "energies" else "start_eV,stop_eV,n_energies,dwell_ms"
    lines = [
        f"# phasekit {package_version('phasekit')} scan list, {values.size} energies",
        "# units: energy [eV], dwell time per pixel [ms]",
        f"# dwell time of a pixel over all energies: {dwell.sum():.4f} ms",
    ]
    # Predicted errors of the plan help to choose between lists.
    errors = {str(key): value for key, value in energies.attrs.items() if str(key).endswith("_error")}
    lines += [f"# {name}: {value:.6g}" for name, value in errors.items()]
    if "provenance" in energies.attrs:
        lines.append(f"# provenance: {json.dumps(json.loads(energies.attrs['provenance']))}")
    return [*lines, columns]


def _find_regions(values: Array, dwell: Array) -> list[_Region]:
    """Runs of energies at equal steps with equal dwell times, each as long as it goes."""
    regions, first = [], 0
    while first < values.size:
        last = first
        # Each region is as long as possible, which gives the fewest lines.
        while last + 1 < values.size and _is_same_region(values, dwell, first, last):
            last += 1
        regions.append(_Region(values[first], values[last], last - first + 1, dwell[first]))
        first = last + 1
    return regions


def _is_same_region(values: Array, dwell: Array, first: int, last: int) -> bool:
    """Whether the energy after ``last`` goes on with the region that begins at ``first``."""
    # Dwell times are written to 0.1 microseconds, so smaller differences are none.
    if abs(dwell[last + 1] - dwell[first]) > 5e-5:
        return False
    steps = np.diff(values[first : last + 2])
    return bool(np.ptp(steps) < SAME_STEP_EV)
