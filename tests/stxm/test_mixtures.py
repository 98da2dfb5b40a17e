import numpy as np
import pytest

from phasekit.stxm.library import _library
from phasekit.stxm.mixtures import _posterior, _state_chi_square, _states, _surroundings
from phasekit.stxm.nonnegative import _nonnegative
from tests.stxm.field import ENERGIES, references


@pytest.fixture(scope="module")
def library():
    import xarray as xr

    return _library(references(), xr.DataArray(ENERGIES, dims="energy"), step="test")


def test_states_are_shares_and_their_prior_is_two_draws(library):
    states = _states(library)
    np.testing.assert_allclose(states.content.sum(axis=1), 1.0)
    np.testing.assert_allclose(states.name.sum(axis=1), 1.0)
    around = np.array([0.4, 0.3, 0.2, 0.1])
    twice = np.where(states.first == states.second, 1.0, 2.0)
    assert (twice * around[states.first] * around[states.second] * states.weight).sum() == pytest.approx(1.0)
    # both ways between two phases have the same mean composition, the path leads over the references between
    ends = (states.first == 0) & (states.second == 3)
    direct, path = np.split(states.content[ends], 2)
    np.testing.assert_allclose(direct @ library.composition, path @ library.composition)
    assert ((path > 0).sum(axis=1) <= 2).all()
    assert (direct[:, 1:3] == 0).all()
    assert path[2:6, 1:3].sum(axis=1).min() > 0.7


def test_names_follow_the_composition_and_are_undecided_half_way(library):
    states = _states(library)
    first = states.name[(states.first == 0) & (states.second == 1), 0][:9]
    assert (np.diff(first) < 0).all()
    assert first[0] > 0.99
    assert first[4] == pytest.approx(0.5, abs=0.25)  # the middle of nine shares
    assert first[8] < 0.01


def test_without_compositions_the_larger_part_names_the_mixture(library):
    states = _states(library._replace(composition=np.full(4, np.nan)))
    assert len(states.content) == 4 + 6 * 9
    sure = states.lesser < 0.2
    np.testing.assert_array_equal(states.name[sure].argmax(axis=1), states.content[sure].argmax(axis=1))


def test_chi_square_of_a_state_equals_the_fit_with_one_reference(library):
    rng = np.random.default_rng(0)
    template = library.at(ENERGIES)[:1]
    spectra, weights = rng.normal(size=(40, ENERGIES.size)), rng.uniform(0.5, 2.0, (40, ENERGIES.size))
    fit = _nonnegative(np.vstack([template, np.ones_like(template)]), spectra, weights, 1)
    np.testing.assert_allclose(_state_chi_square(spectra, weights, template)[:, 0], fit.chi_square, rtol=1e-9)


def test_surroundings_leave_the_pixel_itself_out_and_skip_empty_ones():
    probability = np.full((7, 7, 2), np.nan)
    probability[:, :4] = [1.0, 0.0]
    probability[3, 1] = [0.0, 1.0]
    around = _surroundings(probability, sigma=0.8)
    assert np.isnan(around[:, 4:]).all()
    np.testing.assert_allclose(around[:, :4].sum(axis=-1), 1.0)
    assert around[3, 1, 0] > 0.98  # its own opinion does not count
    lone = np.full((5, 5, 2), np.nan)
    lone[2, 2] = [1.0, 0.0]
    np.testing.assert_allclose(_surroundings(lone, sigma=0.8)[2, 2], 0.5)


def _pixels(library, share, n, noise, rng):
    """Spectra of blurred pixels between the two closest phases, and the phase each one's own share makes it."""
    spectra = library.at(ENERGIES)
    shown = (1 - share)[:, None] * spectra[1] + share[:, None] * spectra[2]
    return 0.3 * shown + rng.normal(0, noise, (n, ENERGIES.size)), np.where(share > 0.5, 2, 1)


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_stated_probability_is_the_rate_of_being_right(library, noise):
    """Pixels drawn from the model's own prior: half near a boundary, mixed by any share, half inside a phase."""
    rng = np.random.default_rng(4)
    n = 6000
    spectra = library.at(ENERGIES)
    mixed = rng.random(n) < 0.5
    own = np.where(mixed, rng.random(n), rng.integers(0, 2, n))
    density, phase = _pixels(library, own, n, noise, rng)
    around = np.tile([0.0, 0.5, 0.5, 0.0], (n, 1))
    found = _posterior(
        density, np.full_like(density, noise), around, _states(library), spectra, allowed=1e9, noticeable=0.15
    )
    right = found.probability.argmax(axis=1) == phase
    sure = found.probability.max(axis=1)
    # own shares are exact here while the model allows for 0.1, so it may be too modest, never too bold
    assert right.mean() >= sure.mean() - 0.02
    assert right.mean() - sure.mean() < 0.08
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        those = (sure >= low) & (sure < high)
        assert right[those].mean() >= sure[those].mean() - 3 * 0.5 / np.sqrt(max(those.sum(), 1))
    really = mixed & (np.minimum(own, 1 - own) > 0.15)
    assert found.mixed[really].mean() > found.mixed[~really].mean() + 0.15


def test_no_pixels_at_all(library):
    empty = _posterior(
        np.zeros((0, ENERGIES.size)),
        np.zeros((0, ENERGIES.size)),
        np.zeros((0, 4)),
        _states(library),
        library.at(ENERGIES),
        allowed=10.0,
        noticeable=0.15,
    )
    assert empty.probability.shape == (0, 4)
