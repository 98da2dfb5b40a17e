"""open_phase: cells, atoms, symmetry and reflection conditions against known values."""

import itertools
from collections import Counter

import numpy as np
import pytest
from orix.quaternion.symmetry import D2h, D3d, Oh

from phasekit.diffraction import reflections
from phasekit.errors import ReadError, SymmetryWarning
from phasekit.io.crystal import open_phase
from phasekit.io.formats.crystal.symmetry import compute_lattice_base
from tests.io.files_4d import CUBIC, LFP, LFP_CELL, P21C, PNMA, cif

AVOGADRO = 0.602214076  # u per (angstrom^3 g/cm^3)


MASSES = {"Li": 6.94, "Fe": 55.845, "P": 30.974, "O": 15.999, "Na": 22.990, "Cl": 35.45, "Ni": 58.693, "Si": 28.085}


def permuted(lines, order):
    """Symmetry lines after renaming the axes: new axis n is old axis order[n]."""
    new_letter = {"xyz"[old]: "xyz"[new] for new, old in enumerate(order)}
    parts = [[part.translate(str.maketrans(new_letter)) for part in line.split(",")] for line in lines]
    return [",".join(part[old] for old in order) for part in parts]


def structure_factor(phase, hkl):
    """Sum of occupancy * exp(2 pi i h.x), with the row of the element as scattering length."""
    z = {"Li": 3, "O": 8, "Na": 11, "Si": 14, "P": 15, "Cl": 17, "Fe": 26, "Ni": 28}
    atoms = phase.structure
    weights = np.array([atom.occupancy * z[atom.element] for atom in atoms])
    return abs(weights @ np.exp(2j * np.pi * atoms.xyz @ np.array(hkl, float)))


def density(phase):
    mass = sum(atom.occupancy * MASSES[atom.element] for atom in phase.structure)
    return mass / phase.structure.lattice.volume / AVOGADRO


def test_lifepo4_has_its_density_and_multiplicities():
    phase = open_phase(cif(LFP_CELL, PNMA, LFP))
    assert Counter(atom.element for atom in phase.structure) == {"Li": 4, "Fe": 4, "P": 4, "O": 16}
    assert density(phase) == pytest.approx(3.60, abs=0.01)  # handbook value 3.6 g/cm3
    assert phase.space_group.number == 62


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_axes_are_never_sorted_and_extinctions_follow_them(order):
    """All six settings of Pnma: h0l..., 0kl: k + l odd absent, hk0: h odd absent, on the axes as given."""
    cell = [LFP_CELL[n] for n in order] + [90, 90, 90]
    atoms = [(row[0], *(row[1 + n] for n in order)) for row in LFP]
    phase = open_phase(cif(cell, permuted(PNMA, order), atoms))
    np.testing.assert_allclose(phase.structure.lattice.abcABG(), cell, rtol=1e-12)
    assert phase.point_group == D2h
    standard = open_phase(cif(LFP_CELL, PNMA, LFP))
    for hkl in itertools.product(range(4), repeat=3):
        moved = [hkl[n] for n in order]
        assert structure_factor(phase, moved) == pytest.approx(structure_factor(standard, hkl), abs=1e-6)
        h, k, m = hkl
        if (h == 0 and (k + m) % 2) or (m == 0 and h % 2):
            assert structure_factor(phase, moved) < 1e-6
    assert structure_factor(standard, (0, 2, 0)) > 1


def test_named_setting_without_symmetry_lines():
    pbnm = {"_symmetry_space_group_name_H-M": "P b n m"}
    atoms = [(row[0], row[3], row[1], row[2]) for row in LFP]
    phase = open_phase(cif((4.692, 10.332, 6.010, 90, 90, 90), pbnm, atoms))
    assert phase.structure.lattice.abcABG()[:3] == pytest.approx((4.692, 10.332, 6.010))
    assert len(phase.structure) == 28
    assert density(phase) == pytest.approx(3.60, abs=0.01)


def test_fcc_extinctions_and_atoms():
    nickel = open_phase(cif(CUBIC, {"_space_group_name_H-M_alt": "F m -3 m"}, [("Ni", 0, 0, 0)]))
    assert len(nickel.structure) == 4
    assert nickel.point_group == Oh
    assert density(nickel) == pytest.approx(8.91, abs=0.01)
    for hkl in itertools.product(range(-3, 4), repeat=3):
        same_parity = len({index % 2 for index in hkl}) == 1
        assert (structure_factor(nickel, hkl) > 1) == same_parity


