"""Crystal structures of the orientation sample: fcc nickel and orthorhombic LiFePO4.

The CIF texts are our own, written from published lattice parameters and Wyckoff positions.
"""

from typing import Any

from ..crystals import crystal

#: Cell and sites of nickel; the displacement parameter is a rounded room-temperature value.
NICKEL: dict[str, Any] = {
    "name": "Ni",
    "space_group": 225,
    "symbol": "F m -3 m",
    "lattice": (3.5238, 3.5238, 3.5238, 90.0, 90.0, 90.0),
    "atoms": [("Ni", 0.0, 0.0, 0.0, 1.0, 0.36)],
    "source": "H. E. Swanson and E. Tatge, NBS Circular 539, vol. 1, p. 13 (1953)",
}
#: Cell and sites of LiFePO4 in the setting Pnma; displacement parameters are rounded.
LIFEPO4: dict[str, Any] = {
    "name": "LiFePO4",
    "space_group": 62,
    "symbol": "P n m a",
    "lattice": (10.332, 6.010, 4.692, 90.0, 90.0, 90.0),
    "atoms": [
        ("Li", 0.0, 0.0, 0.0, 1.0, 1.0),
        ("Fe", 0.2822, 0.25, 0.9747, 1.0, 0.4),
        ("P", 0.0949, 0.25, 0.4182, 1.0, 0.4),
        ("O", 0.0968, 0.25, 0.7428, 1.0, 0.6),
        ("O", 0.4571, 0.25, 0.2060, 1.0, 0.6),
        ("O", 0.1656, 0.0465, 0.2848, 1.0, 0.6),
    ],
    "source": "V. A. Streltsov, E. L. Belokoneva, V. G. Tsirelson and N. K. Hansen, Acta Cryst. B49, 147 (1993)",
}


def sample_phases() -> list[Any]:
    """The sample's phases, fcc Ni and LiFePO4 (Pnma), as orix ``Phase`` objects."""
    return [
        crystal(*(entry[key] for key in ("name", "space_group", "lattice", "atoms"))) for entry in (NICKEL, LIFEPO4)
    ]


def cif_text(entry: dict[str, Any]) -> str:
    """CIF of one of this module's structures, with the operations of its space group written out.

    Examples
    --------
    >>> cif_text(NICKEL).splitlines()[0]
    '# Ni, written for phasekit from: H. E. Swanson and E. Tatge, NBS Circular 539, vol. 1, p. 13 (1953)'
    """
    from diffpy.structure.spacegroups import GetSpaceGroup

    # Operations are written out because not every reader knows the settings of the space groups.
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "B_iso_or_equiv")
    lines = [
        f"# {entry['name']}, written for phasekit from: {entry['source']}",
        f"data_{entry['name']}",
        f"_chemical_formula_sum '{entry['name']}'",
        *(f"_cell_{name} {value:g}" for name, value in zip(names, entry["lattice"], strict=True)),
        f"_space_group_name_H-M_alt '{entry['symbol']}'",
        f"_space_group_IT_number {entry['space_group']}",
        "loop_",
        "_space_group_symop_operation_xyz",
        *(f"'{_format_triplet(op.R, op.t)}'" for op in GetSpaceGroup(entry["space_group"]).iter_symops()),
        "loop_",
        *(f"_atom_site_{name}" for name in columns),
    ]
    # Labels must be unique within a CIF, so the atoms of an element are numbered.
    counts: dict[str, int] = {}
    for element, *numbers in entry["atoms"]:
        counts[element] = counts.get(element, 0) + 1
        lines.append(f"{element}{counts[element]} {element} " + " ".join(f"{value:g}" for value in numbers))
    return "\n".join([*lines, ""])


def _format_triplet(matrix: Any, shift: Any) -> str:
    """Operation as the letters x, y, z and fractions, ``1/2+x,-y,z``."""
    from fractions import Fraction

    rows = []
    for row, offset in zip(matrix, shift, strict=True):
        letters = "".join(f"{'+' if value > 0 else '-'}{axis}" for value, axis in zip(row, "xyz", strict=True) if value)
        # Decimals back to fractions: the translations of both space groups are halves and quarters.
        part = Fraction(float(offset)).limit_denominator(12) % 1
        rows.append(f"{part}{letters}" if part else letters.lstrip("+"))
    return ",".join(rows)
