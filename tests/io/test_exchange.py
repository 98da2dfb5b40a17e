"""Formats of other programs: what is written comes back, with axes, phases and units."""

import json
import warnings

import numpy as np
import orix.io
import pytest
import xarray as xr
from orix.quaternion import Rotation

from phasekit.crystals import crystal, phase_record
from phasekit.errors import AcomStatus, ReadError, SchemaError, status_attributes
from phasekit.io.exchange import save_blo, save_orix, to_orix
from phasekit.io.fourdstem import open_4dstem
from phasekit.io.maps_text import save_ang
from phasekit.io.peaks_csv import open_peaks_csv, save_peaks_csv
from phasekit.schema import ORIENTATIONS, PATTERNS, PEAKS, describe

NY, NX = 3, 5
PHASES = [
    {"name": "Ni", "space_group": 225, "point_group": "m-3m", "lattice": [3.52, 3.52, 3.52, 90, 90, 90], "cif": ""},
    {"name": "LiFePO4", "space_group": 62, "point_group": "mmm", "lattice": [10.3, 6.0, 4.7, 90, 90, 90]},
    {
        "name": "monoclinic",
        "space_group": None,
        "point_group": "2/m on the axes given",
        "lattice": [5.0, 7.0, 6.0, 90, 105, 90],
    },
]


@pytest.fixture
def found():
    rng = np.random.default_rng(1)
    quaternion = rng.normal(size=(NY, NX, 2, 4))
    quaternion /= np.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion *= np.where(quaternion[..., :1] < 0, -1, 1)
    phase = np.array([[0, 0, 1, 1, -1], [1, 1, 0, -1, 0], [0, 1, 0, 1, 0]], dtype=np.int16)
    quaternion[phase < 0] = np.nan
    scan = ("scan_y", "scan_x")
    data = xr.Dataset(
        {
            "quaternion": ((*scan, "match", "wxyz"), quaternion),
            "correlation": ((*scan, "match"), np.where(phase[..., None] < 0, np.nan, rng.random((NY, NX, 2)))),
            "phase": (scan, phase),
            "reliability": (scan, np.where(phase < 0, np.nan, 100 * rng.random((NY, NX)))),
            "phase_reliability": (scan, 100 * rng.random((NY, NX))),
            "status": (scan, np.where(phase < 0, 1, 0).astype(np.int8)),
        },
        coords={"scan_y": 10 + 2.0 * np.arange(NY), "scan_x": 5 + 3.0 * np.arange(NX)},
        attrs={"phases": json.dumps(PHASES)},
    )
    data["scan_y"].attrs["units"] = data["scan_x"].attrs["units"] = "nm"
    return describe(data, ORIENTATIONS, step="demo", settings={})


def indexed(found):
    return (found["phase"].values >= 0).ravel()


def angle(first, second):
    return np.rad2deg(2 * np.arccos(np.clip(np.abs((first * second).sum(-1)), 0, 1)))


