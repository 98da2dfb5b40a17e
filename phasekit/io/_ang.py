"""Text of an ``.ang`` file as ASTAR writes it."""

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

#: EDAX code of the Laue class, by the point group's order when the class is completed by inversion.
_LAUE_CODES = {"-1": "1", "2/m": "20", "mmm": "22", "4/m": "4", "4/mmm": "42", "-3": "3", "-3m": "32"}
_LAUE_CODES |= {"6/m": "6", "6/mmm": "62", "m-3": "23", "m-3m": "43"}
_LAUE_OF = {
    "-1": "1 -1",
    "2/m": "2 m 2/m 121 112 211 m11 1m1 11m",
    "mmm": "222 mm2 mmm",
    "4/m": "4 -4 4/m",
    "4/mmm": "422 4mm -42m -4m2 4/mmm",
    "-3": "3 -3",
    "-3m": "32 321 312 3m 31m 3m1 -3m -31m -3m1",
    "6/m": "6 -6 6/m",
    "6/mmm": "622 6mm -6m2 -62m 6/mmm",
    "m-3": "23 m-3",
    "m-3m": "432 -43m m-3m",
}


def laue_code(point_group: str | None) -> str:
    """EDAX symmetry code of a point group's Laue class, 1 when it is not known.

    Examples
    --------
    >>> [laue_code(name) for name in ("m-3m", "-31m on the axes given", "mmm", None)]
    ['43', '32', '22', '1']
    """
    name = (point_group or "").split(" ")[0]
    return next((_LAUE_CODES[laue] for laue, names in _LAUE_OF.items() if name in names.split()), "1")


def header(found: xr.Dataset, used: NDArray[np.integer]) -> list[str]:
    """Comment lines; only phases that occur are listed, because orix numbers them by position otherwise."""
    lines = ["# File created by phasekit from ACOM", "# TEM_PIXperUM 1.000000"]
    for number, record in enumerate(json.loads(found.attrs.get("phases", "[]")), start=1):
        if number - 1 not in used:
            continue
        name = "".join(letter if letter.isalnum() else "_" for letter in str(record.get("name", f"phase_{number}")))
        lattice = " ".join(f"{value:.6g}" for value in record["lattice"])
        lines += [
            "#",
            f"# Phase {number}",
            f"# MaterialName  {name}",
            f"# Formula  {name}",
            f"# Symmetry  {laue_code(record.get('point_group'))}",
            f"# LatticeConstants  {lattice}",
            "# NumberFamilies  0",
        ]
    steps = [step_of(found["scan_x"].values), step_of(found["scan_y"].values)]
    ny, nx = found.sizes["scan_y"], found.sizes["scan_x"]
    return [
        *lines,
        "#",
        "# GRID: SqrGrid",
        f"# XSTEP: {steps[0]:.6f}",
        f"# YSTEP: {steps[1]:.6f}",
        f"# NCOLS_ODD: {nx}",
        f"# NCOLS_EVEN: {nx}",
        f"# NROWS: {ny}",
        "#",
    ]


def step_of(values: NDArray[np.floating[Any]]) -> float:
    """Step of a regular axis, 1 for a single position."""
    return float((values[-1] - values[0]) / (len(values) - 1)) if len(values) > 1 else 1.0


def rows(found: xr.Dataset, euler: NDArray[np.float64], indexed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Columns euler1..3 [rad], x, y [nm], index, reliability (0..1), phase (from 1), reliability x 100."""
    scan_y, scan_x = np.meshgrid(found["scan_y"].values, found["scan_x"].values, indexing="ij")
    correlation = found["correlation"].isel(match=0).values.ravel()
    reliability = found["reliability"].values.ravel() / 100
    phase = np.where(indexed, found["phase"].values.ravel() + 1, 0)
    scores = [np.where(indexed, np.nan_to_num(score), 0.0) for score in (correlation, reliability)]
    columns = [*euler.T, scan_x.ravel(), scan_y.ravel(), *scores, phase, scores[1] * 100]
    return np.column_stack(columns)
