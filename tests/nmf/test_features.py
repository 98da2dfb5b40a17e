import tracemalloc

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
    mask = pk.nmf.find_detector_mask(scan)
    hot = scan.truth_hot.to_numpy().astype(bool)
    assert (mask.to_numpy()[hot] > 0).all()
    assert ((mask.to_numpy() >= 2) & ~hot).sum() == 0
    assert abs(mask.attrs["beam_qy_px"] - 16.5) < 0.3
    assert abs(mask.attrs["beam_qx_px"] - 15.5) < 0.3
    assert mask.to_numpy()[16, 15] == 1


def test_dead_pixel_is_found(scan):
    broken = scan.copy(deep=True)
    broken["intensity"][:, :, 8, 20] = 0
    assert int(pk.nmf.find_detector_mask(broken)[8, 20]) == 2


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
    with pytest.raises(SchemaError, match="find_detector_mask"):
        pk.nmf.to_features(scan, mask=hidden[:4])
    with pytest.raises(SchemaError, match="bin = 0"):
        pk.nmf.to_features(scan, bin=0)
    with pytest.raises(SchemaError, match="scale"):
        pk.nmf.to_features(scan, scale="sqrt")


def test_netcdf_round_trip(scan, tmp_path):
    features = pk.nmf.to_features(scan)
    pk.io.save(features, tmp_path / "features.nc")
    xr.testing.assert_identical(pk.io.load(tmp_path / "features.nc").compute(), features)


@pytest.mark.parametrize("scale", ["poisson", "anscombe", None])
@pytest.mark.parametrize("settings", [{}, {"bin": 2}, {"layout": "radial"}])
def test_any_scale_can_be_undone(scan, scale, settings):
    features = pk.nmf.to_features(scan, scale=scale, **settings)
    counts = features.feature_value * features.scan_weight * features.feature_weight
    if features.attrs["scale"] == "anscombe":
        counts = (counts / 2 + np.sqrt(3 / 8)) ** 2 - 3 / 8
    used = (features.feature_index >= 0).to_numpy()
    total = scan.intensity.to_numpy()[:, :, used].sum(axis=2)
    np.testing.assert_allclose(counts.sum("feature"), total, rtol=1e-4)
    assert features.attrs["counts"] == int(scale != "anscombe")
    assert float(features.feature_value.min()) >= 0


def test_anscombe_gives_every_value_the_same_noise():
    level = np.array([0.0, 6.0, 40.0, 400.0])
    expected = np.broadcast_to(level[:, None], (30, 40, 4, 4))
    scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), np.random.default_rng(0).poisson(expected))})
    features = pk.nmf.to_features(scan, mask=None, scale="anscombe")
    spread = features.feature_value.std(("scan_y", "scan_x")).to_numpy().reshape(4, 4)
    assert not spread[0].any()
    np.testing.assert_allclose(spread[1:], 1, atol=0.08)


@pytest.mark.parametrize("settings", [{}, {"bin": 2}, {"layout": "polar"}, {"scan_mean": True}, {"scale": None}])
def test_holes_stay_holes_in_any_chunking(scan, settings):
    holed = scan.assign(intensity=scan.intensity.astype(np.float32))
    holed["intensity"][3, 4, 10:20, 5:9] = np.nan
    holed["intensity"][6, 2] = np.nan
    features = pk.nmf.to_features(holed, missing="keep", **settings)
    lazy = pk.nmf.to_features(holed.chunk(scan_y=4, scan_x=3), missing="keep", **settings)
    np.testing.assert_allclose(lazy.feature_value, features.feature_value, rtol=1e-5, atol=1e-5)
    assert lazy.attrs == features.attrs | {"provenance": lazy.attrs["provenance"]}
    assert features.attrs["missing"] == 1
    assert np.isfinite(features.scan_weight).all()
    if not settings.get("scan_mean"):
        assert features.feature_value[6, 2].isnull().all()
    if not settings:
        index = features.feature_index.to_numpy()[10:20, 5:9]
        gone = features.feature_value.to_numpy()[3, 4].copy()
        assert np.isnan(gone[index[index >= 0]]).all()
        whole = pk.nmf.to_features(scan, mask=features.feature_index >= 0)
        there = features.feature_value.notnull()
        ratio = (features.feature_weight / whole.feature_weight).to_numpy()
        assert np.median(np.abs(ratio - 1)) < 0.05
        assert int((~there).sum()) == (index >= 0).sum() + features.sizes["feature"]


def test_a_bin_that_lacks_pixels_is_scaled_up():
    scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), np.full((2, 2, 8, 8), 5.0))})
    scan["intensity"][0, 0, :3, :2] = np.nan
    features = pk.nmf.to_features(scan, bin=2, mask=None, scale=None, missing="keep")
    assert np.isnan(features.feature_value[0, 0, 0])
    assert set(np.unique(features.feature_value[0, 0, 1:])) == {20.0}


def test_gain_turns_counts_into_electrons(scan):
    expected = pk.nmf.to_features(scan)
    for gain, kind in ((3, np.uint16), (7.5, np.float32)):
        amplified = scan.assign(intensity=(scan.intensity * gain).astype(kind))
        features = pk.nmf.to_features(amplified, gain=gain)
        np.testing.assert_allclose(features.feature_value, expected.feature_value, rtol=1e-4)
        assert features.attrs["counts"] == 1
        assert pk.nmf.to_features(amplified, gain=gain + 0.1).attrs["counts"] == 0
        assert pk.nmf.to_features(amplified, gain=gain, mask=None).attrs["counts"] == 1
        assert pk.nmf.to_features(amplified.chunk(scan_y=4), gain=gain, mask=None).attrs["counts"] == 1
        assert pk.nmf.to_features(amplified, gain=gain, bin=2).attrs["counts"] == 1


