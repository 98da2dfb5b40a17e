"""Kernels of peak finding against slow, obvious versions; compiled and as plain Python."""

import numpy as np
import pytest
from scipy import ndimage

from phasekit.acom.peaks import flooding, kernels
from phasekit.acom.peaks.measurement import refine_by_centroid, refine_by_mean_shift
from phasekit.acom.peaks.settings import (
    DiskAndNoise,
    estimate_disk_and_noise,
    make_adaptive_settings,
    make_gaussian_kernel,
)
from tests.acom.spots import add_disk, random_pattern


def both(function):
    return pytest.mark.parametrize("run", [function, function.py_func], ids=["compiled", "python"])


@pytest.fixture
def image():
    rng = np.random.default_rng(8)
    return ndimage.gaussian_filter(rng.normal(size=(20, 23)), 1.5).astype(np.float32) + np.float32(2)


def brute_prominence(image, y, x):
    """Lowest descent from (y, x) that reaches anything higher: threshold after threshold."""
    levels = np.unique(image[image <= image[y, x]])[::-1]
    for level in levels:
        labels, _ = ndimage.label(image >= level, np.ones((3, 3)))
        if image[labels == labels[y, x]].max() > image[y, x]:
            return image[y, x] - level
    return image[y, x] - image.min()


@both(flooding.find_saddles)
def test_flooding_gives_the_topographic_prominence(run, image):
    flat = image.ravel()
    order, spare = np.empty(flat.size, np.int32), np.empty(flat.size, np.int32)
    n = flooding.sort_by_brightness(flat.view(np.uint32), order, spare)
    peak, saddle = np.empty(flat.size, np.int32), np.empty(flat.size, np.float32)
    count = run(image, order[:n], np.empty(22 * 25, np.int32), peak, saddle)
    summits = np.argwhere(image == ndimage.maximum_filter(image, 3))
    assert {tuple(s) for s in summits} == {divmod(int(i), 23) for i in peak[:count]}
    for i in range(count):
        y, x = divmod(int(peak[i]), 23)
        assert image[y, x] - saddle[i] == pytest.approx(brute_prominence(image, y, x), abs=1e-6)


@both(flooding.sort_by_brightness)
def test_order_is_by_brightness(run):
    values = np.random.default_rng(1).normal(size=500).astype(np.float32)
    order, spare = np.empty(500, np.int32), np.empty(500, np.int32)
    n = run(values.view(np.uint32), order, spare)
    assert n == (values > 0).sum()
    np.testing.assert_array_equal(values[order[:n]], np.sort(values[values > 0])[::-1])


@both(kernels.blur_image)
def test_blur_is_a_gaussian_filter_inside_and_fair_at_the_edge(run, image):
    if run is not kernels.blur_image:
        image = image[:12, :12].copy()
    kernel, out = make_gaussian_kernel(1.3), np.empty_like(image)
    run(image, kernel, np.empty_like(image), out)
    weight = ndimage.convolve1d(np.ones_like(image), kernel, axis=0, mode="constant")
    weight = ndimage.convolve1d(weight, kernel, axis=1, mode="constant")
    wanted = ndimage.convolve1d(image, kernel, axis=0, mode="constant")
    wanted = ndimage.convolve1d(wanted, kernel, axis=1, mode="constant")
    np.testing.assert_allclose(out, wanted / _edge(weight, kernel, image.shape), rtol=1e-5)


def _edge(weight, kernel, shape):
    ones = [ndimage.convolve1d(np.ones(n), kernel, mode="constant") for n in shape]
    np.testing.assert_allclose(weight, np.outer(*ones), rtol=1e-5)
    return np.outer(*ones)


@both(kernels.compute_box_mean)
def test_box_mean_over_the_part_inside(run, image):
    out = np.empty_like(image)
    run(image, 3, np.empty_like(image), out)
    for y, x in ((0, 0), (5, 22), (10, 10), (19, 1)):
        window = image[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4]
        assert out[y, x] == pytest.approx(window.mean(), rel=1e-5)


