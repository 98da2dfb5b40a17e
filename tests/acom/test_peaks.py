"""find_peaks: what is found, where, how strong, and what is refused."""

import json

import numpy as np
import pytest
import xarray as xr

from phasekit.acom import find_peaks
from phasekit.errors import AcomStatus, SchemaError
from tests.acom.spots import add_disk, as_patterns, compare, random_pattern, scan_of_disks

NUMBERS = ("qy", "qx", "intensity", "prominence", "noise", "min_prominence", "count", "status")


@pytest.fixture(scope="module")
def scan():
    return scan_of_disks(1)


@pytest.fixture(scope="module")
def peaks(scan):
    return find_peaks(scan[0])


@pytest.mark.parametrize("electrons", [200, 2000, 20000])
@pytest.mark.parametrize(("size", "radius"), [(64, 1.5), (128, 2.5), (256, 5.0)])
def test_untouched_call_works_at_every_dose_and_size(electrons, size, radius):
    patterns, truth = scan_of_disks(7, (3, 4), size=size, radius=radius, electrons=electrons)
    found = find_peaks(patterns)
    recall, precision, errors = compare(found, truth, reach=radius, weakest=8)
    assert recall > 0.85
    assert precision > 0.95
    assert abs(float(found.disk_radius) / radius - 1) < 0.2
    # Poisson limit per axis of the centroid of a disk seen in pixels, for the weakest, N = 8
    limit = np.sqrt((radius**2 / 4 + 1 / 12) / 8)
    assert np.sqrt(np.mean(errors**2)) < 1.2 * limit


@pytest.mark.parametrize(("size", "radius"), [(64, 1.5), (128, 2.5), (256, 6.0)])
def test_positions_without_noise_are_unbiased(size, radius):
    rng = np.random.default_rng(3)
    image, truth = np.zeros((size, size)), []
    for y, x in np.ndindex(5, 5):
        place = (np.array([y, x]) + 0.5) * size / 5 + rng.uniform(-0.5, 0.5, 2)
        truth.append((*place, 100.0 if (y, x) != (2, 2) else 1000.0))
        add_disk(image, *place, radius, truth[-1][2])
    found = find_peaks(as_patterns(image[None, None]))
    recall, precision, errors = compare(found, [np.array(truth)], reach=1.0, weakest=1)
    assert (recall, precision) == (1.0, 1.0)
    assert np.abs(errors).max() < 0.02
    assert np.abs(errors.mean(axis=0)).max() < 0.004
    np.testing.assert_allclose(np.sort(found.intensity.values[0, 0, :25]), np.sort([s[2] for s in truth]), rtol=0.03)


def test_a_pixel_is_its_centre():
    image = np.zeros((33, 33))
    add_disk(image, 16.0, 16.0, 2.5, 1000.0)
    found = find_peaks(as_patterns(image[None, None]))
    assert float(found.qy[0, 0, 0]) == pytest.approx(16.0, abs=1e-3)
    assert float(found.qx[0, 0, 0]) == pytest.approx(16.0, abs=1e-3)


def test_positions_carry_the_units_of_the_coordinates(scan, peaks):
    step, start = 0.0125, -0.8
    calibrated = as_patterns(scan[0].intensity.values, step=step, start=start, unit="1/angstrom")
    found = find_peaks(calibrated)
    np.testing.assert_allclose(found.qx, peaks.qx * step + start, rtol=0, atol=1e-5)
    assert found.qx.attrs["units"] == found.disk_radius.attrs["units"] == "1/angstrom"
    assert float(found.disk_radius) == pytest.approx(step * float(peaks.disk_radius))


@pytest.mark.parametrize("mode", ["adaptive", "published"])
@pytest.mark.parametrize("chunks", [(1, 5, -1, -1), (3, 2, 50, 31)])
def test_any_chunking_gives_the_same_answer_lazily(scan, mode, chunks):
    import dask

    eager = find_peaks(scan[0], mode=mode)
    lazy_input = scan[0].chunk(dict(zip(("scan_y", "scan_x", "qy", "qx"), chunks, strict=True)))
    lazy = find_peaks(lazy_input, mode=mode)
    assert all(dask.is_dask_collection(lazy[name].data) for name in NUMBERS)
    xr.testing.assert_identical(lazy.compute(), eager)


