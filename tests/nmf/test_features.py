import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(9, 11), detector=(34, 32), hot_pixels=4, seed=3)


def test_mask_finds_direct_beam_and_hot_pixels(scan):
    mask = pk.nmf.find_mask(scan)
    hot = scan.truth_hot.to_numpy().astype(bool)
    assert (mask.to_numpy()[hot] > 0).all()
    assert ((mask.to_numpy() >= 2) & ~hot).sum() == 0
    assert abs(mask.attrs["beam_qy_px"] - 16.5) < 0.3
    assert abs(mask.attrs["beam_qx_px"] - 15.5) < 0.3
    assert mask.to_numpy()[16, 15] == 1


def test_dead_pixel_is_found(scan):
    broken = scan.copy(deep=True)
    broken["intensity"][:, :, 8, 20] = 0
    assert int(pk.nmf.find_mask(broken)[8, 20]) == 2


@pytest.mark.parametrize("settings", [{}, {"bin": 3}, {"scan_mean": True}, {"scale": None, "mask": None}])
def test_any_chunking_same_answer_lazily(scan, settings):
    expected = pk.nmf.to_features(scan, **settings)
    lazy = pk.nmf.to_features(scan.chunk(scan_y=5, scan_x=6, qy=20), **settings)
    assert isinstance(lazy.feature_value.data, da.Array)
    np.testing.assert_allclose(lazy.feature_value, expected.feature_value, rtol=1e-5, atol=1e-6)


def test_scaling_is_undone_and_layout_returns(scan):
    before = scan.copy(deep=True)
    features = pk.nmf.to_features(scan, bin=2)
    counts = features.feature_value * features.scan_weight * features.feature_weight
    back = pk.nmf.to_detector(features, counts)
    used = (features.feature_index >= 0).to_numpy()
    assert np.isnan(back.to_numpy()[:, :, ~used]).all()
    np.testing.assert_allclose(
        np.nansum(back, axis=(2, 3)), scan.intensity.to_numpy()[:, :, used].sum(axis=2), rtol=1e-5
    )
    xr.testing.assert_identical(scan, before)


def test_poisson_scaling_levels_the_noise(scan):
    features = pk.nmf.to_features(scan)
    expected = np.einsum("cyx,cqr->yxqr", scan.truth_loading, scan.truth_factor)
    noise = (scan.intensity - expected).to_numpy()[:, :, (features.feature_index >= 0).to_numpy()]
    spread = noise.std(axis=(0, 1))
    scaled = (noise / (features.scan_weight * features.feature_weight).to_numpy()).std(axis=(0, 1))
    assert scaled.std() / scaled.mean() < 0.5 * spread.std() / spread.mean()


def test_empty_pattern_stays_zero(scan):
    holed = scan.copy(deep=True)
    holed["intensity"][2, 3] = 0
    features = pk.nmf.to_features(holed)
    assert float(features.feature_value[2, 3].sum()) == 0
    assert np.isfinite(features.feature_value).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x - 1, "goes down to -1"),
        (lambda x: x.where(x.scan_x > 2), "NaN"),
        (lambda x: 0 * x, "every pattern is zero"),
    ],
)
def test_bad_intensities_are_refused(scan, change, message):
    bad = scan.assign(intensity=change(scan.intensity.astype(np.float32)))
    with pytest.raises(SchemaError, match=message):
        pk.nmf.to_features(bad)


def test_bad_settings_are_refused(scan):
    hidden = xr.zeros_like(scan.intensity[0, 0], dtype=bool)
    with pytest.raises(SchemaError, match="hides every"):
        pk.nmf.to_features(scan, mask=hidden)
    with pytest.raises(SchemaError, match="find_mask"):
        pk.nmf.to_features(scan, mask=hidden[:4])
    with pytest.raises(SchemaError, match="bin = 0"):
        pk.nmf.to_features(scan, bin=0)
    with pytest.raises(SchemaError, match="scale"):
        pk.nmf.to_features(scan, scale="sqrt")


def test_netcdf_round_trip(scan, tmp_path):
    features = pk.nmf.to_features(scan)
    pk.io.save(features, tmp_path / "features.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "features.nc").compute(), features)
