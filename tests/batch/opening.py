"""Runs without a kernel: the cells that open files are executed here, the rest of the notebook is not.

A command can then be tried on every notebook in milliseconds, and what it opened can be looked at.
"""

import ast
import sys
from pathlib import Path
from typing import Any

import nbformat
import xarray as xr

import phasekit as pk
from phasekit.batch import notebook_parameters
from phasekit.batch.runner import RESULT

#: A file name with letters beyond ASCII, where the file system has them.
LETTERS = "Größe µm" if sys.getfilesystemencoding() == "utf-8" else "Groesse um"
STATUS = {"units": "1", "flag_values": [0, 1], "flag_meanings": "ok vacuum"}


class Openings:
    """In the place of ``runner._execute_notebook``: remembers the parameters and what each run opened."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, Any]] = []
        self.opened: list[dict[str, Any]] = []

    def __call__(self, notebook: Path, folder: Path, parameters: dict[str, Any], **_: Any) -> str | None:
        declared = {name: found.default for name, found in notebook_parameters(notebook).items()}
        names = {"pk": pk, **place(declared, notebook.parent), **parameters}
        self.parameters.append(dict(parameters))
        try:
            for line in list_openings(notebook):
                exec(compile(line, notebook.name, "exec"), names)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        self.opened.append(names)
        # Not by `pk.io.save`, which sets dask's pool for the whole process and not for one thread.
        xr.Dataset({"status": (("scan_y", "scan_x"), [[0, 1]], STATUS)}).to_netcdf(folder / RESULT, engine="h5netcdf")
        return None


def list_openings(notebook: Path) -> list[ast.Module]:
    """Assignments of a notebook that call an opener of phasekit."""
    cells = [cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    lines = [node for source in cells for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return [ast.Module([node], []) for node in lines if "pk.io.open_" in ast.unparse(node)]


def place(declared: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Default paths from the notebook's folder; jobs in threads cannot change the folder of the process."""
    placed = dict(declared)
    for name, value in declared.items():
        if name.endswith("_path") and value:
            placed[name] = str(folder / value)
        elif name.endswith("_paths"):
            placed[name] = [str(folder / item) for item in ([value] if isinstance(value, str) else value)]
    return placed
