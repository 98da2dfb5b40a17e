"""Stacks as the world writes them: each case says what the file is, and its right value or right refusal.

Every file holds the stack of ``conftest``: ``intensity[e, y, x] = 1000 (e + 1) + 10 y + x``, steps of 50 and 80 nm.
"""

import pickle
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

import phasekit as pk
from phasekit.errors import ReadError, SchemaError
from tests.io import stack_files
from tests.io.conftest import ENERGY, INTENSITY, X_UM, Y_UM

SQUARE = INTENSITY[:, :, :4]
SQUARE_X = X_UM[:4]


@dataclass
class Case:
    """``write(stxm, folder)`` makes the file; it opens with ``options`` to ``intensity``, or is refused with words."""

    name: str
    write: Any
    options: dict = field(default_factory=dict)
    refused: str = ""
    intensity: Any = None
    energy: Any = None
    y_nm: Any = None
    x_nm: Any = None
    check: Any = None


def nexus(
    *,
    data=INTENSITY,
    axes=("energy", "sample_y", "sample_x"),
    attrs=(),
    values=(ENERGY, Y_UM, X_UM),
    units=("eV", "um", "um"),
    numbers=(),
    change=None,
):
    """Writer of an NXdata group with these attributes, axes and units."""

    def write(_stxm, folder):
        with h5py.File(folder / "a.hdf5", "w") as file:
            entry = file.create_group("entry1")
            entry.attrs["NX_class"] = "NXentry"
            group = entry.create_group("counter0")
            group.attrs["NX_class"] = "NXdata"
            group.attrs["signal"] = "data"
            if axes:
                group.attrs["axes"] = list(axes)
            for key, value in dict(attrs).items():
                group.attrs[key] = value
            group["data"] = data
            for name, numbers_of, unit in zip(("energy", "sample_y", "sample_x"), values, units, strict=True):
                group[name] = numbers_of
                if unit is not None:
                    group[name].attrs["units"] = unit
            for name, number in dict(numbers).items():
                group[name].attrs["axis"] = number
            if change:
                change(file, group)
        return folder / "a.hdf5"

    return write


def positions(scale, unit=None, step_um=None):
    """Writer of a stack whose positions are um times ``scale``, stated as ``unit``."""
    y, x = (Y_UM, X_UM) if step_um is None else (step_um * np.arange(4), step_um * np.arange(6))
    return nexus(values=(ENERGY, y * scale, x * scale), units=("eV", unit, unit))


def positions_of_two():
    """Writer of a crop of 2 x 2 pixels without units, 11 um apart, as a public HERMES file has them."""
    return nexus(data=INTENSITY[:, :2, :2], values=(ENERGY, [0.0, 11.0], [0.0, 11.0]), units=("eV", None, None))


def square(order, *, attrs=(), axes=(), numbers=()):
    """Writer of a square map stored in this order of (energy, y, x), with these statements."""
    return nexus(data=SQUARE.transpose(order), values=(ENERGY, Y_UM, SQUARE_X), attrs=attrs, axes=axes, numbers=numbers)


def indices(energy, y, x):
    return {"energy_indices": energy, "sample_y_indices": y, "sample_x_indices": x}


def energies(scale, unit):
    return nexus(values=(ENERGY * scale, Y_UM, X_UM), units=(unit, "um", "um"))


STEPS = [
    Case(
        "mm without a unit",
        positions(1e-3),
        refused=r"Probably positions in mm without a unit.*give step_nm=\(50, 80\)",
    ),
    Case("m without a unit", positions(1e-6), refused=r"positions in m without a unit.*step_nm=\(50, 80\)"),
    Case("nm without a unit", positions(1e3), refused=r"positions in nm without a unit.*step_nm=\(50, 80\)"),
    Case("67 nm in mm without a unit", positions(1e-3, step_um=0.067), refused=r"of 0\.067 nm.*step_nm=67"),
    Case(
        "only x in mm without a unit",
        nexus(values=(ENERGY, Y_UM, X_UM / 1e3), units=("eV", None, None)),
        refused=r"along scan_x.*give step_nm=\(50, 80\)",
    ),
    Case("two positions, the ends of a field", positions_of_two(), x_nm=[0.0, 11000.0]),
    Case("um without a unit", positions(1), y_nm=Y_UM * 1e3, x_nm=X_UM * 1e3),
    Case("mm called um", positions(1e-3, "um"), refused=r"positions in mm that the file calls um.*step_nm=\(50, 80\)"),
    Case("nm called um", positions(1e3, "um"), refused=r"positions in nm that the file calls um.*step_nm=\(50, 80\)"),
    Case("um called m", positions(1, "m"), refused=r"positions in um that the file calls m\b.*step_nm=\(50, 80\)"),
    Case(
        "mm without a unit and the steps given",
        positions(1e-3),
        {"step_nm": (50, 80)},
        y_nm=50 * np.arange(4),
        x_nm=80 * np.arange(6),
    ),
    Case("a tiny step that is meant", positions(1e-3), {"accept": "step_nm"}, x_nm=X_UM),
    Case("a step argument in um", positions(1), {"step_nm": 0.05}, refused=r"a step of the scan.*accept='step_nm'"),
]

