"""Which column holds the photon energies: by its name, checked by its values, or by the values alone."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ...plausibility.spectra import ENERGY_EV
from ..stxm.stack import find_energy_factor
from .naming import Column
from .options import TableOptions, advise
from .words import (
    find_error_owner,
    is_angle_name,
    is_beside,
    is_energy_letter,
    is_index_name,
    is_other_energy,
    is_row_name,
    is_wave_name,
    is_weak_index_name,
    normalise_name,
    rate_energy_name,
)

_FEWEST = 3  # points from which values alone tell an index
_STEP_SIZES = 4  # sizes of steps of an axis: one for each of its regions


def choose_energy(path: Path, columns: list[Column], certain: bool, options: TableOptions) -> Column:
    """Column of the photon energies.

    Parameters
    ----------
    path
        The file, for messages.
    columns
        Columns with numbers.
    certain
        Whether their names are; values that contradict them are then refused, and go before them otherwise.
    options
        ``energy_column`` decides where it is given.

    Raises
    ------
    ReadError
        No column holds energies, or several may.
    """
    if options.energy_column is not None:
        return find_column(path, columns, options.energy_column, "energy_column")
    others = [c.name for c in columns]
    rated = [(0 if find_error_owner(c.name, others)[0] else rate_energy_name(c.name), c) for c in columns]
    if any(rate and is_likely_energy(c, options) for rate, c in rated):
        # A substance may be called E.
        rated = [(rate, c) for rate, c in rated if is_likely_energy(c, options) or not is_energy_letter(c.name)]
    best = max((rate for rate, _ in rated), default=0)
    named = [c for rate, c in rated if rate == best and best]
    likely = [c for c in columns if is_likely_energy(c, options) and not is_wave_name(c.name)]
    # Times, currents and angles lie where edges do as well; the loss of electrons is an energy.
    likely = [c for c in likely if not is_beside(c.name) or is_other_energy(c.name)]
    if named and all(np.array_equal(c.values, named[0].values, equal_nan=True) for c in named):
        return _check_named(path, columns, named[0], certain, options)
    if named:
        raise _refuse_choice(path, f"several columns of energies ({_list_columns(named)})", named, options)
    return _choose_by_values(path, columns, likely, options)


def find_column(path: Path, columns: list[Column], wanted: str | int, argument: str) -> Column:
    """Column of a name or place.

    Raises
    ------
    ReadError
        There is none, or there are several of the name.
    """
    if isinstance(wanted, int):
        found = [c for c in columns if c.place == wanted]
    else:
        found = [c for c in columns if c.name == wanted]
        found = found or [c for c in columns if normalise_name(c.name) == normalise_name(wanted)]
    if len(found) != 1:
        what = "no column" if not found else "several columns"
        raise ReadError(
            path,
            found=f"{what} {wanted!r} (there are {_list_columns(columns)})",
            cure=f"choose {argument}= from these names, or by the place that stands before them",
        )
    return found[0]


def is_counting(values: NDArray[np.float64]) -> bool:
    """Whether values are 0, 1, 2, ... or 1, 2, 3, ..."""
    start = values[0] if values.size else np.nan
    return bool(start in (0.0, 1.0) and np.array_equal(values, np.arange(values.size) + start))


def is_arithmetic(values: NDArray[np.float64]) -> bool:
    """Whether all steps are equal, as those of a time are and those of a spectrum are not."""
    steps = np.diff(values)
    return bool(steps.size > 2 and np.isfinite(steps).all() and np.ptp(steps) <= 1e-6 * abs(steps[0]) and steps[0] != 0)


def is_index(column: Column) -> bool:
    """Whether a column counts the rows."""
    if is_index_name(column.name):
        return True
    if column.values.size < _FEWEST or not is_weak_index_name(column.name):
        return False
    # Rows that were taken out leave gaps.
    whole = bool((column.values == np.round(column.values)).all() and (np.diff(column.values) > 0).all())
    return is_counting(column.values) or (whole and is_row_name(column.name))


def is_likely_energy(column: Column, options: TableOptions) -> bool:
    """Whether values are positive, run mostly in one direction, and lie where absorption edges do."""
    factor = find_energy_factor(options.energy_unit or column.unit) or 1.0
    values = column.values[np.isfinite(column.values)] * factor
    if values.size < 2 or values.min() < ENERGY_EV.low or values.max() > ENERGY_EV.high:
        return False
    steps = np.diff(values)
    # Two regions of a scan overlap by a few points.
    return bool(max((steps > 0).mean(), (steps < 0).mean()) >= 0.6 and (steps != 0).mean() >= 0.6)


def rate_axis(values: NDArray[np.float64]) -> tuple[bool, bool, bool]:
    """What speaks for an axis of energies: one direction, a range that an edge has, few sizes of steps."""
    finite = values[np.isfinite(values)]
    steps = np.diff(finite)
    ordered = bool((steps >= 0).all() or (steps <= 0).all())
    # A spectrum of an edge never doubles its energy, as a time does.
    narrow = bool(finite.max() < 2 * finite.min())
    if steps.size < 2:
        return ordered, narrow, True
    sizes = np.round(np.abs(steps) / max(float(np.median(np.abs(steps))), 1e-12), 1)
    _, counts = np.unique(sizes, return_counts=True)
    common = np.sort(counts)[-_STEP_SIZES:].sum()
    regular = counts.size <= (steps.size + 1) // 2 and common >= 0.8 * steps.size
    return ordered, narrow, bool(regular)


def _counts_by_ones(values: NDArray[np.float64]) -> bool:
    return bool((np.diff(values) == 1).all() and values[0] == round(values[0]))


def _is_as_good(mark: tuple[bool, ...], other: tuple[bool, ...]) -> bool:
    return all(a >= b for a, b in zip(mark, other, strict=True))


def _check_named(path: Path, columns: list[Column], named: Column, certain: bool, options: TableOptions) -> Column:
    """A column that is called energy, unless its values cannot be energies while those of another one are."""
    rivals = [c for c in columns if c is not named and is_likely_energy(c, options) and not is_wave_name(c.name)]
    wrong = not is_likely_energy(named, options) and (is_counting(named.values) or _may_be_no_energy(named, options))
    if not wrong or not rivals:
        return named
    if not certain and len(rivals) == 1:
        # The words above the columns are no names.
        for column in columns:
            column.name = ""
        return rivals[0]
    found = f"energies in the column {named.describe()}, but values of energies in {_list_columns(rivals)}"
    raise _refuse_choice(path, found, [named, *rivals], options)


def _may_be_no_energy(column: Column, options: TableOptions) -> bool:
    """Whether the values are outside every edge, also when taken as keV."""
    factor = find_energy_factor(options.energy_unit or column.unit) or 1.0
    values = column.values[np.isfinite(column.values)] * factor
    return values.size == 0 or bool(values.min() < ENERGY_EV.low or values.max() > ENERGY_EV.high)


def _refuse_other_axes(path: Path, columns: list[Column], likely: list[Column], options: TableOptions) -> None:
    """Refuse wavelengths and angles instead of energies, and energies along a row."""
    waves = [c for c in columns if is_wave_name(c.name)]
    if waves and not likely:
        raise ReadError(
            path,
            found=f"wavelengths or wavenumbers in the column {waves[0].describe()}, and no photon energies",
            cure=advise(options, "write photon energies in eV, 1239.842 divided by the wavelength in nm"),
        )
    angles = [c for c in columns if is_angle_name(c.name)]
    if angles:
        other = ", or choose them with energy_column=" if likely else ""
        raise ReadError(
            path,
            found=f"angles in the column {angles[0].describe()}, and no photon energies",
            cure=advise(options, f"write photon energies in eV, 12398.42 / (2 d sin(angle)) with d in angstrom{other}"),
        )
    row = Column("", None, 0, np.array([c.values[0] for c in columns if c.values.size]))
    if not likely and row.values.size > 3 and is_likely_energy(row, options) and all(rate_axis(row.values)[:2]):
        raise ReadError(
            path,
            found=f"photon energies along the first row ({row.values[0]:g} ... {row.values[-1]:g})",
            cure=advise(options, "transpose the table: energy and spectra are columns"),
        )


def _choose_by_values(path: Path, columns: list[Column], likely: list[Column], options: TableOptions) -> Column:
    """The only column whose values may be energies; the first by custom, unless another one is more like an axis."""
    _refuse_other_axes(path, columns, likely, options)
    places = [c for c in columns if not is_index(c) and not (c.values.size >= _FEWEST and is_counting(c.values))]
    places = [c for c in places if not is_beside(c.name) and not is_wave_name(c.name)]
    if len(likely) == 1:
        return likely[0]
    if not likely:
        # Numbers of another unit, or in no order: the usual place, if they are numbers of one sign in an order.
        first = places[0] if places else columns[0]
        if any(c.name for c in columns):
            usual = [c for c in columns if not is_beside(c.name) and not is_index(c)] or columns
            raise _refuse_choice(path, f"no column of photon energies ({_list_columns(columns)})", usual, options)
        rising = np.diff(first.values[np.isfinite(first.values)])
        if rising.size and max((rising > 0).mean(), (rising < 0).mean()) >= 0.6:
            return first
        raise _refuse_choice(path, "no column of photon energies by name or values", columns, options)
    marks: list[tuple[bool, ...]] = [rate_axis(c.values) for c in likely]
    if len(columns) > 2:
        # Steps of one may be those of an index that begins anywhere.
        marks = [(*mark, not _counts_by_ones(c.values)) for c, mark in zip(likely, marks, strict=True)]
    best = [c for c, mark in zip(likely, marks, strict=True) if all(_is_as_good(mark, other) for other in marks)]
    # In a table of two columns the energies stand first; a stack's list of energies knows no such custom.
    customary = len(columns) == 2 and options.purpose != "energies" and bool(places) and likely[0] is places[0]
    if len(best) == 1 or (best and customary and best[0] is likely[0]):
        return best[0]
    raise _refuse_choice(path, f"several columns that may be energies ({_list_columns(likely)})", likely, options)


def _list_columns(columns: list[Column]) -> str:
    return ", ".join(c.describe() for c in columns)


def _refuse_choice(path: Path, found: str, columns: list[Column], options: TableOptions) -> ReadError:
    named = [c.name or c.place for c in columns]
    # A name that occurs twice does not choose.
    example = named[0] if named.count(named[0]) == 1 else columns[0].place
    return ReadError(path, found=found, cure=advise(options, f"choose one, e.g. energy_column={example!r}"))
