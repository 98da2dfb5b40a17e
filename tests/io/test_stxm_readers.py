"""Every STXM dialect gives the same stack, with its axes where they belong."""

import pickle

import dask
import dask.array as da
import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

import phasekit as pk
from phasekit.errors import ReadError, SchemaError
from phasekit.schema import STACK, provenance, require

DIALECTS = {
    "pollux": lambda s, f: s.pollux(f / "a.hdf5"),
    "pollux with user block": lambda s, f: s.pollux(f / "a.hdf5", user_block=2048),
    "hermes": lambda s, f: s.hermes(f / "a.hdf5"),
    "hermes, x before y": lambda s, f: s.hermes(f / "a.hdf5", order=(0, 2, 1)),
    "hermes, energy last": lambda s, f: s.hermes(f / "a.hdf5", order=(1, 2, 0)),
    "maxymus": lambda s, f: s.maxymus(f / "a.hdf5"),
    "axis numbers": lambda s, f: s.numbered(f / "a.nxs"),
    "sdf": lambda s, f: s.sdf(f / "a.hdr"),
    "sdf, y fast": lambda s, f: s.sdf(f / "a.hdr", transposed=True),
    "ncb": lambda s, f: s.ncb(f / "a.ncb"),
    "ncb, x falling": lambda s, f: s.ncb(f / "a.ncb", falling=True),
}


@pytest.fixture(params=DIALECTS)
def dialect(request, stxm, tmp_path):
    return DIALECTS[request.param](stxm, tmp_path)


def test_axes_and_values(dialect, stxm):
    stack = pk.io.open_stxm(dialect)
    require(stack, STACK, step="test")
    assert_allclose(stack.energy, stxm.energy)
    assert_allclose(stack.scan_y, stxm.y_nm)
    assert_allclose(stack.scan_x, stxm.x_nm)
    assert_array_equal(stack.intensity, stxm.intensity)
    assert stack.intensity.attrs["units"] == "counts"
    assert provenance(stack)[-1]["step"] == "open_stxm"


def test_lazy_pickled_and_closed(dialect, stxm):
    stack = pk.io.open_stxm(dialect)
    assert isinstance(stack.intensity.data, da.Array)
    again = pickle.loads(pickle.dumps(stack))
    assert_array_equal(again.intensity.compute(scheduler="threads"), stxm.intensity)
    dialect.rename(dialect.with_name("moved" + dialect.suffix))  # nothing is held open, so this is noticed
    if dialect.suffix not in (".hdr",):
        with pytest.raises(ReadError):
            again.intensity.compute()


def test_any_slice_and_chunking(dialect, stxm):
    intensity = pk.io.open_stxm(dialect).intensity
    assert_array_equal(intensity[1], stxm.intensity[1])
    assert_array_equal(intensity[::-1, 1:3, ::2], stxm.intensity[::-1, 1:3, ::2])
    assert_array_equal(intensity[[2, 0]], stxm.intensity[[2, 0]])
    assert_array_equal(intensity.chunk(energy=2, scan_y=3, scan_x=1), stxm.intensity)
    assert_array_equal(intensity.isel(scan_y=2, scan_x=5), stxm.intensity[:, 2, 5])


def test_blocks_are_whole_frames(stxm, tmp_path, monkeypatch):
    monkeypatch.setattr("phasekit.io.formats.stxm.stack.BLOCK_BYTES", 2 * stxm.intensity[0].nbytes)
    stack = pk.io.open_stxm(stxm.pollux(tmp_path / "a.hdf5"))
    assert stack.intensity.chunks == ((2, 1), (4,), (6,))
    assert_array_equal(stack.intensity, stxm.intensity)


def test_opening_reads_no_frame(stxm, tmp_path, monkeypatch):
    path = stxm.pollux(tmp_path / "a.hdf5")
    monkeypatch.setattr(
        "phasekit.io.formats.stxm.nexus.frames._select_frames", lambda *_: pytest.fail("a frame was read")
    )
    stack = pk.io.open_stxm(path)
    assert stack.intensity.mean("energy").shape == (4, 6)


def test_ring_current_and_readback(stxm, tmp_path):
    stack = pk.io.open_stxm(stxm.pollux(tmp_path / "a.hdf5"))
    assert isinstance(stack.ring_current.data, da.Array)
    assert_allclose(stack.ring_current, [400, 399, 398])
    assert_allclose(stack.energy_readback, stxm.energy + 0.01)
    assert (stack.ring_current.attrs["units"], stack.energy_readback.attrs["units"]) == ("mA", "eV")
    assert_allclose(pk.io.open_stxm(stxm.sdf(tmp_path / "b.hdr")).ring_current, [399, 398, 397])


