"""4D-STEM files as the world writes them: each kind with its right value, or the refusal that says what to do."""

import contextlib
import itertools
import json
import sys
import zipfile

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

from phasekit.diffraction import wavelength
from phasekit.errors import ReadError, SchemaError
from phasekit.io.exchange import save_blo
from phasekit.io.formats.hdf5_file import load_hdf5_filters
from phasekit.io.fourdstem import open_4dstem
from phasekit.schema import PATTERNS, describe, require
from tests.io.files_4d import write_app5, write_empad, write_hspy, write_mib, write_mrc, write_raw_mib, write_tvips

SHAPE = (3, 4, 10, 14)  # no two sizes alike: a swapped axis cannot hide
BEAM = (4, 9)  # row and column of the direct beam
SCAN_UNITS, DETECTOR_UNITS = ("nm", "nm"), ("1/nm", "1/nm")


def make_counts(dtype=np.uint16):
    counts = np.random.default_rng(3).integers(1, 50, SHAPE).astype(dtype)
    counts[:, :, BEAM[0], BEAM[1]] = 200
    return counts


@pytest.fixture
def counts():
    return make_counts()


def find_beam(patterns):
    """Coordinates of the brightest pixel of the mean pattern, in detector pixels from the origin."""
    mean = patterns["intensity"].mean(("scan_y", "scan_x")).values
    row, column = np.unravel_index(np.argmax(mean), mean.shape)
    steps = [float(np.diff(patterns[dim].values[:2])[0]) for dim in ("qy", "qx")]
    return float(patterns["qy"][row]) / steps[0], float(patterns["qx"][column]) / steps[1]


# ---- py4DSTEM: the measured origin decides


LAYOUTS = {
    "0.13": ("root/datacube", "root/metadatabundle/calibration", 0),
    "0.14": ("datacube_root/datacube", "datacube_root/metadatabundle/calibration", 0),
    "0.14 nested": ("datacube_root/datacube", "datacube_root/datacube/metadatabundle/calibration", 0),
    "0.12": ("4DSTEM_experiment/data/datacubes/cube", "4DSTEM_experiment/metadata/metadata_0/calibration", 1),
}
ORIGINS = {
    "mean": {"qx0_mean": float(BEAM[0]), "qy0_mean": float(BEAM[1])},
    "one per pattern": {"qx0": np.full((3, 4), 4.0), "qy0": np.full((3, 4), 9.0)},
    "measured": {"qx0_meas": np.full((3, 4), 4.0), "qy0_meas": np.full((3, 4), 9.0)},
}
VECTORS = {
    "pixels": lambda n, origin: (np.arange(n, dtype=float), "pixels"),
    "origin in pixels": lambda n, origin: (np.arange(n) * 0.02 - origin, "A^-1"),
    "two values": lambda n, origin: (np.array([0.0, 0.02]), "A^-1"),
    "origin in 1/angstrom": lambda n, origin: ((np.arange(n) - origin) * 0.02, "A^-1"),
}


def write_cube(path, counts, layout, origin, vectors):
    where, calibration, first = LAYOUTS[layout]
    names = ("K_pix_size", "R_pix_size", "K_pix_units", "R_pix_units") if layout == "0.12" else ()
    names = names or ("Q_pixel_size", "R_pixel_size", "Q_pixel_units", "R_pixel_units")
    with h5py.File(path, "w") as file:
        cube = file.create_group(where)
        cube["data"] = counts
        for n, size in enumerate(SHAPE):
            values, unit = (np.arange(size) * 2.0, "nm") if n < 2 else VECTORS[vectors](size, BEAM[n - 2])
            cube.create_dataset(f"dim{n + first}", data=values).attrs["units"] = unit
        group = file.create_group(calibration)
        for key, value in {**dict(zip(names, (0.02, 2.0, "A^-1", "nm"), strict=True)), **ORIGINS[origin]}.items():
            group[key] = value
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("vectors", VECTORS)
def test_origin_of_py4dstem(tmp_path, counts, layout, origin, vectors):
    patterns = open_4dstem(write_cube(tmp_path / "cube.h5", counts, layout, origin, vectors))
    np.testing.assert_allclose(find_beam(patterns), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(patterns["qx"]), 0.02)
    np.testing.assert_allclose(patterns["scan_x"], 2.0 * np.arange(4))


@pytest.mark.parametrize("place", ["4DSTEM/datacube/calibration", "4DSTEM/datacube/_metadata/calibration"])
@pytest.mark.parametrize("pair", [False, True])
def test_lists_and_pairs_of_py4dstem_0_13(tmp_path, counts, place, pair):
    with h5py.File(tmp_path / "cube.h5", "w") as file:
        file["4DSTEM/datacube/data"] = counts
        for n in range(4):
            file[f"4DSTEM/datacube/dim{n}"] = np.array([0.0, 1.0])
        group = file.create_group(place)
        group["Q_pixel_size"], group["R_pixel_size"] = np.array([0.02, 0.03]), np.array([2.0, 3.0])
        for key, unit in (("Q_pixel_units", "A^-1"), ("R_pixel_units", "nm")):
            for n in range(2):
                group[f"{key}/{n}"] = np.bytes_(unit)
        names = ("origin/0", "origin/1") if pair else ("qx0", "qy0")
        for name, pixel in zip(names, BEAM, strict=True):
            group[name] = np.full((3, 4), float(pixel))
    patterns = open_4dstem(tmp_path / "cube.h5")
    np.testing.assert_allclose(find_beam(patterns), 0, atol=1e-9)
    steps = [np.diff(patterns[dim].values[:2])[0] for dim in ("scan_y", "scan_x", "qy", "qx")]
    np.testing.assert_allclose(steps, [2.0, 3.0, 0.02, 0.03])


