"""open_phase on what the field writes, kind by kind: each row is an input with its right value or its right refusal."""

import warnings
from collections import Counter

import numpy as np
import pytest

from phasekit.crystals import direct_basis
from phasekit.errors import ReadError, SymmetryWarning
from phasekit.io.crystal import open_phase

from .files_4d import CUBIC, LFP, LFP_CELL, PNMA, cif

FOUR = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
NAME, NUMBER, HALL = "_space_group_name_H-M_alt", "_space_group_IT_number", "_space_group_name_Hall"
TRICLINIC = (8.2, 12.9, 7.1, 93.4, 116, 91)
MONOCLINIC = (5.1, 7.2, 6.3, 90, 104, 90)
ORTHO = (5.1, 7.2, 6.3, 90, 90, 90)
TETRAGONAL = (5.1, 5.1, 7.3, 90, 90, 90)
HEXAGONAL = (5.1, 5.1, 7.3, 90, 90, 120)


def write(cell, symmetry, columns, rows, extra=""):
    """CIF text with any columns of the atom list."""
    lines = ["data_demo", *(f"_cell_{tag} {value}" for tag, value in zip(TAGS, cell, strict=True)), extra]
    if isinstance(symmetry, dict):
        lines += [f"{tag} '{value}'" for tag, value in symmetry.items()]
    else:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{line}'" for line in symmetry)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns.split()), *rows]
    return "\n".join(lines) + "\n"


def opened(text):
    """Phase of a text; what is said about its symmetry is tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymmetryWarning)
        return open_phase(text)


def content(phase):
    total = Counter()
    for atom in phase.structure:
        total[atom.element] += atom.occupancy
    return {element: pytest.approx(count, abs=1e-6) for element, count in total.items()}


def listed(text, move=(0, 0, 0), digits=6):
    """The same structure with every atom of the cell listed in P 1."""
    phase = opened(text)
    rows = [
        (f"{atom.element}{n}", *((atom.xyz + move) % 1).round(digits), atom.occupancy)
        for n, atom in enumerate(phase.structure, start=1)
    ]
    return cif(phase.structure.lattice.abcABG(), {NAME: "P 1"}, rows)


def noisy(text, size):
    """All atoms moved at random by at most ``size`` [angstrom], as relaxed structures are."""
    rng = np.random.default_rng(0)
    phase = opened(text)
    base = phase.structure.lattice.base
    rows = []
    for n, atom in enumerate(phase.structure, start=1):
        step = rng.normal(size=3)
        place = atom.xyz + size * rng.random() * (step / np.linalg.norm(step)) @ np.linalg.inv(base)
        rows.append((f"{atom.element}{n}", *place.round(8), atom.occupancy))
    return cif(phase.structure.lattice.abcABG(), ["x,y,z"], rows)


NICKEL = cif(CUBIC, {NAME: "F m -3 m"}, [("Ni1", 0, 0, 0)])
LITHIUM_IRON_PHOSPHATE = cif(LFP_CELL, PNMA, LFP)
SILICON = cif((5.431,) * 3 + (90,) * 3, {NAME: "F d -3 m:1"}, [("Si1", 0, 0, 0)])
MAGNESIUM = cif((3.209, 3.209, 5.211, 90, 90, 120), {NUMBER: 194}, [("Mg1", 0.333333, 0.666667, 0.25)])
SPINEL = cif((8.4, 8.4, 8.4, 90, 90, 90), {NAME: "F m -3 m"}, [("Fe1", 0, 0, 0, 0.6), ("Mn1", 0, 0, 0, 0.4)])
BLENDE = cif((5.41, 5.41, 5.41, 90, 90, 90), {NAME: "F -4 3 m"}, [("Zn1", 0, 0, 0), ("S1", 0.25, 0.25, 0.25)])
TITANATE = cif(
    (3.994, 3.994, 4.038, 90, 90, 90),
    {NAME: "P 4 m m"},
    [("Ba1", 0, 0, 0), ("Ti1", 0.5, 0.5, 0.5224), ("O1", 0.5, 0.5, -0.0244), ("O2", 0, 0.5, 0.4895)],
)
PRIMITIVE = cif((2.49175,) * 3 + (60,) * 3, {NAME: "P 1"}, [("Ni1", 0, 0, 0)])
DOUBLED = cif(
    (7.0478, 3.5239, 3.5239, 90, 90, 90),
    ["x,y,z"],
    [(f"Ni{n}{m}", x / 2 + 0.5 * n, y, z) for n in (0, 1) for m, (x, y, z) in enumerate(FOUR)],
)


@pytest.mark.parametrize(
    ("text", "group", "number"),
    [
        (listed(NICKEL), "m-3m", 225),
        (listed(NICKEL, move=(0.1, 0.23, 0.37)), "m-3m", 225),  # another origin
        (listed(LITHIUM_IRON_PHOSPHATE, digits=5), "mmm", 62),
        (listed(SILICON), "m-3m", 227),
        (listed(MAGNESIUM, digits=4), "6/mmm", 194),  # 0.3333 for 1/3
        (listed(SPINEL), "m-3m", 225),  # mixed sites are of one kind
        (listed(BLENDE), "-43m", 216),
        (listed(TITANATE), "4mm", 99),  # a shift of 0.09 angstrom is real
        (noisy(LITHIUM_IRON_PHOSPHATE, 0.003), "mmm", 62),
        (noisy(SILICON, 0.003), "m-3m", 227),
        (PRIMITIVE, "m-3m", None),  # on the axes of the primitive cell, of which orix has no setting
        (DOUBLED, "m-3m", None),
    ],
)
def test_a_list_of_all_atoms_has_the_symmetry_of_its_atoms(text, group, number):
    with pytest.warns(SymmetryWarning, match="its atoms have"):
        phase = open_phase(text)
    assert phase.point_group.name.split(" ")[0] == group
    assert (phase.space_group.number if phase.space_group is not None else None) == number


def test_symmetry_lines_that_agree_with_the_atoms_are_silent():
    for text in (NICKEL, LITHIUM_IRON_PHOSPHATE, SILICON, MAGNESIUM, SPINEL, BLENDE, TITANATE):
        open_phase(text)


def test_a_supercell_is_said_aloud():
    with pytest.warns(SymmetryWarning, match="holds 8 primitive cells of its structure, 1 by"):
        open_phase(DOUBLED)


def test_lower_symmetry_than_the_file_states_keeps_that_of_the_file():
    """Atoms are made by the file's operations; only a cell with a slip of the pen seems to lack them."""
    with pytest.warns(SymmetryWarning, match=r"only I4_1/amd .* that of the file|the symmetry of the file"):
        phase = open_phase(cif((10.70, 10.70, 10.68, 90, 90, 90), {NAME: "F d -3 m:1"}, [("C1", 0, 0, 0)]))
    assert phase.point_group.name == "m-3m"


