"""Rotation between scan and detector from the direct beam's deflections, and the stated errors of registration."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from phasekit.acom import CalibrationWarning, calibrate_peaks, find_peaks
from phasekit.acom.calibration.origins import fit_origins
from phasekit.acom.calibration.scan_rotation import fit_rotation
from phasekit.errors import SchemaError
from phasekit.synthetic.orientation import Microscope, orientation_scan
from phasekit.synthetic.structures import sample_phases
from tests.acom.test_calibration import PIXEL, as_peaks

SHAPE = (48, 60)


def deflections(angle_deg, *, seed=0, noise=0.2, shape=SHAPE):
    """(scan_y, scan_x, yx) gradient of a smooth random potential as a detector shows it that must be turned back."""
    rng = np.random.default_rng(seed)
    potential = gaussian_filter(rng.normal(size=[n + 20 for n in shape]), 3)
    y, x = (part[10:-10, 10:-10] for part in np.gradient(potential))
    turn = np.radians(angle_deg)
    seen = np.stack([y * np.cos(turn) - x * np.sin(turn), x * np.cos(turn) + y * np.sin(turn)], axis=-1)
    return seen / seen.std() + rng.normal(0, noise, seen.shape)


def axes(shape=SHAPE, steps=(1.0, 1.0)):
    return tuple(np.arange(n) * step for n, step in zip(shape, steps, strict=True))


def off(found, angle):
    """Difference of two angles modulo 180 degrees."""
    return (found - angle + 90) % 180 - 90


def beams(field, *, drift=2.0):
    """PEAKS in px: a direct beam that is deflected by ``field`` [px] and drifts, and one spot."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in field.shape[:2]), indexing="ij")
    beam = 63.5 + drift * np.stack([y - 0.5 * x * x, 0.7 * x + 0.4 * y * x], axis=-1) + field
    table = np.stack([beam, beam + 30.0], axis=2)  # scan_y, scan_x, peak, yx
    heights = np.broadcast_to([900.0, 50.0], table.shape[:3])
    return as_peaks(np.stack([table[..., 0], table[..., 1], heights, heights]))


@pytest.mark.parametrize("angle", [-75.0, -30.0, 0.0, 12.0, 60.0, 90.0])
def test_the_rotation_of_a_gradient_field_is_recovered(angle):
    fit = fit_rotation(deflections(angle), axes())
    assert not fit.is_weak
    assert abs(off(fit.angle_deg, angle)) < min(2.0, 3 * fit.error_deg)
    assert -90 < fit.angle_deg <= 90


def test_the_stated_error_is_the_error():
    ratios = []
    for seed in range(12):
        fit = fit_rotation(deflections(20.0, seed=seed, noise=1.0), axes())
        ratios.append(off(fit.angle_deg, 20.0) / fit.error_deg)
    assert 0.3 < np.sqrt(np.mean(np.square(ratios))) < 1.5


def test_gaps_outliers_and_jumping_lines_do_not_matter():
    field, rng = deflections(25.0, seed=3), np.random.default_rng(1)
    field[rng.uniform(size=SHAPE) < 0.01] += 30.0
    field[..., 1] += rng.normal(0, 2, (SHAPE[0], 1))
    field[10:20, 5:25] = np.nan
    field[:, 40] = np.nan
    fit = fit_rotation(field, axes())
    assert not fit.is_weak
    assert abs(off(fit.angle_deg, 25.0)) < 3 * fit.error_deg


def test_steps_of_the_scan_count():
    """A gradient per nm: with scan steps of 1 and 2 nm the second component is half as large per pixel."""
    field = deflections(0.0, seed=4, noise=0.0)
    field[..., 1] /= 2
    assert abs(fit_rotation(field, axes(steps=(1.0, 2.0))).angle_deg) < 2


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_no_evidence(seed):
    noise = np.random.default_rng(seed).normal(size=(*SHAPE, 2))
    assert fit_rotation(noise, axes()).is_weak


@pytest.mark.parametrize("field", [np.zeros((*SHAPE, 2)), np.full((*SHAPE, 2), np.nan), deflections(0, shape=(6, 60))])
def test_nothing_to_see_is_no_evidence(field):
    assert fit_rotation(field, axes(field.shape[:2])).is_weak


def test_calibration_applies_the_rotation_it_finds():
    peaks = beams(0.3 * deflections(35.0, seed=5))
    found = calibrate_peaks(peaks, pixel_size=PIXEL, detector_rotation_deg="fit")
    angle, error = float(found.detector_rotation_deg), float(found.detector_rotation_error_deg)
    assert abs(off(angle, 35.0)) < min(2.0, 3 * error)
    given = calibrate_peaks(peaks, pixel_size=PIXEL, detector_rotation_deg=angle)
    np.testing.assert_allclose(given.qx, found.qx, atol=1e-6)
    assert np.isnan(given.detector_rotation_error_deg)
    assert float(given.detector_rotation_deg) == angle


