"""What a reader of crystal structures returns: the cell, its symmetry and all its atoms."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .sites import Site
from .symmetry_lines import Operation


class Crystal(NamedTuple):
    """A crystal structure with the axes, atoms and symmetry of its file."""

    title: str
    base: NDArray[np.float64]  # rows a, b, c [angstrom] in the crystal frame of docs/conventions.md
    atoms: list[tuple[Site, NDArray[np.float64]]]  # each site with its fractional positions (n, 3) in the cell
    operations: list[Operation]
    stated: str  # the symmetry as the file states it, for messages
    tolerance: float  # distance [angstrom] within which atoms are images of each other, from the digits of the file
    remarks: tuple[str, ...] = ()  # what was completed or left out, said to the user


class CrystalOptions(NamedTuple):
    """``open_phase`` takes no options yet."""
