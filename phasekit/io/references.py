"""Reference spectra and incident spectra from text tables (csv, txt, xdi, xsp) and from our own files."""

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..errors import ReadError
from ..schema import REFERENCES, describe
from .formats.stxm.stack import convert_to_ev
from .formats.text_table import Table, read_table
from .results import load

_XDI_SIGNALS = ("norm", "flat", "mutrans", "mu", "xmu", "mufluor", "murefer", "normtrans", "normfluor")
_SAME_ENERGY = 1e-3  # [eV] energies closer than this are the same point


@dataclass
class _Spectra:
    path: Path
    energy: NDArray[np.float64]
    values: NDArray[np.float64]  # (reference, energy)
    names: list[str]
    units: str = "1"
    composition: NDArray[np.float64] | None = None


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
    if len(files) == 1 and _is_phasekit_file(files[0]):
        return _load_references(files[0])
    spectra = [_convert_dataset(f, _load_references(f)) if _is_phasekit_file(f) else _read_spectra(f) for f in files]
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
    spectra = _read_spectra(file)
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


def _convert_dataset(path: Path, data: xr.Dataset) -> _Spectra:
    spectrum = data["reference_spectrum"].sortby("energy")
    return _Spectra(
        path=path,
        energy=spectrum["energy"].values,
        values=spectrum.values,
        names=[str(n) for n in data["reference"].values],
        units=str(spectrum.attrs.get("units", "1")),
        composition=data["composition"].values if "composition" in data else None,
    )


def _read_spectra(path: Path) -> _Spectra:
    table = read_table(path)
    if table.values.shape[1] < 2 or table.values.shape[0] < 2:
        rows, columns = table.values.shape
        raise ReadError(
            path, found=f"{rows} row(s) of {columns} number(s)", cure="give energy and at least one spectrum as columns"
        )
    is_xdi = path.suffix.lower() == ".xdi" or any(c.upper().startswith("XDI/") for c in table.comments)
    energy, values, names, unit = _read_xdi(path, table) if is_xdi else _select_columns(path, table)
    energy = convert_to_ev(path, energy, unit)
    if not np.isfinite(values).all():
        raise ReadError(path, found="missing or infinite values in a spectrum", cure="remove or interpolate those rows")
    energy, values = _sort_energies(energy, values)
    return _Spectra(
        path, energy, values, names, table.find_comment("units") or "1", _read_composition(path, table, len(names))
    )


def _select_columns(path: Path, table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str], str | None]:
    n = table.values.shape[1] - 1
    named = [name for name in table.names[1:] if name]
    if n == 1:  # the only spectrum of a file is known by the file, unless a csv names it
        names = named if named and path.suffix.lower() == ".csv" else [path.stem]
    else:
        names = named if len(named) == n else [f"{path.stem}_{i + 1}" for i in range(n)]
    if len(set(names)) != n:
        raise ReadError(path, found=f"columns of the same name ({', '.join(names)})", cure="name every column once")
    unit = "keV" if "kev" in table.names[0].lower() else None
    return table.values[:, 0], table.values[:, 1:].T, names, unit


def _read_xdi(path: Path, table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str], str | None]:
    """Energy and absorption of an XDI file, or ln(I0/I) where it holds only intensities."""
    n = table.values.shape[1]
    described = [(table.find_comment(f"Column.{i + 1}") or table.names[i]).split() or [""] for i in range(n)]
    columns = {words[0].lower(): i for i, words in enumerate(described)}
    if "energy" not in columns:
        raise ReadError(
            path, found=f"the XDI columns {list(columns)}, no energy", cure="export it with an energy column"
        )
    at = columns["energy"]
    unit = described[at][1] if len(described[at]) > 1 else None
    signal = next((columns[name] for name in _XDI_SIGNALS if name in columns), None)
    if signal is None and {"i0", "itrans"} <= set(columns):
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(table.values[:, columns["i0"]] / table.values[:, columns["itrans"]])
    elif signal is None and n == 2:
        values = table.values[:, 1 - at]
    elif signal is None:
        raise ReadError(
            path, found=f"the XDI columns {list(columns)}", cure=f"name the absorption one of {', '.join(_XDI_SIGNALS)}"
        )
    else:
        values = table.values[:, signal]
    return table.values[:, at], values[None], [path.stem], unit


def _read_composition(path: Path, table: Table, n: int) -> NDArray[np.float64] | None:
    text = table.find_comment("composition")
    if text is None:
        return None
    try:
        values = np.array([float(v) for v in text.replace(";", ",").split(",") if v.strip()])
    except ValueError:
        values = np.empty(0)
    if values.size != n or not np.isfinite(values).all():
        raise ReadError(
            path, found=f"'composition: {text}' for {n} reference(s)", cure="give one number per reference, by commas"
        )
    return values


def _sort_energies(
    energy: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sorted by energy, rows of exactly equal energy averaged."""
    unique, inverse = np.unique(energy, return_inverse=True)
    if unique.size == energy.size:
        order = np.argsort(energy)
        return energy[order], values[:, order]
    count = np.bincount(inverse)
    return unique, np.array([np.bincount(inverse, weights=row) / count for row in values])


def _join_spectra(spectra: list[_Spectra]) -> tuple[xr.Dataset, str]:
    """One dataset from several files, and what had to be done to their energies."""
    first = spectra[0]
    names = [name for s in spectra for name in s.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(first.path, found=f"the name(s) {twice} in more than one file", cure="rename a file or column")
    units = {s.units for s in spectra}
    if len(units) > 1:
        raise ReadError(first.path, found=f"spectra in different units {sorted(units)}", cure="bring them to one unit")
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


def _interpolate_spectra(spectra: list[_Spectra]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = max(s.energy[0] for s in spectra), min(s.energy[-1] for s in spectra)
    union = np.unique(np.concatenate([s.energy for s in spectra]))
    energy = union[(union >= low) & (union <= high)]
    energy = energy[np.append(True, np.diff(energy) > _SAME_ENERGY)] if energy.size else energy
    if energy.size < 2:
        ranges = ", ".join(f"{s.path.name} {s.energy[0]:g}..{s.energy[-1]:g} eV" for s in spectra)
        raise ReadError(
            spectra[0].path, found=f"energy ranges that do not overlap ({ranges})", cure="give references of one edge"
        )
    rows: list[Any] = [np.interp(energy, s.energy, row) for s in spectra for row in s.values]
    return energy, np.array(rows)
