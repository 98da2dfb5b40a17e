"""Energies beside a TIFF, incident spectra from tables and scans, and the arguments that cures name."""

import ast
import inspect
import re

import h5py
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose

import phasekit as pk
from phasekit.errors import ReadError
from tests.io.conftest import ENERGY as STACK_ENERGY
from tests.io.test_table_cases import COUNT, COUNTS, FROM_ONE, KEV, REGULAR, A, E, N, check_arguments, rows, table
from tests.tree import ROOT, tracked

PAGES = np.arange(N * 6, dtype=np.uint16).reshape(N, 2, 3) + 100

SIDECARS = [
    ("frame,energy", table("frame,energy", COUNT, E), E),
    ("index;energy (eV)", table("index;energy (eV)", FROM_ONE, E, sep=";", decimal=","), E),
    ("energy alone", "".join(f"{e}\n" for e in E), E),
    ("header alone", "energy\n" + "".join(f"{e}\n" for e in E), E),
    ("keV", table("page energy_keV", COUNT, KEV, sep=" "), E),
    ("no header", rows(FROM_ONE, E, sep="\t"), E),
    ("energy first", table("energy,dwell", E, [1.0] * N), E),
    ("counts", table("counts,energy", COUNTS, E), E),
    ("falling", "".join(f"{e}\n" for e in E[::-1]), E),
    ("zigzag", "".join(f"{e}\n" for e in (515.0, 520.0, 516.0, 519.0, 517.0)), [515.0, 520.0, 516.0, 519.0, 517.0]),
    ("pages out of order", table("page,energy", [2, 1, 3, 5, 4], E), [E[1], E[0], E[2], E[4], E[3]]),
    ("decimal commas", "energy\n" + "".join(f"{e}\n".replace(".", ",") for e in E), E),
]
WRONG_SIDECARS = [
    ("too few", "".join(f"{e}\n" for e in E[:-1]), r"4 energies for 5 page"),
    ("keV without a unit", "".join(f"{e}\n" for e in KEV), r"too small for eV"),
    ("keV called eV", table("frame,energy (eV)", COUNT, KEV), r"no edge lies"),
    ("two axes", table("energy_set,energy_read", E, [e + 0.1 for e in E]), r"several columns of energies"),
    ("two regular", rows(REGULAR, [100.0, 110.0, 120.0, 130.0, 140.0], sep=" "), r"may be energies"),
    ("pages missing", table("frame,energy", [0, 1, 2, 4, 5], E), r"not counted from 0 or 1"),
    ("commas", "515,5\n516,5\n517,5\n518,5\n519,5\n", r"commas that separate"),
    ("text", "none\n", r"no table of numbers"),
    ("wavelengths", table("frame,wavelength (nm)", COUNT, [2.4, 2.39, 2.38, 2.37, 2.36]), r"wavelengths"),
]


def write_tiff(folder, text):
    tifffile.imwrite(folder / "a.tif", PAGES, photometric="minisblack")
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return folder / "a.tif"


@pytest.mark.parametrize(("kind", "text", "energy"), SIDECARS, ids=lambda value: str(value)[:20])
def test_energies_beside_a_tiff(tmp_path, kind, text, energy):
    stack = pk.io.open_stxm(write_tiff(tmp_path, text), step_nm=10)
    # A list that falls is turned with its pages.
    assert_allclose(stack.energy, energy)
    first = PAGES[-1] if kind == "falling" else PAGES[0]
    assert_allclose(stack.intensity[0], first)


@pytest.mark.parametrize(("kind", "text", "match"), WRONG_SIDECARS, ids=lambda value: str(value)[:20])
def test_energies_that_are_not_sure_name_energies(tmp_path, kind, text, match):
    path = write_tiff(tmp_path, text)
    with pytest.raises(ReadError, match=match) as caught:
        pk.io.open_stxm(path)
    check_arguments(caught.value, pk.io.open_stxm)
    assert "energies=" in caught.value.cure or kind == "text"
    assert_allclose(pk.io.open_stxm(path, energies=E).energy, E)


