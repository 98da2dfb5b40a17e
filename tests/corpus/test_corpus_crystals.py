"""Crystals as programs, databases and hands write them: the right content and symmetry, or a refusal that says why.

``content`` is the number of atoms per cell by element, ``order`` the number of operations of the point group. A row
with ``refused`` is a pattern of the message; a pattern in ``warns`` is a SymmetryWarning that must be said.
"""

import re
import warnings
from collections import Counter
from typing import NamedTuple

import pytest

import phasekit as pk
from phasekit.errors import ReadError, SymmetryWarning
from tests.corpus import crystal_texts as make
from tests.corpus.crystal_texts import BODY, DIAMOND, FACE, SITE, TYPED, cif

NAME, NUMBER, FORMULA = "symmetry_space_group_name_H-M", "symmetry_Int_Tables_number", "chemical_formula_sum"
Z, DENSITY = "cell_formula_units_Z", "exptl_crystal_density_diffrn"


class Crystal(NamedTuple):
    name: str
    text: str | bytes
    why: str
    content: dict[str, float] | None = None
    order: int | None = None
    warns: str = ""
    refused: str = ""
    has: tuple[float, float, float] | None = None  # a position that the right setting has
    cure: tuple[str, str] | None = None  # what the message tells to write in place of what; the content is then right


def group(symbol, number=None, formula=None, units=None, **more):
    tags = {NAME: symbol, NUMBER: number, FORMULA: formula, Z: units, **more}
    return {tag: value for tag, value in tags.items() if value is not None}


