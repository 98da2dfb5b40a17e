"""Names and versions as conda-forge and repo2docker know them, for the files that pyproject2conda writes.

``python binder/conda_packages.py FOLDER`` mends ``FOLDER/environment.yml`` and ``FOLDER/binder/environment.yml``:

- pyproject2conda normalises names as PyPI does (a hyphen for every dot and underscore); conda-forge does not.
- some packages of conda-forge bring more than PyPI's do, and one of them cannot be installed beside the others.
- repo2docker reads the version of Python only in the form ``python=3.12``.
- Binder gets nothing newer than the versions that the tests ran with: the ceilings are those of the constraints file.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BINDER_PYTHON = "3.12"
#: Normalised name -> name on conda-forge, where the two differ.
NAMES = {
    "diffpy-structure": "diffpy.structure",
    "jupyter-client": "jupyter_client",
    "jupyter-core": "jupyter_core",
    "dask": "dask-core",  # dask[array] of PyPI; conda-forge's dask brings distributed and pyarrow, hundreds of MB
    "matplotlib": "matplotlib-base",  # without Qt
    "rosettasciio": "rosettasciio-base",  # the other one asks for zarr < 3
    "torch": "pytorch-cpu",
}


def read_pins() -> dict[str, str]:
    """Versions of the constraints file of Binder's Python, by name on conda-forge."""
    path = ROOT / "constraints" / f"py{BINDER_PYTHON.replace('.', '')}.txt"
    pairs = (line.split(";")[0].strip().split("==") for line in path.read_text(encoding="utf-8").splitlines())
    return {NAMES.get(pair[0], pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def read_project() -> dict[str, Any]:
    """All of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_torch_floor() -> str:
    """Lowest version of torch, from the only place that states it."""
    lines = read_project()["project"]["dependencies"]
    return next(line.removeprefix("torch") for line in lines if line.startswith("torch>"))


def mend_line(line: str, *, pins: dict[str, str] | None) -> str:
    """One line of an environment file; with ``pins`` for Binder: at most these versions, and its Python."""
    match = re.fullmatch(r"  - ([a-z0-9._-]+)([<>=!].*)?", line)
    if match is None:
        return line
    name, versions = NAMES.get(match[1], match[1]), match[2] or ""
    if name == "pytorch-cpu":
        versions = read_torch_floor()
    if name == "python" and pins is not None:
        return f"  - python={BINDER_PYTHON}"
    # An upper limit of pyproject says less than the pin below it.
    if pins is not None and name in pins:
        versions = f"{re.sub(r'<[0-9.]+,', '', versions)},<={pins[name]}"
    return f"  - {name}{versions}"


def mend_file(path: Path, *, binder: bool) -> None:
    """Rewrite one environment file."""
    pins = read_pins() if binder else None
    lines = [mend_line(line, pins=pins) for line in path.read_text(encoding="utf-8").splitlines()]
    if binder:  # postBuild installs phasekit itself with pip, without an index
        lines += ["  - pip", *(f"  - {line}" for line in read_project()["build-system"]["requires"])]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    mend_file(folder / "environment.yml", binder=False)
    mend_file(folder / "binder/environment.yml", binder=True)
