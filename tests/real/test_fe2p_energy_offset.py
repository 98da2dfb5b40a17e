"""The energy offset of the measured Fe 2p stack: one for all steps, its error holds for any choice of energies."""

import warnings

import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import OffsetStatus

from .fe2p import MARKS

pytestmark = MARKS


@pytest.fixture(scope="module")
def full(od, refs):
    return pk.stxm.fit_systematics(od, refs)


def test_all_steps_agree(od, refs, full):
    wanted = float(full["energy_offset"])
    assert float(pk.stxm.fit_references(od, refs)["energy_offset"]) == wanted
    step = slice(None, None, 5)
    coarse = od.isel(scan_y=step, scan_x=step)
    # The coarse scan has other pixels and few blocks.
    planned = pk.stxm.select_energies_from_scan(coarse, refs, 8).attrs["energy_offset"]
    error = float(pk.stxm.fit_systematics(coarse, refs)["energy_offset_error"])
    assert abs(planned - wanted) < 2 * error


@pytest.mark.parametrize("shift", [-4.0, -2.5, 2.5, 4.0])
def test_shifted_references_are_found(od, refs, full, shift):
    moved = refs.assign_coords(energy=("energy", refs["energy"].values + shift, {"units": "eV"}))
    found = pk.stxm.fit_systematics(od, moved)
    assert int(found["energy_offset_status"]) == OffsetStatus.OK
    error = float(found["energy_offset_error"])
    assert float(found["energy_offset"]) - shift == pytest.approx(float(full["energy_offset"]), abs=error)


@pytest.mark.parametrize("reference", [0, 1])
def test_a_reference_that_is_missing_widens_the_error(od, refs, full, reference):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pk.stxm.OffsetWarning)
        found = pk.stxm.fit_systematics(od, refs.isel(reference=[reference]))
    difference = abs(float(found["energy_offset"] - full["energy_offset"]))
    assert difference < 1.5 * float(found["energy_offset_error"])


@pytest.mark.long
def test_the_error_covers_the_spread_over_subsets_of_energies(od, refs, full):
    """Rule fixed before these seeds were drawn: 20 subsets a seed, 6 to 60 of 123 energies.

    Five other seeds gave 0.80, 0.70, 0.75, 0.60 and 0.90. If 68 % are right, the number of 40 lies in 21 to 34 with
    probability 0.98.
    """
    covered = []
    for seed in (2001, 2002):
        rng = np.random.default_rng(seed)
        for _ in range(20):
            chosen = np.sort(rng.choice(od.sizes["energy"], int(rng.integers(6, 61)), replace=False))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pk.stxm.OffsetWarning)
                found = pk.stxm.fit_systematics(od.isel(energy=chosen), refs)
            difference = abs(float(found["energy_offset"] - full["energy_offset"]))
            covered.append(difference <= float(found["energy_offset_error"]))
    assert 21 <= sum(covered) <= 34
