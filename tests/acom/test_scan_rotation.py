"""Rotation between scan and detector from deflections; errors of the ellipse."""

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from phasekit.acom import CalibrationWarning, find_peaks, register_peaks
from phasekit.acom._scan_rotation import fit_rotation
from phasekit.errors import SchemaError
from phasekit.synthetic import Microscope, Specimen, orientation_scan
from phasekit.synthetic.structures import sample_phases


def deflections(angle_deg, *, noise, shape=(30, 34), seed=1):
    """A gradient field in the scan frame as a detector turned by -angle shows it: (y, x, 2)."""
    rng = np.random.default_rng(seed)
    potential = gaussian_filter(rng.normal(size=shape), 3)
    v_y, v_x = np.gradient(potential)
    a = np.deg2rad(angle_deg)
    u = np.stack([v_y * np.cos(a) - v_x * np.sin(a), v_x * np.cos(a) + v_y * np.sin(a)], axis=-1)
    u /= u.std()
    return u + rng.normal(scale=noise, size=u.shape)


@pytest.mark.parametrize("angle", [-80.0, -30.0, 0.0, 17.0, 65.0, 90.0])
def test_rotation_of_a_gradient_field(angle):
    found, error, left = fit_rotation(deflections(angle, noise=0.1))
    off = abs((found - angle + 90) % 180 - 90)
    assert off < 2
    assert off < 4 * error
    assert error < 3
    assert left < 0.3


def test_positions_without_a_beam_and_outliers_do_not_matter():
    field = deflections(25.0, noise=0.05)
    field[::7, ::5] = np.nan
    field[3, 4] = 80.0
    found, error, _ = fit_rotation(field)
    assert abs(found - 25) < 2
    assert error < 3


def peaks_at(origins):
    """PEAKS in px with a direct beam at (y, x) of ``origins`` and a weaker spot beside it."""
    dims, scan = ("scan_y", "scan_x", "peak"), ("scan_y", "scan_x")
    shape = origins.shape[:2]
    axes = [np.stack([origins[..., k], origins[..., k] + far], axis=-1) for k, far in ((0, 3.0), (1, 30.0))]
    spots = {n: (dims, a, {"units": "px"}) for n, a in zip(("qy", "qx"), axes, strict=True)}
    heights = {n: (dims, np.broadcast_to([900.0, 50.0], (*shape, 2))) for n in ("intensity", "prominence")}
    maps = {n: (scan, np.zeros(shape)) for n in ("noise", "min_prominence", "count", "status")}
    return xr.Dataset({**spots, **heights, **maps})


def test_register_peaks_turns_by_the_fitted_angle():
    peaks = peaks_at(64 + 0.3 * deflections(20.0, noise=0.05))
    done = register_peaks(peaks, pixel_size=0.02, detector_rotation_deg="fit")
    assert float(done.detector_rotation_deg) == pytest.approx(20, abs=2)
    assert 0 < float(done.detector_rotation_error_deg) < 3
    given = register_peaks(peaks, pixel_size=0.02, detector_rotation_deg=float(done.detector_rotation_deg))
    np.testing.assert_allclose(given.qx, done.qx, atol=1e-6)
    assert np.isnan(given.detector_rotation_error_deg)


def test_noise_tells_no_rotation():
    peaks = peaks_at(64 + 0.3 * np.random.default_rng(4).normal(size=(20, 20, 2)))
    with pytest.warns(CalibrationWarning, match="tell no rotation"):
        done = register_peaks(peaks, pixel_size=0.02, detector_rotation_deg="fit")
    assert float(done.detector_rotation_deg) == 0
    assert np.isnan(done.detector_rotation_error_deg)


@pytest.mark.parametrize("settings", [{"detector_rotation_deg": "guess"}, {"origin": None}])
def test_what_has_no_meaning_is_refused(settings):
    with pytest.raises(SchemaError, match="detector_rotation_deg"):
        register_peaks(
            peaks_at(np.full((5, 5, 2), 64.0)), pixel_size=0.02, **{"detector_rotation_deg": "fit", **settings}
        )


@pytest.mark.parametrize("side", [6, 14])
def test_errors_of_the_ellipse_cover_the_truth(side):
    nickel = sample_phases()[:1]
    optics = Microscope(ellipticity=1.02, ellipse_angle_deg=25.0)
    scan = orientation_scan(nickel, shape=(side, side), specimen=Specimen(n_grains=side), microscope=optics, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        done = register_peaks(find_peaks(scan), phase=nickel, ellipse="fit", pixel_size="fit")
    ratio, angle = float(done.ellipse_ratio_error), float(done.ellipse_angle_error)
    assert abs(float(done.ellipse_ratio) - 1.02) < 4 * ratio
    assert abs(float(done.ellipse_angle) - 25) < 4 * angle
    assert ratio < 0.01 * 6 / side
    assert np.isnan(register_peaks(find_peaks(scan), phase=nickel).ellipse_ratio_error)
