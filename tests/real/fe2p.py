"""The measured Fe 2p stack: where it is, and the mark of the tests that need it."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("PHASEKIT_REAL_DATA", "/nonexistent")) / "stxm" / "als_fe2p_71214078"
MARKS = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="PHASEKIT_REAL_DATA does not hold stxm/als_fe2p_71214078"),
]
