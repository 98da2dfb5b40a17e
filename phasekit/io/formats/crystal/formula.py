"""Check of the number of atoms against the formula: a file cut between two atom rows is still a valid CIF."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....errors import ReadError

_PART = re.compile(r"([A-Z][a-z]?)([0-9]*\.?[0-9]*)")
_UNLOCATED = {"H", "D"}  # often in the formula, seldom among the atoms
_TOLERANCE = 0.1  # relative, and in formula units: occupancies and dopants are rounded


def check_formula(formula: str | None, sites: Sequence[Any], path: str) -> None:
    """Compare the cell's content with ``_chemical_formula_sum``, up to the number of formula units.

    ``sites`` are pairs (site with ``element`` and ``occupancy``, its places in the cell). A formula that is missing or
    written in another way is not checked.
    """
    # Formulas are written by hand, so what cannot be parsed is not held against the file.
    wanted = _count_elements(formula)
    if not wanted:
        return
    found: dict[str, float] = defaultdict(float)
    for site, orbit in sites:
        found[site.element] += site.occupancy * len(orbit)
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
            cure="copy the file again (it may be cut short), or compare its formula with the atoms",
        )


def _count_elements(formula: str | None) -> dict[str, float]:
    """Atoms per formula unit, without hydrogen; empty where the text is not a plain list of elements and counts."""
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
    return {element: count for element, count in counts.items() if element not in _UNLOCATED and count > 0}
