"""Small notebooks for tests of the runner; each takes about a second."""

import json
from pathlib import Path

SAVE = """
import xarray as xr, phasekit as pk, pathlib
words = {"flag_values": [0, 1], "flag_meanings": "ok vacuum"}
result = xr.Dataset({"status": (("scan_y", "scan_x"), [[0, 1], [0, 0]], words)})
"""
DRAW = """
pk.viz.setup(interactive=interactive)
figure, axes = pk.viz.panels()
pk.viz.image(axes[0, 0], result["status"])
pk.viz.save_figure(figure, pathlib.Path(output_dir) / "figure_1_status.png", alt="Four pixels <&> their status.")
"""
WRITE = 'pk.io.save(result, pathlib.Path(output_dir) / "result.nc")'
PARAMETERS = """
input_path: str = ""  # file to open
output_dir: str = "runs/tiny"
interactive: bool = True
seed: int = 0  # of the random numbers
threshold: float = 0.75
cif_paths: list[str] = ["a.cif"]
name: str | None = None
"""


def notebook(path: Path, *cells: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook without kernel: a title, the parameters, the cells."""
    made = [
        {"cell_type": "markdown", "metadata": {}, "id": "title", "source": "# A tiny notebook"},
        code("parameters", parameters, tags=["parameters"]),
        *(code(f"cell-{number}", source) for number, source in enumerate(cells)),
    ]
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return path


def code(name: str, source: str, tags: list[str] | None = None) -> dict:
    metadata = {"tags": tags} if tags else {}
    cell = {"cell_type": "code", "metadata": metadata, "id": name, "outputs": [], "execution_count": None}
    return {**cell, "source": source.strip()}
