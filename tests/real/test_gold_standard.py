"""The gold cross-grating of PHASEKIT_REAL_DATA: ellipse and scale come out of its rings."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phasekit.acom import calibrate_peaks, find_peaks
from phasekit.crystals import crystal
from tests.acom.spots import as_patterns

FILE = Path(os.environ.get("PHASEKIT_REAL_DATA", "/nonexistent")) / "fourdstem" / "standards" / "au_xgrating_20cm.tif"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FILE.is_file(), reason="PHASEKIT_REAL_DATA does not hold fourdstem/standards"),
]


def test_rings_of_gold_are_round_after_registration():
    gold = crystal("Au", 225, (4.0782, 4.0782, 4.0782, 90, 90, 90), [("Au", 0, 0, 0)])
    peaks = find_peaks(as_patterns(tifffile.imread(FILE).astype(np.float32)[None, None]))
    found = calibrate_peaks(peaks, phase=gold, ellipse="fit")
    assert 1.01 < float(found.ellipse_ratio) < 1.05
    length = np.hypot(found.qy, found.qx).where(~found.direct).values.ravel()
    for hkl in ((1, 1, 1), (0, 2, 2)):
        ring = np.linalg.norm(hkl) / 4.0782
        members = length[np.abs(length / ring - 1) < 0.02]
        assert len(members) >= 3
        assert abs(np.median(members) / ring - 1) < 0.005
