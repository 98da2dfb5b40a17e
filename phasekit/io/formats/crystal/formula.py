"""Check of the content of the cell against formula, formula units and density, as far as the file states them."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import ReadError
from .cif_text import Block

_PART = re.compile(r"([A-Z][a-z]?)([0-9]*\.?[0-9]*)")
_UNLOCATED = {"H", "D"}  # often in the formula, seldom among the atoms
_AVOGADRO = 0.602214076  # u per (angstrom^3 g/cm^3)
_LARGEST = 1e4
# g/cm^3. Air has 0.001, and osmium in the core of the Earth less than 40: beyond, the lengths have another unit.
_DENSITIES = (1e-4, 40.0)
# A missing centring or a split atom counted half changes the content by 1.5 and more. A formula is rounded, and a
# measured density holds pores and water.
_RATIO = 1.25
_MEASURED_RATIO = 1.4
_CURE = (
    "compare symmetry lines (is the centring complete?), occupancies and cell with the publication, or remove the "
    "value that is wrong"
)
_TOLERANCE = 0.1  # relative, and in formula units: occupancies and dopants are rounded


def check_content(block: Block, sites: Sequence[Any], volume: float, path: str) -> None:
    """Compare the content of the cell (volume [angstrom^3]) with what the file states of it.

    A file cut between two atom rows is still a valid CIF, and so is one whose symmetry lines lack the centring.
    ``sites`` are pairs (site with ``element`` and ``occupancy``, its places in the cell). A formula that is missing or
    written in another way is not checked.

    Raises
    ------
    ReadError
        An element has too few atoms for ``_chemical_formula_sum``. The content is not that of
        ``_cell_formula_units_Z`` formulas, or misses ``_exptl_crystal_density_diffrn`` or ``_meas``.
    """
    found: dict[str, float] = defaultdict(float)
    for site, orbit in sites:
        found[site.element] += site.occupancy * len(orbit)
    formula = block.first("_chemical_formula_sum")
    # Formulas are written by hand, so what cannot be parsed is not held against the file.
    wanted = _count_elements(formula)
    if wanted:
        _check_units(found, wanted, block, _check_elements(found, wanted, formula, path), path)
    _check_density(found, formula, block, volume, path)


def _check_elements(found: dict[str, float], wanted: dict[str, float], formula: str | None, path: str) -> float:
    """Refuse a lack of one element; returns the number of formulas in the cell."""
    # Minor elements are rounded too coarsely to count formula units by.
    major = {element: count for element, count in wanted.items() if count >= 0.5} or wanted
    units = float(np.max([found[element] / count for element, count in major.items()]))
    # A missing atom row lowers one element by a whole site, far more than rounding does.
    short = [
        element
        for element, count in wanted.items()
        if found[element] < units * (count - max(_TOLERANCE * count, _TOLERANCE))
    ]
    if short:
        raise ReadError(
            path,
            found=f"fewer {', '.join(short)} atoms than _chemical_formula_sum '{formula}' asks for",
            cure="add the atoms that are missing (was the file cut short?), or correct the formula",
        )
    return units


def _check_units(found: dict[str, float], wanted: dict[str, float], block: Block, units: float, path: str) -> None:
    """Compare the number of formulas in the cell with Z, whatever the file takes for its formula."""
    stated = _read_positive(block.first("_cell_formula_units_z"))
    if stated is None:
        return
    # Some programs write the content of the cell as the formula, with the Z of its smallest form.
    divisor = math.gcd(*(int(count) for count in wanted.values())) if _are_whole(wanted) else 1
    accepted = (stated,) if divisor == 1 else (stated, stated / divisor, 1.0)
    if not any(_is_near(units, other, _RATIO) for other in accepted):
        raise ReadError(
            path,
            found=f"{units:.3g} formulas '{block.first('_chemical_formula_sum')}' in the cell, but "
            f"_cell_formula_units_Z {stated:g}",
            cure=_CURE,
        )


def _check_density(found: dict[str, float], formula: str | None, block: Block, volume: float, path: str) -> None:
    """Compare the density with the stated one; hydrogen without positions may be missing from the atoms."""
    mass = sum(count * _find_mass(element) for element, count in found.items())
    hydrogen = _estimate_hydrogen(found, formula)
    _check_solid(mass / volume / _AVOGADRO, path)
    low, high = (value / volume / _AVOGADRO for value in (mass, mass + hydrogen * _find_mass("D")))
    for tag, ratio in (("_exptl_crystal_density_diffrn", _RATIO), ("_exptl_crystal_density_meas", _MEASURED_RATIO)):
        stated = _read_positive(block.first(tag))
        if stated is not None and not low / ratio <= stated <= high * ratio:
            raise ReadError(
                path,
                found=f"atoms of {low:.3g} g/cm^3, but {tag} {stated:g}",
                cure=_CURE,
            )


def _check_solid(density: float, path: str) -> None:
    """Refuse a density that no solid has, as of lengths in pm or of one molecule in a box."""
    if not _DENSITIES[0] <= density <= _DENSITIES[1]:
        found = f"atoms of {density:.2g} g/cm^3, which no crystal has"
        cure = "give lengths in angstrom (not nm, pm or bohr), and the cell of a crystal, not a box around a molecule"
        raise ReadError(path, found=found, cure=cure)


def _estimate_hydrogen(found: dict[str, float], formula: str | None) -> float:
    """Hydrogen atoms of the cell that the formula has and the list of atoms lacks, 0 where this is not known."""
    wanted = _count_elements(formula, hydrogen=True)
    heavy = {element: count for element, count in wanted.items() if element not in _UNLOCATED and count >= 0.5}
    if not heavy:
        return 0.0
    units = max(found[element] / count for element, count in heavy.items())
    return max(units * sum(wanted.get(name, 0.0) for name in _UNLOCATED) - found.get("H", 0.0), 0.0)


def _find_mass(element: str) -> float:
    """Atomic mass [u]."""
    import periodictable

    return float(periodictable.elements.symbol(element).mass)


def _read_positive(text: str | None) -> float | None:
    """Number above 0 of a text, None where it holds none: a placeholder is not held against the file."""
    try:
        value = float((text or "").split("(")[0])
    except ValueError:
        return None
    return value if 0 < value < _LARGEST else None


def _are_whole(counts: dict[str, float]) -> bool:
    return all(count == int(count) for count in counts.values())


def _is_near(value: float, other: float, ratio: float) -> bool:
    return other / ratio <= value <= other * ratio


def _count_elements(formula: str | None, *, hydrogen: bool = False) -> dict[str, float]:
    """Atoms per formula unit, without hydrogen as a rule; empty where the text is no plain list of elements."""
    text = (formula or "").strip("'\" ")
    # A group with a factor, (SO4)2, would need a full parser: such a formula is not checked.
    if re.search(r"\)\s*[0-9]", text):
        return {}
    parts = text.replace("(", " ").replace(")", " ").split()
    matches = [_PART.fullmatch(part) for part in parts]
    counts: dict[str, float] = defaultdict(float)
    for match in matches:
        if match is None or match[2] == ".":
            return {}
        counts[match[1]] += float(match[2] or 1)
    return {
        element: count for element, count in counts.items() if count > 0 and (hydrogen or element not in _UNLOCATED)
    }
