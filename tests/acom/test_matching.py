"""Matching: the whole grid is searched, and what comes out is what the definition says."""

import numpy as np
import pytest

import phasekit as pk
from phasekit import rotations
from phasekit.acom import build_templates, match_orientations, simulate_peaks
from phasekit.acom.matching import candidates as _candidates
from phasekit.acom.matching import polar as _polar
from phasekit.acom.matching import search as _search
from phasekit.acom.matching.bank import find_detection_level, make_phase_banks, select_usable_intensity
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


def pattern_terms(bank, peaks):
    """Fourier terms of the patterns as match_orientations makes them, and their detection levels."""
    intensity = select_usable_intensity(peaks, bank).values[0]
    share = intensity / intensity.sum(axis=1, keepdims=True)
    shells = make_phase_banks(bank)[0].shells
    terms = _polar.compute_unit_terms(peaks.qy.values[0], peaks.qx.values[0], share**_polar.INTENSITY_POWER, shells)
    return terms, find_detection_level(intensity)


def whole_curve(cos_part, sin_part):
    """Both halves of a curve over the circle, angle by angle."""
    return np.concatenate([cos_part - sin_part, (cos_part + sin_part)[..., -2:0:-1]], axis=-1)


def test_correlation_is_the_normalised_product_of_polar_images(bank, peaks):
    terms, level = pattern_terms(bank, peaks)
    layout = make_phase_banks(bank)[1].get_layout(int(level[0]))
    n = layout.entries // 2
    templates = layout.real + 1j * layout.imag
    entries = np.broadcast_to(np.arange(2 * n), (len(terms), 2 * n))
    curves = whole_curve(*_search.compute_curves(terms, layout, entries))
    theta = np.radians(np.arange(0, 360, 360 / _polar.ANGLES))
    m = np.arange(_polar.FREQUENCIES)

    def image(series):  # (shell, m) -> (theta, shell)
        return np.real(np.exp(1j * np.outer(theta, m)) @ (np.where(m == 0, 1, 2) * series).T)

    for pattern, template, turn in ((0, 3, 0), (1, 17, 13), (4, 40, 77)):
        first, second = image(terms[pattern]), np.roll(image(templates[template]), turn, axis=0)
        q = np.sum(first * second) / np.sqrt(np.sum(first**2) * np.sum(second**2))
        assert curves[pattern, template, turn] == pytest.approx(q, abs=2e-5)
        mirrored = np.roll(image(templates[template])[(-np.arange(_polar.ANGLES)) % _polar.ANGLES], turn, axis=0)
        q = np.sum(first * mirrored) / np.sqrt(np.sum(first**2) * np.sum(mirrored**2))
        assert curves[pattern, n + template, turn] == pytest.approx(q, abs=2e-5)


def test_coarse_stage_is_the_maximum_of_the_low_frequencies(bank, peaks):
    terms, level = pattern_terms(bank, peaks)
    layout = make_phase_banks(bank)[0].get_layout(int(level[0]))
    low = terms[:, :, : _search.COARSE_FREQUENCIES]
    template = (layout.real + 1j * layout.imag)[:, :, : _search.COARSE_FREQUENCIES]
    angle = 2 * np.pi * np.arange(_search.COARSE_ANGLES) / _search.COARSE_ANGLES
    m = np.arange(_search.COARSE_FREQUENCIES)
    turn = np.exp(1j * np.outer(angle, m)) * np.where(m == 0, 1, 2)
    spectra = [np.einsum("bsm,tsm->btm", low, t) for t in (template.conj(), template)]
    expected = np.concatenate([np.real(one @ turn.T).max(axis=-1) for one in spectra], axis=1)
    np.testing.assert_allclose(_search.compute_coarse_maxima(terms, layout), expected, atol=1e-5)


@pytest.mark.parametrize("dose", [40, 200, 20000])
@pytest.mark.parametrize("resolution", [2, 4])
def test_fast_search_finds_the_best_of_the_whole_grid(dose, resolution):
    """The fast search may drop an entry only if it is not the best: 200 patterns of 3 spots or more each."""
    rng = np.random.default_rng(dose + resolution)
    phases = [make("cubic"), make("orthorhombic")]
    bank = build_templates(phases, resolution_deg=resolution, precession_deg=1, thickness_nm=12)
    peaks = [simulated(p, rotations.random(100, rng), electrons=dose, rng=rng) for p in phases]
    for some in peaks:
        fast, full = (match_orientations(some, bank, min_peaks=3, search=how) for how in ("fast", "full"))
        np.testing.assert_array_equal(fast.phase, full.phase)
        lost = full.correlation.isel(match=0) - fast.correlation.isel(match=0)
        assert float(lost.max()) < 1e-6
        second = (full.correlation.isel(match=1) - fast.correlation.isel(match=1)) > 1e-6
        assert float(second.mean()) <= 0.01


