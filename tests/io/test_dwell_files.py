"""The dwell of every format, per energy and per pixel; counts told from counts per second."""

import json

import dask.array as da
import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phasekit as pk
from phasekit.schema import STACK, require

MS = np.array([1.0, 4.0, 2.0])


def _counter(file):
    entry = next(iter(file.values()))
    return next(group for name, group in entry.items() if name.lower() in ("counter0", "apd"))


@pytest.fixture(params=["pollux", "hermes", "maxymus", "numbered"])
def nexus(request, stxm, tmp_path):
    return getattr(stxm, request.param)(tmp_path / "a.hdf5")


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1.0), ("ms", 1e3), ("\u03bcs", 1e6), (None, 1.0)])
def test_nexus_by_energy(nexus, stxm, unit, per_second):
    with h5py.File(nexus, "a") as file:
        _counter(file)["count_time"] = MS * 1e-3 * per_second
        if unit:
            _counter(file)["count_time"].attrs["units"] = np.bytes_(unit.encode())
    stack = pk.io.open_stxm(nexus)
    require(stack, STACK, step="test")
    assert_allclose(stack.dwell, MS * 1e-3)
    assert stack.dwell.attrs["units"] == "s"
    assert "pixel_dwell" not in stack
    assert_array_equal(stack.intensity, stxm.intensity)


def test_nexus_one_for_all_and_what_is_no_time(nexus):
    with h5py.File(nexus, "a") as file:
        _counter(file)["dwell_time"] = np.array([0.002])
    assert_allclose(pk.io.open_stxm(nexus).dwell, 0.002)
    for value, unit in ((0.0, "s"), (-1.0, "s"), (np.nan, "s"), (0.002, "eV")):
        with h5py.File(nexus, "a") as file:
            _counter(file)["dwell_time"][...] = value
            _counter(file)["dwell_time"].attrs["units"] = unit
        assert "dwell" not in pk.io.open_stxm(nexus)


def test_nexus_by_pixel_follows_the_axes(stxm, tmp_path):
    times = 1e-3 * (1 + np.arange(stxm.intensity.size).reshape(stxm.intensity.shape))
    paths = [stxm.pollux(tmp_path / "a.hdf5"), stxm.maxymus(tmp_path / "b.hdf5"), stxm.numbered(tmp_path / "c.nxs")]
    for path, order in zip(paths, [(0, 1, 2), (0, 2, 1), (2, 1, 0)], strict=True):
        with h5py.File(path, "a") as file:
            _counter(file)["count_time"] = times.transpose(order)
            _counter(file)["count_time"].attrs["units"] = "s"
        stack = pk.io.open_stxm(path)
        assert isinstance(stack.pixel_dwell.data, da.Array)
        assert_allclose(stack.pixel_dwell, times)
        assert_allclose(stack.dwell, times.mean(axis=(1, 2)))
        assert_array_equal(stack.intensity, stxm.intensity)
        again = pk.io.load(pk.io.save(stack, tmp_path / "own.nc"))
        assert_allclose(again.pixel_dwell, times)


