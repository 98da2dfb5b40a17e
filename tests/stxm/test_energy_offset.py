"""The energy offset: one for all steps, found far away, and said where the data do not tell it."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import OffsetStatus, SchemaError
from phasekit.stxm.reference_spectra.energy_groups import find_structure_width, group_energies
from phasekit.stxm.reference_spectra.library import Library, compute_block_means
from tests.stxm.field import ENERGIES, references

DIMS = ("energy", "scan_y", "scan_x")


def _od(*, thickness=0.25, stray=0.0, offset=0.0, noise=0.02, seed=0, missing=None):
    """36 x 48 pixels in stripes of four phases, with noise of the optical density itself."""
    rng = np.random.default_rng(seed)
    at = references()["reference_spectrum"].interp(energy=ENERGIES + offset).values
    if missing is not None:
        at = at + missing
    depth = thickness * rng.uniform(0.3, 1.0, (6, 8)).repeat(6, axis=0).repeat(6, axis=1)
    density = depth * at[np.arange(48) // 12].T[:, None, :]
    seen = -np.log((1 - stray) * np.exp(-density) + stray) + rng.normal(0, noise, density.shape)
    return xr.Dataset(
        {
            "optical_density": (DIMS, seen),
            "noise": (DIMS, np.full(seen.shape, noise)),
            "valid": (DIMS[1:], np.ones(seen.shape[1:], bool)),
        },
        coords={"energy": ("energy", ENERGIES, {"units": "eV"})},
    )


def _moved(shift):
    refs = references()
    return refs.assign_coords(energy=("energy", refs["energy"].values + shift, {"units": "eV"}))


def _status(found):
    return OffsetStatus(int(found["energy_offset_status"]))


@pytest.mark.parametrize("shift", [-4.0, -2.5, -1.4, 0.0, 1.4, 2.5, 4.0])
def test_references_of_another_calibration_are_found(shift):
    found = pk.stxm.fit_references(_od(), _moved(shift))
    assert _status(found) == OffsetStatus.OK
    assert float(found["energy_offset"]) == pytest.approx(shift, abs=4 * float(found["energy_offset_error"]))
    assert float(found["energy_offset_error"]) < 0.05
    assert np.isnan(found["energy_offset_alternative"])


@pytest.mark.parametrize("shift", [-7.0, 7.0])
def test_an_offset_beyond_the_search_is_said(shift):
    with pytest.warns(pk.stxm.OffsetWarning, match="energy offset"):
        found = pk.stxm.fit_systematics(_od(), _moved(shift))
    assert _status(found) in (OffsetStatus.AT_BOUND, OffsetStatus.UNDECIDED)
    assert not float(found["energy_offset_error"]) < 0.2


def test_a_narrow_search_ends_at_its_limit_and_says_so():
    with pytest.warns(pk.stxm.OffsetWarning, match="ended at its limit"):
        found = pk.stxm.fit_systematics(_od(offset=1.5), references(), max_offset_ev=0.5)
    assert _status(found) == OffsetStatus.AT_BOUND
    assert np.isnan(found["energy_offset_error"])


def test_all_steps_use_the_same_offset():
    data, refs = _od(offset=0.3), references()
    alone = pk.stxm.fit_systematics(data, refs)
    steps = [pk.stxm.fit_references(data, refs), pk.stxm.match_single_phase(data, refs)]
    steps.append(pk.stxm.label_phases(data, None, refs))
    for found in steps:
        assert float(found["energy_offset"]) == float(alone["energy_offset"])
    planned = pk.stxm.select_energies_from_scan(data, refs, 8)
    assert planned.attrs["energy_offset"] == float(alone["energy_offset"])
    given = pk.stxm.fit_references(data, refs, energy_offset=0.3)
    assert _status(given) == OffsetStatus.GIVEN
    assert float(given["energy_offset_error"]) == 0.0


def test_energies_outside_the_references_count_as_missing():
    refs = references(np.arange(505.0, 527.0, 0.1))  # the data reach 528 eV
    data = _od(offset=0.3)
    inside = pk.stxm.fit_systematics(data.isel(energy=slice(0, -1)), refs)
    found = pk.stxm.fit_systematics(data, refs)
    # The slope turns about the mean of all energies, so the two agree as two fits do.
    assert float(found["energy_offset"]) == pytest.approx(float(inside["energy_offset"]), abs=0.005)
    fit = pk.stxm.fit_references(data, refs, energy_offset=0.3)
    without = pk.stxm.fit_references(data.isel(energy=slice(0, -1)), refs, energy_offset=0.3)
    np.testing.assert_array_equal(fit["amount"], without["amount"])


def test_ranges_that_share_little_are_refused():
    with pytest.raises(SchemaError, match="longer references"):
        pk.stxm.fit_systematics(_od(), references(np.arange(517.0, 536.0, 0.1)))


def test_a_missing_value_has_no_weight():
    data = _od(offset=0.3)
    lost = data["optical_density"].values.copy()
    lost[3, :18] = np.nan
    lost[5, 10, 10] = np.nan
    holed = data.assign(optical_density=(DIMS, lost))
    means, errors = compute_block_means(holed, holed["valid"])
    assert np.isfinite(means).all()
    assert np.isinf(errors[:24, 3]).all()
    assert np.isinf(errors).sum() == 24
    whole = pk.stxm.fit_systematics(data, references())
    found = pk.stxm.fit_systematics(holed, references())
    error = float(found["energy_offset_error"])
    assert float(found["energy_offset"]) == pytest.approx(float(whole["energy_offset"]), abs=2 * error)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stray_light_of_a_thin_specimen_cannot_be_known(seed):
    thin = pk.stxm.fit_systematics(_od(thickness=0.03, stray=0.03, seed=seed), references())
    assert float(thin["stray_light_error"]) > 0.05  # the width of the prior
    thick = pk.stxm.fit_systematics(_od(thickness=0.3, stray=0.03, seed=seed), references())
    assert float(thick["stray_light_error"]) < 0.02
    assert float(thick["stray_light"]) == pytest.approx(0.03, abs=3 * float(thick["stray_light_error"]))


def test_inexact_references_widen_the_error():
    exact = pk.stxm.fit_systematics(_od(), references())
    wrong = 0.3 * np.random.default_rng(1).normal(size=ENERGIES.size)
    inexact = pk.stxm.fit_systematics(_od(missing=wrong), references())
    assert float(inexact["energy_offset_error"]) > 3 * float(exact["energy_offset_error"])
    assert abs(float(inexact["energy_offset"])) < 3 * float(inexact["energy_offset_error"])


def test_a_few_energies_that_do_not_decide_say_so():
    refs = references().isel(reference=[0, 3])
    with pytest.warns(pk.stxm.OffsetWarning, match="do not decide"):
        found = pk.stxm.fit_systematics(_od().isel(energy=[1, 7, 10]), refs)
    assert _status(found) == OffsetStatus.UNDECIDED
    assert float(found["energy_offset_error"]) > 0.2


def test_structure_width_of_a_gaussian_line():
    energy = np.arange(690.0, 730.0, 0.05)
    line = np.exp(-((energy - 710) ** 2) / (2 * 0.8**2))
    # The autocorrelation of the slope of a Gaussian is 0 at sqrt(2) standard deviations.
    width = find_structure_width(Library(["a"], energy, line[None], np.full(1, np.nan)))
    assert width == pytest.approx(0.8 * np.sqrt(2), abs=0.05)


def test_groups_span_less_than_the_width_in_any_order():
    energies = np.array([3.0, 0.0, 0.5, 0.9, 1.0, 5.0])
    np.testing.assert_array_equal(group_energies(energies, 1.0), [2, 0, 0, 0, 1, 3])