def test_scan_mean_is_the_same_for_any_chunking(scan):
    lazy = find_peaks(scan[0].chunk(scan_y=3, scan_x=2), scan_mean=True)
    xr.testing.assert_identical(lazy.compute(), find_peaks(scan[0], scan_mean=True))


def test_scan_mean_averages_the_neighbours_that_exist():
    rng = np.random.default_rng(2)
    mean, truth = random_pattern(rng, electrons=150)
    patterns = as_patterns(rng.poisson(mean, (5, 5, 128, 128)).astype(np.uint16))
    single, joined = find_peaks(patterns), find_peaks(patterns, scan_mean=True)
    recalls = [compare(found, [truth] * 25, reach=2.5, weakest=2)[:2] for found in (single, joined)]
    assert recalls[1][0] > recalls[0][0] + 0.1
    assert recalls[1][1] > 0.95


def test_input_is_untouched_and_result_is_described(scan, peaks):
    before = scan[0].copy(deep=True)
    find_peaks(scan[0])
    xr.testing.assert_identical(scan[0], before)
    assert json.loads(peaks.attrs["provenance"])[-1]["step"] == "find_peaks"
    assert peaks.intensity.attrs["units"] == "counts"
    assert "vacuum" in peaks.status.attrs["flag_meanings"]


