"""Save orientation maps as the text files of orientation microscopy: ``.ang`` (EDAX, ASTAR), ``.ctf`` (Oxford, HKL)."""

from os import PathLike
from pathlib import Path

import xarray as xr

from ..deprecation import renamed_arguments
from .formats.remote import make_local_path
from .writers import ang, ctf
from .writers.atomic import rename_when_complete


@renamed_arguments(found="orientations")
def save_ang(orientations: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write an orientation map as ASTAR's ``.ang`` text, read by orix, MTEX and the EDAX programs.

    The nine columns are:

    - Bunge Euler angles phi1, Phi, phi2 [rad] of the best match,
    - x, y [nm],
    - correlation index Q, and reliability R / 100 (0..1),
    - phase, and reliability R (0..100) again.

    The Euler angles are the same rotation as the quaternion. It turns the sample frame into the crystal frame. The
    sample frame has x to the right, y down and z into the page; the crystal frame has x along a and z along c*. orix
    reads them so; other readers must be told (docs/conventions.md, Exchange files). Rows run along x first.

    Parameters
    ----------
    orientations
        ORIENTATIONS (scan_y, scan_x); lazy data are computed. Positions with ``phase`` -1 or NaN orientations are not
        indexed: their phase is 0, and their angles and scores are 0. Phases are numbered from 1 in the order of
        ``attrs["phases"]``. The header lists those that occur, with the EDAX code of their Laue class.
    path
        File to write; an existing one is replaced when the new one is complete.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``orientations`` is not ORIENTATIONS, or a phase index has no entry in ``attrs["phases"]``.

    See Also
    --------
    save_ctf : The same map for the Oxford/HKL programs.
    save_orix : The same map with every match, for orix.

    Examples
    --------
    >>> save_ang(xr.Dataset(), "map.ang")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_ang: 'orientations' has no variable 'quaternion', needs ORIENTATIONS (...
    """
    # The file gets its name when it is complete.
    target = make_local_path(path)
    with rename_when_complete(target) as temporary:
        ang.write(orientations, temporary)
    return target


@renamed_arguments(found="orientations")
def save_ctf(orientations: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write an orientation map as a Channel Text File (``.ctf``), read by orix, MTEX and the Oxford/HKL programs.

    The eleven columns are phase, X, Y, Bands, Error, phi1, Phi, phi2, MAD, BC and BS. X and Y are in micrometres, the
    unit of the format. phi1, Phi, phi2 [degree] are the Bunge Euler angles of the best match. The columns made for
    EBSD hold what a spot pattern has:

    - Bands: number of peaks (``count``, where ``orientations`` was merged with its peaks), else 0.
    - Error: 0 where indexed, 3 (no solution) where not.
    - MAD: ``uncertainty_deg`` [degree] of a refined map, else 0.
    - BC: 100 Q, the correlation index of the best match, rounded, 0..255.
    - BS: reliability R (0..100), rounded; 0 where it is NaN.

    The Euler angles are the same rotation as the quaternion. It turns the sample frame into the crystal frame. The
    sample frame has x to the right, y down and z into the page; the crystal frame has x along a and z along c*. orix
    reads them so. Oxford's crystal frame differs for hexagonal, trigonal, monoclinic and triclinic cells, so other
    readers must be told (docs/conventions.md, Exchange files). Rows run along x first.

    Parameters
    ----------
    orientations
        ORIENTATIONS (scan_y, scan_x); lazy data are computed. Positions with ``phase`` -1 or NaN orientations are not
        indexed: their phase is 0, and their angles and scores are 0. Phases are numbered from 1 in the order of
        ``attrs["phases"]``. The header lists all of them with the number of their Laue class (1..11) and of their space
        group. A space group of 0 is not recorded, as for settings that orix does not hold. One of them is the usual
        monoclinic setting with unique axis b.
    path
        File to write; an existing one is replaced when the new one is complete.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``orientations`` is not ORIENTATIONS, or a phase index has no entry in ``attrs["phases"]``.

    See Also
    --------
    save_ang : The same map for ASTAR and the EDAX programs.
    save_orix : The same map with every match, for orix.

    Examples
    --------
    >>> save_ctf(xr.Dataset(), "map.ctf")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_ctf: 'orientations' has no variable 'quaternion', needs ORIENTATIONS (...
    """
    target = make_local_path(path)
    with rename_when_complete(target) as temporary:
        ctf.write(orientations, temporary)
    return target
