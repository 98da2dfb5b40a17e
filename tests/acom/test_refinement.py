"""Refinement: below the bank's step, with an uncertainty that means something."""

import numpy as np
import pytest

from phasekit import rotations
from phasekit.acom import build_templates, match_orientations, refine_orientations
from phasekit.acom.refinement import kernels
from phasekit.acom.refinement.refine import collect_crystals
from phasekit.acom.refinement.score import compute_intensities, compute_score
from phasekit.acom.refinement.simplex import maximise_score
from phasekit.diffraction import diffraction_symmetry, excitation_error, precessed_shape
from phasekit.errors import SchemaError

from .patterns import as_peaks, make, simulated


@pytest.fixture(scope="module")
def known():
    phase, rng = make("orthorhombic"), np.random.default_rng(21)
    truth = rotations.random(30, rng)
    peaks = simulated(phase, truth, electrons=2000, rng=rng)
    bank = build_templates([make("cubic"), phase], resolution_deg=4, precession_deg=1, thickness_nm=12)
    return truth, peaks, bank, match_orientations(peaks, bank)


def folded_error(found, truth):
    symmetry = diffraction_symmetry(make("orthorhombic"))
    first = found.quaternion.values[0, :, 0]
    other = rotations.multiply(first, rotations.about_axis([0, 0, 1], 180.0))
    return np.minimum(*(rotations.symmetric_angle_deg(q, truth, symmetry) for q in (first, other)))


def test_refinement_goes_below_the_step_of_the_bank(known):
    truth, peaks, bank, found = known
    refined = refine_orientations(peaks, bank, found)
    before, after = folded_error(found, truth), folded_error(refined, truth)
    assert np.median(before) > 1
    assert np.median(after) < 0.4
    assert (refined.phase == 1).all()
    right = np.isfinite(refined.uncertainty_deg.values[0]) & (after < 3)
    ratio = after[right] / refined.uncertainty_deg.values[0][right]
    assert 0.3 < np.median(ratio) < 2.5


def test_any_chunking_gives_the_same_answer(known):
    _, peaks, bank, found = known
    few_peaks, few = peaks.isel(scan_x=slice(0, 8)), found.isel(scan_x=slice(0, 8))
    before = few.copy(deep=True)
    whole = refine_orientations(few_peaks, bank, few)
    lazy = refine_orientations(few_peaks.chunk(scan_x=3), bank, few.chunk(scan_x=3))
    assert lazy.quaternion.chunks is not None
    np.testing.assert_array_equal(lazy.quaternion.compute(), whole.quaternion)
    np.testing.assert_array_equal(lazy.uncertainty_deg.compute(), whole.uncertainty_deg)
    assert few.identical(before)


def test_turning_the_pattern_turns_the_refined_orientation(known):
    _, peaks, bank, _ = known
    few = peaks.isel(scan_x=slice(0, 6))
    phi = 33.0
    c, s = np.cos(np.radians(phi)), np.sin(np.radians(phi))
    turned = few.assign(
        qx=(c * few.qx - s * few.qy).assign_attrs(few.qx.attrs), qy=(s * few.qx + c * few.qy).assign_attrs(few.qy.attrs)
    )
    first, second = (refine_orientations(p, bank, match_orientations(p, bank)) for p in (few, turned))
    expected = rotations.multiply(first.quaternion.values[0, :, 0], rotations.about_axis([0, 0, 1], -phi))
    angle = rotations.symmetric_angle_deg(
        second.quaternion.values[0, :, 0], expected, diffraction_symmetry(make("orthorhombic"))
    )
    assert np.median(angle) < 0.1


def test_unindexed_pixels_stay_unindexed(known):
    _, _, bank, _ = known
    empty = as_peaks([np.empty((0, 3)), np.array([[0.5, 0.0, 9.0]])])
    refined = refine_orientations(empty, bank, match_orientations(empty, bank))
    assert refined.phase.values.tolist() == [[-1, -1]]
    assert refined.status.values.tolist() == [[1, 2]]
    assert np.isnan(refined.uncertainty_deg.values).all()


def test_wrong_input_is_refused(known):
    _, peaks, bank, found = known
    other = build_templates([make("cubic")], resolution_deg=8)
    with pytest.raises(SchemaError, match="different phases"):
        refine_orientations(peaks, other, found)
    with pytest.raises(SchemaError, match="scan positions"):
        refine_orientations(peaks.isel(scan_x=slice(0, 3)), bank, found)
    with pytest.raises(SchemaError, match="position_tolerance"):
        refine_orientations(peaks, bank, found, position_tolerance=0.0)


def test_kernels_agree_with_plain_python_and_the_rotations(known):
    truth, peaks, bank, _ = known
    crystals, _ = collect_crystals(bank)
    quaternion = truth[0]
    row = peaks.isel(scan_y=0, scan_x=0)
    columns = [row[name].values.astype(float) for name in ("qy", "qx", "intensity")]
    spots = kernels.make_spots(*columns, 0.02, 0.5)
    step = np.array([0.02, -0.01, 0.03])
    expected = rotations.multiply(quaternion, rotations.from_vector(step))
    for kernel in (kernels.rotate_orientation, kernels.rotate_orientation.py_func):
        np.testing.assert_allclose(kernel(quaternion, step), expected, atol=1e-12)
    np.testing.assert_allclose(kernels.make_rotation_matrix(quaternion), rotations.to_matrix(quaternion), atol=1e-12)
    excited = kernels.find_excited_reflections(crystals, 1, quaternion, 0.02, spots)
    slow = kernels.find_excited_reflections.py_func(crystals, 1, quaternion, 0.02, spots)
    np.testing.assert_array_equal(excited.x, slow.x)
    np.testing.assert_array_equal(excited.pairs, slow.pairs)
    assert 0 < len(excited.x) < crystals.first[2] - crystals.first[1]
    assert compute_score(excited, spots, quaternion, 0.02, 0.0) == pytest.approx(
        compute_score.py_func(excited, spots, quaternion, 0.02, 0.0)
    )