ICSD = ("occupancy", "attached_hydrogens")
HEXAGONAL = (4.546, 4.546, 11.862, 90, 90, 120)
MG = (3.209, 3.209, 5.211, 90, 90, 120)
RUTILE = [("Ti", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), ("O", 0.3053, 0.3053, 0), ("O", 0.6947, 0.6947, 0)]
RUTILE += [("O", 0.1947, 0.8053, 0.5), ("O", 0.8053, 0.1947, 0.5)]
PROGRAMS = [
    Crystal(
        "pymatgen_Si",
        make.pymatgen_p1((5.4307,), "Si8", [("Si", *xyz) for xyz in DIAMOND]),
        "CifWriter lists all atoms in P 1; spglib finds Fd-3m",
        {"Si": 8},
        48,
        "4 primitive cells",
    ),
    Crystal(
        "ase_Cu_primitive",
        make.ase_p1((2.5527, 2.5527, 2.5527, 60, 60, 60), [("Cu", 0.0, 0.0, 0.0)]),
        "bulk('Cu') is the primitive cell: one atom, still m-3m",
        {"Cu": 1},
        48,
        "point group",
    ),
    Crystal(
        "diffpy_rutile",
        make.diffpy_p1((4.5937, 4.5937, 2.9587, 90, 90, 90), RUTILE),
        "4/mmm from the atoms",
        {"Ti": 2, "O": 4},
        16,
        "point group",
    ),
    Crystal(
        "pymatgen_Mg",
        make.pymatgen_p1(MG, "Mg2", [("Mg", 0.33333333, 0.66666667, 0.25), ("Mg", 0.66666667, 0.33333333, 0.75)]),
        "thirds in eight digits",
        {"Mg": 2},
        24,
        "point group",
    ),
    Crystal(
        "typed_Mg_four_digits",
        cif(MG, group("P 1", 1), [("Mg1", 0.3333, 0.6667, 0.25), ("Mg2", 0.6667, 0.3333, 0.75)], lines=make.XYZ),
        "thirds in four digits are thirds",
        {"Mg": 2},
        24,
        "point group",
    ),
    Crystal(
        "vesta_MgO",
        cif(
            (4.212,),
            {"chemical_name_common": "MgO", "space_group_name_H-M_alt": "F m -3 m", "space_group_IT_number": 225},
            [("Mg1", "1.0", 0, 0, 0, "Biso", "1.000", "Mg"), ("O1", "1.0", 0.5, 0.5, 0.5, "Biso", "1.000", "O")],
            lines=make.spread(make.point_lines_of_cubic(), FACE),
            sites=("label", "occupancy", *SITE[1:], "adp_type", "B_iso_or_equiv", "type_symbol"),
        ),
        "VESTA's order of columns, all 192 lines",
        {"Mg": 4, "O": 4},
        48,
    ),
    Crystal(
        "icsd_LiCoO2",
        cif(
            (2.8161, 2.8161, 14.0536, 90, 90, 120),
            group("R -3 m H", 166, "Co1 Li1 O2", 3),
            [
                ("Li1", "Li1+", 3, "b", 0, 0, 0.5, 1, 0),
                ("Co1", "Co3+", 3, "a", 0, 0, 0, 1, 0),
                ("O1", "O2-", 6, "c", 0, 0, "0.23951(15)", "1.", 0),
            ],
            sites=("label", "type_symbol", "symmetry_multiplicity", "Wyckoff_symbol", *SITE[1:], *ICSD),
        ),
        "ICSD: charges, H for hexagonal axes",
        {"Li": 3, "Co": 3, "O": 6},
        12,
    ),
    Crystal(
        "cod_quartz",
        cif(
            (4.9134, 4.9134, 5.4052, 90, 90, 120),
            {"symmetry_space_group_name_Hall": 'P 32 2"', FORMULA: "O2 Si", Z: 3, DENSITY: 2.649},
            [
                ("Si", "0.5300(2)", 0, "0.666667", "0.0065(3)"),
                ("O", "0.5865(5)", "0.8534(4)", "0.5474(3)", "0.0115(5)"),
            ],
            sites=(*SITE, "U_iso_or_equiv"),
        ),
        "COD: a Hall symbol is complete",
        {"Si": 3, "O": 6},
        6,
    ),
    Crystal(
        "amcsd_halite",
        cif(
            (5.6402,),
            {"chemical_name_mineral": "Halite", NAME: "F m 3 m", DENSITY: 2.163, FORMULA: "Na Cl"},
            [("Na", 0, 0, 0), ("Cl", 0.5, 0.5, 0.5)],
        ),
        "AMCSD writes the old symbol F m 3 m",
        {"Na": 4, "Cl": 4},
        48,
    ),
]
MONOCLINIC = ["x,y,z", "-x,y,-z", "-x,-y,-z", "x,-y,z"]
R3M = [
    *("x,y,z", "-y,x-y,z", "-x+y,-x,z", "y,x,-z", "x-y,-y,-z", "-x,-x+y,-z"),
    *("-x,-y,-z", "y,-x+y,-z", "x-y,x,-z", "-y,-x,z", "-x+y,y,z", "x,x-y,z"),
]
HAND = [
    Crystal(
        "iron_without_centring",
        cif((2.8665,), group("I m -3 m", 229), [("Fe1", 0, 0, 0)], lines=make.point_lines_of_cubic()),
        "the Tables print (1/2,1/2,1/2)+ above the 48 lines",
        {"Fe": 2},
        48,
        "I m -3 m|centr",
    ),
    Crystal(
        "iron_without_centring_by_number",
        cif((2.8665,), {NUMBER: 229}, [("Fe1", 0, 0, 0)], lines=make.point_lines_of_cubic()),
        "the number alone tells the centring too",
        {"Fe": 2},
        48,
        "centr",
    ),
    Crystal(
        "monoclinic_without_centring",
        cif((9.0, 5.0, 6.0, 90, 110, 90), group("C 1 2/m 1", 12), [("Na1", 0.1, 0.2, 0.3)], lines=MONOCLINIC),
        "C 2/m has 8 general positions",
        {"Na": 8},
        4,
        "centr",
    ),
    Crystal(
        "bismuth_without_centring",
        cif(HEXAGONAL, group("R -3 m H", 166, "Bi", 6), [("Bi1", 0, 0, 0.234)], lines=R3M),
        "(2/3,1/3,1/3)+ and (1/3,2/3,2/3)+ are missing",
        {"Bi": 6},
        12,
        "centr",
    ),
    Crystal(
        "primitive_on_purpose",
        cif((3.0,), group("P m -3 m", 221), [("Po1", 0, 0, 0)], lines=make.point_lines_of_cubic()),
        "P needs no centring: nothing to say",
        {"Po": 1},
        48,
    ),
    Crystal(
        "iron_with_generators_only",
        cif((2.8665,), group("I m -3 m", 229), [("Fe1", 0, 0, 0)], lines=make.spread(["x,y,z", "-x,-y,-z"], BODY)),
        "4 lines of 96: another group than stated",
        {"Fe": 2},
        refused="4 symmetry lines .* has 96",
        cure=("_symmetry_space_group_name_H-M 'I m -3 m'\n_symmetry_Int_Tables_number 229\n", ""),
    ),
    Crystal(
        "F_4_mmm",
        cif((3.52, 3.52, 3.6, 90, 90, 90), group("F 4/m m m", 139), [("Ni1", 0, 0, 0)]),
        "a face-centred setting of I 4/m m m: 4 atoms, not 2",
        {"Ni": 4},
        16,
    ),
    Crystal(
        "I_-1",
        cif((6.0, 7.0, 8.0, 80, 95, 100), group("I -1", 2), [("Ca1", 0.1, 0.2, 0.3)]),
        "feldspars are described in I -1 and C -1: 4 positions, not 2",
        {"Ca": 4},
        2,
    ),
    Crystal(
        "A_-1",
        cif((6.0, 7.0, 8.0, 80, 95, 100), group("A -1", 2), [("Ca1", 0.1, 0.2, 0.3)]),
        "as C -1 on other axes",
        {"Ca": 4},
        2,
    ),
    Crystal(
        "P_21n",
        cif((6.0, 7.0, 8.0, 90, 95, 90), group("P 21/n", 14), [("Ca1", 0.1, 0.2, 0.3)]),
        "cell choice 2: the glide goes along a + c",
        {"Ca": 4},
        4,
        has=(0.4, 0.7, 0.2),
    ),
    Crystal(
        "P_b_n_m",
        cif((5.35, 5.6, 7.67, 90, 90, 90), group("P b n m", 62), [("O1", 0.1, 0.47, 0.25), ("Gd1", 0.98, 0.06, 0.25)]),
        "GdFeO3 perovskites: the mirror lies at z = 1/4",
        {"O": 4, "Gd": 4},
        8,
    ),
    Crystal(
        "B_m_a_b",
        cif((5.36, 5.40, 13.15, 90, 90, 90), group("B m a b", 64), [("La1", 0, 0.49, 0.36), ("O1", 0.25, 0.25, 0.01)]),
        "La2CuO4: B-centred, 8 La",
        {"La": 8, "O": 8},
        8,
    ),
    Crystal(
        "hall_only",
        cif((3.5239,), {"space_group_name_Hall": "-F 4 2 3"}, [("Ni1", 0, 0, 0)]),
        "a Hall symbol is complete",
        {"Ni": 4},
        48,
    ),
    Crystal(
        "spinel_Z",
        cif(
            (8.2476,),
            group("F d -3 m Z", 227, "Li1 Mn2 O4", 8),
            [("Li1", 0.125, 0.125, 0.125), ("Mn1", 0.5, 0.5, 0.5), ("O1", 0.2625, 0.2625, 0.2625)],
        ),
        "ICSD's Z is origin choice 2",
        {"Li": 8, "Mn": 16, "O": 32},
        48,
    ),
    Crystal(
        "spinel_S",
        cif(
            (8.2476,),
            group("F d -3 m S", 227, "Li1 Mn2 O4", 8),
            [("Li1", 0, 0, 0), ("Mn1", 0.625, 0.625, 0.625), ("O1", 0.3875, 0.3875, 0.3875)],
        ),
        "ICSD's S is origin choice 1",
        {"Li": 8, "Mn": 16, "O": 32},
        48,
    ),
    Crystal(
        "silicon_no_origin",
        cif((5.4307,), group("F d -3 m", 227), [("Si1", 0.125, 0.125, 0.125)]),
        "two origins, none named: at 1/8 there are 8 atoms in the second, 16 in the first",
        {"Si": 8},
        refused="two origins",
        cure=("'F d -3 m'", "'F d -3 m :2'"),
    ),
    Crystal(
        "bismuth_rhombohedral",
        cif((4.746, 4.746, 4.746, 57.24, 57.24, 57.24), group("R -3 m", 166), [("Bi1", 0.234, 0.234, 0.234)]),
        "the cell tells the rhombohedral axes: 2 atoms",
        {"Bi": 2},
        12,
    ),
    Crystal(
        "capital_lines",
        cif((4.0, 5.0, 6.0, 90, 90, 90), {}, [("Na1", 0.1, 0.2, 0.3)], lines=["X,Y,Z", "-X+1/2,-Y,Z+.5"]),
        "old programs wrote capitals and decimals",
        {"Na": 2},
        has=(0.4, 0.8, 0.8),
    ),
]
PLAIN = group("P 1", 1)
BOX = (4.0, 5.0, 6.0, 90, 95, 90)


