"""Crystal structures without files: a phase from its cell and atoms, and its record in the attributes of a dataset."""

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..code_cache import import_alone
from ..errors import SchemaError
from .point_groups import point_symmetry

Array = NDArray[np.float64]


def crystal(
    name: str, space_group: int, lattice: ArrayLike, atoms: list[tuple[Any, ...]], *, expand: bool = True
) -> Any:
    """Make an orix ``Phase`` from a cell and its atoms, on the axes given.

    Parameters
    ----------
    name
        Name of the phase.
    space_group
        Number 1..230. Its standard setting (unique axis b, hexagonal axes) gives the point group on these axes. Its
        operations expand ``atoms`` when ``expand`` is true. The phase keeps the number where orix derives
        that same point group from it.
    lattice
        a, b, c [angstrom], alpha, beta, gamma [degrees].
    atoms
        Tuples (element, x, y, z[, occupancy[, B_iso in angstrom^2]]).
    expand
        Whether ``atoms`` is the asymmetric unit; otherwise it lists every atom of the cell.

    See Also
    --------
    phase_record : What a dataset keeps of the phase.
    phasekit.io.open_phase : The same from a CIF file.
    phasekit.diffraction.reflections : Reflections of the phase.

    Examples
    --------
    >>> len(crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0, 1.0, 0.35)]).structure)
    4
    """
    from diffpy.structure.spacegroups import GetSpaceGroup
    from diffpy.structure.symmetryutilities import ExpandAsymmetricUnit

    # The operations come from the number alone: symbols have several settings.
    table = GetSpaceGroup(space_group)
    sites = [(*atom, 1.0, 0.0)[:6] if len(atom) == 4 else (*atom, 0.0)[:6] for atom in atoms]
    if expand:
        unit = ExpandAsymmetricUnit(table, [np.array(site[1:4], dtype=float) for site in sites])
        orbits = zip(sites, unit.expandedpos, strict=True)
        sites = [(site[0], *place, *site[4:]) for site, places in orbits for place in places]
    symmetry = point_symmetry([operation.R for operation in table.symop_list], direct_basis(lattice))
    return _make_phase(name, space_group, symmetry, _make_structure(lattice, sites))


def _make_phase(name: str, number: int | None, symmetry: Any, structure: Any) -> Any:
    """Orix phase, with its space group only where orix derives the right point group from the number."""
    import_alone("orix.quaternion.symmetry")
    from orix.crystal_map import Phase
    from orix.quaternion.symmetry import get_point_group

    if number is not None and get_point_group(number).name == str(getattr(symmetry, "name", symmetry)):
        return Phase(name=name, space_group=number, structure=structure)
    return Phase(name=name, point_group=symmetry, structure=structure)


def _make_structure(lattice: ArrayLike, sites: list[tuple[Any, ...]]) -> Any:
    """Structure (diffpy) of sites (element, x, y, z, occupancy, B_iso [angstrom^2])."""
    from diffpy.structure import Atom, Lattice, Structure

    atoms = [
        Atom(element, [x, y, z], occupancy=occupancy, Uisoequiv=b_iso / (8 * np.pi**2))
        for element, x, y, z, occupancy, b_iso in sites
    ]
    # Orix aligns the base as x || a, z || c*. A base in another frame would be turned, but not its atoms.
    return Structure(atoms=atoms, lattice=Lattice(base=direct_basis(lattice)))


def direct_basis(lattice: ArrayLike) -> Array:
    r"""Rows a, b, c [angstrom] (3, 3) of a cell (a, b, c, alpha, beta, gamma) in the crystal frame (x || a, z || c*).

    .. math:: B = \begin{pmatrix} a & 0 & 0 \\
                                  b \cos\gamma & b \sin\gamma & 0 \\
                                  c \cos\beta & c_y & \sqrt{c^2 \sin^2\beta - c_y^2} \end{pmatrix}, \qquad
              c_y = c \, \frac{\cos\alpha - \cos\beta \cos\gamma}{\sin\gamma}
    """
    a, b, c, *angles = (float(value) for value in np.asarray(lattice, dtype=float))
    cos_a, cos_b, cos_g = np.cos(np.radians(angles))
    sin_g = np.sin(np.radians(angles[2]))
    c_y = (cos_a - cos_b * cos_g) / sin_g
    height = c * np.sqrt(1 - cos_b**2 - c_y**2)
    rows = np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * c_y, height]])
    # Cosines of right angles leave rounding errors, which would spoil exact comparisons.
    return np.where(np.abs(rows) < 1e-12 * max(a, b, c), 0.0, rows)


