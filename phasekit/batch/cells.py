"""Cells of a notebook that are for a reader and not for a run."""

from typing import Any

#: Tags of cells: where a student writes an answer, and the hidden cell with the solution.
EXERCISE, SOLUTION = "exercise", "solution"


def drop_cells(notebook: Any, *tags: str) -> Any:
    """Remove the cells with one of these tags from a notebook (nbformat); the same notebook is returned."""
    notebook.cells = [cell for cell in notebook.cells if not set(tags) & set(cell.metadata.get("tags", []))]
    return notebook
