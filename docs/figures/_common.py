"""What the figures of the guide share: how they are written."""

import sys
from pathlib import Path
from typing import Any

import phasekit as pk

pk.viz.setup(interactive=False)
SAMPLES = Path(__file__).resolve().parents[2] / "data-samples"
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/_build/figures")


def save(figure: Any, name: str) -> None:
    """Write a figure as ``name.png`` to the folder that was asked for."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure.savefig(FOLDER / f"{name}.png", dpi=110, bbox_inches="tight", facecolor="white")
