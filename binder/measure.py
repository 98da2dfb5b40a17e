"""Time and memory from a fresh kernel to the first map of a notebook: ``python binder/measure.py [NOTEBOOK ...]``.

Run in the image, or on any machine after ``binder/warm_up.py``. Live widgets are loaded, as in Binder. Seconds of
the processor are given beside those of the clock, because a shared machine stretches the clock.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
#: Notebook -> function whose figure is its first map.
NOTEBOOKS = {
    "01_stxm_phase_map": "phase_figure",
    "02_nmf_components": "overlap_figure",
    "03_acom_orientation": "orientation_figure",
}
ASK = "import resource as _r; print(_r.getrusage(_r.RUSAGE_SELF))"


def measure(name: str, folder: Path) -> dict[str, float]:
    """Execute a notebook until its first map is shown, then to its end."""
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder / "notebooks")}})
    found: dict[str, float] = {}
    start = time.perf_counter()
    with client.setup_kernel():
        for index, cell in enumerate(list(notebook.cells)):
            if cell.cell_type != "code" or "pk.teaching.check" in cell.source:
                continue
            client.execute_cell(cell, index)
            is_drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
            if not found and is_drawn and NOTEBOOKS[name] in cell.source:
                found = read_usage(client, "first map", time.perf_counter() - start)
        return found | read_usage(client, "end", time.perf_counter() - start)


def read_usage(client: Any, moment: str, seconds: float) -> dict[str, float]:
    """Seconds by the clock and of the processor, and the largest memory so far [MB]."""
    probe = nbformat.v4.new_code_cell(ASK)
    client.nb.cells.append(probe)
    client.execute_cell(probe, len(client.nb.cells) - 1)
    words = dict(pair.split("=") for pair in probe.outputs[0]["text"].split("(")[1].rstrip(")\n").split(", "))
    processor = float(words["ru_utime"]) + float(words["ru_stime"])
    memory = int(words["ru_maxrss"]) / 1024
    return {f"{moment}: clock [s]": seconds, f"{moment}: processor [s]": processor, f"{moment}: memory [MB]": memory}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as temporary:
            for part in ("notebooks", "data-samples"):
                shutil.copytree(ROOT / part, Path(temporary) / part, ignore=shutil.ignore_patterns("runs"))
            numbers = measure(chosen, Path(temporary))
        sys.stdout.write(f"{chosen}: " + ", ".join(f"{key} {value:.0f}" for key, value in numbers.items()) + "\n")