def test_torch_gives_the_same_coarse_stage(bank, peaks):
    pytest.importorskip("torch")
    terms, _ = pattern_terms(bank, peaks)
    plain, torched = (make_phase_banks(bank, device)[1].get_layout(1) for device in (None, "cpu"))
    np.testing.assert_allclose(
        _search.compute_coarse_maxima(terms, torched, "cpu"), _search.compute_coarse_maxima(terms, plain), atol=1e-5
    )
    with pytest.raises(SchemaError, match=r"device = 'cuda:77' is not there"):
        match_orientations(peaks, bank, device="cuda:77")


def test_compiled_and_python_kernels_agree():
    rng = np.random.default_rng(0)
    cos_part, sin_part = rng.random((2, 5, 9)).astype(np.float32), rng.random((2, 5, 9)).astype(np.float32)
    sin_part[..., [0, -1]] = 0
    entries = rng.integers(0, 10, (2, 5))
    quaternions_at_zero, symmetry = rotations.random(10, rng), np.array([[1.0, 0, 0, 0]])
    results = []
    for kernel in (_candidates.select_candidates, _candidates.select_candidates.py_func):
        quaternions, scores = np.full((2, 3, 4), np.nan), np.full((2, 3), np.nan)
        kernel(cos_part, sin_part, entries, quaternions_at_zero, symmetry, np.cos(np.radians(5)), quaternions, scores)
        results.append((quaternions, scores))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-5)
    assert np.all(results[0][1][:, 0] >= whole_curve(cos_part, sin_part).max(axis=(1, 2)) - 1e-6)
    spots = [rng.normal(size=(2, 5)) * 0.5, rng.normal(size=(2, 5)) * 0.5, rng.random((2, 5))]
    taper = np.ones(6)
    first, second = np.zeros((2, 60, 6), np.complex64), np.zeros((2, 60, 6), np.complex64)
    _polar._add_spots(first, *spots, taper)
    _polar._add_spots.py_func(second, *spots, taper)
    np.testing.assert_allclose(first, second, atol=1e-5)
    over_cosine, over_sine = (rng.normal(size=(5, 2, 3, 7)).astype(np.float32) for _ in range(2))
    first, second = np.empty((2, 3, 7), np.float32), np.empty((2, 3, 7), np.float32)
    _search._find_highest(over_cosine, over_sine, first)
    _search._find_highest.py_func(over_cosine, over_sine, second)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_symmetric_cosine_agrees_with_the_labelled_twin():
    rng = np.random.default_rng(2)
    symmetry = diffraction_symmetry(make("cubic"))
    for first, second in zip(rotations.random(20, rng), rotations.random(20, rng), strict=True):
        angle = float(rotations.symmetric_angle_deg(first, second, symmetry))
        for kernel in (_candidates.compute_symmetric_cosine, _candidates.compute_symmetric_cosine.py_func):
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
    assert np.sum(angle < 0.5) >= 5  # the sixth may go to another solution that scores the same
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
    peaks = simulate_peaks(bank, [60, 90])
    mirrored = peaks.assign(qy=(-peaks.qy).assign_attrs(peaks.qy.attrs))
    found, plain = (match_orientations(some, bank, min_peaks=1) for some in (mirrored, peaks))
    np.testing.assert_allclose(found.correlation[..., 0], plain.correlation[..., 0], atol=2e-3)
    assert float(found.correlation[..., 0].min()) > 0.95  # not 1: its faintest spots weigh less in the template


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
    spots = np.array([[0.49, 0.0, 10.0]])
    beam = np.array([[0.01, 0.0, 500.0]])
    found = match_orientations(as_peaks([np.empty((0, 3)), beam, spots]), bank)
    assert found.phase.values.tolist() == [[-1, -1, -1]]
    assert found.status.values.tolist() == [[AcomStatus.VACUUM, AcomStatus.VACUUM, AcomStatus.TOO_FEW_PEAKS]]
    assert np.isnan(found.quaternion.values).all()
    assert np.isnan(found.reliability.values).all()


def test_centrosymmetric_pattern_is_called_ambiguous(bank):
    qy, qx = np.array([(a / 3.52, b / 3.52) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4) if a or b]).T
    slanted = np.stack([qy, qx, np.full(len(qy), 10.0)], axis=1)  # [001] of fcc: its half turn is a symmetry
    pair = simulate_peaks(bank, [int(np.argmax(bank.phase.values == 1)) + 60])
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
    with pytest.raises(SchemaError, match=r"is in 'px', needs '1/angstrom'. Run calibrate_peaks"):
        match_orientations(in_px, bank)
    with pytest.raises(SchemaError, match="build_templates"):
        match_orientations(peaks, peaks)
    nm = bank.assign(spot_qx=bank.spot_qx.assign_attrs(units="1/nm"))
    with pytest.raises(SchemaError, match="1/nm"):
        match_orientations(peaks, nm)
    with pytest.raises(SchemaError, match="n_matches"):
        match_orientations(peaks, bank, n_matches=0)
