"""Bank, grains and colours of a crystal do not depend on how its file lists the atoms."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from diffpy.structure import Atom, Lattice, Structure
from orix.crystal_map import Phase

from phasekit.acom import build_templates, ipf_colours, label_grains
from phasekit.acom.maps.colours import direction_colours
from phasekit.acom.symmetry import proper_rotations
from phasekit.crystals import crystal, find_phase_symmetry, find_standard_group, phase_from_record, phase_record
from phasekit.errors import SchemaError, SymmetryWarning
from phasekit.io import open_phase
from phasekit.io.writers.ang import find_laue_class
from phasekit.rotations import from_matrix, multiply, to_matrix
from tests.io.files_4d import CUBIC, cif

SITES = [("Ni1", 0, 0, 0), ("Ni2", 0, 0.5, 0.5), ("Ni3", 0.5, 0, 0.5), ("Ni4", 0.5, 0.5, 0)]
LINES = cif(CUBIC, {"_space_group_name_H-M_alt": "F m -3 m"}, SITES[:1])
EDGE = 3.5239
TEXTS = {
    "P 1": cif(CUBIC, ["x,y,z"], SITES),
    "supercell": cif(
        (EDGE, 2 * EDGE, EDGE, 90, 90, 90), ["x,y,z"], [(s, x, (y + n) / 2, z) for s, x, y, z in SITES for n in (0, 1)]
    ),
    "primitive": cif((EDGE / np.sqrt(2),) * 3 + (60,) * 3, ["x,y,z"], SITES[:1]),
}
# Vectors of the primitive cell in the frame of the cube.
PRIMITIVE = EDGE / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])


def opened(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SymmetryWarning)
        return open_phase(text)


def turn_of(kind, phase):
    """Rotation from the frame of the cube into that of the phase."""
    return np.eye(3) if kind != "primitive" else (np.linalg.inv(PRIMITIVE) @ phase.structure.lattice.base).T


def scan_of(phase, quaternion):
    scan = ("scan_y", "scan_x")
    ones = np.ones(quaternion.shape[:2])
    data = dict.fromkeys(("phase", "status"), (scan, 0 * ones))
    data |= dict.fromkeys(("reliability", "phase_reliability"), (scan, 50 * ones))
    data |= {"quaternion": ((*scan, "match", "wxyz"), quaternion[:, :, None])}
    data |= {"correlation": ((*scan, "match"), ones[..., None])}
    return xr.Dataset(data, attrs={"phases": json.dumps([phase_record(phase)])})


@pytest.mark.parametrize("kind", TEXTS)
def test_grains_and_colours_are_those_of_the_file_with_symmetry_lines(kind):
    nickel, other = open_phase(LINES), opened(TEXTS[kind])
    turn = turn_of(kind, other)
    rng = np.random.default_rng(1)
    grains = rng.normal(size=(3, 4))
    grains /= np.linalg.norm(grains, axis=1, keepdims=True)
    # Each pixel of a grain has one of its equivalent orientations.
    symmetry = proper_rotations(nickel)
    chosen = symmetry[rng.integers(len(symmetry), size=(6, 3))]
    quaternion = multiply(chosen, np.broadcast_to(grains, (6, 3, 4)))
    moved = from_matrix(turn @ to_matrix(quaternion))
    reference, found = scan_of(nickel, quaternion), scan_of(other, moved)
    assert label_grains(reference)["grain"].values.max() == 2
    np.testing.assert_array_equal(label_grains(found)["grain"], label_grains(reference)["grain"])
    np.testing.assert_allclose(ipf_colours(found), ipf_colours(reference), atol=1e-6)


@pytest.mark.parametrize("kind", TEXTS)
def test_banks_have_the_sector_of_the_true_symmetry(kind):
    sizes = [
        build_templates([phase], resolution_deg=4, g_max=1.0).sizes["template"]
        for phase in (open_phase(LINES), opened(TEXTS[kind]))
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.2)


def test_a_record_keeps_a_group_on_axes_that_orix_lacks():
    phase = opened(TEXTS["primitive"])
    back = phase_from_record(json.loads(json.dumps(phase_record(phase))))
    assert back.point_group.name == "m-3m on the axes given"
    assert proper_rotations(back).shape == (24, 4)
    standard, turn = find_standard_group(back.point_group)
    assert standard.name == "m-3m"
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)


def test_colours_of_equivalent_directions_agree_on_any_axes():
    """Physical invariance, for groups that orix holds on other axes: monoclinic about b, a primitive cubic cell."""
    zirconia = crystal(
        "ZrO2", 14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208), ("O", 0.07, 0.33, 0.34)]
    )
    for phase in (zirconia, opened(TEXTS["primitive"])):
        direction = np.array([0.3, 0.5, 0.81])
        images = to_matrix(proper_rotations(phase)) @ direction
        colours = direction_colours(np.concatenate([images, -images]), phase.point_group)
        np.testing.assert_allclose(colours, np.broadcast_to(colours[:1], colours.shape), atol=1e-6)


@pytest.mark.parametrize(
    ("phase", "laue"),
    [
        (open_phase(LINES), "m-3m"),
        (opened(TEXTS["P 1"]), "m-3m"),
        (opened(TEXTS["supercell"]), "m-3m"),
        (opened(TEXTS["primitive"]), "-1"),
        (crystal("ZrO2", 14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208)]), "2/m"),
        (crystal("SiO2", 152, (4.91, 4.91, 5.4, 90, 90, 120), [("Si", 0.47, 0, 1 / 3)]), "-3m"),
    ],
)
def test_text_exports_name_only_groups_on_axes_that_their_readers_know(phase, laue):
    assert find_laue_class(phase_record(phase)) == laue


def make_phase(point_group, sites, lattice=(3.5239, 3.5239, 3.5239, 90, 90, 90)):
    atoms = [Atom("Ni", xyz=place) for _, *place in sites]
    return Phase(name="Ni", point_group=point_group, structure=Structure(atoms, Lattice(*lattice)))


def test_a_phase_made_by_hand_gets_the_symmetry_of_its_atoms():
    with pytest.warns(SymmetryWarning, match="point group 4/mmm, its atoms have m-3m"):
        bank = build_templates([make_phase("4/mmm", SITES)], resolution_deg=5, g_max=1.0)
    assert json.loads(bank.attrs["phases"])[0]["point_group"] == "m-3m"


def test_a_point_group_that_the_atoms_lack_is_refused():
    with pytest.raises(SchemaError, match=r"point group m-3m, but its atoms have .*List every atom"):
        build_templates([make_phase("m-3m", SITES[:2])], resolution_deg=5, g_max=1.0)


def test_atoms_in_one_place_have_no_symmetry_to_find():
    assert find_phase_symmetry(make_phase("1", [SITES[0], SITES[0]])) is None