def test_beam_that_moves_over_the_scan_is_said(tmp_path, counts, monkeypatch):
    moving = {"qx0": 4.0 + np.linspace(-2, 2, 12).reshape(3, 4), "qy0": np.full((3, 4), 9.0)}
    monkeypatch.setitem(ORIGINS, "moving", moving)
    patterns = open_4dstem(write_cube(tmp_path / "cube.h5", counts, "0.14", "moving", "pixels"))
    np.testing.assert_allclose(find_beam(patterns), 0, atol=1e-9)
    assert "moves by 4.0 px" in patterns.attrs["comment"]


def test_dim_vector_with_an_origin_in_pixels_alone_is_refused(tmp_path, counts):
    path = write_cube(tmp_path / "cube.h5", counts, "0.14", "mean", "origin in pixels")
    with h5py.File(path, "a") as file:
        for key in ("qx0_mean", "qy0_mean"):
            del file[LAYOUTS["0.14"][1]][key]
    with pytest.raises(ReadError, match=r"a direct beam of .*direct_beam_px=.*accept='direct_beam'"):
        open_4dstem(path)
    np.testing.assert_allclose(find_beam(open_4dstem(path, direct_beam_px=BEAM)), 0, atol=1e-9)


# ---- order of the axes


def write_dataset(path, data):
    with h5py.File(path, "w") as file:
        file.create_dataset("scan", data=data, chunks=True)


def write_permuted(path, counts, order, *, units, flags, names=("", "", "", "")):
    """HyperSpy file whose axis n is axis ``order[n]`` of (scan_y, scan_x, qy, qx)."""
    with h5py.File(path, "w") as file:
        signal = file.create_group("Experiments/__unnamed__")
        signal["data"] = counts.transpose(order)
        for n, axis in enumerate(order):
            group = signal.create_group(f"axis-{n}")
            group.attrs.update(name=names[axis], size=counts.shape[axis], scale=0.2 + 0.1 * axis, units=units[axis])
            group.attrs.update(offset=0.0 if axis < 2 else -(0.2 + 0.1 * axis) * BEAM[axis - 2])
            if flags is not None:
                group.attrs["navigate"] = flags[axis]
    return path


TELLING = {
    "units and flags": {"units": (*SCAN_UNITS, *DETECTOR_UNITS), "flags": (True, True, False, False)},
    "units, no flags": {"units": (*SCAN_UNITS, *DETECTOR_UNITS), "flags": None},
    "units against flags": {"units": (*SCAN_UNITS, *DETECTOR_UNITS), "flags": (False, False, True, True)},
    "units, all flags alike": {"units": ("um", "um", "$A^{-1}$", "$A^{-1}$"), "flags": (True, True, True, True)},
    "flags, no units": {"units": ("", "", "", ""), "flags": (True, True, False, False)},
    "angles": {"units": ("nm", "nm", "mrad", "mrad"), "flags": (False, False, False, False)},
}


@pytest.mark.parametrize("telling", TELLING)
@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_of_four_axes(tmp_path, counts, telling, order):
    path = write_permuted(tmp_path / "scan.hspy", counts, order, **TELLING[telling], names=("y", "x", "ky", "kx"))
    patterns = open_4dstem(path)
    np.testing.assert_array_equal(patterns["intensity"].values, counts)
    np.testing.assert_array_equal(patterns["intensity"][1, 2, 3:8, ::2].values, counts[1, 2, 3:8, ::2])
    # Without names, the first axis of a pair is the row.
    path = write_permuted(tmp_path / "bare.hspy", counts, order, **TELLING[telling])
    shape = [n for half in ((0, 1), (2, 3)) for n in order if n in half]
    np.testing.assert_array_equal(open_4dstem(path)["intensity"].values, counts.transpose(shape))


@pytest.mark.parametrize(
    ("units", "flags"),
    [
        (("", "", "", ""), (True, True, True, True)),
        (("nm", "nm", "nm", "nm"), (False, False, False, False)),
        (("", "", "", "1/nm"), (True, True, True, False)),
        (("1/nm", "", "1/nm", "1/nm"), (True, False, False, False)),
    ],
)
def test_axes_that_nothing_tells_are_refused_until_dims_does(tmp_path, counts, units, flags):
    path = write_permuted(tmp_path / "scan.hspy", counts, (2, 3, 0, 1), units=units, flags=flags)
    with pytest.raises(ReadError, match=r"of 4 axes marked as detector.*dims=\('qy', 'qx', 'scan_y', 'scan_x'\)"):
        open_4dstem(path)
    patterns = open_4dstem(path, dims=("qy", "qx", "scan_y", "scan_x"))
    np.testing.assert_array_equal(patterns["intensity"].values, counts)


