"""Save orientation maps as the text files of orientation microscopy: ``.ang`` (EDAX, ASTAR), ``.ctf`` (Oxford, HKL)."""

from os import PathLike, fspath
from pathlib import Path

import xarray as xr

from ..deprecation import renamed_arguments
from .writers import ang, ctf
from .writers.atomic import rename_when_complete


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
    target = Path(fspath(path))
    with rename_when_complete(target) as temporary:
        ang.write(orientations, temporary)
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
    target = Path(fspath(path))
    with rename_when_complete(target) as temporary:
        ctf.write(orientations, temporary)
    return target