INCIDENT = [
    ("a.xsp", rows(E, COUNTS, sep=" "), {}),
    ("a.csv", table("index,energy,I0", COUNT, E, COUNTS), {}),
    ("a.csv", table("I0;energy", COUNTS, E, sep=";", decimal=","), {}),
    ("a.txt", table("energy it i0 i0_err", E, A, COUNTS, A, sep=" "), {}),
    ("a.csv", table("energy,A,B", E, A, COUNTS), {"columns": "B"}),
    ("a.csv", table("energy,A,B", E, COUNTS, A), {"columns": 1}),
    ("a.csv", table("# units\nenergy (keV),counts", KEV, COUNTS), {}),
    ("a.csv", table("energy,counts", KEV, COUNTS), {"energy_unit": "keV"}),
    ("a.csv", table("energy,counts", E, COUNTS) + table("energy,counts", E, A), {"scan": 1}),
    ("a.csv", table("E_A,A,E_B,B", E, COUNTS, REGULAR, A), {"columns": "A"}),
]
NO_INCIDENT = [
    (table("energy,A,B", E, A, COUNTS), r"2 columns beside the energy.*columns="),
    (table("energy,mu", E, A), r"absorption and no intensity.*columns="),
    (table("energy,i0", KEV, COUNTS), r"too small.*energy_unit="),
    (table("energy,counts", E, COUNTS) + table("energy,counts", E, A), r"2 scans.*scan="),
    (table("energy,counts", E, [0.0, *A[1:]]), r"not positive"),
    (table("E_A,A,E_B,B", E, COUNTS, REGULAR, A), r"2 spectra, each with its energies.*columns="),
    (table("energy_a,energy_b,i0", E, REGULAR, COUNTS), r"several columns of energies.*energy_column="),
]


@pytest.mark.parametrize(("name", "text", "arguments"), INCIDENT)
def test_incident_intensity_from_tables(tmp_path, name, text, arguments):
    (tmp_path / name).write_text(text, encoding="utf-8")
    i0 = pk.io.open_i0(tmp_path / name, **arguments)
    assert_allclose(i0.energy, E)
    assert_allclose(i0, COUNTS)


@pytest.mark.parametrize(("text", "match"), NO_INCIDENT)
def test_no_incident_intensity_is_guessed(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=match) as caught:
        pk.io.open_i0(tmp_path / "a.csv")
    check_arguments(caught.value, pk.io.open_i0)


POINT = """ScanDefinition = { Label = "p.hdr"; Type = "NEXAFS Point Scan"; Flags = "Spectra"; ScanType = "Spectra";
Dwell = 20; Regions = (1, { PAxis = { Name = "Energy"; Unit = "eV"; Points = (5, 515, 516.5, 517, 518.25, 520); };
QAxis = { Name = "point"; Unit = ""; Points = (1, 0); }; });
Channels = (CHANNELS); };
"""


def test_incident_intensity_of_an_sdf_point_scan(tmp_path):
    path = tmp_path / "p.hdr"
    path.write_text(POINT.replace("CHANNELS", '1, { Name = "PMT"; }'), encoding="utf-8")
    with pytest.raises(ReadError, match=r"p_0\.xsp"):
        pk.io.open_i0(path)
    (tmp_path / "p_0.xsp").write_text(rows(E, COUNTS, A, sep="\t"), encoding="utf-8")
    i0 = pk.io.open_i0(path)
    assert_allclose(i0, COUNTS)
    assert_allclose(i0.dwell, 0.02)
    path.write_text(POINT.replace("CHANNELS", '2, { Name = "PMT"; }, { Name = "diode"; }'), encoding="utf-8")
    with pytest.raises(ReadError, match="counter="):
        pk.io.open_i0(path)
    assert_allclose(pk.io.open_i0(path, counter="diode"), A)
    with pytest.raises(ReadError, match="region="):
        pk.io.open_i0(path, region=3)


def write_point(path, entries=("entry1",), unit="eV", shape=(N,)):
    with h5py.File(path, "w") as file:
        for k, entry in enumerate(entries):
            group = file.create_group(f"{entry}/counter0")
            group.attrs["NX_class"] = "NXdata"
            group.attrs["signal"] = "data"
            group["data"] = (np.array(COUNTS) + k).reshape(shape)
            group["energy"] = np.array(E if unit == "eV" else KEV)
            group["energy"].attrs["units"] = unit
    return path