# On a square map the lengths tell energy from the others, and only the statements tell y from x.
SQUARES = [
    Case("indices: energy, y, x", square((0, 1, 2), attrs=indices(0, 1, 2)), intensity=SQUARE),
    Case("indices: energy, x, y", square((0, 2, 1), attrs=indices(0, 2, 1)), intensity=SQUARE),
    Case("indices: y, x, energy", square((1, 2, 0), attrs=indices(2, 0, 1)), intensity=SQUARE),
    Case("indices: x, y, energy", square((2, 1, 0), attrs=indices(2, 1, 0)), intensity=SQUARE),
    Case(
        "indices as arrays of one",
        square((0, 2, 1), attrs={k: np.array([v]) for k, v in indices(0, 2, 1).items()}),
        intensity=SQUARE,
    ),
    Case(
        "indices as texts",
        square((0, 2, 1), attrs={k: str(v) for k, v in indices(0, 2, 1).items()}),
        intensity=SQUARE,
    ),
    Case("indices from the end", square((0, 2, 1), attrs=indices(-3, -1, -2)), intensity=SQUARE),
    Case("only x has an index", square((0, 2, 1), attrs={"sample_x_indices": 1}), intensity=SQUARE),
    Case(
        "indices and axes agree",
        square((0, 2, 1), attrs=indices(0, 2, 1), axes=("energy", "sample_x", "sample_y")),
        intensity=SQUARE,
    ),
    Case(
        "indices contradict axes",
        square((0, 2, 1), attrs=indices(0, 2, 1), axes=("energy", "sample_y", "sample_x")),
        refused=r"axes are stated as.*axes=\('energy', 'scan_y', 'scan_x'\)",
    ),
    Case(
        "numbers contradict indices",
        square((0, 2, 1), attrs=indices(0, 2, 1), numbers={"energy": 1, "sample_y": 2, "sample_x": 3}),
        refused="axes are stated as",
    ),
    Case(
        "numbers contradict axes",
        square((0, 1, 2), axes=("energy", "sample_y", "sample_x"), numbers={"sample_x": 2, "sample_y": 3}),
        refused="axes are stated as",
    ),
    Case(
        "a contradiction that the caller decides",
        square((0, 2, 1), attrs=indices(0, 2, 1), axes=("energy", "sample_y", "sample_x")),
        {"axes": ("energy", "scan_x", "scan_y")},
        intensity=SQUARE,
    ),
    Case("nothing stated, energy last", square((1, 2, 0)), refused=r"may be .*axes="),
    Case(
        "nothing stated, energy last, order given",
        square((2, 1, 0)),
        {"axes": ("scan_x", "scan_y", "energy")},
        intensity=SQUARE,
    ),
    Case("nothing stated, order of the definition", square((0, 1, 2)), intensity=SQUARE),
    Case("numbers from 0", square((0, 2, 1), numbers={"energy": 0, "sample_x": 1, "sample_y": 2}), intensity=SQUARE),
    Case("an order that does not fit", square((0, 1, 2)), {"axes": ("scan_x", "scan_y", "energy")}, "not in the order"),
    Case(
        "two signals",
        nexus(change=lambda _file, group: _mark(group, "other")),
        refused="two signals in 'entry1/counter0'.*attribute 'signal'",
    ),
    Case(
        "a signal that is not there, and two others",
        nexus(change=lambda _file, group: _rename_signal(group)),
        refused=r"a signal 'flux' that is not there, beside \['data', 'counts'\]",
    ),
    Case("one signal, said twice", nexus(change=lambda _file, group: _mark(group, "data")), intensity=INTENSITY),
]


