"""Peaks and registration on scans with known beam, ellipse and scale (phasekit.synthetic): the physics comes back."""

import numpy as np
import pytest

from phasekit.acom import CalibrationWarning, calibrate_peaks, find_peaks, reconstruct_patterns, virtual_images
from phasekit.crystals import crystal
from phasekit.errors import AcomStatus
from phasekit.synthetic.orientation import Microscope, orientation_scan

PIXEL = 0.025


@pytest.fixture(scope="module")
def nickel():
    return crystal("Ni", 225, (3.5238, 3.5238, 3.5238, 90, 90, 90), [("Ni", 0, 0, 0)])


@pytest.fixture(scope="module")
def scan(nickel):
    return orientation_scan([nickel], shape=(12, 14), seed=11)


@pytest.fixture(scope="module")
def peaks(scan):
    return find_peaks(scan)


def test_origin_follows_the_beam(scan, peaks):
    found = calibrate_peaks(peaks)
    error = np.hypot(found.origin_y - scan.truth_origin_y, found.origin_x - scan.truth_origin_x) / PIXEL
    # about 700 electrons in the beam: 2.5 / 2 / sqrt(700) = 0.05 px per axis
    assert float(np.sqrt((error**2).mean())) < 0.15
    assert float(error.max()) < 0.5


def test_spots_lie_on_the_rings_of_the_crystal(nickel, peaks):
    found = calibrate_peaks(peaks, phase=nickel)
    assert abs(float(found.scale_offset)) < 0.005
    assert float(found.radial_match) > 0.85
    assert float(found.radial_misfit) < 0.008


def test_vacuum_is_vacuum_and_material_is_not(scan, peaks):
    status = peaks.status.values
    empty, interior = scan.truth_phase.values < 0, scan.truth_interior.values
    assert (status[empty] == AcomStatus.VACUUM).mean() > 0.85
    assert not (status[empty] == AcomStatus.OK).any()
    assert (status[interior] == AcomStatus.OK).mean() > 0.8


def test_friedel_pairs_are_centred_on_the_origin(peaks):
    found = calibrate_peaks(peaks)
    vectors = np.stack([found.qy.where(~found.direct), found.qx.where(~found.direct)], axis=-1).reshape(-1, 150, 2)
    middles = []
    for spots in vectors:
        known = spots[np.isfinite(spots[:, 0])]
        if len(known) < 2:
            continue
        sums = known[:, None] + known[None]
        nearest = np.abs(np.linalg.norm(sums, axis=-1)).min(axis=1)
        middles.extend(
            sums[np.arange(len(known)), np.linalg.norm(sums, axis=-1).argmin(axis=1)][nearest < 2 * PIXEL] / 2
        )
    assert len(middles) > 50
    assert np.abs(np.median(middles, axis=0)).max() < 0.1 * PIXEL


@pytest.mark.parametrize("electrons", [600, 20000])
def test_ellipse_and_scale_are_recovered(nickel, electrons):
    microscope = Microscope(ellipticity=1.02, ellipse_angle_deg=35.0, pixel_size=PIXEL, units="px")
    scan = orientation_scan([nickel], shape=(14, 16), electrons=electrons, microscope=microscope, seed=12)
    found = calibrate_peaks(find_peaks(scan), phase=nickel, ellipse="fit")
    assert float(found.scale) == pytest.approx(PIXEL, rel=5e-3)
    assert float(found.ellipse_ratio) == pytest.approx(1.02, abs=5e-3)
    assert (float(found.ellipse_angle) - 35 + 90) % 180 - 90 == pytest.approx(0, abs=8)


def test_a_pixel_size_off_by_two_per_cent_is_reported(nickel, scan):
    wrong = scan.assign_coords({d: (d, scan[d].values * 1.02, scan[d].attrs) for d in ("qy", "qx")})
    with pytest.warns(CalibrationWarning, match=r"-[12]\.\d %"):
        found = calibrate_peaks(find_peaks(wrong), phase=nickel)
    assert float(found.scale_offset) == pytest.approx(1 / 1.02 - 1, abs=3e-3)


def test_dose_scales_the_spots_not_their_number_of_false_ones(nickel):
    scans = [orientation_scan([nickel], shape=(6, 8), electrons=dose, seed=13) for dose in (2000, 20000)]
    low, high = (virtual_images(calibrate_peaks(find_peaks(scan))) for scan in scans)
    material = scans[0].truth_phase >= 0
    ratio = (high.bright_field / low.bright_field).where(material)
    assert float(ratio.median()) == pytest.approx(10, rel=0.1)
    assert bool((high.spot_count >= low.spot_count - 2).where(material, True).all())


def test_redrawn_patterns_keep_the_bright_field(scan, peaks):
    again = find_peaks(reconstruct_patterns(peaks))
    first, second = (virtual_images(found).full for found in (peaks, again))
    material = (scan.truth_phase >= 0).values
    np.testing.assert_allclose(second.values[material], first.values[material], rtol=0.1)
