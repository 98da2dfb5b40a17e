"""Open reference spectra from text tables (csv, txt, xdi, xsp) or files of phasekit."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ReadError
from ..schema import REFERENCES, describe
from .formats.table_paths import expand_paths, is_phasekit_file
from .formats.tables.options import list_choices, make_options
from .formats.tables.spectra import Spectra, read_spectra
from .results import load

_SAME_ENERGY = 1e-3  # [eV] energies closer than this are the same point


def open_references(
    path: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    columns: Sequence[str | int] | str | int | None = None,
    energy_column: str | int | None = None,
    scan: str | int | None = None,
    energy_unit: str | None = None,
    decimal: str | None = None,
    accept: str | Iterable[str] = (),
) -> xr.Dataset:
    r"""Open reference spectra as REFERENCES.

    Any text table opens: csv, blanks or tabs, with or without a header, decimal commas, UTF-8 or UTF-16. XDI, Athena's
    exports, SPEC scans, and the headers of aXis2000 and Mantis are known. So are phasekit's own ``.nc`` and ``.zarr``.

    The energies are the column of that name, wherever it stands. Without names they are the column whose values rise
    where absorption edges lie. In a table of two such columns it is the first. Indices, errors, times and backgrounds
    are left out, and ``reference_spectrum.attrs["comment"]`` names them. What the file leaves open is refused, with the
    argument below that decides.

    A comment ``# composition: 3.0, 2.4`` gives one number per reference, ``# units: 1/um`` their unit.

    Parameters
    ----------
    path
        One file, a glob pattern such as ``"refs/*.t"``, or several of either. Several files are joined. Energies that
        are equal to 1 meV stay as they are. Others are interpolated linearly onto the union of all energies within
        the range that every file covers. The comment then says so. Pairs ``E_A, A, E_B, B`` are joined in the same way.
    columns
        Names of the columns that are spectra, or their places from 0. The default is found from the names.
    energy_column
        Name or place of the column of energies.
    scan
        Number of the scan, where a file holds several (``#S`` of SPEC, or tables below each other, from 1).
    energy_unit
        Unit of the energies, ``"eV"`` or ``"keV"``. It goes before that of the file.
    decimal
        Decimal mark, ``"."`` or ``","``, where the file leaves open what commas are.
    accept
        ``"energy_ev"`` lets energies outside 45 to 50000 eV pass.

    Returns
    -------
    xarray.Dataset
        ``reference_spectrum(reference, energy)`` is in the unit the file states ("1" where it states none).
        ``reference`` holds the names: those of the columns, or the file's where it holds one spectrum and is no csv.
        ``energy`` [eV] rises. ``composition(reference)`` is there where every file gives it, and never NaN.
        Neighbouring rows of equal energy are averaged. Missing numbers are refused, not filled.

    Raises
    ------
    ReadError
        A file is missing, empty, damaged or not a table of spectra. It leaves open which numbers are meant. A name
        occurs twice. Energy ranges do not overlap.
    SchemaError
        An argument is not what is described above.

    See Also
    --------
    open_i0 : Open the spectrum of the incident intensity.
    open_stxm : Open the stack that is compared with the references.
    phasekit.stxm.select_energies : Choose the energies that tell the references apart.
    phasekit.stxm.label_phases : Name the phase of every pixel.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "refs.csv"
    >>> _ = path.write_text("# composition: 3, 1\nenergy,Na3,Na1\n515,0.1,0.2\n516,0.9,0.4\n517,0.3,0.8\n")
    >>> refs = open_references(path)
    >>> refs.sizes["reference"], refs.reference.values.tolist(), refs.composition.values.tolist()
    (2, ['Na3', 'Na1'], [3.0, 1.0])
    >>> open_references(path, columns="Na1", energy_column=0).reference_spectrum.values.tolist()
    [[0.2, 0.4, 0.8]]
    """
    options = make_options("open_references", columns, energy_column, scan, energy_unit, decimal, accept=accept)
    files = expand_paths(path)
    # a single file of ours keeps its own attributes and history
    if len(files) == 1 and is_phasekit_file(files[0]):
        return _load_references(files[0])
    spectra = []
    for file in files:
        ours = is_phasekit_file(file)
        spectra += [_convert_dataset(file, _load_references(file))] if ours else read_spectra(file, options)
    data, note = _join_spectra(spectra)
    said = dict.fromkeys(f"{s.path.name}: {text}" for s in spectra for text in s.notes)
    note = "; ".join([*([note] if note else []), *said])
    data["reference_spectrum"].attrs["comment"] = note
    settings = {"path": [f.name for f in files], **list_choices(options)}
    data = describe(data, REFERENCES, step="open_references", settings=settings)
    if not note:
        del data["reference_spectrum"].attrs["comment"]
    return data


def _load_references(path: Path) -> xr.Dataset:
    data = load(path)
    if "reference_spectrum" not in data or data["reference_spectrum"].dims != ("reference", "energy"):
        raise ReadError(
            path,
            found=f"the variables {list(data.data_vars)}, no reference_spectrum(reference, energy)",
            cure="give a file that was saved from pk.io.open_references",
        )
    return data


def _convert_dataset(path: Path, data: xr.Dataset) -> Spectra:
    spectrum = data["reference_spectrum"].sortby("energy")
    return Spectra(
        path=path,
        energy=spectrum["energy"].values,
        values=spectrum.values,
        names=[str(n) for n in data["reference"].values],
        units=str(spectrum.attrs.get("units", "1")),
        composition=data["composition"].values if "composition" in data else None,
    )


def _join_spectra(spectra: list[Spectra]) -> tuple[xr.Dataset, str]:
    """One dataset from several files, and what had to be done to their energies."""
    first = spectra[0]
    names = [name for s in spectra for name in s.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(first.path, found=f"the name(s) {twice} in more than one file", cure="rename a file or column")
    units = {s.units for s in spectra}
    if len(units) > 1:
        raise ReadError(first.path, found=f"spectra in different units {sorted(units)}", cure="bring them to one unit")
    # Files of one data bank share their energies up to rounding.
    same = all(
        s.energy.size == first.energy.size and np.abs(s.energy - first.energy).max() < _SAME_ENERGY for s in spectra
    )
    note = ""
    if same:
        energy, values = first.energy, np.concatenate([s.values for s in spectra])
    else:
        energy, values = _interpolate_spectra(spectra)
        note = f"interpolated linearly onto {energy.size} common energies, {energy[0]:g} to {energy[-1]:g} eV"
    data = xr.Dataset(
        {"reference_spectrum": (("reference", "energy"), values, {"units": first.units})},
        coords={"reference": np.array(names), "energy": energy},
    )
    compositions = [s.composition for s in spectra]
    if all(c is not None for c in compositions):
        data["composition"] = ("reference", np.concatenate([c for c in compositions if c is not None]))
    data["energy"].attrs["long_name"] = "photon energy"
    return data, note


def _interpolate_spectra(spectra: list[Spectra]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # Outside the common range a reference would have to be invented.
    low, high = max(s.energy[0] for s in spectra), min(s.energy[-1] for s in spectra)
    union = np.unique(np.concatenate([s.energy for s in spectra]))
    energy = union[(union >= low) & (union <= high)]
    # The union of rounded energies holds nearly equal pairs; one of each is kept.
    energy = energy[np.append(True, np.diff(energy) > _SAME_ENERGY)] if energy.size else energy
    if energy.size < 2:
        ranges = ", ".join(f"{s.path.name} {s.energy[0]:g}..{s.energy[-1]:g} eV" for s in spectra)
        raise ReadError(
            spectra[0].path, found=f"energy ranges that do not overlap ({ranges})", cure="give references of one edge"
        )
    rows: list[Any] = [np.interp(energy, s.energy, row) for s in spectra for row in s.values]
    return energy, np.array(rows)