def read_ang(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return orix.io.load(path, autogen_names=False)


def test_ang_is_read_back_by_orix(tmp_path, found):
    before = found.copy(deep=True)
    path = save_ang(found.chunk({"scan_y": 1}), tmp_path / "map.ang")
    xr.testing.assert_identical(found, before)
    back = read_ang(path)
    assert back.scan_unit == "nm"
    there = indexed(found)
    best = found["quaternion"].isel(match=0).values.reshape(-1, 4)
    assert angle(back.rotations.data, best)[there].max() < 1e-4
    scan_y, scan_x = np.meshgrid(found["scan_y"], found["scan_x"], indexing="ij")
    np.testing.assert_allclose(back.x, scan_x.ravel())
    np.testing.assert_allclose(back.y, scan_y.ravel())
    np.testing.assert_array_equal(back.phase_id, np.where(there, found["phase"].values.ravel() + 1, 0))
    np.testing.assert_allclose(back.prop["ind"][there], found["correlation"][..., 0].values.ravel()[there], atol=1e-6)
    np.testing.assert_allclose(back.prop["relx100"][there], found["reliability"].values.ravel()[there], atol=1e-4)
    np.testing.assert_allclose(back.prop["rel"] * 100, back.prop["relx100"], atol=1e-4)
    assert {back.phases[number].name for number in (1, 2)} == {"Ni", "LiFePO4"}
    assert back.phases[2].structure.lattice.abcABG() == pytest.approx((10.3, 6.0, 4.7, 90, 90, 90))
    assert back.phases[1].point_group.name == "432"  # EDAX code 43
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("kept", [[1], [2], [0, 2]])
def test_ang_keeps_phase_numbers_when_a_phase_does_not_occur(tmp_path, found, kept):
    phase = np.resize(np.array([*kept, -1]), (NY, NX)).astype(np.int16)
    made = found.assign(phase=(("scan_y", "scan_x"), phase)).fillna({"quaternion": 0.5})
    made.attrs = found.attrs
    back = read_ang(save_ang(made, tmp_path / "map.ang"))
    for number in kept:
        assert back.phases[number + 1].name == PHASES[number]["name"]
        assert (back.phase_id == number + 1).sum() == (phase == number).sum()


def test_ang_angles_are_bunge_in_radians(tmp_path, found):
    """A turn about z by 30 degrees is phi1 + phi2 = 30 degrees with Phi = 0 (z x z, sample into crystal)."""
    half = np.deg2rad(15)
    turned = found["quaternion"].copy(data=np.broadcast_to([np.cos(half), 0, 0, np.sin(half)], (NY, NX, 2, 4)))
    made = found.assign(quaternion=turned)
    path = save_ang(made, tmp_path / "map.ang")
    table = np.loadtxt(path)
    there = indexed(found)
    total = (table[there, 0] + table[there, 2]) % (2 * np.pi)
    np.testing.assert_allclose(table[there, 1], 0, atol=1e-6)
    direct = Rotation([np.cos(half), 0, 0, np.sin(half)]).to_euler().ravel()
    np.testing.assert_allclose(total, (direct[0] + direct[2]) % (2 * np.pi), atol=1e-5)
    assert min(abs(total[0] - np.deg2rad(30)), abs(total[0] - np.deg2rad(330))) < 1e-5


def test_blo_of_patterns_with_pixels_that_are_not_there(tmp_path):
    counts = np.ones((2, 3, 4, 4), dtype=np.float32)
    counts[0, 0, 1, 2], counts[1, 2, 3, 3], counts[0, 1] = np.nan, np.inf, 40
    patterns = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)})
    back = open_4dstem(save_blo(patterns, tmp_path / "scan.blo")).intensity.values
    expected = np.where(np.isnan(counts), 0, np.minimum(counts, 255))
    np.testing.assert_array_equal(back, expected)


