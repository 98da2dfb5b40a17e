"""Elements, mixed sites, dummy and split atoms of CIF files, kind by kind: input and right value, or right refusal."""

import pytest

from phasekit.errors import ReadError
from phasekit.io.formats.crystal.elements import parse_formula_elements, read_label

from .files_4d import CUBIC, LFP_CELL
from .test_crystal_cases import TETRAGONAL, content, opened, write

FRACT = "fract_x fract_y fract_z"
TYPED = f"label type_symbol {FRACT}"
OTHER = "O9 O 0.4 0.6 0.8"


@pytest.mark.parametrize(
    ("symbol", "right"),
    [
        ("Fe3+", {"Fe": 1}),
        ("Fe+3", {"Fe": 1}),
        ("Fe0+", {"Fe": 1}),
        ("O2-", {"O": 2}),
        ("CL1-", {"Cl": 1}),
        ("Ni2.5+", {"Ni": 1}),
        ("D", {"H": 1}),
        ("T", {"H": 1}),
        ("D1+", {"H": 1}),
        ("Li0.97Ni0.03", {"Li": 0.97, "Ni": 0.03}),
        ("Fe.5Mn.5", {"Fe": 0.5, "Mn": 0.5}),
        ("Ca0.3Sr0.3Ba0.4", {"Ca": 0.3, "Sr": 0.3, "Ba": 0.4}),
        ("Li0.6/Na0.2", {"Li": 0.6, "Na": 0.2}),
        ("H2O", {"O": 2}),
        ("OH", {"O": 2}),
        ("OH1-", {"O": 2}),
        ("Wat", {"O": 2}),
        ("NH4", {"N": 1}),
        ("NH4+", {"N": 1}),
    ],
)
def test_symbols_give_their_elements(symbol, right):
    found = content(opened(write(CUBIC, ["x,y,z"], TYPED, [f"A1 {symbol} 0.1 0.2 0.3", OTHER])))
    assert found == {"O": 1} | right


@pytest.mark.parametrize(
    "symbol", ["Li/Ni", "LiNi", "Va", "Vac", "Fe0.5", "Xx", "M", "Fe1Mn1", "Li0.7Ni0.7", "W@t", "(Fe,Mn)", "CO3", "Fe*"]
)
def test_symbols_with_letters_left_over_are_refused_with_their_line(symbol):
    text = write(CUBIC, ["x,y,z"], TYPED, [OTHER, f"A1 {symbol} 0.1 0.2 0.3"])
    line = text.splitlines().index(f"A1 {symbol} 0.1 0.2 0.3") + 1
    with pytest.raises(ReadError, match=rf"unknown element .* in line {line}\. To fix it: write the element's symbol"):
        opened(text)


@pytest.mark.parametrize(
    ("label", "formula", "right"),
    [
        ("WatM3", "Mg O1.1 H.2", "O"),
        ("Wat1", None, "O"),
        ("Wat", "W O3 H2", "O"),  # water in a tungstate
        ("W1", "W O3", "W"),
        ("O-H1", "Ca O2 H2", "O"),
        ("OH2", "Ca O2 H2", "O"),
        ("HO1", "Ca O2 H2", "H"),
        ("HO1", "Ho2 O3", "Ho"),
        ("CO1", "C O2", "C"),
        ("CO1", "Co O", "Co"),
        ("D1", "Li O D", "H"),
        ("D1", "Li O H", "H"),
        ("MgM1", None, "Mg"),
        ("AlT", "Al2 O3", "Al"),
        ("Fe3+M", "Fe2 O3", "Fe"),
        ("OA", None, "O"),
        ("Ow", None, "O"),
        ("VM2", "V2 O5", "V"),
        ("OSi2", "Si O2", "O"),
        ("NH4", "N H4 Cl O", "N"),
        ("NI1", "Ni O", "Ni"),
        ("K*", "K Cl O", "K"),
    ],
)
def test_labels_without_type_give_their_element(label, formula, right):
    shares = read_label(label, parse_formula_elements(formula))
    assert [share.element for share in shares] == [right]


def test_water_by_its_label_is_oxygen_in_the_cell():
    rows = ["MgM1 0.1 0.2 0.3 1", "WatM3 0.6 0.7 0.3 0.1", "O1 0.1 0.6 0.8 1"]
    text = write(CUBIC, ["x,y,z"], f"label {FRACT} occupancy", rows, extra="_chemical_formula_sum 'Mg O1.1 H.2'")
    assert content(opened(text)) == {"Mg": 1, "O": 1.1}


