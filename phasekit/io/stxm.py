"""Open a scanning transmission X-ray microscopy stack, whatever beamline wrote it."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..errors import ReadError, SchemaError
from ..schema import STACK, describe, require
from .formats.frames import located
from .formats.hdf5_heaps import check_heaps
from .formats.stxm.stack import RawStack, assemble
from .results import load

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_KNOWN = "NXstxm (.hdf5 .h5 .nxs .hdf .stxm), SDF (.hdr + .xim), aXis2000 (.ncb + .dat), TIFF, and our .nc and .zarr"


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
    file = _existing(path)
    given = _given_energies(energies)
    if step_nm is not None and not 0 < float(step_nm) < np.inf:
        raise SchemaError(f"open_stxm: step_nm={step_nm!r}, needs a positive number of nm. Leave it out if unknown.")
    kind = _kind(file)
    settings = {"path": file.name, "entry": entry, "region": region, "counter": counter, "step_nm": step_nm}
    if kind == "ours":
        data, source = _open_ours(file, given, step_nm)
    else:
        data, source = assemble(_read(file, kind, entry, region, counter, given), file, step_nm), None
    data.attrs["source"] = file.name
    data = describe(data, STACK, step="open_stxm", settings=settings, source=source)
    if not data["intensity"].attrs.get("comment"):
        data["intensity"].attrs.pop("comment", None)
    return data


def _existing(path: str | PathLike[str]) -> Path:
    file = located(path)
    if file.suffix.lower() == ".xim":
        raise ReadError(file, found="one frame of an SDF scan", cure="give the .hdr file beside it")
    if file.is_dir() and not _is_zarr(file):
        raise ReadError(file, found="a folder", cure=f"give a file: {_KNOWN}")
    if not file.exists():
        raise ReadError(file, found="nothing of that name", cure="check the path")
    if file.is_file() and file.stat().st_size == 0:
        raise ReadError(file, found="an empty file (0 bytes)", cure="copy it again")
    return file


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" or (path / "zarr.json").is_file()


def _given_energies(energies: ArrayLike | None) -> NDArray[np.float64] | None:
    if energies is None:
        return None
    values = np.atleast_1d(np.asarray(energies, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values <= 0).any():
        raise SchemaError(f"open_stxm: energies={energies!r}, needs one positive number per frame. Give them in eV.")
    return values


def _kind(path: Path) -> str:
    """Format of a file by its first bytes, by its suffix where these say nothing."""
    if path.is_dir():
        return "ours"
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(8)
    if head == _HDF5 or _has_user_block(path):
        check_heaps(path)
        return "ours" if suffix == ".nc" or _has_our_stack(path) else "nxstxm"
    if head[:4] in _TIFF:
        return "tiff"
    if suffix in (".hdr", ".ncb"):
        return suffix[1:]
    wrong = {".nc": "netCDF-4", ".tif": "TIFF", ".tiff": "TIFF"}.get(
        suffix, "HDF5" if suffix in (".hdf5", ".h5", ".nxs", ".hdf", ".stxm") else ""
    )
    if wrong:
        raise ReadError(path, found=f"a file that is not {wrong} (it begins with {head!r})", cure="copy the file again")
    raise ReadError(path, found=f"a format nobody here knows (it begins with {head!r})", cure=f"give one of: {_KNOWN}")


def _has_user_block(path: Path) -> bool:
    """HDF5 may begin at byte 512, 1024, 2048 ... after foreign bytes: PolLux files carry 32 KiB of XMP text."""
    with path.open("rb") as file:
        starts = (512 << n for n in range(path.stat().st_size.bit_length()) if 512 << n < path.stat().st_size)
        return any(file.seek(start) == start and file.read(8) == _HDF5 for start in starts)


def _has_our_stack(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "schema" in file.attrs or isinstance(file.get("intensity"), h5py.Dataset)
    except Exception:  # a damaged file: the reader it goes to says what is wrong
        return False


def _read(
    path: Path,
    kind: str,
    entry: str | None,
    region: int | None,
    counter: str | None,
    energies: NDArray[np.float64] | None,
) -> RawStack:
    """What the reader of this format finds; readers load only when used."""
    if kind == "nxstxm":
        from .formats.stxm.nxstxm import read_nxstxm

        return read_nxstxm(path, entry=entry, region=region, counter=counter, energies=energies)
    _refuse_choices(path, kind, {"entry": entry, **({} if kind == "hdr" else {"region": region, "counter": counter})})
    if kind == "hdr":
        from .formats.stxm.sdf import read_sdf

        return read_sdf(path, region=region, counter=counter, energies=energies)
    if kind == "ncb":
        from .formats.stxm.axis2000 import read_ncb

        return read_ncb(path, energies=energies)
    from .formats.stxm.tiff import read_tiff

    return read_tiff(path, energies=energies)


def _refuse_choices(path: Path, kind: str, choices: dict[str, str | int | None]) -> None:
    asked = [f"{name}={value!r}" for name, value in choices.items() if value not in (None, 0)]
    if asked:
        raise ReadError(
            path, found=f"one stack, this format ({kind}) has no {', '.join(asked)}", cure="leave that argument out"
        )


def _open_ours(
    path: Path, energies: NDArray[np.float64] | None, step_nm: float | None
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """A STACK that phasekit saved, further variables (truth) included, and the history it brings."""
    data = load(path, lazy=True)
    try:
        require(data, STACK, step="open_stxm")
    except SchemaError as error:
        raise ReadError(path, found=f"no STACK ({error})", cure="open other results with pk.io.load") from error
    data["intensity"] = data["intensity"].chunk(energy="auto", scan_y=-1, scan_x=-1)
    if energies is not None:
        if energies.size != data.sizes["energy"]:
            raise ReadError(
                path, found=f"{data.sizes['energy']} frames for {energies.size} energies", cure="give one per frame"
            )
        data = data.assign_coords(energy=("energy", energies, data["energy"].attrs))
    if step_nm is not None:
        axes: Sequence[str] = ("scan_y", "scan_x")
        data = data.assign_coords({a: (a, np.arange(data.sizes[a]) * step_nm, data[a].attrs) for a in axes})
    return data, data if "schema" in data.attrs else None
