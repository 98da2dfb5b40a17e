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

    The formats are NXstxm and its dialects, SDF, aXis2000, TIFF and phasekit's own files. NXstxm has several dialects:
    PolLux and SoftiMAX name the detector ``counter0``, MAXYMUS names it ``APD``. HERMES writes ``Counter0`` without
    attributes, and older files number their axes. :func:`phasekit.io.formats.list_formats` lists formats and endings.
    The content of a file decides about its format; the ending decides only where the content cannot.

    Parameters
    ----------
    path
        The file. For SDF it is the ``.hdr`` beside the ``.xim`` frames, for aXis2000 the ``.ncb`` beside its ``.dat``.
    entry
        Name of the NeXus entry. It is needed only where a file holds several; the error lists them.
    region
        Number of the region (SDF) or entry (NeXus), from 0. It is needed only where there are several.
    counter
        Name of the detector, one of ``attrs["counters"]``. The default is the entry's own default, else ``counter0``,
        ``APD`` or ``PMT``, else the first.
    energies
        Photon energies [eV], one per frame, for files that have none (TIFF) or wrong ones. An interrupted SDF scan is
        opened by giving the energies of its complete frames only.
    step_nm
        Step of the scan [nm], for files that do not state it. It replaces the positions of the file; the first pixel is
        at 0.

    Returns
    -------
    xarray.Dataset
        ``intensity(energy, scan_y, scan_x)`` [counts] as stored, in dask blocks of whole frames. Its ``comment``
        names a unit other than counts. Counts per second are multiplied by the dwell, and the comment says so.
        A block opens the file when it is computed and closes it again.

        ``scan_y`` and ``scan_x`` [nm] are the stage positions of the file. They rise with the index, so x grows to the
        right and y downwards. ``energy`` [eV] is in the order of measurement, and reversed if it falls.

        ``ring_current(energy)`` [mA], ``energy_readback(energy)`` [eV] and ``dwell(energy)`` [s] are there where the
        file has them. They are means over each frame, and NaN where nothing was recorded.
        ``pixel_dwell(energy, scan_y, scan_x)`` [s] is there where the file has a dwell for every pixel.

    Raises
    ------
    ReadError
        The file is missing, empty, truncated or of another format. It holds several entries and none was chosen, or its
        sizes contradict each other. A frame that is damaged in its middle raises the error when it is computed.
    SchemaError
        ``energies`` or ``step_nm`` are not positive numbers.

    See Also
    --------
    open_references : Reference spectra for the stack.
    open_i0 : Spectrum of the incident intensity.
    phasekit.stxm.align : The next step: remove the drift between frames.

    Notes
    -----
    The order of the axes is read from the file and used only if it agrees with their lengths. Where the file states no
    order, the lengths decide. A square map without a stated order is read as (energy, y, x), the order of the NXstxm
    definition (https://manual.nexusformat.org/classes/applications/NXstxm.html).

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
    # Wrong arguments are refused before the file is looked for.
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
    # An empty comment would look as if something were missing.
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
