"""Spectra of one point in the files of STXM scans: SDF ``.hdr`` with ``.xsp``, and NXstxm point scans.

The sources are the header of a "NEXAFS Point Scan" as SDF programs write it, and the NXstxm definition
(https://manual.nexusformat.org/classes/applications/NXstxm.html).
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from .hdf5_file import open_hdf5
from .stxm.sdf_files.dwell import read_dwell
from .stxm.sdf_files.header import list_items, read_header
from .stxm.stack import find_energy_factor
from .tables.options import TableOptions
from .tables.spectra import Spectra, read_spectra

_ENERGY = ("energy", "photon_energy", "e")
_SIGNALS = ("data", "counts", "signal", "intensity")


class PointChoice(NamedTuple):
    """Arguments that choose a spectrum of a scan; None where not given."""

    entry: str | None = None
    region: int | None = None
    counter: str | None = None


class PointSpectrum(NamedTuple):
    """Energies [eV], intensities, and the dwell [s] of each energy where the file states it."""

    energy: NDArray[np.float64]
    values: NDArray[np.float64]
    dwell: NDArray[np.float64] | None = None


def read_sdf_point(path: Path, choice: PointChoice, options: TableOptions) -> PointSpectrum | None:
    """Spectrum of a point scan from its SDF header; None for scans of other types.

    Raises
    ------
    ReadError
        The ``.xsp`` is missing, or there are several regions or counters and none is chosen.
    """
    header = read_header(path)
    scan = header.get("ScanDefinition")
    if not isinstance(scan, dict) or "spectra" not in str(scan.get("Flags", "")).lower():
        return None
    n_regions = max(len(list_items(scan, "Regions")), 1)
    region = choice.region if choice.region is not None else 0 if n_regions == 1 else -1
    if not 0 <= region < n_regions:
        raise ReadError(path, found=f"{n_regions} point(s), but not {choice.region}", cure="choose one with region=0")
    file = path.with_name(f"{path.stem}_{region}.xsp")
    if not file.is_file():
        raise ReadError(path, found=f"the header of a point scan without {file.name}", cure="put that file beside it")
    channels = list_items(scan, "Channels") or list_items(header, "Channels")
    names = [str(c.get("Name", "")) for c in channels if isinstance(c, dict)]
    place = _choose_counter(path, names, choice.counter)
    found: Spectra = read_spectra(file, options._replace(energy_column=0, columns=(place + 1,)))[0]
    dwell = read_dwell(header, found.energy, region)
    return PointSpectrum(found.energy, found.values[0], dwell)


def _choose_counter(path: Path, names: list[str], counter: str | None) -> int:
    if counter is None and len(names) <= 1:
        return 0
    if counter in names:
        return names.index(counter)
    raise ReadError(path, found=f"the counters {names}, but not {counter!r}", cure="choose counter= from the list")


def read_nexus_point(path: Path, choice: PointChoice) -> PointSpectrum | None:
    """Spectrum of a point scan in an HDF5 file; None where the file holds none.

    Raises
    ------
    ReadError
        Several spectra fit the arguments.
    """
    with open_hdf5(path) as file:
        found: dict[str, Any] = {}
        file.visititems(lambda name, group: _add_spectrum(found, name, group))
        kept = {name: spectrum for name, spectrum in found.items() if _is_chosen(name, choice)}
    if not found:
        return None
    if len(kept) == 1:
        return next(iter(kept.values()))
    raise ReadError(
        path, found=f"the spectra {', '.join(found)}", cure="choose one with entry= and counter= from their paths"
    )


def _is_chosen(name: str, choice: PointChoice) -> bool:
    parts = name.split("/")
    return (choice.entry is None or choice.entry.strip("/") == parts[0]) and choice.counter in (None, parts[-1])


def _add_spectrum(found: dict[str, Any], name: str, group: Any) -> None:
    """Keep a group with energies and as many values of one signal."""
    if not hasattr(group, "keys"):
        return
    by_name = {key.lower(): key for key in group}
    stated = group.attrs.get("signal", b"")
    signal = stated.decode() if isinstance(stated, bytes) else str(stated)
    signals = [key for key in (signal, *_SIGNALS) if key in group and hasattr(group[key], "shape")]
    energies = [by_name[key] for key in _ENERGY if key in by_name and hasattr(group[by_name[key]], "shape")]
    if not signals or not energies:
        return
    values, energy = group[signals[0]], group[energies[0]]
    is_spectrum = values.dtype.kind in "iuf" and values.size == energy.size > 1 and max(values.shape) == values.size
    if not is_spectrum:
        return
    unit = energy.attrs.get("units", "eV")
    factor = find_energy_factor(unit.decode() if isinstance(unit, bytes) else str(unit)) or 1.0
    found[name] = PointSpectrum(
        np.asarray(energy[()], dtype=np.float64).ravel() * factor, np.asarray(values[()], dtype=np.float64).ravel()
    )