@pytest.mark.parametrize(
    ("cell", "symmetry", "atoms"),
    [
        (TRICLINIC, {NAME: "C -1", NUMBER: 2}, 4),
        (TRICLINIC, {NAME: "I -1", NUMBER: 2}, 4),
        (TRICLINIC, {NAME: "F -1"}, 8),
        (TRICLINIC, {NAME: "B 1", NUMBER: 1}, 2),
        (MONOCLINIC, {NAME: "F 1 2/m 1", NUMBER: 12}, 16),
        (MONOCLINIC, {NAME: "I 1 2/a 1", NUMBER: 15}, 8),
        (TETRAGONAL, {NAME: "F 4/m m m", NUMBER: 139}, 64),
        (TETRAGONAL, {NAME: "F4/mmm"}, 64),
        (TETRAGONAL, {NAME: "C 4 2 2", NUMBER: 89}, 16),
        (ORTHO, {NAME: "C m c e"}, 16),
        (HEXAGONAL, {NAME: "R -3 m:H", NUMBER: 166}, 36),
        ((5.1,) * 3 + (71,) * 3, {NAME: "R -3 m", NUMBER: 166}, 12),
        (CUBIC, {NAME: "F d -3 m:2"}, 192),
        (CUBIC, {NAME: "Fd-3mZ", NUMBER: 227}, 192),
        (CUBIC, {NAME: "F d -3 m", HALL: "-F 4vw 2vw 3"}, 192),
        (CUBIC, {NAME: "F d -3 m", "_space_group_IT_coordinate_system_code": "2"}, 192),
        (MONOCLINIC, {NAME: "P 2(1)/c"}, 4),
        (MONOCLINIC, {NAME: "P2_1/n", NUMBER: 14}, 4),
        (ORTHO, {NAME: "P n m a (62)"}, 8),
    ],
)
def test_a_name_without_lines_gives_the_content_of_its_setting(cell, symmetry, atoms):
    phase = opened(cif(cell, symmetry, [("Ca1", 0.137, 0.212, 0.331, 0.01)]))
    assert len(phase.structure) == atoms


@pytest.mark.parametrize(
    ("cell", "symmetry", "message"),
    [
        (TETRAGONAL, {NAME: "C 4/m m m", NUMBER: 123}, "unknown setting"),
        (TETRAGONAL, {NAME: "Q 4/m m m", NUMBER: 139}, "unknown setting"),
        (CUBIC, {NAME: "F m -3 m", NUMBER: 221}, r"number 225, not 221"),
        (CUBIC, {NAME: "F d -3 m", NUMBER: 227}, "two origins"),
        (ORTHO, {NAME: "P m m n"}, "two origins"),
        (CUBIC, {NUMBER: 222}, "two origins"),
    ],
)
def test_a_name_that_does_not_say_the_setting_is_refused(cell, symmetry, message):
    with pytest.raises(ReadError, match=message):
        open_phase(cif(cell, symmetry, [("Ca1", 0.137, 0.212, 0.331, 0.01)]))


