"""Parameters are known before anything runs, and typed as the notebook types them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasekit.batch import Parameter, find_notebook, notebook_parameters, parse_settings
from phasekit.errors import ReadError, SchemaError

from .tiny import notebook


@pytest.fixture
def known(tmp_path):
    return notebook_parameters(notebook(tmp_path / "tiny.ipynb"))


def test_types_defaults_and_help_are_read_without_running(known):
    assert [(p.name, p.kind, p.default) for p in known.values()] == [
        ("input_path", "str", ""),
        ("output_dir", "str", "runs/tiny"),
        ("interactive", "bool", True),
        ("seed", "int", 0),
        ("threshold", "float", 0.75),
        ("cif_paths", "list[str]", ["a.cif"]),
        ("name", "str | None", None),
    ]
    assert known["seed"].help == "of the random numbers"
    assert known["input_path"].help == "file to open"


def test_a_hash_inside_a_string_is_not_a_comment(tmp_path):
    path = notebook(tmp_path / "n.ipynb", parameters='title: str = "a # b"  # the title')
    found = notebook_parameters(path)["title"]
    assert (found.default, found.help) == ("a # b", "the title")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("seed=7", 7),
        ("threshold=1e-3", 1e-3),
        ("threshold=2", 2.0),
        ("interactive=false", False),
        ("interactive=1", True),
        ("name=None", None),
        ("name=none such", "none such"),
        ("input_path=a=b.nc", "a=b.nc"),
        ('cif_paths=["x.cif", "y.cif"]', ["x.cif", "y.cif"]),
        ("cif_paths=x.cif,y.cif", ["x.cif", "y.cif"]),
    ],
)
def test_values_get_the_notebook_s_type(known, text, value):
    found = parse_settings(known, [text])[text.partition("=")[0]]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["seed=1.5", "seed=", "threshold=high", "interactive=maybe", "cif_paths=[1,", "seed"])
def test_a_wrong_value_is_refused_with_the_type_it_needs(known, text):
    with pytest.raises(SchemaError, match=r"type (int|float|bool|list\[str\])|name=value"):
        parse_settings(known, [text])


def test_an_unknown_name_is_refused_with_the_known_ones(known):
    with pytest.raises(SchemaError, match=r"'treshold' is unknown, needs one of .*threshold"):
        parse_settings(known, ["treshold=1"])


@given(value=st.floats(allow_nan=False, allow_infinity=False), seed=st.integers())
def test_numbers_survive_the_trip_through_text(value, seed):
    known = {"x": Parameter("x", "float", 0.0, ""), "n": Parameter("n", "int", 0, "")}
    assert parse_settings(known, [f"x={value!r}", f"n={seed}"]) == {"x": value, "n": seed}


def test_what_is_no_notebook_is_refused(tmp_path):
    path = tmp_path / "n.ipynb"
    for content in ("", "{}", "[]", '{"cells": []}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(ReadError, match=r"n\.ipynb"):
            notebook_parameters(path)
    with pytest.raises(ReadError, match="cannot be read"):
        notebook_parameters(notebook(path, parameters="a = 1 + b"))


def test_unknown_workflows_and_missing_files_are_refused():
    with pytest.raises(SchemaError, match="stxm, nmf, acom"):
        find_notebook("stem")
    with pytest.raises(ReadError, match="no file"):
        find_notebook("nowhere.ipynb")


LIST = "str | list[str]"


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (["cif_paths=a", "cif_paths=b,c"], {"cif_paths": ["a", "b", "c"]}),
        (["cif_paths=a", 'cif_paths=["b,c"]'], {"cif_paths": ["a", "b,c"]}),
        (["files=a", "files=b"], {"files": ["a", "b"]}),
        (["files=a"], {"files": "a"}),
        (["reader.x=1", "reader.y=a=b"], {"reader": {"w": 0, "x": 1, "y": "a=b"}}),
        (['reader={"x": 1}'], {"reader": {"x": 1}}),
        (["reader.y=2", "reader={}"], {"reader": {"y": 2}}),
    ],
)
def test_a_name_given_again_makes_a_list_and_a_point_sets_an_item(settings, values):
    known = {
        "cif_paths": Parameter("cif_paths", "list[str]", [], ""),
        "files": Parameter("files", LIST, "", ""),
        "reader": Parameter("reader", "dict", {"w": 0}, ""),
    }
    assert parse_settings(known, settings) == values
    assert known["reader"].default == {"w": 0}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["seed=1", "seed=1"], r"'seed' is given 2 times \(1, 1\)"),
        (["name=a", "name=b", "name=c"], "'name' is given 3 times"),
        (["seed.a=1"], "holds no arguments"),
        (["raeder.a=1"], "'raeder.a' is unknown, needs one of input_path"),
    ],
)
def test_a_name_given_twice_or_with_a_wrong_point_is_refused(known, settings, said):
    with pytest.raises(SchemaError, match=said):
        parse_settings(known, settings)


def test_a_dict_that_two_functions_take_holds_what_both_accept(tmp_path):
    cells = ["pk.io.open_stxm(input_path, **reader)", "pk.io.open_4dstem(input_path, **reader)"]
    path = notebook(tmp_path / "n.ipynb", *cells, parameters="reader: dict = {}")
    shared = notebook_parameters(path)["reader"].arguments
    assert "region" not in shared
    assert "scan_shape" not in shared


def test_a_dict_that_no_function_of_phasekit_takes_is_free(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "numpy.array(**reader)", parameters="reader: dict = {}")
    assert parse_settings(notebook_parameters(path), ["reader.any=1"]) == {"reader": {"any": 1}}


def test_a_function_without_further_arguments_says_so(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "pk.samples.path(input_path, **reader)", parameters="reader: dict = {}")
    with pytest.raises(SchemaError, match=r"pk\.samples\.path takes no argument 'zone' here, and no other"):
        parse_settings(notebook_parameters(path), ["reader.zone=1"])
    assert parse_settings(notebook_parameters(path), ["reader={}"]) == {"reader": {}}
