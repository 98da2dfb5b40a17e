"""calibrate_peaks and calibrate: origin, ellipse, scale, rotation, and wrong calibrations that are said to be wrong."""

import dask
import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.acom import CalibrationWarning, calibrate, calibrate_peaks
from phasekit.crystals import crystal
from phasekit.errors import SchemaError
from phasekit.synthetic.structures import sample_phases
from tests.acom.spots import as_patterns

SIZE, PIXEL = 128, 0.0125
NICKEL = (3.524,) * 3 + (90.0,) * 3


@pytest.fixture(scope="module")
def nickel():
    return crystal("Ni", 225, NICKEL, [("Ni", 0, 0, 0)])


def zone_vectors(rng):
    """(y, x) [1/angstrom] of the allowed reflections of a nickel zone axis, turned by a random angle."""
    zone = np.array([(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 1, 2), (0, 1, 3)][rng.integers(5)])
    grid = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    parity = grid % 2
    grid = grid[(grid @ zone == 0) & (parity == parity[:, :1]).all(axis=1) & grid.any(axis=1)]
    e1 = np.cross(zone, (1.0, 0.3, 0.0))
    e1 /= np.linalg.norm(e1)
    flat = grid @ np.stack([e1, np.cross(zone / np.linalg.norm(zone), e1)]).T / NICKEL[0]
    turn = rng.uniform(0, 2 * np.pi)
    flat = flat @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return flat[np.linalg.norm(flat, axis=1) < 0.75]


def measured(seed, shape=(8, 9), *, pixel=PIXEL, matrix=None, drift=2.0, noise=0.1, blank=0.1):
    """PEAKS in px of random zone axes, their origins (y, x), and the vectors [1/angstrom] that were drawn."""
    rng, matrix = np.random.default_rng(seed), np.eye(2) if matrix is None else matrix
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    surface = np.stack([drift * (y - 0.5 * x * x), drift * (0.7 * x + 0.4 * y * x)], axis=-1)
    origin = (SIZE - 1) / 2 + np.array([3.0, -2.0]) + surface
    table = np.full((4, *shape, 60), np.nan)
    true = np.full((2, *shape, 60), np.nan)
    for at in np.ndindex(shape):
        vectors = np.concatenate([[(0.0, 0.0)], zone_vectors(rng)])
        intensity = np.concatenate([[1000.0], rng.exponential(60, len(vectors) - 1)])
        if rng.uniform() < blank:  # a thick grain: the direct beam is weaker than a reflection, or missing
            intensity[0] = rng.choice([30.0, np.nan])
        pixels = origin[at] + vectors @ matrix.T / pixel + rng.normal(0, noise, vectors.shape)
        n = len(vectors)
        table[:, *at, :n] = [*pixels.T, intensity, intensity]
        table[:, *at, :n] = np.where(np.isfinite(intensity), table[:, *at, :n], np.nan)
        true[:, *at, :n] = vectors.T
    return as_peaks(table), origin, true


def as_peaks(table, *, unit="px"):
    """PEAKS from an array (qy qx intensity prominence, scan_y, scan_x, peak)."""
    dims = ("scan_y", "scan_x", "peak")
    out = xr.Dataset({n: (dims, table[i]) for i, n in enumerate(("qy", "qx", "intensity", "prominence"))})
    for name in ("qy", "qx"):
        out[name].attrs["units"] = unit
    for name in ("noise", "min_prominence", "count", "status"):
        out[name] = (dims[:2], np.zeros(table.shape[1:3]))
    out["count"] = np.isfinite(out.qx).sum("peak")
    out["disk_radius"] = xr.DataArray(2.5 * (1 if unit == "px" else PIXEL), attrs={"units": unit})
    for dim in dims[:2]:
        out[dim] = (dim, np.arange(out.sizes[dim]) * 10.0, {"units": "nm"})
    attrs = {"detector_shape": [SIZE, SIZE], "detector_start": [0.0, 0.0], "detector_step": [1.0, 1.0]}
    return out.assign_attrs(attrs if unit == "px" else {})


