"""Every real CIF gives its own axes, the atoms of its formula, and a full cell."""

import os
from collections import Counter
from pathlib import Path

import pytest

from phasekit.io.crystal import open_phase

ROOT = os.environ.get("PHASEKIT_REAL_DATA")
pytestmark = [pytest.mark.real, pytest.mark.skipif(not ROOT, reason="PHASEKIT_REAL_DATA is not set")]

# file, a b c [angstrom], space group, point group, atoms (sites) in the cell
FILES = [
    ("cif/AMCSD_Gold_11140.cif", (4.07825,) * 3, 225, "m-3m", {"Au": 4}),
    ("cif/AMCSD_Nickel_11153.cif", (3.52387,) * 3, 225, "m-3m", {"Ni": 4}),
    ("cif/AMCSD_Iron_670.cif", (2.866,) * 3, 229, "m-3m", {"Fe": 2}),
    ("cif/AMCSD_Magnetite_945.cif", (8.3958,) * 3, 227, "m-3m", {"Fe": 24, "O": 32}),
    ("cif/AMCSD_Heterosite_269.cif", (5.83, 9.79, 4.769), 62, "mmm", {"Fe": 4, "Mn": 4, "P": 4, "O": 16}),
    ("cif/AMCSD_Perovskite_2890.cif", (5.4043, 5.4224, 7.651), 62, "mmm", {"Ca": 4, "Ti": 4, "O": 12}),
    (
        "cif/AMCSD_Triphylite_5980.cif",
        (4.6904, 10.2855, 5.9871),
        62,
        "mmm",
        {"Li": 4, "Mn": 4, "Mg": 4, "Fe": 4, "P": 4, "O": 16},
    ),
    ("cif/LiCoO2.cif", (2.824, 2.824, 13.888), 166, "-3m", {"Li": 3, "Co": 3, "O": 6}),
    ("fourdstem/austenite_sped/austeniteLP.cif", (3.59,) * 3, 225, "m-3m", {"Fe": 4}),
    (
        "fourdstem/austenite_sped/g-phaseLP.cif",
        (11.3,) * 3,
        225,
        "m-3m",
        {"Mn": 24, "Ti": 24, "Fe": 24, "Cr": 24, "Si": 28, "Ni": 64},
    ),
]


@pytest.mark.parametrize(("name", "lengths", "space_group", "point_group", "atoms"), FILES)
def test_cif(name, lengths, space_group, point_group, atoms):
    phase = open_phase(Path(ROOT) / name)
    assert phase.structure.lattice.abcABG()[:3] == pytest.approx(lengths)
    assert phase.space_group.number == space_group
    assert phase.point_group.name == point_group
    assert Counter(atom.element for atom in phase.structure) == atoms


def test_a_cif_that_is_not_listed_opens_too():
    listed = {row[0] for row in FILES}
    others = [path for path in sorted(Path(ROOT).rglob("*.cif")) if path.relative_to(ROOT).as_posix() not in listed]
    for path in others:
        phase = open_phase(path)
        assert len(phase.structure) > 0, path
        assert phase.point_group is not None, path
