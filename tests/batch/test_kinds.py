"""Values are what the annotation says, from text and from Python; what is doubtful is refused."""

import typing
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

import phasekit as pk
from phasekit.batch import arguments
from phasekit.batch.arguments import Call, find_calls, list_arguments
from phasekit.batch.kinds import convert_text, is_of_kind, takes_list, takes_mapping, write_example

LIST = "str | list[str]"
GOOD = [
    ("int", "-3", -3),
    ("int", "0", 0),
    ("int", " 7 ", 7),
    ("int", "9" * 400, int("9" * 400)),
    ("float", "-1e-3", -1e-3),
    ("float", "2", 2.0),
    ("bool", "Yes", True),
    ("bool", "0", False),
    ("str", "", ""),
    ("str", "none", "none"),
    ("str", "a=b=c", "a=b=c"),
    ("str", r"C:\new\table.csv", r"C:\new\table.csv"),
    ("str", "1-3", "1-3"),
    ("str", "Größe 3 µm", "Größe 3 µm"),
    ("str | None", "None", None),
    ("int | None", "null", None),
    ("Optional[int]", "none", None),
    ("Union[int, str]", "7", 7),
    ("int | str", "7", 7),
    ("str | int", "7", 7),
    ("bool | int", "1", 1),
    ("list", "a, b ,c,", ["a", "b", "c"]),
    ("list", "", []),
    ("list[int]", "3,-4", [3, -4]),
    ("list[int]", "(3, 4)", [3, 4]),
    ("tuple[int, int]", "3,4", [3, 4]),
    ("Sequence[float]", "[1, 2.5]", [1, 2.5]),
    ("list[str]", '["a,b", "c d"]', ["a,b", "c d"]),
    ("list[str]", "['a', 'b']", ["a", "b"]),
    ("list[str]", "[ab]*.csv", ["[ab]*.csv"]),
    (LIST, "one", "one"),
    (LIST, "one,two", ["one", "two"]),
    (LIST, '["one"]', ["one"]),
    (LIST, "(copy).csv", "(copy).csv"),
    (LIST, "", ""),
    ("float | list[float] | None", "512", 512.0),
    ("float | list[float] | None", "512,515.5", [512.0, 515.5]),
    ("dict", '{"a": [1, null, true]}', {"a": [1, None, True]}),
    ("dict", "{'a': None}", {"a": None}),
    ("dict[str, int]", "{}", {}),
    ("str | int | list[int] | dict", "auto", "auto"),
    ("str | int | list[int] | dict", '{"scan_x": 4}', {"scan_x": 4}),
    ("Literal['adaptive', 'published']", "Published", "published"),
    ("Any", "7", 7),
    ("Any", "entry2", "entry2"),
    ("numpy.ndarray", "[1, 2]", [1, 2]),
    ("NoneType", "True", True),
    ("not a type", "word", "word"),
]
BAD = [
    ("int", ""),
    ("int", "1.0"),
    ("int", "1_0"),
    ("int", "1-3"),
    ("int", "none"),
    ("int", "9" * 9999),
    ("float", "nan"),
    ("float", "-inf"),
    ("float", "1e999"),
    ("float", "0,5"),
    ("bool", "maybe"),
    ("bool", ""),
    ("int | None", "nothing"),
    ("list[int]", "1,b"),
    ("list[int]", "512:523"),
    ("list[int]", "[1, 2"),
    ("list[int]", "[1.5]"),
    ("list[str]", "[1, 2]"),
    ("list[str]", '["a'),
    ("list[str]", r'["C:\data"]'),
    ("list", "(1)"),
    (LIST, "[a.csv,b.csv]"),
    (LIST, "[1]"),
    ("dict", ""),
    ("dict", "none"),
    ("dict", "[1]"),
    ("dict", "{a: 1}"),
    ("dict", "{1: 2}"),
    ("dict", "__import__('os').getcwd()"),
    ("str | dict", "{a"),
    ("Any", "[1,"),
    ("Literal['adaptive', 'published']", "fast"),
]


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_a_text_becomes_a_value_of_its_kind(kind, text, value):
    found = convert_text(kind, text)
    assert found == value
    assert type(found) is type(value)
    assert is_of_kind(kind, found)


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_a_text_of_another_kind_is_refused(kind, text):
    with pytest.raises(ValueError):  # noqa: PT011 -- the caller writes the message
        convert_text(kind, text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", True),
        ("int", 1.0),
        ("float", "1"),
        ("float", float("nan")),
        ("bool", 1),
        ("str", 3),
        ("str", None),
        ("list[str]", "abc"),
        ("list[int]", [1, "2"]),
        (LIST, [1]),
        (LIST, {"a": 1}),
        ("dict", {1: 2}),
        ("dict", []),
        ("Literal['a']", "b"),
    ],
)
def test_a_value_of_another_kind_is_told(kind, value):
    assert not is_of_kind(kind, value)


