"""Builders of small stacks: one truth of 3 energies, 4 rows and 5 columns, in the layouts that programs write."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import tifffile

E = np.array([700.0, 705.0, 710.0])
Y = 2.0 + 0.05 * np.arange(4)  # um
X = -1.0 + 0.04 * np.arange(5)  # um
COUNTS = 1000.0 + 100 * np.arange(3)[:, None, None] + 10 * np.arange(4)[:, None] + np.arange(5)
SQUARE = COUNTS[:, :, :4]


class Stack(NamedTuple):
    """What is right: counts (energy, y, x), energies in eV, and positions in nm."""

    counts: np.ndarray = COUNTS
    energy: np.ndarray = E
    y: np.ndarray | None = 1000 * Y
    x: np.ndarray | None = 1000 * X
    dwell: float | None = None  # s


FROM_ZERO = Stack(y=1000 * (Y - Y[0]), x=1000 * (X - X[0]))


def entry(file, name, **fields):
    """A NeXus entry."""
    group = file.create_group(name)
    group.attrs["NX_class"] = "NXentry"
    for key, value in {"definition": [b"NXstxm"], "title": [b"test"], "start_time": [b"2020-01-01"], **fields}.items():
        group[key] = value
    return group


def detector(group, name, data, axes, positions, units=("eV", "um", "um"), kind="sample image stack"):
    """NXdata as NXstxm defines it: the axes in an attribute, each with its unit."""
    made = group.create_group(name)
    made.attrs["NX_class"] = "NXdata"
    made.attrs["signal"] = "data"
    made.attrs["axes"] = list(axes)
    made["data"] = data
    made["stxm_scan_type"] = [kind.encode()]
    for axis, values, unit in zip(axes, positions, units, strict=True):
        made[axis] = values
        if unit:
            made[axis].attrs["units"] = unit
    return made


NAMES = ("energy", "sample_y", "sample_x")


def nxstxm(path: Path, data=COUNTS, axes=NAMES, positions=(E, Y, X), name="counter0", dwell=None, **how):
    """One entry with one detector, as Pixelator writes it at PolLux, MAXYMUS and SoftiMAX."""
    with h5py.File(path, "w") as f:
        made = detector(entry(f, "entry1"), name, data, axes, positions, **how)
        if dwell is not None:
            made["count_time"] = np.full(len(E), dwell)
            made["count_time"].attrs["units"] = "ms"
    return path


def pystxmcontrol(path: Path, version: float, regions=1):
    """The writer of pystxmcontrol: no units, dwell in ms, entries from 0, layouts by version."""
    with h5py.File(path, "w") as f:
        for k in range(regions):
            (_write_version_3 if version >= 3 else _write_version_2)(f, k, version)
    return path


def _write_version_3(f, k, version):
    group = entry(f, f"entry{k}", version=version, experimenters=b"me", end_time=b"2020-01-02")
    instrument = group.create_group("instrument")
    instrument["monochromator/energy"] = E
    made = instrument.create_group("default")
    made.attrs["NX_class"], made.attrs["type"] = np.bytes_("NXdetector"), np.bytes_("photon")
    made["data"] = COUNTS.reshape(3, -1)
    made["data"].attrs["energies"] = E
    instrument["sample_x/data"] = instrument["sample_y/data"] = np.zeros((3, 20))
    instrument.create_group("motors")
    data = detector(group, "default", COUNTS + 1000 * k, NAMES, (E, Y, X), ("", "", ""), "Image")
    data["count_time"] = np.ones(3)
    for axis, place in zip(NAMES, (1, 2, 3), strict=True):
        data[axis].attrs["axis"] = place
    data["motor_name_x"] = b"Sample X"


def _write_version_2(f, k, version):
    group = f.create_group(f"entry{k}")
    group.attrs["NX_class"] = np.bytes_("NXentry")
    group["definition"] = str(version).encode()
    group["sample_description"], group["proposal"], group["experimenters"] = b"", b"", [b"me"]
    group["motors/energy"] = 700.0
    data = group.create_group("counter0")
    data["stxm_scan_type"] = b"Image"
    data["energy"], data["count_time"] = E, np.ones(3)
    if version == 2.1:
        binned = group.create_group("binned_values")
        binned["data"], binned["sample_x"], binned["sample_y"] = COUNTS, X, Y
        data["data"], data["sample_x"], data["sample_y"] = COUNTS.reshape(3, -1), np.zeros((3, 20)), np.zeros((3, 20))
        return
    if version == 2.0:
        # Two measured points in each pixel.
        data["data"] = np.repeat(COUNTS, 2, axis=2) / 2
        data["sample_x"] = np.tile(np.repeat(X, 2) + np.tile([-0.01, 0.01], 5), (3, 4, 1))
        data["sample_y"] = np.broadcast_to(Y[:, None], (3, 4, 10)).copy()
        group["requested_values/sample_x"], group["requested_values/sample_y"] = X, Y
        return
    data["data"], data["sample_x"], data["sample_y"] = COUNTS, X, Y


def exchange(path: Path, counts=COUNTS, x=X, y=Y, axes="x:y", text="1.0"):
    """Mantis, write_h5: the data are (x, y, energy)."""
    with h5py.File(path, "w") as f:
        f["implements"], f["version"] = "information:exchange:spectromicroscopy", text
        group = f.create_group("exchange")
        group["data"] = counts.transpose(2, 1, 0)
        group["data"].attrs["signal"] = 1
        if axes:
            group["data"].attrs["axes"] = axes
        for name, values, unit in (("x", x, "um"), ("y", y, "um"), ("energy", E, "eV")):
            group[name] = values
            group[name].attrs["units"] = unit
        f["information/comment"] = "Converted in MANTiS"
        f["spectromicroscopy/data_dwell"] = np.ones(3)
    return path


def mistral(path: Path):
    """ALBA's layout as Mantis documents it: pixel sizes in um, (energy, y, x)."""
    with h5py.File(path, "w") as f:
        group = f.create_group("SpecNormalized")
        group["spectroscopy_normalized_aligned"] = (COUNTS / 4000).astype(np.float32)
        group["energy"], group["x_pixel_size"], group["y_pixel_size"] = E, [0.04], [0.05]
        group["Currents"], group["ExpTimes"] = np.full(3, 250.0), np.full(3, 2.0)
        group["rotation_angle"] = np.zeros(3)
    return path


