"""The real STXM files open with the energies, sizes and steps their README states."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phasekit as pk

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def folder():
    root = os.environ.get("PHASEKIT_REAL_DATA")
    if not root or not (Path(root) / "stxm").is_dir():
        pytest.skip("PHASEKIT_REAL_DATA does not name the folder of real measured data")
    return Path(root) / "stxm"


def test_the_files_of_the_readme_are_there(folder):
    found = {p.relative_to(folder).as_posix() for s in ("hdr", "hdf5") for p in folder.rglob(f"*.{s}")}
    assert found >= {
        "als_fe2p_71214078/71214078.hdr",
        "hermes_layout/small_OK.hdf5",
        "maxiv_sdf/max_iv.hdr",
        "pollux_nxstxm/Sample_Image_2021-03-16_095.hdf5",
        "pollux_nxstxm/Sample_Stack_2021-03-16_128.hdf5",
    }


def test_als_fe2p(folder):
    stack = pk.io.open_stxm(folder / "als_fe2p_71214078/71214078.hdr")
    assert dict(stack.sizes) == {"energy": 123, "scan_y": 125, "scan_x": 125}
    assert_allclose(stack.energy[[0, -1]], [700.0, 730.35], atol=0.02)
    assert (np.diff(stack.energy) > 0).all()
    for axis in ("scan_y", "scan_x"):
        assert_allclose(np.diff(stack[axis]), 80, atol=1e-6)
    assert_allclose(stack.scan_x[0], -4736602)
    assert_allclose(stack.scan_y[0], -638153)
    for i in (0, 60, 122):
        text = np.loadtxt(folder / f"als_fe2p_71214078/71214078_a{i:03d}.xim")
        assert_array_equal(stack.intensity[i], text)
    assert_allclose(stack.ring_current[[0, 1]], [333.4, 333.08])
    assert stack.ring_current.to_series().is_monotonic_decreasing  # a decaying beam, without top-up


def test_als_references_and_i0(folder):
    here = folder / "als_fe2p_71214078"
    stack = pk.io.open_stxm(here / "71214078.hdr")
    for suffix in ("t", "r"):
        refs = pk.io.open_references(str(here / f"*.{suffix}"))
        assert refs.reference.values.tolist() == ["oxidized", "reduced"]
        assert_allclose(refs.energy, stack.energy, atol=0.01)
        # Fe3+ peaks later than Fe2+ at the L3 edge
        peak = refs.energy[refs.reference_spectrum.argmax("energy")]
        assert 707 < float(peak[1]) < float(peak[0]) < 711
    i0 = pk.io.open_i0(here / "i0.xsp")
    assert_allclose(i0.energy, stack.energy, atol=0.01)
    assert 850 < float(i0.min()) < float(i0.max()) < 1000


def test_pollux_stack(folder):
    stack = pk.io.open_stxm(folder / "pollux_nxstxm/Sample_Stack_2021-03-16_128.hdf5")
    assert dict(stack.sizes) == {"energy": 4, "scan_y": 50, "scan_x": 50}
    assert_allclose(stack.energy, [280, 284.5, 285, 320])
    assert_allclose(stack.energy_readback, stack.energy, atol=0.02)
    assert (abs(stack.ring_current - 401) < 2).all()
    # the request in the file: FineX around -4970.02 um, FineY around 5201.64 um, 50 points over 25 um
    assert_allclose(stack.scan_x.mean(), -4970018.8, atol=1)
    assert_allclose(stack.scan_y.mean(), 5201637.9, atol=1)
    assert_allclose(np.diff(stack.scan_x), 500, atol=1e-6)
    assert_array_equal(stack.intensity[:, 0, :2], [[1080, 1041], [535, 495], [478, 526], [1583, 1646]])


def test_pollux_image(folder):
    image = pk.io.open_stxm(folder / "pollux_nxstxm/Sample_Image_2021-03-16_095.hdf5")
    assert dict(image.sizes) == {"energy": 1, "scan_y": 50, "scan_x": 50}
    assert_allclose(image.energy, [350])
    assert_allclose(np.diff(image.scan_y), 1000, atol=1e-6)


def test_hermes_layout(folder):
    stack = pk.io.open_stxm(folder / "hermes_layout/small_OK.hdf5")
    assert dict(stack.sizes) == {"energy": 2, "scan_y": 2, "scan_x": 2}
    assert_allclose(stack.energy, [100.1, 101.1])
    assert_allclose(stack.scan_x, [1100, 2100])
    assert_allclose(stack.scan_y, [11100, 22100])
    assert "um assumed" in stack.intensity.attrs["comment"]


def test_maxiv_sdf(folder):
    stack = pk.io.open_stxm(folder / "maxiv_sdf/max_iv.hdr")
    assert dict(stack.sizes) == {"energy": 2, "scan_y": 10, "scan_x": 10}
    assert_allclose(stack.energy, [698, 700])
    assert_allclose(np.diff(stack.scan_x), 50, atol=1e-6)
    assert_array_equal(stack.intensity[0, 0, :3], [1251, 1281, 1275])
    assert "Hz" in stack.intensity.attrs["comment"]


def test_round_trip_of_a_real_stack(folder, tmp_path):
    stack = pk.io.open_stxm(folder / "pollux_nxstxm/Sample_Stack_2021-03-16_128.hdf5")
    again = pk.io.open_stxm(pk.io.save(stack, tmp_path / "a.nc"))
    assert_array_equal(again.intensity, stack.intensity)
    again.close()


def test_dwell_of_the_files(folder):
    names = {
        "als_fe2p_71214078/71214078.hdr": 0.433e-3,
        "pollux_nxstxm/Sample_Stack_2021-03-16_128.hdf5": 0.01,
        "pollux_nxstxm/Sample_Image_2021-03-16_095.hdf5": 0.01,
        "maxiv_sdf/max_iv.hdr": 1e-3,
    }
    for name, seconds in names.items():
        assert_allclose(pk.io.open_stxm(folder / name).dwell, seconds)
    assert "dwell" not in pk.io.open_stxm(folder / "hermes_layout/small_OK.hdf5")
