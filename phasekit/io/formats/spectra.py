"""Spectra in text tables: csv, text of two columns, and XDI, whose header names its columns."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from .stxm.stack import convert_to_ev
from .text_table import Table, read_table

# Names that XDI gives to absorption, the best kind first.
_XDI_SIGNALS = ("norm", "flat", "mutrans", "mu", "xmu", "mufluor", "murefer", "normtrans", "normfluor")


@dataclass
class Spectra:
    """Spectra of one file on one energy axis [eV]; ``composition`` is None where the file does not give it."""

    path: Path
    energy: NDArray[np.float64]
    values: NDArray[np.float64]  # (reference, energy)
    names: list[str]
    units: str = "1"
    composition: NDArray[np.float64] | None = None


def read_spectra(path: Path) -> Spectra:
    """Read a table whose first column is the energy, or an XDI file; energies rise, and equal ones are averaged."""
    table = read_table(path)
    if table.values.shape[1] < 2 or table.values.shape[0] < 2:
        rows, columns = table.values.shape
        raise ReadError(
            path, found=f"{rows} row(s) of {columns} number(s)", cure="give energy and at least one spectrum as columns"
        )
    # XDI states its columns in comments; any other table is read by position
    is_xdi = path.suffix.lower() == ".xdi" or any(c.upper().startswith("XDI/") for c in table.comments)
    energy, values, names, unit = _read_xdi(path, table) if is_xdi else _select_columns(path, table)
    energy = convert_to_ev(path, energy, unit)
    if not np.isfinite(values).all():
        raise ReadError(path, found="missing or infinite values in a spectrum", cure="remove or interpolate those rows")
    energy, values = _sort_energies(energy, values)
    return Spectra(
        path, energy, values, names, table.find_comment("units") or "1", _read_composition(path, table, len(names))
    )


def _select_columns(path: Path, table: Table) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str], str | None]:
    """Energies, spectra (reference, energy), names and the unit of the energy, by the place of the columns."""
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
    """Energy and absorption of an XDI file; the absorption is ln(I0 / I) where it holds only intensities."""
    n = table.values.shape[1]
    described = [(table.find_comment(f"Column.{i + 1}") or table.names[i]).split() or [""] for i in range(n)]
    columns = {words[0].lower(): i for i, words in enumerate(described)}
    if "energy" not in columns:
        raise ReadError(
            path, found=f"the XDI columns {list(columns)}, no energy", cure="export it with an energy column"
        )
    at = columns["energy"]
    unit = described[at][1] if len(described[at]) > 1 else None
    # Normalised spectra are preferred to raw ones.
    signal = next((columns[name] for name in _XDI_SIGNALS if name in columns), None)
    if signal is None and {"i0", "itrans"} <= set(columns):
        # Zeros become infinite here, and are refused with other missing values.
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
    # Scan programs repeat the energy at which two regions meet.
    count = np.bincount(inverse)
    return unique, np.array([np.bincount(inverse, weights=row) / count for row in values])
