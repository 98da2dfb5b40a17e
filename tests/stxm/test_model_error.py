"""What references lack: found, told from noise, and corrected only where that holds elsewhere."""

import numpy as np
import pytest
from scipy import ndimage

from phasekit.stxm.reference_spectra.model_error import compute_largest_tolerance, fit_model_error

ENERGY = np.linspace(505, 530, 60)


def _references():
    def line(centre, width):
        return np.exp(-((ENERGY - centre) ** 2) / (2 * width**2))

    step = 1 / (1 + np.exp(-(ENERGY - 517)))
    return np.array([step + 2 * line(517, 1.0), step + 1.6 * line(519, 1.4) + 0.4 * line(516, 1)])


def _blocks(noise, n=80):
    """Means (block, energy) of pure and mixed blocks of the exact references, and their standard errors."""
    rng = np.random.default_rng(0)
    amounts = rng.uniform(0.2, 1.0, (n, 2)) * (rng.random((n, 2)) > 0.3)
    amounts[:, 0] += 0.5 * (amounts.sum(axis=1) == 0)
    means = amounts @ _references() + rng.uniform(0, 0.5, (n, 1)) + rng.normal(0, noise, (n, ENERGY.size))
    return means, np.full(means.shape, noise)


def test_exact_references_lack_nothing():
    found = fit_model_error(_references(), *_blocks(0.01))
    assert found.relative < 0.01
    assert np.abs(found.correction).max() < 0.01


def test_a_common_error_is_corrected_and_what_is_left_is_small():
    smooth = ndimage.gaussian_filter1d(np.random.default_rng(1).normal(size=(2, ENERGY.size)), 2.0, axis=1)
    wrong = _references() * 1.0
    wrong += 0.05 * wrong.std(axis=1, keepdims=True) * smooth / smooth.std(axis=1, keepdims=True)
    found = fit_model_error(wrong, *_blocks(0.003))
    span = np.linalg.qr(np.vstack([wrong, np.ones_like(ENERGY)]).T)[0]
    before, after = wrong - _references(), found.correction + wrong - _references()
    before, after = (rows - (rows @ span) @ span.T for rows in (before, after))
    assert after.std() < 0.4 * before.std()
    assert found.relative < 0.03


def test_a_misfit_that_differs_from_place_to_place_is_no_fault_of_the_references():
    means, errors = _blocks(0.003)
    means += 0.1 * ndimage.gaussian_filter1d(np.random.default_rng(2).normal(size=means.shape), 2.0, axis=1)
    found = fit_model_error(_references(), means, errors)
    assert (found.correction == 0).all()
    assert found.relative > 0.02
    assert 3 < found.correlated_energies < 15


@pytest.mark.parametrize("correlation", [0.985, 0.999])
def test_the_tolerance_is_half_the_distance_of_the_nearest_references(correlation):
    angle = np.linspace(0, 2 * np.pi, 41)[:-1]
    spectra = np.array([np.sin(angle), correlation * np.sin(angle) + np.sqrt(1 - correlation**2) * np.cos(angle)])
    assert compute_largest_tolerance(spectra) == pytest.approx(0.5 * np.sqrt(2 * (1 - correlation)), rel=1e-6)
    assert compute_largest_tolerance(spectra[:1]) == 0.0
    assert compute_largest_tolerance(np.array([np.sin(angle), np.cos(angle)])) == 0.1


def test_another_material_is_no_inexact_reference():
    """A misfit of the whole field is tolerated up to a tenth of the contrast, however unlike the references are."""
    means, errors = _blocks(0.003)
    found = fit_model_error(_references(), -means, errors)
    assert found.relative <= 0.1
    assert np.isfinite(found.correction).all()


def test_lost_energies_change_neither_misfit_nor_correlation():
    means, errors = _blocks(0.003)
    means += 0.1 * ndimage.gaussian_filter1d(np.random.default_rng(2).normal(size=means.shape), 2.0, axis=1)
    whole = fit_model_error(_references(), means, errors)
    means[3, 20], errors[3, 20] = 0.0, np.inf
    means[:40, 7], errors[:40, 7] = 0.0, np.inf
    found = fit_model_error(_references(), means, errors)
    assert found.relative == pytest.approx(whole.relative, rel=0.05)
    assert found.correlated_energies == pytest.approx(whole.correlated_energies, rel=0.1)
