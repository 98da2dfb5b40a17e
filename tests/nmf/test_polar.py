"""Rings and sectors about the direct beam."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.nmf.features.polar import Layout, assign_features, compute_feature_positions


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(7, 8), detector=(41, 41), seed=3)


@pytest.mark.parametrize("layout", ["radial", "polar"])
@pytest.mark.parametrize("width", [1, 2])
def test_every_used_pixel_belongs_to_one_feature(layout, width):
    rng = np.random.default_rng(1)
    used = rng.random((30, 34)) < 0.9
    plan = Layout(layout, width, 8, (14.3, 16.8))
    index, pixels = assign_features(used, plan)
    assert (index >= 0).sum() == used.sum() == pixels.sum()
    np.testing.assert_array_equal(np.bincount(index[used]), pixels)
    radius, angle = compute_feature_positions(index, pixels, plan)
    y, x = np.indices(used.shape)
    away, turn = np.hypot(y - 14.3, x - 16.8), np.degrees(np.arctan2(y - 14.3, x - 16.8))
    assert (np.abs(away - radius[index])[used] < width).all()
    if layout == "polar":
        off = np.abs((turn - angle[index] + 180) % 360 - 180)[used & (away > width)]
        assert (off <= 45).all()


def test_ring_holds_the_counts_and_returns_to_the_detector(scan):
    features = pk.nmf.to_features(scan, layout="radial", mask=None, scale=None, centre=(20.0, 20.0))
    y, x = np.indices((41, 41)) - 20
    ring = np.floor(np.hypot(y, x) + 0.5)
    for number in (0, 1, 7, 15):
        expected = scan.intensity.to_numpy()[:, :, ring == number].sum(axis=2)
        np.testing.assert_allclose(features.feature_value[:, :, number], expected)
    back = pk.nmf.to_detector(features, features.feature_value)
    assert back.dims == ("scan_y", "scan_x", "qy", "qx")
    np.testing.assert_allclose(back.sum(("qy", "qx")), scan.intensity.sum(("qy", "qx")), rtol=1e-5)
    np.testing.assert_allclose(back[0, 0].to_numpy()[ring == 7], expected_mean(scan, ring == 7), rtol=1e-5)
    assert features.attrs["counts"] == 1
    assert features.feature_radius.attrs["units"] == "px"


def expected_mean(scan, where):
    return scan.intensity[0, 0].to_numpy()[where].mean()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_radial_features_do_not_see_a_turn_and_polar_ones_roll(scan, turns):
    turned = scan.assign(intensity=scan.intensity.copy(data=np.rot90(scan.intensity.to_numpy(), turns, axes=(3, 2))))
    about = {"mask": None, "scale": None, "centre": (20.0, 20.0)}
    radial = [pk.nmf.to_features(s, layout="radial", **about).feature_value for s in (scan, turned)]
    np.testing.assert_allclose(*radial)
    polar = [pk.nmf.to_features(s, layout="polar", n_sectors=4, **about) for s in (scan, turned)]
    at_ring = np.abs(polar[0].feature_radius.to_numpy() - 10) < 0.3
    values = [p.feature_value.to_numpy()[:, :, at_ring] for p in polar]
    totals = [v.sum() for v in values]
    assert totals[0] == totals[1]
    assert at_ring.sum() == 4


def test_origin_comes_from_the_mask_or_the_data(scan):
    measured = pk.nmf.to_features(scan, layout="radial")
    assert abs(measured.attrs["beam_qy_px"] - 20) < 0.2
    plain = xr.DataArray(np.ones((41, 41), dtype=bool), dims=("qy", "qx"))
    for mask in (None, plain):
        features = pk.nmf.to_features(scan, layout="radial", mask=mask)
        assert features.attrs["beam_qx_px"] == measured.attrs["beam_qx_px"]
        assert int(features.feature_index[20, 20]) == 0


def test_polar_shows_a_single_sector():
    image = np.zeros((2, 2, 33, 33))
    image[:, :, 16, 26] = 50.0  # +qx
    image[:, :, 24, 16] = 20.0  # +qy
    scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), image)})
    features = pk.nmf.to_features(scan, layout="polar", n_sectors=8, centre=(16, 16), mask=None, scale=None)
    lit = features.isel(feature=np.flatnonzero(features.feature_value[0, 0]))
    np.testing.assert_allclose(lit.feature_angle, [90, 0], atol=3)
    np.testing.assert_allclose(lit.feature_radius, [8, 10], atol=0.3)


@pytest.mark.parametrize("layout", ["radial", "polar"])
def test_chunks_files_and_input(scan, layout, tmp_path):
    before = scan.copy(deep=True)
    expected = pk.nmf.to_features(scan, layout=layout, bin=2)
    lazy = pk.nmf.to_features(scan.chunk(scan_y=2, scan_x=3, qx=20), layout=layout, bin=2)
    assert isinstance(lazy.feature_value.data, da.Array)
    np.testing.assert_allclose(lazy.feature_value, expected.feature_value, rtol=1e-5, atol=1e-6)
    xr.testing.assert_identical(scan, before)
    pk.io.save(expected, tmp_path / "features.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "features.nc").compute(), expected)


def test_rings_can_be_factorised(scan):
    factors = pk.nmf.factorise(pk.nmf.to_features(scan, layout="polar", bin=2), 3)
    assert factors.factor.shape == (3, 41, 41)
    np.testing.assert_allclose(factors.factor.sum(("qy", "qx")), 1, rtol=1e-5)


def test_refusals(scan):
    with pytest.raises(SchemaError, match="layout = 'rings'"):
        pk.nmf.to_features(scan, layout="rings")
    with pytest.raises(SchemaError, match="n_sectors = 0"):
        pk.nmf.to_features(scan, layout="polar", n_sectors=0)
    flat = scan.assign(intensity=0 * scan.intensity + 5)
    with pytest.raises(SchemaError, match="needs to know where the direct beam is"):
        pk.nmf.to_features(flat, layout="radial")