def _rename_signal(group):
    group.attrs["signal"] = "flux"
    group["counts"] = -INTENSITY


def _mark(group, name):
    if name not in group:
        group[name] = -INTENSITY
    group[name].attrs["signal"] = 1


ENERGIES = [
    Case("keV called eV", energies(1e-3, "eV"), refused=r"keV that the file calls eV.*energies=\[512, 515\.5, 523\]"),
    Case("keV without a unit", energies(1e-3, None), refused=r"keV.*energies=\[...\]"),
    Case("eV called keV", energies(1, "keV"), refused=r"eV that the file calls keV.*energies=\[512, 515\.5, 523\]"),
    Case("keV called keV", energies(1e-3, "keV"), energy=ENERGY),
    Case("J", energies(1.602176634e-19, "J"), energy=ENERGY),
    Case("energies argument in keV", energies(1, "eV"), {"energies": ENERGY / 1e3}, refused="keV given as eV"),
    Case("keV called eV, given", energies(1e-3, "eV"), {"energies": ENERGY}, energy=ENERGY),
    Case("vacuum ultraviolet that is meant", energies(0.06, "eV"), {"accept": ["energy_ev"]}, energy=ENERGY * 0.06),
]


def entries(first, last, order=None):
    """Writer of numbered entries; the counts of entry n are larger by 10000 n."""

    def write(_stxm, folder):
        with h5py.File(folder / "a.hdf5", "w") as file:
            for n in order or range(first, last + 1):
                group = file.create_group(f"entry{n}/counter0")
                file[f"entry{n}"].attrs["NX_class"] = "NXentry"
                group.attrs["axes"] = ["energy", "sample_y", "sample_x"]
                group["data"], group["energy"] = INTENSITY + 10000 * n, ENERGY
                group["sample_y"], group["sample_x"] = Y_UM, X_UM
        return folder / "a.hdf5"

    return write


# The region is the place in the order of the numbers, as for SDF.
ENTRIES = [
    Case("entry1 to entry12, region 0", entries(1, 12), {"region": 0}, intensity=INTENSITY + 10000),
    Case("entry1 to entry12, region 1", entries(1, 12), {"region": 1}, intensity=INTENSITY + 20000),
    Case("entry1 to entry12, region 11", entries(1, 12), {"region": 11}, intensity=INTENSITY + 120000),
    Case("entry0 to entry10, region 1", entries(0, 10), {"region": 1}, intensity=INTENSITY + 10000),
    Case("written in another order", entries(1, 3, (3, 1, 2)), {"region": 0}, intensity=INTENSITY + 10000),
    Case("entry10 by name", entries(1, 12), {"entry": "entry10"}, intensity=INTENSITY + 100000),
    Case("not chosen", entries(1, 12), refused=r"12 entries: 'entry1' .*'entry2' .*'entry3'.*region="),
    Case("region 12 of 12", entries(1, 12), {"region": 12}, refused="region=12"),
]

POL = np.stack([INTENSITY, -INTENSITY + 9000])


def polarised(*, values=(1.0, -1.0), name="polarization", order=(0, 1, 2, 3), state=True, length=2):
    """Writer of a stack with an axis of polarisation."""
    names = ("polarization", "energy", "sample_y", "sample_x")
    listed = [names[i] for i in order]

    def change(_file, group):
        if values is not None:
            group[name] = np.asarray(values) if not isinstance(values[0], str) else [v.encode() for v in values]

    return nexus(data=POL[:length].transpose(order), axes=listed if state else (), change=change)


def _has_comment(stack, words):
    assert words in stack.intensity.attrs["comment"]


def alternating(*, values, repeat=True, place="instrument/epu"):
    """Writer of a stack that measures each energy at two polarisations, one after the other."""
    data = np.stack([POL[:, i] for i in range(3)]).reshape(6, 4, 6)
    energy = np.repeat(ENERGY, 2) if repeat else np.linspace(512, 523, 6)

    def change(file, _group):
        file[f"entry1/{place}/polarization"] = values

    return nexus(data=data, values=(energy, Y_UM, X_UM), change=change)


