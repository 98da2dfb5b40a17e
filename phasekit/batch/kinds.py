"""Kinds of values: what an annotation allows, a value read from text, and whether a value is of a kind.

A kind is written as in Python: ``int``, ``str | None``, ``str | list[str]``, ``dict``. Names that are not known here
allow any value.
"""

import ast
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

#: Texts of the kinds that have few values; bool("false") would be True.
_WORDS: dict[str, dict[str, Any]] = {
    "bool": {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False},
    "None": {"none": None, "null": None},
}
_LISTS = ("list", "tuple", "Sequence", "Iterable", "Collection", "List", "Tuple")
_MAPPINGS = ("dict", "Mapping", "Dict")
#: Tried in this order: every text is a str, and 1 is a number before it is a yes.
_ORDER = ("None", "dict", "list", "int", "float", "bool", "Literal", "Any", "str")


class _Choice(NamedTuple):
    """One alternative of a kind."""

    name: str  # one of _ORDER
    items: tuple["_Choice", ...] = ()  # of a list; empty: any
    values: tuple[Any, ...] = ()  # of a Literal


def convert_text(kind: str, text: str) -> Any:
    """Convert a text to a value of a kind; ``ValueError`` where it cannot be one.

    Examples
    --------
    >>> convert_text("int | None", "7"), convert_text("int | None", "none"), convert_text("str | list[str]", "a,b")
    (7, None, ['a', 'b'])
    """
    choices = _parse_kind(kind)
    alone = len(choices) == 1
    # A list that cannot be read must not pass as a text.
    brackets = {"list": _is_bracketed(text), "dict": text.lstrip().startswith("{")}
    choices = tuple(choice for choice in choices if brackets.get(choice.name)) or choices
    return _convert_first(choices, text, alone=alone)


def is_of_kind(kind: str, value: Any) -> bool:
    """Whether a value is of a kind; a whole number is a float, a boolean is no number, and NaN is nothing.

    Examples
    --------
    >>> is_of_kind("float", 2), is_of_kind("int", True), is_of_kind("list[str]", ["a", 1])
    (True, False, False)
    """
    return any(_is_choice(choice, value) for choice in _parse_kind(kind))


def takes_list(kind: str) -> bool:
    """Whether a kind allows a list."""
    return any(choice.name == "list" for choice in _parse_kind(kind))


def takes_mapping(kind: str) -> bool:
    """Whether a kind allows a dict."""
    return any(choice.name == "dict" for choice in _parse_kind(kind))


def write_example(kind: str) -> str:
    """Text that :func:`convert_text` takes for a kind."""
    choice = next((choice for choice in _parse_kind(kind) if choice.name != "None"), _Choice("Any"))
    if choice.name == "Literal":
        return str(choice.values[0])
    item = choice.items[0].name if choice.items else "str"
    examples = {"int": "1", "float": "0.5", "bool": "true", "dict": '{"region": 1}'}
    lists = {"int": "3,4", "float": "515.5,516"}
    return lists.get(item, "one,two") if choice.name == "list" else examples.get(choice.name, "text")


@cache
def _parse_kind(kind: str) -> tuple[_Choice, ...]:
    """Alternatives of a kind."""
    try:
        return tuple(_read_choices(ast.parse(kind, mode="eval").body))
    except SyntaxError:
        return (_Choice("Any"),)