def typed(symbol, formula=None, label="X1", **more):
    """One site of a symbol beside sodium, in P 1."""
    rows = [(symbol, label, 0.1, 0.2, 0.3, 1), ("Na", "Na1", 0.6, 0.7, 0.8, 1)]
    return cif(BOX, PLAIN | ({FORMULA: formula} if formula else {}) | more, rows, lines=make.XYZ, sites=TYPED)


MIXED = ("Mg/Fe X1 0.1 0.2 0.3 1", "Mg X1 0.1 0.2 0.3 0.9\nFe X1 0.1 0.2 0.3 0.1")
COBALT = ("_cell_length_a", "_chemical_formula_sum 'Co Na'\n_cell_length_a")


def labelled(label, formula=None):
    rows = [(label, 0.1, 0.2, 0.3), ("Na1", 0.6, 0.7, 0.8)]
    return cif(BOX, PLAIN | ({FORMULA: formula} if formula else {}), rows, lines=make.XYZ)


ELEMENTS = [
    Crystal("WatO1", labelled("WatO1", "H2 Na O"), "AMCSD labels water Wat", {"O": 1, "Na": 1}),
    Crystal("Ow", labelled("Ow", "H2 Na O"), "the oxygen of water", {"O": 1, "Na": 1}),
    Crystal("CA1_of_calcium", labelled("CA1", "Ca Na"), "capitals: the formula has Ca and no C", {"Ca": 1, "Na": 1}),
    Crystal("CO_of_cobalt", labelled("CO1", "Co Na"), "capitals: the formula has Co and no C", {"Co": 1, "Na": 1}),
    Crystal(
        "CO_untold",
        labelled("CO1"),
        "C or Co: nothing tells but a formula",
        {"Co": 1, "Na": 1},
        refused="'CO1', which is Co or C",
        cure=COBALT,
    ),
    Crystal(
        "T1",
        labelled("T1", "Al Na"),
        "a tetrahedral site, not tritium",
        {"Al": 1, "Na": 1},
        refused="'T1'",
        cure=("T1 ", "Al1 "),
    ),
    Crystal("M2", labelled("M2", "Mg Na"), "a metal site has no element", refused="M2"),
    Crystal(
        "Q1",
        labelled("Q1", "Na"),
        "a residual peak",
        {"Na": 1},
        refused="leave out the row",
        cure=("Q1 0.1 0.2 0.3\n", ""),
    ),
    Crystal("Va", typed("Va"), "a vacancy", {"Na": 1}, refused="leave out the row", cure=("Va X1 0.1 0.2 0.3 1\n", "")),
    Crystal("Vac", typed("Vac"), "a vacancy, not vanadium", refused="Vac"),
    Crystal("OH-", typed("OH-", "H Na O"), "hydroxyl: its oxygen, not Os or H", {"O": 1, "Na": 1}),
    Crystal("D2O", typed("D", "D Na"), "deuterium scatters electrons as H", {"H": 1, "Na": 1}),
    Crystal("Fe3+", typed("Fe3+"), "charge", {"Fe": 1, "Na": 1}),
    Crystal("Fe+3", typed("Fe+3"), "charge, sign first", {"Fe": 1, "Na": 1}),
    Crystal("O2-", typed("O2-"), "charge", {"O": 1, "Na": 1}),
    Crystal("Cval", typed("Cval"), "valence scattering factor of carbon (SHELX, GSAS)", {"C": 1, "Na": 1}),
    Crystal("FE", typed("FE"), "capitals", {"Fe": 1, "Na": 1}),
    Crystal("Mg0.9Fe0.1", typed("Mg0.9Fe0.1"), "a mixed site", {"Mg": 0.9, "Fe": 0.1, "Na": 1}),
    Crystal(
        "MgFe_slash",
        typed("Mg/Fe"),
        "shares are not told",
        content={"Mg": 0.9, "Fe": 0.1, "Na": 1},
        refused="one row for each element",
        cure=MIXED,
    ),
    Crystal("MgFe_bracket", typed('"(Mg,Fe)"'), "shares are not told", refused="Mg and Fe"),
    Crystal("element_not_in_formula", typed("W", "Na O"), "the formula has no W", refused="W"),
    Crystal("X_centroid", typed("X", "Na"), "a dummy of some programs", refused="X"),
]
FLAGGED = [("Ni", "Ni1", 0.0, 0.0, 0.0, 1, "d"), ("Ni", "Cg1", 0.31, 0.3, 0.3, 1, "dum")]
SPLIT = [("Pb", "Pb1", 0.0, 0.0, 0.005, 0.5)]
CONTENT = [
    Crystal(
        "dummy_centroid",
        cif(BOX, PLAIN, FLAGGED, lines=make.XYZ, sites=(*TYPED, "calc_flag")),
        "calc_flag dum: no atom",
        {"Ni": 1},
    ),
    Crystal(
        "split_near_mirror",
        cif((4.0,), {}, SPLIT, lines=["x,y,z", "-x,-y,z", "x,y,-z", "-x,-y,-z"], sites=TYPED),
        "halves 0.04 angstrom apart: one atom together",
        {"Pb": 1},
    ),
    Crystal(
        "on_the_mirror_by_rounding",
        cif(MG, group("P 63/m m c", 194, "Mg", 2), [("Mg1", 0.3333, 0.6667, 0.25)]),
        "copies of a rounded third are one atom",
        {"Mg": 2},
        24,
    ),
    Crystal(
        "shared_site",
        cif((4.1684,), group("F m -3 m", 225), [("Ni", "Ni1", 0, 0, 0, 0.9), ("Li", "Li1", 0, 0, 0, 0.1)], sites=TYPED),
        "two elements share a site",
        {"Ni": 3.6, "Li": 0.4},
        48,
    ),
    Crystal(
        "site_twice",
        cif((3.5239,), group("F m -3 m", 225), [("Ni1", 0, 0, 0), ("Ni2", 0, 0, 0)]),
        "two whole atoms at one place",
        {"Ni": 4},
        refused="total occupancy of 2",
        cure=("Ni2 0 0 0\n", ""),
    ),
    Crystal(
        "percent",
        cif((3.5239,), group("F m -3 m", 225), [("Ni", "Ni1", 0, 0, 0, 100)], sites=TYPED),
        "occupancy is a fraction",
        {"Ni": 4},
        refused="occupancy 100",
        cure=("0 100", "0 1"),
    ),
    Crystal(
        "all_atoms_and_all_lines",
        cif((3.5239,), group("F m -3 m", 225), [(f"Ni{n}", *xyz) for n, xyz in enumerate(FACE)]).replace("1/2", "0.5"),
        "the lines make 4 atoms of each listed one: the same four places",
        {"Ni": 4},
        refused="total occupancy of 4",
        cure=("'F m -3 m'\n_symmetry_Int_Tables_number 225", "'P 1'"),
    ),
    Crystal(
        "wrong_Z",
        cif((3.5239,), group("F m -3 m", 225, "Ni O", 4), [("Ni1", 0, 0, 0)]),
        "the file's formula has oxygen that is not listed",
        content={"Ni": 4, "O": 4},
        refused="fewer O atoms",
        cure=("Ni1 0 0 0\n", "Ni1 0 0 0\nO1 0.5 0.5 0.5\n"),
    ),
    Crystal(
        "density_contradicts",
        cif((3.5239,), group("P m -3 m", 221, **{DENSITY: 8.908}), [("Ni1", 0, 0, 0)]),
        "1 Ni per cell has 2.2 g/cm3: the wrong group",
        content={"Ni": 4},
        refused="2.23 g/cm.3, but",
        cure=("'P m -3 m'\n_symmetry_Int_Tables_number 221", "'F m -3 m'"),
    ),
    Crystal(
        "nanometres",
        cif((0.35239,), group("F m -3 m", 225), [("Ni1", 0, 0, 0)]),
        "0.35 angstrom holds no atom: nm were meant",
        refused="lengths in angstrom",
    ),
    Crystal(
        "picometres",
        cif((352.39,), group("F m -3 m", 225), [("Ni1", 0, 0, 0)]),
        "4 atoms in a cell of 352 angstrom are no solid: pm were meant",
        refused="no crystal has.*angstrom",
    ),
]
NI = cif((3.5239,), group("F m -3 m", 225), [("Ni1", 0, 0, 0)])
TITLED = "data_corpus\n_publ_section_title\n;\nloop_ of data_x\n_cell_length_a 9\n;"
LATIN = b"_publ_author_name '\xc5ngstr\xf6m, A.'\n"
FORM = [
    Crystal("angles_left_out", re.sub("_cell_angle.*\n", "", NI), "the dictionary's default is 90", {"Ni": 4}, 48),
    Crystal("capital_tags", NI.replace("_cell_length", "_CELL_LENGTH"), "tags have no case", {"Ni": 4}, 48),
    Crystal("windows", NI.replace("\n", "\r\n").encode("utf-8-sig"), "line ends and byte order mark", {"Ni": 4}, 48),
    Crystal("utf_16", NI.encode("utf-16"), "Notepad's Unicode", {"Ni": 4}, 48),
    Crystal(
        "fraction",
        cif(MG, group("P 63/m m c", 194), [("Mg1", "1/3", "2/3", "1/4")]).replace("1/3 2/3 1/4", "1/3 0.6666667 0.25"),
        "the Tables print fractions, CIF has decimals only",
        {"Mg": 2},
        refused="'1/3'",
        cure=("1/3", "0.3333333"),
    ),
    Crystal(
        "name_against_number",
        cif((3.5239,), group("F m -3 m", 221), [("Ni1", 0, 0, 0)]),
        "the name has the number 225",
        {"Ni": 4},
        refused="has the number 225, not 221.*correct the name or the number",
        cure=(" 221", " 225"),
    ),
    Crystal("text_block", NI.replace("data_corpus", TITLED), "tags in a text are text", {"Ni": 4}, 48),
    Crystal("comment", NI.replace("Ni1 0 0 0", "# Cu1 0.5 0 0\nNi1 0 0 0 # nickel"), "comments", {"Ni": 4}, 48),
    Crystal("old_mac", NI.replace("\n", "\r").encode(), "CR alone ends a line", {"Ni": 4}, 48),
    Crystal("latin_1", NI.encode() + LATIN, "CIF 1.1 is ASCII, files are not", {"Ni": 4}, 48),
    Crystal("esd", NI.replace("3.5239", "3.5239(12)").replace("90", "90.00(3)"), "uncertainties", {"Ni": 4}, 48),
    Crystal(
        "decimal_comma",
        NI.replace("3.5239", "3,5239"),
        "no CIF number",
        content={"Ni": 4},
        refused="'3,5239'",
        cure=("3,5239", "3.5239"),
    ),
    Crystal(
        "unknown_position",
        NI.replace("Ni1 0 0 0", "Ni1 0 ? 0"),
        "the place is not known",
        refused="position of atom 'Ni1'",
    ),
    Crystal("publication_first", "data_global\n_journal_year 1998\n" + NI, "COD, IUCr: text first", {"Ni": 4}, 48),
    Crystal(
        "two_structures",
        NI + NI.replace("data_corpus", "data_second").replace("Ni1", "Cu1").replace("3.5239", "3.6149"),
        "two crystals in one file: only the user knows which",
        refused="2 structures .corpus, second",
    ),
    Crystal("cut", NI.encode()[:-8], "the row ends early", refused="is it cut"),
    Crystal(
        "magnetic",
        cif(
            (4.0,),
            {"space_group_magn.name_BNS": "P_I m -3 m"},
            [("Fe1", 0, 0, 0)],
            lines=["x,y,z,+1", "-x,-y,-z,+1"],
            operation="_space_group_symop_magn_operation.xyz",
        ),
        "magCIF: its lines carry time reversal and lie beside those of the centring",
        refused="magnetic structure",
    ),
    Crystal(
        "cartesian",
        "data_c\n" + "\n".join(make.cell_lines(3.0)) + "\nloop_\n_atom_site_label\n_atom_site_Cartn_x\n"
        "_atom_site_Cartn_y\n_atom_site_Cartn_z\nNi1 0 0 0\n",
        "Cartesian positions need the axes of the program",
        refused="Cartesian",
    ),
    Crystal("poscar", "Ni4\n1.0\n3.5 0 0\n0 3.5 0\n0 0 3.5\nNi\n4\nDirect\n0 0 0\n", "VASP, not CIF", refused="data_"),
    Crystal("page", "<!DOCTYPE html>\n<html><body>Log in</body></html>\n", "a login page", refused="data_"),
]
OTHER_LABELS = {
    "CD1": ("C Na", {"C": 1}),
    "OBO": (None, {"O": 1}),
    "ODm": ("Na O", {"O": 1}),
    "Obr2": ("Na O", {"O": 1}),
    "SiT1m": ("Na Si", {"Si": 1}),
    "AlM1": ("Al Na", {"Al": 1}),
    "Fe(1)": (None, {"Fe": 1}),
    "Fe_1": (None, {"Fe": 1}),
    "Fe*": (None, {"Fe": 1}),
    "D1": ("D Na", {"H": 1}),
    "Nb1": ("Na Nb", {"Nb": 1}),
}
OTHER_SYMBOLS = {
    "Fe2.5+": {"Fe": 1},
    "H1-": {"H": 1},
    "NH4+": {"N": 1},
    "Siva": {"Si": 1},
    "7Li": {"Li": 1},
    "2H": {"H": 1},
    "57Fe3+": {"Fe": 1},
    "Ca0.5Sr0.5": {"Ca": 0.5, "Sr": 0.5},
}
SETTINGS = {  # symbol: cell, number of general positions, an image of (0.13, 0.18, 0.35) that tells the setting
    "P21/c": ((6, 7, 8, 90, 95, 90), 4, (0.13, 0.32, 0.85)),
    "P2(1)/c": ((6, 7, 8, 90, 95, 90), 4, (0.13, 0.32, 0.85)),
    "P 2_1/c": ((6, 7, 8, 90, 95, 90), 4, (0.13, 0.32, 0.85)),
    "P 1 21/a 1": ((6, 7, 8, 90, 95, 90), 4, (0.63, 0.32, 0.35)),
    "P 1 1 21/b": ((6, 7, 8, 90, 90, 95), 4, (0.13, 0.68, 0.15)),
    "I 2/a": ((6, 7, 8, 90, 95, 90), 8, (0.63, 0.82, 0.35)),
    "A 2/m": ((6, 7, 8, 90, 95, 90), 8, (0.13, 0.32, 0.85)),
    "C m c a": ((6, 7, 8, 90, 90, 90), 16, (0.63, 0.68, 0.35)),
    "PNMA": ((6, 7, 8, 90, 90, 90), 8, (0.13, 0.32, 0.35)),
    "P m c n": ((6, 7, 8, 90, 90, 90), 8, (0.37, 0.18, 0.35)),
    "I 41/a m d :2": ((12, 12, 16, 90, 90, 90), 32, (0.87, 0.18, 0.35)),
    "FM-3M": ((30, 30, 30, 90, 90, 90), 192, (0.13, 0.68, 0.85)),
    "R -3 c": ((12, 12, 16, 90, 90, 120), 36, None),
    "P 63/m m c": ((12, 12, 16, 90, 90, 120), 24, None),
}
LEAD = [("Pb1", 0.13, 0.18, 0.35)]
MORE = [
    *(
        Crystal(f"label {label}", labelled(label, formula), "the formula decides", {**content, "Na": 1})
        for label, (formula, content) in OTHER_LABELS.items()
    ),
    Crystal(
        "label HO1",
        cif(BOX, PLAIN | {FORMULA: "H O"}, [("HO1", 0.1, 0.2, 0.3), ("O1", 0.3, 0.2, 0.3)], lines=make.XYZ),
        "hydrogen on O1, not holmium",
        {"H": 1, "O": 1},
    ),
    Crystal(
        "label Cl1",
        cif(BOX, PLAIN | {FORMULA: "C Cl"}, [("Cl1", 0.1, 0.2, 0.3), ("C1", 0.5, 0.2, 0.3)], lines=make.XYZ),
        "chlorine beside carbon: a small letter is part of the symbol",
        {"Cl": 1, "C": 1},
    ),
    Crystal("label NA1", labelled("NA1", "N Na"), "N on site A1 or Na", refused="'NA1'"),
    *(
        Crystal(f"symbol {symbol}", typed(symbol), "charges, groups, isotopes", {**content, "Na": 1})
        for symbol, content in OTHER_SYMBOLS.items()
    ),
    *(
        Crystal(f"setting {symbol}", cif(cell, {NAME: symbol}, LEAD), "the Tables", {"Pb": positions}, has=has)
        for symbol, (cell, positions, has) in SETTINGS.items()
    ),
]
ROWS = [*PROGRAMS, *HAND, *ELEMENTS, *CONTENT, *FORM, *MORE]


