"""Patterns that wander are brought back; counts are conserved."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import SchemaError
from phasekit.nmf.features.centring import find_valid_pixels, shift_frames
from phasekit.nmf.features.pixel_selection import select_pixels
from phasekit.nmf.features.settings import FeatureSettings

SCAN = (7, 9)
DIMS = ("scan_y", "scan_x", "qy", "qx")


def wandering(seed=0, dose=4000, size=40, drift=1.5):
    """Beam and two spots on integer counts, at known origins."""
    rng = np.random.default_rng(seed)
    origin = (size - 1) / 2 + rng.uniform(-drift, drift, (*SCAN, 2))
    y, x = np.indices((size, size))
    at = origin[..., None, None] + np.zeros((1, 1, 2, 1, 1))
    images = np.full((*SCAN, size, size), 0.02)
    for dy, dx, height in ((0, 0, 1.0), (8, 5, 0.2), (-8, -5, 0.2)):
        away = np.hypot(y - at[:, :, 0] - dy, x - at[:, :, 1] - dx)
        images += height / (1 + np.exp((away - 2.2) / 0.4))
    counts = rng.poisson(dose * images / images.sum(axis=(2, 3), keepdims=True)).astype(np.uint16)
    scan = xr.Dataset({"intensity": (DIMS, counts)})
    return scan, origin


def centre_of_mass(image):
    y, x = np.indices(image.shape)
    return np.array([(image * y).sum(), (image * x).sum()]) / image.sum()


@pytest.mark.parametrize(("dose", "rms"), [(500, 0.16), (4000, 0.06), (40000, 0.02)])
def test_measured_origins(dose, rms):
    from phasekit.nmf.features.centring import Beam, compute_centring

    scan, origin = wandering(dose=dose)
    settings = FeatureSettings(centre="measured")
    chosen = select_pixels(scan, scan.intensity, settings)
    found = compute_centring("measured", scan, scan.intensity, chosen.beam)
    error = np.array(found.target) - found.shifts - origin
    assert np.sqrt((error**2).mean()) < rms
    assert np.abs(error).max() < 4 * rms
    assert isinstance(chosen.beam, Beam)


def test_centred_patterns_agree_better():
    scan, origin = wandering(dose=20000)
    sharp = [pk.nmf.to_features(scan, mask=None, scale=None, centre=c).feature_value for c in (None, "measured")]
    spread = [float(f.std(("scan_y", "scan_x")).sum()) for f in sharp]
    assert spread[1] < 0.5 * spread[0]
    given = pk.nmf.to_features(scan, mask=None, scale=None, centre=(origin[..., 0], origin[..., 1]))
    image = pk.nmf.to_detector(given, given.feature_value.mean(("scan_y", "scan_x"))).to_numpy()
    target = np.median(origin, axis=(0, 1))
    np.testing.assert_allclose([given.attrs["beam_qy_px"], given.attrs["beam_qx_px"]], target)
    middle = np.round(target).astype(int)
    box = image[middle[0] - 4 : middle[0] + 5, middle[1] - 4 : middle[1] + 5]
    np.testing.assert_allclose(centre_of_mass(box) + middle - 4, target, atol=0.05)
    assert given.attrs["counts"] == 0


def test_shift_conserves_counts_and_moves_the_centre_of_mass():
    frames = np.zeros((3, 20, 24), dtype=np.uint16)
    frames[:, 8:12, 9:15] = np.random.default_rng(0).poisson(50, (3, 4, 6))
    shifts = np.array([[0.25, -1.6], [2.0, 3.0], [-1.999999, 0.5]])
    moved = shift_frames(frames, shifts)
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), frames.sum(axis=(1, 2)), rtol=1e-6)
    for before, after, shift in zip(frames, moved, shifts, strict=True):
        np.testing.assert_allclose(centre_of_mass(after) - centre_of_mass(before), shift, atol=1e-4)
    np.testing.assert_array_equal(moved[1, 10:14, 12:18], frames[1, 8:12, 9:15])


def test_shift_over_the_edge():
    frame = np.arange(1.0, 26).reshape(1, 5, 5)
    holes = shift_frames(frame, np.array([[1.5, 0.0]]), holes=True)[0]
    np.testing.assert_array_equal(np.isnan(holes).all(axis=1), [True, True, False, False, False])
    np.testing.assert_allclose(holes[2], (frame[0, 0] + frame[0, 1]) / 2)
    far = shift_frames(frame, np.array([[9.0, 0.0]]))
    assert not far.any()
    good = np.ones((5, 5), dtype=bool)
    good[2, 2] = False
    np.testing.assert_array_equal(
        ~find_valid_pixels(good, np.array([[1.0, 0.0]]), always=True)[3], [False, False, True, 0, 0]
    )
    both = np.array([[0.0, 0.0], [1.5, 0.0]])
    assert find_valid_pixels(good, both, always=True).sum() == 25 - 10 - 1 - 2
    assert find_valid_pixels(good, both, always=False).sum() == 25 - 0 - 0


def test_bad_pixels_travel_with_the_detector():
    scan, origin = wandering(size=40)
    pair = (origin[..., 0], origin[..., 1])
    bad = xr.DataArray(np.ones((40, 40), dtype=bool), dims=("qy", "qx"))
    bad[5, 30] = False
    spoilt = scan.copy(deep=True)
    spoilt["intensity"][:, :, 5, 30] = 5000
    with_hot = pk.nmf.to_features(spoilt, mask=bad, scale=None, centre=pair)
    without = pk.nmf.to_features(scan, mask=bad, scale=None, centre=pair)
    np.testing.assert_array_equal(with_hot.feature_value, without.feature_value)
    assert (with_hot.feature_index.to_numpy()[4:7, 29:32] == -1).all()
    kept = pk.nmf.to_features(spoilt, mask=bad, scale=None, centre=pair, missing="keep")
    assert kept.sizes["feature"] > with_hot.sizes["feature"]
    assert float(kept.feature_value.max()) < 5000
    assert kept.attrs["missing"] == 1
    assert bool(kept.feature_value.isnull().any())


def test_beam_stays_masked_at_the_common_origin():
    scan, _ = wandering()
    features = pk.nmf.to_features(scan, centre="measured")
    index = features.feature_index.to_numpy()
    y, x = np.indices(index.shape)
    away = np.hypot(y - features.attrs["beam_qy_px"], x - features.attrs["beam_qx_px"])
    assert (index[away <= features.attrs["beam_radius_px"]] == -1).all()
    assert (index[(away > features.attrs["beam_radius_px"]) & (away < 15)] >= 0).all()
    assert features.attrs["n_not_centred"] == 0


def test_lost_beam_takes_the_median():
    scan, _ = wandering()
    scan["intensity"][2, 3] = 0
    scan["intensity"][4, 4, 10:30, 10:30] = 1
    features = pk.nmf.to_features(scan, mask=None, scale=None, centre="measured")
    assert features.attrs["n_not_centred"] == 2
    np.testing.assert_array_equal(features.feature_value[4, 4], scan.intensity[4, 4].to_numpy().ravel())


@pytest.mark.parametrize("missing", ["refuse", "keep"])
def test_any_chunking_same_answer_lazily(missing):
    scan, _ = wandering()
    before = scan.copy(deep=True)
    expected = pk.nmf.to_features(scan, centre="measured", missing=missing)
    lazy = pk.nmf.to_features(scan.chunk(scan_y=3, scan_x=4, qy=16), centre="measured", missing=missing)
    assert isinstance(lazy.feature_value.data, da.Array)
    np.testing.assert_allclose(lazy.feature_value, expected.feature_value, rtol=1e-5, atol=1e-6)
    assert lazy.attrs.keys() == expected.attrs.keys()
    xr.testing.assert_identical(scan, before)


def test_origins_as_a_dataset_in_its_own_unit():
    scan, origin = wandering()
    q = 0.02 * (np.arange(40) - 19.5)
    scaled = scan.assign_coords({d: (d, q, {"units": "1/angstrom"}) for d in ("qy", "qx")})
    names = {
        f"origin_{a}": (DIMS[:2], 0.02 * (origin[..., i] - 19.5), {"units": "1/angstrom"}) for i, a in enumerate("yx")
    }
    by_dataset = pk.nmf.to_features(scaled, centre=xr.Dataset(names), mask=None)
    by_arrays = pk.nmf.to_features(
        scan, centre=(origin[..., 0], xr.DataArray(origin[..., 1], dims=DIMS[:2])), mask=None
    )
    np.testing.assert_allclose(by_dataset.feature_value, by_arrays.feature_value, atol=1e-4)
    with pytest.raises(SchemaError, match="the origins are in '1/angstrom'"):
        pk.nmf.to_features(scan.assign_coords(qy=("qy", q, {"units": "px"})), centre=xr.Dataset(names))


def test_two_numbers_shift_nothing():
    scan, _ = wandering()
    features = pk.nmf.to_features(scan, centre=(19.5, 19.5), mask=None)
    assert features.attrs["counts"] == 1
    xr.testing.assert_equal(features, pk.nmf.to_features(scan, mask=None))


@pytest.mark.parametrize(
    ("centre", "message"),
    [
        ("beam", "centre = 'beam'"),
        (3.0, "centre is float"),
        ((np.zeros((2, 2)), np.zeros((2, 2))), "origins for a scan"),
        ((np.full(SCAN, np.nan), np.full(SCAN, np.nan)), "found in no pattern"),
        (xr.Dataset({"y": 1}), "without 'origin_y'"),
    ],
)
def test_refusals(centre, message):
    scan, _ = wandering()
    with pytest.raises(SchemaError, match=message):
        pk.nmf.to_features(scan, centre=centre)


def test_no_beam_is_refused():
    flat = xr.Dataset({"intensity": (DIMS, np.random.default_rng(0).poisson(5, (*SCAN, 32, 32)))})
    with pytest.raises(SchemaError, match="no direct beam stands out"):
        pk.nmf.to_features(flat, centre="measured")


def test_old_name_of_centre_still_works():
    scan, _ = wandering(dose=2000)
    with pytest.warns(FutureWarning, match="now called 'centre'"):
        old = pk.nmf.to_features(scan, center=(12.0, 12.0))
    xr.testing.assert_identical(old, pk.nmf.to_features(scan, centre=(12.0, 12.0)))