def ncb(path: Path, scale: float, x=X, y=Y, energy=E, counts=COUNTS, names=True):
    """aXis2000: float32 where the scale is -1, else int16 times the scale; a text file beside it."""
    kind = np.float32 if scale < 0 else np.int16
    np.ascontiguousarray(counts * (1 if scale < 0 else scale)).astype(kind).tofile(path)
    head = (
        f"\t{counts.shape[2]}\t{counts.shape[1]}\t{scale:.6f}\n\t{x[0]:.6f}\t{x[-1]:.6f}\n\t{y[0]:.6f}\t{y[-1]:.6f}\n"
    )
    head += f"\t{len(energy)}\n" + "".join(f"\t{e:.6f}\n" for e in energy)
    head += "".join(f"image{i}\t{e:.6f}\t1.000000\n" for i, e in enumerate(energy, 1)) if names else ""
    path.with_suffix(".dat").write_text(head, encoding="utf-8")
    return path


def points(values):
    return f"({len(values)}, " + ", ".join(f"{v:.4f}" for v in values) + ")"


def sdf(path: Path, frames, *, regions=1, flags="Image Stack", kind="NEXAFS Image Scan", channels=("APD",), energy=E):
    """STXM control: a header, and one text file for each frame, ``frames`` by the end of its name."""
    region = f"""{{ PAxis = {{ Name = "Sample X"; Unit = "um"; Min = -1; Max = -0.84; Dir = 1;
      Points = {points(X)}; }};
      QAxis = {{ Name = "Sample Y"; Unit = "um"; Min = 2; Max = 2.15; Dir = 1; Points = {points(Y)}; }};
    }}"""
    detectors = ", ".join(f'{{ Name = "{c}"; Unit = "counts";}}' for c in channels)
    text = f"""ScanDefinition = {{ Label = "{path.name}"; Type = "{kind}"; Flags = "{flags}"; Dwell = 2.5;
    Regions = ({regions}, {", ".join([region] * regions)});
    StackAxis = {{ Name = "Energy"; Unit = "eV"; Min = 700; Max = 710; Dir = 1; Points = {points(energy)}; }};
    Channels = ({len(channels)}, {detectors}); }};
    Time = "2021 January 27 11:52:49"; BeamFeedback = false; ShutterAutomatic = true;\n"""
    path.write_text(text, encoding="utf-8")
    for end, frame in frames.items():
        lines = "".join("\t".join(f"{v:.0f}" for v in row) + "\t\n" for row in frame)
        (path.parent / f"{path.stem}_{end}.xim").write_text(lines, encoding="utf-8")
    return path


def tiff(path: Path, beside: str | bytes | None = None, end=".txt", *, data=COUNTS, **how):
    """Pages written by tifffile, and the energies beside them."""
    tifffile.imwrite(path, data.astype(np.uint16), **{"photometric": "minisblack", **how})
    if beside is not None:
        raw = beside if isinstance(beside, bytes) else beside.encode()
        path.with_suffix(end).write_bytes(raw)
    return path