@pytest.mark.parametrize(
    ("label", "formula", "message"),
    [
        ("T1", None, "unknown element 'T1'"),
        ("T", None, "unknown element"),
        ("Va1", None, "unknown element 'Va1'"),
        ("Va", "V2 O5", "unknown element 'Va'"),
        ("DUM1", None, "unknown element 'DUM1'"),
        ("Xq", None, "unknown element"),
        ("W1", "Mg O4 H6", "read as W, an element that the file's own formula lacks"),
        ("Fe1", "Mg O", "read as Fe, an element that the file's own formula lacks"),
        ("T1", "Al2 Si O5 H2", "unknown element 'T1'"),
        ("Li/Ni", None, "two elements"),
        ("FeCu", "K Fe Cu S2", "two elements"),
        ("AsSb1", "As Sb", "two elements"),
        ("CO1", "Co C O3", "which is Co or C"),
        ("HO1", None, "which is HO or Ho|which is Ho or H"),
        ("H2O1", "Na O H2", "water or a hydrogen"),
    ],
)
def test_labels_that_are_not_certain_are_refused_with_their_line(label, formula, message):
    extra = f"_chemical_formula_sum '{formula}'" if formula else ""
    text = write(CUBIC, ["x,y,z"], f"label {FRACT}", [f"{label} 0.1 0.2 0.3"], extra=extra)
    with pytest.raises(ReadError, match=rf"({message}).* in line {len(text.splitlines())}\. To fix it"):
        opened(text)


@pytest.mark.parametrize(
    ("symbol", "formula"), [("W", "Mg O4 H6"), ("Ca", "Na Cl O"), ("Li0.5Ni0.5", "Li O")], ids=["W", "Ca", "mixed"]
)
def test_a_symbol_that_the_formula_lacks_is_refused(symbol, formula):
    text = write(CUBIC, ["x,y,z"], TYPED, [f"A1 {symbol} 0 0 0"], extra=f"_chemical_formula_sum '{formula}'")
    with pytest.raises(ReadError, match=r"own formula lacks in line \d+\. To fix it: correct the formula"):
        opened(text)


@pytest.mark.parametrize(
    ("columns", "rows", "right"),
    [
        (f"{TYPED} calc_flag", ["Ni1 Ni 0 0 0 d", "Ni2 Ni 0.5 0.5 0.5 dum"], {"Ni": 1}),
        (f"{TYPED} calc_flag", ["Ni1 Ni 0 0 0 calc", "X1 X 0.5 0.5 0.5 DUM"], {"Ni": 1}),
        (f"calc_flag {TYPED}", ["dum C1 C 0.1 0.1 0.1", ". Ni1 Ni 0 0 0", "c O1 O 0.3 0.4 0.2"], {"Ni": 1, "O": 1}),
        (f"calc_flag {TYPED}", ["? Ni1 Ni 0 0 0"], {"Ni": 1}),
    ],
)
def test_dummy_atoms_are_left_out(columns, rows, right):
    assert content(opened(write(CUBIC, ["x,y,z"], columns, rows))) == right


def test_nothing_but_dummy_atoms_is_refused():
    with pytest.raises(ReadError, match="no atoms but dummy ones"):
        opened(write(CUBIC, ["x,y,z"], f"{TYPED} calc_flag", ["Ni1 Ni 0 0 0 dum"]))


MIRROR = ["x,y,z", "x,y,-z"]
FOURFOLD = ["x,y,z", "-y,x,z", "-x,-y,z", "y,-x,z"]
CENTRE = ["x,y,z", "-x,-y,-z"]


@pytest.mark.parametrize(
    ("cell", "lines", "row", "total"),
    [
        (LFP_CELL, MIRROR, "0.1 0.2 0.0040 0.5", 1.0),  # .038 angstrom from its image: split over the mirror
        (LFP_CELL, CENTRE, "0.4990 0.4990 0.5040 0.5", 1.0),
        (TETRAGONAL, FOURFOLD, "0.0051 0.0013 0.3 0.25", 1.0),  # within .05 angstrom of the axis: four quarters
        (LFP_CELL, MIRROR, "0.1 0.2 0.5001 0.5", 0.5),  # rounded: one atom on the mirror
        (LFP_CELL, MIRROR, "0.1 0.2 0.0040 1", 1.0),  # a full atom cannot be split
        (LFP_CELL, MIRROR, "0.1 0.2 0 0.5", 0.5),
        (LFP_CELL, MIRROR, "0.1 0.2 0.03 0.5", 1.0),
        ((3.0, 3.0, 5.0, 90, 90, 120), ["x,y,z", "-y,x-y,z", "-x+y,-x,z"], "0.333 0.667 0.25 0.3", 0.3),
        ((20.0, 20.0, 5.0, 90, 90, 120), ["x,y,z", "-y,x-y,z", "-x+y,-x,z"], "0.333 0.666 0.25 0.3", 0.3),
    ],
)
def test_split_atoms_keep_their_content(cell, lines, row, total):
    columns = f"label type_symbol {FRACT} occupancy"
    assert content(opened(write(cell, lines, columns, [f"Fe1 Fe {row}"]))) == {"Fe": total}
