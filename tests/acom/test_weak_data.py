"""Patterns no microscope should deliver, through the whole chain: a status or an error, never a wrong map."""

import numpy as np
import pytest
import xarray as xr

import phasekit as pk
from phasekit.errors import AcomStatus, SchemaError
from phasekit.synthetic import Specimen, orientation_scan
from phasekit.synthetic.structures import sample_phases


@pytest.fixture(scope="module")
def scan():
    return orientation_scan(shape=(3, 5), specimen=Specimen(n_grains=2), electrons=4000, seed=77)


@pytest.fixture(scope="module")
def bank():
    return pk.acom.build_templates(sample_phases(), resolution_deg=4, precession_deg=1)


def chain(patterns, bank):
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns))
    return pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank)).compute()


def damaged(scan, **changes):
    """The scan with some patterns replaced: {"y_x": pattern}."""
    intensity = scan.intensity.astype(np.float32).copy()
    for place, pattern in changes.items():
        y, x = (int(i) for i in place[1:].split("_"))
        intensity[y, x] = pattern
    return scan.assign(intensity=intensity)


def test_dead_saturated_and_missing_patterns_are_not_indexed(scan, bank):
    empty, nothing, full = np.zeros((128, 128)), np.full((128, 128), np.nan), np.full((128, 128), 65535.0)
    found = chain(damaged(scan, p0_1=empty, p1_2=nothing, p2_3=full), bank)
    for y, x in ((0, 1), (1, 2), (2, 3)):
        assert int(found.phase[y, x]) == -1
        assert int(found.status[y, x]) in (AcomStatus.VACUUM, AcomStatus.TOO_FEW_PEAKS)
        assert np.isnan(found.quaternion.values[y, x]).all()
    others = np.ones((3, 5), bool)
    others[[0, 1, 2], [1, 2, 3]] = False
    xr.testing.assert_equal(found.phase.where(others), chain(scan, bank).phase.where(others))


def test_missing_pixels_cost_only_themselves(scan, bank):
    holes = scan.intensity.values[0, 0].astype(float)
    holes[:, 40:42] = np.nan
    holes[100, 100] = 65535  # a hot pixel
    whole, some = chain(scan, bank), chain(damaged(scan, p0_0=holes), bank)
    assert int(some.phase[0, 0]) == int(whole.phase[0, 0])


def test_a_scan_of_one_pattern_and_a_split_detector(scan, bank):
    whole = chain(scan, bank)
    one = chain(scan.isel(scan_y=[1], scan_x=[1]), bank)
    assert one.phase.shape == (1, 1)
    assert int(one.phase[0, 0]) == int(whole.phase[1, 1])
    split = chain(scan.chunk(scan_y=1, scan_x=2, qy=50, qx=64), bank)
    xr.testing.assert_allclose(split.quaternion, whole.quaternion)


def test_units_that_differ_from_the_bank_are_refused(scan, bank):
    axes = {d: (d, np.arange(128.0), {"units": "px"}) for d in ("qy", "qx")}
    peaks = pk.acom.find_peaks(scan.assign_coords(axes))
    with pytest.raises(SchemaError, match=r"'qy' is in 'px', needs '1/angstrom'"):
        pk.acom.match_orientations(peaks, bank)
    for name in ("spot_qy", "spot_qx"):
        wrong = bank.copy()
        wrong[name] = wrong[name].assign_attrs(units="1/nm")
        with pytest.raises(SchemaError, match=r"'1/nm', needs '1/angstrom'"):
            pk.acom.match_orientations(pk.acom.calibrate_peaks(pk.acom.find_peaks(scan)), wrong)