def test_nexus_detector_and_request(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    request = {"outerRegions": [{"dwellTime": t, "axes": [{"nPoints": n}]} for t, n in ((0.01, 2), (0.04, 1))]}
    with h5py.File(path, "a") as file:
        file["entry1/collection/scan_request/scan_request"] = np.array([json.dumps(request).encode()])
    assert_allclose(pk.io.open_stxm(path).dwell, [0.01, 0.01, 0.04])
    with h5py.File(path, "a") as file:
        file["entry1/instrument/counter0/count_time"] = np.repeat(MS, 24) * 1e-3
    assert_allclose(pk.io.open_stxm(path).dwell, MS * 1e-3)
    with h5py.File(path, "a") as file:
        del file["entry1/instrument"]
        del file["entry1/collection/scan_request/scan_request"]
        file["entry1/collection/scan_request/scan_request"] = np.array([b"not json"])
    assert "dwell" not in pk.io.open_stxm(path)


def test_a_single_image(stxm, tmp_path):
    path = stxm.image(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["count_time"] = np.array([0.003])
    assert_allclose(pk.io.open_stxm(path).dwell, [0.003])


def test_falling_energies_keep_their_dwell(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["energy"][:] = stxm.energy[::-1]
        _counter(file)["count_time"] = MS
    assert_allclose(pk.io.open_stxm(path).dwell, MS[::-1])


def _add(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _regions(*rows):
    listed = ",\n".join(
        f"{{ StartEnergy = {a}; EndEnergy = {b}; Points = {n}; DwellTime = {t};}}" for a, b, n, t in rows
    )
    return f"ImageScan = {{ EnergyRegions = ({len(rows)},\n{listed});\n}};\n"


def test_sdf(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr")
    assert_allclose(pk.io.open_stxm(path).dwell, 1.5e-3)
    _add(path, _regions((512, 515.5, 2, 1.0), (520, 523, 1, 4.0)))
    assert_allclose(pk.io.open_stxm(path).dwell, [1e-3, 1e-3, 4e-3])
    assert_allclose(pk.io.open_stxm(path, energies=stxm.energy[:2]).dwell, [1e-3, 1e-3])


def test_sdf_regions_that_share_an_energy(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr")
    _add(path, _regions((512, 515.5, 2, 1.0), (515.5, 523, 2, 4.0)))
    assert_allclose(pk.io.open_stxm(path).dwell, [1e-3, 1e-3, 4e-3])


def test_sdf_each_region_of_the_sample_has_its_own(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr", regions=2, kind="Multi-Region Image Stack")
    frames = [
        f"Image{i:03d}_{r} = {{StorageRingCurrent = 400; Dwell = {1 + 3 * r};}};" for r in (0, 1) for i in range(3)
    ]
    _add(path, "\n".join(frames))
    assert_allclose(pk.io.open_stxm(path, region=0).dwell, 1e-3)
    assert_allclose(pk.io.open_stxm(path, region=1).dwell, 4e-3)


def test_ncb(stxm, tmp_path):
    path = stxm.ncb(tmp_path / "a.ncb")
    assert_allclose(pk.io.open_stxm(path).dwell, 1e-3)
    header = path.with_suffix(".dat")
    lines = header.read_text(encoding="utf-8").splitlines()
    listed = [f"a{i} {e} {t}" for i, (e, t) in enumerate(zip(stxm.energy, MS, strict=True))]
    header.write_text("\n".join([*lines[:-3], *listed]), encoding="utf-8")
    assert_allclose(pk.io.open_stxm(path).dwell, MS * 1e-3)
    for short in (lines[:-3], [*lines[:-1], "frame 3"]):
        header.write_text("\n".join(short), encoding="utf-8")
        assert "dwell" not in pk.io.open_stxm(path)


@pytest.mark.parametrize(("unit", "per_second"), [("Hz", 1.0), ("kHz", 1e-3), ("counts/s", 1.0), ("", 1.0)])
def test_counts_per_second_become_counts(stxm, tmp_path, unit, per_second):
    path = stxm.pollux(tmp_path / "a.hdf5")
    dwell = MS * 1.3e-3
    with h5py.File(path, "a") as file:
        data = _counter(file)["data"]
        data[...] = stxm.intensity / dwell[:, None, None] * per_second
        data.attrs["units"] = unit
        _counter(file)["count_time"] = dwell
    stack = pk.io.open_stxm(path)
    assert isinstance(stack.intensity.data, da.Array)
    assert_allclose(stack.intensity, stxm.intensity)
    assert "multiplied by the dwell" in stack.intensity.attrs["comment"]


def test_whole_numbers_are_counts_whatever_the_unit_says(stxm, tmp_path):
    """A MAX IV stack says Hz beside plain counts: 1251 in a dwell of 1 ms would be 1.25 photons."""
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["data"].attrs["units"] = "Hz"
        _counter(file)["count_time"] = np.full(3, 1e-3)
    stack = pk.io.open_stxm(path)
    assert_array_equal(stack.intensity, stxm.intensity)
    assert stack.intensity.attrs["comment"] == "the file's unit is Hz"


def test_a_voltage_is_a_mean_over_the_dwell(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = _counter(file)["data"]
        data[...] = stxm.intensity * 1.234e-4
        data.attrs["units"] = "V"
        _counter(file)["count_time"] = MS
    expected = stxm.intensity * 1.234e-4 * MS[:, None, None]
    assert_allclose(pk.io.open_stxm(path).intensity, expected)


def test_rates_without_a_dwell_stay_as_they_are(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["data"][...] = stxm.intensity * 0.77
        _counter(file)["data"].attrs["units"] = "kHz"
    stack = pk.io.open_stxm(path)
    assert_allclose(stack.intensity, stxm.intensity * 0.77)
    assert stack.intensity.attrs["comment"] == "the file's unit is kHz"


def test_rates_by_pixel(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    dwell = 1.7e-3 * (1 + np.random.default_rng(0).random(stxm.intensity.shape))
    with h5py.File(path, "a") as file:
        _counter(file)["data"][...] = stxm.intensity / dwell
        _counter(file)["data"].attrs["units"] = "Hz"
        _counter(file)["count_time"] = dwell
    assert_allclose(pk.io.open_stxm(path).intensity, stxm.intensity)


def test_the_word_of_the_file_reaches_the_next_step(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["data"].attrs["units"] = "OD"
    with pytest.raises(pk.errors.SchemaError, match="its values are 'od'"):
        pk.stxm.optical_density(pk.io.open_stxm(path), i0=1e4)


def test_opening_reads_no_frame(stxm, tmp_path, monkeypatch):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        _counter(file)["count_time"] = MS
    monkeypatch.setattr(
        "phasekit.io.formats.stxm.nexus.frames._select_frames", lambda *_: pytest.fail("a frame was read")
    )
    assert_allclose(pk.io.open_stxm(path).dwell, MS)