@both(kernels.compute_parabolic_opening)
def test_sliding_paraboloid_touches_from_below(run):
    rng = np.random.default_rng(2)
    image = rng.normal(size=(9, 11)).astype(np.float32)
    out = np.empty_like(image)
    run(image, 0.05, out)
    yy, xx = np.mgrid[:9, :11]
    height = np.array([[(image + 0.05 * ((yy - y) ** 2 + (xx - x) ** 2)).min() for x in range(11)] for y in range(9)])
    wanted = [[(height - 0.05 * ((yy - y) ** 2 + (xx - x) ** 2)).max() for x in range(11)] for y in range(9)]
    np.testing.assert_allclose(out, wanted, atol=1e-5)
    assert (out <= image + 1e-6).all()


@both(kernels.compute_corner_statistics)
def test_corners_are_what_lies_outside_the_circle(run, image):
    yy, xx = np.mgrid[:20, :23]
    outside = np.hypot(yy - 9.5, xx - 11) > 10
    mean, deviation = run(image)
    assert mean == pytest.approx(image[outside].mean(), rel=1e-5)
    assert deviation == pytest.approx(image[outside].std(), rel=1e-4)


@both(kernels.fill_gaps)
def test_gaps_are_filled_from_the_left(run):
    image = np.array([[np.nan, 2, np.inf, 4]], dtype=np.float32)
    assert run(image) == 2
    np.testing.assert_array_equal(image, [[0, 2, 2, 4]])


@both(refine_by_mean_shift)
def test_mean_shift_finds_the_place_from_a_pixel_away(run):
    image = np.zeros((32, 32), np.float32)
    add_disk(image, 15.3, 16.8, 2.5, 100.0)
    y, x = run(image, 14.0, 18.0, 1.6, 5)
    assert (y, x) == (pytest.approx(15.3, abs=0.01), pytest.approx(16.8, abs=0.01))
    assert run(np.zeros((8, 8), np.float32), 3.0, 3.0, 1.6, 5) == (3.0, 3.0)


@both(refine_by_centroid)
def test_centre_of_mass_has_no_half_pixel_bias(run):
    image = np.zeros((40, 40), np.float32)
    add_disk(image, 20.4, 18.9, 3.0, 100.0)
    y, x = run(image, 20.0, 19.0, 10.0, 5)
    assert (y, x) == (pytest.approx(20.4, abs=0.01), pytest.approx(18.9, abs=0.01))


@pytest.mark.parametrize("electrons", [300, 3000, 30000])
@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (30.0, 0.0), (0.5, 200.0)])
def test_gain_and_disk_are_measured(electrons, gain, offset):
    rng = np.random.default_rng(electrons)
    sample = [rng.poisson(random_pattern(rng, electrons=electrons)[0]) for _ in range(16)]
    radius, v0, slope = estimate_disk_and_noise(gain * np.array(sample, dtype=float) + offset)
    assert radius == pytest.approx(2.5, rel=0.15)
    assert slope == pytest.approx(gain, rel=0.35)
    level = np.median(sample)
    assert v0 + slope * (gain * level + offset) == pytest.approx(
        gain**2 * max(level, 0), abs=0.35 * gain**2 * (level + 0.3)
    )


def test_the_threshold_is_bernsteins_bound_on_the_blurred_pattern():
    settings = dict.fromkeys(("min_prominence", "background_radius", "blur_px", "refine_box", "intensity_radius"))
    found = make_adaptive_settings(settings | {"weak_peaks": 48}, DiskAndNoise(5.0, 3.0, 2.0), 128 * 128)
    assert (found.bin_size, found.cell, found.weak_slots) == (2, 4, 48)
    kernel = make_gaussian_kernel(found.sigma / 2).astype(float)
    left = (np.sum(kernel**2) / 2) ** 2
    odds, height = np.log(128 * 128 * left / 6), 2.0 * (kernel.max() / 2) ** 2
    for level in (0.0, 7.0):
        wanted = np.sqrt(2 * odds * left * (3.0 + 2.0 * level)) + odds * height / 3
        assert kernels.compute_threshold(level, found.noise) == pytest.approx(wanted)
        assert kernels.compute_threshold(level, found.weak_noise) < wanted