def test_diamond_glide():
    lines_of = open_phase(cif(CUBIC, {"_space_group_name_H-M_alt": "F m -3 m"}, [("Ni", 0, 0, 0)])).space_group
    assert len(lines_of.symop_list) == 192
    # Fd-3m, origin 1: the operations of F-43m and the same after the inversion at 1/8,1/8,1/8
    blende = [("Ni", 0, 0, 0), ("Si", 0.25, 0.25, 0.25)]
    half = open_phase(cif(CUBIC, {"_space_group_name_H-M_alt": "F -4 3 m"}, blende)).space_group.symop_list
    lines = []
    for op in half:
        for sign, shift in ((1, 0), (-1, 0.25)):
            rows = []
            for row, t in zip(sign * op.R, sign * op.t + shift, strict=True):
                terms = "".join(f"{'+' if v > 0 else '-'}{a}" for v, a in zip(row, "xyz", strict=True) if v)
                rows.append(f"{t % 1:.6g}{terms}")
            lines.append(",".join(rows))
    silicon = open_phase(cif((5.431, 5.431, 5.431, 90, 90, 90), lines, [("Si", 0, 0, 0)]))
    assert len(silicon.structure) == 8
    assert density(silicon) == pytest.approx(2.329, abs=0.002)
    assert structure_factor(silicon, (2, 0, 0)) < 1e-6
    assert structure_factor(silicon, (2, 2, 2)) < 1e-6
    assert structure_factor(silicon, (1, 1, 1)) > 1


def test_two_origins_without_lines_are_refused():
    with pytest.raises(ReadError, match=r"two origins.*add the symmetry lines"):
        open_phase(cif(CUBIC, {"_space_group_name_H-M_alt": "F d -3 m"}, [("Si", 0, 0, 0)]))


def test_monoclinic_axis_is_the_one_of_the_cell():
    """P21/c: the two-fold axis is b; orix's own 2/m turns about z."""
    phase = open_phase(cif((5, 7, 6, 90, 105, 90), P21C, [("Fe1", 0.1, 0.2, 0.3)]))
    proper = phase.point_group[~phase.point_group.improper]
    twofold = proper[np.abs(proper.angle) > 1e-3]
    np.testing.assert_allclose(np.abs(twofold.axis.data), [[0, 1, 0]], atol=1e-12)
    assert phase.space_group is None
    about_c = open_phase(
        cif((5, 6, 7, 90, 90, 105), ["x,y,z", "-x,1/2-y,1/2+z", "-x,-y,-z", "x,1/2+y,1/2-z"], [("Fe", 0.1, 0.3, 0.2)])
    )
    assert about_c.point_group.name == "2/m"
    assert about_c.space_group.number == 14
    # b* lies along y, so 0k0 with k odd is absent and (0 1 0) is along the axis
    assert structure_factor(phase, (0, 1, 0)) < 1e-6
    assert structure_factor(phase, (0, 2, 0)) > 1


@pytest.mark.parametrize(("lines", "name"), [("x,y,z", "1"), ("-x,-y,-z", "-1"), ("-x,y,-z", "121"), ("x,-y,z", "1m1")])
def test_groups_orix_knows_on_these_axes(lines, name):
    symmetry = ["x,y,z"] if lines == "x,y,z" else ["x,y,z", lines]
    # Atoms that have no more symmetry than the lines
    atoms = [("Fe", 0.11, 0.22, 0.33), ("Ni", 0.47, 0.61, 0.78)] + [("O", 0.71, 0.43, 0.05)] * (lines != "-x,-y,-z")
    phase = open_phase(cif((5, 7, 6, 90, 105, 90), symmetry, atoms))
    assert phase.point_group.name == name


def test_point_group_leaves_the_reciprocal_lattice_unchanged():
    """Physical invariance: |F| is the same for every symmetry-equivalent reflection, hexagonal setting included."""
    cell = (2.824, 2.824, 13.888, 90, 90, 120)
    rotations = ["x,y,z", "-y,x-y,z", "-x+y,-x,z", "y,x,-z", "x-y,-y,-z", "-x,-x+y,-z"]
    inverted = ["-x,-y,-z", "y,-x+y,-z", "x-y,x,-z", "-y,-x,z", "-x+y,y,z", "x,x-y,z"]
    shifts = ("", "2/3,1/3,1/3", "1/3,2/3,2/3")
    lines = []
    for line, shift in itertools.product(rotations + inverted, shifts):
        parts = line.split(",")
        lines.append(",".join(f"{p}+{s}" for p, s in zip(parts, shift.split(","), strict=True)) if shift else line)
    phase = open_phase(cif(cell, lines, [("Li", 0, 0, 0), ("Ni", 0, 0, 0.5), ("O", 0, 0, 0.2459)]))
    assert len(phase.structure) == 12
    assert phase.point_group == D3d
    reciprocal = np.linalg.inv(phase.structure.lattice.base)  # columns a*, b*, c*
    for hkl in [(1, 0, 4), (0, 1, 2), (1, 1, 3), (2, 1, 1)]:
        g = reciprocal @ np.array(hkl, float)
        turned = np.array([matrix @ g for matrix in phase.point_group.to_matrix()])
        turned[phase.point_group.improper] *= -1
        indices = turned @ phase.structure.lattice.base.T
        np.testing.assert_allclose(indices, np.rint(indices), atol=1e-9)
        factors = [structure_factor(phase, index) for index in np.rint(indices)]
        np.testing.assert_allclose(factors, factors[0], atol=1e-6)
    obverse = [hkl for hkl in itertools.product(range(-3, 4), repeat=3) if (-hkl[0] + hkl[1] + hkl[2]) % 3]
    assert max(structure_factor(phase, hkl) for hkl in obverse) < 1e-6