def sdf_polarised(stxm, folder):
    path = stxm.sdf(folder / "a.hdr", energies=np.repeat(ENERGY[:2], 2)[:3])
    records = "".join(f"Image{i:03d}_0 = {{StorageRingCurrent = 400; Polarization = {p};}};\n" for i, p in PAIRS)
    path.write_text(path.read_text(encoding="utf-8") + records, encoding="utf-8")
    return path


PAIRS = ((0, 1), (1, -1), (2, 1))
POLARISATIONS = [
    Case("not chosen", polarised(), refused=r"2 polarisations per energy \(1, -1\).*polarisation=1\.0"),
    Case("first", polarised(), {"polarisation": 1}, intensity=INTENSITY),
    Case("second", polarised(), {"polarisation": -1}, intensity=POL[1]),
    Case("axis between", polarised(order=(1, 0, 2, 3)), {"polarisation": -1.0}, intensity=POL[1]),
    Case("axis last", polarised(order=(1, 2, 3, 0)), {"polarisation": -1}, intensity=POL[1]),
    Case("texts", polarised(values=("CL", "CR")), {"polarisation": "cr"}, intensity=POL[1]),
    Case("no values, by number", polarised(values=None), {"polarisation": 1}, intensity=POL[1]),
    Case("one that is not there", polarised(), {"polarisation": 0.5}, refused=r"but not polarisation=0\.5"),
    Case("axis not named", polarised(state=False), {"polarisation": 1}, intensity=INTENSITY),
    Case("axis nobody knows", polarised(state=False, values=None), refused=r"axes=\('energy', 'polarisation'"),
    Case(
        "axis nobody knows, named by the caller",
        polarised(state=False, values=None),
        {"axes": ("polarisation", "energy", "scan_y", "scan_x"), "polarisation": 0.0},
        intensity=INTENSITY,
    ),
    Case("only one", polarised(values=(1.0,), length=1), intensity=INTENSITY),
    Case("alternating, not chosen", alternating(values=[1.0, -1.0] * 3), refused=r"2 polarisations per energy"),
    Case(
        "alternating, chosen",
        alternating(values=[1.0, -1.0] * 3),
        {"polarisation": -1},
        intensity=POL[1],
        energy=ENERGY,
    ),
    Case(
        "one after the other, in the collection",
        alternating(values=[1.0, -1.0] * 3, place="collection"),
        {"polarisation": 1},
        intensity=INTENSITY,
    ),
    Case("a choice where there is none", nexus(), {"polarisation": 1}, refused="no polarisations for polarisation=1"),
    Case("a choice of the only one", alternating(values=[1.0] * 6, repeat=False), {"polarisation": 1}),
    Case("another than the only one", alternating(values=[1.0] * 6), {"polarisation": -1}, refused=r"1 polarisation"),
    Case(
        "energies measured twice, no polarisation",
        alternating(values=[1.0] * 6),
        check=lambda stack: _has_comment(stack, "more than once"),
    ),
    Case("a readback that varies", alternating(values=np.linspace(0, 1, 6), repeat=False)),
    Case("another axis", nexus(data=POL, axes=("theta", "energy", "sample_y", "sample_x")), refused="along 'theta'"),
    Case("SDF, not chosen", sdf_polarised, refused=r"2 polarisations per energy \(1, -1\)"),
    Case("SDF, chosen", sdf_polarised, {"polarisation": 1}, intensity=INTENSITY[[0, 2]]),
]


def lacking(*frames, empty=False, cut=False):
    """Writer of an SDF scan that lacks frames."""

    def write(stxm, folder):
        path = stxm.sdf(folder / "a.hdr")
        for i in frames:
            file = folder / f"a_a{i:03d}.xim"
            lines = file.read_text(encoding="utf-8").splitlines()
            file.unlink()
            if empty or cut:
                file.write_text("\n".join(lines[:2]) if cut else "", encoding="utf-8")
        return path

    return write


def with_gaps(*frames):
    out = INTENSITY.copy()
    out[list(frames)] = np.nan
    return out


