"""Orientation maps as ``.ang`` text in ASTAR's layout."""

from bisect import bisect_left
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...crystals import find_standard_group, phase_from_record
from .orientation_table import (
    compute_euler_angles,
    compute_step,
    make_ascii_name,
    make_orientation_table,
    read_phase_records,
)

NAME = "ANG"
EXTENSIONS = (".ang",)
KEEPS = "Euler angles [rad], positions [nm], correlation, reliability, phase"
FUNCTIONS = ("save_ang",)

#: EDAX code of the Laue class, by the point group's order when the class is completed by inversion.
_LAUE_CODES = {"-1": "1", "2/m": "20", "mmm": "22", "4/m": "4", "4/mmm": "42", "-3": "3", "-3m": "32"}
_LAUE_CODES |= {"6/m": "6", "6/mmm": "62", "m-3": "23", "m-3m": "43"}
# Point groups of each Laue class, with the other settings of monoclinic and trigonal ones.
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


#: In the order of HKL's numbers 1..11.
LAUE_CLASSES = tuple(_LAUE_OF)
_PARALLEL = 0.999  # cosine of an angle of 2.5 degrees
# Space groups are numbered by Laue class: the last number of each class.
_LAST_SPACE_GROUP = (2, 15, 74, 88, 142, 148, 167, 176, 194, 206, 230)


def write(orientations: xr.Dataset, path: Path) -> None:
    """Write an orientation map as nine columns below a header of comments."""
    data, indexed = make_orientation_table(orientations, "save_ang")
    table = make_rows(data, compute_euler_angles(data, indexed), indexed)
    used = np.unique(data["phase"].values[data["phase"].values >= 0])
    np.savetxt(
        path,
        table,
        fmt=["%.7f"] * 3 + ["%.4f"] * 2 + ["%.6f"] * 2 + ["%d", "%.4f"],
        header="\n".join(make_header(data, used)),
        comments="",
        encoding="ascii",
    )


def find_laue_class(record: dict[str, Any]) -> str:
    """Laue class of a phase from its point group, else from its space group; "-1" when neither is known.

    It is "-1" too where the group lies on axes for which the formats have no word, as in a primitive cell of a cubic
    crystal: other programs would turn the symmetry against the orientations.

    Examples
    --------
    >>> [find_laue_class({"point_group": name}) for name in ("432", "-31m on the axes given", None)]
    ['m-3m', '-3m', '-1']
    >>> find_laue_class({"point_group": None, "space_group": 14})
    '2/m'
    """
    if not _has_usual_axes(record):
        return "-1"
    name = str(record.get("point_group") or "").split(" ")[0]
    number = int(record.get("space_group") or 1)
    by_number = LAUE_CLASSES[bisect_left(_LAST_SPACE_GROUP, number)]
    return next((laue for laue, names in _LAUE_OF.items() if name in names.split()), by_number)


def _has_usual_axes(record: dict[str, Any]) -> bool:
    """Whether the formats know the axes of the group: those of orix, 2/m about any cell axis, 3-fold axes along c."""
    if "symmetry" not in record:
        return True
    standard, turn = find_standard_group(phase_from_record(record).point_group)
    # The third row is the main axis in the frame of the crystal.
    along = np.abs(turn[2])
    if standard.name == "2/m":
        return bool(along.max() > _PARALLEL)
    return bool(np.allclose(turn, np.eye(3), atol=1e-2) or (standard.name == "-3m" and along[2] > _PARALLEL))


def find_laue_code(record: dict[str, Any]) -> str:
    """EDAX symmetry code of a phase's Laue class, 1 when it is not known.

    Examples
    --------
    >>> [find_laue_code({"point_group": name}) for name in ("m-3m", "-31m on the axes given", "mmm", None)]
    ['43', '32', '22', '1']
    """
    return _LAUE_CODES[find_laue_class(record)]


def make_header(orientations: xr.Dataset, used: NDArray[np.integer]) -> list[str]:
    """Comment lines; only phases that occur are listed, because orix numbers them by position otherwise."""
    lines = ["# File created by phasekit from ACOM", "# TEM_PIXperUM 1.000000"]
    # Numbers of phases stay those of the map, also where some do not occur.
    for number, record in enumerate(read_phase_records(orientations), start=1):
        if number - 1 not in used:
            continue
        name = "".join(letter if letter.isalnum() else "_" for letter in make_ascii_name(record, number))
        lattice = " ".join(f"{value:.6g}" for value in record["lattice"])
        lines += [
            "#",
            f"# Phase {number}",
            f"# MaterialName  {name}",
            f"# Formula  {name}",
            f"# Symmetry  {find_laue_code(record)}",
            f"# LatticeConstants  {lattice}",
            "# NumberFamilies  0",
        ]
    steps = [compute_step(orientations["scan_x"].values), compute_step(orientations["scan_y"].values)]
    ny, nx = orientations.sizes["scan_y"], orientations.sizes["scan_x"]
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


def make_rows(orientations: xr.Dataset, euler: NDArray[np.float64], indexed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Columns euler1..3 [rad], x, y [nm], index, reliability (0..1), phase (from 1), reliability x 100."""
    # Rows along x first, as the readers expect.
    scan_y, scan_x = np.meshgrid(orientations["scan_y"].values, orientations["scan_x"].values, indexing="ij")
    correlation = orientations["correlation"].isel(match=0).values.ravel()
    reliability = orientations["reliability"].values.ravel() / 100
    phase = np.where(indexed, orientations["phase"].values.ravel() + 1, 0)
    # Readers take NaN for text.
    scores = [np.where(indexed, np.nan_to_num(score), 0.0) for score in (correlation, reliability)]
    columns = [*euler.T, scan_x.ravel(), scan_y.ravel(), *scores, phase, scores[1] * 100]
    return np.column_stack(columns)