def off(found, true):
    """Distances [1/angstrom] between registered and drawn vectors."""
    return np.hypot(found.qy.values - true[0], found.qx.values - true[1])


def test_origin_follows_the_drift_and_ignores_outliers():
    peaks, origin, true = measured(1)
    found = calibrate_peaks(peaks, pixel_size=PIXEL)
    error = np.hypot(found.origin_y - origin[..., 0], found.origin_x - origin[..., 1])
    assert float(error.max()) < 0.6  # a wrong reflection would be 12 px away; beam noise is 0.1 px per axis
    assert float(np.sqrt((error**2).mean())) < 0.2
    assert np.nanmax(off(found, true)) < 0.02
    assert found.qx.attrs["units"] == found.qy.attrs["units"] == "1/angstrom"


def test_direct_beam_is_marked_where_there_is_one():
    peaks, _, _ = measured(2)
    found = calibrate_peaks(peaks, pixel_size=PIXEL)
    there = np.isfinite(peaks.qx.values[..., 0])
    assert not there.all()
    np.testing.assert_array_equal(found.direct.values[..., 0], there)
    assert not found.direct.values[..., 1:].any()


def test_patterns_without_a_peak_stay_empty_in_their_place():
    peaks, origin, _ = measured(3)
    gap = peaks.copy(deep=True)
    for name in ("qy", "qx", "intensity", "prominence"):
        gap[name][2, 3] = np.nan
    found = calibrate_peaks(gap, pixel_size=PIXEL)
    assert not np.isfinite(found.qx[2, 3]).any()
    assert float(found.origin_y[2, 3]) == pytest.approx(origin[2, 3, 0], abs=0.3)
    others = calibrate_peaks(peaks, pixel_size=PIXEL)
    np.testing.assert_allclose(found.qx[5], others.qx[5], atol=1e-3)


def test_a_given_origin_is_taken():
    peaks, _, _ = measured(4, drift=0.0)
    given = calibrate_peaks(peaks, pixel_size=PIXEL, origin=(66.5, 61.5))
    assert set(np.unique(given.origin_y)) == {66.5}
    np.testing.assert_allclose(given.qx, (peaks.qx - 61.5) * PIXEL, atol=1e-5)
    centred = calibrate_peaks(given, origin=None)
    np.testing.assert_allclose(centred.qx, given.qx, atol=1e-6)
    np.testing.assert_array_equal(centred.direct, given.direct)


@pytest.mark.parametrize("error", [1.0, 0.95, 1.04])
def test_scale_from_the_phase_alone(nickel, error):
    peaks, _, true = measured(5, pixel=PIXEL * error)
    found = calibrate_peaks(peaks, phase=nickel)
    assert float(found.scale) == pytest.approx(PIXEL * error, rel=1e-3)
    assert abs(float(found.scale) / (PIXEL * error) - 1) < 5 * float(found.scale_error) / PIXEL + 3e-4
    assert np.nanmedian(off(found, true)) < 0.003


def test_a_wrong_scale_is_reported_and_can_be_corrected(nickel):
    peaks, _, true = measured(6, pixel=PIXEL * 1.02)
    with pytest.warns(CalibrationWarning, match=r"scale \+2.0 %"):
        found = calibrate_peaks(peaks, phase=nickel, pixel_size=PIXEL)
    assert float(found.scale) == PIXEL
    assert float(found.scale_offset) == pytest.approx(0.02, abs=1e-3)
    corrected = calibrate_peaks(found, phase=nickel, pixel_size="fit", origin=None)
    assert np.nanmedian(off(corrected, true)) < 0.003
    assert float(corrected.radial_misfit) < float(found.radial_misfit)


