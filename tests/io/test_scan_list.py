"""Lists of energies: what is written comes back, in forms that scan programs take, and never half."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import ReadError, SchemaError

ENERGIES = [503.0, 515.6, 516.1, 516.6, 517.4, 524.3, 524.8, 525.3]


@pytest.fixture
def energies():
    return xr.DataArray(
        ENERGIES, dims="energy", coords={"energy": ENERGIES}, attrs={"units": "eV", "share_error": 0.0123}
    )


@pytest.fixture
def dwell(energies):
    values = np.array([1.0, 2.5, 2.5, 2.5, 4.0, 4.0, 4.0, 1.0])
    return xr.DataArray(values, dims="energy", coords={"energy": ENERGIES}, attrs={"units": "ms"})


def test_one_energy_a_line_and_nothing_else(energies, tmp_path):
    path = pk.io.save_scan_list(energies, tmp_path / "new" / "scan.txt")
    assert [float(line) for line in path.read_text(encoding="utf-8").splitlines()] == ENERGIES
    assert path.read_bytes().endswith(b"525.3000\n")
    assert b"\r" not in path.read_bytes()


def test_regions_join_equal_steps_with_equal_dwell(energies, dwell, tmp_path):
    path = pk.io.save_scan_list(energies, tmp_path / "scan.txt", dwell_ms=dwell, layout="regions")
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(float(a), float(b), int(n), float(t)) for a, b, n, t in rows] == [
        (503.0, 503.0, 1, 1.0),
        (515.6, 516.6, 3, 2.5),
        (517.4, 524.3, 2, 4.0),
        (524.8, 524.8, 1, 4.0),
        (525.3, 525.3, 1, 1.0),
    ]


def test_an_even_scan_is_one_region(tmp_path):
    even = xr.DataArray(np.arange(700.0, 730.3, 0.25), dims="energy")
    path = pk.io.save_scan_list(even, tmp_path / "scan.txt", layout="regions", dwell_ms=0.7)
    assert path.read_text(encoding="utf-8") == "700.0000 730.2500 122 0.7000\n"
    np.testing.assert_allclose(pk.io.open_scan_list(path), even)


@pytest.mark.parametrize("layout", ["energies", "regions"])
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_what_is_written_is_read(energies, dwell, tmp_path, suffix, layout):
    shuffled = energies[::-1]
    path = pk.io.save_scan_list(shuffled, tmp_path / f"scan{suffix}", dwell_ms=dwell, layout=layout)
    back = pk.io.open_scan_list(path)
    np.testing.assert_allclose(back, ENERGIES, atol=1e-4)
    assert back["energy"].attrs["units"] == back.attrs["units"] == "eV"
    if (suffix, layout) == (".txt", "energies"):
        assert back["dwell_ms"].isnull().all()
    else:
        np.testing.assert_allclose(back["dwell_ms"], dwell)


def test_csv_says_units_errors_total_time_and_how_it_was_planned(tmp_path):
    refs = pk.synthetic.vanadium_references()
    chosen = pk.stxm.select_energies(refs, 8)
    dwell = pk.stxm.allocate_dwell(chosen, refs, total_ms=16.0)
    path = pk.io.save_scan_list(chosen, tmp_path / "scan.csv", dwell_ms=dwell)
    text = path.read_text(encoding="utf-8")
    assert "# units: energy [eV], dwell time per pixel [ms]" in text
    assert "over all energies: 16.0000 ms" in text
    assert f"# share_error: {chosen.attrs['share_error']:.6g}" in text
    assert "\nenergy_eV,dwell_ms\n" in text
    back = pk.io.open_scan_list(path)
    assert back.attrs["provenance"] == chosen.attrs["provenance"]
    np.testing.assert_allclose(back["dwell_ms"], dwell, atol=1e-4)


@pytest.mark.parametrize(
    ("damage", "settings", "words"),
    [
        (lambda e: e[:0], {}, "0 energies in 'eV', needs at least one"),
        (lambda e: e.assign_attrs(units="keV"), {}, "in 'keV'.*Multiply keV"),
        (lambda e: e * np.nan, {}, "needs at least one, positive"),
        (lambda e: e.copy(data=np.full(8, 500.0)), {}, "two energies are equal"),
        (lambda e: e, {"dwell_ms": 0.0}, "not above 0 ms"),
        (lambda e: e, {"dwell_ms": xr.DataArray([1.0, 2.0], coords={"energy": [1.0, 2.0]})}, "on other energies"),
        (lambda e: e, {"dwell_ms": xr.DataArray(np.ones(8), dims="energy")}, "'dwell_ms' has no energies"),
        (lambda e: e, {"layout": "rows"}, "layout 'energies' or 'regions'"),
    ],
)
def test_wrong_lists_are_refused_before_a_file_is_touched(energies, tmp_path, damage, settings, words):
    with pytest.raises(SchemaError, match=words):
        pk.io.save_scan_list(damage(energies), tmp_path / "scan.txt", **settings)
    with pytest.raises(SchemaError, match=r"needs a name that ends in \.txt or \.csv"):
        pk.io.save_scan_list(energies, tmp_path / "scan.xlsx")
    assert not list(tmp_path.iterdir())


def test_an_old_list_stays_when_writing_fails(energies, tmp_path, monkeypatch):
    path = pk.io.save_scan_list(energies, tmp_path / "scan.txt")
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        pk.io.save_scan_list(energies[:3], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_lists_typed_by_hand_are_read(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(
        "# from the logbook\nstart, stop, points, dwell\n517.2, 517.2, 1, 5\n513, 515, 3, 2.5\n\n", encoding="utf-8"
    )
    found = pk.io.open_scan_list(path)
    np.testing.assert_allclose(found, [513, 514, 515, 517.2])
    np.testing.assert_allclose(found["dwell_ms"], [2.5, 2.5, 2.5, 5])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no energies"),
        ("# nothing\nenergy_eV\n", "no energies"),
        ("513\n514 x\n", "the line '514 x'"),
        ("513 515 2.5 1\n", "no energies"),
        ("500\n513 515 2.5 1\n", "the line '513 515 2.5 1'"),
        ("500\n513 515 -2 1\n", "the line"),
        ("500\n1 2 3\n", "the line '1 2 3'"),
        ("500\n-3\n", "not positive"),
        ("500 0\n", "not positive"),
        ("500\nnan\n", "not positive"),
    ],
)
def test_damaged_lists_are_named(tmp_path, text, words):
    path = tmp_path / "scan.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=words):
        pk.io.open_scan_list(path)
    with pytest.raises(ReadError, match="no such file"):
        pk.io.open_scan_list(tmp_path / "none.txt")
