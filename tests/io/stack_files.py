"""Small stacks in layouts of further programs, written from the stack of ``conftest`` after their writers' sources."""

from pathlib import Path

import h5py
import numpy as np

from tests.io.conftest import ENERGY, INTENSITY, N_E, N_X, N_Y, X_UM, Y_UM, E

OVERSAMPLING = 3


def _bytes(text):
    return np.bytes_(text.encode())


def _pystxmcontrol_entry(file, version):
    entry = file.create_group("entry0")
    entry.attrs["NX_class"] = _bytes("NXentry")
    entry["definition"] = _bytes("NXstxm")
    entry["definition"].attrs["version"] = _bytes(version)
    entry["title"], entry["start_time"] = _bytes("p-1"), np.array([_bytes("2023-01-02 03:04:05")])
    entry["experimenters"] = np.array([_bytes("A. Nobody")])
    motors = entry.create_group("motors")
    motors.attrs["NX_class"] = _bytes("NXmonitor")
    motors["Energy"] = 512.0
    control = entry.create_group("control")
    control.attrs["NX_class"] = _bytes("NXmonitor")
    control["data"] = np.zeros_like(INTENSITY)
    return entry


def _pystxmcontrol_counter(entry, data, x, y):
    counter = entry.create_group("counter0")
    counter.attrs["NX_class"] = _bytes("NXdata")
    counter.attrs["axes"] = np.array([b"energy", b"sample_y", b"sample_x"])
    counter.attrs["signal"] = np.array([b"data"])
    for name, place in (("energy", 0), ("sample_y", 1), ("sample_x", 2)):
        counter.attrs[f"{name}_indices"] = np.array([place])
    counter["stxm_scan_type"] = np.array([_bytes("Image")])
    for name, values, unit in (
        ("data", data, ""),
        ("count_time", np.full(N_E, 2.0), "s"),
        ("energy", ENERGY, "eV"),
        ("sample_x", x, "um"),
        ("sample_y", y, "um"),
    ):
        counter[name] = values
        counter[name].attrs["units"] = _bytes(unit)


def pystxmcontrol_1(path):
    """Version before 2: counts at the requested positions."""
    with h5py.File(path, "w") as file:
        _pystxmcontrol_counter(_pystxmcontrol_entry(file, "1.0"), INTENSITY, X_UM, Y_UM)
    return Path(path)


def pystxmcontrol_2(path, *, binned, filled=True):
    """Versions 2.0 and 2.1: three readings per pixel at measured positions, and the requested ones beside them."""
    step = X_UM[1] - X_UM[0]
    within = (np.arange(OVERSAMPLING) - 1) * step / 4
    x = np.broadcast_to((X_UM[:, None] + within).ravel(), (N_E, N_Y, N_X * OVERSAMPLING))
    y = np.broadcast_to(Y_UM[None, :, None], x.shape)
    # The sum of the readings of a pixel is its count.
    readings = np.repeat(INTENSITY / OVERSAMPLING, OVERSAMPLING, axis=2)
    with h5py.File(path, "w") as file:
        entry = _pystxmcontrol_entry(file, "2.1" if binned else "2")
        _pystxmcontrol_counter(entry, readings, x, y)
        requested = entry.create_group("binned_values" if binned else "requested_values")
        requested.attrs["NX_class"] = _bytes("NXdetector")
        if binned:
            requested["data"] = INTENSITY if filled else np.zeros_like(INTENSITY)
        for name, values in (("sample_x", X_UM), ("sample_y", Y_UM)):
            requested[name] = values
            requested[name].attrs["units"] = _bytes("um")
    return Path(path)


def pystxmcontrol_3(path):
    """Version 3: NXstxm with one group per detector."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry0")
        entry.attrs["NX_class"] = _bytes("NXentry")
        entry["definition"], entry["version"] = np.array([b"NXstxm"]), 3.0
        entry["title"], entry["start_time"], entry["experimenters"] = b"p-1", b"2025-01-02", b"A. Nobody"
        entry.create_group("instrument/motors")
        entry["instrument/monochromator/energy"] = ENERGY
        data = entry.create_group("default")
        data.attrs["NX_class"], data.attrs["signal"] = _bytes("NXdata"), "data"
        data.attrs["axes"] = [b"energy", b"sample_y", b"sample_x"]
        data["stxm_scan_type"] = ["Image"]
        data["data"], data["count_time"] = INTENSITY, np.full(N_E, 2.0)
        for i, (name, values) in enumerate((("energy", ENERGY), ("sample_y", Y_UM), ("sample_x", X_UM))):
            data[name] = values
            data[name].attrs["axis"] = i + 1
    return Path(path)


def pystxmcontrol_3_early(path):
    """First files of version 3: the version in ``definition``, an axis z, nothing stated about the axes."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry0")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"], entry["title"], entry["experimenters"] = 3.0, "p-1", "A. Nobody"
        entry["instrument/monochromator/energy"] = ENERGY
        entry["instrument/detector/data"] = np.repeat(INTENSITY, OVERSAMPLING, axis=2).reshape(N_E, -1)
        entry.create_group("instrument/motors")
        data = entry.create_group("data")
        data["stxm_scan_type"], data["data"] = "Image", INTENSITY[:, None]
        data["energy"], data["count_time"] = ENERGY, np.full(N_E, 2.0)
        data["sample_z"], data["sample_y"], data["sample_x"] = [0.0], Y_UM, X_UM
    return Path(path)


def mantis(path, *, version="1.0", units=True, positions=True):
    """Mantis's exchange file: (x, y, energy)."""
    with h5py.File(path, "w") as file:
        file["implements"], file["version"] = "information:exchange:spectromicroscopy", version
        file["information/title"] = "grain"
        exchange = file.create_group("exchange")
        exchange["data"] = INTENSITY.transpose(2, 1, 0)
        exchange["data"].attrs["axes"] = "x:y"
        exchange["energy"] = ENERGY
        if positions:
            exchange["x"], exchange["y"] = X_UM, Y_UM
        if units:
            exchange["energy"].attrs["units"] = "ev"
            for name in ("x", "y") if positions else ():
                exchange[name].attrs["units"] = "um"
    return Path(path)


MISTRAL = {
    "raw": ("NXtomo/instrument/sample", "data", "current"),
    "normalised": ("SpecNormalized", "spectroscopy_normalized", "Currents"),
    "aligned": ("SpecNormalized", "spectroscopy_normalized_aligned", "Currents"),
    "fast aligned": ("FastAligned", "spec_aligned", "Currents"),
}


def mistral(path, *, kind):
    """Files of the stages of Mistral's processing; pixels of .0125 um."""
    group, name, current = MISTRAL[kind]
    with h5py.File(path, "w") as file:
        place = file.create_group(group)
        place[name] = INTENSITY.astype(np.float32 if kind != "raw" else np.uint16)
        place["x_pixel_size"], place["y_pixel_size"] = np.array([0.0125]), np.array([0.0125])
        place["ExpTimes"], place[current] = np.full(N_E, 2.0), 150.0 - E.ravel()
        energy = "NXtomo/instrument/source/energy" if kind == "raw" else f"{group}/energy"
        file[energy] = ENERGY
        if kind == "raw":
            file["NXtomo/instrument/bright_field/data"] = np.full(INTENSITY.shape, 5000, np.uint16)
            file["NXtomo/sample/rotation_angle"] = np.zeros(N_E)
    return Path(path)
