"""Arguments of the functions that a notebook passes a dict to, as in ``pk.io.open_stxm(input_path, **reader)``.

Names, kinds and help come from the function's own signature and docstring, so that a new argument needs no entry here.
"""

import ast
import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from numpy.typing import ArrayLike

_PACKAGES = ("pk", "phasekit")


class Argument(NamedTuple):
    """One argument of a function."""

    kind: str  # as in ``phasekit.batch.kinds``
    default: Any
    help: str  # first sentence of the docstring


class Call(NamedTuple):
    """A call of a notebook that takes a dict, ``function(path, **name)``."""

    name: str
    function: str  # as it is written, "pk.io.open_stxm"
    given: frozenset[str]  # arguments that the notebook gives itself
    n_positional: int


def find_calls(cells: Sequence[str]) -> list[Call]:
    """Find the calls of phasekit's functions that take a dict of arguments, in the sources of the code cells.

    Examples
    --------
    >>> find_calls(["stack = pk.io.open_stxm(path, **reader)"])[0][:2]
    ('reader', 'pk.io.open_stxm')
    """
    return [call for source in cells for node in ast.walk(_parse_cell(source)) for call in _read_call(node)]


def list_arguments(call: Call) -> dict[str, Argument] | None:
    """Arguments that a call may still take; ``None`` where its function takes any or is not there.

    Examples
    --------
    >>> list(list_arguments(Call("reader", "pk.io.open_stxm", frozenset({"counter"}), 1)))[:2]
    ['entry', 'region']
    """
    function = _find_function(call.function)
    if function is None:
        return None
    parameters = list(inspect.signature(function).parameters.values())
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # a type that only type checkers import
        hints = {}
    texts = _read_docstring(inspect.getdoc(function) or "")
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {
        parameter.name: Argument(
            _write_kind(hints.get(parameter.name, Any)), parameter.default, texts.get(parameter.name, "")
        )
        for number, parameter in enumerate(parameters)
        if parameter.kind in named and number >= call.n_positional and parameter.name not in call.given
    }


def _parse_cell(source: str) -> ast.Module:
    """Syntax tree of a cell; that of a cell with IPython's own syntax is empty."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


def _read_call(node: ast.AST) -> Iterator[Call]:
    if not isinstance(node, ast.Call) or ast.unparse(node.func).partition(".")[0] not in _PACKAGES:
        return
    given = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
    for keyword in node.keywords:
        if keyword.arg is None and isinstance(keyword.value, ast.Name):
            yield Call(keyword.value.id, ast.unparse(node.func), given, len(node.args))


def _find_function(name: str) -> Callable[..., Any] | None:
    """Function of phasekit that a notebook calls ``pk.io.open_stxm``."""
    found: Any = importlib.import_module("phasekit")
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    return found if inspect.isfunction(found) else None


def _write_kind(hint: Any) -> str:
    """Kind as text: the field's arrays are numbers, paths are texts, what is not known is ``Any``."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        arrays = set(typing.get_args(ArrayLike)) if set(typing.get_args(ArrayLike)) <= set(arguments) else set()
        parts = [_write_kind(part) for part in arguments if part not in arrays]
        return " | ".join(dict.fromkeys((["float", "list[float]"] if arrays else []) + parts))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if hint is None or hint is type(None):
        return "None"
    if not isinstance(origin or hint, type):
        return "Any"
    return _write_class(origin or hint, arguments)


def _write_class(found: type, arguments: Sequence[Any]) -> str:
    """Kind of a class with its arguments, ``list[int]`` of ``Sequence[int]``."""
    name = found.__name__
    if name in ("str", "bool", "int", "float"):
        return name
    if name == "PathLike":
        return "str"
    if name in ("dict", "Mapping"):
        return "dict"
    if name in ("list", "tuple", "Sequence", "Iterable", "Collection"):
        return f"list[{_write_kind(arguments[0])}]" if arguments else "list"
    return "Any"


def _read_docstring(text: str) -> dict[str, str]:
    """First sentence of each parameter of a docstring in numpydoc's form."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-{3,}|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*)\n((?:[ ]+.*\n?|\n)+)", section.group(1) if section else "", re.MULTILINE)
    sentences = {names: re.split(r"(?<=\.)\s", " ".join(body.split()))[0] for names, body in entries}
    return {name.strip(): sentence for names, sentence in sentences.items() for name in names.split(",")}