def test_round_trip_through_netcdf(peaks, tmp_path):
    peaks.to_netcdf(tmp_path / "peaks.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "peaks.nc", engine="h5netcdf") as again:
        for name in NUMBERS:
            np.testing.assert_array_equal(again[name], peaks[name])


def test_table_is_padded_with_nan_and_sorted_by_brightness(peaks):
    known = np.isfinite(peaks.qx.values)
    np.testing.assert_array_equal(known.sum(axis=-1), peaks["count"])
    np.testing.assert_array_equal(np.sort(~known, axis=-1), ~known)
    assert not (np.diff(peaks.intensity.values, axis=-1)[known[..., 1:]] > 0).any()


def test_the_brightest_are_kept(scan, peaks):
    few = find_peaks(scan[0], max_peaks=4)
    assert few.sizes["peak"] == 4
    np.testing.assert_array_equal(few.intensity, peaks.intensity[..., :4])


def test_scaling_the_counts_scales_nothing_but_the_counts(scan, peaks):
    scaled = find_peaks(as_patterns(scan[0].intensity.values * np.float32(17.0)))
    np.testing.assert_array_equal(scaled["count"], peaks["count"])
    np.testing.assert_allclose(scaled.qx, peaks.qx, atol=2e-3)
    np.testing.assert_allclose(scaled.intensity, 17 * peaks.intensity, rtol=1e-3)


def test_a_constant_offset_changes_nothing(scan, peaks):
    shifted = find_peaks(as_patterns(scan[0].intensity.values + np.float32(100.0)))
    np.testing.assert_allclose(shifted["count"], peaks["count"], atol=1)
    strong = (peaks.intensity > 30).values
    for name in ("qy", "qx"):
        apart = np.abs(shifted[name].values[..., :, None] - peaks[name].values[..., None, :])
        assert (np.nan_to_num(apart, nan=np.inf).min(axis=-2)[strong] < 0.05).all()


def test_turning_the_pattern_turns_the_peaks(scan, peaks):
    turned = find_peaks(as_patterns(np.rot90(scan[0].intensity.values, axes=(2, 3)).copy()))
    np.testing.assert_allclose(turned.qy, 127 - peaks.qx, atol=2e-2)
    np.testing.assert_allclose(turned.qx, peaks.qy, atol=2e-2)


def test_min_prominence_is_a_floor(scan, peaks):
    floor = float(np.nanmedian(peaks.prominence))
    high = find_peaks(scan[0], min_prominence=floor)
    assert np.nanmin(high.prominence) >= floor
    assert int(high["count"].sum()) < int(peaks["count"].sum())
    np.testing.assert_array_equal(find_peaks(scan[0], min_prominence=0.0)["count"], peaks["count"])


def test_empty_dead_and_unknown_patterns_are_vacuum_in_place(scan, peaks):
    images = scan[0].intensity.values.astype(np.float32)
    images[1, 1], images[2, 3], images[0, 4] = 0, np.nan, 500
    found = find_peaks(as_patterns(images))
    for where in ((1, 1), (2, 3), (0, 4)):
        assert int(found["count"][where]) == 0
        assert int(found.status[where]) == AcomStatus.VACUUM
    np.testing.assert_array_equal(found["count"][3], peaks["count"][3])


def test_vacuum_has_no_peak_but_the_beam():
    rng = np.random.default_rng(5)
    beam = np.zeros((128, 128))
    add_disk(beam, 63.2, 64.1, 2.5, 1600)
    patterns = as_patterns(rng.poisson(beam + 0.02, (6, 6, 128, 128)))
    found = find_peaks(patterns)
    assert float((found.status == AcomStatus.VACUUM).mean()) > 0.8
    assert not (found.status == AcomStatus.OK).any()
    np.testing.assert_allclose(found.qy[..., 0], 63.2, atol=0.15)


def test_hot_pixels_and_holes_are_no_spots():
    rng = np.random.default_rng(6)
    image, truth = random_pattern(rng, electrons=20000)
    counts = rng.poisson(image).astype(np.float32)
    clean = find_peaks(as_patterns(counts[None, None]))
    hot = counts.copy()
    hot[20, 100], hot[90:92, 10] = 5000, np.nan
    found = find_peaks(as_patterns(hot[None, None]))
    assert np.nanmin(np.hypot(found.qy - 20, found.qx - 100)) > 2
    assert compare(found, [truth], reach=2.5, weakest=30)[0] == compare(clean, [truth], reach=2.5, weakest=30)[0]


def test_published_mode_is_the_published_recipe(scan):
    found = find_peaks(scan[0], mode="published")
    images = scan[0].intensity.values.astype(float)
    yy, xx = np.mgrid[:128, :128] - 63.5
    corners = images[..., np.hypot(yy, xx) > 64].std(axis=-1)
    np.testing.assert_allclose(found.noise, corners, rtol=1e-4)
    np.testing.assert_allclose(found.min_prominence, np.maximum(3 * images.max(axis=(2, 3)) / 255, corners), rtol=1e-4)
    assert np.nanmin((found.prominence - found.min_prominence).values) >= 0
    eight_bit = find_peaks(as_patterns(np.minimum(images, 255).astype(np.uint8)), mode="published")
    np.testing.assert_allclose(eight_bit.min_prominence, np.maximum(3, eight_bit.noise), rtol=1e-5)
    own = find_peaks(scan[0], mode="published", min_prominence=0.5)
    np.testing.assert_allclose(own.min_prominence, np.maximum(0.5 * images.max(axis=(2, 3)) / 255, corners), rtol=1e-4)


def test_published_positions_are_unbiased_too():
    image, truth = np.zeros((128, 128)), [(40.3, 80.7, 5000.0), (63.6, 63.2, 20000.0), (90.5, 30.1, 4000.0)]
    for spot in truth:
        add_disk(image, *spot[:2], 3.0, spot[2])
    found = find_peaks(as_patterns(image[None, None]), mode="published")
    recall, _, errors = compare(found, [np.array(truth)], reach=1.0, weakest=1)
    assert recall == 1
    assert np.abs(errors).max() < 0.02


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.rename(intensity="counts"), "no variable 'intensity'"),
        (lambda d: d.assign_coords(qx=("qx", np.arange(128.0) ** 2, {"units": "px"})), "not evenly rising"),
        (lambda d: d.assign_coords(qx=("qx", np.arange(128.0), {"units": "mrad"})), "'mrad'"),
        (lambda d: d.isel(qy=slice(8)), "at least 16"),
    ],
)
def test_wrong_patterns_are_refused_with_a_cure(scan, change, message):
    with pytest.raises(SchemaError, match=message):
        find_peaks(change(scan[0]))


@pytest.mark.parametrize(
    "settings",
    [{"max_peaks": 0}, {"blur_px": -1.0}, {"mode": "best"}, {"min_prominence": np.nan}, {"intensity_radius": 0.0}],
)
def test_wrong_settings_are_refused(scan, settings):
    with pytest.raises(SchemaError, match=next(iter(settings))):
        find_peaks(scan[0], **settings)


def test_other_variables_may_have_other_chunks(scan, peaks):
    mixed = scan[0].chunk(scan_y=2)
    mixed["truth_phase"] = xr.zeros_like(mixed.intensity.isel(qy=0, qx=0)).chunk(scan_y=3)
    xr.testing.assert_identical(find_peaks(mixed).compute(), peaks)


