"""Save orientation maps for orix, and patterns as NanoMEGAS ``.blo`` files."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from ..deprecation import renamed_arguments
from ..errors import SchemaError
from ..schema import PATTERNS, require
from .formats.remote import make_local_path
from .writers.atomic import rename_when_complete

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap


@renamed_arguments(found="orientations")
def to_orix(orientations: xr.Dataset) -> "CrystalMap":
    """Convert an orientation map to an orix ``CrystalMap``, with every match, the scores and the phases.

    Parameters
    ----------
    orientations
        ORIENTATIONS (scan_y, scan_x); lazy data are computed. Positions with ``phase`` -1 or NaN orientations become
        not indexed.

    Returns
    -------
    orix.crystal_map.CrystalMap
        ``rotations`` (position, match) turn the sample frame into the crystal frame, as here. ``x`` and ``y`` are in
        nm, so a map that is not square keeps its axes. Phase numbers are the indices into ``attrs["phases"]``; orix
        drops phases that do not occur.

        ``prop`` holds ``correlation`` (position, match), ``reliability``, ``phase_reliability`` and ``status``. Where
        ``orientations`` has them, it also holds ``uncertainty_deg`` and two more groups. The best other phase is in
        ``other_phase``, ``other_correlation`` and ``other_quaternion``. The second grain of an overlap is in
        ``second_phase``, ``second_correlation``, ``second_reliability``, ``second_quaternion`` and ``unexplained``.

    Raises
    ------
    SchemaError
        ``orientations`` is not ORIENTATIONS, or a phase index has no entry in ``attrs["phases"]``.

    See Also
    --------
    save_orix : Write the map as a file that orix reads.
    phasekit.acom.match_orientations : Make the orientation map.

    Examples
    --------
    >>> to_orix(xr.Dataset())
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: to_orix: 'orientations' has no variable 'quaternion', needs ORIENTATIONS (...
    """
    from .writers.orix_hdf5 import build_crystal_map

    return build_crystal_map(orientations, "to_orix")


@renamed_arguments(found="orientations")
def save_orix(orientations: xr.Dataset, path: str | PathLike[str]) -> Path:
    """Write an orientation map as orix HDF5 (``.h5``), which ``orix.io.load`` reads back.

    Parameters
    ----------
    orientations
        As for :func:`to_orix`.
    path
        File ending in ``.h5`` or ``.hdf5``. An existing one is replaced when the new one is complete. A point group
        that orix does not know by name (``2/m`` about b, ``31m`` ...) is stored without name. orix would otherwise
        read its own group of that name, which is turned.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        As :func:`to_orix`, or another ending.

    See Also
    --------
    to_orix : The same map in memory.
    save_ang, save_ctf : The same map as text.

    Examples
    --------
    >>> save_orix(xr.Dataset(), "map.ang")
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: save_orix: 'map.ang' must end in .h5 or .hdf5. Rename it, or use save_ang.
    """
    target = make_local_path(path)
    if target.suffix.lower() not in (".h5", ".hdf5"):
        raise SchemaError(f"save_orix: '{target.name}' must end in .h5 or .hdf5. Rename it, or use save_ang.")
    from .writers.orix_hdf5 import write

    with rename_when_complete(target) as temporary:
        write(orientations, temporary)
    return target


def save_blo(
    patterns: xr.Dataset, path: str | PathLike[str], *, scale: float | None = None, voltage_kv: float | None = None
) -> Path:
    """Write patterns as a NanoMEGAS ``.blo`` block file: square frames of uint8, in the order of acquisition.

    Parameters
    ----------
    patterns
        PATTERNS (scan_y, scan_x, qy, qx) with a square detector; the scan may have any shape. Lazy data are written
        block by block. NaN becomes 0, and what is above 255 (infinite too) becomes 255.
    path
        File to write; an existing one is replaced when the new one is complete.
    scale
        Grey level = round(intensity * scale), cut to 0..255. One factor holds for the whole scan, so intensities of
        patterns stay comparable. None takes 1 where counts are whole and at most 255, else 255 / maximum.
    voltage_kv
        Voltage [kV] for the header; the default is ``attrs["voltage_kv"]``. The format states the scale of the detector
        only as voltage and camera length. Without a voltage, or in px, the scale is not written. The origin is never
        written; a reader puts it in the middle.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    SchemaError
        ``patterns`` is not PATTERNS, its detector is not square or is more than 65535 wide, or ``scale`` is not
        positive.

    See Also
    --------
    open_4dstem : Read the file again.
    save : Write patterns without loss.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> axes = {"scan_y": 2, "scan_x": 3, "qy": 4, "qx": 4}
    >>> patterns = xr.Dataset({"intensity": (tuple(axes), np.ones(tuple(axes.values()), "u1"))})
    >>> save_blo(patterns, Path(tempfile.mkdtemp()) / "scan.blo").stat().st_size
    4240
    """
    from .writers.blo import write

    require(patterns, PATTERNS, step="save_blo", argument="patterns")
    # A block file stores one number for both sides of a frame, and counts positions with 16 bits.
    qy, qx = patterns.sizes["qy"], patterns.sizes["qx"]
    if qy != qx:
        small = min(qy, qx)
        raise SchemaError(
            f"save_blo: patterns of {qy} x {qx}, but .blo needs square ones. Cut them with "
            f".isel(qy=slice(0, {small}), qx=slice(0, {small})), or bin one axis with .coarsen(...)."
        )
    if max(patterns.sizes.values()) > 65535:
        raise SchemaError(
            f"save_blo: sizes {dict(patterns.sizes)}, but .blo counts to 65535. "
            "Cut the scan, for example scan.isel(scan_x=slice(0, 65535))."
        )
    if scale is not None and not scale > 0:
        raise SchemaError(f"save_blo: scale={scale}, needs a positive number. Use scale=None for 255 / maximum.")
    target = make_local_path(path)
    with rename_when_complete(target) as temporary:
        write(patterns, temporary, scale, voltage_kv or patterns.attrs.get("voltage_kv"))
    return target
