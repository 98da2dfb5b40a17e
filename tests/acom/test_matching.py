"""Matching: the whole grid is searched, and what comes out is what the definition says."""

import numpy as np
import pytest

import phasekit as pk
from phasekit import rotations
from phasekit.acom import _candidates, _polar, build_templates, match_orientations, template_peaks
from phasekit.acom._bank import phase_banks, shells_of, usable_intensity
from phasekit.diffraction import diffraction_symmetry
from phasekit.errors import AcomStatus, SchemaError

from .patterns import CRYSTALS, as_peaks, make, simulated


@pytest.fixture(scope="module")
def bank():
    return build_templates([make("cubic"), make("orthorhombic")], resolution_deg=4, precession_deg=1, thickness_nm=12)


@pytest.fixture(scope="module")
def peaks():
    rng = np.random.default_rng(3)
    quaternions = rotations.random(6, rng)
    return simulated(make("orthorhombic"), quaternions, electrons=3000, rng=rng)


def test_correlation_is_the_normalised_product_of_polar_images(bank, peaks):
    shells = shells_of(bank)
    qy, qx, intensity = (peaks[name].values[0] for name in ("qy", "qx", "intensity"))
    terms, norm = _polar.coefficients(qy, qx, intensity, shells)
    templates = phase_banks(bank, shells)[1].terms
    curves = _polar.correlate(terms / norm[:, None, None], templates)
    n = templates.shape[2] // 2
    theta = np.radians(np.arange(0, 360, 360 / _polar.ANGLES))
    m = np.arange(_polar.FREQUENCIES)

    def image(series):  # (m, shell) -> (theta, shell)
        weights = np.where(m == 0, 1, 2)[:, None]
        return np.real(np.exp(1j * np.outer(theta, m)) @ (weights * series))

    for pattern, template, turn in ((0, 3, 0), (1, 17, 13), (4, 40, 77)):
        series = templates[..., template] + 1j * templates[..., n + template]
        first, second = image(terms[pattern]), np.roll(image(series), turn, axis=0)
        q = np.sum(first * second) / np.sqrt(np.sum(first**2) * np.sum(second**2))
        assert curves[turn, pattern, template] == pytest.approx(q, abs=2e-5)
        mirrored = np.roll(image(series)[(-np.arange(_polar.ANGLES)) % _polar.ANGLES], turn, axis=0)
        q = np.sum(first * mirrored) / np.sqrt(np.sum(first**2) * np.sum(mirrored**2))
        assert curves[turn, pattern, n + template] == pytest.approx(q, abs=2e-5)


def test_the_best_of_the_whole_grid_is_found(bank, peaks):
    shells = shells_of(bank)
    usable = usable_intensity(peaks, bank).values[0]
    terms, norm = _polar.coefficients(peaks.qy.values[0], peaks.qx.values[0], usable, shells)
    best = [
        _polar.correlate(terms / norm[:, None, None], phase.terms).max(axis=(0, 2))
        for phase in phase_banks(bank, shells)
    ]
    found = match_orientations(peaks, bank)
    np.testing.assert_array_equal(found.phase.values[0], np.argmax(best, axis=0))
    between_grid_points = found.correlation.values[0, :, 0] - np.max(best, axis=0)
    assert between_grid_points.min() > -1e-5
    assert between_grid_points.max() < 0.05


def test_compiled_and_python_kernels_agree():
    rng = np.random.default_rng(0)
    curves = rng.random((8, 10)).astype(np.float32)
    base, symmetry = rotations.random(10, rng), np.array([[1.0, 0, 0, 0]])
    results = []
    for kernel in (_candidates.pick, _candidates.pick.py_func):
        quaternions, scores = np.full((3, 4), np.nan), np.full(3, np.nan)
        kernel(curves, base, symmetry, np.cos(np.radians(5)), quaternions, scores)
        results.append((quaternions, scores))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-7)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-7)
    assert results[0][1][0] >= curves.max()
    spots = [rng.normal(size=(2, 5)) * 0.5, rng.normal(size=(2, 5)) * 0.5, rng.random((2, 5))]
    taper = np.ones(6)
    first, second = np.zeros((2, 6, 60), np.complex64), np.zeros((2, 6, 60), np.complex64)
    _polar._accumulate(first, *spots, taper)
    _polar._accumulate.py_func(second, *spots, taper)
    np.testing.assert_allclose(first, second, atol=1e-5)
    product = rng.normal(size=(6, 4, 10)).astype(np.float32)
    first, second = np.zeros((6, 2, 10), np.complex64), np.zeros((6, 2, 10), np.complex64)
    _polar._combine(product, first)
    _polar._combine.py_func(product, second)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_symmetric_cosine_agrees_with_the_labelled_twin():
    rng = np.random.default_rng(2)
    symmetry = diffraction_symmetry(make("cubic"))
    for first, second in zip(rotations.random(20, rng), rotations.random(20, rng), strict=True):
        angle = float(rotations.symmetric_angle_deg(first, second, symmetry))
        for kernel in (_candidates.symmetric_cosine, _candidates.symmetric_cosine.py_func):
            assert 2 * np.degrees(np.arccos(min(1, kernel(first, second, symmetry)))) == pytest.approx(angle, abs=1e-4)


