"""find_detector_mask: every broken pixel, no spot."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.detector.outliers import find_outliers
from phasekit.detector.scan_images import compute_scan_images
from phasekit.errors import SchemaError

SCAN = (20, 26)


def patterns(counts):
    return xr.Dataset({"intensity": (("scan_y", "scan_x", "qy", "qx"), counts)})


def outliers(counts):
    return find_outliers(compute_scan_images(patterns(counts).intensity, "test"))


def disc(size, y, x, radius, sub=10):
    """A disk that covers pixels by their area."""
    fine = (np.arange(size * sub) + 0.5) / sub - 0.5
    return (np.hypot(fine[:, None] - y, fine - x) <= radius).reshape(size, sub, size, sub).mean(axis=(1, 3))


@pytest.fixture(scope="module")
def scan():
    return pk.synthetic.overlapping_grains(n_components=3, shape=(12, 14), detector=(48, 40), hot_pixels=4, seed=3)


@pytest.mark.parametrize("dose", [200, 2000, 20000])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_all_hot_pixels_and_no_spot(size, dose):
    shape = SCAN if size < 128 else (12, 14)
    for seed, width in ((0, 0.1), (1, 1.5), (2, 4.0))[: 2 if size < 128 else 1]:
        scan = pk.synthetic.overlapping_grains(
            shape=shape, detector=(size, size), dose=dose, boundary_width=width, seed=seed, hot_pixels=8
        )
        truth = scan.truth_hot.to_numpy().astype(bool)
        mask = pk.nmf.find_detector_mask(scan)
        assert (mask.to_numpy()[truth] > 0).all()
        assert not ((mask.to_numpy() >= 2) & ~truth).any()
        assert mask.attrs["n_dead"] == mask.attrs["n_beam_stop"] == 0
        assert mask.attrs["n_hot"] >= int((mask == 3).sum()) > 0


@pytest.mark.parametrize("factor", [1, 7.5])
def test_nothing_is_flagged_where_nothing_is_broken(factor):
    for seed in range(2):
        scan = pk.synthetic.overlapping_grains(shape=SCAN, detector=(48, 48), dose=10.0 ** (3 + seed / 2), seed=seed)
        assert not any(flags.any() for flags in outliers(scan.intensity.to_numpy() * factor))


@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("width", [1.2, 2.0, 4.0])
def test_narrow_spots_of_a_rare_grain_are_no_hot_pixels(width, share):
    rng = np.random.default_rng(5)
    y, x = np.indices((48, 48)) - 23.5
    haze = np.exp(-np.hypot(y, x) / 10) + 0.05
    present = np.zeros(SCAN[0] * SCAN[1])
    present[: max(int(share * present.size), 1)] = 1
    for on_pixels in (False, True):
        places = rng.uniform(3, 44, (8, 2))
        spots = sum(disc(48, *(np.round(p) if on_pixels else p), width / 2) * rng.lognormal() for p in places)
        for dose in (200, 2000, 20000):
            expected = 0.5 * haze / haze.sum() + 0.5 * present.reshape(*SCAN, 1, 1) * spots / spots.sum()
            found = outliers(rng.poisson(dose * expected).astype(np.uint16))
            assert not any(flags.any() for flags in found), (on_pixels, dose)


@pytest.mark.parametrize("kind", ["flickering", "stuck"])
def test_hot_pixels_that_flicker_or_stand_still(kind):
    scan = pk.synthetic.overlapping_grains(shape=SCAN, detector=(64, 64), dose=2000, seed=4)
    counts = scan.intensity.to_numpy().copy()
    rng, places = np.random.default_rng(1), ([5, 20, 50, 60], [50, 8, 40, 3])
    level = np.full((*SCAN, 4), 30)
    if kind == "flickering":
        level = np.where(rng.random(level.shape) < 0.05, 60, counts[:, :, places[0], places[1]])
    counts[:, :, places[0], places[1]] = level
    hot = outliers(counts).hot
    assert hot[places].all()
    assert hot.sum() == 4


def test_neighbouring_hot_pixels_are_both_found():
    scan = pk.synthetic.overlapping_grains(shape=SCAN, detector=(64, 64), seed=4)
    counts = scan.intensity.to_numpy().copy()
    counts[:, :, 50, 30:32] = np.random.default_rng(0).exponential(40, (*SCAN, 2))
    hot = outliers(counts).hot
    assert hot[50, 30:32].all()
    assert hot.sum() == 2


def test_dead_pixels_rows_and_columns():
    scan = pk.synthetic.overlapping_grains(shape=SCAN, detector=(48, 48), dose=5000, seed=6)
    counts = scan.intensity.to_numpy().copy()
    counts[:, :, 8, 30] = 0
    counts[:, :, 30:32] = 0
    counts[:, :, :, 11] = 0
    dead = np.zeros((48, 48), dtype=bool)
    dead[8, 30] = dead[30:32] = dead[:, 11] = True
    np.testing.assert_array_equal(outliers(counts).dead, dead)
    counts = scan.intensity.to_numpy().copy()
    counts[:, :, 40] += 300
    hot = np.zeros((48, 48), dtype=bool)
    hot[40] = True
    found = outliers(counts)
    np.testing.assert_array_equal(found.hot, hot)
    assert not found.dead.any()


@pytest.mark.parametrize("dose", [200, 20000])
@pytest.mark.parametrize("size", [32, 64])
def test_beam_stop_is_found_whole_and_hides_the_beam(size, dose):
    y, x = np.indices((size, size)) - (size - 1) / 2
    bar = (np.abs(x) < 0.06 * size) & (y < 0.06 * size)
    for stop in (bar, np.hypot(y, x) < 0.1 * size):
        scan = pk.synthetic.overlapping_grains(shape=SCAN, detector=(size, size), dose=dose, seed=2)
        mask = pk.nmf.find_detector_mask(
            scan.assign(intensity=scan.intensity.where(xr.DataArray(~stop, dims=("qy", "qx")), 0))
        )
        assert ((mask.to_numpy() == 4) & stop).sum() == stop.sum() <= mask.attrs["n_beam_stop"]
        assert ((mask.to_numpy() > 0) & ~stop).sum() <= 0.02 * stop.sum()
        assert np.isnan(mask.attrs["beam_qy_px"])


def test_direct_beam_of_given_radius(scan):
    mask = pk.nmf.find_detector_mask(scan, direct_beam=5)
    y, x = np.indices((48, 40))
    inside = np.hypot(y - mask.attrs["beam_qy_px"], x - mask.attrs["beam_qx_px"]) <= 5
    np.testing.assert_array_equal(mask.to_numpy() == 1, inside)
    assert mask.attrs["flag_meanings"].split().index("beam_stop") == 4
    with pytest.raises(SchemaError, match="direct_beam = 'wide'"):
        pk.nmf.find_detector_mask(scan, direct_beam="wide")


def test_any_chunking_same_mask_and_input_untouched(scan):
    before = scan.copy(deep=True)
    expected = pk.nmf.find_detector_mask(scan)
    for chunks in ({"scan_y": 5, "scan_x": 3}, {"scan_y": 1, "qy": 20, "qx": 7}):
        found = pk.nmf.find_detector_mask(scan.chunk(chunks))
        xr.testing.assert_equal(found, expected)
        assert found.attrs.keys() == expected.attrs.keys()
    xr.testing.assert_identical(scan, before)


def test_images_leave_out_what_is_missing(scan):
    holed = scan.intensity.astype(np.float32)
    holed[2, 3, 4:9] = np.nan
    holed[:, :, 0, 0] = np.nan
    images = compute_scan_images(holed, "test", missing=True)
    np.testing.assert_allclose(images.mean[1:], holed.mean(("scan_y", "scan_x"))[1:], rtol=1e-5)
    np.testing.assert_allclose(images.variance[1:], holed.var(("scan_y", "scan_x"))[1:], rtol=1e-3, atol=1e-4)
    assert images.measured[5, 0] == 12 * 14 - 1
    assert int(pk.nmf.find_detector_mask(scan.assign(intensity=holed))[0, 0]) == 2
    with pytest.raises(SchemaError, match="NaN"):
        compute_scan_images(holed, "test")


def test_turned_patterns_give_the_turned_mask(scan):
    mask = pk.nmf.find_detector_mask(scan)
    turned = scan.intensity.to_numpy()[:, :, ::-1, ::-1]
    np.testing.assert_array_equal(pk.nmf.find_detector_mask(patterns(turned)).to_numpy(), mask.to_numpy()[::-1, ::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x - 1, "goes down to -1"),
        (lambda x: x / (x > 3), "infinite"),
        (lambda x: 0 * x, "every pattern is zero"),
    ],
)
def test_refusals(scan, change, message):
    with np.errstate(divide="ignore", invalid="ignore"):
        bad = scan.assign(intensity=change(scan.intensity.astype(np.float32)))
    with pytest.raises(SchemaError, match=message):
        pk.nmf.find_detector_mask(bad)