LACKING = [
    Case(
        "the middle one",
        lacking(1),
        refused=r"1 of 3 image files.*a_a001\.xim \(515\.5 eV\).*the other 2.*energies=\[...\].*missing_frames='nan'",
    ),
    Case("the middle one, others", lacking(1), {"energies": ENERGY[[0, 2]]}, intensity=INTENSITY[[0, 2]]),
    Case("the middle one is empty", lacking(1, empty=True), refused=r"missing or empty: a_a001\.xim"),
    Case("the middle one, NaN", lacking(1), {"missing_frames": "nan"}, intensity=with_gaps(1), energy=ENERGY),
    Case("the first one", lacking(0), {"energies": ENERGY[1:]}, intensity=INTENSITY[1:]),
    Case("the first one, NaN", lacking(0), {"missing_frames": "nan"}, intensity=with_gaps(0)),
    Case("the first two, NaN", lacking(0, 1), {"missing_frames": "nan"}, intensity=with_gaps(0, 1)),
    Case("the last one", lacking(2), refused="the first 2, of an interrupted scan"),
    Case("the last one, others", lacking(2), {"energies": ENERGY[:2]}, intensity=INTENSITY[:2]),
    Case("the last one, other energies", lacking(2), {"energies": ENERGY[:2] + 1}, intensity=INTENSITY[:2]),
    Case("the middle one, other energies", lacking(1), {"energies": ENERGY[:2] + 1}, refused="energies of the header"),
    Case("all are there, energies of two", lacking(), {"energies": ENERGY[1:]}, intensity=INTENSITY[1:]),
    Case("all are there, two other energies", lacking(), {"energies": [600.0, 601.0]}, refused="of the header"),
    Case("all three", lacking(0, 1, 2), {"missing_frames": "nan"}, refused="put them beside the header"),
    Case("two rows of the last one", lacking(2, cut=True), refused="2 rows of 6 numbers.*copy the frame again"),
    Case(
        "two rows of the last one, NaN",
        lacking(2, cut=True),
        {"missing_frames": "nan"},
        intensity=np.where((np.arange(3)[:, None, None] == 2) & (np.arange(4)[:, None] > 1), np.nan, INTENSITY),
    ),
]


def _seconds(stack):
    assert_allclose(stack.dwell, 2e-3)
    assert "ring_current" not in stack


def _transmission(stack):
    assert_allclose(stack.dwell, 2.0)
    assert_allclose(stack.ring_current, [150, 149, 148])
    assert "unit is transmission" in stack.intensity.attrs["comment"]


def _pixels(stack):
    assert_allclose(np.diff(stack.scan_x), 12.5)
    assert_allclose(np.diff(stack.scan_y), 12.5)


def _pixels_of_1(stack):
    assert "1 nm assumed" in stack.scan_x.attrs["comment"]


PROGRAMS = [
    Case("pystxmcontrol 1", lambda _, f: stack_files.pystxmcontrol_1(f / "a.stxm"), check=_seconds),
    Case("pystxmcontrol 2.0", lambda _, f: stack_files.pystxmcontrol_2(f / "a.stxm", binned=False), check=_seconds),
    Case("pystxmcontrol 2.1", lambda _, f: stack_files.pystxmcontrol_2(f / "a.stxm", binned=True), check=_seconds),
    Case(
        "pystxmcontrol 2.1, binned values not filled in",
        lambda _, f: stack_files.pystxmcontrol_2(f / "a.stxm", binned=True, filled=False),
        check=_seconds,
    ),
    Case(
        "pystxmcontrol 2.1 takes no order of axes",
        lambda _, f: stack_files.pystxmcontrol_2(f / "a.stxm", binned=True),
        {"axes": ("energy", "scan_x", "scan_y")},
        refused="takes no axes=",
    ),
    Case("pystxmcontrol 3, first files", lambda _, f: stack_files.pystxmcontrol_3_early(f / "a.stxm"), check=_seconds),
    Case("pystxmcontrol 3", lambda _, f: stack_files.pystxmcontrol_3(f / "a.stxm"), check=_seconds),
    Case("Mantis 1.0", lambda _, f: stack_files.mantis(f / "a.hdf5")),
    Case("Mantis before 1.0", lambda _, f: stack_files.mantis(f / "a.hdf5", version="0.9", units=False)),
    Case(
        "Mantis without positions",
        lambda _, f: stack_files.mantis(f / "a.hdf5", positions=False),
        x_nm=np.arange(6),
        y_nm=np.arange(4),
        check=_pixels_of_1,
    ),
    *(
        Case(
            f"Mistral, {kind}",
            lambda _, f, kind=kind: stack_files.mistral(f / "a.hdf5", kind=kind),
            x_nm=12.5 * np.arange(6),
            y_nm=12.5 * np.arange(4),
            check=_pixels if kind == "raw" else _transmission,
        )
        for kind in stack_files.MISTRAL
    ),
]
for case in PROGRAMS:
    case.intensity, case.energy = INTENSITY, ENERGY
    case.x_nm = X_UM * 1e3 if case.x_nm is None else case.x_nm
    case.y_nm = Y_UM * 1e3 if case.y_nm is None else case.y_nm


