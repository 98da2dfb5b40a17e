"""Small STXM files in every dialect, written from one stack whose value tells where it belongs.

``intensity[e, y, x] = 1000 (e + 1) + 10 y + x`` with 3 energies, 4 rows and 6 columns, rows 50 nm and columns 80 nm
apart: a swap of axes changes a size, a step or a value.
"""

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile

N_E, N_Y, N_X = 3, 4, 6
ENERGY = np.array([512.0, 515.5, 523.0])
Y_UM = -10.0 + 0.05 * np.arange(N_Y)
X_UM = 200.0 + 0.08 * np.arange(N_X)
E, Y, X = np.ogrid[:N_E, :N_Y, :N_X]
INTENSITY = (1000 * (E + 1) + 10 * Y + X).astype(np.float64)


def _coordinates(group, names=("energy", "sample_y", "sample_x"), units=True):
    for name, values, unit in zip(names, (ENERGY, Y_UM, X_UM), ("eV", "\u03bcm", "um"), strict=True):
        group[name] = values
        if units:
            group[name].attrs["units"] = np.bytes_(unit.encode())


def _nxdata(entry, name, data=INTENSITY, axes=("energy", "sample_y", "sample_x")):
    group = entry.create_group(name)
    group.attrs["NX_class"] = np.bytes_(b"NXdata")
    group.attrs["signal"] = np.bytes_(b"data")
    if axes is not None:
        group.attrs["axes"] = np.array([a.encode() for a in axes])
    group.create_dataset("data", data=data, chunks=(1,) * (data.ndim - 1) + (data.shape[-1],))
    return group


def _entry(file, name="entry1"):
    entry = file.create_group(name)
    entry.attrs["NX_class"] = np.bytes_(b"NXentry")
    entry["definition"] = np.array([b"NXstxm"])
    entry["start_time"] = np.array([b"2026-01-02T03:04:05+01:00"])
    return entry


def pollux(path, *, user_block=0):
    """SLS PolLux: ``counter0``, ring current and read-back energy as NXmonitor, perhaps a block of XMP before it."""
    with h5py.File(path, "w", userblock_size=user_block) as file:
        entry = _entry(file)
        _coordinates(_nxdata(entry, "counter0"))
        entry["counter0/stxm_scan_type"] = np.array([b"sample image stack"])
        for name, values in (("control", 400.0 - E), ("energy", ENERGY[:, None, None] + 0.01)):
            monitor = entry.create_group(name)
            monitor.attrs["NX_class"] = np.bytes_(b"NXmonitor")
            monitor["data"] = np.broadcast_to(values, INTENSITY.shape)
    return Path(path)


def hermes(path, *, order=(0, 1, 2)):
    """SOLEIL HERMES: ``entry1/Counter0/data`` without class, axes or units."""
    with h5py.File(path, "w") as file:
        file["entry1/Counter0/data"] = INTENSITY.transpose(order)
        _coordinates(file["entry1/Counter0"], units=False)
        file["entry1/collection/beamline"] = np.array([b"Hermes"])
    return Path(path)


def maxymus(path):
    """BESSY MAXYMUS: several detectors, ``APD`` the one that counts; axes stored as (energy, sample_x, sample_y)."""
    with h5py.File(path, "w") as file:
        entry = _entry(file, "entry")
        _coordinates(_nxdata(entry, "APD", INTENSITY.transpose(0, 2, 1), ("energy", "sample_x", "sample_y")))
        _coordinates(_nxdata(entry, "Analog0", -INTENSITY))
    return Path(path)


def softimax(path):
    """MAX IV SoftiMAX: one entry for each region."""
    with h5py.File(path, "w") as file:
        _coordinates(_nxdata(_entry(file, "entry1"), "counter0"))
        smaller = _nxdata(_entry(file, "entry2"), "counter0", INTENSITY[:, :2])
        smaller["energy"], smaller["sample_y"], smaller["sample_x"] = ENERGY, Y_UM[:2], X_UM
    return Path(path)


def numbered(path):
    """Before NXstxm was settled: attribute ``axis`` counted from 1, ``photon_energy``, here stored (x, y, energy)."""
    with h5py.File(path, "w") as file:
        group = _nxdata(_entry(file), "counter0", INTENSITY.transpose(2, 1, 0), axes=None)
        _coordinates(group, ("photon_energy", "sample_y", "sample_x"))
        for name, axis in (("photon_energy", 3), ("sample_y", 2), ("sample_x", 1)):
            group[name].attrs["axis"] = axis
    return Path(path)


