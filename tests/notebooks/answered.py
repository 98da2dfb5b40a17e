"""Notebooks with a typical wrong answer to each exercise and the hidden solutions executed; what the checks said."""

import re
from pathlib import Path

import nbformat

import phasekit as pk
from phasekit.teaching.exercises import EXERCISES


def write_answered(folder: Path) -> dict[str, Path]:
    """Copy the notebooks and samples as for a class, and answer each exercise; their paths by the first two digits."""
    paths = pk.teaching.write_notebooks(folder, solutions=True)
    for path in paths:
        nbformat.write(answer_wrongly(nbformat.read(path, as_version=4)), path)
    return {path.name[:2]: path for path in paths}


def answer_wrongly(notebook):
    """The same notebook with a typical wrong answer to each exercise, and solutions as cells that are executed."""
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):  # what the reader does with Esc and Y
            cell.update(cell_type="code", outputs=[], execution_count=None)
            cell.metadata["tags"] = ["solved"]  # a run leaves out cells with the tags of exercises
        if "exercise" in cell.metadata.get("tags", []):
            number = re.search(r'check\("([\d.]+)"', cell.source)[1]
            cell.source = cell.source.replace("answer = ...", f"answer = {EXERCISES[number].wrong!r}")
            cell.metadata["tags"] = ["answered"]
    return notebook


def assert_answers_are_checked(executed: Path) -> None:
    """Every wrong answer of an executed notebook is told what is wrong, every solution is right."""
    notebook = nbformat.read(executed, as_version=4)
    tagged = {}
    for tag in ("answered", "solved"):
        tagged[tag] = read_texts([cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])])
    first = next(iter(tagged["answered"]))[:2]
    expected = [number for number in EXERCISES if number.startswith(first)]
    assert list(tagged["answered"]) == list(tagged["solved"]) == expected
    for number in expected:
        assert ": right." in tagged["solved"][number], tagged["solved"][number]
        assert "not right yet" in tagged["answered"][number]


def read_texts(cells) -> dict[str, str]:
    """What each check said on the page, by the number of the exercise."""
    pages = [output.data["text/html"] for cell in cells for output in cell.outputs if "data" in output]
    return {re.search(r"Exercise ([\d.]+):", page)[1]: page for page in pages}