def test_without_evidence_registration_warns_and_turns_nothing():
    peaks = beams(np.random.default_rng(6).normal(0, 0.2, (*SHAPE, 2)))
    with pytest.warns(CalibrationWarning, match="MoO3"):
        found = calibrate_peaks(peaks, pixel_size=PIXEL, detector_rotation_deg="fit")
    assert float(found.detector_rotation_deg) == 0
    assert np.isnan(found.detector_rotation_error_deg)
    np.testing.assert_array_equal(found.qx, calibrate_peaks(peaks, pixel_size=PIXEL).qx)


@pytest.mark.parametrize("angle", ["guess", 361.0, -400.0, np.inf, None, True, [30.0], np.array([30.0, 40.0])])
def test_what_is_no_angle_is_refused(angle):
    with pytest.raises(SchemaError, match=r"detector_rotation_deg = .*'fit' to find it"):
        calibrate_peaks(beams(np.zeros((2, 2, 2))), pixel_size=PIXEL, detector_rotation_deg=angle)


@pytest.mark.parametrize("origin", [None, (63.5, 63.5)])
def test_a_given_origin_has_no_deflections(origin):
    with pytest.raises(SchemaError, match="detector_rotation_deg = 'fit' needs origin='fit'"):
        calibrate_peaks(beams(np.zeros((2, 2, 2))), pixel_size=PIXEL, origin=origin, detector_rotation_deg="fit")


def ellipse_of(side, seed):
    nickel = sample_phases()[0]
    optics = Microscope(ellipticity=1.02, ellipse_angle_deg=25)
    scan = orientation_scan([nickel], shape=(side, side), microscope=optics, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return calibrate_peaks(find_peaks(scan), phase=nickel, ellipse="fit", pixel_size="fit")


def test_errors_of_the_ellipse_cover_the_truth_and_shrink_with_pixels():
    few, many = ([ellipse_of(side, seed) for seed in (1, 2, 3)] for side in (8, 18))
    for found in (*few, *many):
        assert abs(float(found.ellipse_ratio) - 1.02) < 3.5 * float(found.ellipse_ratio_error)
        assert abs(off(float(found.ellipse_angle), 25.0)) < 3.5 * float(found.ellipse_angle_error)
    for name in ("ellipse_ratio_error", "ellipse_angle_error", "scale_error"):
        assert np.mean([f[name] for f in many]) < 0.75 * np.mean([f[name] for f in few])


def test_what_was_not_fitted_has_no_error():
    found = calibrate_peaks(beams(np.zeros((6, 6, 2))), pixel_size=PIXEL, ellipse=(1.02, 10.0))
    assert np.isnan(found.ellipse_ratio_error)
    assert np.isnan(found.ellipse_angle_error)


def test_errors_of_the_origin_are_those_of_jittering_beams():
    rng, jitter, shape = np.random.default_rng(7), 0.2, (14, 16)
    true = beams(rng.normal(0, jitter, (*shape, 2)))
    gone = rng.uniform(size=shape) < 0.3
    gone[:, :4] = True  # the model is extrapolated here
    peaks = true.copy(deep=True)
    for name in ("qy", "qx", "intensity", "prominence"):
        peaks[name].values[gone, 0] = np.nan
    found = calibrate_peaks(peaks, pixel_size=PIXEL)
    error = np.stack([(found[f"origin_{d}"] - true[f"q{d}"].isel(peak=0)).values[gone] for d in "yx"], axis=-1)
    stated = found.origin_error.values / PIXEL
    assert 0.8 < np.sqrt(np.mean((error / stated[gone][:, None]) ** 2)) < 1.2
    assert stated[~gone] == pytest.approx(jitter, rel=0.15)
    assert stated[:, 0].min() > stated[~gone].max()


def test_an_origin_without_enough_beams_has_an_unknown_error():
    assert np.isnan(calibrate_peaks(beams(np.zeros((1, 1, 2))), pixel_size=PIXEL).origin_error).all()
    assert np.isnan(
        calibrate_peaks(beams(np.zeros((3, 3, 2))), pixel_size=PIXEL, origin=(63.5, 63.5)).origin_error
    ).all()
    nothing = fit_origins(np.full((2, 2, 3, 2), np.nan), np.full((2, 2, 3), np.nan), axes((2, 2)), 2.0, None)
    assert np.isnan(nothing.error).all()
    assert np.isnan(nothing.deflection).all()
