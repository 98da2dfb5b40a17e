"""Refinement: below the bank's step, with an uncertainty that means something."""

import numpy as np
import pytest

from phasekit import rotations
from phasekit.acom import _refine_kernels as kernels
from phasekit.acom import build_templates, match_orientations, refine_orientations
from phasekit.acom.refinement import _crystals
from phasekit.diffraction import diffraction_symmetry
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
    with pytest.raises(SchemaError, match="blur"):
        refine_orientations(peaks, bank, found, blur=0.0)


def test_kernels_agree_with_plain_python_and_the_rotations(known):
    truth, _, bank, _ = known
    crystal = _crystals(bank)[0][1]
    few = kernels.Crystal(crystal.g[:60].copy(), crystal.strength[:60].copy(), *crystal[2:])
    spots = kernels.Spots(np.array([0.1, 0.4]), np.array([0.3, -0.2]), np.array([1.0, 0.5]), 0.1, 0.05, 0.35)
    quaternion = truth[0]
    assert kernels.score(few, spots, quaternion) == pytest.approx(kernels.score.py_func(few, spots, quaternion))
    step = np.array([0.02, -0.01, 0.03])
    expected = rotations.multiply(quaternion, rotations.from_vector(step))
    for kernel in (kernels.turned, kernels.turned.py_func):
        np.testing.assert_allclose(kernel(quaternion, step), expected, atol=1e-12)
    v = few.g @ rotations.to_matrix(quaternion)
    np.testing.assert_allclose(kernels.sample_vectors.py_func(few.g, quaternion), v, atol=1e-12)
    from phasekit.diffraction import excitation_error, precessed_shape

    shape = precessed_shape(
        excitation_error(v, few.wave), np.hypot(v[:, 0], v[:, 1]), thickness_nm=12.0, precession_deg=1.0
    )
    np.testing.assert_allclose(kernels.intensities(few, v), few.strength * shape, rtol=1e-9)
    near = kernels.near_ewald.py_func(crystal, quaternion, 0.02)
    assert 0 < len(near.g) < len(crystal.g)
    np.testing.assert_array_equal(near.g, kernels.near_ewald(crystal, quaternion, 0.02).g)


def test_climb_finds_a_maximum(known):
    truth, peaks, bank, _ = known
    crystal = _crystals(bank)[0][1]
    row = peaks.isel(scan_y=0, scan_x=0).dropna("peak")
    y, x, counts = (row[name].values.astype(float) for name in ("qy", "qx", "intensity"))
    weight = np.hypot(y, x) * (counts / counts.sum()) ** 0.35
    spots = kernels.Spots(y, x, weight, float(counts.min() / counts.sum()), 0.015, 0.35)
    best, score = kernels.refine_one(crystal, spots, truth[0], np.radians(2), 60)
    near = kernels.near_ewald(crystal, best, np.radians(2))
    rng = np.random.default_rng(0)
    around = [kernels.score(near, spots, kernels.turned(best, rng.normal(scale=1e-3, size=3))) for _ in range(50)]
    assert max(around) <= score + 2e-4
    assert score >= kernels.score(near, spots, truth[0])
