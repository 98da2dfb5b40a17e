"""Nothing is written outside the folder of the batch, whatever a manifest, a notebook, a row or an input is called."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasekit.batch import ManifestError, plan_batch
from phasekit.batch.manifest.names import find_name_fault, fold_name, make_name, normalise_name

from ..tiny import notebook
from .conftest import PARAMETERS

WRONG = {
    "": "no letter",
    "   ": "no letter",
    ".": "a blank or point at an end",
    "..": "a blank or point at an end",
    "../x": "'/'",
    "/etc/x": "'/'",
    "a/b": "'/'",
    "..\\x": "'\\'",
    "C:\\x": "':'",
    "C:x": "':'",
    "\\\\server\\x": "'\\'",
    "a\0b": "U+0000",
    "a\nb": "U+000A",
    "a\x1b[2Jb": "U+001B",
    "a\x7fb": "U+007F",
    "a\u202eb": "U+202E",
    "a\u200bb": "U+200B",
    "a\u2028b": "U+2028",
    "a\ufeffb": "U+FEFF",
    "a\ud800b": "U+D800",
    ".hidden": "a blank or point",
    "a.": "a blank or point",
    "a ": "a blank or point",
    "-rf": "a hyphen at its beginning",
    "CON": "a device on Windows",
    "nul": "a device on Windows",
    "NUL.txt": "a device on Windows",
    "com1": "a device on Windows",
    "LPT¹": "a device on Windows",
    "aux .x": "a device on Windows",
    'a"b': "'\"'",
    "a*b": "'*'",
    "a?b": "'?'",
    "<b>": "'<'",
    "a|b": "'|'",
    "x" * 300: "300 bytes, more than 120",
    "é" * 61: "122 bytes",
    "index.html": "the ending '.html'",
    "Ledger.SQLITE": "the ending '.sqlite'",
    "ledger.sqlite-wal": "the ending '-wal'",
    "run.json": "the ending '.json'",
}
RIGHT = ["x", "grain 7", "Größe 3 µm", "試料-1", "a.b", "console", "x" * 120, "30% NaCl (2)", "COM10", "a'b", "é́"]


@pytest.mark.parametrize("name", WRONG, ids=ascii)
def test_a_name_that_is_no_folder_s_name_is_refused(name):
    assert WRONG[name] in find_name_fault(name)


@pytest.mark.parametrize("name", RIGHT)
def test_a_name_that_is_one_passes(name):
    assert not find_name_fault(name)


def is_inside(name):
    """Whether a name is one folder, on every system."""
    return os.path.basename(name) == name and not find_name_fault(name)


@given(st.text(), st.text())
def test_a_made_name_is_a_folder_s_name_whatever_the_input_is_called(first, second):
    name = make_name(["acom", first, second], "0f3a5b7c9d")
    assert is_inside(name)
    assert name.endswith("0f3a5b7c9d")


@pytest.mark.parametrize(
    "parts",
    [
        ["acom", "0" * 16 + "\xa0" * 15 + "\u0800", "0" * 16 + "\xa0" * 15 + "\u0800"],
        ["x" * 250] * 3,
        ["é" * 250] * 3,
        ["試" * 250, "試" * 250],
        ["con.x", "scan"],
        ["nul", ".x"],
        [],
        ["", " . - "],
    ],
)
def test_long_parts_and_devices_still_make_a_folder_s_name(parts):
    assert is_inside(make_name(parts, "0f3a5b7c9d"))


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_inside(tmp_path_factory, name):
    normal = normalise_name(name)
    if find_name_fault(normal):
        return
    base = tmp_path_factory.getbasetemp() / "names"
    (base / normal).mkdir(parents=True, exist_ok=True)
    assert (base / normal).resolve().parent == base.resolve()
    (base / normal).rmdir()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_names_that_differ_by_case_or_form_fold_to_one(name):
    for form in ("NFC", "NFD"):
        assert fold_name(unicodedata.normalize(form, name)) == fold_name(name)
    assert fold_name(fold_name(name)) == fold_name(name)


INPUTS = [
    "..",
    "...",
    "CON",
    "a\\b",
    "a:b",
    "x" * 250,
    "-rf",
    "e\u0301",
    " lead",
    "a\u202eb",
    "{0}",
    "$(id)",
    "<b>",
    "a'b",
]


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such names")
@pytest.mark.parametrize("stem", INPUTS, ids=ascii)
def test_an_input_s_name_leads_nowhere_else(folder, stem):
    (folder / f"{stem}.nc").write_text("", encoding="utf-8")
    (row,) = plan_batch(folder / f"{stem}.nc", "out", notebook="nmf")
    assert row.folder.parent == (folder.parent / "out")
    assert is_inside(row.name)
    row.folder.mkdir(parents=True)


@pytest.mark.parametrize("stem", ["..", "a b", "CON", "x" * 240, "-x"])
def test_a_notebook_s_name_leads_nowhere_else(folder, write, stem):
    notebook(folder / f"{stem}.ipynb", parameters=PARAMETERS)
    (row,) = plan_batch(write(f"notebook\n{stem}.ipynb\n"), "out")
    assert row.folder.parent == (folder.parent / "out")
    assert is_inside(row.name)


def test_an_input_with_null_or_surrogate_letters_is_a_fault(write):
    for path in ('"a\\0b.nc"', '"a\\x01b.nc"'):
        with pytest.raises(ManifestError, match="line break or tab"):
            plan_batch(write(f"- workflow: nmf\n  input_path: {path}\n", ".yaml"), "out")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
def test_a_link_in_the_folder_of_the_batch_is_not_followed(folder, write, tmp_path):
    out, other = folder.parent / "out", tmp_path / "other"
    out.mkdir()
    (out / "linked").symlink_to(other)  # to a folder that is not there: it would be made
    path = write("workflow,name\nnmf,linked\n")
    with pytest.raises(ManifestError, match="that leads to another folder"):
        plan_batch(path, out)
    other.mkdir()
    with pytest.raises(ManifestError, match="a link at"):
        plan_batch(path, out)
    assert not list(other.iterdir())


def test_a_file_in_the_place_of_a_row_s_folder_is_a_fault(folder, write):
    (folder.parent / "out").mkdir()
    (folder.parent / "out/x").write_text("", encoding="utf-8")
    with pytest.raises(ManifestError, match="a file at"):
        plan_batch(write("workflow,name\nnmf,x\n"), "out")


def test_the_same_letters_in_two_forms_are_one_folder(write):
    text = "workflow,name,seed\nnmf,\u00e9,1\nnmf,e\u0301,2\n"
    with pytest.raises(ManifestError, match="is the folder of entry 1"):
        plan_batch(write(text), "out")
    (row,) = plan_batch(write("workflow,name\nnmf,e\u0301\n"), "out")
    assert row.folder.name == "\u00e9"