@pytest.mark.parametrize("order", [(2, 3, 0, 1), (1, 0, 3, 2), (3, 0, 2, 1)])
@pytest.mark.parametrize("ending", ["npy", "h5", "zarr", "tif"])
def test_dims_of_files_without_axes(tmp_path, counts, order, ending):
    path, stored = tmp_path / f"scan.{ending}", np.ascontiguousarray(counts.transpose(order))
    writers = {
        "npy": lambda: np.save(path, stored),
        "h5": lambda: write_dataset(path, stored),
        "zarr": lambda: zarr.create_array(path, data=stored, chunks=(2, 2, 5, 5)),
        "tif": lambda: tifffile.imwrite(path, stored, photometric="minisblack"),
    }
    writers[ending]()
    names = [("scan_y", "scan_x", "qy", "qx")[n] for n in order]
    np.testing.assert_array_equal(open_4dstem(path, dims=names)["intensity"].values, counts)


@pytest.mark.parametrize(
    "dims", [("qy", "qx"), ("scan_y", "qy", "qx"), ("scan_y", "scan_y", "qy", "qx"), "qyqx", ("a",)]
)
def test_dims_that_do_not_fit(tmp_path, counts, dims):
    np.save(tmp_path / "scan.npy", counts)
    with pytest.raises((ReadError, SchemaError), match="dims="):
        open_4dstem(tmp_path / "scan.npy", dims=dims)


@pytest.mark.parametrize("unit", ["eV", "keV"])
def test_spectra_are_no_patterns(tmp_path, counts, unit):
    flags = (True, True, True, False)
    path = write_permuted(tmp_path / "scan.hspy", counts, (0, 1, 2, 3), units=("nm", "nm", "", unit), flags=flags)
    with pytest.raises(ReadError, match=f"spectra and no patterns: an axis in {unit}"):
        open_4dstem(path)
    np.testing.assert_array_equal(open_4dstem(path, dims=("scan_y", "scan_x", "qy", "qx"))["intensity"].values, counts)


# ---- recordings that were stopped


def write_blo(path, counts):
    axes = ("scan_y", "scan_x", "qy", "qx")
    square = xr.Dataset({"intensity": (axes, counts[..., :10])})
    return save_blo(describe(square, PATTERNS, step="demo", settings={}), path, scale=1)


RECORDINGS = {
    "mib": lambda path: write_mib(path, make_counts()),
    "mib with hdr": lambda path: write_mib(
        path, make_counts(), hdr={"Frames in Acquisition (Number)": 12, "Frames per Trigger (Number)": 4}
    ),
    "quad mib": lambda path: write_mib(path, make_counts(np.uint8), header=768),
    "tvips": lambda path: write_tvips(path, make_counts().reshape(12, 10, 14)),
    "old tvips": lambda path: write_tvips(path, make_counts().reshape(12, 10, 14), version=1),
    "mrc": lambda path: write_mrc(path, make_counts().reshape(12, 10, 14)),
    "blo": lambda path: write_blo(path, make_counts(np.uint8)),
    "empad": lambda path: write_empad(path, 12),
}
NAMES = {"tvips": "a_000.tvips", "old tvips": "a_000.tvips", "empad": "scan_x4_y3.raw", "mrc": "a.mrc", "blo": "a.blo"}


