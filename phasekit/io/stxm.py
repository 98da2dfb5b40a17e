"""Open a scanning transmission X-ray microscopy stack of any beamline."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..errors import SchemaError
from ..schema import STACK, describe
from .formats.file_errors import resolve_path
from .formats.registry import read_file, report_damage
from .formats.stxm.stack import FrameSource, RawStack, StxmOptions, build_stack
from .plausibility.rule import check_accept
from .plausibility.stacks import STACK_RULES, Stated, check_stack

_AXES = ("energy", "scan_y", "scan_x", "polarisation")


def open_stxm(  # noqa: PLR0913 -- what files leave open, keyword-only with defaults
    path: str | PathLike[str],
    *,
    entry: str | None = None,
    region: int | None = None,
    counter: str | None = None,
    energies: ArrayLike | None = None,
    step_nm: float | Sequence[float] | None = None,
    axes: Sequence[str] | None = None,
    polarisation: float | str | None = None,
    missing_frames: str | None = None,
    accept: str | Sequence[str] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    r"""Open an STXM stack or single image lazily as STACK.

    The formats are NXstxm and its dialects, pystxmcontrol before version 3, the exchange files of Mantis, Mistral, SDF,
    aXis2000, TIFF and phasekit's own files. NXstxm has several dialects: PolLux and SoftiMAX name the detector
    ``counter0``, MAXYMUS names it ``APD``. HERMES writes ``Counter0`` without attributes, and older files number their
    axes. :func:`phasekit.io.formats.list_formats` lists formats and endings.
    The content of a file decides about its format; the ending decides only where the content cannot.

    Parameters
    ----------
    path
        The file, or the address of an HDF5 or TIFF file or zarr store (``s3://...``).
        For SDF it is the ``.hdr`` beside the ``.xim`` frames, for aXis2000 the ``.ncb`` beside its ``.dat``.
    entry
        Name of the NeXus entry. It is needed only where a file holds several; the error lists them.
    region
        Number of the region (SDF), or place of the entry (NeXus), from 0. It is needed only where there are several.
        Entries are in the order of the numbers in their names: of ``entry1 ... entry12``, ``region=1`` is ``entry2``.
    counter
        Name of the detector, one of ``attrs["counters"]``. The default is the entry's own default, else ``counter0``,
        ``APD`` or ``PMT``, else the first.
    energies
        Photon energies [eV], one per frame, for files that have none (TIFF) or wrong ones. An SDF scan that lacks
        frames is opened by giving the energies of the others only. They are found in the header to .02 eV.
    step_nm
        Step of the scan [nm], for files that do not state it: one number, or those of ``scan_y`` and ``scan_x``. It
        replaces the positions of the file; the first pixel is at 0.
    axes
        Order of the axes in an HDF5 file, of ``"energy"``, ``"scan_y"``, ``"scan_x"`` and ``"polarisation"``. It is
        needed only where the file contradicts itself or leaves it open.
    polarisation
        Polarisation as the file writes it, a number or a text. It is needed only where each energy was measured at
        several; the error lists them.
    missing_frames
        ``"nan"`` opens an SDF scan that lacks frames with NaN in their place, and in rows that a frame lacks.
    accept
        Names of rules that the file may break, where it is right: ``"step_nm"`` (0.5 to 20000 nm, without a unit 3 to
        3000 nm), ``"energy_ev"`` (50 to 20000 eV), ``"dwell"`` (0.1 us to 10 s, the stack less than four days),
        ``"ring_current"`` (1 to 2000 mA), ``"counts"`` (less than 1e11).
    storage_options
        Options of the storage where ``path`` is an address that fsspec knows (``s3://bucket/stack.h5``), as in pandas
        and xarray: ``{"anon": True}``, ``{"endpoint_url": ...}``. They travel to the workers and are never shown.

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
        The file is missing, empty, truncated or of another format. It holds several entries or polarisations and none
        was chosen, or its axes contradict each other. A quantity is unlikely and not accepted. A frame that is damaged
        in its middle raises the error when it is computed.
    SchemaError
        ``energies`` or ``step_nm`` are not positive numbers, or another argument has a value that it does not know.

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
    file = resolve_path(path, storage_options, "open_stxm")
    # Wrong arguments are refused before the file is looked for.
    options = StxmOptions(
        entry=entry,
        region=region,
        counter=counter,
        energies=_check_energies(energies),
        step_nm=_check_step(step_nm),
        axes=_check_axes(axes),
        polarisation=float(polarisation) if isinstance(polarisation, int) else polarisation,
        missing_frames=_check_missing(missing_frames),
    )
    accepted = check_accept("open_stxm", accept, STACK_RULES)
    found: RawStack | xr.Dataset = read_file(file, "stxm", options)
    settings = {"path": file.name, "entry": entry, "region": region, "counter": counter, "step_nm": step_nm}
    settings |= {"polarisation": polarisation, "accept": ", ".join(accepted) or None}
    # What phasekit saved brings its own history, and was believed when it was opened.
    source = found if isinstance(found, xr.Dataset) and "schema" in found.attrs else None
    with report_damage(file):
        data = found if isinstance(found, xr.Dataset) else build_stack(found, file, options.step_nm)
        if source is None or energies is not None or step_nm is not None:
            check_stack(file, _collect_stated(found, data, options), accepted)
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


def _check_step(step_nm: float | Sequence[float] | None) -> tuple[float, float] | None:
    if step_nm is None:
        return None
    steps = np.atleast_1d(np.asarray(step_nm, dtype=np.float64))
    if steps.shape not in ((1,), (2,)) or not ((steps > 0) & np.isfinite(steps)).all():
        raise SchemaError(
            f"open_stxm: step_nm={step_nm!r}, needs a positive number of nm or two for scan_y and scan_x. "
            "Leave it out if unknown."
        )
    return float(steps[0]), float(steps[-1])


def _check_axes(axes: Sequence[str] | None) -> tuple[str, ...] | None:
    if axes is None:
        return None
    names = (axes,) if isinstance(axes, str) else tuple(axes)
    if len(set(names)) < len(names) or not {"scan_y", "scan_x"} <= set(names) <= set(_AXES):
        raise SchemaError(f"open_stxm: axes={axes!r}, needs each axis of the data once. Give some of {_AXES}.")
    return names


def _check_missing(missing_frames: str | None) -> str | None:
    if missing_frames not in (None, "nan"):
        raise SchemaError(f"open_stxm: missing_frames={missing_frames!r} is not known. Give 'nan' or leave it out.")
    return missing_frames


def _collect_stated(found: RawStack | xr.Dataset, data: xr.Dataset, options: StxmOptions) -> Stated:
    """Collect what the file or the caller states about a stack, without reading frames of whole numbers."""
    axes = {name: np.asarray(data[name].values, dtype=np.float64) for name in ("scan_y", "scan_x")}
    energy = np.asarray(data["energy"].values, dtype=np.float64)
    if isinstance(found, xr.Dataset):
        return Stated(energy, axes, {}, np.empty(0), np.empty(0), np.empty(0), 0)
    # An axis that neither the file nor the caller gives has no step.
    known = {"scan_y": found.y is not None or options.step_nm is not None}
    known["scan_x"] = found.x is not None or options.step_nm is not None
    names = {"energy": "energy", "y": "scan_y", "x": "scan_x"}
    units = {names[key]: unit for key, unit in found.stated.items()}
    if options.step_nm is not None:
        units = {key: unit for key, unit in units.items() if key == "energy"}
    dwell = found.per_energy.get("dwell", np.empty(0))
    if found.pixel_dwell is not None:
        dwell = np.asarray(found.pixel_dwell[0].read_some(), dtype=np.float64) * found.pixel_dwell[1]
        dwell = np.full(energy.size, np.nanmean(dwell))
    current = found.per_energy.get("ring_current", found.ring_current)
    # Those of every pixel are read later; one value stands for them.
    current = found.ring_current if not isinstance(current, np.ndarray) else current
    return Stated(
        energy=energy,
        positions={name: values for name, values in axes.items() if known[name]},
        units=units,
        dwell=np.asarray(dwell, dtype=np.float64),
        ring_current=np.asarray([] if current is None else np.atleast_1d(current), dtype=np.float64),
        counts=np.asarray(found.frames.read_some(), np.float64) if _is_sampled(found.frames) else np.empty(0),
        n_pixels=1 if found.full_field else data.sizes["scan_y"] * data.sizes["scan_x"],
    )


def _is_sampled(frames: FrameSource) -> bool:
    """Whether some values are read: not where that reads much, nor whole numbers, which are counts."""
    return frames.reads_some and frames.dtype.kind == "f"
