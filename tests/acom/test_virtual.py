"""virtual_images, reliable_fraction, compression_ratio."""

import dask
import numpy as np
import pytest
import xarray as xr

from phasekit.acom import calibrate_peaks, compression_ratio, find_peaks, reliable_fraction, virtual_images
from phasekit.errors import SchemaError
from tests.acom.spots import scan_of_disks


@pytest.fixture(scope="module")
def peaks():
    patterns, _ = scan_of_disks(31, (4, 6), electrons=3000)
    patterns.intensity[1, 2] = 0
    return find_peaks(patterns)


def test_images_add_up(peaks):
    images = virtual_images(calibrate_peaks(peaks, pixel_size=0.0125))
    np.testing.assert_allclose(images.bright_field + images.dark_field, images.full, rtol=1e-5)
    np.testing.assert_allclose(images.full, peaks.intensity.sum("peak"))
    np.testing.assert_array_equal(images.spot_count, peaks["count"])
    np.testing.assert_allclose(images.prominence, peaks.prominence.sum("peak"))


def test_direct_beam_is_told_before_registration_too(peaks):
    np.testing.assert_allclose(
        virtual_images(peaks).bright_field, virtual_images(calibrate_peaks(peaks, pixel_size=0.0125)).bright_field
    )


def test_empty_patterns_do_not_shift_the_maps(peaks):
    images = virtual_images(peaks)
    assert int(images.spot_count[1, 2]) == 0
    assert float(images.full[1, 2]) == 0
    for name in ("full", "bright_field", "spot_count", "noise"):
        for y, x in ((0, 0), (1, 1), (1, 3), (3, 5)):  # around and behind the gap: as if alone
            alone = virtual_images(peaks.isel(scan_y=[y], scan_x=[x]))
            assert float(images[name][y, x]) == float(alone[name][0, 0])


def test_dark_field_takes_what_the_aperture_holds(peaks):
    registered = calibrate_peaks(peaks, pixel_size=0.0125)
    whole = virtual_images(registered, aperture=(0.0, 0.0, 10.0))
    np.testing.assert_allclose(whole.dark_field, whole.full, rtol=1e-6)
    none = virtual_images(registered, aperture=(5.0, 5.0, 0.01))
    assert float(none.dark_field.max()) == 0
    beam = virtual_images(registered, aperture=(0.0, 0.0, 1e-6))
    np.testing.assert_allclose(beam.dark_field, beam.bright_field)


def test_lazy_stays_lazy(peaks):
    lazy = virtual_images(peaks.chunk(scan_y=1))
    assert all(dask.is_dask_collection(variable.data) for variable in lazy.data_vars.values())
    xr.testing.assert_allclose(lazy.compute(), virtual_images(peaks))


def test_wrong_aperture_and_unknown_middle_are_refused(peaks):
    with pytest.raises(SchemaError, match="aperture radius"):
        virtual_images(peaks, aperture=(0.0, 0.0, 0.0))
    with pytest.raises(SchemaError, match="calibrate_peaks"):
        virtual_images(peaks.drop_attrs(deep=False))


def test_compression_ratio_of_the_published_example():
    assert compression_ratio((512, 512), 30) == pytest.approx(512 * 512 / (30 * 9))
    assert round(compression_ratio((512, 512), 30)) == 971


def test_compression_ratio_of_a_map(peaks):
    ratio = compression_ratio((128, 128), peaks["count"], columns=4, pattern_bytes=2)
    assert ratio.dims == ("scan_y", "scan_x")
    assert np.isinf(ratio[1, 2])
    assert float(ratio[0, 0]) == pytest.approx(128 * 128 * 2 / (int(peaks["count"][0, 0]) * 16))
    with pytest.raises(SchemaError, match="positive"):
        compression_ratio((0, 128), 3)


def test_reliable_fraction_counts_unindexed_pixels_as_not_reliable():
    scan, match = ("scan_y", "scan_x"), ("scan_y", "scan_x", "match")
    reliability = np.array([[40.0, 15.0, np.nan], [14.9, 0.0, 90.0]])
    found = xr.Dataset(dict.fromkeys(("phase", "reliability", "phase_reliability", "status"), (scan, reliability)))
    found["quaternion"] = ((*match, "wxyz"), np.ones((2, 3, 1, 4)))
    found["correlation"] = (match, np.ones((2, 3, 1)))
    assert reliable_fraction(found, 15) == pytest.approx(3 / 6)
    assert reliable_fraction(found, 0) == pytest.approx(5 / 6)
    assert reliable_fraction(found.chunk(), 15) == pytest.approx(3 / 6)
    with pytest.raises(SchemaError, match="reliability"):
        reliable_fraction(found.drop_vars("reliability"))