def dwell(seconds, unit="s"):
    def change(_file, group):
        group["count_time"] = np.full(3, seconds)
        group["count_time"].attrs["units"] = unit

    return nexus(change=change)


def current(value, unit):
    def change(file, _group):
        file["entry1/control/data"] = np.full(3, value)
        file["entry1/control/data"].attrs["units"] = unit

    return nexus(change=change)


def _current_of_400(stack):
    assert_allclose(stack.ring_current, 400)


RECORDS = [
    Case("dwell in us called s", dwell(2000.0), refused=r"a dwell of 2000 s.*accept='dwell'"),
    Case("dwell in us called s, accepted", dwell(2000.0), {"accept": "dwell"}, intensity=INTENSITY),
    Case("dwell in ns called us", dwell(1e-3, "us"), refused="a dwell"),
    Case("dwell in ms", dwell(2.0, "ms"), intensity=INTENSITY, check=lambda s: assert_allclose(s.dwell, 2e-3)),
    Case("ring current in A", current(0.4, "A"), check=_current_of_400),
    Case("ring current in A called mA", current(0.4, "mA"), refused=r"a ring current of 0\.4 mA.*A called mA"),
    Case("ring current accepted", current(0.4, "mA"), {"accept": "ring_current"}, intensity=INTENSITY),
    Case("ring current never recorded", current(0.0, "mA"), intensity=INTENSITY),
    Case("a mark of missing pixels", nexus(data=np.full((3, 4, 6), 9.97e36)), refused="counts in most pixels"),
    Case("marks that are meant", nexus(data=np.full((3, 4, 6), 9.97e36)), {"accept": "counts"}),
    Case("one marked pixel", nexus(data=np.where(INTENSITY == 1021, 9.97e36, INTENSITY)), energy=ENERGY),
]


def _write_unit(group, unit):
    for name in ("sample_y", "sample_x"):
        group[name].attrs["unit"] = unit


def _turned(_stxm, folder):
    path = stack_files.mistral(folder / "a.hdf5", kind="raw")
    with h5py.File(path, "a") as file:
        file["NXtomo/instrument/source/energy"][:] = 520.0
    return path


