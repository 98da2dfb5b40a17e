"""Stacks as the programs of the field write them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

import phasekit as pk

from . import stack_files as make
from .expected import Refused, refused_with_cure
from .stack_files import COUNTS, FROM_ZERO, NAMES, SQUARE, E, Stack, X, Y


class Case(NamedTuple):
    """One input: how it is made, what is right, and why."""

    name: str
    file: str
    build: Callable[[Path], Path]
    right: Stack | Refused
    why: str
    given: dict = {}  # noqa: RUF012 -- never changed


RIGHT = Stack()
SQUARE_RIGHT = Stack(counts=SQUARE, x=1000 * X[:4])
UNSTATED = Stack(y=None, x=None)


def two_detectors(path):
    make.nxstxm(path)
    with h5py.File(path, "a") as f:
        f.copy("entry1/counter0", "entry1/counter1")
        f["entry1/counter1/data"][...] = COUNTS + 7
    return path


def bare(path):
    with h5py.File(path, "w") as f:
        group = f.create_group("entry1/Counter0")
        group["data"], group["energy"], group["sample_y"], group["sample_x"] = COUNTS, E, Y, X
    return path


def colons(path):
    make.nxstxm(path)
    with h5py.File(path, "a") as f:
        group = f["entry1/counter0"]
        del group.attrs["signal"], group.attrs["axes"]
        group["data"].attrs["signal"], group["data"].attrs["axes"] = 1, "energy:sample_y:sample_x"
    return path


def indices(path):
    make.nxstxm(path, SQUARE.transpose(0, 2, 1), positions=(E, Y, X[:4]))
    with h5py.File(path, "a") as f:
        group = f["entry1/counter0"]
        del group.attrs["axes"]
        for name, place in (("energy", 0), ("sample_x", 1), ("sample_y", 2)):
            group.attrs[f"{name}_indices"] = place
    return path


def polarised(path):
    data = np.stack([COUNTS, COUNTS + 5])
    axes, positions = ("polarization", *NAMES), (np.array([1.0, -1.0]), E, Y, X)
    return make.nxstxm(path, data, axes, positions, units=("", "eV", "um", "um"))


def cut(path):
    make.nxstxm(path)
    path.write_bytes(path.read_bytes()[:-700])
    return path


def foreign(path):
    with h5py.File(path, "w") as f:
        f["scan/detector_3/frames"] = np.zeros((3, 4, 5))
    return path


def change(name, values):
    """A file of NXstxm where one dataset of the counter is another one."""

    def build(path):
        make.nxstxm(path)
        with h5py.File(path, "a") as f:
            group = f["entry1/counter0"]
            unit = dict(group[name].attrs)
            del group[name]
            group[name] = values
            group[name].attrs.update(unit)
        return path

    return build


def rename_frames(path, way):
    make.sdf(path, frames())
    for file in path.parent.glob("*.xim"):
        file.rename(way(file))
    return path


def swap_bytes(path):
    make.ncb(path, -1.0)
    COUNTS.astype(">f4").tofile(path)
    return path


def ask_header(path):
    make.ncb(path.with_suffix(".ncb"), -1.0)
    return path


KEV = E / 1000
NEXUS = [
    Case("PolLux", "p.hdf5", make.nxstxm, RIGHT, "NXstxm: counter0 with axes and units"),
    Case(
        "PolLux, dwell",
        "p.hdf5",
        lambda p: make.nxstxm(p, dwell=2.5),
        RIGHT._replace(dwell=0.0025),
        "count_time with its unit, a number for each energy",
    ),
    Case("MAXYMUS", "m.hdf5", lambda p: make.nxstxm(p, name="APD"), RIGHT, "MAXYMUS names its detector APD"),
    Case("HERMES", "h.nxs", bare, RIGHT, "no attribute at all; the lengths decide, and um is the unit of stages"),
    Case(
        "SoftiMAX, second detector",
        "s.hdf5",
        two_detectors,
        Stack(counts=COUNTS + 7),
        "counter1 is asked for",
        {"counter": "counter1"},
    ),
    Case("NeXus before 2014", "old.nxs", colons, RIGHT, "signal=1 and axes with colons on the data"),
    Case(
        "axes in another order, square",
        "t.hdf5",
        lambda p: make.nxstxm(p, SQUARE.transpose(2, 1, 0), NAMES[::-1], (X[:4], Y, E), units=("um", "um", "eV")),
        SQUARE_RIGHT,
        "the attribute says x, y, energy",
    ),
    Case("AXISNAME_indices alone, square", "i.nxs", indices, SQUARE_RIGHT, "NXdata: the place of each axis"),
    Case(
        "stage that falls",
        "f.hdf5",
        lambda p: make.nxstxm(p, COUNTS[:, ::-1, ::-1], positions=(E, Y[::-1], X[::-1])),
        RIGHT,
        "positions rise in a STACK, the counts go with them",
    ),
    Case(
        "positions in mm, stated",
        "mm.hdf5",
        lambda p: make.nxstxm(p, positions=(E, Y / 1000, X / 1000), units=("eV", "mm", "mm")),
        RIGHT,
        "NeXus allows any unit of length",
    ),
    Case(
        "positions in m, not stated",
        "m.hdf5",
        lambda p: make.nxstxm(p, positions=(E, Y * 1e-6, X * 1e-6), units=("eV", "", "")),
        Refused(("step",), {"step_nm": [50.0, 40.0]}, FROM_ZERO),
        "read as um a step is 4e-5 nm, which no stage makes",
    ),
    Case(
        "keV, stated",
        "k.hdf5",
        lambda p: make.nxstxm(p, positions=(KEV, Y, X), units=("keV", "um", "um")),
        RIGHT,
        "the unit is that of the file",
    ),
    Case(
        "keV, not stated",
        "k.hdf5",
        lambda p: make.nxstxm(p, positions=(KEV, Y, X), units=("", "um", "um")),
        Refused(("keV",), {"energies": E.tolist()}, RIGHT),
        "0.7 is no eV of an edge",
    ),
    Case(
        "keV called eV",
        "k.hdf5",
        lambda p: make.nxstxm(p, positions=(KEV, Y, X), units=("eV", "um", "um")),
        Refused(("eV",), {"energies": E.tolist()}, RIGHT),
        "the unit is wrong, the numbers tell",
    ),
    Case(
        "two polarisations",
        "c.hdf5",
        polarised,
        Refused(("polarisation",), {"polarisation": -1}, Stack(counts=COUNTS + 5)),
        "a STACK has one polarisation",
    ),
    Case(
        "fewer frames than energies",
        "n.hdf5",
        change("data", COUNTS[:2]),
        Refused(("energies",), {"energies": [700.0, 705.0]}, Stack(counts=COUNTS[:2], energy=E[:2])),
        "a stopped scan keeps its list of energies",
    ),
    Case(
        "energy of every pixel",
        "n.hdf5",
        change("energy", np.broadcast_to(E[:, None, None], COUNTS.shape)),
        Refused(("energies",), {"energies": E.tolist()}, RIGHT),
        "sixty energies for three frames",
    ),
    Case(
        "other names of the stage",
        "n.hdf5",
        lambda p: make.nxstxm(p, axes=("energy", "stage_y", "stage_x")),
        RIGHT,
        "not every beamline calls its stage sample",
    ),
    Case(
        "positions in nm that the file calls um",
        "n.hdf5",
        lambda p: make.nxstxm(p, positions=(E, Y * 1000, X * 1000)),
        Refused(("nm",), {"step_nm": [50.0, 40.0]}, FROM_ZERO),
        "steps of 50 um: no scan of a zone plate",
    ),
    Case("cut off", "cut.hdf5", cut, Refused(("copy the file again",)), "bytes are missing"),
    Case("another layout", "x.h5", foreign, Refused(("its groups: scan",)), "the message says what is there"),
    Case("pystxmcontrol 3", "n.stxm", lambda p: make.pystxmcontrol(p, 3.0), RIGHT._replace(dwell=1e-3), "its writer"),
    Case(
        "pystxmcontrol 2.1",
        "n.stxm",
        lambda p: make.pystxmcontrol(p, 2.1),
        RIGHT._replace(dwell=1e-3),
        "binned_values holds the image",
    ),
    Case(
        "pystxmcontrol 2.0",
        "n.stxm",
        lambda p: make.pystxmcontrol(p, 2.0),
        RIGHT._replace(dwell=1e-3),
        "two measured points in each pixel: their sum belongs to the requested position",
    ),
    Case(
        "pystxmcontrol 1",
        "n.stxm",
        lambda p: make.pystxmcontrol(p, 1.0),
        RIGHT._replace(dwell=1e-3),
        "counter0 holds all",
    ),
    Case(
        "pystxmcontrol, 12 regions",
        "n.stxm",
        lambda p: make.pystxmcontrol(p, 3.0, 12),
        Refused(("region", "entry11"), {"region": 2}, Stack(counts=COUNTS + 2000)),
        "entry0 to entry11: the third is entry2, not entry10",
    ),
]


def frames(end="", channel="a", shift=0, skip=None):
    return {f"{channel}{k:03d}{end}": COUNTS[k] + shift for k in range(3) if k != skip}


def broken_brace(path):
    make.sdf(path, frames())
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("710.0000)", "710.0000})"), encoding="utf-8")
    return path


BESIDE = COUNTS.copy()
BESIDE[1] = np.nan
SDF = [
    Case("SDF", "s.hdr", lambda p: make.sdf(p, frames()), RIGHT._replace(dwell=0.0025), "STXM control, Dwell in ms"),
    Case(
        "SDF, two regions",
        "r.hdr",
        lambda p: make.sdf(p, {**frames("0"), **frames("1", shift=50)}, regions=2, flags="Multi-Region Image Stack"),
        Refused(("region",), {"region": 1}, Stack(counts=COUNTS + 50)),
        "files _a0000.xim: three digits for the energy, one for the region",
    ),
    Case(
        "SDF, two detectors",
        "c.hdr",
        lambda p: make.sdf(p, {**frames(), **frames(channel="b", shift=9)}, channels=("PMT", "APD")),
        Stack(counts=COUNTS + 9),
        "the letter is the place in Channels",
        {"counter": "APD"},
    ),
    Case(
        "SDF, a frame is missing, NaN",
        "g.hdr",
        lambda p: make.sdf(p, frames(skip=1)),
        Refused(("705",), {"missing_frames": "nan"}, Stack(counts=BESIDE)),
        "the microscope stopped and went on; the other frames keep their energies",
    ),
    Case(
        "SDF, a frame is missing, the others",
        "g.hdr",
        lambda p: make.sdf(p, frames(skip=1)),
        Refused(("705",), {"energies": [700.0, 710.0]}, Stack(counts=COUNTS[[0, 2]], energy=E[[0, 2]])),
        "energies= names those that are there",
    ),
    Case(
        "SDF, single image of two regions",
        "i.hdr",
        lambda p: make.sdf(
            p,
            {"a0": COUNTS[0], "a1": COUNTS[2]},
            regions=2,
            flags="Multi-Region Image",
            kind="Image Scan",
            energy=E[:1],
        ),
        Refused(("region",), {"region": 1}, Stack(counts=COUNTS[2:], energy=E[:1])),
        "files _a0.xim and _a1.xim",
    ),
    Case(
        "SDF, line scan",
        "l.hdr",
        lambda p: make.sdf(p, {"a": COUNTS[0]}, flags="Image", kind="NEXAFS Line Scan"),
        Refused(("Line Scan",)),
        "energies along a line are no stack of images",
    ),
    Case(
        "SDF, endings in capitals",
        "s.hdr",
        lambda p: rename_frames(p, lambda file: file.with_suffix(".XIM")),
        RIGHT,
        "disks of DOS, as aXis2000's .DAT",
    ),
    Case(
        "SDF, header renamed",
        "new.hdr",
        lambda p: rename_frames(p, lambda file: file.with_name(file.name.replace("new", "old"))),
        Refused(("old_a000.xim",)),
        "the frames are there under another name: the message says so",
    ),
    Case("SDF from PolLux HDF5", "b.hdr", broken_brace, RIGHT, "PolLux's converter leaves a brace too many"),
]
AXIS = [
    Case("aXis2000, float", "s.ncb", lambda p: make.ncb(p, -1.0), RIGHT, "scale -1: float32"),
    Case(
        "aXis2000, scaled",
        "s.ncb",
        lambda p: make.ncb(p, 10.0, counts=COUNTS / 10),
        Stack(counts=COUNTS / 10),
        "int16 holds the values times the scale",
    ),
    Case(
        "aXis2000, x from right to left",
        "s.ncb",
        lambda p: make.ncb(p, 1.0, x=X[::-1], counts=COUNTS[:, :, ::-1]),
        RIGHT,
        "x_start > x_stop: the columns are reversed",
    ),
    Case(
        "aXis2000, energies fall",
        "s.ncb",
        lambda p: make.ncb(p, 1.0, energy=E[::-1], counts=COUNTS[::-1], names=False),
        RIGHT,
        "scanned downwards; without names of images, as older versions wrote",
    ),
    Case(
        "aXis2000 of a Macintosh",
        "s.ncb",
        swap_bytes,
        Refused(("big-endian", "tofile")),
        "IDL writes the bytes as its computer has them; read as they are the counts are 1e-41",
    ),
    Case("aXis2000, its header given", "s.dat", ask_header, Refused(("s.ncb",)), "the .dat is not the stack"),
    Case("Mantis exchange", "m.hdf5", make.exchange, RIGHT, "Mantis holds (x, y, energy)"),
    Case(
        "Mantis exchange, square, no axes",
        "m.hdf5",
        lambda p: make.exchange(p, SQUARE, X[:4], axes=None),
        SQUARE_RIGHT,
        "Mantis: 'for spectromicroscopy it is always x:y:z'",
    ),
    Case(
        "Mistral",
        "m.hdf5",
        make.mistral,
        FROM_ZERO._replace(counts=COUNTS / 4000),
        "(energy, y, x), pixel sizes in um",
    ),
]

SIZED = {"imagej": True, "resolution": (1 / 0.04, 1 / 0.05), "metadata": {"unit": "um", "axes": "ZYX"}}
OME = {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.04, "PhysicalSizeY": 0.05}}
OME["metadata"] |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
LIST = "".join(f"img_{k:03d}.tif\t{e:.2f}\n" for k, e in enumerate(E, 1))
TIFF = [
    Case(
        "ImageJ, energies from Mantis",
        "t.tif",
        lambda p: make.tiff(p, "700.000000\n705.000000\n710.000000\n", **SIZED),
        FROM_ZERO,
        "Mantis: a .txt of that name, one energy a line; ImageJ's resolution is pixels per unit",
    ),
    Case(
        "OME, German list",
        "t.ome.tif",
        lambda p: (
            make.tiff(p, None, **OME)
            and make.tiff(p, "Bild;Energie (eV)\r\n1;700,0\r\n2;705,0\r\n3;710,0\r\n", ".csv", **OME)
        ),
        FROM_ZERO,
        "pixel sizes of OME-XML; Excel's csv",
    ),
    Case(
        "list with pages in another order and dwell",
        "t.tif",
        lambda p: make.tiff(p, "frame,dwell,energy\n2,2,705\n1,2,700\n3,2,710\n", ".csv"),
        UNSTATED,
        "the header says which column is the energy, and which the page",
    ),
    Case(
        "list with numbers of frames that are no pages",
        "t.tif",
        lambda p: make.tiff(p, "frame,energy\n100,700\n200,705\n300,710\n", ".csv"),
        Refused(("frame", "energies"), {"energies": E.tolist()}, UNSTATED),
        "which page is frame 100 is not said",
    ),
    Case(
        "list of file names in no order",
        "t.tif",
        lambda p: make.tiff(p, "b.tif 705\na.tif 700\nc.tif 710\n"),
        Refused(("names", "energies"), {"energies": E.tolist()}, UNSTATED),
        "pages may be in the order of the list or of the names",
    ),
    Case(
        "list of file names",
        "t.tif",
        lambda p: make.tiff(p, LIST),
        UNSTATED,
        "ImageJ's import list: name and energy",
    ),
    Case(
        "one line of energies",
        "t.tif",
        lambda p: make.tiff(p, "700, 705, 710\n"),
        UNSTATED,
        "typed by hand",
    ),
    Case(
        "keV with unit",
        "t.tif",
        lambda p: make.tiff(p, "Energy (keV)\n0.700\n0.705\n0.710\n"),
        UNSTATED,
        "the unit stands above the numbers",
    ),
    Case(
        "ImageJ in inches",
        "t.tif",
        lambda p: make.tiff(p, "700\n705\n710\n", imagej=True, resolution=(635e3, 508e3), metadata={"unit": "inch"}),
        FROM_ZERO,
        "635000 pixels an inch are 40 nm",
    ),
    Case(
        "a text that is no list",
        "t.tif",
        lambda p: make.tiff(p, "This stack was measured at 700 eV\nby me\n", **SIZED),
        Refused(("energies",), {"energies": E.tolist()}, FROM_ZERO),
        "remarks beside an image; not a table of spectra is missing",
    ),
    Case(
        "no energies",
        "t.tif",
        lambda p: make.tiff(p, **SIZED),
        Refused(("energies",), {"energies": E.tolist()}, FROM_ZERO),
        "a TIFF has none",
    ),
    Case(
        "two energies for three pages",
        "t.tif",
        lambda p: make.tiff(p, "700\n705\n", **SIZED),
        Refused(("2", "3"), {"energies": E.tolist()}, FROM_ZERO),
        "one energy a page",
    ),
    Case(
        "colour",
        "t.tif",
        lambda p: make.tiff(p, data=np.zeros((4, 5, 3)), photometric="rgb"),
        Refused(("colour",)),
        "three colours are no three energies",
    ),
    Case(
        "energies in a workbook",
        "t.tif",
        lambda p: make.tiff(p, b"PK\x03\x04" + bytes(200), ".xlsx", **SIZED),
        Refused(("energies",), {"energies": E.tolist()}, FROM_ZERO),
        "a workbook is no text",
    ),
]


def check_stack(found, right: Stack):
    assert found.intensity.dims == ("energy", "scan_y", "scan_x")
    assert_allclose(found.energy.values, right.energy)
    assert_allclose(found.intensity.values, right.counts, rtol=1e-5)
    if right.y is not None:
        assert_allclose(found.scan_y.values, right.y, atol=1e-3)
        assert_allclose(found.scan_x.values, right.x, atol=1e-3)
    if right.dwell is not None:
        assert_allclose(found.dwell.values, right.dwell)


@pytest.mark.parametrize("case", [*NEXUS, *SDF, *AXIS, *TIFF], ids=lambda case: case.name)
def test_stacks(tmp_path, case):
    path = case.build(tmp_path / case.file)

    def open_input(**given):
        return pk.io.open_stxm(path, **given).load()

    if isinstance(case.right, Refused):
        refused_with_cure(open_input, case.right, check_stack, case.given)
    else:
        check_stack(open_input(**case.given), case.right)