def test_intensities_are_those_of_the_templates(known):
    truth, peaks, bank, _ = known
    crystals, _ = collect_crystals(bank)
    row = peaks.isel(scan_y=0, scan_x=0)
    spots = kernels.make_spots(*(row[name].values.astype(float) for name in ("qy", "qx", "intensity")), 0.02, 0.5)
    excited = kernels.find_excited_reflections(crystals, 1, truth[0], 0.02, spots)
    x, y, intensity = np.empty((3, len(excited.x)), np.float32)
    total = compute_intensities(excited, rotations.to_matrix(truth[0]), x, y, intensity)
    v = np.stack([excited.x, excited.y, excited.z], axis=1) @ rotations.to_matrix(truth[0])
    shape = precessed_shape(
        excitation_error(v, excited.wavelength), np.hypot(v[:, 0], v[:, 1]), thickness_nm=12.0, precession_deg=1.0
    )
    np.testing.assert_allclose(intensity, excited.strength * shape, rtol=1e-3, atol=1e-6 * intensity.max())
    np.testing.assert_allclose(np.stack([x, y], axis=1), v[:, :2], atol=1e-6)
    assert total == pytest.approx(intensity.sum())


def test_score_knows_no_reflection_it_left_out(known):
    """A wider reach takes in more reflections and pairs, which must not matter at the orientation itself."""
    truth, peaks, bank, _ = known
    crystals, _ = collect_crystals(bank)
    row = peaks.isel(scan_y=0, scan_x=3)
    spots = kernels.make_spots(*(row[name].values.astype(float) for name in ("qy", "qx", "intensity")), 0.02, 0.5)
    narrow, wide = (kernels.find_excited_reflections(crystals, 1, truth[3], reach, spots) for reach in (0.01, 0.2))
    assert len(wide.x) > 1.5 * len(narrow.x)
    values = [compute_score(excited, spots, truth[3], 0.02, 0.0) for excited in (narrow, wide)]
    assert values[0] == pytest.approx(values[1], abs=0.02)  # the rocking curve's far tails differ


def test_the_simplex_finds_a_maximum(known):
    truth, peaks, bank, _ = known
    crystals, _ = collect_crystals(bank)
    row = peaks.isel(scan_y=0, scan_x=0)
    spots = kernels.make_spots(*(row[name].values.astype(float) for name in ("qy", "qx", "intensity")), 0.015, 0.35)
    excited = kernels.find_excited_reflections(crystals, 1, truth[0], np.radians(4), spots)
    best, score = maximise_score(excited, spots, truth[0], np.radians(2), 60, 0.015, 0.0)
    rng = np.random.default_rng(0)
    around = [
        compute_score(excited, spots, kernels.rotate_orientation(best, rng.normal(scale=1e-3, size=3)), 0.015, 0.0)
        for _ in range(50)
    ]
    assert max(around) <= score + 2e-4
    assert score >= compute_score(excited, spots, truth[0], 0.015, 0.0)


def test_without_candidates_the_matches_are_refined(known):
    truth, peaks, bank, found = known
    bare = found.drop_vars([name for name in found if name.startswith("candidate_")])
    refined = refine_orientations(peaks, bank, bare)
    assert np.median(folded_error(refined, truth)) < 0.4
    with_all = refine_orientations(peaks, bank, found)
    better = with_all.correlation.values[0, :, 0] - refined.correlation.values[0, :, 0]
    assert better.min() > -5e-3


def test_centre_and_scale_of_a_pattern_are_found(known):
    _, peaks, bank, found = known
    shifted = peaks.assign(
        qy=(peaks.qy + 0.012).assign_attrs(peaks.qy.attrs), qx=(peaks.qx - 0.008).assign_attrs(peaks.qx.attrs)
    )
    plain, fitted = (refine_orientations(shifted, bank, found, fit_centre=fit) for fit in (False, True))
    enough = fitted.centre_y.values != 0
    assert enough.mean() > 0.5
    assert np.median(fitted.centre_y.values[enough]) == pytest.approx(0.012, abs=0.004)
    assert np.median(fitted.centre_x.values[enough]) == pytest.approx(-0.008, abs=0.004)
    assert (fitted.scale_correction.values == 1).all()
    better = fitted.correlation.isel(match=0).values - plain.correlation.isel(match=0).values
    assert np.median(better[enough]) > 0
    larger = peaks.assign({name: (peaks[name] * 1.01).assign_attrs(peaks[name].attrs) for name in ("qy", "qx")})
    scaled = refine_orientations(larger, bank, found, fit_scale=True)
    assert np.median(scaled.scale_correction.values[scaled.scale_correction.values != 1]) == pytest.approx(
        1 / 1.01, abs=2e-3
    )
