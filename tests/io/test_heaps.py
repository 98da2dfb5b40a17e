"""Damaged HDF5 text heaps: the HDF5 library would loop for ever in them, so every door looks first."""

import struct

import h5py
import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import ReadError
from phasekit.io.formats.hdf5_file import check_text_heaps


def nxstxm(path):
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry.attrs["NX_class"], entry["definition"] = "NXentry", "NXstxm"
        group = entry.create_group("counter0")
        group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "data"
        group.attrs["axes"] = ["energy", "sample_y", "sample_x"]
        group["data"] = np.arange(3 * 5 * 9, dtype=float).reshape(3, 5, 9)
        for name, values, unit in (("energy", [510.0, 515.0, 520.0], "eV"), ("sample_y", range(5), "um")):
            group[name] = np.array(values, dtype=float)
            group[name].attrs["units"] = unit
        group["sample_x"] = np.arange(9.0)


def patterns(path):
    with h5py.File(path, "w") as file:
        file["scan"] = np.zeros((2, 3, 8, 8))
        file["scan"].attrs["axes"] = ["y", "x", "dy", "dx"]


def ours(path):
    nxstxm(path.with_suffix(".hdf5"))
    pk.io.save(pk.io.open_stxm(path.with_suffix(".hdf5")), path)


DOORS = {
    "open_stxm": (nxstxm, "scan.hdf5", pk.io.open_stxm),
    "open_stxm of ours": (ours, "stack.nc", pk.io.open_stxm),
    "open_4dstem": (patterns, "scan.h5", pk.io.open_4dstem),
    "load": (ours, "stack.nc", pk.io.load),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("door", DOORS)
def test_damaged_heap_is_refused_and_a_sound_one_is_not(tmp_path, door):
    write, name, read = DOORS[door]
    path = tmp_path / name
    write(path)
    sound = path.read_bytes()
    read(path)
    place = sound.index(b"GCOL\x01")
    damaged = bytearray(sound)
    damaged[place + 16 : place + 32] = struct.pack("<HHIQ", 0, 0, 0, 0)  # free space of no size: no step forward
    path.write_bytes(bytes(damaged))
    with pytest.raises(ReadError, match=f"{name}.*damaged text heap at byte {place}.*copy the file again"):
        read(path)


def test_heap_cut_by_the_end_of_the_file(tmp_path):
    path = tmp_path / "scan.h5"
    patterns(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"GCOL\x01") + 100])
    with pytest.raises(ReadError, match="damaged text heap"):
        check_text_heaps(path)
