"""Spectra of a text table: the stages of this folder one after another."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from .decoding import read_lines
from .energy_axis import choose_energy
from .layout import Layout, arrange_lines
from .naming import Column, name_columns
from .options import TableOptions, advise
from .passes import sort_rows
from .scans import select_scan
from .signals import Choice, choose_signals, find_pairs
from .units import convert_energies
from .words import rate_energy_name

Array = NDArray[np.float64]


@dataclass
class Spectra:
    """Spectra of one file on one energy axis [eV]; ``composition`` is None where the file does not give it."""

    path: Path
    energy: Array
    values: Array  # (reference, energy)
    names: list[str]
    units: str = "1"
    composition: Array | None = None
    notes: list[str] = field(default_factory=list)


def read_spectra(path: Path, options: TableOptions) -> list[Spectra]:
    """Read a table: one item, or one for each pair of energies and spectrum.

    Raises
    ------
    ReadError
        The file holds no table of spectra, or leaves open which numbers are meant; the cure names the argument.
    """
    lines, remark = select_scan(path, read_lines(path), options)
    # A scan that is chosen here need not be found among the energies.
    rest = options._replace(scan=None) if remark else options
    layout = arrange_lines(path, lines, rest)
    rows, width = layout.values.shape
    if rows < 2 or width - len(layout.text_columns) < 2:
        cure = "give energy and at least one spectrum as columns"
        raise ReadError(path, found=f"{rows} row(s) of {width} number(s)", cure=cure)
    columns, certain = name_columns(path, layout, rest)
    pairs = find_pairs(columns, rest)
    single = bool(pairs) and all(np.array_equal(axis.values, pairs[0][0].values) for axis, _ in pairs)
    notes = [*([remark] if remark else []), *layout.notes]
    if pairs and not single:
        return _read_pairs(path, layout, pairs, rest, notes)
    axes = [axis for axis, _ in pairs] or [choose_energy(path, columns, certain, rest)]
    choice = choose_signals(path, columns, axes, rest)
    chosen = _name_pairs(pairs) if pairs and rest.columns is None else choice.columns
    names = _name_spectra(path, chosen, choice, rest)
    values = np.array([c.values for c in chosen]) if choice.computed is None else choice.computed[None]
    found = _make_spectra(path, layout, axes[0], values, names, rest)
    places = [c.place for c in choice.columns]
    beside = [c.place for c in columns if all(c.place != a.place for a in axes)]
    found.composition = _read_composition(path, layout, [sorted(places), beside], places)
    found.notes = [*notes, *choice.notes]
    return [found]


def _make_spectra(
    path: Path, layout: Layout, axis: Column, values: Array, names: list[str], options: TableOptions
) -> Spectra:
    """Spectra on one axis, in rising energy."""
    energy = convert_energies(path, axis, layout, options)
    if not np.isfinite(values).all():
        k, row = np.argwhere(~np.isfinite(values))[0]
        raise ReadError(
            path,
            found=f"missing or infinite values in the spectrum {names[k]!r}, first at {energy[row]:g} eV",
            cure=advise(options, "remove or interpolate those rows, or choose other spectra with columns="),
        )
    energy, values = sort_rows(path, energy, values, options)
    return Spectra(path, energy, values, names, _read_units(layout))


def _read_pairs(
    path: Path, layout: Layout, pairs: list[tuple[Column, Column]], options: TableOptions, notes: list[str]
) -> list[Spectra]:
    """One item for each pair; rows that end before those of a longer pair are empty."""
    named = _name_pairs(pairs)
    places = [c.place for c in named]
    composition = _read_composition(path, layout, [places], places)
    if options.columns is not None:
        wanted = choose_signals(path, named, [], options).columns
        pairs = [(axis, c) for (axis, _), c in zip(pairs, named, strict=True) if c in wanted]
        named = [c for _, c in pairs]
    names = _name_spectra(path, named, Choice(named), options)
    found = []
    for (axis, signal), name in zip(pairs, names, strict=True):
        here = ~(np.isnan(axis.values) & np.isnan(signal.values))
        own = Column(axis.name, axis.unit, axis.place, axis.values[here])
        found.append(_make_spectra(path, layout, own, signal.values[here][None], [name], options))
        found[-1].notes = list(notes)
        found[-1].composition = None if composition is None else composition[[places.index(signal.place)]]
    return found


def _name_pairs(pairs: list[tuple[Column, Column]]) -> list[Column]:
    """Spectra of pairs; the name may stand above the energies, or have a ``y`` where these have an ``x``."""
    named = []
    for axis, signal in pairs:
        name = signal.name if signal.name.lower() != "y" else ""
        above = "" if axis.name.lower() == "x" or rate_energy_name(axis.name) else axis.name
        named.append(Column(re.sub(r"[_ ][yY]$", "", name) or above, signal.unit, signal.place, signal.values))
    return named


def _name_spectra(path: Path, chosen: list[Column], choice: Choice, options: TableOptions) -> list[str]:
    """Names of the spectra, each once."""
    named = [c.name for c in chosen if c.name]
    n = len(chosen)
    if n == 1:  # the only spectrum of a file is known by the file, unless a csv names it
        plain = named and path.suffix.lower() == ".csv" and choice.computed is None
        return named if plain else [path.stem]
    names = named if len(named) == n else [f"{path.stem}_{i + 1}" for i in range(n)]
    if len(set(names)) != n and options.columns is not None:
        return [f"{c.name}_{c.place}" for c in chosen]
    if len(set(names)) != n and options.purpose == "references":
        raise ReadError(
            path,
            found=f"columns of the same name ({', '.join(names)})",
            cure=f"name every column once, or choose by place, e.g. columns={[c.place for c in chosen[:2]]}",
        )
    return names


def _read_units(layout: Layout) -> str:
    """Unit of the spectra in a comment; a unit of energy there is that of the energies."""
    text = layout.find_comment("units") or "1"
    return "1" if text.lower().strip("()[] ") in ("ev", "kev") else text


def _read_composition(path: Path, layout: Layout, places: list[list[int]], chosen: list[int]) -> Array | None:
    """One number for each chosen spectrum.

    The comment gives them in the order of the columns, for one of the lists of ``places``.
    """
    text = layout.find_comment("composition")
    if text is None:
        return None
    try:
        values = np.array([float(v) for v in text.replace(";", ",").split(",") if v.strip()])
    except ValueError:
        values = np.empty(0)
    order = next((given for given in places if len(given) == values.size), None)
    if order is None or not np.isfinite(values).all():
        raise ReadError(
            path,
            found=f"'composition: {text}' for {len(chosen)} reference(s)",
            cure="give one number per reference, by commas",
        )
    return np.array([values[order.index(place)] for place in chosen])
