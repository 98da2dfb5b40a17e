"""Notebooks for a class come from one source, and nothing a student wrote is lost."""

import nbformat
import pytest

import phasekit as pk
from phasekit.cli import main
from phasekit.errors import ReadError
from phasekit.teaching.exercises import EXERCISES

from ..tree import tracked

SOURCES = tracked("notebooks", "*.ipynb")


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def cells(path, tag: str) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if tag in tags(cell)]


def test_every_exercise_has_a_cell_for_the_answer_and_a_hidden_solution():
    found = {"exercise": [], "solution": []}
    for path in SOURCES:
        for tag, numbers in found.items():
            for cell in cells(path, tag):
                (number,) = [number for number in EXERCISES if f'check("{number}", answer)' in cell.source]
                assert path.name.startswith(number[:2])
                numbers.append(number)
                assert ("answer = ..." in cell.source) == (tag == "exercise")
                assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == (tag == "solution")
    assert found["exercise"] == found["solution"] == list(EXERCISES)


def test_a_class_gets_no_solutions(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path)]) == 0
    assert "without their solutions" in capsys.readouterr().out
    for source in SOURCES:
        copy = tmp_path / "notebooks" / source.name
        nbformat.validate(nbformat.read(copy, as_version=4))
        assert not cells(copy, "solution")
        assert len(cells(copy, "exercise")) == len(cells(source, "exercise"))
        kept = [cell for cell in nbformat.read(source, as_version=4).cells if "solution" not in tags(cell)]
        assert [cell.source for cell in nbformat.read(copy, as_version=4).cells] == [cell.source for cell in kept]
    # The paths in the notebooks lead to the samples.
    assert (tmp_path / "data-samples" / "Ni.cif").is_file()


def test_a_teacher_gets_all_of_it(tmp_path):
    for path in pk.teaching.write_notebooks(tmp_path, solutions=True):
        assert len(cells(path, "solution")) == len(cells(path, "exercise"))


def test_a_notebook_with_answers_is_not_overwritten(tmp_path):
    (tmp_path / "notebooks").mkdir()
    mine = tmp_path / "notebooks" / SOURCES[-1].name
    mine.write_text("my answers", encoding="utf-8")
    with pytest.raises(ReadError, match="new folder"):
        pk.teaching.write_notebooks(tmp_path)
    assert mine.read_text(encoding="utf-8") == "my answers"
    assert [path.name for path in (tmp_path / "notebooks").iterdir()] == [mine.name]


def test_a_run_leaves_exercises_out(tmp_path):
    record = pk.batch.run_notebook("start", tmp_path)
    assert record["status"] == "ok", record["error"]
    assert not cells(tmp_path / "notebook.ipynb", "exercise")
    assert not cells(tmp_path / "notebook.ipynb", "solution")
    assert "no answer yet" not in (tmp_path / "notebook.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_teaches(path):
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    assert "**You will learn**" in text
    assert "| part | minutes |" in text
    assert "## Exercises" in text
    if not path.name.startswith("00"):
        assert "**Predict first.**" in text
        assert "doi.org/" in text
    for status in {"01": pk.errors.StxmStatus, "03": pk.errors.AcomStatus}.get(path.name[:2], ()):
        assert f"| {status.name.lower().replace('_', ' ')} |" in text, "the glossary lacks a status word"
