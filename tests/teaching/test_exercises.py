"""Every exercise of every notebook, executed without a browser: its hidden solution and a typical wrong answer."""

import re

import nbformat
import papermill
import pytest

from phasekit.teaching.exercises import EXERCISES

from ..tree import tracked

pytestmark = [pytest.mark.notebook, pytest.mark.slow, pytest.mark.timeout(1500)]
NOTEBOOKS = tracked("notebooks", "*.ipynb")


def with_wrong_answers(notebook):
    """The same notebook, in which a student wrote a typical wrong answer to each exercise."""
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            number = re.search(r'check\("([\d.]+)"', cell.source)[1]
            cell.source = cell.source.replace("answer = ...", f"answer = {EXERCISES[number].wrong!r}")
    return notebook


def texts(cells) -> dict[str, str]:
    """What each check said on the page, by the number of the exercise."""
    pages = [output.data["text/html"] for cell in cells for output in cell.outputs if "data" in output]
    return {re.search(r"Exercise ([\d.]+):", page)[1]: page for page in pages}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_are_right_and_typical_errors_are_explained(path, tmp_path):
    notebook = with_wrong_answers(nbformat.read(path, as_version=4))
    settings = {"interactive": False}
    if not path.name.startswith("00"):
        settings["output_dir"] = str(tmp_path / "out")
    done = papermill.execute_notebook(
        notebook,
        None,
        parameters=settings,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        resources={"metadata": {"path": str(path.parent)}},
        start_timeout=180,
    )
    tagged = {}
    for tag in ("exercise", "solution"):
        tagged[tag] = texts([cell for cell in done.cells if tag in cell.metadata.get("tags", [])])
    expected = [number for number in EXERCISES if path.name.startswith(number[:2])]
    assert list(tagged["exercise"]) == list(tagged["solution"]) == expected
    for number in expected:
        assert ": right." in tagged["solution"][number], tagged["solution"][number]
        assert "not right yet" in tagged["exercise"][number]
