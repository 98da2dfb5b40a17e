"""The second grain of an overlap is found by what the first leaves unexplained."""

import numpy as np
import pytest

from phasekit import rotations
from phasekit.acom import build_templates, match_orientations, match_second_grain, refine_orientations
from phasekit.diffraction import diffraction_symmetry, reflections
from phasekit.errors import SchemaError

from .patterns import BEAM, as_peaks, make, simulate_spots, thinned

N = 12


@pytest.fixture(scope="module")
def overlaps():
    """Patterns of one orthorhombic grain, then patterns with a cubic grain of two fifths of the electrons on top."""
    rng = np.random.default_rng(12)
    phases = [make("cubic"), make("orthorhombic")]
    tables = [reflections(phase, 1.5) for phase in phases]
    first, second = rotations.random(N, rng), rotations.random(N, rng)
    alone = [thinned(simulate_spots(tables[1], q, BEAM), 3000, rng) for q in first]
    both = [
        np.concatenate([s, thinned(simulate_spots(tables[0], q, BEAM), 2000, rng)])
        for s, q in zip(alone, second, strict=True)
    ]
    bank = build_templates(phases, resolution_deg=3, precession_deg=1, thickness_nm=12)
    peaks = as_peaks([*alone, *both])
    found = refine_orientations(peaks, bank, match_orientations(peaks, bank))
    return first, second, peaks, bank, found


def error(quaternion, truth, system):
    symmetry = diffraction_symmetry(make(system))
    turned = rotations.multiply(quaternion, rotations.about_axis([0, 0, 1], 180.0))
    return np.minimum(*(rotations.symmetric_angle_deg(q, truth, symmetry) for q in (quaternion, turned)))


def test_both_grains_are_found_and_no_third(overlaps):
    first, second, peaks, bank, found = overlaps
    out = match_second_grain(peaks, bank, found)
    phase, other = found.phase.values[0], out.second_phase.values[0]
    assert np.mean(other[:N] == -1) >= 0.9
    assert np.nanmax(out.unexplained.values[0, :N]) < 0.2
    pairs = list(zip(phase[N:], other[N:], strict=True))
    assert np.mean([set(pair) == {0, 1} for pair in pairs]) >= 0.75
    right = []
    for k, (a, b) in enumerate(pairs):
        known = {a: found.quaternion.values[0, N + k, 0], b: out.second_quaternion.values[0, N + k]}
        right.append({0, 1} <= set(known) and error(known[0], second[k], "cubic") < 5)
        right[-1] = bool(right[-1] and error(known[1], first[k], "orthorhombic") < 5)
    assert np.mean(right) >= 0.6


def test_any_chunking_gives_the_same_and_input_is_untouched(overlaps):
    _, _, peaks, bank, found = overlaps
    before = found.copy(deep=True)
    whole = match_second_grain(peaks, bank, found)
    lazy = match_second_grain(peaks.chunk(scan_x=5), bank, found.chunk(scan_x=5))
    assert lazy.second_quaternion.chunks is not None
    np.testing.assert_array_equal(lazy.second_phase.compute(), whole.second_phase)
    np.testing.assert_allclose(lazy.second_quaternion.compute(), whole.second_quaternion, atol=1e-6)
    assert found.identical(before)


def test_vacuum_and_empty_scans_have_no_second_grain(overlaps):
    _, _, _, bank, _ = overlaps
    empty = as_peaks([np.empty((0, 3)), np.array([[0.5, 0.0, 9.0]])])
    found = refine_orientations(empty, bank, match_orientations(empty, bank))
    out = match_second_grain(empty, bank, found)
    assert (out.second_phase == -1).all()
    assert np.isnan(out.unexplained).all()


def test_wrong_settings_are_refused(overlaps):
    _, _, peaks, bank, found = overlaps
    with pytest.raises(SchemaError, match="tolerance"):
        match_second_grain(peaks, bank, found, tolerance=0)
    with pytest.raises(SchemaError, match="match_orientations"):
        match_second_grain(peaks, bank, peaks)
