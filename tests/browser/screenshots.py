"""Pictures of the explorers for the documentation: ``python -m tests.browser.screenshots``, or ``make screenshots``.

The tests of the notebooks in JupyterLab leave screenshots in both themes. A picture stays
below 500 kB: with all colours where that is enough, because colour keys are smooth, else with 256 or 64.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs/images"
NAMES = [f"explorer_{workflow}_{theme}.png" for workflow in ("stxm", "nmf", "acom") for theme in ("light", "dark")]
MOST_BYTES = 500_000
_WIDTH = 1200  # [px]


def reduce_picture(source: Path, target: Path) -> None:
    """Write a screenshot with as many colours as fit into the size."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((_WIDTH, 4 * _WIDTH), Image.Resampling.LANCZOS)
    picture.save(target, optimize=True)
    if target.stat().st_size < MOST_BYTES:
        return
    for colours, dither in ((256, Image.Dither.FLOYDSTEINBERG), (256, Image.Dither.NONE), (64, Image.Dither.NONE)):
        fixed = picture.quantize(colours, dither=Image.Dither.NONE)
        (picture.quantize(palette=fixed, dither=dither)).save(target, optimize=True)
        if target.stat().st_size < MOST_BYTES:
            return
    raise RuntimeError(f"{target.name} has {target.stat().st_size} bytes with 64 colours: show less of the page.")


def main() -> int:
    """Run the tests, then write the pictures; returns the exit status of the tests."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/browser/test_notebooks_in_lab.py"]
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, "PHASEKIT_SCREENSHOTS": folder}, check=False)
        for name in NAMES:
            if (Path(folder) / name).is_file():
                reduce_picture(Path(folder) / name, IMAGES / name)
    return status.returncode


if __name__ == "__main__":
    sys.exit(main())