def test_rhombohedral_axes_from_the_name():
    group = {"_space_group_name_H-M_alt": "R -3 m"}
    rhombohedral = open_phase(cif((4.957, 4.957, 4.957, 33.0, 33.0, 33.0), group, [("Ni", 0, 0, 0)]))
    hexagonal = open_phase(cif((2.824, 2.824, 13.888, 90, 90, 120), group, [("Ni", 0, 0, 0)]))
    assert (len(rhombohedral.structure), len(hexagonal.structure)) == (1, 3)


def test_frame_is_a_along_x_and_c_star_along_z():
    cell = (5.1, 6.2, 7.3, 81, 97, 112)
    phase = open_phase(cif(cell, ["x,y,z", "-x,-y,-z"], [("Fe", 0.1, 0.2, 0.3)]))
    base = phase.structure.lattice.base
    np.testing.assert_allclose(base, compute_lattice_base(cell))
    np.testing.assert_allclose(base[0], [5.1, 0, 0], atol=1e-12)
    c_star = np.cross(base[0], base[1])
    np.testing.assert_allclose(c_star[:2], 0, atol=1e-12)
    assert c_star[2] > 0
    np.testing.assert_allclose(phase.structure.lattice.abcABG(), cell, rtol=1e-12)
    np.testing.assert_allclose(phase.structure[0].xyz, [0.1, 0.2, 0.3])
    assert phase.point_group.name == "-1"


def test_special_positions_written_with_few_digits_close():
    phase = open_phase(cif((3.0, 3.0, 5.0, 90, 90, 120), {"_space_group_IT_number": 194}, [("Ni", 0.333, 0.667, 0.25)]))
    assert len(phase.structure) == 2
    np.testing.assert_allclose(sorted(phase.structure.xyz[:, 0]), [1 / 3, 2 / 3], atol=1e-9)


def test_ions_labels_and_partial_occupancy():
    rows = [("Fe3+", 0, 0, 0, 0.6), ("NI2", 0, 0, 0, 0.4), ("O1", 0.5, 0.5, 0.5)]
    phase = open_phase(cif(CUBIC, {"_space_group_IT_number": 221}, rows))
    assert [(atom.element, atom.occupancy) for atom in phase.structure] == [("Fe", 0.6), ("Ni", 0.4), ("O", 1.0)]


def test_file_gives_its_stem_as_name(tmp_path):
    path = tmp_path / "LiFePO4.cif"
    path.write_text(cif(LFP_CELL, PNMA, LFP).replace("\n", "\r\n"), encoding="utf-8")
    assert open_phase(path).name == "LiFePO4"
    assert open_phase(str(path)).name == "LiFePO4"


