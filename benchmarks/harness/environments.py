"""Python environments of the other packages, one each, with pinned versions."""

import subprocess
import sys
from pathlib import Path

from .paths import ENVIRONMENTS
from .runner import log_progress


def peer_environment(package: str, requirements: Path, *, without_dependencies: str = "") -> Path | None:
    """Return the interpreter of a package's own environment, which is made where it is missing.

    ``requirements`` is the file of pinned versions. ``without_dependencies`` is one more requirement, installed last
    and alone: for a package whose metadata ask for more than it imports. None: the environment could not be made.
    """
    folder = ENVIRONMENTS / package
    python = folder / "bin" / "python"
    complete = folder / "complete"  # written last, so that a broken installation is begun anew
    if complete.exists():
        return python
    log_progress(f"environment of {package}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    steps = [["-r", str(requirements)]]
    steps += [["--no-deps", without_dependencies]] if without_dependencies else []
    for step in steps:
        pip = [str(python), "-m", "pip", "-q", "install", *step]
        process = subprocess.run(pip, check=False, capture_output=True, text=True)
        if process.returncode:
            log_progress(f"{package} could not be installed:\n{process.stderr[-500:]}")
            return None
    complete.touch()
    return python
