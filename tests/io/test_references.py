"""Reference spectra come out with their names, energies and compositions, or an error says why not."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import phasekit as pk
from phasekit.errors import ReadError
from phasekit.schema import REFERENCES, provenance, require

ENERGY = np.array([512.0, 513.5, 515.0, 517.0])
SPECTRA = np.array([[0.1, 0.5, 0.9, 0.3], [0.1, 0.2, 0.8, 0.7]])
CSV = "# composition: 3.0, 2.4\n# units: 1/um\nenergy,Na3,Na2.4\n" + "".join(
    f"{e},{a},{b}\n" for e, a, b in zip(ENERGY, *SPECTRA, strict=True)
)


def two_columns(path, energy=ENERGY, spectrum=SPECTRA[0], head=""):
    path.write_text(
        head + "".join(f"{e:.7E} {s:.7E}\n" for e, s in zip(energy, spectrum, strict=True)), encoding="utf-8"
    )
    return path


def test_csv(tmp_path):
    path = tmp_path / "refs.csv"
    path.write_text(CSV, encoding="utf-8")
    refs = pk.io.open_references(path)
    require(refs, REFERENCES, step="test")
    assert refs.reference.values.tolist() == ["Na3", "Na2.4"]
    assert_array_equal(refs.reference_spectrum, SPECTRA)
    assert_array_equal(refs.energy, ENERGY)
    assert_array_equal(refs.composition, [3.0, 2.4])
    assert refs.reference_spectrum.attrs["units"] == "1/um"
    assert "comment" not in refs.reference_spectrum.attrs
    assert provenance(refs)[-1]["settings"]["path"] == ["refs.csv"]


@pytest.mark.parametrize(
    "mangle",
    [
        lambda t: t.replace(",", ", "),
        lambda t: t.replace("\n", "\r\n"),
        lambda t: "\ufeff" + t,
        lambda t: "\n".join([*t.splitlines()[:3], *reversed(t.splitlines()[3:])]),
        lambda t: t.replace(",", "\t").replace("# composition: 3.0\t 2.4", "# composition: 3.0, 2.4"),
        lambda t: "\n".join(
            line if line.startswith("#") else line.replace(",", ";").replace(".", ",").replace("Na2,4", "Na2.4")
            for line in t.splitlines()
        ),
    ],
    ids=["blanks", "windows", "bom", "falling", "tabs", "decimal commas"],
)
def test_csv_as_people_write_it(tmp_path, mangle):
    path = tmp_path / "refs.csv"
    path.write_text(mangle(CSV), encoding="utf-8")
    refs = pk.io.open_references(path)
    assert refs.reference.values.tolist() == ["Na3", "Na2.4"]
    assert_allclose(refs.reference_spectrum, SPECTRA)
    assert_allclose(refs.energy, ENERGY)


def test_two_column_files_join(tmp_path):
    two_columns(tmp_path / "oxidized.t", spectrum=SPECTRA[0])
    two_columns(tmp_path / "reduced.t", spectrum=SPECTRA[1], head="% from the beamline\n* second remark\n")
    for given in (str(tmp_path / "*.t"), [tmp_path / "oxidized.t", tmp_path / "reduced.t"]):
        refs = pk.io.open_references(given)
        assert refs.reference.values.tolist() == ["oxidized", "reduced"]
        assert_allclose(refs.reference_spectrum, SPECTRA)
        assert "composition" not in refs


def test_different_energies_are_interpolated_and_said(tmp_path):
    first = two_columns(tmp_path / "a.txt", [510.0, 514.0, 520.0], [0.0, 4.0, 10.0])
    second = two_columns(tmp_path / "b.txt", [512.0, 515.0, 519.0], [2.0, 5.0, 9.0])
    refs = pk.io.open_references([first, second])
    assert_allclose(refs.energy, [512, 514, 515, 519])
    assert_allclose(refs.reference_spectrum, [refs.energy - 510] * 2)
    assert "interpolated linearly onto 4 common energies, 512 to 519 eV" in refs.reference_spectrum.attrs["comment"]
    third = two_columns(tmp_path / "c.txt", [700.0, 710.0], [1.0, 2.0])
    with pytest.raises(ReadError, match=r"do not overlap .*c.txt 700..710 eV"):
        pk.io.open_references([first, third])


def test_equal_energies_within_a_millielectronvolt(tmp_path):
    first = two_columns(tmp_path / "a.txt")
    second = two_columns(tmp_path / "b.txt", ENERGY + 4e-4)
    refs = pk.io.open_references([first, second])
    assert_array_equal(refs.energy, ENERGY)
    assert "comment" not in refs.reference_spectrum.attrs


def test_repeated_energies_are_averaged(tmp_path):
    path = two_columns(tmp_path / "a.txt", [512.0, 513.0, 513.0, 514.0], [1.0, 2.0, 4.0, 5.0])
    refs = pk.io.open_references(path)
    assert_allclose(refs.reference_spectrum[0], [1, 3, 5])


XDI = """# XDI/1.0 GSE/1.0
# Column.1: energy keV
# Column.2: i0
# Column.3: itrans
# Element.symbol: V
#---------
# energy  i0  itrans
5.465 100.0 50.0
5.466 100.0 25.0
5.467 100.0 12.5
"""


def test_xdi(tmp_path):
    path = tmp_path / "v2o5.xdi"
    path.write_text(XDI, encoding="utf-8")
    refs = pk.io.open_references(path)
    assert refs.reference.values.tolist() == ["v2o5"]
    assert_allclose(refs.energy, [5465, 5466, 5467])
    assert_allclose(refs.reference_spectrum[0], np.log([2, 4, 8]))
    path.write_text(XDI.replace("itrans", "norm"), encoding="utf-8")
    assert_allclose(pk.io.open_references(path).reference_spectrum[0], [50, 25, 12.5])
    path.write_text(XDI.replace("itrans", "strange"), encoding="utf-8")
    with pytest.raises(ReadError, match="strange"):
        pk.io.open_references(path)


def test_our_own(tmp_path):
    (tmp_path / "refs.csv").write_text(CSV, encoding="utf-8")
    refs = pk.io.open_references(tmp_path / "refs.csv")
    pk.io.save(refs, tmp_path / "refs.nc")
    xr.testing.assert_identical(pk.io.open_references(tmp_path / "refs.nc"), refs)
    joined = pk.io.open_references([tmp_path / "refs.nc", two_columns(tmp_path / "other.csv", head="# units: 1/um\n")])
    assert joined.reference.values.tolist() == ["Na3", "Na2.4", "other"]
    pk.io.save(refs.rename(reference_spectrum="other"), tmp_path / "wrong.nc")
    with pytest.raises(ReadError, match="no reference_spectrum"):
        pk.io.open_references(tmp_path / "wrong.nc")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", b"", "0 bytes"),
        ("a.csv", b"energy,a\n", "no table of numbers"),
        ("a.csv", b"energy,a\n512,1\n513\n", "line '513'"),
        ("a.csv", b"energy,a\n512,1\n513,x\n", "no table of numbers"),
        ("a.csv", b"512\n513\n", "energy and at least one spectrum"),
        ("a.csv", b"energy,a\n512,1\n", "energy and at least one spectrum"),
        ("a.csv", b"energy,a,a\n512,1,2\n513,1,2\n", "same name"),
        ("a.csv", b"energy,a\n512,1\n513,\n", "missing or infinite"),
        ("a.csv", b"energy,a\n512,1\n513,inf\n", "missing or infinite"),
        ("a.csv", b"energy,a\n-512,1\n513,2\n", "not all positive"),
        ("a.csv", b"energy,a\n0.512,1\n0.513,2\n", "too small for eV"),
        ("a.csv", b"# composition: 1, 2\nenergy,a\n512,1\n513,2\n", r"composition: 1, 2' for 1 reference"),
        ("a.csv", b"# composition: x\nenergy,a\n512,1\n513,2\n", "composition"),
        ("a.txt", bytes(200), "binary data"),
        ("a.nc", b"no netcdf", "damaged or foreign"),
    ],
)
def test_wrong_files(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=match) as caught:
        pk.io.open_references(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_and_doubled(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        pk.io.open_references(tmp_path / "no*.csv")
    with pytest.raises(ReadError, match="a folder"):
        pk.io.open_references(tmp_path)
    with pytest.raises(ReadError, match="empty list"):
        pk.io.open_references([])
    path = two_columns(tmp_path / "a.txt")
    with pytest.raises(ReadError, match=r"\['a'\] in more than one file"):
        pk.io.open_references([path, path])
    other = two_columns(tmp_path / "b.txt", head="# units: 1/um\n")
    with pytest.raises(ReadError, match="different units"):
        pk.io.open_references([path, other])


def test_i0(tmp_path):
    i0 = pk.io.open_i0(two_columns(tmp_path / "i0.xsp", spectrum=900 + SPECTRA[0]))
    assert (i0.name, i0.dims, i0.attrs["units"]) == ("i0", ("energy",), "counts")
    assert_allclose(i0, 900 + SPECTRA[0])
    with pytest.raises(ReadError, match="not positive"):
        pk.io.open_i0(two_columns(tmp_path / "dark.xsp", spectrum=SPECTRA[0] - 0.5))
    (tmp_path / "refs.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(ReadError, match="2 columns"):
        pk.io.open_i0(tmp_path / "refs.csv")
