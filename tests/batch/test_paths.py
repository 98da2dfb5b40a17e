"""Paths count from where the user stands, patterns become files, and what is missing is named."""

import os

import pytest

from phasekit.batch.parameters import Parameter
from phasekit.batch.paths import check_files, check_folder, join_paths, make_absolute
from phasekit.errors import ReadError, SchemaError

from .opening import LETTERS

KNOWN = {
    name: Parameter(name, kind, default, "")
    for name, kind, default in (
        ("input_path", "str", "sample.nc"),
        ("i0_path", "str", ""),
        ("cif_paths", "str | list[str]", ["a.cif"]),
        ("pattern_paths", "str", "*.t"),
        ("output_dir", "str", "runs"),
        ("seed", "int", 0),
    )
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("a.cif", "b.cif", "[1].cif", "c,d.cif", f"{LETTERS}.cif"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "store.zarr").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "files"),
    [
        ("cif_paths", "a.cif", "a.cif"),
        ("cif_paths", ["a.cif"], ["a.cif"]),
        ("cif_paths", "[ab].cif", ["a.cif", "b.cif"]),
        ("cif_paths", ["b.cif", "[a].cif"], ["b.cif", "a.cif"]),
        ("cif_paths", "[1].cif", "[1].cif"),
        ("cif_paths", "no*.cif", "no*.cif"),
        ("cif_paths", "~/a.cif", "a.cif"),
        ("pattern_paths", "*.cif", "*.cif"),
        ("input_path", "store.zarr", "store.zarr"),
        ("output_dir", "new", "new"),
    ],
)
def test_paths_become_absolute_and_patterns_files(folder, name, value, files):
    found = make_absolute(KNOWN, {name: value})[name]
    several = [str(folder / file) for file in files] if isinstance(files, list) else str(folder / files)
    assert found == several


def test_what_is_no_path_stays(folder):
    values = {"seed": 3, "i0_path": "", "cif_paths": []}
    assert make_absolute(KNOWN, values) == values
    assert join_paths(values, folder) == values


def test_a_manifest_s_paths_count_from_its_folder(folder):
    values = {"input_path": "a.nc", "cif_paths": ["a.cif", "~/b.cif", "/c.cif"], "i0_path": "", "output_dir": "out"}
    joined = join_paths(values, "data")
    assert joined["input_path"] == os.path.join("data", "a.nc")
    assert joined["cif_paths"] == [os.path.join("data", "a.cif"), str(folder / "b.cif"), "/c.cif"]
    assert (joined["i0_path"], joined["output_dir"]) == ("", "out")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("input_path", "a.cif"),
        ("input_path", "store.zarr"),
        ("input_path", f"{LETTERS}.cif"),
        ("i0_path", ""),
        ("cif_paths", "c,d.cif"),
        ("cif_paths", ["a.cif", "[1].cif"]),
        ("cif_paths", "*.cif"),
        ("pattern_paths", "?.cif"),
        ("seed", 3),
        ("output_dir", "nowhere"),
    ],
)
def test_files_that_are_there_pass(folder, name, value):
    check_files(KNOWN, {name: value})


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("input_path", "no.nc", ReadError, "no such file for input_path"),
        ("input_path", "n" * 5000, ReadError, "no such file for input_path"),
        ("input_path", "", SchemaError, "input_path is empty"),
        ("i0_path", "no.xsp", ReadError, "for i0_path"),
        ("cif_paths", ["a.cif", "no.cif"], ReadError, r"no\.cif: found no such file for cif_paths"),
        ("cif_paths", ["a.cif", ""], SchemaError, "cif_paths is empty"),
        ("cif_paths", [], SchemaError, "cif_paths is empty"),
        ("cif_paths", ["a.cif", "x*.cif"], ReadError, "matches this pattern for cif_paths"),
        ("cif_paths", "C:\new.cif", SchemaError, "write a backslash twice"),
        ("cif_paths", "C:\temp.cif", SchemaError, "write a backslash twice"),
        ("pattern_paths", "x?.t", ReadError, "matches this pattern for pattern_paths"),
    ],
)
def test_files_that_are_not_there_are_named(folder, name, value, error, said):
    with pytest.raises(error, match=said):
        check_files(KNOWN, {name: value})


def test_a_folder_for_results_can_be_made_and_written(folder):
    for good in ("new", "new/deeper", ".", folder):
        check_folder(good)
    for wrong, said in (("", "empty"), ("  ", "empty"), ("a.cif", "a file"), ("a.cif/out", "cannot be written")):
        with pytest.raises((ReadError, SchemaError), match=said):
            check_folder(wrong)
