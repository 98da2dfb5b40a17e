"""Disks painted between pixels: their sum, their centre, and what is left out."""

import numpy as np
import pytest

from phasekit.disks import paint_disks


def paint(y, x, total, radius, subpixels, keep_sum, painter=paint_disks):
    image = np.zeros((30, 40))
    painter(image, np.array([y]), np.array([x]), np.array([total]), radius, subpixels, keep_sum)
    return image


@pytest.mark.parametrize("painter", [paint_disks, paint_disks.py_func], ids=["compiled", "python"])
@pytest.mark.parametrize("subpixels", [4, 5, 9])
def test_a_disk_sums_to_its_total_and_lies_at_its_centre(subpixels, painter):
    image = paint(12.3, 20.8, 7.0, 3.4, subpixels, True, painter)
    y, x = np.indices(image.shape)
    assert image.sum() == pytest.approx(7.0, rel=1e-12)
    assert (y * image).sum() / 7.0 == pytest.approx(12.3, abs=0.05)
    assert (x * image).sum() / 7.0 == pytest.approx(20.8, abs=0.05)


def test_the_level_of_a_disk_is_its_total_over_the_area_of_the_circle():
    image = paint(12.3, 20.8, 7.0, 3.4, 5, False)
    assert image.max() == pytest.approx(7.0 / (np.pi * 3.4**2), rel=1e-12)


def test_a_disk_smaller_than_the_grid_goes_into_the_pixel_of_its_centre():
    image = paint(12.3, 20.8, 7.0, 0.01, 4, True)
    assert image[12, 21] == 7.0
    assert image.sum() == 7.0


def test_the_edge_cuts_a_disk_and_nan_paints_none():
    assert paint(-0.5, 20.0, 8.0, 3.0, 4, True).sum() == pytest.approx(4.0, rel=0.05)
    for y, x, total in ((np.nan, 20.0, 1.0), (12.0, np.nan, 1.0), (12.0, 20.0, np.nan)):
        assert not paint(y, x, total, 3.0, 4, True).any()