def lattice_of(phase: Any) -> list[float]:
    """Cell of an orix ``Phase``: a, b, c [angstrom], alpha, beta, gamma [degrees]."""
    if not hasattr(phase, "structure"):
        raise SchemaError(f"lattice_of: got a {type(phase).__name__}, needs an orix Phase. pk.io.open_phase makes one.")
    cell = phase.structure.lattice
    return [float(value) for value in (cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)]


def phase_record(phase: Any) -> dict[str, Any]:
    """Record of a phase for ``attrs["phases"]`` of a dataset: plain values that JSON can hold.

    Returns
    -------
    dict
        ``name``, ``space_group`` (number or None), ``point_group`` (its name) and ``lattice`` (a, b, c in angstrom,
        angles in degrees). ``symmetry`` holds the rotations of the point group as quaternions. ``improper`` says
        which of them are followed by the inversion. ``cif`` is the structure as a small CIF that lists every atom.

    Examples
    --------
    >>> nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    >>> record = phase_record(nickel)
    >>> record["name"], record["space_group"], record["point_group"], record["lattice"][0]
    ('Ni', 225, 'm-3m', 3.52)
    >>> len(phase_from_record(record).structure)
    4
    """
    if phase.point_group is None:
        raise SchemaError(
            f"phase_record: '{phase.name}' has no point group. Open it with pk.io.open_phase(<CIF file>)."
        )
    group = phase.point_group
    return {
        "name": str(phase.name),
        "space_group": None if phase.space_group is None else int(phase.space_group.number),
        "point_group": str(group.name),
        "lattice": [round(value, 8) for value in lattice_of(phase)],
        # Ten digits: records written on different machines are equal.
        "symmetry": np.round(group.data.reshape(-1, 4), 10).tolist(),
        "improper": np.asarray(group.improper).ravel().astype(int).tolist(),
        "cif": _write_cif(phase),
    }


def _write_cif(phase: Any) -> str:
    """Text of a CIF in P1: lengths in angstrom, angles in degrees, every atom of the cell."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    cell = [f"_cell_{name} {value:.8f}" for name, value in zip(names, lattice_of(phase), strict=True)]
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "B_iso_or_equiv")
    atoms = [
        f"{element}{number} {element} {x:.8f} {y:.8f} {z:.8f} {atom.occupancy:.6f} {atom.Bisoequiv:.6f}"
        for number, atom in enumerate(phase.structure, start=1)
        for element in [(re.match(r"[A-Za-z]+", str(atom.element)) or ["?"])[0]]
        for x, y, z in [atom.xyz]
    ]
    title = re.sub(r"\W+", "_", str(phase.name)) or "phase"
    head = [f"data_{title}", *cell, "loop_", "_space_group_symop_operation_xyz", "'x, y, z'", "loop_"]
    return "\n".join([*head, *(f"_atom_site_{name}" for name in columns), *atoms, ""])


def phase_from_record(record: dict[str, Any]) -> Any:
    """Make the orix ``Phase`` of a record: the same cell, atoms and point group.

    The space group is kept where orix derives the recorded point group from it, else None.

    Raises
    ------
    SchemaError
        The record lacks its structure or its point group is unknown.
    """
    try:
        name, lattice, number = str(record["name"]), record["lattice"], record["space_group"]
        sites = [_read_site(line) for line in record["cif"].splitlines() if len(line.split()) == 7]
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(
            f"phase_from_record: the record of a phase is incomplete ({error}), needs name, space_group, lattice, cif. "
            "Build the bank again with pk.acom.build_templates."
        ) from error
    return _make_phase(name, number, _read_point_group(record), _make_structure(lattice, sites))


def _read_site(line: str) -> tuple[Any, ...]:
    """Site (element, x, y, z, occupancy, B_iso) of one line of the small CIF."""
    _, element, *numbers = line.split()
    return (element, *(float(value) for value in numbers))


def _read_point_group(record: dict[str, Any]) -> Any:
    """Point group on the axes of the record. Older records hold only its name."""
    import_alone("orix.quaternion.symmetry")
    from orix.quaternion import Symmetry

    # The name alone suffices for groups on orix's own axes.
    if "symmetry" not in record:
        return record["point_group"]
    group = Symmetry(np.asarray(record["symmetry"], dtype=float))
    group.improper = np.asarray(record["improper"], dtype=bool)
    group.name = str(record["point_group"])
    return group
