"""Orientation maps as Channel Text Files (``.ctf``) in the layout of Oxford Instruments' HKL programs."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .ang import LAUE_CLASSES, find_laue_class
from .orientation_table import (
    compute_euler_angles,
    compute_step,
    make_ascii_name,
    make_orientation_table,
    read_phase_records,
)

NAME = "CTF"
EXTENSIONS = (".ctf",)
KEEPS = "Euler angles [degree], positions [micrometre], correlation, reliability, phase, uncertainty, number of peaks"
FUNCTIONS = ("save_ctf",)

_COLUMNS = ("Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS")
_NO_SOLUTION = 3  # the format's code of a point without orientation
_UM_PER_NM = 1e-3


def write(orientations: xr.Dataset, path: Path) -> None:
    """Write an orientation map as eleven columns separated by tabs, below the header."""
    data, indexed = make_orientation_table(orientations, "save_ctf", "uncertainty_deg", "count")
    table = make_rows(data, np.degrees(compute_euler_angles(data, indexed)), indexed)
    np.savetxt(
        path,
        table,
        fmt=["%d", "%.9f", "%.9f", "%d", "%d", "%.4f", "%.4f", "%.4f", "%.4f", "%d", "%d"],
        delimiter="\t",
        header="\n".join(make_header(data)),
        comments="",
        encoding="ascii",
    )


def find_laue_number(record: dict[str, Any]) -> int:
    """HKL's number of the Laue class (1..11) of a phase, 1 (triclinic) when it is not known.

    Examples
    --------
    >>> [find_laue_number({"point_group": name}) for name in ("m-3m", "-31m on the axes given", "2/m", "")]
    [11, 7, 2, 1]
    >>> find_laue_number({"space_group": 194})
    9
    """
    return LAUE_CLASSES.index(find_laue_class(record)) + 1


def make_header(orientations: xr.Dataset) -> list[str]:
    """Lines above the numbers. Every phase is listed: a phase's number is its place in this list."""
    phases = read_phase_records(orientations)
    voltage = orientations.attrs.get("voltage_kv", 0)
    steps = [compute_step(orientations[dim].values) * _UM_PER_NM for dim in ("scan_x", "scan_y")]
    # Acquisition settings of an EBSD microscope; readers need the fields, not their values.
    frame = ["Euler angles refer to Sample Coordinate system (CS0)!", "Mag", "0", "Coverage", "100", "Device", "0"]
    lines = [
        ["Channel Text File"],
        ["Prj", "phasekit"],
        ["Author", "phasekit"],
        ["JobMode", "Grid"],
        ["XCells", f"{orientations.sizes['scan_x']}"],
        ["YCells", f"{orientations.sizes['scan_y']}"],
        ["XStep", f"{steps[0]:.9f}"],
        ["YStep", f"{steps[1]:.9f}"],
        *([f"AcqE{axis}", "0"] for axis in (1, 2, 3)),
        [*frame, "KV", f"{voltage:g}", "TiltAngle", "0", "TiltAxis", "0"],
        ["Phases", f"{len(phases)}"],
        *(_make_phase_line(record, number) for number, record in enumerate(phases, start=1)),
        list(_COLUMNS),
    ]
    return ["\t".join(fields) for fields in lines]


def _make_phase_line(record: dict[str, Any], number: int) -> list[str]:
    lattice = [f"{value:.6g}" for value in record["lattice"]]
    fields = [
        ";".join(lattice[:3]),
        ";".join(lattice[3:]),
        make_ascii_name(record, number),
        str(find_laue_number(record)),
    ]
    return [*fields, str(int(record.get("space_group") or 0))]


def make_rows(
    orientations: xr.Dataset, euler_deg: NDArray[np.float64], indexed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Columns phase (from 1), X, Y [micrometre], Bands, Error, angles [degree], MAD [degree], BC = 100 Q, BS = R."""
    scan_y, scan_x = np.meshgrid(orientations["scan_y"].values, orientations["scan_x"].values, indexing="ij")
    # Rows along x first, as the readers expect.
    place = [axis.ravel() * _UM_PER_NM for axis in (scan_x, scan_y)]
    phase = np.where(indexed, orientations["phase"].values.ravel() + 1, 0)
    error = np.where(indexed, 0, _NO_SOLUTION)
    # Band contrast and band slope are bytes in the programs that read the file.
    quality = np.clip(np.rint(100 * _select_score(orientations["correlation"].isel(match=0), indexed)), 0, 255)
    reliability = np.rint(_select_score(orientations["reliability"], indexed))
    bands = _select_score(orientations["count"], indexed) if "count" in orientations else np.zeros(len(phase))
    has_misfit = "uncertainty_deg" in orientations
    misfit = _select_score(orientations["uncertainty_deg"], indexed) if has_misfit else np.zeros(len(phase))
    return np.column_stack([phase, *place, bands, error, *euler_deg.T, misfit, quality, reliability])


def _select_score(values: xr.DataArray, indexed: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(indexed, np.nan_to_num(np.asarray(values, dtype=float).ravel()), 0.0)