@pytest.mark.parametrize(("unit", "shape"), [("eV", (N,)), ("keV", (N, 1, 1)), ("eV", (1, N))])
def test_incident_intensity_of_a_nexus_point_scan(tmp_path, unit, shape):
    i0 = pk.io.open_i0(write_point(tmp_path / "p.hdf5", unit=unit, shape=shape))
    assert_allclose(i0, COUNTS)
    assert_allclose(i0.energy, E)


def test_several_nexus_points_are_chosen(tmp_path):
    path = write_point(tmp_path / "p.hdf5", ("entry1", "entry2"))
    with pytest.raises(ReadError, match="entry=") as caught:
        pk.io.open_i0(path)
    check_arguments(caught.value, pk.io.open_i0)
    assert_allclose(pk.io.open_i0(path, entry="entry2"), np.array(COUNTS) + 1)


def test_incident_intensity_of_a_stack(tmp_path, stxm):
    for path in (stxm.sdf(tmp_path / "a.hdr"), stxm.pollux(tmp_path / "a.hdf5")):
        stack = pk.io.open_stxm(path)
        i0 = pk.io.open_i0(path)
        assert_allclose(i0, stack.intensity.mean(("scan_y", "scan_x")))
        assert_allclose(i0.energy, STACK_ENERGY)
        assert "ring_current" in i0.coords
        assert "mean over 4 x 6 pixels" in i0.attrs["comment"]
    saved = pk.io.save(stack, tmp_path / "a.nc")
    assert_allclose(pk.io.open_i0(saved), i0)


def test_a_stack_with_a_sample_is_no_incident_intensity(tmp_path):
    counts = np.full((N, 16, 16), 500.0, dtype=np.float32)
    counts[:, 4:12, 4:12] = 200
    tifffile.imwrite(tmp_path / "a.tif", counts, photometric="minisblack")
    (tmp_path / "a.txt").write_text("".join(f"{e}\n" for e in E), encoding="utf-8")
    with pytest.raises(ReadError, match=r"shows a sample.*optical_density.*accept='i0_contrast'"):
        pk.io.open_i0(tmp_path / "a.tif")
    assert_allclose(pk.io.open_i0(tmp_path / "a.tif", accept="i0_contrast"), 425)


def test_arguments_of_scans_are_refused_for_tables(tmp_path):
    (tmp_path / "a.csv").write_text(rows(E, COUNTS), encoding="utf-8")
    with pytest.raises(ReadError, match="leave entry="):
        pk.io.open_i0(tmp_path / "a.csv", entry="entry1")


#: Functions that reach the modules of a folder or file of phasekit/io; the first fitting one counts.
OPENERS = {
    "formats/tables": (pk.io.open_references, pk.io.open_i0, pk.io.open_stxm),
    "formats/table_paths": (pk.io.open_references, pk.io.open_i0),
    "formats/point_spectra": (pk.io.open_i0,),
    "plausibility/spectra": (pk.io.open_references, pk.io.open_i0),
    "incident": (pk.io.open_i0,),
    "references": (pk.io.open_references,),
    "formats/stxm": (pk.io.open_stxm,),
    "stxm": (pk.io.open_stxm,),
    "formats/fourdstem": (pk.io.open_4dstem,),
    "fourdstem": (pk.io.open_4dstem,),
}


def list_cures():
    """Texts of cures in phasekit/io that hold ``name=``, each with its module."""
    folder = ROOT / "phasekit" / "io"
    for path in tracked("phasekit/io", "*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.keyword) or node.arg != "cure":
                continue
            parts = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            text = " ".join(parts)
            if re.search(r"\b[a-z]\w*=", text):
                yield str(path.relative_to(folder).with_suffix("").as_posix()), text


CURES = list(list_cures())


def test_there_are_cures_to_check():
    assert len(CURES) > 20


@pytest.mark.parametrize(("module", "cure"), CURES, ids=lambda value: value[:40])
def test_a_cure_names_arguments_that_exist(module, cure):
    functions = next((f for start, f in OPENERS.items() if module.startswith(start)), None)
    every = [getattr(pk.io, name) for name in dir(pk.io)]
    known = {name for f in functions or filter(inspect.isfunction, every) for name in inspect.signature(f).parameters}
    said = set(re.findall(r"\b([a-z]\w*)=", cure))
    assert said <= known, f"{module}: {said - known} in {cure!r}"
