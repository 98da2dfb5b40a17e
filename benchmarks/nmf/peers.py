"""The interpreters of the other packages."""

import sys
from pathlib import Path

from ..harness import peer_environment

HERE = Path(__file__).resolve().parent
#: Packages whose metadata ask for more than they import: installed alone, after the pinned requirements.
WITHOUT_DEPENDENCIES = {"torchnmf": "torchnmf==0.3.5"}


def find_python(environment: str | None) -> Path | None:
    """Return the interpreter of a package; None where its environment cannot be made, and the report goes without."""
    if environment is None:
        return Path(sys.executable)
    alone = WITHOUT_DEPENDENCIES.get(environment, "")
    return peer_environment(environment, HERE / f"requirements-{environment}.txt", without_dependencies=alone)