@pytest.mark.parametrize("system", CRYSTALS)
def test_any_crystal_system_finds_its_orientations(system):
    phase, rng = make(system), np.random.default_rng(11)
    truth = rotations.random(12, rng)
    bank = build_templates([phase], resolution_deg=4, precession_deg=1, thickness_nm=12)
    peaks = simulated(phase, truth)
    found = match_orientations(peaks, bank, min_peaks=5)
    symmetry = diffraction_symmetry(phase)
    quaternion = found.quaternion.values[0]
    half_turn = rotations.about_axis([0, 0, 1], 180.0)
    error = np.min(
        [
            rotations.symmetric_angle_deg(q, truth, symmetry)
            for first in (quaternion[:, 0], quaternion[:, 1])
            for q in (first, rotations.multiply(first, half_turn))
        ],
        axis=0,
    )
    indexed = found.phase.values[0] == 0
    assert indexed.sum() >= 6
    assert np.mean(error[indexed] < 4.0) >= 0.75
    assert np.median(error[indexed]) < 2.5


def turn_peaks(peaks, phi):
    c, s = np.cos(np.radians(phi)), np.sin(np.radians(phi))
    out = peaks.copy()
    out["qx"] = (c * peaks.qx - s * peaks.qy).assign_attrs(peaks.qx.attrs)
    out["qy"] = (s * peaks.qx + c * peaks.qy).assign_attrs(peaks.qy.attrs)
    return out


@pytest.mark.parametrize("phi", [3.75, 30.0, 91.7, -140.0])
def test_turning_a_pattern_turns_the_orientation(bank, peaks, phi):
    before = match_orientations(peaks, bank)
    after = match_orientations(turn_peaks(peaks, phi), bank)
    expected = rotations.multiply(before.quaternion.values[0, :, 0], rotations.about_axis([0, 0, 1], -phi))
    symmetry = diffraction_symmetry(make("orthorhombic"))
    angle = rotations.symmetric_angle_deg(after.quaternion.values[0, :, 0], expected, symmetry)
    assert np.sum(angle < 0.5) >= 5  # the sixth may go to a neighbour in the bank that scores the same
    assert angle.max() < 4.5
    np.testing.assert_allclose(after.correlation[..., 0], before.correlation[..., 0], atol=0.005)


def test_symmetry_equivalents_give_the_same_answer(bank):
    phase, rng = make("cubic"), np.random.default_rng(8)
    symmetry = diffraction_symmetry(phase)
    truth = rotations.random(1, rng)[0]
    equivalents = rotations.multiply(symmetry, truth)
    found = match_orientations(simulated(phase, equivalents), bank)
    assert np.ptp(found.correlation.values[0, :, 0]) < 1e-5
    first = found.quaternion.values[0, :, 0]
    assert rotations.symmetric_angle_deg(first, first[0], symmetry).max() < 1e-3


def test_a_pattern_seen_from_behind_is_the_mirror_image(bank):
    peaks = template_peaks(bank, [60, 90])
    mirrored = peaks.assign(qy=(-peaks.qy).assign_attrs(peaks.qy.attrs))
    found = match_orientations(mirrored, bank, min_peaks=1)
    np.testing.assert_allclose(found.correlation[..., 0], 1, atol=2e-3)


def test_intensity_scale_does_not_matter(bank, peaks):
    bright = peaks.assign(intensity=(peaks.intensity * 1000).assign_attrs(peaks.intensity.attrs))
    first, second = match_orientations(peaks, bank), match_orientations(bright, bank)
    np.testing.assert_allclose(first.correlation, second.correlation, atol=1e-4)


def test_reliabilities_follow_their_definition(bank, peaks):
    found = match_orientations(peaks, bank, n_matches=3)
    q = found.correlation.values
    np.testing.assert_allclose(found.reliability, 100 * (1 - q[..., 1] / q[..., 0]), atol=1e-2)
    np.testing.assert_allclose(found.phase_reliability, 100 * (1 - found.other_correlation / q[..., 0]), atol=1e-2)
    assert np.all(np.diff(q, axis=-1) <= 0)
    symmetry = diffraction_symmetry(make("orthorhombic"))
    assert set(found.phase.values.ravel()) == {1}
    matches = found.quaternion.values[0]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert rotations.symmetric_angle_deg(matches[:, a], matches[:, b], symmetry).min() >= 9.99  # 2.5 steps of 4