def test_monitor_with_gaps(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        data = file["entry1/control/data"]
        data[0, 0], data[1] = np.nan, np.nan
    assert_allclose(pk.io.open_stxm(path).ring_current, [400, np.nan, 398])


def test_single_image(stxm, tmp_path):
    for path in (stxm.image(tmp_path / "a.hdf5"), stxm.sdf(tmp_path / "b.hdr", energies=stxm.energy[:1], kind="Image")):
        stack = pk.io.open_stxm(path)
        assert stack.intensity.dims == ("energy", "scan_y", "scan_x")
        assert_array_equal(stack.intensity[0], stxm.intensity[0])
        assert_allclose(stack.energy, stxm.energy[:1])
        assert_allclose(stack.scan_x, stxm.x_nm)


def test_several_entries_are_listed_and_chosen(stxm, tmp_path):
    path = stxm.softimax(tmp_path / "a.hdf5")
    with pytest.raises(ReadError, match=r"2 entries: 'entry1' \(3, 4, 6\), 'entry2' \(3, 2, 6\).*entry='entry1'"):
        pk.io.open_stxm(path)
    assert pk.io.open_stxm(path, entry="entry2").sizes["scan_y"] == 2
    assert pk.io.open_stxm(path, region=0).sizes["scan_y"] == 4
    with pytest.raises(ReadError, match="'entry9'"):
        pk.io.open_stxm(path, entry="entry9")


def test_several_regions(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr", regions=2, kind="Multi-Region Image Stack")
    with pytest.raises(ReadError, match=r"2 region\(s\).*region=0, 1"):
        pk.io.open_stxm(path)
    assert_array_equal(pk.io.open_stxm(path, region=1).intensity, stxm.intensity + 100000)
    single = stxm.sdf(tmp_path / "b.hdr", regions=2, kind="Multi-Region Image", energies=stxm.energy[:1])
    assert_array_equal(pk.io.open_stxm(single, region=1).intensity[0], stxm.intensity[0] + 100000)


def test_counters(stxm, tmp_path):
    path = stxm.maxymus(tmp_path / "a.hdf5")
    stack = pk.io.open_stxm(path)
    assert (stack.attrs["counter"], stack.attrs["counters"]) == ("APD", "APD, Analog0")
    assert_array_equal(pk.io.open_stxm(path, counter="Analog0").intensity, -stxm.intensity)
    with pytest.raises(ReadError, match=r"'APD'.*but not 'PMT'"):
        pk.io.open_stxm(path, counter="PMT")
    path = stxm.sdf(tmp_path / "b.hdr", channels=("PMT", "diode"))
    assert_array_equal(pk.io.open_stxm(path, counter="diode").intensity, stxm.intensity + 10000)


def test_declared_axes_that_contradict_the_sizes(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/counter0"].attrs["axes"] = np.array([b"energy", b"sample_x", b"sample_y"])
    stack = pk.io.open_stxm(path)
    assert_array_equal(stack.intensity, stxm.intensity)
    assert "from their sizes" in stack.intensity.attrs["comment"]


def test_axes_that_fit_nothing(stxm, tmp_path):
    path = stxm.hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["entry1/Counter0/sample_x"]
        file["entry1/Counter0/sample_x"] = np.arange(7.0)
    with pytest.raises(ReadError, match=r"\(3, 4, 6\) with axes of 3 energy, 4 y, 7 x"):
        pk.io.open_stxm(path)


def test_falling_axes_are_turned_round(stxm, tmp_path):
    path = stxm.hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        group = file["entry1/Counter0"]
        group["sample_y"][:] = group["sample_y"][()][::-1]
        group["energy"][:] = group["energy"][()][::-1]
    stack = pk.io.open_stxm(path)
    assert_allclose(stack.scan_y, stxm.y_nm)
    assert_allclose(stack.energy, stxm.energy)
    assert_array_equal(stack.intensity, stxm.intensity[::-1, ::-1])


def test_units(stxm, tmp_path):
    path = stxm.pollux(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        group = file["entry1/counter0"]
        group["energy"][:] /= 1e3
        group["energy"].attrs["units"] = "keV"
        group["sample_x"][:] /= 1e3
        group["sample_x"].attrs["units"] = "mm"
        group["sample_y"].attrs["units"] = np.bytes_("\u00b5m".encode("latin-1"))
    stack = pk.io.open_stxm(path)
    assert_allclose(stack.energy, stxm.energy)
    assert_allclose(stack.scan_x, stxm.x_nm)
    assert_allclose(stack.scan_y, stxm.y_nm)


@pytest.mark.parametrize(("unit", "scale"), [("nm", 1.0), (None, 1e-3)])
def test_energies_that_are_not_ev(stxm, tmp_path, unit, scale):
    path = stxm.hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/Counter0/energy"][:] *= scale
        if unit:
            file["entry1/Counter0/energy"].attrs["units"] = unit
    with pytest.raises(ReadError, match=r"energies=\[...\]"):
        pk.io.open_stxm(path)
    assert_allclose(pk.io.open_stxm(path, energies=stxm.energy).energy, stxm.energy)


def test_no_step_in_the_file(stxm, tmp_path):
    path = stxm.hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        del file["entry1/Counter0/sample_x"], file["entry1/Counter0/sample_y"]
    stack = pk.io.open_stxm(path)
    assert_array_equal(stack.scan_x, np.arange(6))
    assert "1 nm assumed" in stack.scan_x.attrs["comment"]
    stack = pk.io.open_stxm(path, step_nm=40)
    assert_array_equal(stack.scan_x, 40 * np.arange(6))
    assert "comment" not in stack.scan_x.attrs


def test_jittering_positions_become_a_straight_line(stxm, tmp_path):
    path = stxm.hermes(tmp_path / "a.hdf5")
    with h5py.File(path, "a") as file:
        file["entry1/Counter0/sample_x"][:] = [0.0, 2.0, 1.0, 3.0, 4.0, 5.0]
    stack = pk.io.open_stxm(path)
    assert np.ptp(np.diff(stack.scan_x)) < 1e-6
    assert "straight line" in stack.scan_x.attrs["comment"]


@pytest.mark.parametrize("floats", [False, True])
def test_ncb_scale(stxm, tmp_path, floats):
    stack = pk.io.open_stxm(stxm.ncb(tmp_path / "a.ncb", floats=floats))
    assert_allclose(stack.intensity, stxm.intensity / (10 if floats else 1), rtol=1e-6)


def test_tiff(stxm, tmp_path):
    stack = pk.io.open_stxm(stxm.tiff(tmp_path / "a.tif"))
    assert stack.intensity.dtype == np.uint16
    assert_array_equal(stack.intensity, stxm.intensity)
    assert_allclose(stack.energy, stxm.energy)
    with pytest.raises(ReadError, match=r"b\.txt"):
        pk.io.open_stxm(stxm.tiff(tmp_path / "b.tif", sidecar=False))
    stack = pk.io.open_stxm(stxm.tiff(tmp_path / "c.tif", sidecar=False, imagej=True), energies=stxm.energy)
    assert_array_equal(stack.intensity, stxm.intensity)
    assert_allclose(np.diff(stack.scan_y), 50)
    assert_allclose(np.diff(stack.scan_x), 80)


def test_tiff_in_colour_or_with_wrong_energies(stxm, tmp_path):
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(ReadError, match="grey-valued"):
        pk.io.open_stxm(tmp_path / "rgb.tif", energies=[500])
    path = stxm.tiff(tmp_path / "a.tif")
    with pytest.raises(ReadError, match=r"energies=.*3 values"):
        pk.io.open_stxm(path, energies=[500, 510])
    path.with_suffix(".txt").write_text("500\n510\n", encoding="utf-8")
    with pytest.raises(ReadError, match=r"2 energies for 3 page"):
        pk.io.open_stxm(path)


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".zarr"])
def test_our_own(stxm, tmp_path, suffix):
    stack = pk.io.open_stxm(stxm.pollux(tmp_path / "a.hdf5")).assign(truth_phase=(("scan_y", "scan_x"), np.eye(4, 6)))
    again = pk.io.open_stxm(pk.io.save(stack, tmp_path / f"own{suffix}"))
    assert isinstance(again.intensity.data, da.Array)
    assert_array_equal(again.intensity, stxm.intensity)
    assert_array_equal(again.truth_phase, np.eye(4, 6))
    assert [p["step"] for p in provenance(again)] == ["open_stxm", "open_stxm"]
    other = pk.io.save(stack.rename(intensity="something"), tmp_path / f"other{suffix}")
    with pytest.raises(ReadError, match="no STACK"):
        pk.io.open_stxm(other)
    again.close()


def test_interrupted_sdf(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr")
    (tmp_path / "a_a002.xim").unlink()
    with pytest.raises(ReadError, match=r"1 of 3 image files missing.*first 2"):
        pk.io.open_stxm(path)
    stack = pk.io.open_stxm(path, energies=stxm.energy[:2])
    assert_array_equal(stack.intensity, stxm.intensity[:2])
    text = (tmp_path / "a_a000.xim").read_text(encoding="utf-8")
    (tmp_path / "a_a000.xim").write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(ReadError, match=r"a_a000\.xim"):
        pk.io.open_stxm(path, energies=stxm.energy[:2])


def test_frame_damaged_in_the_middle_shows_when_computed(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr")
    (tmp_path / "a_a001.xim").write_text("1 2 3\n4 5 6\n", encoding="utf-8")
    stack = pk.io.open_stxm(path)
    with pytest.raises(ReadError, match=r"a_a001.xim: found 2 rows of 3 numbers, the header announces 4 of 6"):
        stack.intensity.compute()
    assert_array_equal(stack.intensity[2], stxm.intensity[2])


def test_header_of_another_scan(stxm, tmp_path):
    with pytest.raises(ReadError, match="image or an image stack"):
        pk.io.open_stxm(stxm.sdf(tmp_path / "a.hdr", kind="Multi-Region Spectra"))
    path = stxm.pollux(tmp_path / "b.hdf5")
    with h5py.File(path, "a") as file:
        del file["entry1/counter0/stxm_scan_type"]
        file["entry1/counter0/stxm_scan_type"] = np.array([b"sample line spectrum"])
    with pytest.raises(ReadError, match="line spectrum"):
        pk.io.open_stxm(path)


def test_stray_brace_of_a_converter(stxm, tmp_path):
    path = stxm.sdf(tmp_path / "a.hdr")
    path.write_text(path.read_text(encoding="utf-8").replace("523.000);", "523.000});"), encoding="utf-8")
    assert_allclose(pk.io.open_stxm(path).energy, stxm.energy)


def _foreign(folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["image"] = np.zeros((4, 4))
    (folder / "empty.hdf5").touch()
    (folder / "text.hdf5").write_text("this is no HDF5 file", encoding="utf-8")
    (folder / "a.docx").write_bytes(b"PK\3\4 and so on")
    (folder / "a.hdr").write_text("ENVI\ndescription = {x}\n", encoding="utf-8")
    (folder / "b.hdr").write_text(" \n", encoding="utf-8")
    (folder / "c.hdr").write_bytes(bytes(range(256)) * 10)
    (folder / "a.ncb").write_bytes(b"12345678")
    (folder / "a_a000.xim").write_text("1 2\n", encoding="utf-8")
    (folder / "a.tif").write_bytes(b"II*\0")
    (folder / "some.nc").write_bytes(b"CDF\1" + bytes(40))
    (folder / "folder").mkdir()
    return [*sorted(p.name for p in folder.iterdir()), "nowhere.hdf5"]


def test_foreign_files(tmp_path):
    names = _foreign(tmp_path)
    assert len(names) == 13
    for name in names:
        with pytest.raises(ReadError) as caught:
            pk.io.open_stxm(tmp_path / name)
        message = str(caught.value)
        for part in (str(tmp_path / name), "found", "To fix it"):
            assert part in message


def test_wrong_arguments(stxm, tmp_path):
    path = stxm.ncb(tmp_path / "a.ncb")
    with pytest.raises(ReadError, match="counter='APD'"):
        pk.io.open_stxm(path, counter="APD")
    for energies in ([], [-5.0, 1, 2], [np.nan, 1, 2]):
        with pytest.raises(SchemaError, match="Give them in eV"):
            pk.io.open_stxm(path, energies=energies)
    with pytest.raises(SchemaError, match="step_nm"):
        pk.io.open_stxm(path, step_nm=0)


def test_errors_come_back_from_another_process():
    error = pickle.loads(pickle.dumps(ReadError("a.nc", found="b", cure="c")))
    assert (str(error), error.cure) == ("a.nc: found b. To fix it: c.", "c")
    partial = pickle.loads(pickle.dumps(pk.errors.ConvergenceError("stopped", {"k": 3})))
    assert (str(partial), partial.partial) == ("stopped", {"k": 3})


def test_process_scheduler(stxm, tmp_path):
    stack = pk.io.open_stxm(stxm.pollux(tmp_path / "a.hdf5"))
    with dask.config.set(scheduler="processes", num_workers=1):
        assert_array_equal(stack.intensity.compute(), stxm.intensity)


def test_round_trip(stxm, tmp_path):
    stack = pk.io.open_stxm(stxm.sdf(tmp_path / "a.hdr"))
    for name in ("a.nc", "a.zarr"):
        xr.testing.assert_identical(pk.io.load(pk.io.save(stack, tmp_path / name)), stack.compute())