def test_calibrated_peaks_keep_their_scale(nickel):
    peaks, _, _ = measured(7)
    once = calibrate_peaks(peaks, pixel_size=PIXEL)
    again = calibrate_peaks(once, phase=nickel)
    np.testing.assert_allclose(again.qx, once.qx, atol=1e-5)
    assert abs(float(again.scale_offset)) < 2e-3
    assert float(again.radial_match) > 0.8


def test_a_wrong_phase_is_reported():
    peaks, _, _ = measured(8)
    other = crystal("fcc 5 A", 225, (5.07,) * 3 + (90.0,) * 3, [("Au", 0, 0, 0)])
    with pytest.warns(CalibrationWarning, match="calibrate_peaks"):
        calibrate_peaks(peaks, pixel_size=PIXEL, phase=other)


@pytest.mark.parametrize(("ratio", "angle"), [(1.02, 30.0), (1.04, -65.0)])
def test_ellipse_is_fitted_and_undone(nickel, ratio, angle):
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    axes = np.array([[s, c], [c, -s]])  # major and minor axis as (y, x)
    oval = axes @ np.diag([ratio**0.5, ratio**-0.5]) @ axes.T
    peaks, _, true = measured(9, matrix=oval)
    found = calibrate_peaks(peaks, phase=nickel, pixel_size=PIXEL, ellipse="fit")
    assert float(found.ellipse_ratio) == pytest.approx(ratio, abs=2e-3)
    assert (float(found.ellipse_angle) - angle + 90) % 180 - 90 == pytest.approx(0, abs=3)
    assert np.nanmedian(off(found, true)) < 0.003
    given = calibrate_peaks(peaks, pixel_size=PIXEL, ellipse=(ratio, angle))
    assert np.nanmedian(off(given, true)) < 0.003
    round_one = calibrate_peaks(peaks, pixel_size=PIXEL)
    assert np.nanmedian(off(round_one, true)) > 1.5 * np.nanmedian(off(given, true))


def test_rotation_turns_from_x_towards_y():
    peaks, _, _ = measured(10)
    plain = calibrate_peaks(peaks, pixel_size=PIXEL)
    turned = calibrate_peaks(peaks, pixel_size=PIXEL, detector_rotation_deg=90.0)
    np.testing.assert_allclose(turned.qy, plain.qx, atol=1e-6)
    np.testing.assert_allclose(turned.qx, -plain.qy, atol=1e-6)
    np.testing.assert_allclose(np.hypot(turned.qy, turned.qx), np.hypot(plain.qy, plain.qx), atol=1e-6)


def test_lazy_stays_lazy_and_chunks_do_not_matter(nickel):
    peaks, _, _ = measured(11)
    eager = calibrate_peaks(peaks, phase=nickel)
    for chunks in ({"scan_y": 3}, {"scan_x": 2, "peak": 17}):
        lazy = calibrate_peaks(peaks.chunk(chunks), phase=nickel)
        assert dask.is_dask_collection(lazy.qx.data)
        assert dask.is_dask_collection(lazy.scale.data)
        xr.testing.assert_identical(lazy.compute(), eager)