def image(path):
    """A single image: two axes, one energy."""
    with h5py.File(path, "w") as file:
        group = _nxdata(_entry(file), "counter0", INTENSITY[0], ("sample_y", "sample_x"))
        group["energy"], group["sample_y"], group["sample_x"] = ENERGY[:1], Y_UM, X_UM
    return Path(path)


def sdf(path, *, regions=1, energies=ENERGY, kind="Image Stack", channels=("PMT",), transposed=False):
    """``.hdr`` with its ``.xim`` frames; in region r the intensity is larger by 100000 r."""
    path = Path(path)
    points = {n: f"({v.size}, {', '.join(f'{p:.4f}' for p in v)})" for n, v in (("x", X_UM), ("y", Y_UM))}
    fast, slow = ("y", "x") if transposed else ("x", "y")
    one = (
        "{ "
        + "".join(
            f'{axis} = {{ Name = "Sample {n.upper()}"; Unit = "um"; Min = 0; Dir = 1;\n Points = {points[n]};\n}};\n'
            for axis, n in (("PAxis", fast), ("QAxis", slow))
        )
        + "}"
    )
    listed = ", ".join(f"{e:.3f}" for e in energies)
    names = ",\n".join(f'{{ Name = "{c}"; Unit = "counts";}}' for c in channels)
    currents = "\n".join(
        f'Image{i + 1} = {{StorageRingCurrent = {399 - i}; Time = "x";}};' for i in range(1, len(energies))
    )
    path.write_text(
        f'ScanDefinition = {{ Label = "a.hdr"; Type = "NEXAFS Image Scan"; Flags = "{kind}"; Dwell = 1.5;\n'
        f"Regions = ({regions},\n{', '.join([one] * regions)});\n"
        f'StackAxis = {{ Name = "Energy"; Unit = "eV"; Min = 1; Dir = 1;\n Points = ({len(energies)}, {listed});\n}};\n'
        f"Channels = ({len(channels)},\n{names});\n}};\n"
        f' Time = "2026 January 2"; StorageRingCurrent = 399; AUX = {{ Name = ""; Status = 1;}};\n{currents}\n',
        encoding="utf-8",
    )
    for r in range(regions):
        for c in range(len(channels)):
            for i in range(len(energies)):
                number = "" if len(energies) == 1 else f"{i:03d}"
                tail = "" if regions == 1 else str(r)
                frame = INTENSITY[i] + 100000 * r + 10000 * c
                file = path.with_name(f"{path.stem}_{'abc'[c]}{number}{tail}.xim")
                np.savetxt(file, frame.T if transposed else frame, fmt="%d", delimiter="\t")
    return path


def ncb(path, *, floats=False, falling=False):
    """AXis2000: little-endian numbers and a text header; ``falling`` stores x from high to low."""
    path = Path(path)
    data = INTENSITY[..., ::-1] if falling else INTENSITY
    path.write_bytes((data / 10).astype("<f4").tobytes() if floats else (data * 2).astype("<i2").tobytes())
    x = X_UM[::-1] if falling else X_UM
    lines = [f"{N_X} {N_Y} {-1.0 if floats else 2.0}", f"{x[0]} {x[-1]}", f"{Y_UM[0]} {Y_UM[-1]}", str(N_E)]
    lines += [str(e) for e in ENERGY] + [f"frame{i} {e} 1.00" for i, e in enumerate(ENERGY)]
    path.with_suffix(".dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiff(path, *, sidecar=True, imagej=False):
    """Multipage TIFF with the energies in a text file beside it; ImageJ's kind carries the step."""
    path = Path(path)
    data = INTENSITY.astype(np.uint16)
    if imagej:
        tifffile.imwrite(
            path, data, imagej=True, resolution=(1 / 0.08, 1 / 0.05), metadata={"unit": "um", "axes": "ZYX"}
        )
    else:
        tifffile.imwrite(path, data, photometric="minisblack", metadata=None)
    if sidecar:
        np.savetxt(path.with_suffix(".txt"), ENERGY, header="energy [eV]")
    return path


@pytest.fixture(scope="session")
def stxm():
    """Writers of STXM files and the stack they write."""
    return SimpleNamespace(
        **{f.__name__: f for f in (pollux, hermes, maxymus, softimax, numbered, image, sdf, ncb, tiff)},
        energy=ENERGY,
        y_nm=Y_UM * 1e3,
        x_nm=X_UM * 1e3,
        intensity=INTENSITY,
    )
