"""The whole chain on simulated scans whose grains are known: what the orientation maps must reach."""

import numpy as np
import pytest

import phasekit as pk
from phasekit.errors import AcomStatus
from phasekit.synthetic import Specimen, orientation_scan
from phasekit.synthetic.structures import sample_phases


def chain(scan):
    phases = sample_phases()
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(scan).compute())
    bank = pk.acom.build_templates(phases, resolution_deg=2.0, precession_deg=1.0)
    matched = pk.acom.match_orientations(peaks, bank)
    return matched, pk.acom.refine_orientations(peaks, bank, matched)


@pytest.fixture(scope="module")
def sample():
    scan = pk.io.load(pk.samples.path("acom_two_phases.nc")).compute()
    return (scan, *chain(scan))


@pytest.fixture(scope="module")
def unseen():
    scan = orientation_scan(shape=(20, 24), specimen=Specimen(n_grains=12), seed=9041)
    return (scan, *chain(scan))


@pytest.mark.parametrize("name", ["sample", "unseen"])
def test_phase_and_orientation_of_grain_interiors(name, request):
    scan, matched, refined = request.getfixturevalue(name)
    rough, fine = (pk.acom.compare_with_truth(found, scan) for found in (matched, refined))
    folded = {"counting": "folded"}
    assert float(fine["phase_accuracy"]) >= 0.98
    assert float(fine["median"].sel(folded)) < 1.5
    assert float(fine["median"].sel(folded)) < float(rough["median"].sel(folded))
    assert float(fine["median"].sel(counting="unfolded")) >= float(fine["median"].sel(folded))
    assert float(fine["vacuum_indexed"]) == 0


def test_wrong_orientations_are_unreliable(sample):
    scan, _, refined = sample
    error = pk.acom.compare_with_truth(refined, scan)["disorientation"].sel(counting="folded")
    wrong = refined.reliability.where(error > 5)
    right = refined.reliability.where(error <= 5)
    assert float((wrong > 15).sum() / np.maximum(1, wrong.notnull().sum())) < 0.1
    assert float(right.median()) > 10


def test_vacuum_is_vacuum_and_half_turns_are_named(sample):
    scan, _, refined = sample
    vacuum = scan.truth_phase.values == -1
    assert np.mean(refined.status.values[vacuum] == AcomStatus.VACUUM) > 0.95
    compared = pk.acom.compare_with_truth(refined, scan)["disorientation"]
    turned = (compared.sel(counting="folded") < 3).values & (compared.sel(counting="unfolded") > 10).values
    unsure = (AcomStatus.AMBIGUOUS_180, AcomStatus.PSEUDO_SYMMETRIC)
    assert np.mean(np.isin(refined.status.values[turned], unsure)) > 0.8


def test_uncertainty_is_of_the_size_of_the_error(sample):
    scan, _, refined = sample
    error = pk.acom.compare_with_truth(refined, scan)["disorientation"].sel(counting="folded").values
    stated = refined.uncertainty_deg.values
    usable = np.isfinite(stated) & (error < 5)
    assert np.mean(usable[error < 5]) > 0.8
    assert 0.4 < np.median(error[usable] / stated[usable]) < 1.6
    rank = np.argsort(stated[usable])
    third = len(rank) // 3
    assert np.median(error[usable][rank[:third]]) < np.median(error[usable][rank[-third:]])


def test_weak_peaks_help_at_low_dose():
    scan = orientation_scan(shape=(16, 20), specimen=Specimen(n_grains=16), electrons=200, seed=9042)
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(scan).compute())
    bank = pk.acom.build_templates(sample_phases(), resolution_deg=3.0, precession_deg=1.0)
    shares = []
    for some in (peaks, peaks.drop_dims("weak_peak")):
        found = pk.acom.refine_orientations(some, bank, pk.acom.match_orientations(some, bank))
        shares.append(float(pk.acom.compare_with_truth(found, scan)["within_5"].sel(counting="folded")))
    assert shares[0] > shares[1] + 0.05
