"""The exact spots of a simulated scan lie where its electrons are."""

import numpy as np
import pytest

from phasekit.errors import SchemaError
from phasekit.synthetic import Microscope, Specimen, orientation_scan, true_spots


@pytest.fixture(scope="module", params=["px", "1/angstrom"])
def scan(request):
    optics = Microscope(units=request.param, ellipticity=1.05, ellipse_angle_deg=20, detector_rotation_deg=30)
    settings = {"specimen": Specimen(n_grains=3), "microscope": optics, "seed": 3}
    return orientation_scan(shape=(8, 9), electrons=20000, **settings)


def test_the_electrons_are_where_the_spots_are(scan):
    spots = true_spots(scan, min_electrons=200)
    y, x = np.mgrid[: scan.sizes["qy"], : scan.sizes["qx"]]
    checked = 0
    for index in np.argwhere(scan.truth_interior.values):
        here = spots.isel(scan_y=index[0], scan_x=index[1])
        image = scan.intensity.values[tuple(index)].astype(float)
        for row in np.stack([here.spot_y, here.spot_x, here.electrons], axis=1):
            others = np.hypot(here.spot_y - row[0], here.spot_x - row[1]).values
            if not np.isfinite(row).all() or np.sort(others)[1] < 8 or np.abs(row[:2] - 63.5).max() > 58:
                continue
            distance = np.hypot(y - row[0], x - row[1])
            background = np.median(image[(distance > 4) & (distance < 7)]) * (distance < 3.3).sum()
            inside = image[distance < 3.3].sum() - background
            assert inside == pytest.approx(row[2], abs=6 * np.sqrt(image[distance < 3.3].sum()) + 0.15 * row[2])
            checked += 1
    assert checked > 30


def test_vacuum_and_overlaps_have_none(scan):
    spots = true_spots(scan)
    outside = ~scan.truth_interior
    assert not bool(spots.electrons.notnull().any("spot").where(outside, False).any())
    assert bool(spots.electrons.notnull().any("spot").where(~outside, True).all())


def test_other_data_are_refused(scan):
    with pytest.raises(SchemaError, match="orientation_scan"):
        true_spots(scan.assign_attrs(provenance="[]"))
