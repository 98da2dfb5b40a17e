"""Real precession patterns of one austenite grain (Cautaerts et al., Ultramicroscopy 2022, 113517)."""

import os
from pathlib import Path

import pytest

import phasekit as pk
from phasekit.diffraction import diffraction_symmetry
from phasekit.rotations import symmetric_angle_deg

DATA = Path(os.environ.get("PHASEKIT_REAL_DATA", "")) / "fourdstem" / "austenite_sped"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("PHASEKIT_REAL_DATA" not in os.environ, reason="PHASEKIT_REAL_DATA is not set"),
]


def test_four_patterns_of_one_grain_agree():
    austenite = pk.io.open_phase(DATA / "austeniteLP.cif")
    patterns = pk.io.open_4dstem(DATA / "subset_data.hspy")
    peaks = pk.acom.calibrate_peaks(pk.acom.find_peaks(patterns).compute(), phase=austenite, ellipse="fit")
    bank = pk.acom.build_templates([austenite], resolution_deg=2.0, precession_deg=1.0)
    found = pk.acom.refine_orientations(peaks, bank, pk.acom.match_orientations(peaks, bank))
    assert (found.phase == 0).all()
    assert float(found.correlation.isel(match=0).min()) > 0.75
    assert float(found.reliability.min()) > 15
    quaternion = found.quaternion.isel(match=0).values.reshape(-1, 4)
    assert symmetric_angle_deg(quaternion, quaternion[0], diffraction_symmetry(austenite)).max() < 1.0
