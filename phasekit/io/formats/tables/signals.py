"""Which columns are spectra: errors, indices, backgrounds and monitors are not."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from . import words
from .energy_axis import find_column, is_arithmetic, is_counting, is_index, is_likely_energy, rate_axis
from .naming import Column
from .options import TableOptions

_SIZES = 1000.0  # ratio of sizes that references of one experiment do not have


@dataclass
class Choice:
    """Columns of spectra, a spectrum computed from others if there is one, and remarks."""

    columns: list[Column]
    computed: NDArray[np.float64] | None = None
    notes: list[str] = field(default_factory=list)


def choose_signals(path: Path, columns: list[Column], energy: list[Column], options: TableOptions) -> Choice:
    """Columns that are spectra.

    Parameters
    ----------
    path
        The file, for messages.
    columns
        Columns with numbers.
    energy
        Those that hold energies.
    options
        ``columns`` decides where it is given; ``purpose`` says whether an incident intensity is wanted.

    Raises
    ------
    ReadError
        No column is a spectrum, or names leave open which are.
    """
    if options.columns is not None:
        chosen = [find_column(path, columns, wanted, "columns") for wanted in options.columns]
        if any(c.place == e.place for c in chosen for e in energy):
            raise ReadError(
                path,
                found=f"the energies {energy[0].describe()} among columns={list(options.columns)}",
                cure="leave them out of columns=, or choose other energies with energy_column=",
            )
        return Choice(chosen)
    others = [c for c in columns if all(c.place != e.place for e in energy)]
    doubtful = _find_doubtful(others, columns)
    if doubtful:
        raise _refuse_choice(path, f"columns that may be errors or sums ({_list(doubtful)})", others)
    left, notes = _leave_out(others, columns, options)
    if options.purpose == "i0":
        return _choose_incident(path, left, notes)
    return _choose_absorption(path, left, notes)


def _find_doubtful(others: list[Column], columns: list[Column]) -> list[Column]:
    """Columns named after errors of what is not in the table, and sums beside several spectra."""
    names = [c.name for c in columns]
    found = []
    for column in others:
        is_error, owner = words.find_error_owner(column.name, names)
        if is_error and owner is None:
            found.append(column)
    errors = [c for c in others if words.find_error_owner(c.name, names)[0]]
    spectra = len(others) - len(errors)
    return found + [c for c in others if words.is_summary(c.name) and spectra > 1]


def _is_axis_name(column: Column, options: TableOptions) -> bool:
    """Whether a name is that of energies, and not the letter of a substance."""
    letter = words.is_energy_letter(column.name) and not is_likely_energy(column, options)
    return words.rate_energy_name(column.name) > 0 and not letter


def _leave_out(others: list[Column], columns: list[Column], options: TableOptions) -> tuple[list[Column], list[str]]:
    """Columns that may be spectra, and a remark on those that are none."""
    names = [c.name for c in columns]
    left: list[Column] = []
    gone: list[Column] = []
    for column in others:
        none = words.find_error_owner(column.name, names)[0] or words.is_beside(column.name)
        none = none or (column.name != "" and is_index(column))
        # Statistics programs leave the name above the names of rows empty.
        none = none or (column.place == 0 and not column.name and len(columns) > 2 and all(names[1:]))
        none = none or words.is_wave_name(column.name) or _is_axis_name(column, options)
        none = none or words.is_background(column.name) or words.is_other_energy(column.name)
        (gone if none else left).append(column)
    # A column that counts by ones, or without a name by equal steps, is no spectrum where other columns are left.
    counting = [c for c in left if not c.name and (is_counting(c.values) or is_arithmetic(c.values))]
    counting += [c for c in left if c.name and is_arithmetic(c.values) and abs(c.values[1] - c.values[0]) == 1]
    if counting and len(counting) < len(left):
        left, gone = [c for c in left if c not in counting], gone + counting
    fine = [c for c in left if words.is_fine_structure(c.name)]
    if fine and any(words.normalise_name(c.name) in words.ABSORPTIONS for c in left):
        left, gone = [c for c in left if c not in fine], gone + fine
    return left, [f"columns left out: {_list(gone)}"] if gone else []


def _choose_incident(path: Path, left: list[Column], notes: list[str]) -> Choice:
    """The only column, or the one that is named as incident intensity."""
    named = [c for c in left if words.strip_unit(c.name) in words.INCIDENT]
    chosen = named if len(named) == 1 else left
    absorbing = [c for c in chosen if words.normalise_name(c.name) in (*words.ABSORPTIONS, *words.FOIL_ABSORPTIONS)]
    if absorbing:
        raise ReadError(
            path,
            found=f"absorption and no intensity in the column {absorbing[0].describe()}",
            cure="choose the counts with columns=, or give the table to pk.io.open_references",
        )
    if len(chosen) != 1:
        raise _refuse_choice(path, f"{len(chosen)} columns beside the energy ({_list(chosen)})", left)
    return Choice(chosen, notes=notes)


def _choose_absorption(path: Path, left: list[Column], notes: list[str]) -> Choice:
    """Spectra of absorption: one of several kinds of one sample, or all that are named after substances."""
    plain = {words.normalise_name(c.name): c for c in reversed(left)}
    kinds = [plain[name] for name in words.ABSORPTIONS if name in plain]
    foils = [plain[name] for name in words.FOIL_ABSORPTIONS if name in plain]
    intensities = [c for c in left if words.is_intensity(c.name)]
    rest = [c for c in left if all(c is not k for k in (*kinds, *foils, *intensities))]
    fine = [c for c in left if words.is_fine_structure(c.name)]
    if len(fine) > 1:
        raise _refuse_choice(path, f"fine structure and no absorption ({_list(left)})", left)
    passing = [c for c in left if words.is_transmission(c.name)]
    if passing:
        found = f"a transmission and no absorption in the column {_list(passing)}"
        raise ReadError(path, found=found, cure="give -ln of it, or choose the spectra with columns=")
    constants = [c for c in left if words.is_optical_constant(c.name)]
    if constants and len(constants) == len(left):
        found = f"optical constants or lengths and no absorption ({_list(constants)})"
        cure = f"give the absorption computed from them, or take one as it is with columns={constants[-1].name!r}"
        raise ReadError(path, found=found, cure=cure)
    if not left:
        raise ReadError(path, found="no spectrum beside the energies", cure="name the spectra with columns=")
    if rest and (kinds or foils or intensities):
        raise _refuse_choice(path, f"measured signals beside other columns ({_list(left)})", left)
    if rest or len(left) == 1:
        _refuse_other_sizes(path, left)
        return Choice(left, notes=notes)
    if kinds:
        unused = [c for c in left if c is not kinds[0]]
        return Choice(kinds[:1], notes=[*notes, f"{kinds[0].name} taken, {_list(unused)} left out"])
    incident = [c for c in intensities if words.strip_unit(c.name) in words.INCIDENT]
    through = [c for c in intensities if words.strip_unit(c.name) in words.TRANSMITTED]
    if len(incident) == len(through) == 1:
        # Zeros become infinite here, and are refused with other missing values.
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log(incident[0].values / through[0].values)
        return Choice(through, values, [*notes, f"ln({incident[0].name} / {through[0].name})"])
    raise _refuse_choice(path, f"{len(left)} measured signals ({_list(left)})", left)


def find_pairs(columns: list[Column], options: TableOptions) -> list[tuple[Column, Column]]:
    """Energies and spectrum of each pair ``E_A, A, E_B, B``; empty where the table has one axis of energies."""
    if options.energy_column is not None:
        return []
    names = [c.name for c in columns]
    wanted = [
        c
        for c in columns
        if not (is_index(c) and c.name) and not (words.find_error_owner(c.name, names)[0] and not _owned(c, columns))
    ]
    axes = [c for c in wanted if _is_axis_name(c, options) or _owned(c, columns) is not None]
    if len(axes) < 2:
        axes = _find_axes_by_value(wanted, options)
    signals = [c for c in wanted if all(c is not a for a in axes)]
    if len(axes) < 2 or len(axes) != len(signals):
        return []
    owned = [(axis, _owned(axis, columns)) for axis in axes]
    if all(owner is not None for _, owner in owned):
        return [(axis, owner) for axis, owner in owned if owner is not None]
    # Without names that say so, each spectrum stands to the right of its energies.
    return list(zip(wanted[0::2], wanted[1::2], strict=True)) if wanted[0::2] == axes else []


def _owned(axis: Column, columns: list[Column]) -> Column | None:
    """Column that ``E_A`` is the energy of."""
    owner = words.find_energy_owner(axis.name)
    if owner is None:
        return None
    same = [c for c in columns if c is not axis and words.normalise_name(c.name) in (owner, f"{owner} y", f"y {owner}")]
    return same[0] if len(same) == 1 else None


def _find_axes_by_value(columns: list[Column], options: TableOptions) -> list[Column]:
    """Every second column, if these and no others run as energies do, over one range, and names do not say no."""
    axes, signals = columns[0::2], columns[1::2]
    if len(columns) < 4 or len(axes) != len(signals):
        return []
    alike = len({c.name.lower().strip() for c in axes}) == 1
    if not alike and any(c.name for c in signals):
        return []
    if not all(is_likely_energy(c, options) for c in axes) or any(is_likely_energy(c, options) for c in signals):
        return []
    # Counts may lie where edges do, but not in the order of an axis.
    if not all(rate_axis(c.values)[:2] == (True, True) for c in axes):
        return []
    low = max(float(np.nanmin(c.values)) for c in axes)
    high = min(float(np.nanmax(c.values)) for c in axes)
    return axes if low < high else []


def _list(columns: list[Column]) -> str:
    return ", ".join(c.name or f"column {c.place}" for c in columns)


def _refuse_choice(path: Path, found: str, columns: list[Column]) -> ReadError:
    named = [c.name for c in columns]
    # The example holds what may be a spectrum, and counts only where nothing else is there.
    likely = [c for c in columns if not _is_unlikely(c, columns)] or columns
    best = [c for c in likely if not words.is_intensity(c.name)]
    best = best or [c for c in likely if words.strip_unit(c.name) not in words.INCIDENT] or likely
    shown = [c.name if c.name and named.count(c.name) == 1 else c.place for c in best[:2]]
    return ReadError(
        path, found=found, cure=f"choose the spectra, e.g. columns={shown if len(shown) > 1 else shown[0]!r}"
    )


def _is_unlikely(column: Column, columns: list[Column]) -> bool:
    """Whether a column is no spectrum by its name, or counts the rows."""
    name = column.name
    beside = words.is_beside(name) or words.is_background(name) or words.is_summary(name) or is_index(column)
    beside = beside or (not name and any(c.name for c in columns))
    return beside or words.find_error_owner(name, [c.name for c in columns])[0]


def _refuse_other_sizes(path: Path, left: list[Column]) -> None:
    """Refuse spectra of which one is a thousand times as large as another: counts beside an absorption."""
    largest = {c.place: float(np.nanmax(np.abs(c.values), initial=0.0)) for c in left}
    sizes = [size for size in largest.values() if size > 0]
    if len(sizes) < 2 or max(sizes) < _SIZES * min(sizes) or max(sizes) < 100:
        return
    found = f"spectra up to {max(sizes):g} beside others up to {min(sizes):g}: counts, perhaps ({_list(left)})"
    raise _refuse_choice(path, found, [c for c in left if largest[c.place] * _SIZES**0.5 < max(sizes)] or left)