def _projections(_stxm, folder):
    path = stack_files.mantis(folder / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["exchange/energy"]
        file["exchange/theta"] = np.arange(3.0)
    return path


VARIANTS = [
    Case("projections at one energy (Mistral)", _turned, refused="3 images at one energy"),
    Case("projections without energies (Data Exchange)", _projections, refused="projections of a tomography"),
    Case(
        "a focus scan",
        nexus(change=lambda _f, g: g.create_dataset("stxm_scan_type", data="sample focus")),
        refused="a scan of type 'sample focus'.*image stack",
    ),
    Case("five axes", nexus(data=np.zeros((2, 2, 3, 4, 6))), refused="without an STXM counter"),
    Case(
        "positions of every pixel",
        nexus(
            values=(ENERGY, np.broadcast_to(Y_UM[:, None], (3, 4, 6)), np.broadcast_to(X_UM, (3, 4, 6))),
        ),
        intensity=INTENSITY,
        y_nm=Y_UM * 1e3,
        x_nm=X_UM * 1e3,
    ),
    Case(
        "too many positions",
        nexus(values=(ENERGY, Y_UM, np.arange(9.0))),
        refused=r"step_nm= replaces wrong positions",
    ),
    Case(
        "too many positions, step given",
        nexus(values=(ENERGY, Y_UM, np.arange(9.0))),
        {"step_nm": 80.0},
        x_nm=80.0 * np.arange(6),
        intensity=INTENSITY,
    ),
    Case(
        "a list that leaves out an axis of length 1",
        nexus(
            data=SQUARE.transpose(2, 1, 0)[:, :, None],
            axes=("sample_x", "sample_y", "energy"),
            values=(ENERGY, Y_UM, SQUARE_X),
        ),
        intensity=SQUARE,
    ),
    Case(
        "positions in mm whose unit stands in 'unit'",
        nexus(
            values=(ENERGY, Y_UM / 1e3, X_UM / 1e3), units=("eV", None, None), change=lambda _f, g: _write_unit(g, "mm")
        ),
        y_nm=Y_UM * 1e3,
        x_nm=X_UM * 1e3,
    ),
    Case(
        "a line scan by its axes",
        nexus(data=INTENSITY[0], axes=("energy", "line_position")),
        refused="a scan of type 'line'",
    ),
    Case("an axis of length 1", nexus(data=INTENSITY[:, None], axes=()), intensity=INTENSITY),
]

KINDS = {
    "steps": STEPS,
    "squares": SQUARES,
    "energies": ENERGIES,
    "entries": ENTRIES,
    "polarisations": POLARISATIONS,
    "lacking frames": LACKING,
    "programs": PROGRAMS,
    "records": RECORDS,
    "variants": VARIANTS,
}
CASES = [pytest.param(case, id=f"{kind}: {case.name}") for kind, cases in KINDS.items() for case in cases]


@pytest.mark.parametrize("case", CASES)
def test_right_value_or_right_refusal(case, stxm, tmp_path):
    path = case.write(stxm, tmp_path)
    if case.refused:
        with pytest.raises(ReadError, match=f"(?s){case.refused}") as caught:
            pk.io.open_stxm(path, **case.options)
        # nothing lacks bytes, except a frame that was cut
        assert ("again" in caught.value.cure) == ("again" in case.refused)
        return
    stack = pk.io.open_stxm(path, **case.options)
    for name, right in (("intensity", case.intensity), ("energy", case.energy)):
        if right is not None:
            assert_allclose(stack[name], right, rtol=1e-6)
    for name, right in (("scan_y", case.y_nm), ("scan_x", case.x_nm)):
        if right is not None:
            assert_allclose(stack[name], right, rtol=1e-9, atol=1e-6)
    if case.check:
        case.check(stack)


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: case.name)
def test_lazy_pickled_and_closed(case, stxm, tmp_path):
    path = case.write(stxm, tmp_path)
    if case.refused:
        return
    intensity = pickle.loads(pickle.dumps(pk.io.open_stxm(path).intensity))
    assert isinstance(intensity.data, da.Array)
    assert_allclose(intensity[1, 1:3, ::2], INTENSITY[1, 1:3, ::2], rtol=1e-6)
    assert_allclose(intensity.chunk(energy=2, scan_y=3, scan_x=1), INTENSITY, rtol=1e-6)
    # nothing is held open, so this is noticed
    path.rename(tmp_path / "moved.hdf5")
    with pytest.raises(ReadError):
        intensity.compute()


@pytest.mark.parametrize("selected", [POLARISATIONS[2], POLARISATIONS[3]], ids=lambda case: case.name)
def test_selected_frames_are_lazy(selected, stxm, tmp_path):
    stack = pk.io.open_stxm(selected.write(stxm, tmp_path), **selected.options)
    again = pickle.loads(pickle.dumps(stack))
    assert isinstance(again.intensity.data, da.Array)
    assert_allclose(again.intensity[[2, 0]], selected.intensity[[2, 0]])


def test_at_least_three_inputs_of_each_kind():
    assert min(len(cases) for cases in KINDS.values()) >= 3
    assert sum(len(cases) for cases in KINDS.values()) >= 60


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("axes", ("energy", "scan_x")),
        ("axes", ("energy", "scan_x", "scan_x", "scan_y")),
        ("axes", "scan_y"),
        ("missing_frames", "zero"),
        ("accept", "size"),
        ("step_nm", (1, 2, 3)),
    ],
)
def test_arguments_that_are_not_known(argument, value, stxm, tmp_path):
    with pytest.raises(SchemaError, match=argument):
        pk.io.open_stxm(stxm.pollux(tmp_path / "a.hdf5"), **{argument: value})
