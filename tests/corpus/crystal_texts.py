"""CIF texts in the manner of the programs and databases of the field. They share nothing with the readers."""

from itertools import permutations, product

CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
XYZ = ["x, y, z"]
SITE = ("label", "fract_x", "fract_y", "fract_z")
TYPED = ("type_symbol", *SITE, "occupancy")


def cell_lines(*cell):
    """Cell of 1 to 6 numbers: a alone is cubic; a, c is hexagonal or tetragonal by the last angle."""
    cell = {1: cell * 3 + (90, 90, 90), 3: (*cell, 90, 90, 90)}.get(len(cell), cell)
    return [f"_cell_{tag} {value}" for tag, value in zip(CELL, cell, strict=True)]


def loop(tags, rows):
    return ["loop_", *tags, *(" ".join(map(str, row)) for row in rows)]


def cif(cell, tags, atoms, *, lines=(), sites=SITE, name="corpus", operation="_space_group_symop_operation_xyz"):
    """One block: tags (dict), symmetry lines, atom rows."""
    text = [f"data_{name}", *cell_lines(*cell)]
    text += [f"_{tag} {quote(value)}" for tag, value in tags.items()]
    text += loop([operation], [(f"'{line}'",) for line in lines]) if lines else []
    text += loop([f"_atom_site_{tag}" for tag in sites], atoms)
    return "\n".join(text) + "\n"


def quote(value):
    return f"'{value}'" if " " in str(value) else value


def point_lines_of_cubic():
    """The 48 lines of m-3m, as the first block of positions 192l and 96l in the Tables."""
    orders = product(permutations("xyz"), product(("", "-"), repeat=3))
    return [",".join(sign + axis for sign, axis in zip(signs, axes, strict=True)) for axes, signs in orders]


def spread(lines, centring):
    """Lines repeated with the vectors of a centring."""
    found = []
    for vector in centring:
        for line in lines:
            parts = line.replace(" ", "").split(",")
            found.append(",".join(p + (f"+{v}" if v != "0" else "") for p, v in zip(parts, vector, strict=True)))
    return found


FACE = [("0", "0", "0"), ("0", "1/2", "1/2"), ("1/2", "0", "1/2"), ("1/2", "1/2", "0")]
BODY = [("0", "0", "0"), ("1/2", "1/2", "1/2")]
DIAMOND = [(x, y, z) for x, y, z in product((0, 0.25, 0.5, 0.75), repeat=3) if (x, y, z) in {
    (0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0),
    (0.25, 0.25, 0.25), (0.25, 0.75, 0.75), (0.75, 0.25, 0.75), (0.75, 0.75, 0.25),
}]  # fmt: skip


def pymatgen_p1(cell, formula, atoms):
    """CifWriter without symprec: P 1, numbered lines, six or eight digits, Z counted in the cell."""
    head = [f"# generated using pymatgen\ndata_{formula}", "_symmetry_space_group_name_H-M   'P 1'", *cell_lines(*cell)]
    head += ["_symmetry_Int_Tables_number   1", f"_chemical_formula_structural   {formula}"]
    head += loop(["_symmetry_equiv_pos_site_id", "_symmetry_equiv_pos_as_xyz"], [(1, "'x, y, z'")])
    tags = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z", "occupancy")
    rows = [(e, f"{e}{n}", 1, *(f"{v:.8f}" for v in xyz), 1) for n, (e, *xyz) in enumerate(atoms)]
    return "\n".join(head + loop([f"_atom_site_{tag}" for tag in tags], rows)) + "\n"


def ase_p1(cell, atoms):
    """ase.io.write: no formula units, floats, labels numbered by element."""
    head = ["data_image0", *cell_lines(*cell), '_space_group_name_H-M_alt    "P 1"', "_space_group_IT_number       1"]
    head += ["loop_", "  _space_group_symop_operation_xyz", "  'x, y, z'", ""]
    tags = ("type_symbol", "label", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z", "occupancy")
    rows = [(e, f"{e}{n}", "1.0", *xyz, "1.0000") for n, (e, *xyz) in enumerate(atoms, start=1)]
    return "\n".join(head + loop([f"  _atom_site_{tag}" for tag in tags], rows)) + "\n"


def diffpy_p1(cell, atoms):
    """diffpy.structure: Uiso of every atom, label before symbol."""
    head = ["data_3D", "_audit_creation_date 2024-03-05", "_audit_creation_method P_cif.py"]
    head += ["_symmetry_space_group_name_H-M 'P1'", "_symmetry_Int_Tables_number 1", "_symmetry_cell_setting triclinic"]
    head += ["loop_", "_symmetry_equiv_pos_as_xyz", "  x,y,z", *cell_lines(*cell)]
    tags = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "U_iso_or_equiv", "adp_type", "occupancy")
    rows = [(f"{e}{n}", e, *xyz, "0.0100", "Uiso", "1.0000") for n, (e, *xyz) in enumerate(atoms, start=1)]
    return "\n".join(head + loop([f"_atom_site_{tag}" for tag in tags], rows)) + "\n"
