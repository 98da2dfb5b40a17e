"""What an executed notebook tells: its title, the time of each cell, the error of a cell, and its page."""

import os
import re
from pathlib import Path
from typing import Any

from .kernel import import_notebook_format


def read_executed(path: Path) -> tuple[dict[str, Any], Any]:
    """Title and time of each code cell of an executed notebook, and the notebook."""
    import_notebook_format()
    import nbformat

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    # Papermill writes the time of each cell into the cell.
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    cells = [
        {"first_line": cell.source.splitlines()[0][:80], "seconds": cell.metadata.get("papermill", {}).get("duration")}
        for cell in code
    ]
    return {"title": notebook_title(notebook), "cells": cells}, notebook


def write_page(notebook: Any, title: str, path: Path) -> None:
    """Write an executed notebook as one HTML file."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(body, encoding="utf-8")
    os.replace(partial, path)


def write_traceback(notebook: Any, path: Path) -> None:
    """Write the traceback of the cell that raised, where one did, without the colours of a terminal."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    found = ["\n".join(output.get("traceback", [])) for output in outputs if output.output_type == "error"]
    if found:
        path.write_text(re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(found)) + "\n", encoding="utf-8")


def notebook_title(notebook: Any) -> str:
    """First heading of a notebook, or ``phasekit``."""
    lines = (line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines())
    return next((line.lstrip("# ").strip() for line in lines if line.startswith("# ")), "phasekit")