def test_phases_of_a_bank_keep_their_symmetry(found, tmp_path):
    """The bank's record lists all atoms without symmetry lines: read as a plain CIF it would be triclinic."""
    nickel = crystal("Ni", 225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", 0, 0, 0)])
    zirconia = crystal("ZrO2", 14, (5.15, 5.21, 5.32, 90, 99.2, 90), [("Zr", 0.275, 0.04, 0.208)])
    records = [json.loads(json.dumps(phase_record(phase))) for phase in (nickel, zirconia)]
    mapped = found.assign_attrs(phases=json.dumps(records))
    phases = to_orix(mapped).phases
    for number, phase in enumerate((nickel, zirconia)):
        assert phases[number].point_group.name == phase.point_group.name
        assert phases[number].point_group.size == phase.point_group.size
        assert len(phases[number].structure) == len(phase.structure)
        np.testing.assert_allclose(phases[number].structure.lattice.base, phase.structure.lattice.base, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # orix speaks of names it makes up
        back = orix.io.load(str(save_orix(mapped, tmp_path / "map.h5")))
    assert back.phases[0].point_group.name == "m-3m"
    assert back.phases[1].point_group is None  # orix's own 2/m is about c, this one about b


def test_crystal_map_keeps_axes_scores_and_phases(found):
    crystal_map = to_orix(found)
    there = indexed(found)
    assert crystal_map.shape == (NY, NX)
    assert (crystal_map.dy, crystal_map.dx) == (2.0, 3.0)
    np.testing.assert_array_equal(crystal_map.phase_id, found["phase"].values.ravel())
    np.testing.assert_array_equal(crystal_map.is_indexed, there)
    assert crystal_map.rotations_per_point == 2
    stored = crystal_map._rotations.data[there]
    np.testing.assert_allclose(np.abs(stored), np.abs(found["quaternion"].values.reshape(-1, 2, 4)[there]), atol=1e-12)
    np.testing.assert_allclose(crystal_map.prop["reliability"].reshape(NY, NX), found["reliability"])
    np.testing.assert_allclose(crystal_map.prop["correlation"], found["correlation"].values.reshape(-1, 2))
    assert {crystal_map.phases[n].name for n in (0, 1)} == {"Ni", "LiFePO4"}
    assert crystal_map.phases[1].point_group.name == "mmm"


def test_orix_file_comes_back(tmp_path, found):
    path = save_orix(found, tmp_path / "map.h5")
    back = orix.io.load(path)
    np.testing.assert_array_equal(back.phase_id, found["phase"].values.ravel())
    np.testing.assert_allclose(back.prop["reliability"].reshape(NY, NX), found["reliability"])
    assert back.phases[1].structure.lattice.abcABG() == pytest.approx((10.3, 6.0, 4.7, 90, 90, 90))
    assert back.shape == (NY, NX)
    everywhere = found.assign(phase=xr.full_like(found["phase"], 2))
    back = orix.io.load(save_orix(everywhere, path))  # replaces; a group orix cannot name is left out
    assert back.phases[2].point_group is None
    with pytest.raises(SchemaError, match="save_ang"):
        save_orix(found, tmp_path / "map.txt")


def test_maps_without_an_orientation(tmp_path, found):
    none = found.assign(phase=xr.full_like(found["phase"], -1))
    assert not to_orix(none).is_indexed.any()
    assert (np.loadtxt(save_ang(none, tmp_path / "map.ang"))[:, 7] == 0).all()


def test_unnamed_phase_is_refused(found):
    with pytest.raises(SchemaError, match=r"phase index 1.*names 0 phases"):
        to_orix(found.assign_attrs(phases="[]"))


def patterns_of(data, *, step=0.0126, unit="1/angstrom"):
    ny, nx, n, m = data.shape
    coords = {"scan_y": 4.0 * np.arange(ny), "scan_x": 2.5 * np.arange(nx)}
    coords |= {"qy": step * (np.arange(n) - (n - 1) / 2), "qx": step * (np.arange(m) - (m - 1) / 2)}
    made = xr.Dataset({"intensity": (tuple(coords), data)}, coords=coords)
    for dim in coords:
        made[dim].attrs["units"] = "nm" if dim.startswith("scan") else unit
    return describe(made, PATTERNS, step="demo", settings={})


@pytest.mark.parametrize("lazy", [False, True])
def test_blo_round_trip(tmp_path, lazy):
    data = np.random.default_rng(2).integers(0, 256, (3, 5, 12, 12)).astype(np.uint8)
    made = patterns_of(data)
    made = made.chunk({"scan_y": 1, "scan_x": 2}) if lazy else made
    back = open_4dstem(save_blo(made, tmp_path / "scan.blo", voltage_kv=200))
    np.testing.assert_array_equal(back["intensity"].values, data)
    for dim in ("scan_y", "scan_x"):
        np.testing.assert_allclose(back[dim], made[dim])
    np.testing.assert_allclose(back["qx"], made["qx"], rtol=1e-4)
    assert back.attrs["voltage_kv"] == 200
    bare = open_4dstem(save_blo(made, tmp_path / "bare.blo"))
    assert bare["qx"].attrs["units"] == "px"


def test_blo_scales_the_whole_scan_by_one_factor(tmp_path):
    data = np.random.default_rng(3).poisson(40, (2, 3, 8, 8)).astype(np.uint16)
    data[0, 0, 0, 0] = 1020
    back = open_4dstem(save_blo(patterns_of(data), tmp_path / "scan.blo"))
    np.testing.assert_array_equal(back["intensity"].values, np.rint(data / 4.0))
    small = open_4dstem(save_blo(patterns_of(data % 100), tmp_path / "small.blo"))
    np.testing.assert_array_equal(small["intensity"].values, data % 100)
    cut = open_4dstem(save_blo(patterns_of(data - 50.0), tmp_path / "cut.blo", scale=1.0))
    np.testing.assert_array_equal(cut["intensity"].values, np.clip(np.rint(data - 50.0), 0, 255))


def test_blo_is_square(tmp_path):
    with pytest.raises(SchemaError, match=r"8 x 6.*isel"):
        save_blo(patterns_of(np.zeros((2, 2, 8, 6), "u1")), tmp_path / "scan.blo")
    with pytest.raises(SchemaError, match="scale=0"):
        save_blo(patterns_of(np.zeros((2, 2, 8, 8), "u1")), tmp_path / "scan.blo", scale=0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def peaks():
    rng = np.random.default_rng(4)
    shape = (NY, NX, 6)
    count = rng.integers(0, 7, shape[:2])
    count[0, 0] = count[1, 2] = count[-1, -1] = 0
    there = np.arange(6) < count[..., None]
    scan = ("scan_y", "scan_x")
    columns = ("qy", "qx", "intensity", "prominence")
    data = xr.Dataset(
        {
            **{name: ((*scan, "peak"), np.where(there, rng.normal(size=shape), np.nan)) for name in columns},
            "direct": ((*scan, "peak"), there & (np.arange(6) == 0)),
            "noise": (scan, rng.random(shape[:2]).astype(np.float32)),
            "min_prominence": (scan, rng.random(shape[:2])),
            "count": (scan, count),
            "status": (scan, np.where(count < 2, 2, 0).astype(np.int8), status_attributes(AcomStatus)),
            "disk_radius": ((), 3.5),
        },
        coords={"scan_y": 4.0 * np.arange(NY), "scan_x": 1.0 + 2.5 * np.arange(NX)},
        attrs={"note": "demo"},
    )
    data["scan_y"].attrs["units"] = data["scan_x"].attrs["units"] = "nm"
    data["qy"].attrs["units"] = data["qx"].attrs["units"] = "px"
    return describe(data, PEAKS, step="demo", settings={"p": 1})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_peak_table_round_trip(tmp_path, peaks, dtype):
    """Patterns without peaks, the first and the last among them, keep their place."""
    made = peaks.assign({name: peaks[name].astype(dtype) for name in ("qy", "qx", "intensity", "prominence")})
    back = open_peaks_csv(save_peaks_csv(made.chunk({"scan_y": 2}), tmp_path / "peaks.csv"))
    xr.testing.assert_identical(back, made)
    assert {str(name): v.dtype for name, v in back.variables.items()} == {n: v.dtype for n, v in made.variables.items()}
    assert back["status"].attrs["flag_meanings"] == made["status"].attrs["flag_meanings"]


def test_peak_table_has_one_row_per_peak(tmp_path, peaks):
    import pandas as pd

    table = pd.read_csv(save_peaks_csv(peaks, tmp_path / "peaks.csv"), comment="#")
    count = peaks["count"].values
    assert len(table) == count.sum() + (count == 0).sum()
    assert table["qx"].notna().sum() == count.sum()
    expected = ["scan_y", "scan_x", "scan_y_nm", "scan_x_nm", "peak", "qy", "qx", "intensity", "prominence"]
    assert list(table.columns[:9]) == expected
    row = table.iloc[-1]
    assert (row.scan_y, row.scan_x, row.scan_x_nm) == (NY - 1, NX - 1, 11.0)
    assert np.isnan(row.peak)


def test_peak_table_by_blocks_is_the_same_text(tmp_path, peaks, monkeypatch):
    whole = save_peaks_csv(peaks, tmp_path / "whole.csv").read_text(encoding="utf-8")
    monkeypatch.setattr("phasekit.io.writers.peaks_csv._ROWS", 1)
    assert save_peaks_csv(peaks, tmp_path / "lines.csv").read_text(encoding="utf-8") == whole


def test_peak_table_without_any_peak(tmp_path, peaks):
    empty = peaks.where(xr.zeros_like(peaks["qx"], dtype=bool))
    names = ("qy", "qx", "intensity", "prominence")
    made = peaks.assign({name: empty[name].assign_attrs(peaks[name].attrs) for name in names})
    made["direct"] = xr.zeros_like(peaks["direct"])
    xr.testing.assert_identical(open_peaks_csv(save_peaks_csv(made, tmp_path / "none.csv")), made)


def test_damaged_peak_tables_are_refused(tmp_path, peaks):
    text = save_peaks_csv(peaks, tmp_path / "peaks.csv").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    cases = {
        "foreign": "a,b\n1,2\n",
        "cut": "".join(lines[:-2]),
        "header": "".join([lines[0], lines[1][:40], "\n", *lines[2:]]),
        "letters": text.replace(lines[5], "x" + lines[5][1:]),
        "column": text.replace("intensity,prominence", "intensity,height", 1),
        "empty": "",
    }
    for name, content in cases.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ReadError, match="To fix it"):
            open_peaks_csv(path)
