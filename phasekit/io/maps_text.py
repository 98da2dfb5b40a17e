"""Orientation maps as the text files of orientation microscopy: ``.ang`` (EDAX, ASTAR) and ``.ctf`` (Oxford, HKL)."""

from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..code_cache import import_alone
from ..deprecation import renamed_arguments
from .writers import ang as _ang
from .writers import ctf as _ctf
from .writers.atomic import renamed_when_complete
from .writers.orientation_table import oriented


@renamed_arguments(found="orientations")
def save_ang(orientations: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write an orientation map as ASTAR's ``.ang`` text, read by orix, MTEX and the EDAX programs.

    Nine columns: Bunge Euler angles phi1, Phi, phi2 [rad] of the best match, x, y [nm], correlation index Q,
    reliability R / 100 (0..1), phase, reliability R (0..100, "x 100"). Euler angles belong to the same rotation as the
    quaternion: sample frame (x to the right, y down, z into the page) into crystal frame (x along a, z along c*), as
    orix reads them; other readers must be told (docs/conventions.md, Exchange files). Rows run along x first.

    Parameters
    ----------
    orientations
        ORIENTATIONS (scan_y, scan_x); lazy data are computed. ``phase`` -1 and NaN orientations are not indexed: their
        phase is 0, angles and scores 0. Phases are numbered from 1, in the order of ``attrs["phases"]``; the header
        lists those that occur, with the EDAX code of their Laue class.
    path
        File to write; an existing one is replaced when the new one is complete.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``orientations`` is no ORIENTATIONS dataset, or a phase index has no entry in ``attrs["phases"]``.

    Examples
    --------
    >>> save_ang(xr.Dataset(), "map.ang")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_ang: there is no variable 'quaternion', needs ORIENTATIONS (...
    """
    data, indexed = oriented(orientations, "save_ang")
    table = _ang.rows(data, _euler(data, indexed), indexed)
    used = np.unique(data["phase"].values[data["phase"].values >= 0])
    target = Path(fspath(path))
    with renamed_when_complete(target) as temporary:
        np.savetxt(
            temporary,
            table,
            fmt=["%.7f"] * 3 + ["%.4f"] * 2 + ["%.6f"] * 2 + ["%d", "%.4f"],
            header="\n".join(_ang.header(data, used)),
            comments="",
            encoding="ascii",
        )
    return target


@renamed_arguments(found="orientations")
def save_ctf(orientations: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write an orientation map as a Channel Text File (``.ctf``), read by orix, MTEX and the Oxford/HKL programs.

    Eleven columns: phase, X, Y [micrometre, the unit of the format; the map's are nm], Bands, Error, Bunge Euler angles
    phi1, Phi, phi2 [degree] of the best match, MAD, BC, BS. Euler angles belong to the same rotation as the quaternion:
    sample frame (x to the right, y down, z into the page) into crystal frame (x along a, z along c*), as orix reads
    them. That is not Oxford's crystal frame for hexagonal, trigonal, monoclinic and triclinic cells; other readers must
    be told (docs/conventions.md, Exchange files). Rows run along x first.

    The columns made for EBSD hold what a spot pattern has:

    - Bands: number of peaks (``count``, where ``orientations`` was merged with its peaks), else 0.
    - Error: 0 where indexed, 3 (no solution) where not.
    - MAD: ``uncertainty_deg`` [degree] of a refined map, else 0.
    - BC: 100 Q, the correlation index of the best match, rounded, 0..255.
    - BS: reliability R (0..100), rounded; 0 where it is NaN.

    Parameters
    ----------
    orientations
        ORIENTATIONS (scan_y, scan_x); lazy data are computed. ``phase`` -1 and NaN orientations are not indexed: their
        phase is 0, angles and scores 0. Phases are numbered from 1 in the order of ``attrs["phases"]``; the header
        lists all of them with the number of their Laue class (1..11) and of their space group (0: not recorded, as for
        settings orix does not hold, among them the usual monoclinic one with unique axis b).
    path
        File to write; an existing one is replaced when the new one is complete.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``orientations`` is no ORIENTATIONS dataset, or a phase index has no entry in ``attrs["phases"]``.

    Examples
    --------
    >>> save_ctf(xr.Dataset(), "map.ctf")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_ctf: there is no variable 'quaternion', needs ORIENTATIONS (...
    """
    data, indexed = oriented(orientations, "save_ctf", "uncertainty_deg", "count")
    table = _ctf.rows(data, np.degrees(_euler(data, indexed)), indexed)
    target = Path(fspath(path))
    with renamed_when_complete(target) as temporary:
        np.savetxt(
            temporary,
            table,
            fmt=["%d", "%.9f", "%.9f", "%d", "%d", "%.4f", "%.4f", "%.4f", "%.4f", "%d", "%d"],
            delimiter="\t",
            header="\n".join(_ctf.header(data)),
            comments="",
            encoding="ascii",
        )
    return target


def _euler(data: xr.Dataset, indexed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bunge angles [rad] of the best match (position, 3), 0 where not indexed."""
    import_alone("orix.quaternion.symmetry")
    from orix.quaternion import Rotation

    quaternion: NDArray[Any] = data["quaternion"].isel(match=0).values.reshape(-1, 4)
    euler = Rotation(np.where(indexed[:, None], quaternion, [1.0, 0, 0, 0])).to_euler()
    return np.asarray(euler, dtype=float).reshape(-1, 3)