def test_vacuum_and_few_peaks_are_not_indexed(bank):
    spots = np.array([[0.49, 0.0, 10.0], [0.0, 0.49, 10.0]])
    beam = np.array([[0.01, 0.0, 500.0]])
    found = match_orientations(as_peaks([np.empty((0, 3)), beam, spots]), bank)
    assert found.phase.values.tolist() == [[-1, -1, -1]]
    assert found.status.values.tolist() == [[AcomStatus.VACUUM, AcomStatus.VACUUM, AcomStatus.TOO_FEW_PEAKS]]
    assert np.isnan(found.quaternion.values).all()
    assert np.isnan(found.reliability.values).all()


def test_centrosymmetric_pattern_is_called_ambiguous(bank):
    qy, qx = np.array([(a / 3.52, b / 3.52) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4) if a or b]).T
    slanted = np.stack([qy, qx, np.full(len(qy), 10.0)], axis=1)  # [001] of fcc: its half turn is a symmetry
    pair = template_peaks(bank, [int(np.argmax(bank.phase.values == 1)) + 60])
    both = np.stack([pair.qy.values[0, 0], pair.qx.values[0, 0], pair.intensity.values[0, 0]], axis=1)
    both = both[np.isfinite(both[:, 0])]
    both = np.concatenate([both, both * [-1, -1, 1]])
    found = match_orientations(as_peaks([slanted, both]), bank)
    assert found.status.values[0, 0] == AcomStatus.OK
    assert found.status.values[0, 1] == AcomStatus.AMBIGUOUS_180
    assert found.reliability.values[0, 1] < 5


def test_random_peaks_are_a_poor_fit(bank):
    rng = np.random.default_rng(5)
    radius, angle = np.sqrt(rng.uniform(0.1, 2.0, (30, 40))), rng.uniform(0, 2 * np.pi, (30, 40))
    spots = np.stack([radius * np.sin(angle), radius * np.cos(angle), rng.exponential(20, (30, 40))], axis=-1)
    found = match_orientations(as_peaks(list(spots)), bank)
    weak = (found.status == AcomStatus.POOR_FIT) | (found.reliability < 15)
    assert float(weak.mean()) > 0.9


def test_any_chunking_gives_the_same_answer_and_stays_lazy(bank, peaks):
    whole = match_orientations(peaks, bank)
    lazy = match_orientations(peaks.chunk(scan_x=4, peak=7), bank)
    assert all(lazy[name].chunks is not None for name in ("quaternion", "correlation", "phase", "status"))
    done = lazy.compute()
    np.testing.assert_array_equal(done.phase, whole.phase)
    np.testing.assert_array_equal(done.status, whole.status)
    np.testing.assert_allclose(done.quaternion, whole.quaternion, atol=1e-4)
    np.testing.assert_allclose(done.correlation, whole.correlation, atol=1e-5)
    small = match_orientations(peaks, bank, memory_mb=1e-3)
    np.testing.assert_allclose(small.quaternion, whole.quaternion, atol=1e-4)


def test_input_is_untouched_and_result_survives_a_file(bank, peaks, tmp_path):
    before = peaks.copy(deep=True)
    found = match_orientations(peaks, bank)
    assert peaks.identical(before)
    again = pk.io.load(pk.io.save(found, tmp_path / "found.nc"))
    for name in found.variables:
        np.testing.assert_array_equal(again[name], found[name])
    assert "pseudo_symmetric" in again.status.attrs["flag_meanings"]


def test_wrong_input_is_refused(bank, peaks):
    in_px = peaks.assign(qx=peaks.qx.assign_attrs(units="px"), qy=peaks.qy.assign_attrs(units="px"))
    with pytest.raises(SchemaError, match=r"is in 'px', needs '1/angstrom'. Run register_peaks"):
        match_orientations(in_px, bank)
    with pytest.raises(SchemaError, match="build_templates"):
        match_orientations(peaks, peaks)
    nm = bank.assign(spot_qx=bank.spot_qx.assign_attrs(units="1/nm"))
    with pytest.raises(SchemaError, match="1/nm"):
        match_orientations(peaks, nm)
    with pytest.raises(SchemaError, match="n_matches"):
        match_orientations(peaks, bank, n_matches=0)
