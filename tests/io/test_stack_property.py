"""A stack written in any order, with any units and statements, opens with its own numbers or is refused."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

import phasekit as pk
from phasekit.errors import ReadError

N_FILES = 150
NAMES = {"energy": ("energy", "photon_energy"), "y": ("sample_y", "y"), "x": ("sample_x", "x")}
UM = {"um": 1.0, "\u00b5m": 1.0, "micron": 1.0, "nm": 1e3, "mm": 1e-3, "m": 1e-6}
EV = {"eV": 1.0, "ev": 1.0, "keV": 1e-3}


def try_to_open(path):
    """The stack, or the cure of its refusal."""
    try:
        return pk.io.open_stxm(path), ""
    except ReadError as error:
        return None, error.cure


def draw_file(rng, path):
    """Write a stack with drawn sizes, order, units and statements; return its numbers and what is stated."""
    n = {"energy": int(rng.integers(2, 6)), "y": int(rng.integers(3, 7)), "x": int(rng.integers(3, 7))}
    if rng.random() < 0.5:
        n["x"] = n["y"]
    order = [str(axis) for axis in rng.permutation(["energy", "y", "x"])]
    data = rng.poisson(900, [n[a] for a in ("energy", "y", "x")]).astype(rng.choice(["<f8", ">f4", "<u2", "<i4"]))
    values = {
        "energy": 500 + np.cumsum(rng.uniform(0.2, 5, n["energy"])),
        "y": rng.uniform(-50, 50) + rng.uniform(0.02, 2) * np.arange(n["y"]),
        "x": rng.uniform(-50, 50) + rng.uniform(0.02, 2) * np.arange(n["x"]),
    }
    names = {axis: str(rng.choice(NAMES[axis])) for axis in n}
    ways = rng.random(4) < (0.5, 0.5, 0.3, 0.3)
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1")
        entry.attrs["NX_class"] = "NXentry"
        group = entry.create_group("counter0")
        group.attrs["NX_class"], group.attrs["signal"] = "NXdata", "data"
        group["data"] = data.transpose([("energy", "y", "x").index(a) for a in order])
        listed = [names[a] for a in order]
        if ways[0]:
            group.attrs["axes"] = listed if rng.random() < 0.5 else ":".join(listed)
        if ways[1]:
            for i, axis in enumerate(order):
                group.attrs[f"{names[axis]}_indices"] = i if rng.random() < 0.5 else np.array([i])
        if ways[2]:
            group["data"].attrs["axes"] = f"[{','.join(listed)}]"
        for axis, numbers in values.items():
            table = EV if axis == "energy" else UM
            unit = str(rng.choice(list(table)))
            group[names[axis]] = numbers * table[unit]
            group[names[axis]].attrs["units"] = unit if rng.random() < 0.5 else np.bytes_(unit.encode())
            if ways[3]:
                group[names[axis]].attrs["axis"] = order.index(axis) + 1
    return data, values, bool(ways.any()), tuple(order)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_units_and_statements(seed, tmp_path):
    rng = np.random.default_rng(seed)
    opened = 0
    for i in range(N_FILES):
        path = tmp_path / f"{i}.hdf5"
        data, values, stated, order = draw_file(rng, path)
        stack, cure = try_to_open(path)
        if cure:
            # What is stated once or more, and always the same, is enough.
            assert not stated, cure
            assert "axes=" in cure
            axes = [{"energy": "energy", "y": "scan_y", "x": "scan_x"}[axis] for axis in order]
            stack = pk.io.open_stxm(path, axes=axes)
        opened += 1
        right = data
        if not stated and stack.attrs.get("format") and "not stated" in stack.intensity.attrs.get("comment", ""):
            # Lengths alone do not tell the axes apart: the order of the definition is assumed, and said.
            sizes = [dict(zip(("energy", "y", "x"), data.shape, strict=True))[a] for a in order]
            right = data.transpose([("energy", "y", "x").index(a) for a in order])
            assert list(stack.intensity.shape) == sizes
        else:
            assert_allclose(stack.energy, values["energy"], rtol=1e-9)
            assert_allclose(stack.scan_y, values["y"] * 1e3, rtol=1e-9)
            assert_allclose(stack.scan_x, values["x"] * 1e3, rtol=1e-9)
        assert_allclose(stack.intensity, right, rtol=1e-7)
    assert opened == N_FILES


def test_contradicting_statements_never_give_wrong_numbers(tmp_path):
    """Two statements of different orders: the sizes decide between them, or the file is refused."""
    rng = np.random.default_rng(7)
    refused = 0
    for i in range(N_FILES):
        path = tmp_path / f"{i}.hdf5"
        data, values, _, order = draw_file(rng, path)
        names = {"energy": "energy_indices", "y": "sample_y_indices", "x": "sample_x_indices"}
        with h5py.File(path, "a") as file:
            group = file["entry1/counter0"]
            for key in [k for k in group.attrs if k.endswith("_indices") or k == "axes"]:
                del group.attrs[key]
            group.attrs["axes"] = [names[a].removesuffix("_indices") for a in order]
            wrong = order[::-1]
            for place, axis in enumerate(wrong):
                group.attrs[names[axis]] = place
        stack, cure = try_to_open(path)
        if cure:
            assert "axes=" in cure
            refused += 1
            continue
        assert_allclose(stack.intensity, data, rtol=1e-7)
        assert_allclose(stack.scan_x, values["x"] * 1e3, rtol=1e-9)
    assert 0 < refused < N_FILES