def test_weak_peaks_are_kept_apart(scan, peaks):
    weak = peaks.weak_intensity.notnull()
    assert int(weak.sum("weak_peak").min()) > 0
    alone = find_peaks(scan[0], weak_peaks=0)
    assert "weak_qy" not in alone
    for name in NUMBERS:
        xr.testing.assert_equal(alone[name], peaks[name])
    assert "weak_qy" not in find_peaks(scan[0], mode="published")
    one = find_peaks(scan[0], weak_peaks=5)
    assert one.sizes["weak_peak"] == 5
    assert peaks.weak_qy.attrs["units"] == peaks.qy.attrs["units"]


def test_weak_peaks_lie_on_spots_more_often_than_chance():
    patterns, truth = scan_of_disks(3, (4, 4), electrons=200)
    found = find_peaks(patterns)
    near = total = 0
    for index, spots in enumerate(truth):
        row = found.isel(scan_y=index // 4, scan_x=index % 4)
        place = np.stack([row.weak_qy.values, row.weak_qx.values], axis=-1)
        place = place[np.isfinite(place).all(axis=1)]
        apart = np.hypot(*(place[:, None] - np.asarray(spots)[None, :, :2]).transpose(2, 0, 1))
        near, total = near + int((apart.min(axis=1) < 2.5).sum()), total + len(place)
    by_chance = np.mean([len(spots) for spots in truth]) * np.pi * 2.5**2 / 128**2
    assert near / total > 2 * by_chance


def test_a_bright_beam_through_vacuum_is_vacuum():
    """Maxima of the halo pass for peaks now and then; they hold next to nothing of the beam."""
    rng = np.random.default_rng(15)
    beam = np.full((128, 128), 0.02)
    add_disk(beam, 63.2, 64.1, 2.5, 20000)
    found = find_peaks(as_patterns(rng.poisson(beam, (6, 6, 128, 128))))
    assert (found.status == AcomStatus.VACUUM).all()


def test_of_two_near_peaks_the_brighter_is_kept():
    image = np.zeros((64, 64))
    for y, x, counts in ((32.0, 32.0, 2000.0), (32.0, 41.0, 900.0), (32.0, 50.0, 1500.0), (12.0, 12.0, 600.0)):
        add_disk(image, y, x, 2.5, counts)
    patterns = as_patterns(image[None, None])
    places = {}
    for distance in (None, 0.0, 8.0, 10.0, 19.0):
        found = find_peaks(patterns, min_distance_px=distance)
        places[distance] = found["qx"][0, 0].dropna("peak").values.round(1).tolist()
        assert found["count"].item() == len(places[distance])
    # Greedy from the brightest on: the one between two brighter ones goes first.
    assert places[None] == places[0.0] == places[8.0] == [32.0, 50.0, 41.0, 12.0]
    assert places[10.0] == [32.0, 50.0, 12.0]
    assert places[19.0] == [32.0, 12.0]
    # The published centroids are drawn to their neighbours, so only the distance is asked.
    published = [find_peaks(patterns, mode="published", min_distance_px=distance) for distance in (None, 12.0)]
    assert [one["count"].item() for one in published] == [4, 3]
    assert np.abs(np.diff(np.sort(published[1]["qx"][0, 0].dropna("peak")))).min() >= 12.0


def test_least_distance_holds_for_weak_peaks_and_its_default_changes_nothing(scan, peaks):
    found = find_peaks(scan[0], min_distance_px=12.0)
    for name in NUMBERS:
        np.testing.assert_array_equal(find_peaks(scan[0], min_distance_px=0.0)[name], peaks[name])
    for place in np.ndindex(found["count"].shape):
        one = found.isel(scan_y=place[0], scan_x=place[1])
        every = np.concatenate([np.stack([one[f"{kind}qy"], one[f"{kind}qx"]], axis=1) for kind in ("", "weak_")])
        every = every[np.isfinite(every).all(axis=1)]
        step = scan[0].qx.values[1] - scan[0].qx.values[0]
        gaps = np.hypot(*(every[:, None] - every).T) / step + 100 * np.eye(len(every))
        assert gaps.min(initial=100) >= 12.0 - 1e-3
    assert int(found["count"].sum()) < int(peaks["count"].sum())
    with pytest.raises(SchemaError, match="min_distance_px = -1"):
        find_peaks(scan[0], min_distance_px=-1.0)
