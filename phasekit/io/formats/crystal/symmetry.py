"""Symmetry operations of a crystal: whether they form a group, the atoms they make, and their space group."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ....crystals import direct_basis
from ....errors import ReadError
from .sites import Site
from .symmetry_lines import Operation

#: Positions closer than this [angstrom] are one atom: 0.333 for 1/3 in a 20 angstrom cell still closes.
SAME_PLACE = 0.05
# Translations of space groups are multiples of 1/48, and so are those of all their settings.
_GRID = 48
# Copies nearer than this [angstrom] are one atom, however many digits are written: no refinement splits it.
_LEAST_ROUNDING = 0.005
# Occupancies of a split atom may exceed 1 together by rounding.
_FULL = 1.05
_MOST_COMPARED = 500
#: Atoms nearer than this [angstrom] exclude each other: together they may not be there more than once.
TOO_NEAR = 0.4


def compute_lattice_base(cell: Sequence[float]) -> NDArray[np.float64]:
    """Rows a, b, c [angstrom] in the crystal frame of docs/conventions.md; refuses angles that close no cell."""
    alpha, beta, gamma = np.cos(np.deg2rad(cell[3:]))
    height = (1 - alpha**2 - beta**2 - gamma**2 + 2 * alpha * beta * gamma) / (1 - gamma**2)
    # The squared height of a cell with edges of length 1: its volume over its base area. 0 means coplanar edges.
    if not height > 1e-4:
        raise ValueError(f"angles {tuple(cell[3:])} close no cell")
    return direct_basis(cell)


def check_operations(operations: list[Operation], base: NDArray[np.float64], path: str) -> None:
    r"""Refuse operations that form no group or do not fit the cell, as in a cut file or a wrong setting.

    An operation with matrix :math:`W` leaves the cell unchanged if :math:`W^T G W = G`. :math:`G` is the metric tensor
    :math:`G_{ij} = \mathbf{a}_i \cdot \mathbf{a}_j` (International Tables for Crystallography A, chapter 1.5).
    """
    known = set(operations)
    if len(known) != len(operations) or len(operations) > 192:
        raise ReadError(path, found="repeated symmetry lines", cure="keep each symmetry line once")
    matrices = np.array([operation[0] for operation in operations])
    # Closure is tested on whole numbers, because translations such as 1/3 are not exact in binary.
    shifts = np.array([[round(value * _GRID) for value in operation[1]] for operation in operations])
    codes = _encode_operations(matrices, shifts)
    for matrix, shift in zip(matrices, shifts, strict=True):
        if not np.isin(_encode_operations(matrix @ matrices, shifts @ matrix.T + shift), codes).all():
            found = f"{len(operations)} symmetry lines that form no group"
            raise ReadError(path, found=found, cure="give all symmetry lines of the group (was the file cut short?)")
    # An operation W leaves the cell unchanged if W^T G W = G, with G the metric tensor.
    metric = base @ base.T
    turned = np.einsum("nji,jk,nkl->nil", matrices, metric, matrices)
    if np.abs(turned - metric).max() > 0.005 * metric.max():
        raise ReadError(
            path,
            found="a unit cell that its symmetry lines do not leave unchanged",
            cure="check the order of the axes and the angles against the space-group setting",
        )


def _encode_operations(matrices: NDArray[np.integer], shifts: NDArray[np.integer]) -> NDArray[np.int64]:
    """One whole number for each operation: its matrix (n, 3, 3) in base 5 and its translation (n, 3) in base 48."""
    # Elements outside -2..2 belong to no group and are seen as another matrix.
    digits = np.clip(matrices, -2, 2).reshape(len(matrices), 9).astype(np.int64) + 2
    return (digits @ 5 ** np.arange(9)) * _GRID**3 + (shifts % _GRID) @ _GRID ** np.arange(3)


def expand_sites(
    sites: list[Site], operations: list[Operation], base: NDArray[np.float64], path: str
) -> list[tuple[Site, NDArray[np.float64]]]:
    """Every atom of the unit cell: each site with its symmetry-equivalent fractional positions (n, 3) in [0, 1)."""
    matrices = np.array([operation[0] for operation in operations], dtype=float)
    shifts = np.array([[float(value) for value in operation[1]] for operation in operations])
    expanded = [(site, _compute_orbit(site, matrices, shifts, base, path)) for site in sites]
    _check_occupancies(expanded, base, path)
    return expanded


def _compute_orbit(
    site: Site, matrices: NDArray[np.float64], shifts: NDArray[np.float64], base: NDArray[np.float64], path: str
) -> NDArray[np.float64]:
    places = matrices @ np.array(site.position) + shifts
    orbit, sizes = _join_copies(places, base, SAME_PLACE)
    # An atom beside a mirror, further than rounding explains, is split over both sides where its occupancy allows.
    # A full atom cannot be, so that its position is badly written.
    split, split_sizes = _join_copies(places, base, _find_rounding(site, base))
    if len(split_sizes) == 1 and site.occupancy * max(sizes) <= _FULL * max(split_sizes):
        orbit, sizes = split, split_sizes
    # All places of an orbit have the same number of copies, unless the site lies beside a symmetry element.
    if len(sizes) > 1:
        found = f"atom '{site.label}' at {site.position}, close to a symmetry element but not on it"
        raise ReadError(path, found=found, cure="give its position with more digits, or put it on the element")
    # Rounding may leave 0.999999999 for 0.
    wrapped = orbit % 1.0
    return np.where(np.abs(wrapped - 1.0) < 1e-9, 0.0, wrapped)


def _find_rounding(site: Site, base: NDArray[np.float64]) -> float:
    """Distance [angstrom] that rounding to the digits of the position puts between copies of one atom.

    A cut digit moves a copy by up to one unit of the last digit, and its image by as much the other way.
    """
    step = 2 * 10.0**-site.digits if site.digits else 0.0
    return float(np.clip(step * np.linalg.norm(base, axis=1).max(), _LEAST_ROUNDING, SAME_PLACE))


def _join_copies(
    places: NDArray[np.float64], base: NDArray[np.float64], distance: float
) -> tuple[NDArray[np.float64], set[int]]:
    """Places (n, 3) whose copies within a distance [angstrom] are joined to their mean, and the numbers of copies."""
    kept: list[NDArray[np.float64]] = []
    left = np.arange(len(places))
    sizes = set()
    # Take the first place, join all copies of it, and go on with the rest.
    while left.size:
        step = places[left] - places[left[0]]
        # The nearest copy under lattice translations counts.
        step -= np.rint(step)
        same = np.linalg.norm(step @ base, axis=1) < distance
        sizes.add(int(same.sum()))
        # The mean of the coinciding copies lies exactly on the symmetry element: 0.3333 becomes 1/3.
        kept.append(places[left[0]] + step[same].mean(axis=0))
        left = left[~same]
    return np.array(kept), sizes


def lists_whole_cell(sites: list[Site], operations: list[Operation], base: NDArray[np.float64]) -> bool:
    """Whether the sites are already all atoms that these operations make, as in a list of the cell beside a symbol."""
    places = np.array([site.position for site in sites])
    elements = np.array([site.element for site in sites])
    # Every pair of atoms and images is compared, which takes too long for more.
    if len(sites) > _MOST_COMPARED:
        return False
    for matrix, shift in operations:
        images = places @ np.array(matrix, dtype=float).T + np.array([float(value) for value in shift])
        step = images[:, None] - places[None]
        step -= np.rint(step)
        met = (np.linalg.norm(step @ base, axis=-1) < SAME_PLACE) & (elements[:, None] == elements[None])
        if not met.any(axis=1).all():
            return False
    return True


def _check_occupancies(expanded: list[tuple[Site, NDArray[np.float64]]], base: NDArray[np.float64], path: str) -> None:
    """Refuse more than one atom in a place: a cell listed in full beside lines that would fill it again."""
    places = np.concatenate([orbit for _, orbit in expanded])
    shares = np.concatenate([np.full(len(orbit), site.occupancy) for site, orbit in expanded])
    # The distances of all pairs are computed below, which takes too long for more atoms.
    if len(places) > 5000:
        raise ReadError(path, found=f"{len(places)} atoms in a cell", cure="give a structure of at most 5000 atoms")
    for _, orbit in expanded:
        step = places - orbit[0]
        step -= np.rint(step)
        total = shares[np.linalg.norm(step @ base, axis=1) < TOO_NEAR].sum()
        if total > 1.1:
            raise ReadError(
                path,
                found=f"a total occupancy of {total:.2f} within {TOO_NEAR} angstrom of {orbit[0].round(4).tolist()}",
                cure="list each atom of the asymmetric unit once, or state P 1 with the one symmetry line 'x,y,z'",
            )
