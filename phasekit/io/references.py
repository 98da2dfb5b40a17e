"""Open reference spectra and incident spectra, from text tables (csv, txt, xdi, xsp) or files of phasekit."""

import glob
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ReadError
from ..schema import REFERENCES, describe
from .formats.spectra import Spectra, read_spectra
from .results import load

_SAME_ENERGY = 1e-3  # [eV] energies closer than this are the same point


def open_references(path: str | PathLike[str] | Iterable[str | PathLike[str]]) -> xr.Dataset:
    r"""Open reference spectra as REFERENCES.

    The formats are:

    - csv: the first column is the energy [eV], every other one a reference with its name in the header. The comment
      lines ``# composition: 3.0, 2.4, ...`` and ``# units: 1/um`` are read where a file has them;
    - text of two columns (``.txt .t .r .xas .xsp .dat``): the name is the file's stem;
    - XDI;
    - phasekit's own ``.nc`` and ``.zarr``.

    Parameters
    ----------
    path
        One file, a glob pattern such as ``"refs/*.t"``, or several of either. Several files are joined. Energies that
        are equal to 1 meV stay as they are. Others are interpolated linearly onto the union of all energies within
        the range that every file covers. ``reference_spectrum.attrs["comment"]`` then says so.

    Returns
    -------
    xarray.Dataset
        ``reference_spectrum(reference, energy)`` is in the unit the file states ("1" where it states none).
        ``reference`` holds the names, ``energy`` [eV] rises. ``composition(reference)`` is there where every file
        gives it, and never NaN. Rows of equal energy are averaged. Missing numbers are refused, not filled.

    Raises
    ------
    ReadError
        A file is missing, empty, damaged or not a table of spectra. A name occurs twice. Energy ranges do not overlap.

    See Also
    --------
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
    """
    files = _expand_paths(path)
    # a single file of ours keeps its own attributes and history
    if len(files) == 1 and _is_phasekit_file(files[0]):
        return _load_references(files[0])
    spectra = [_convert_dataset(f, _load_references(f)) if _is_phasekit_file(f) else read_spectra(f) for f in files]
    data, note = _join_spectra(spectra)
    data["reference_spectrum"].attrs["comment"] = note
    data = describe(data, REFERENCES, step="open_references", settings={"path": [f.name for f in files]})
    if not note:
        del data["reference_spectrum"].attrs["comment"]
    return data


def open_i0(path: str | PathLike[str]) -> xr.DataArray:
    r"""Open the spectrum of the incident intensity, e.g. the ``.xsp`` beside an SDF stack.

    Parameters
    ----------
    path
        Text table whose first column is the energy [eV] and whose second column is the intensity.

    Returns
    -------
    xarray.DataArray
        ``i0(energy)`` [counts] with rising energy; rows of equal energy are averaged.

    Raises
    ------
    ReadError
        The file is missing, empty or not a table of two columns, or an intensity is not positive.

    See Also
    --------
    phasekit.stxm.optical_density : Convert counts to optical density with it.
    open_references : Open reference spectra.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "i0.xsp"
    >>> _ = path.write_text("700.0 901.5\n700.4 903.6\n")
    >>> open_i0(path).values
    array([901.5, 903.6])
    """
    file = _expand_paths(path)[0]
    spectra = read_spectra(file)
    if spectra.values.shape[0] != 1:
        raise ReadError(
            file, found=f"{spectra.values.shape[0]} columns beside the energy", cure="give a table of energy and I0"
        )
    if (spectra.values <= 0).any():
        raise ReadError(file, found="an incident intensity that is not positive", cure="give counts, not absorbance")
    i0 = xr.DataArray(spectra.values[0], {"energy": spectra.energy}, ("energy",), "i0")
    i0.attrs = {"units": "counts", "long_name": "incident intensity"}
    i0["energy"].attrs = {"units": "eV", "long_name": "photon energy"}
    return i0


def _expand_paths(path: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    given = [path] if isinstance(path, str | PathLike) else list(path)
    files: list[Path] = []
    for item in given:
        name = fspath(item)
        if Path(name).exists() or not glob.has_magic(name):
            files.append(Path(name))
        else:
            files += [Path(found) for found in sorted(glob.glob(name))] or [Path(name)]
    for file in files:
        if not file.exists() or (file.is_dir() and not _is_phasekit_file(file)):
            found = "a folder" if file.is_dir() else "no such file"
            raise ReadError(file, found=found, cure="give the path of a text table of spectra (csv, txt, xdi, nc)")
    if not files:
        raise ReadError("open_references", found="an empty list of paths", cure="give at least one file")
    return files


def _is_phasekit_file(path: Path) -> bool:
    return path.suffix.lower() in (".nc", ".zarr", ".h5")


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