@pytest.mark.parametrize("kind", RECORDINGS)
def test_all_complete_patterns_of_a_stopped_recording(tmp_path, kind):
    path = tmp_path / NAMES.get(kind, "a.mib")
    RECORDINGS[kind](path)
    whole = path.read_bytes()
    expected = open_4dstem(path)["intensity"].values.reshape(12, -1)
    frame = expected[0].nbytes + {"tvips": 64, "old tvips": 12, "empad": 1024, "mrc": 0, "blo": 6}.get(kind, 384)
    frame += 384 if kind == "quad mib" else 0
    first = len(whole) - 12 * frame
    for complete, rest in ((11, 0), (7, frame // 2), (4, 1), (1, frame - 1)):
        path.write_bytes(whole[: first + complete * frame + rest])
        if kind == "blo":
            with pytest.raises(
                ReadError, match=rf"copy the file again, or open its {complete} .*scan_shape=\(1, {complete}\)"
            ):
                open_4dstem(path)
        row = open_4dstem(path, scan_shape=(1, complete)) if kind == "blo" else open_4dstem(path)
        np.testing.assert_array_equal(row["intensity"].values.reshape(complete, -1), expected[:complete])
        # Without an announced number, a recording that ends with a frame looks complete.
        known = rest > 0 or kind not in ("mib", "quad mib", "tvips", "old tvips")
        assert ("stopped" in row.attrs["comment"]) == known
        if complete < 4 or not known:
            continue
        rows = open_4dstem(path, scan_shape=(complete // 4, 4))
        assert rows["intensity"].shape[:2] == (complete // 4, 4)
        np.testing.assert_array_equal(
            rows["intensity"].values.reshape(-1, expected.shape[1]), expected[: complete // 4 * 4]
        )
        with pytest.raises(ReadError, match="scan_shape="):
            open_4dstem(path, scan_shape=(3, 4))


def test_shape_of_a_merlin_recording(tmp_path, counts):
    """The .hdr file, then regular pauses, decide; irregular pauses and single triggers leave one row."""
    hdr = {"Frames in Acquisition (Number)": 12, "Frames per Trigger (Number)": 4}
    assert open_4dstem(write_mib(tmp_path / "a.mib", counts, hdr=hdr)).sizes["scan_x"] == 4
    start = np.datetime64("2026-05-07T16:00:00", "ns")
    even = start + np.arange(12) * np.timedelta64(2_094_450, "ns")
    jitter = even + np.arange(12) // 4 * np.timedelta64(10, "ns")
    pauses = even + np.arange(12) // 4 * np.timedelta64(20_800, "ns")
    irregular = even + np.array([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]) * np.timedelta64(20_800, "ns")
    for stamps, shape in ((even, (1, 12)), (jitter, (1, 12)), (pauses, (3, 4)), (irregular, (1, 12))):
        patterns = open_4dstem(write_mib(tmp_path / "b.mib", counts, stamps=stamps))
        assert patterns["intensity"].shape[:2] == shape
        np.testing.assert_array_equal(patterns["intensity"].values.reshape(SHAPE), counts)
        assert "scan_shape" in patterns.attrs["comment"]


@pytest.mark.parametrize("kind", ["R64", "U64", "F32"])
def test_merlin_variants_that_are_not_supported_are_called_that(tmp_path, kind):
    path = write_mib(tmp_path / "a.mib", make_counts(), kind=kind)
    with pytest.raises(ReadError, match=rf"{kind}\), a variant that is not supported.*U08, U16, U32"):
        open_4dstem(path)


@pytest.mark.parametrize("quad", [False, True])
def test_raw_mode_of_one_bit(tmp_path, quad):
    bits = np.random.default_rng(5).integers(0, 2, (6, 8, 256 if quad else 128)).astype(np.uint8)
    path = write_raw_mib(tmp_path / "a.mib", bits, quad=quad)
    patterns = open_4dstem(path, scan_shape=(2, 3))
    np.testing.assert_array_equal(patterns["intensity"].values.reshape(bits.shape), bits)
    np.testing.assert_array_equal(patterns["intensity"][1, 2, 2:7, ::-3].values, bits[5, 2:7, ::-3])
    path.write_bytes(path.read_bytes()[:-5])
    np.testing.assert_array_equal(open_4dstem(path)["intensity"].values[0], bits[:5])
    write_raw_mib(path, bits, quad=quad, depth=12)
    with pytest.raises(ReadError, match=r"raw mode with 12 bits \(R64\), a variant that is not supported"):
        open_4dstem(path)


def test_tvips_in_parts(tmp_path, counts):
    flat = counts.reshape(12, 10, 14)
    parts = [write_tvips(tmp_path / f"a_{n:03d}.tvips", flat[5 * n : 5 * n + 5], first=5 * n) for n in range(3)]
    patterns = open_4dstem(parts[0], scan_shape=(3, 4))
    np.testing.assert_array_equal(patterns["intensity"].values, counts)
    np.testing.assert_array_equal(patterns["intensity"][1, 1:].values, counts[1, 1:])
    assert patterns.attrs["voltage_kv"] == 200
    for n in (1, 2):
        with pytest.raises(ReadError, match=rf"part {n} of a recording.*open 'a_000\.tvips'"):
            open_4dstem(parts[n])
    whole = parts[1].read_bytes()
    parts[1].write_bytes(whole[:-10])
    with pytest.raises(ReadError, match=r"copy 'a_001\.tvips' again"):
        open_4dstem(parts[0])
    parts[1].unlink()
    with pytest.raises(ReadError, match=r"a_001\.tvips is missing"):
        open_4dstem(parts[0])
    parts[0].rename(tmp_path / "renamed.tvips")
    assert open_4dstem(tmp_path / "renamed.tvips").sizes["scan_x"] == 5


@pytest.mark.parametrize(("n", "row"), [(11, 4), (7, 4), (8, 6), (5, 3)])
def test_topspin_scan_that_was_stopped(tmp_path, counts, n, row):
    flat = counts.reshape(12, 10, 14)
    whole = open_4dstem(write_app5(tmp_path / "whole.app5", flat), accept="q_step")
    np.testing.assert_array_equal(whole["intensity"].values, counts)
    np.testing.assert_allclose(np.diff(whole["scan_y"]), 3.0)
    np.testing.assert_allclose(np.diff(whole["qx"]), 1e-4 / wavelength(200))
    stopped = open_4dstem(write_app5(tmp_path / "stopped.app5", flat, n=n, row=row))
    np.testing.assert_array_equal(stopped["intensity"].values[0], flat[:n])
    assert f"scan_shape=({n // row}, {row}) gives the complete rows" in stopped.attrs["comment"]
    rows = open_4dstem(tmp_path / "stopped.app5", scan_shape=(n // row, row))
    np.testing.assert_array_equal(rows["intensity"].values.reshape(-1, 10, 14), flat[: n // row * row])


# ---- formats and variants


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "u2"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extended", [0, 3072])
def test_mrc(tmp_path, dtype, order, extended):
    data = make_counts(dtype)
    path = write_mrc(tmp_path / "a.mrc", data.reshape(12, 10, 14), order=order, extended=extended)
    np.testing.assert_array_equal(open_4dstem(path, scan_shape=(3, 4))["intensity"].values, data)


@pytest.mark.parametrize(("mode", "word"), [(3, "mode 3"), (101, "mode 101"), (16, "mode 16")])
def test_mrc_modes_that_are_not_supported(tmp_path, mode, word):
    path = write_mrc(tmp_path / "a.mrc", make_counts().reshape(12, 10, 14), mode=mode)
    with pytest.raises(ReadError, match=f"{word}, a variant that is not supported"):
        open_4dstem(path)


@pytest.mark.parametrize("name", ["a.mrc", "a.mrcz"])
def test_compressed_mrc_names_its_package(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "mrcz", None)
    monkeypatch.delitem(sys.modules, "rsciio.mrcz", raising=False)
    monkeypatch.delitem(sys.modules, "rsciio.mrcz._api", raising=False)
    path = write_mrc(tmp_path / name, make_counts().reshape(12, 10, 14), mode=1006)
    with pytest.raises(ReadError, match=r"package 'mrcz', which is not installed.*pip install phasekit\[formats\]"):
        open_4dstem(path)


@pytest.mark.parametrize(("code", "name"), [(32001, "blosc"), (32004, "lz4"), (32008, "bitshuffle"), (32015, "zstd")])
def test_hdf5_filters_that_are_not_installed(tmp_path, counts, code, name):
    if load_hdf5_filters():
        pytest.skip("hdf5plugin is installed")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 1, 10, 14))
        plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_UINT16, space, plist)
    with pytest.raises(
        ReadError, match=rf"{name} \(HDF5 filter {code}\).*pip install phasekit\[formats\] or pip install hdf5"
    ):
        open_4dstem(tmp_path / "scan.h5")


@pytest.mark.parametrize("lost", [None, 1, 2, 3])
def test_recording_of_several_linked_files(tmp_path, counts, lost):
    """Dectris writes a master file with links to data_000001, data_000002 ... in files beside it."""
    flat = counts.reshape(12, 10, 14)
    with h5py.File(tmp_path / "a_master.h5", "w") as master:
        for n in (1, 2, 3):
            name = f"a_data_{n:06d}.h5"
            with h5py.File(tmp_path / name, "w") as file:
                file["entry/data/data"] = flat[5 * n - 5 : 5 * n]
            master[f"entry/data/data_{n:06d}"] = h5py.ExternalLink(name, "entry/data/data")
        master["entry/instrument/detector/pixel_mask"] = np.zeros((10, 14), np.uint32)
    if lost is None:
        patterns = open_4dstem(tmp_path / "a_master.h5", scan_shape=(3, 4), chunks=(1, 3))
        np.testing.assert_array_equal(patterns["intensity"].values, counts)
        np.testing.assert_array_equal(patterns["intensity"][1, 2:].values, counts[1, 2:])
        return
    (tmp_path / f"a_data_{lost:06d}.h5").unlink()
    with pytest.raises(ReadError, match=rf"other part is missing.*a_data_{lost:06d}\.h5.*beside it"):
        open_4dstem(tmp_path / "a_master.h5")


INFOS = {
    "long info": {"Info": "exposure = 0.01 s\n" * 20_000},
    "labels": {"Labels": ["pattern " * 2000] * 12},
    "overlays": {"Overlays": [b"\1" * 100_000] * 3},
    "info and hyperstack": {"Info": "camera = demo\n" * 20_000, "axes": "TYX", "fps": 3.0},
}


@pytest.mark.parametrize("kind", INFOS)
def test_imagej_with_more_text_than_pixels(tmp_path, counts, kind):
    tifffile.imwrite(tmp_path / "a.tif", counts.reshape(12, 10, 14), imagej=True, metadata=INFOS[kind])
    patterns = open_4dstem(tmp_path / "a.tif", scan_shape=(3, 4))
    np.testing.assert_array_equal(patterns["intensity"].values, counts)


@pytest.mark.filterwarnings("ignore")  # what tifffile says about a broken chain of pages
@pytest.mark.parametrize("kind", INFOS)
def test_imagej_stack_that_was_cut(tmp_path, counts, kind):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, counts.reshape(12, 10, 14), imagej=True, metadata=INFOS[kind])
    whole = path.read_bytes()
    for kept in np.linspace(8, len(whole) - 1, 20).astype(int):
        path.write_bytes(whole[:kept])
        with contextlib.suppress(ReadError):
            assert open_4dstem(path)["intensity"].shape == (1, 12, 10, 14)


def write_ragged_marker(folder, name, values):
    """Ragged array as HyperSpy 2 stores markers in zarr 2: objects, which zarr 3 cannot read."""
    (folder / name).mkdir(parents=True)
    codec = {"id": "vlen-utf8"} if values == "text" else {"id": "vlen-array", "dtype": "<f8"}
    meta = {"chunks": [1], "compressor": None, "dtype": "|O", "fill_value": 0, "filters": [codec]}
    meta |= {"order": "C", "shape": [1], "zarr_format": 2}
    (folder / name / ".zarray").write_text(json.dumps(meta), encoding="utf-8")
    (folder / name / "0").write_bytes(b"\1\0\0\0\0\0\0\0")


@pytest.mark.parametrize("values", ["numbers", "text"])
@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_zspy_with_markers(tmp_path, counts, values, consolidated, packed):
    path = tmp_path / "a.zspy"
    write_hspy(path, counts, group=zarr.open_group(path, mode="w", zarr_format=2))
    kwargs = path / "Experiments/__unnamed__/metadata/Markers/Points/kwargs"
    for folder in (kwargs.parent.parent, kwargs.parent, kwargs):
        folder.mkdir()
        (folder / ".zgroup").write_text('{"zarr_format": 2}', encoding="utf-8")
    write_ragged_marker(kwargs, "offsets", values)
    if consolidated:
        files = [p for p in path.rglob(".z*") if p.name in (".zgroup", ".zarray", ".zattrs")]
        metadata = {str(p.relative_to(path)): json.loads(p.read_text(encoding="utf-8")) for p in files}
        summary = {"metadata": metadata, "zarr_consolidated_format": 1}
        (path / ".zmetadata").write_text(json.dumps(summary), encoding="utf-8")
    if packed:
        with zipfile.ZipFile(tmp_path / "b.zspy", "w") as archive:
            for file in sorted(p for p in path.rglob("*") if p.is_file()):
                archive.write(file, file.relative_to(path).as_posix())
        path = tmp_path / "b.zspy"
    np.testing.assert_array_equal(open_4dstem(path)["intensity"].values, counts)


def test_what_lies_beside_the_signal_is_not_the_scan(tmp_path, counts):
    path = write_hspy(tmp_path / "scan.hspy", counts)
    with h5py.File(path, "a") as file:
        signal = file["Experiments/__unnamed__"]
        signal["metadata/Signal/Noise_properties/_sig_variance/data"] = counts
        signal["learning_results/factors"] = counts
        file["Analysis/models/a/_dict/data"] = counts
    np.testing.assert_array_equal(open_4dstem(path)["intensity"].values, counts)
    with h5py.File(tmp_path / "image.h5", "w") as file:
        file["Preview/Image"] = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ReadError, match=r"a colour image and no patterns: Preview/Image"):
        open_4dstem(tmp_path / "image.h5")
    with h5py.File(tmp_path / "prismatic.emd", "w") as file:
        file["4DSTEM_simulation/data/realslices/virtual_detector/realslice"] = np.zeros((22, 22, 37))
    with pytest.raises(ReadError, match="no scan of patterns"):
        open_4dstem(tmp_path / "prismatic.emd")


EMPAD_VERSIONS = {
    "0.51": "<pix_x>4</pix_x><pix_y>3</pix_y>{raw}<iom_measurements><source.get_voltage>300000.0</source.get_voltage>"
    "<optics.get_full_scan_field_of_view>[3.0e-08, 4.0e-08]</optics.get_full_scan_field_of_view>"
    "<calibrated_pixelsize>2.0e-10</calibrated_pixelsize></iom_measurements>",
    "1.2": "{raw}<iom_measurements><full_scan_field_of_view><scale_factor>0.5</scale_factor><x>2e-08</x><y>2e-08</y>"
    "</full_scan_field_of_view><high_voltage>300000.0</high_voltage></iom_measurements>",
}


@pytest.mark.parametrize("version", EMPAD_VERSIONS)
def test_description_of_an_empad_recording(tmp_path, version):
    values, path = write_empad(tmp_path / "scan_x4_y3.raw", 12), tmp_path / "a.xml"
    text = EMPAD_VERSIONS[version].format(raw='<raw_file filename="scan_x4_y3.raw"/>')
    path.write_text(f"<root>{text}</root>", encoding="utf-8")
    patterns = open_4dstem(path)
    np.testing.assert_array_equal(patterns["intensity"][:, :, 5, 7].values, np.arange(12.0).reshape(3, 4))
    np.testing.assert_allclose(np.diff(patterns["scan_x"]), 10.0)
    assert patterns.attrs["voltage_kv"] == 300
    assert (patterns["qx"].attrs["units"] == "1/angstrom") == (version == "0.51")
    values.write_bytes(values.read_bytes()[:-100])
    stopped = open_4dstem(path)
    np.testing.assert_array_equal(stopped["intensity"][0, :, 5, 7].values, np.arange(11.0))
    values.unlink()
    with pytest.raises(ReadError, match=r"without its values 'scan_x4_y3\.raw'"):
        open_4dstem(path)


def test_raw_bytes_point_to_their_description(tmp_path):
    (tmp_path / "scan.raw").write_bytes(bytes(1000))
    with pytest.raises(ReadError, match="bytes without a header"):
        open_4dstem(tmp_path / "scan.raw")
    (tmp_path / "scan.rpl").write_text("", encoding="utf-8")
    with pytest.raises(ReadError, match=r"open 'scan\.rpl'"):
        open_4dstem(tmp_path / "scan.raw")


def make_signal(data, axes):
    """Signal as a plugin of rosettasciio returns it; an axis is (name, scale, offset, units, navigate)."""
    keys = ("name", "scale", "offset", "units", "navigate")
    return [{"data": data, "axes": [dict(zip(keys, axis, strict=True)) for axis in axes], "metadata": {}}]


TIA = [("y", 2.0, 0.0, "nm", True), ("x", 2.0, 0.0, "nm", True)]
TIA += [("y", 0.4, -1.6e9, "1 / nm", False), ("x", 0.4, -3.6e9, "1 / nm", False)]
SPECTRAL = {"Energy": "eV", "Energy loss": "", "Wavelength": "nm", "energy": "keV"}


def test_offsets_of_tia_in_other_units_than_the_steps(tmp_path, monkeypatch, counts):
    """The plugin turns the steps into 1/nm and leaves the offsets in 1/m."""
    monkeypatch.setattr("rsciio.tia.file_reader", lambda path, lazy: make_signal(counts, TIA))
    (tmp_path / "a.emi").write_bytes(bytes(100))
    np.testing.assert_allclose(find_beam(open_4dstem(tmp_path / "a.emi")), 0, atol=1e-9)


@pytest.mark.parametrize("name", SPECTRAL)
@pytest.mark.parametrize("ending", ["dm4", "emi", "unf"])
def test_spectra_of_makers_are_no_patterns(tmp_path, monkeypatch, counts, name, ending):
    axes = [("y", 1.0, 0.0, "um", True), ("x", 1.0, 0.0, "um", True), (name, 1.0, 0.0, SPECTRAL[name], False)]
    plugin = {"dm4": "digitalmicrograph", "emi": "tia", "unf": "semper"}[ending]
    monkeypatch.setattr(f"rsciio.{plugin}.file_reader", lambda path, lazy: make_signal(counts[0], axes))
    (tmp_path / f"a.{ending}").write_bytes(bytes(100))
    with pytest.raises(ReadError, match="spectra and no patterns"):
        open_4dstem(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("name", ["Bitshuffle", "LZ4", "Blosc", "Zstd"])
def test_hdf5_filters_that_are_installed(tmp_path, counts, name):
    plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("data", data=counts, chunks=(1, 2, 10, 14), **getattr(plugin, name)())
    np.testing.assert_array_equal(open_4dstem(tmp_path / "scan.h5")["intensity"].values, counts)


@pytest.mark.parametrize("codec", [None, "zstd", "lz4"])
def test_compressed_mrc_with_its_package(tmp_path, counts, codec):
    package = pytest.importorskip("mrcz")
    path = tmp_path / "a.mrcz"
    package.writeMRC(counts.reshape(12, 10, 14).astype("i2"), str(path), compressor=codec)
    np.testing.assert_array_equal(open_4dstem(path, scan_shape=(3, 4))["intensity"].values, counts)


# ---- angles, and what the caller gives


@pytest.mark.parametrize(("unit", "radian"), [("mrad", 1e-3), ("mrads", 1e-3), ("rad", 1.0), ("deg", np.pi / 180)])
def test_angles_need_a_voltage(tmp_path, counts, unit, radian):
    path = write_hspy(tmp_path / "scan.hspy", counts, units=("nm", "nm", unit, unit))
    with h5py.File(path, "a") as file:
        del file["Experiments/__unnamed__/metadata"]
    bare = open_4dstem(path)
    assert bare["qx"].attrs["units"] == "px"
    assert "voltage_kv=<kV>" in bare["qx"].attrs["comment"]
    with pytest.raises(SchemaError, match=r"'qx' is in 'px'.*no voltage.*voltage_kv=<kV> gives 1/angstrom"):
        require(bare, PATTERNS, step="demo", units={"qx": "1/angstrom"})
    patterns = open_4dstem(path, voltage_kv=80, accept="q_step")
    assert patterns.attrs["voltage_kv"] == 80
    np.testing.assert_allclose(np.diff(patterns["qx"]), 0.02 * radian / wavelength(80))


def test_given_calibration_wins(tmp_path, counts):
    path = write_hspy(tmp_path / "scan.hspy", counts)
    patterns = open_4dstem(path, step_nm=(4.0, 5.0), q_step=0.03, direct_beam_px=BEAM, voltage_kv=300)
    np.testing.assert_allclose(patterns["scan_y"], 4.0 * np.arange(3))
    np.testing.assert_allclose(patterns["scan_x"], 5.0 * np.arange(4))
    np.testing.assert_allclose(patterns["qx"], 0.03 * (np.arange(14) - 9))
    np.testing.assert_allclose(find_beam(patterns), 0, atol=1e-9)
    assert patterns.attrs["voltage_kv"] == 300
    np.save(tmp_path / "bare.npy", counts)
    bare = open_4dstem(tmp_path / "bare.npy", q_step=0.03)
    np.testing.assert_allclose(bare["qx"], 0.03 * (np.arange(14) - 6.5))
    with pytest.raises(SchemaError, match="Give q_step="):
        open_4dstem(tmp_path / "bare.npy", direct_beam_px=BEAM)


@pytest.mark.parametrize(
    "wrong", [{"step_nm": 0}, {"step_nm": (1, 2, 3)}, {"q_step": "a"}, {"voltage_kv": -1}, {"direct_beam_px": 3j}]
)
def test_given_calibration_is_checked(tmp_path, counts, wrong):
    np.save(tmp_path / "scan.npy", counts)
    with pytest.raises(SchemaError, match=f"open_4dstem: {next(iter(wrong))}="):
        open_4dstem(tmp_path / "scan.npy", **wrong)


# ---- what is not plausible


def write_with(path, counts, **stated):
    write_hspy(path, counts)
    with h5py.File(path, "a") as file:
        signal = file["Experiments/__unnamed__"]
        for key, value in stated.items():
            place, name = ("metadata/Acquisition_instrument/TEM", key) if key == "beam_energy" else key.split("_")
            signal[place.replace("axis", "axis-")].attrs[name] = value
    return path


IMPLAUSIBLE = {
    "step in m": ({"axis0_scale": 2e-9}, "step_nm", "step_nm=<step in nm>"),
    "step in pm": ({"axis1_scale": 2e6}, "step_nm", "step_nm="),
    "detector in 1/m": ({"axis2_scale": 2e8, "axis2_offset": -8e8}, "q_step", "q_step="),
    "detector in m": ({"axis3_scale": 1e-9, "axis3_offset": -4e-9}, "q_step", "q_step="),
    "origin in px": ({"axis2_offset": -4.0}, "direct_beam", "direct_beam_px="),
    "origin right of it": ({"axis3_offset": 0.3}, "direct_beam", "direct_beam_px="),
    "voltage in MV": ({"beam_energy": 0.2}, "voltage", "voltage_kv="),
    "voltage of 2 MV": ({"beam_energy": 2e6}, "voltage", "voltage_kv="),
    "voltage of 3 keV": ({"beam_energy": 3000.0}, "voltage", "voltage_kv="),
}


@pytest.mark.parametrize("case", IMPLAUSIBLE)
def test_what_is_not_plausible_is_refused_until_accepted(tmp_path, counts, case):
    stated, rule, cure = IMPLAUSIBLE[case]
    path = write_with(tmp_path / "scan.hspy", counts, **stated)
    with pytest.raises(ReadError, match=rf"outside.*Probably.*{cure}.*accept='{rule}'"):
        open_4dstem(path)
    patterns = open_4dstem(path, accept=rule)
    np.testing.assert_array_equal(np.sort(patterns["intensity"].values, axis=None), np.sort(counts, axis=None))


@pytest.mark.parametrize(("stated", "kilovolts"), [(200.0, 200), (2e5, 200), (30_000.0, 30), (5.0, 5), (1.2e6, 1200)])
def test_voltage_in_v_or_kv(tmp_path, counts, stated, kilovolts):
    assert open_4dstem(write_with(tmp_path / "a.hspy", counts, beam_energy=stated)).attrs["voltage_kv"] == kilovolts


@pytest.mark.parametrize("mistaken", [200_000, 3])
def test_a_given_voltage_is_checked_too(tmp_path, counts, mistaken):
    np.save(tmp_path / "scan.npy", counts)
    with pytest.raises(ReadError, match="an accelerating voltage"):
        open_4dstem(tmp_path / "scan.npy", voltage_kv=mistaken)


def test_camera_length_in_another_unit(tmp_path, counts):
    path = write_blo(tmp_path / "a.blo", make_counts(np.uint8))
    content = bytearray(path.read_bytes())
    from rsciio.blockfile._api import get_header_dtype_list

    header = np.frombuffer(content, np.dtype(get_header_dtype_list()), 1).copy()
    header["Beam_energy"], header["Camera_length"], header["SDP"] = 200_000, 2, 100 * 100
    path.write_bytes(header.tobytes() + bytes(content[header.nbytes :]))
    with pytest.raises(ReadError, match=r"accept='(camera_length|q_step)'"):
        open_4dstem(path)


@pytest.mark.parametrize("dtype", ["i2", "i4"])
def test_counts_that_lost_their_sign(tmp_path, counts, dtype):
    wrapped = counts.astype(dtype)
    wrapped[0, 0, 4, 9] = -30_000
    np.save(tmp_path / "a.npy", wrapped)
    with pytest.raises(ReadError, match=r"a pixel of -3e\+04 counts.*unsigned.*accept='counts'"):
        open_4dstem(tmp_path / "a.npy")
    assert open_4dstem(tmp_path / "a.npy", accept="counts")["intensity"].dtype == np.dtype(dtype)
    wrapped[0, 0, 4, 9] = -20  # noise around a subtracted background
    np.save(tmp_path / "b.npy", wrapped)
    assert open_4dstem(tmp_path / "b.npy").sizes["qx"] == 14


def test_unknown_rule(tmp_path, counts):
    np.save(tmp_path / "a.npy", counts)
    with pytest.raises(SchemaError, match="accept='size' is no rule"):
        open_4dstem(tmp_path / "a.npy", accept="size")
