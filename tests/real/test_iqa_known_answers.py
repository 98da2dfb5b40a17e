"""Image-quality metrics against known answers of an independent implementation (128 x 128 px, data range 1)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from phasekit.nmf.image_metrics import ALL, Reference

FOLDER = Path(os.environ.get("PHASEKIT_REAL_DATA", "/nonexistent")) / "iqa"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="PHASEKIT_REAL_DATA does not hold iqa"),
]


@pytest.mark.parametrize("metric", ALL)
def test_every_metric_gives_the_known_answers(metric):
    known = json.loads((FOLDER / "iqa_known_answers.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / "iqa_known_answers.npz") as stored:
        reference, images, names = stored["reference"], stored["images"], stored["names"].tolist()
    assert len(names) == 5
    found = Reference(np.repeat(reference[None], len(images), axis=0)).scores(images, [metric])[metric]
    expected = [known[name][metric] for name in names]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 if metric == "psnr" else 5e-5)