def _read_choices(node: ast.expr) -> Iterator[_Choice]:
    """Alternatives of an annotation's syntax tree."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _read_choices(left)
            yield from _read_choices(right)
        case ast.Constant(value=None):
            yield _Choice("None")
        case ast.Constant(value=str() as quoted):
            yield from _parse_kind(quoted)
        case ast.Subscript(value=outer, slice=inner):
            yield from _read_subscript(_last_name(outer), inner.elts if isinstance(inner, ast.Tuple) else [inner])
        case _:
            yield _Choice(_read_name(_last_name(node)))


def _read_subscript(name: str, inner: list[ast.expr]) -> Iterator[_Choice]:
    """Alternatives of ``name[inner]``."""
    if name in ("Optional", "Union"):
        for node in inner:
            yield from _read_choices(node)
        if name == "Optional":
            yield _Choice("None")
    elif name == "Literal":
        yield _Choice("Literal", values=tuple(ast.literal_eval(node) for node in inner))
    elif name in _LISTS:
        yield _Choice("list", items=tuple(_read_choices(inner[0])))
    else:
        yield _Choice(_read_name(name))


def _read_name(name: str) -> str:
    """Name of an alternative; names of types that are not known here allow any value."""
    if name in _LISTS:
        return "list"
    if name in _MAPPINGS:
        return "dict"
    return name if name in ("str", "bool", "int", "float") else "Any"


def _last_name(node: ast.expr) -> str:
    """``Sequence`` of ``collections.abc.Sequence``."""
    return ast.unparse(node).rpartition(".")[2]


def _convert_first(choices: tuple[_Choice, ...], text: str, *, alone: bool = False) -> Any:
    """Value of the first alternative that a text fits."""
    for choice in sorted(choices, key=lambda choice: _ORDER.index(choice.name)):
        try:
            return _convert_choice(choice, text, alone=alone)
        except ValueError:
            continue
    raise ValueError(text)


def _convert_choice(choice: _Choice, text: str, *, alone: bool) -> Any:
    """Value of one alternative; ``alone``: there is no other."""
    if choice.name == "str":
        return text  # as it is: a file name may look like a number
    if choice.name == "list":
        return _convert_list(choice.items, text, alone=alone)
    if choice.name in ("int", "float"):
        return _convert_number(choice.name, text)
    words = _WORDS.get(choice.name) or {str(value).lower(): value for value in choice.values}
    if words:
        return _find_value(words, text)
    return _convert_literal(choice, text)


def _convert_literal(choice: _Choice, text: str) -> Any:
    """Mapping, or a value of any kind; a text that is no literal stays one unless it begins as one."""
    if choice.name == "Any" and text.lstrip()[:1] not in ("[", "{", "(", "'", '"'):
        return _read_any(text)
    value = _read_literal(text)
    if not _is_choice(choice, value):
        raise ValueError(text)
    return value


def _find_value(values: Mapping[str, Any], text: str) -> Any:
    """Value that a text stands for."""
    if text.lower() not in values:
        raise ValueError(text)
    return values[text.lower()]


def _convert_number(name: str, text: str) -> int | float:
    """Finite number; Python's ``1_5`` is a slip of the hand here."""
    value = int(text) if name == "int" else float(text)
    if "_" in text or not _is_finite(value):
        raise ValueError(text)
    return value


def _is_finite(value: int | float) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _convert_list(items: tuple[_Choice, ...], text: str, *, alone: bool) -> list[Any]:
    """List from JSON, a Python literal or commas; one item without a comma is a list only where nothing else is."""
    if _is_bracketed(text):
        literal = _read_literal(text)
        if not isinstance(literal, list | tuple):
            raise ValueError(text)
        parts = list(literal)
    elif alone or "," in text:
        parts = [part.strip() for part in text.split(",") if part.strip()]
    else:
        raise ValueError(text)
    # Without a kind of the items they stay texts.
    values = [_convert_first(items, part) if items and isinstance(part, str) else part for part in parts]
    if not _is_choice(_Choice("list", items), values):
        raise ValueError(text)
    return values


def _is_bracketed(text: str) -> bool:
    """Whether a text is written as a list; ``[ab]*.csv`` is a glob pattern."""
    bare = text.strip()
    is_open = bare.count("[") != bare.count("]") or bare[1:2] in ("'", '"')
    return (bare.startswith("[") and (is_open or bare.endswith("]"))) or (bare.startswith("(") and bare.endswith(")"))


def _read_any(text: str) -> Any:
    """Number, boolean or None where the text is one, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _read_literal(text: str) -> Any:
    """Value from JSON or from a Python literal, never from code."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(text) from error


def _is_choice(choice: _Choice, value: Any) -> bool:
    """Whether a value is of one alternative."""
    if choice.name == "list":
        items = value if isinstance(value, list | tuple) else ()
        fits = all(not choice.items or any(_is_choice(item, part) for item in choice.items) for part in items)
        return isinstance(value, list | tuple) and fits
    if choice.name in ("int", "float"):
        numbers = int if choice.name == "int" else int | float
        return isinstance(value, numbers) and not isinstance(value, bool) and _is_finite(value)
    if choice.name == "dict":
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    if choice.name == "Literal":
        return value in choice.values
    return isinstance(value, {"None": type(None), "bool": bool, "str": str}.get(choice.name, object))
