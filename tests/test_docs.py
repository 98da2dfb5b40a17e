"""The pages of the site without Sphinx: links lead to files, names exist, figures are made by a script."""

import importlib
import json
import pkgutil
import posixpath
import re
from pathlib import Path

import pytest

from .tree import project_files, tracked

ROOT = Path(__file__).resolve().parents[1]
PAGES = tracked("", "*.md")
NOTEBOOKS = tracked("notebooks", "*.ipynb")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ROLE = re.compile(r"\{(?:func|class|mod|attr|meth|data)\}`~?([\w.]+)`")
#: Written by docs/_extensions when the site is built.
GENERATED = {f"docs/api/{name}.md" for name in ("index", "kinds", "status_words", "formats", "error_classes")}


def identity(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Markdown of a page or of a notebook's text cells, code left out."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^(```|    ).*?(?:^```|$)", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Names by which the headings of a page can be linked, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings]
    return {heading.strip().lower().replace(" ", "-") for heading in plain}


def folders() -> set[str]:
    return {str(parent) for name in project_files() for parent in Path(name).parents}


@pytest.mark.parametrize("path", [*PAGES, *NOTEBOOKS], ids=identity)
def test_relative_links_lead_to_files_of_the_project(path):
    known = {*project_files(), *folders(), *GENERATED}
    for link in LINK.findall(text_of(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = posixpath.normpath(posixpath.join(path.parent.relative_to(ROOT).as_posix(), target))
        file = identity(path) if not target else file
        assert file in known, f"{link}: git tracks no {file}"
        if anchor and file.endswith(".md") and file not in GENERATED:
            assert anchor in anchors(ROOT / file), f"{link}: no such heading"


@pytest.mark.parametrize("path", tracked("docs", "*.md"), ids=identity)
def test_names_in_the_pages_exist(path):
    for name in ROLE.findall(path.read_text(encoding="utf-8")):
        assert name.startswith("phasekit."), f"{name}: write it out from phasekit on"
        pkgutil.resolve_name(name)


def test_every_figure_of_the_guide_is_made_by_a_script():
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in tracked("docs/figures", "*.py"))
    made = set(re.findall(r'^save\(.*"(\w+)"\)$', scripts, flags=re.MULTILINE))
    pages = "\n".join(path.read_text(encoding="utf-8") for path in tracked("docs", "*.md"))
    used = set(re.findall(r"figures/(\w+)\.png", pages))
    assert used == made


@pytest.mark.parametrize("path", tracked("docs", "*.md"), ids=identity)
def test_every_picture_has_alt_text(path):
    text = path.read_text(encoding="utf-8")
    for figure in re.findall(r"^`{3,}\{figure\}.*?^`{3,}", text, flags=re.DOTALL | re.MULTILINE):
        assert re.search(r"^:alt: \S.{15,}$", figure, flags=re.MULTILINE), figure
    assert not re.search(r"!\[\s*\]\(", text)


def test_every_page_of_a_stage_has_the_same_parts():
    for path in tracked("docs/guide", "*.md"):
        if path.stem == "index":
            continue
        headings = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        parts = ["What it does", "The equation", "On the sample", "What can go wrong", "Status words"]
        assert [heading for heading in headings if heading in parts] == parts, path.name


@pytest.fixture
def extension(monkeypatch):
    """Import a module of docs/_extensions by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/_extensions"))
    return importlib.import_module


def test_api_pages_follow_the_tables_of_contents(extension):
    names = extension("api_tables").list_names()
    assert len(names) == len(set(names)) > 100
    for contents in tracked("phasekit", "__init__.pyi"):
        folder = ".".join(contents.parent.relative_to(ROOT).parts)
        if folder.count(".") != 1:
            continue
        listed = re.findall(r"^from \.\w[\w.]* import (\w+)", contents.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {f"{folder}.{name}" for name in listed} <= set(names)


def test_every_status_word_is_explained(extension):
    meanings = extension("schema_pages").read_meanings(ROOT / "docs/status_words.txt")
    assert all(len(meaning) > 20 for meaning in meanings.values())


def test_links_to_files_that_are_no_pages_lead_to_the_repository(extension, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/b.md").touch()
    text = "[page](b.md#top) [file](../Makefile) [folder](adr) [none](none.md) [site](https://example.org)"
    found = extension("repository_links").rewrite(text, "docs/a", tmp_path)
    place = "https://github.com/phasekit/phasekit/blob/main"
    assert found == text.replace("../Makefile", f"{place}/Makefile").replace("adr", f"{place}/docs/adr")


@pytest.mark.parametrize("path", tracked("phasekit", "*.py"), ids=identity)
def test_no_line_of_a_docstring_begins_with_an_initial(path):
    # "H. White (1980)" at the start of a line is the eighth item of a list to Sphinx, and the initial vanishes.
    assert not re.findall(r"^ +[A-Z]\. .*$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