def test_input_is_untouched_and_netcdf_keeps_everything(tmp_path):
    peaks, _, _ = measured(12)
    before = peaks.copy(deep=True)
    found = calibrate_peaks(peaks, pixel_size=PIXEL)
    xr.testing.assert_identical(peaks, before)
    found.to_netcdf(tmp_path / "peaks.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "peaks.nc", engine="h5netcdf") as again:
        xr.testing.assert_equal(again.load(), found)
        assert again.direct.dtype == bool


def test_a_scan_of_one_pattern():
    peaks, origin, _ = measured(13, shape=(1, 1), blank=0.0)
    found = calibrate_peaks(peaks, pixel_size=PIXEL)
    assert float(found.origin_y[0, 0]) == pytest.approx(origin[0, 0, 0], abs=0.5)


def test_a_scan_without_any_peak_is_empty_not_wrong():
    empty = as_peaks(np.full((4, 3, 3, 5), np.nan))
    found = calibrate_peaks(empty, pixel_size=PIXEL)
    assert not np.isfinite(found.qx).any()
    assert not found.direct.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "pixel_size"),
        ({"pixel_size": "fit"}, "without a phase"),
        ({"pixel_size": PIXEL, "ellipse": "fit"}, "without a phase"),
        ({"pixel_size": -1.0}, "positive"),
        ({"pixel_size": PIXEL, "ellipse": (3.0, 0.0)}, "ellipse"),
        ({"pixel_size": PIXEL, "origin": "centre"}, "needs 'fit', None or a pair of numbers"),
        ({"pixel_size": PIXEL, "origin": np.array([63.5, np.nan])}, "needs 'fit', None or a pair of numbers"),
        ({"pixel_size": PIXEL, "detector_rotation_deg": float("nan")}, "detector_rotation_deg = nan, needs a number"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_cure(settings, message):
    with pytest.raises(SchemaError, match=message):
        calibrate_peaks(measured(15, (2, 2))[0], **settings)


def test_a_pixel_size_for_calibrated_peaks_is_refused():
    once = calibrate_peaks(measured(16, (2, 2))[0], pixel_size=PIXEL)
    with pytest.raises(SchemaError, match="already"):
        calibrate_peaks(once, pixel_size=PIXEL)
    with pytest.raises(SchemaError, match="already"):
        calibrate(once, pixel_size=PIXEL)


def test_units_must_be_known_and_alike():
    peaks = measured(17, (2, 2))[0]
    peaks["qx"].attrs["units"] = "1/angstrom"
    with pytest.raises(SchemaError, match="both alike"):
        calibrate_peaks(peaks, pixel_size=PIXEL)


def test_calibrate_sets_the_scale_of_patterns_about_their_middle():
    patterns = as_patterns(np.ones((2, 2, 16, 21)))
    done = calibrate(patterns.chunk(), pixel_size=0.02)
    assert dask.is_dask_collection(done.intensity.data)
    np.testing.assert_allclose(done.qy, (np.arange(16) - 7.5) * 0.02)
    assert float(done.qx[10]) == 0.0
    assert done.qx.attrs["units"] == "1/angstrom"
    with pytest.raises(SchemaError, match="positive"):
        calibrate(patterns, pixel_size=0.0)


def test_calibrate_on_peaks_is_registration():
    peaks, _, _ = measured(18, (3, 3))
    xr.testing.assert_identical(calibrate(peaks, pixel_size=PIXEL), calibrate_peaks(peaks, pixel_size=PIXEL))


@pytest.mark.parametrize("seed", [1, 3])
def test_a_right_calibration_is_not_doubted_because_rings_are_dense(seed):
    """LiFePO4 has a ring near every length: its rings cannot contradict a scale, and say so when asked for one."""
    nickel, olivine = sample_phases()
    scan = pk.synthetic.orientation_scan([nickel, olivine], shape=(8, 10), electrons=2000, seed=seed)
    peaks = pk.acom.find_peaks(scan)
    both = pk.acom.calibrate_peaks(peaks, phase=[nickel, olivine])
    assert np.isnan(float(both["scale_offset"]))
    with pytest.warns(CalibrationWarning, match="so dense"):
        pk.acom.calibrate_peaks(peaks, phase=olivine, pixel_size="fit")


def test_a_sparse_phase_still_finds_the_wrong_scale():
    nickel = sample_phases()[0]
    scan = pk.synthetic.orientation_scan([nickel], shape=(8, 10), electrons=2000, seed=5)
    wrong = scan.assign_coords({name: 1.03 * scan[name] for name in ("qy", "qx")})
    wrong["qy"].attrs["units"] = wrong["qx"].attrs["units"] = "1/angstrom"
    with pytest.warns(CalibrationWarning, match="scale -"):
        found = pk.acom.calibrate_peaks(pk.acom.find_peaks(wrong), phase=nickel)
    assert float(found["scale_offset"]) == pytest.approx(1 / 1.03 - 1, abs=0.005)