def open_row(row, folder):
    """Open the row as a file, and the messages of its SymmetryWarnings."""
    path = folder / (re.sub(r"\W", "_", row.name) + ".cif")
    path.write_bytes(row.text if isinstance(row.text, bytes) else row.text.encode("utf-8"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SymmetryWarning)
        phase = pk.io.open_phase(path)
    return phase, [str(warning.message) for warning in caught if warning.category is SymmetryWarning]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_crystals_open_right_or_say_why(row, tmp_path):
    if row.refused:
        with pytest.raises(ReadError, match=row.refused) as error:
            open_row(row, tmp_path)
        assert row.name == "cut" or "again" not in error.value.cure, "no byte is missing"
        if row.cure is None:
            return
        assert isinstance(row.text, str)
        assert row.cure[0] in row.text
        row = row._replace(text=row.text.replace(*row.cure), order=None)
    phase, said = open_row(row, tmp_path)
    content: Counter[str] = Counter()
    for atom in phase.structure:
        content[atom.element] += atom.occupancy
    assert dict(content) == pytest.approx(row.content, abs=1e-6), row.why
    assert row.order is None or phase.point_group.size == row.order, row.why
    if row.order is not None:
        assert bool(said) == bool(row.warns), said
        assert re.search(row.warns, " ".join(said)), said
    if row.has:
        places = [tuple((atom.xyz % 1).round(6)) for atom in phase.structure]
        assert row.has in places, row.why


SAME = {  # all atoms in P 1, and the same crystal by its group
    "pymatgen_Si": cif((5.4307,), group("F d -3 m :1", 227), [("Si1", 0, 0, 0)]),
    "diffpy_rutile": cif(
        (4.5937, 4.5937, 2.9587, 90, 90, 90), group("P 42/m n m", 136), [("Ti1", 0, 0, 0), ("O1", 0.3053, 0.3053, 0)]
    ),
    "pymatgen_Mg": cif(MG, group("P 63/m m c", 194), [("Mg1", 0.3333333, 0.6666667, 0.25)]),
}


@pytest.mark.parametrize("name", SAME)
def test_all_atoms_in_p1_are_the_crystal_of_the_group(name, tmp_path):
    listed, _ = open_row(next(row for row in ROWS if row.name == name), tmp_path)
    stated = pk.io.open_phase(SAME[name])
    assert listed.point_group.name == stated.point_group.name
    turned = [sorted(map(tuple, (phase.point_group.data + 0.0).round(6))) for phase in (listed, stated)]
    assert turned[0] == turned[1], "one symmetry on the same axes"
    places = [sorted((a.element, *((a.xyz + 1e-4) % 1).round(3)) for a in p.structure) for p in (listed, stated)]
    assert places[0] == places[1]
