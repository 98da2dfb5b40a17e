"""Maps as text: what orix reads from ``.ang`` and ``.ctf`` is what was found, on any cell and any shape."""

import json
import warnings

import numpy as np
import orix.io
import pytest
import xarray as xr

import phasekit as pk
from phasekit.crystals import crystal, direct_basis, phase_record
from phasekit.errors import SchemaError
from phasekit.io.exchange import save_orix, to_orix
from phasekit.io.writers.ctf import find_laue_number
from phasekit.rotations import to_matrix
from phasekit.schema import ORIENTATIONS, describe

NY, NX = 4, 7
SCAN = ("scan_y", "scan_x")
CELLS = {
    "Ni": (225, (3.524, 3.524, 3.524, 90, 90, 90)),
    "zirconia, m": (14, (5.15, 5.21, 5.32, 90, 99.2, 90)),
    "LiCoO2": (166, (2.824, 2.824, 13.888, 90, 90, 120)),
    "triclinic": (2, (5.1, 6.2, 7.3, 82, 97, 105)),
    "absent": (194, (2.51, 2.51, 4.07, 90, 90, 120)),
    "γ MnO2": (162, (4.99, 4.99, 6.4, 90, 90, 120)),
}
LAUE = {"Ni": 11, "zirconia, m": 2, "LiCoO2": 7, "triclinic": 1, "absent": 9, "γ MnO2": 7}
WRITTEN = {name: name.replace("γ", "gamma") for name in CELLS}  # the text formats state no encoding
SPARSE = np.array([[0, 1, 2, 3, 5, -1, 0], [5, 5, 3, 3, 2, 1, 0], [-1, 1, 1, 1, 2, 5, 3], [0, 0, 3, 2, 2, 1, -1]])


@pytest.fixture
def found():
    """Every phase but the fifth occurs; the second match and the scores differ everywhere."""
    rng = np.random.default_rng(7)
    quaternion = rng.normal(size=(NY, NX, 2, 4))
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion *= np.where(quaternion[..., :1] < 0, -1, 1)
    quaternion[SPARSE < 0] = np.nan
    scores = {name: np.where(SPARSE < 0, np.nan, rng.random((NY, NX))) for name in ("Q", "R", "sigma")}
    records = [phase_record(crystal(name, *cell, [("Fe", 0.1, 0.2, 0.3)])) for name, cell in CELLS.items()]
    data = xr.Dataset(
        {
            "quaternion": ((*SCAN, "match", "wxyz"), quaternion),
            "correlation": ((*SCAN, "match"), np.stack([scores["Q"], 0.5 * scores["Q"]], axis=-1)),
            "phase": (SCAN, SPARSE.astype(np.int16)),
            "reliability": (SCAN, 100 * scores["R"]),
            "phase_reliability": (SCAN, 50 * scores["R"]),
            "status": (SCAN, np.where(SPARSE < 0, 1, 0).astype(np.int8)),
            "uncertainty_deg": (SCAN, scores["sigma"]),
        },
        coords={"scan_y": 10 + 2.5 * np.arange(NY), "scan_x": 5 + (10 / 3) * np.arange(NX)},
        attrs={"phases": json.dumps(records), "voltage_kv": 200.0},
    )
    data["scan_y"].attrs["units"] = data["scan_x"].attrs["units"] = "nm"
    return describe(data, ORIENTATIONS, step="demo", settings={})