@pytest.mark.parametrize(
    "kind", ["int", "float | None", "bool", "str", LIST, "list[int] | None", "dict", "Literal['x', 'y']", "list[float]"]
)
def test_the_example_of_a_message_can_be_typed(kind):
    assert is_of_kind(kind, convert_text(kind, write_example(kind)))


def test_lists_and_dicts_are_known():
    assert all(takes_list(kind) for kind in ("list", LIST, "Iterable[str]"))
    assert not any(takes_list(kind) for kind in ("str", "dict", "int | None"))
    assert all(takes_mapping(kind) for kind in ("dict", "Mapping[str, int] | None"))
    assert not takes_mapping("list")


@given(st.text())
def test_any_text_gives_a_value_or_a_refusal(text):
    for kind in ("int", "float | None", LIST, "dict", "list[float] | str", "Any", "bool"):
        try:
            assert is_of_kind(kind, convert_text(kind, text))
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (int, "int"),
        (str | None, "str | None"),
        (float | None, "float | None"),
        (ArrayLike | None, "float | list[float] | None"),
        (ArrayLike, "float | list[float]"),
        (Sequence[int] | None, "list[int] | None"),
        (str | Iterable[str], "str | list[str]"),
        (str | PathLike[str], "str"),
        (Mapping[str, int], "dict"),
        (tuple[int, int], "list[int]"),
        (typing.Literal["a", 2], "Literal['a', 2]"),
        (None, "None"),
        (object, "Any"),
        ("unresolved", "Any"),
        (typing.TypeVar("T"), "Any"),
    ],
)
def test_an_annotation_is_written_as_a_kind(hint, kind, monkeypatch):
    def opener(path, *, option=None):
        """Open."""

    opener.__annotations__["option"] = hint
    monkeypatch.setattr(pk.io, "open_anything", opener, raising=False)
    found = list_arguments(Call("reader", "pk.io.open_anything", frozenset(), 1))
    assert found["option"].kind == kind


def test_calls_are_found_in_any_cell():
    cells = [
        "%matplotlib inline",
        "def of(path):\n    return pk.io.open_stxm(path, region=1, **reader)",
        "phasekit.io.open_4dstem(a, **other); print(**reader); numpy.array(1, **reader); pk.io.load(*a)",
    ]
    assert find_calls(cells) == [
        Call("reader", "pk.io.open_stxm", frozenset({"region"}), 1),
        Call("other", "phasekit.io.open_4dstem", frozenset(), 1),
    ]


@pytest.mark.parametrize("name", ["pk.io.nothing", "pk.nothing.at.all", "pk.schema.STACK", "pk.io"])
def test_what_is_no_function_of_phasekit_is_not_checked(name):
    assert list_arguments(Call("reader", name, frozenset(), 1)) is None


def test_arguments_that_the_notebook_gives_are_left_out():
    taken = list_arguments(Call("reader", "pk.io.open_stxm", frozenset({"region"}), 1))
    assert "region" not in taken
    assert "path" not in taken
    assert "path" in list_arguments(Call("reader", "pk.io.open_stxm", frozenset(), 0))


def test_a_function_that_takes_any_argument_is_not_checked(monkeypatch):
    def opener(path, **options):
        """Open."""

    monkeypatch.setattr(pk.io, "open_anything", opener, raising=False)
    assert list_arguments(Call("reader", "pk.io.open_anything", frozenset(), 1)) is None


def test_help_is_the_first_sentence_of_each_entry():
    text = "Open.\n\nParameters\n----------\npath\n    File. More.\na, b\n    Two\n    lines.\n\n"
    text += "Returns\n-------\nx\n    No.\n"
    assert arguments._read_docstring(text) == {"path": "File.", "a": "Two lines.", "b": "Two lines."}
    assert arguments._read_docstring("Open.") == {}