CUBIC_LINES = [
    ",".join(f"{'-' if sign else ''}{axis}" for sign, axis in zip(signs, axes, strict=True))
    for axes in ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx")
    for signs in np.ndindex(2, 2, 2)
]
C2M_LINES = ["x,y,z", "-x,y,-z", "-x,-y,-z", "x,-y,z"]
DIAMOND_LINES = ["x,y,z", "1/4-x,1/4-y,1/4-z"]  # two of the operations of F d -3 m, first origin


@pytest.mark.parametrize(
    ("cell", "lines", "stated", "atoms"),
    [
        (CUBIC, CUBIC_LINES, {NAME: "F m -3 m", NUMBER: 225}, 4),
        (CUBIC, CUBIC_LINES, {NUMBER: 225}, 4),
        (CUBIC, CUBIC_LINES, {NAME: "I m -3 m"}, 2),
        (MONOCLINIC, C2M_LINES, {NAME: "C 1 2/m 1", NUMBER: 12}, 2),
        (MONOCLINIC, C2M_LINES, {NAME: "C 2/m"}, 2),
        (TRICLINIC, ["x,y,z", "-x,-y,-z"], {NAME: "C -1", NUMBER: 2}, 2),
        (HEXAGONAL, ["x,y,z", "-y,x-y,z", "-x+y,-x,z"], {NAME: "R 3", NUMBER: 146}, 3),
    ],
)
def test_lines_without_the_centring_are_completed_aloud(cell, lines, stated, atoms):
    extra = "\n".join(f"{tag} '{value}'" for tag, value in stated.items())
    with pytest.warns(SymmetryWarning, match="lack the centring"):
        phase = open_phase(cif(cell, lines, [("Ni1", 0, 0, 0)], extra=extra))
    assert len(phase.structure) == atoms


@pytest.mark.parametrize(
    ("cell", "lines", "stated", "message"),
    [
        (CUBIC, ["x,y,z", "-x,-y,-z"], {NUMBER: 225}, r"2 rotations, .* which has 192 lines with 48"),
        (CUBIC, DIAMOND_LINES, {NAME: "F d -3 m:1"}, r"2 rotations"),
        (MONOCLINIC, C2M_LINES, {NAME: "P 1 21/c 1"}, "form space group 10"),
        (ORTHO, PNMA, {NAME: "C m c m", NUMBER: 63}, "form space group 62"),
        (CUBIC, CUBIC_LINES[:24], {NAME: "F m -3 m"}, "form no group|24 symmetry lines"),
    ],
)
def test_lines_that_lack_more_are_refused(cell, lines, stated, message):
    extra = "\n".join(f"{tag} '{value}'" for tag, value in stated.items())
    with pytest.raises(ReadError, match=message):
        open_phase(cif(cell, lines, [("Ni1", 0.1, 0.2, 0.3, 0.01)], extra=extra))


@pytest.mark.parametrize("lines", [["x,y,z"], ["x,y,z", "-x,-y,-z"]])
def test_a_full_list_beside_the_name_of_its_group_needs_no_more_lines(lines):
    rows = [(f"Ni{n}", *place) for n, place in enumerate(FOUR, start=1)]
    phase = opened(cif(CUBIC, lines, rows, extra="_symmetry_space_group_name_H-M 'F m -3 m'"))
    assert len(phase.structure) == 4
    assert phase.point_group.name == "m-3m"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("_chemical_formula_sum 'Ni'\n_cell_formula_units_Z 4", "_cell_formula_units_Z 4"),
        ("_chemical_formula_sum 'Ni'\n_cell_formula_units_Z 2", "_cell_formula_units_Z 2"),
        ("_exptl_crystal_density_diffrn 8.91", r"atoms of 2\.23 g/cm\^3, but _exptl_crystal_density_diffrn 8\.91"),
        ("_exptl_crystal_density_meas 8.8(1)", "_exptl_crystal_density_meas"),
    ],
)
def test_content_that_contradicts_the_file_is_refused(extra, message):
    with pytest.raises(ReadError, match=message):
        opened(cif(CUBIC, {NUMBER: 221}, [("Ni1", 0, 0, 0)], extra=extra))


@pytest.mark.parametrize(
    "extra",
    [
        "_chemical_formula_sum 'Ni'\n_cell_formula_units_Z 4",
        "_chemical_formula_sum Ni4\n_cell_formula_units_Z 4",  # the content of the cell, as pymatgen writes it
        "_chemical_formula_sum Ni4\n_cell_formula_units_Z 1",
        "_exptl_crystal_density_diffrn 8.91\n_exptl_crystal_density_meas 7.5",
        "_exptl_crystal_density_diffrn ?",
    ],
)
def test_content_that_agrees_with_the_file_opens(extra):
    assert len(opened(cif(CUBIC, {NUMBER: 225}, [("Ni1", 0, 0, 0)], extra=extra)).structure) == 4


def test_direct_basis_stays_that_of_the_file():
    """The axes of the file are kept, also where the standard setting has others."""
    for text in (PRIMITIVE, DOUBLED, listed(TITANATE)):
        lattice = opened(text).structure.lattice
        np.testing.assert_allclose(lattice.base, direct_basis(lattice.abcABG()), atol=1e-12)
