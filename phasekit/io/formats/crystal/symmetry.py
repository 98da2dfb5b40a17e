"""Symmetry operations of a crystal: whether they form a group, the atoms they make, and their space group."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ....crystals import direct_basis
from ....errors import ReadError
from .cif_text import Site
from .symmetry_lines import Operation

#: Positions closer than this [angstrom] are one atom: 0.333 for 1/3 in a 20 angstrom cell still closes.
SAME_PLACE = 0.05
#: Atoms nearer than this [angstrom] exclude each other: together they may not be there more than once.
TOO_NEAR = 0.4

# Groups of the International Tables with two choices of the origin: their name alone does not say where the atoms are.
_TWO_ORIGINS = frozenset(
    (48, 50, 59, 68, 70, 85, 86, 88, 125, 126, 129, 130, 133, 134, 137, 138, 141, 142, 201, 203, 222, 224, 227, 228)
)
_ADD_LINES = "add the symmetry lines (_space_group_symop_operation_xyz), as any crystallography program exports them"


def compute_lattice_base(cell: Sequence[float]) -> NDArray[np.float64]:
    """Rows a, b, c [angstrom] in the crystal frame of docs/conventions.md; refuses angles that close no cell."""
    alpha, beta, gamma = np.cos(np.deg2rad(cell[3:]))
    height = (1 - alpha**2 - beta**2 - gamma**2 + 2 * alpha * beta * gamma) / (1 - gamma**2)
    # The squared height of a cell with edges of length 1: its volume over its base area. 0 means coplanar edges.
    if not height > 1e-4:
        raise ValueError(f"angles {tuple(cell[3:])} close no cell")
    return direct_basis(cell)


def find_table_operations(name: str | None, number: int | None, cell: Sequence[float], path: str) -> list[Operation]:
    """Operations of the space group when the file has no symmetry lines, from its name (any setting) or number."""
    from diffpy.structure.spacegroups import GetSpaceGroup, IsSpaceGroupIdentifier, SpaceGroupList

    if name is None and number is None:
        raise ReadError(path, found="no symmetry (neither symmetry lines nor a space group)", cure=_ADD_LINES)
    plain = " ".join((name or "").split(":")[0].split())
    if plain and IsSpaceGroupIdentifier(plain):
        group = GetSpaceGroup(plain)
    elif plain and number is None:
        raise ReadError(path, found=f"unknown space group '{name}' and no symmetry lines", cure=_ADD_LINES)
    elif plain and number in range(3, 75):  # settings differ by a change of axes, and only the name could tell
        raise ReadError(path, found=f"an unknown setting '{name}' and no symmetry lines", cure=_ADD_LINES)
    else:
        group = GetSpaceGroup(int(number or 0))
    # Tables list further settings of a group with 1000 added to its number.
    if group.number % 1000 in _TWO_ORIGINS:
        found = f"space group {group.short_name}, which has two origins, and no symmetry lines"
        raise ReadError(path, found=found, cure=_ADD_LINES)
    # Rhombohedral groups have two settings under one number; a gamma of 120 degrees means hexagonal axes.
    if "R" in group.short_name[:1] or "H" in group.short_name[:1]:
        wanted = "H" if cell[5] == 120 else "R"
        same = [g for g in SpaceGroupList if g.number % 1000 == group.number % 1000]
        group = next((g for g in same if g.short_name.startswith(wanted)), group)
    return [(_round_matrix(op.R), _round_shift(op.t)) for op in group.iter_symops()]


def _round_matrix(matrix: NDArray[np.float64]) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(row[0]), int(row[1]), int(row[2])) for row in np.rint(matrix))


def _round_shift(shift: NDArray[np.float64]) -> tuple[Fraction, Fraction, Fraction]:
    x, y, z = (Fraction(float(value)).limit_denominator(48) % 1 for value in shift)
    return x, y, z


def check_operations(operations: list[Operation], base: NDArray[np.float64], path: str) -> None:
    r"""Refuse operations that form no group or do not fit the cell, as in a cut file or a wrong setting.

    An operation with matrix :math:`W` leaves the cell unchanged if :math:`W^T G W = G`. :math:`G` is the metric tensor
    :math:`G_{ij} = \mathbf{a}_i \cdot \mathbf{a}_j` (International Tables for Crystallography A, chapter 1.5).
    """
    known = set(operations)
    if len(known) != len(operations) or len(operations) > 192:
        raise ReadError(path, found="repeated symmetry lines", cure="keep each symmetry line once")
    matrices = np.array([operation[0] for operation in operations])
    shifts = np.array([[float(value) for value in operation[1]] for operation in operations])
    # Closure is tested on integer codes, because translations such as 1/3 are not exact in binary.
    codes = {_encode_operation(matrix, shift) for matrix, shift in zip(matrices, shifts, strict=True)}
    for matrix, shift in zip(matrices, shifts, strict=True):
        products, moved = matrix @ matrices, shifts @ matrix.T + shift
        if any(_encode_operation(*pair) not in codes for pair in zip(products, moved, strict=True)):
            found = f"{len(operations)} symmetry lines that form no group"
            raise ReadError(path, found=found, cure="copy the file again (is it cut?), and give all symmetry lines")
    # An operation W leaves the cell unchanged if W^T G W = G, with G the metric tensor.
    metric = base @ base.T
    turned = np.einsum("nji,jk,nkl->nil", matrices, metric, matrices)
    if np.abs(turned - metric).max() > 0.005 * metric.max():
        raise ReadError(
            path,
            found="a unit cell that its symmetry lines do not leave unchanged",
            cure="check the order of the axes and the angles against the space-group setting",
        )


def _encode_operation(matrix: NDArray[np.integer], shift: NDArray[np.float64]) -> bytes:
    return matrix.astype(np.int8).tobytes() + (np.rint(shift * 48).astype(np.int64) % 48).astype(np.int8).tobytes()


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
    kept: list[NDArray[np.float64]] = []
    left = np.arange(len(places))
    sizes = set()
    # Take the first place, join all copies of it, and go on with the rest.
    while left.size:
        step = places[left] - places[left[0]]
        # The nearest copy under lattice translations counts.
        step -= np.rint(step)
        same = np.linalg.norm(step @ base, axis=1) < SAME_PLACE
        sizes.add(int(same.sum()))
        # The mean of the coinciding copies lies exactly on the symmetry element: 0.3333 becomes 1/3.
        kept.append(places[left[0]] + step[same].mean(axis=0))
        left = left[~same]
    # All places of an orbit have the same number of copies, unless the site lies beside a symmetry element.
    if len(sizes) > 1:
        found = f"atom '{site.label}' at {site.position}, close to a symmetry element but not on it"
        raise ReadError(path, found=found, cure="give its position with more digits, or put it on the element")
    # Rounding may leave 0.999999999 for 0.
    wrapped = np.array(kept) % 1.0
    return np.where(np.abs(wrapped - 1.0) < 1e-9, 0.0, wrapped)


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
                cure="list each atom of the asymmetric unit once, or remove the symmetry lines but 'x,y,z'",
            )


def find_space_group_number(operations: list[Operation], name: str | None, number: int | None, path: str) -> int | None:
    """Find the number in the International Tables and check it against the lines; None if it is not known."""
    from diffpy.structure.spacegroups import FindSpaceGroup, GetSpaceGroup, IsSpaceGroupIdentifier, SymOp

    plain = " ".join((name or "").split(":")[0].split())
    if number is None and plain and IsSpaceGroupIdentifier(plain):
        number = GetSpaceGroup(plain).number % 1000
    if number is None:
        lines = [SymOp(np.array(matrix, float), np.array(shift, float)) for matrix, shift in operations]
        try:
            number = FindSpaceGroup(lines, shuffle=True).number % 1000
        except ValueError:
            return None
    rotations = len({operation[0] for operation in operations})
    in_table = len({_round_matrix(op.R) for op in GetSpaceGroup(number).iter_symops()})
    # Centring translations differ between settings, so only rotations are counted.
    if rotations != in_table:
        raise ReadError(
            path,
            found=f"symmetry lines with {rotations} rotations, but space group {number} has {in_table}",
            cure="give all symmetry lines of the group, or give the name and number of the group these lines form",
        )
    return number
