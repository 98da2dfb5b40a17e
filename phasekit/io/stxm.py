"""Open a scanning transmission X-ray microscopy stack of any beamline."""

from os import PathLike

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..errors import SchemaError
from ..schema import STACK, describe
from .formats.file_errors import resolve_path
from .formats.registry import read_file
from .formats.stxm.stack import RawStack, StxmOptions, build_stack


def open_stxm(
    path: str | PathLike[str],
    *,
    entry: str | None = None,
    region: int | None = None,
    counter: str | None = None,
    energies: ArrayLike | None = None,
    step_nm: float | None = None,
) -> xr.Dataset:
    r"""Open an STXM stack or single image lazily as STACK.

    Understood are NXstxm and its dialects (PolLux and SoftiMAX ``counter0``, MAXYMUS ``APD``, HERMES ``Counter0``
    without attributes, older files with ``axis`` numbers), SDF ``.hdr`` with its ``.xim`` frames, aXis2000 ``.ncb``
    with its ``.dat``, multipage TIFF, and what :func:`phasekit.io.save` wrote. The file is told by its content where
    it can be, not by its name.

    Parameters
    ----------
    path
        The file (for SDF the ``.hdr``, for aXis2000 the ``.ncb``).
    entry
        Name of the NeXus entry. Needed only where a file holds several: the error lists them.
    region
        Number of the region (SDF) or entry (NeXus), from 0. Needed only where there are several.
    counter
        Name of the detector; without it the entry's default, else ``counter0``, ``APD``, ``PMT``, else the first.
        ``attrs["counters"]`` lists those there are.
    energies
        Photon energies [eV], one per frame: for files that have none (TIFF) or wrong ones. Given fewer than an SDF
        header announces, only so many frames are read, which opens an interrupted scan.
    step_nm
        Step of the scan [nm] for files that do not say; replaces the positions of the file (first pixel 0).

    Returns
    -------
    xarray.Dataset
        ``intensity(energy, scan_y, scan_x)`` [counts] as stored (a unit other than counts is named in its
        ``comment``), in dask blocks of whole frames that reopen the file when they are computed. ``scan_y, scan_x``
        [nm] are the stage positions of the file and rise with the index, so x grows to the right and y downwards in
        the array; ``energy`` [eV] is in the order of measurement, turned round if it falls. Where the file has them:
        ``ring_current(energy)`` [mA] and ``energy_readback(energy)`` [eV], means over each frame, NaN where nothing
        was recorded.

    Raises
    ------
    ReadError
        The file is missing, empty, truncated, foreign, holds several entries and none was chosen, or its sizes
        contradict each other. A frame damaged in its middle shows only when it is computed, as the same error.

    Notes
    -----
    The order of the axes is taken from the file and believed only if the lengths of the axes agree; a non-square map
    of a file that states nothing is told by its lengths, a square one is read as (energy, y, x), the order of the
    NXstxm definition (https://manual.nexusformat.org/classes/applications/NXstxm.html).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> text = '''ScanDefinition = { Type = "Image Scan"; Flags = "Image"; Regions = (1, {
    ...   PAxis = { Name = "Sample X"; Unit = "um"; Points = (3, 0.0, 0.1, 0.2); };
    ...   QAxis = { Name = "Sample Y"; Unit = "um"; Points = (2, 5.0, 5.1); }; });
    ...   StackAxis = { Name = "Energy"; Unit = "eV"; Points = (1, 515.0); }; };'''
    >>> _ = (folder / "scan.hdr").write_text(text)
    >>> _ = (folder / "scan_a.xim").write_text("1\t2\t3\n4\t5\t6\n")
    >>> stack = open_stxm(folder / "scan.hdr")
    >>> dict(stack.sizes), stack.scan_x.values.tolist(), float(stack.intensity[0, 1, 0])
    ({'energy': 1, 'scan_y': 2, 'scan_x': 3}, [0.0, 100.0, 200.0], 4.0)
    """
    file = resolve_path(path)
    options = StxmOptions(entry, region, counter, _check_energies(energies), _check_step(step_nm))
    found: RawStack | xr.Dataset = read_file(file, "stxm", options)
    settings = {"path": file.name, "entry": entry, "region": region, "counter": counter, "step_nm": step_nm}
    source = None
    if isinstance(found, xr.Dataset):
        # what phasekit saved brings its own history
        data, source = found, found if "schema" in found.attrs else None
    else:
        data = build_stack(found, file, step_nm)
    data.attrs["source"] = file.name
    data = describe(data, STACK, step="open_stxm", settings=settings, source=source)
    if not data["intensity"].attrs.get("comment"):
        data["intensity"].attrs.pop("comment", None)
    return data


def _check_energies(energies: ArrayLike | None) -> NDArray[np.float64] | None:
    if energies is None:
        return None
    values = np.atleast_1d(np.asarray(energies, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values <= 0).any():
        raise SchemaError(f"open_stxm: energies={energies!r}, needs one positive number per frame. Give them in eV.")
    return values


def _check_step(step_nm: float | None) -> float | None:
    if step_nm is not None and not 0 < float(step_nm) < np.inf:
        raise SchemaError(f"open_stxm: step_nm={step_nm!r}, needs a positive number of nm. Leave it out if unknown.")
    return step_nm