def read(path):
    """Crystal map of a file; orix may make up names, but nothing else is to be warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return orix.io.load(path, autogen_names=False) if path.suffix == ".ang" else orix.io.load(path)


def planes_in_the_sample(matrices, lattice):
    """Reciprocal vectors a*, b*, c* of each position as seen in the sample."""
    reciprocal = np.linalg.inv(direct_basis(lattice)).T
    return np.einsum("nij,hi->nhj", matrices, reciprocal)


@pytest.mark.parametrize(("write", "suffix", "per_nm"), [(pk.io.save_ang, "ang", 1.0), (pk.io.save_ctf, "ctf", 1e-3)])
def test_every_cell_is_read_back_by_orix(tmp_path, found, write, suffix, per_nm):
    before = found.copy(deep=True)
    back = read(write(found.chunk({"scan_y": 1}), tmp_path / f"map.{suffix}"))
    xr.testing.assert_identical(found, before)
    assert back.shape == (NY, NX)
    there = (SPARSE >= 0).ravel()
    scan_y, scan_x = np.meshgrid(found["scan_y"], found["scan_x"], indexing="ij")
    np.testing.assert_allclose(back.x, scan_x.ravel() * per_nm, atol=1e-4 * per_nm)
    np.testing.assert_allclose(back.y, scan_y.ravel() * per_nm, atol=1e-4 * per_nm)
    np.testing.assert_array_equal(back.phase_id[there], SPARSE.ravel()[there] + 1)
    best = found["quaternion"].isel(match=0).values.reshape(-1, 4)
    dot = np.abs((back.rotations.data * best).sum(-1))[there]
    assert np.rad2deg(2 * np.arccos(np.clip(dot, 0, 1))).max() < 0.02
    for number, (_, lattice) in enumerate(CELLS.values()):
        here = SPARSE.ravel() == number
        if not here.any():
            continue
        phase = back.phases[number + 1]
        assert phase.structure.lattice.abcABG() == pytest.approx(lattice, abs=1e-4)
        # orix's own chain: lattice of the file in orix's crystal frame, turned by the file's rotation
        theirs = np.einsum("nij,hi->nhj", back.rotations[here].to_matrix(), phase.structure.lattice.recbase.T)
        mine = planes_in_the_sample(to_matrix(best[here]), lattice)
        np.testing.assert_allclose(theirs, mine, atol=2e-4 * np.abs(mine).max())
    assert not list(tmp_path.glob(".*.tmp"))


def test_ctf_names_phases_symmetry_and_scores(tmp_path, found):
    back = read(pk.io.save_ctf(found, tmp_path / "map.ctf"))
    there = (SPARSE >= 0).ravel()
    assert back.scan_unit == "um"
    np.testing.assert_array_equal(back.is_indexed, there)
    assert {n: phase.name for n, phase in back.phases if n >= 0} == {
        number: name for number, name in enumerate(WRITTEN.values(), start=1) if name != "absent"
    }
    assert {n: back.phases[n].space_group.number for n in (1, 3, 4)} == {1: 225, 3: 166, 4: 2}
    assert {n: back.phases[n].point_group.laue.name for n in (1, 2, 3, 6)} == {1: "m-3m", 2: "2/m", 3: "-3m", 6: "-3m"}
    flat = {name: found[name].values.ravel() for name in ("reliability", "uncertainty_deg")}
    flat["Q"] = found["correlation"][..., 0].values.ravel()
    np.testing.assert_allclose(back.prop["BC"][there], 100 * flat["Q"][there], atol=0.5)
    np.testing.assert_allclose(back.prop["BS"][there], flat["reliability"][there], atol=0.5)
    np.testing.assert_allclose(back.prop["MAD"][there], flat["uncertainty_deg"][there], atol=1e-4)
    np.testing.assert_array_equal(back.prop["error"], np.where(there, 0, 3))
    for name in ("bands", "MAD", "BC", "BS"):
        assert (back.prop[name][~there] == 0).all()


def test_ctf_header_is_that_of_the_format(tmp_path, found):
    lines = pk.io.save_ctf(found, tmp_path / "map.ctf").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Channel Text File"
    assert {"JobMode\tGrid", f"XCells\t{NX}", f"YCells\t{NY}", "XStep\t0.003333333", "YStep\t0.002500000"} <= set(lines)
    start = lines.index(f"Phases\t{len(CELLS)}") + 1
    for line, (name, (space_group, lattice)) in zip(lines[start:], CELLS.items(), strict=False):
        known = 0 if name in ("zirconia, m", "γ MnO2") else space_group  # axes orix does not hold
        lengths, angles, *rest = line.split("\t")
        assert [float(value) for value in f"{lengths};{angles}".split(";")] == pytest.approx(lattice)
        assert rest == [WRITTEN[name], str(LAUE[name]), str(known)]
    columns = start + len(CELLS)
    assert lines[columns] == "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"
    assert len(lines) == columns + 1 + NY * NX
    assert lines[columns + 6].startswith("0\t")  # not indexed
    assert lines[columns + 6].split("\t")[3:] == ["0", "3", "0.0000", "0.0000", "0.0000", "0.0000", "0", "0"]


def test_ctf_of_a_map_that_was_not_refined_and_of_one_with_its_peaks(tmp_path, found):
    plain = found.drop_vars("uncertainty_deg").assign_attrs(found.attrs)
    assert (read(pk.io.save_ctf(plain, tmp_path / "plain.ctf")).prop["MAD"] == 0).all()
    merged = found.assign(count=(SCAN, np.full((NY, NX), 12)))
    back = read(pk.io.save_ctf(merged, tmp_path / "merged.ctf"))
    np.testing.assert_array_equal(back.prop["bands"], np.where(SPARSE.ravel() < 0, 0, 12))


def test_ctf_keeps_numbers_whichever_phases_occur(tmp_path, found):
    for kept in ([1], [5], [0, 2, 4]):
        phase = np.resize(np.array([*kept, -1]), (NY, NX)).astype(np.int16)
        made = found.assign(phase=(SCAN, phase)).fillna({"quaternion": 0.5}).assign_attrs(found.attrs)
        back = read(pk.io.save_ctf(made, tmp_path / "map.ctf"))
        for number in kept:
            assert back.phases[number + 1].name == list(WRITTEN.values())[number]
            assert (back.phase_id == number + 1).sum() == (phase == number).sum()


def test_ctf_of_a_map_without_an_orientation(tmp_path, found):
    none = found.assign(phase=xr.full_like(found["phase"], -1))
    assert not read(pk.io.save_ctf(none, tmp_path / "none.ctf")).is_indexed.any()
    with pytest.raises(SchemaError, match=r"save_ctf: phase index 5.*names 0 phases"):
        pk.io.save_ctf(found.assign_attrs(phases="[]"), tmp_path / "map.ctf")
    assert [path.name for path in tmp_path.iterdir()] == ["none.ctf"]


def test_laue_numbers_are_those_of_the_space_groups():
    """orix names the point group of every space group; HKL's classes must agree with it."""
    from orix.quaternion.symmetry import get_point_group

    orders = [2, 4, 8, 8, 16, 6, 12, 12, 24, 24, 48]
    for number in range(1, 231):
        group = get_point_group(number)
        by_group, by_number = find_laue_number({"point_group": group.name}), find_laue_number({"space_group": number})
        assert by_group == by_number, (number, group.name)
        assert orders[by_group - 1] == group.laue.size


def test_crystal_map_carries_uncertainty_and_second_answers(tmp_path, found):
    more = found.assign(
        other_phase=found["phase"],
        other_correlation=0.9 * found["correlation"].isel(match=0),
        other_quaternion=found["quaternion"].isel(match=1),
        second_phase=xr.full_like(found["phase"], -1),
    )
    names = {"uncertainty_deg", "other_phase", "other_correlation", "other_quaternion", "second_phase"}
    made = to_orix(more)
    assert names <= set(made.prop)
    np.testing.assert_array_equal(made.prop["uncertainty_deg"], found["uncertainty_deg"].values.ravel())
    np.testing.assert_array_equal(made.prop["other_quaternion"], found["quaternion"][:, :, 1].values.reshape(-1, 4))
    assert not names & set(to_orix(found.drop_vars("uncertainty_deg").assign_attrs(found.attrs)).prop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        back = orix.io.load(save_orix(more, tmp_path / "map.h5"))
    np.testing.assert_array_equal(back.prop["uncertainty_deg"], made.prop["uncertainty_deg"])
