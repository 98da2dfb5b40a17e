"""reconstruct_patterns: discs where the peaks are, as bright as they are, in the pattern they belong to."""

import dask
import numpy as np
import pytest
import xarray as xr

from phasekit.acom import calibrate_peaks, find_peaks, reconstruct_patterns
from phasekit.errors import SchemaError
from tests.acom.spots import as_patterns, disk, scan_of_disks


@pytest.fixture(scope="module")
def peaks():
    patterns, _ = scan_of_disks(21, (3, 4), electrons=5000)
    patterns.intensity[1, 2] = 0
    return find_peaks(patterns)


def one_peak(y, x, intensity=100.0, radius=2.5):
    image = np.zeros((1, 1, 32, 32))
    image[0, 0, 8:24, 8:24] = 1.0
    found = find_peaks(as_patterns(image), max_peaks=2).copy(deep=True)
    for name, value in (("qy", y), ("qx", x), ("intensity", intensity)):
        found[name][0, 0] = [value, np.nan]
    return found.assign(disk_radius=found.disk_radius * 0 + radius)


@pytest.mark.parametrize(("y", "x"), [(15.0, 15.0), (15.5, 12.25), (10.3, 20.7)])
def test_disc_lies_between_pixels_where_the_peak_does(y, x):
    image = reconstruct_patterns(one_peak(y, x), (32, 32)).intensity[0, 0].values
    yy, xx = np.mgrid[:32, :32]
    assert image.sum() == pytest.approx(100.0, rel=1e-5)
    assert (image * yy).sum() / 100 == pytest.approx(y, abs=0.05)
    assert (image * xx).sum() / 100 == pytest.approx(x, abs=0.05)
    exact = 100 * disk(y, x, 2.5, 32)
    assert np.abs(image - exact).max() < 0.15 * exact.max()


def test_other_shape_shows_the_same_field_of_view(peaks):
    small, large = reconstruct_patterns(peaks, (64, 64)), reconstruct_patterns(peaks, (256, 256))
    np.testing.assert_allclose(small.intensity.sum(("qy", "qx")), large.intensity.sum(("qy", "qx")), rtol=1e-4)
    binned = large.intensity.coarsen(qy=4, qx=4).sum()
    np.testing.assert_allclose(small.qy, binned.qy)
    assert xr.corr(small.intensity, binned).item() > 0.99


def test_empty_patterns_are_empty_in_their_place(peaks):
    images = reconstruct_patterns(peaks).intensity
    total = images.sum(("qy", "qx"))
    assert float(total[1, 2]) == 0
    np.testing.assert_allclose(total, peaks.intensity.sum("peak"), rtol=0.02)


def test_found_again_where_they_were(peaks):
    again = find_peaks(reconstruct_patterns(peaks))
    np.testing.assert_array_equal(again["count"], peaks["count"])
    order = [np.argsort(p.qx.fillna(np.inf).values, axis=-1) for p in (peaks, again)]
    first, second = (np.take_along_axis(p.qx.values, o, -1) for p, o in zip((peaks, again), order, strict=True))
    np.testing.assert_allclose(first, second, atol=0.05)


def test_registered_peaks_are_centred(peaks):
    registered = calibrate_peaks(peaks, pixel_size=0.0125)
    images = reconstruct_patterns(registered)
    assert images.qx.attrs["units"] == "1/angstrom"
    assert float(images.qx[1] - images.qx[0]) == pytest.approx(0.0125)
    np.testing.assert_allclose(images.qx, -images.qx[::-1])
    without = reconstruct_patterns(registered, direct_beam=False).intensity.sum(("qy", "qx"))
    beam = registered.intensity.where(registered.direct).sum("peak")
    np.testing.assert_allclose(images.intensity.sum(("qy", "qx")) - without, beam, rtol=1e-3, atol=1e-2)


def test_lazy_chunks_and_untouched_input(peaks):
    before = peaks.copy(deep=True)
    eager = reconstruct_patterns(peaks)
    lazy = reconstruct_patterns(peaks.chunk(scan_y=2, scan_x=3, peak=40))
    assert dask.is_dask_collection(lazy.intensity.data)
    xr.testing.assert_identical(lazy.compute(), eager)
    xr.testing.assert_identical(peaks, before)


@pytest.mark.parametrize("settings", [{"shape": (0, 5)}, {"pixel_size": 0.0}, {"radius": -1.0}])
def test_wrong_settings_are_refused(peaks, settings):
    with pytest.raises(SchemaError, match="reconstruct_patterns"):
        reconstruct_patterns(peaks, **settings)


def test_unknown_pixel_size_is_asked_for(peaks):
    bare = calibrate_peaks(peaks, pixel_size=0.0125).drop_attrs(deep=False)
    with pytest.raises(SchemaError, match="Give pixel_size"):
        reconstruct_patterns(bare)
    assert reconstruct_patterns(bare, pixel_size=0.0125).sizes["qx"] == 128