GOOD = cif(CUBIC, ["x,y,z", "-x,-y,-z"], [("Ni", 0, 0, 0)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "no unit cell"),
        ("hello\nworld\n", "before the first 'data_'"),
        (GOOD.replace("'x,y,z'\n'-x,-y,-z'", "'x,y,z'\n'-y,x,z'"), "form no group"),
        (GOOD.replace("_cell_length_a 3.5239", "_cell_length_a 3.6").replace("'-x,-y,-z'", "'y,x,z'"), "unit cell"),
        (GOOD.replace("'-x,-y,-z'", "'-x,-y'"), "symmetry line"),
        (GOOD.replace("'-x,-y,-z'", "'-x,-y,__import__(1)'"), "symmetry line"),
        (GOOD.replace("'-x,-y,-z'", "'x,x,z'"), "no rotation"),
        (GOOD.replace("Ni 0", "Xq 0"), "unknown element"),
        (GOOD.replace("Ni 0 0 0 1", ""), "0 values|no atoms"),
        (GOOD.replace("Ni 0 0 0 1", "Ni 0 0"), "loop_ of 5 columns"),
        (GOOD.replace("Ni 0 0 0 1", "Ni 0 0 ? 1"), "position of atom"),
        (GOOD.replace("Ni 0 0 0 1", "Ni 0 0 0 1\nNi 0 0 0 1"), "total occupancy"),
        (GOOD.replace("_cell_angle_beta 90", "_cell_angle_beta 179"), "impossible cell"),
        (GOOD.replace("_cell_angle_beta 90", ""), "_cell_angle_beta"),
        (GOOD.split("loop_", maxsplit=1)[0] + "loop_\n" + GOOD.split("loop_")[2], "no symmetry"),
        (GOOD + GOOD.replace("data_demo", "data_other"), "2 structures"),
        (GOOD.replace("data_demo", "data_demo\n_space_group_IT_number 225"), "2 rotations"),
        (GOOD.replace("data_demo", "data_demo\n_space_group_IT_number 999"), "number 999"),
        (cif(CUBIC, ["x,y,z", "-x,-y,-z"], [("Ni", 0.01, 0, 0.5)]), "total occupancy|close to"),
        (cif(CUBIC, {"_space_group_name_H-M_alt": "Q 1 2 3"}, [("Ni", 0, 0, 0)]), "unknown space group"),
    ],
)
def test_wrong_text_is_refused_with_a_cure(text, message):
    with pytest.raises(ReadError, match=message) as caught:
        open_phase(text)
    assert "To fix it: " in str(caught.value)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        open_phase(tmp_path / "nowhere.cif")
    (tmp_path / "empty.cif").touch()
    with pytest.raises(ReadError, match="empty"):
        open_phase(tmp_path / "empty.cif")
    (tmp_path / "binary.cif").write_bytes(b"data_\0\1")
    with pytest.raises(ReadError, match="binary"):
        open_phase(tmp_path / "binary.cif")


def test_text_fields_comments_and_quotes_are_read():
    text = GOOD.replace("data_demo", "# note\ndata_demo\n_publ_text\n;\nloop_ _cell_length_a 99\n;\n_x 'it's a #1'")
    with pytest.warns(SymmetryWarning, match=r"2 operations, but its atoms have Pm-3m"):
        assert open_phase(text).structure.lattice.a == pytest.approx(3.5239)


@pytest.mark.parametrize("rows", range(1, len(LFP)))
def test_a_file_cut_between_atom_rows_contradicts_its_formula(rows):
    with pytest.raises(ReadError, match=r"fewer .* atoms than _chemical_formula_sum 'Li Fe P O4'.*cut short"):
        open_phase(cif(LFP_CELL, PNMA, LFP[:rows], extra="_chemical_formula_sum 'Li Fe P O4'"))


@pytest.mark.parametrize(
    "formula",
    [
        "Li Fe P O4",
        "H2 Li Fe P O4",
        "Li.95 Fe P O4",
        "Li Fe P O4 Mn.05",
        "(Li Fe) P O4",
        "(Li.5 Fe.5)2 P O4",
        "?",
        "LiFePO4",
    ],
)
def test_rounded_hydrogenated_and_freely_written_formulas_do_no_harm(formula):
    assert len(open_phase(cif(LFP_CELL, PNMA, LFP, extra=f"_chemical_formula_sum '{formula}'")).structure) == 28


@pytest.mark.parametrize(
    ("tag", "text", "b_iso"),
    [("U", "0.0100(3)", 0.78957), ("B", "0.36", 0.36), ("U", "?", 0.0), ("B", "-0.1", 0.0), ("U", "1.000", 0.0)],
)
def test_displacement_parameters_are_kept(tag, text, b_iso):
    """A value left open, negative, or the U = 1 that VESTA writes is not known (0)."""
    lines = cif(LFP_CELL, PNMA, [("Ni1", 0.1, 0.05, 0.3)]).splitlines()
    lines[-1:] = [f"_atom_site_{tag}_iso_or_equiv", lines[-1] + f" {text}"]
    atoms = open_phase("\n".join(lines) + "\n").structure
    assert [atom.Bisoequiv for atom in atoms] == pytest.approx([b_iso] * 8, abs=1e-4)


def test_displacement_parameters_weaken_reflections():
    with pytest.warns(SymmetryWarning, match=r"m-3m"):
        still, moving = (open_phase(_nickel_of(b_iso)) for b_iso in (0.5, 2.0))
    first, second = reflections(still, 1.0), reflections(moving, 1.0)
    s = np.linalg.norm(first.g, axis=1) / 2
    np.testing.assert_allclose(second.strength, first.strength * np.exp(-2 * 1.5 * s**2), rtol=1e-5)


def _nickel_of(b_iso):
    return GOOD.replace("_atom_site_occupancy", "_atom_site_occupancy\n_atom_site_B_iso_or_equiv").replace(
        "Ni 0 0 0 1", f"Ni 0 0 0 1 {b_iso}"
    )


def test_a_displacement_that_is_no_number_is_refused():
    with pytest.raises(ReadError, match="displacement of atom 'Ni'"):
        open_phase(_nickel_of("large"))
