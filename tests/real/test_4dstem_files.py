"""Every real 4D-STEM file opens with its known size, step and unit."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from phasekit.io.fourdstem import open_4dstem

ROOT = os.environ.get("PHASEKIT_REAL_DATA")
pytestmark = [pytest.mark.real, pytest.mark.skipif(not ROOT, reason="PHASEKIT_REAL_DATA is not set")]
FOLDER = Path(ROOT or ".") / "fourdstem"

# file, shape, dtype, scan step [nm] (None: unknown), unit and step of the detector
FILES = [
    ("austenite_sped/subset_data.hspy", (2, 2, 256, 256), "uint16", 2.0, "1/angstrom", 0.01261),
    ("blo/test1.blo", (3, 2, 144, 144), "uint8", 12.8, "1/angstrom", 0.03202),
    ("emd/real_py4dstem.h5", (2, 2, 4, 4), "float32", 0.25, "1/angstrom", 0.0125),
    ("standards/au_xgrating_20cm.tif", (1, 1, 256, 256), "float32", None, "px", 1.0),
    ("standards/moo3_20cm.tif", (1, 1, 256, 256), "float32", None, "px", 1.0),
]


@pytest.mark.parametrize(("name", "shape", "dtype", "step", "unit", "q_step"), FILES)
def test_file(name, shape, dtype, step, unit, q_step):
    patterns = open_4dstem(FOLDER / name)
    assert patterns["intensity"].shape == shape
    assert patterns["intensity"].dtype == dtype
    assert patterns["intensity"].chunks is not None
    assert float(patterns["intensity"].std()) > 0
    if step is not None:
        np.testing.assert_allclose(np.diff(patterns["scan_x"]), step)
    assert patterns["qx"].attrs["units"] == unit
    np.testing.assert_allclose(np.diff(patterns["qx"]), q_step, rtol=1e-3)


def test_merlin(tmp_path):
    with zipfile.ZipFile(FOLDER / "merlin" / "Merlin_navigation4x2_ROI.zip") as archive:
        archive.extractall(tmp_path)
    whole, region = (open_4dstem(path) for path in sorted(tmp_path.rglob("*.mib")))
    assert whole["intensity"].shape == (2, 4, 256, 256)
    assert region["intensity"].shape == (2, 4, 128, 256)
    assert float(whole["intensity"].max()) < 64  # 6-bit counter