@pytest.mark.parametrize("gain", [1, 3, 7.5])
def test_gain_is_estimated(gain):
    scan = pk.synthetic.overlapping_grains(shape=(20, 26), detector=(48, 48), seed=8, hot_pixels=5)
    amplified = scan.assign(intensity=scan.intensity * gain)
    before = amplified.copy(deep=True)
    found = pk.nmf.estimate_gain(amplified)
    assert abs(found / gain - 1) < 0.06
    assert abs(pk.nmf.estimate_gain(amplified.chunk(scan_y=3, scan_x=5, qy=10)) / found - 1) < 1e-9
    xr.testing.assert_identical(amplified, before)


def test_gain_refuses_what_has_no_noise(scan):
    with pytest.raises(SchemaError, match="single point"):
        pk.nmf.estimate_gain(scan.isel(scan_y=[0], scan_x=[0]))
    with pytest.raises(SchemaError, match="do not differ"):
        pk.nmf.estimate_gain(scan.assign(intensity=0 * scan.intensity + 3))
    with pytest.raises(SchemaError, match="goes down to"):
        pk.nmf.estimate_gain(scan.assign(intensity=scan.intensity.astype(float) - 1))


@pytest.fixture(scope="module")
def peaks(scan):
    return pk.acom.find_peaks(scan)


def test_redrawn_peaks_are_reconstruct_s_patterns(scan, peaks):
    features = pk.nmf.to_features(scan, peaks=peaks, mask=None, scale=None)
    drawn = pk.acom.reconstruct_patterns(peaks, (34, 32))
    np.testing.assert_allclose(pk.nmf.to_detector(features, features.feature_value), drawn.intensity, atol=1e-3)
    assert features.attrs["counts"] == 0
    for one, other in ((scan.chunk(scan_y=4), peaks), (scan, peaks.chunk(scan_x=5))):
        lazy = pk.nmf.to_features(one, peaks=other, mask=None, scale=None)
        assert isinstance(lazy.feature_value.data, da.Array)
        np.testing.assert_allclose(lazy.feature_value, features.feature_value, rtol=1e-5, atol=1e-4)
    masked = pk.nmf.to_features(scan, peaks=peaks, centre="measured")
    assert (masked.feature_index == -1).sum() > 10


def test_peaks_that_do_not_fit_are_refused(scan, peaks):
    with pytest.raises(SchemaError, match="peaks are of a scan"):
        pk.nmf.to_features(scan, peaks=peaks.isel(scan_y=slice(3)))
    unknown = peaks.assign({n: peaks[n].assign_attrs(units="1/nm") for n in ("qy", "qx")})
    unknown.attrs = {}
    with pytest.raises(SchemaError, match="the patterns' is not"):
        pk.nmf.to_features(scan, peaks=unknown)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"missing": "fill"}, "missing = 'fill'"),
        ({"gain": 0}, "gain = 0"),
        ({"gain": float("inf")}, "gain = inf"),
        ({"bin": True}, "bin = True"),
        ({"mask": "none"}, "mask = 'none'"),
    ],
)
def test_settings_without_meaning_are_refused(scan, setting, message):
    with pytest.raises(SchemaError, match=message):
        pk.nmf.to_features(scan, **setting)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_values_are_refused_without_a_mask_too(scan, bad):
    spoilt = scan.assign(intensity=scan.intensity.astype(np.float32))
    spoilt["intensity"][1, 2, 3, 4] = bad
    with pytest.raises(SchemaError, match=r"goes down|NaN or infinite"):
        pk.nmf.to_features(spoilt, mask=None)


@pytest.mark.parametrize("settings", [{}, {"mask": None}, {"scale": "anscombe"}, {"scan_mean": True}, {"bin": 2}])
def test_memory_beyond_the_result_is_small(settings):
    counts = np.random.default_rng(0).poisson(3, (48, 48, 64, 64)).astype(np.uint16)
    scan = xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)})
    pk.nmf.to_features(scan.isel(scan_y=slice(2)), **settings)  # imports
    tracemalloc.start()
    features = pk.nmf.to_features(scan, **settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < features.feature_value.nbytes + 24e6


@pytest.mark.parametrize(("dtype", "gain"), [(np.uint16, 1.0), (np.float32, 1.0), (np.float64, 4.0), (np.float32, 2.5)])
@pytest.mark.parametrize("given", [False, True])
def test_a_cosmic_ray_leaves_the_rest_counts(scan, dtype, gain, given):
    hit = scan[["intensity"]].copy(deep=True)
    hit["intensity"].data[4, 5, 25, 7] += 5000
    hit["intensity"] = (hit["intensity"] * gain).astype(dtype)
    mask = pk.detector.find_mask(hit) if given else "auto"
    for patterns in (hit, hit.chunk(scan_y=2)):
        features = pk.nmf.to_features(patterns, mask=mask, scale=None, gain=gain)
        bridged = pk.nmf.to_detector(features, features.feature_value).isel(scan_y=4, scan_x=5, qy=25, qx=7)
        assert features.attrs["counts"] == 1
        assert float(bridged) < 50
        assert abs(float(bridged) - round(float(bridged))) < 1e-3
    assert pk.nmf.to_features(hit, mask=mask, gain=gain, missing="keep").attrs["counts"] == 0
