"""A folder with empty files of the names that manifests give; no kernel is started here."""

import pytest

from ..tiny import notebook

PARAMETERS = """
input_path: str = ""  # file to open
output_dir: str = "runs/own"
interactive: bool = True
seed: int = 0  # [x >= 0]
weight: float = 0.5  # of the mean [0 < x <= 1]
low: float = 1.0  # lower bound [x >= 0]
high: float = 2.0  # upper bound [x > low]
method: str = "fast"  # of the fit {fast, exact}
mask_path: str = ""
label: str | None = None
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user stands in ``desk``; manifests and data lie in ``desk/lists``."""
    lists = tmp_path / "desk/lists"
    (lists / "scans").mkdir(parents=True)
    for name in ("a.nc", "b.nc", "refs.csv", "Ni.cif", "scans/one.mib", "scans/two.mib", "c,d.cif"):
        (lists / name).write_text("", encoding="utf-8")
    (tmp_path / "desk/here.nc").write_text("", encoding="utf-8")
    notebook(lists / "own.ipynb", parameters=PARAMETERS)
    notebook(tmp_path / "desk/elsewhere.ipynb", parameters=PARAMETERS)
    (lists / "broken.ipynb").write_text("{", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "desk")
    return lists


@pytest.fixture
def write(folder):
    """Write a manifest into the folder: its path."""

    def make(text, suffix=".csv", encoding="utf-8"):
        path = folder / f"jobs{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return make
