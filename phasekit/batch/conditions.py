"""Conditions on the values of a parameter, as the comment beside it states them in brackets at its end.

``threshold: float = 0.75  # weight ratio [0 ≤ x ≤ 1]`` is a range. ``x`` is the value, and other parameters go by their
names. ``scale: str = "poisson"  # scaling of counts {poisson, none}`` are choices. A condition is parsed and never run.

Papermill reads no parameter whose line holds a second ``=``, therefore the sign ``≤``. A line of its own may hold both.
"""

import ast
import difflib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

#: The value that a condition is about.
_VALUE = "x"
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_COMPUTE: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
_KNOWN = (ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.USub, ast.Compare, ast.BinOp, ast.Load)


@dataclass(frozen=True)
class Condition:
    """What the value of a parameter must meet: a range or a list of choices."""

    text: str  # without the brackets, in ASCII
    choices: tuple[str, ...] = ()  # empty for a range
    names: frozenset[str] = frozenset()  # other parameters that a range names


def find_bracket(text: str) -> str:
    """Condition at the end of a help text, with its brackets; empty where there is none.

    Examples
    --------
    >>> find_bracket("weight ratio [0 ≤ x ≤ 1]"), find_bracket("step [nm]"), find_bracket("scaling {poisson, none}")
    ('[0 ≤ x ≤ 1]', '', '{poisson, none}')
    """
    match = re.search(r"(?:^|\s)(\[[^\[\]]*\]|\{\s*[\w.+-]+(?:\s*,\s*[\w.+-]+)+\s*\})$", text)
    if match is None:
        return ""
    bracket = match.group(1)
    return bracket if bracket.startswith("{") or _parse_range(bracket[1:-1]) is not None else ""


@cache
def read_condition(text: str) -> Condition | None:
    """Read the condition at the end of a help text; ``None`` where there is none.

    Examples
    --------
    >>> read_condition("largest number [x >= k_min + 2]").names
    frozenset({'k_min'})
    """
    bracket = find_bracket(text)
    inner = _write_ascii(bracket[1:-1].strip())
    if bracket.startswith("{"):
        return Condition(inner, choices=tuple(word.strip() for word in inner.split(",")))
    tree = _parse_range(inner)
    return Condition(inner, names=frozenset(_list_names(tree) - {_VALUE})) if tree is not None else None


def is_met(condition: Condition, value: Any, values: Mapping[str, Any]) -> bool:
    """Whether a value meets its condition; ``values`` holds those of the other parameters.

    A value that is not there, ``None``, meets every condition: its type decides. So does a value beside a parameter
    that is no number.

    Examples
    --------
    >>> condition = read_condition("[x == 0 or x > inner]")
    >>> [is_met(condition, value, {"inner": 2}) for value in (0, 1, 3)]
    [True, False, True]
    """
    if value is None:
        return True
    if condition.choices:
        return str(value) in condition.choices
    try:
        return bool(_evaluate(ast.parse(condition.text, mode="eval").body, {**values, _VALUE: value}))
    except (KeyError, TypeError):
        return True


def write_need(condition: Condition, name: str) -> str:
    """What a condition needs of the parameter ``name``, for a message.

    Examples
    --------
    >>> write_need(read_condition("[0 <= x <= 1]"), "threshold")
    'needs 0 <= threshold <= 1'
    """
    if condition.choices:
        return f"needs one of {', '.join(condition.choices)}"
    named = re.sub(rf"\b{_VALUE}\b", name.rpartition(".")[2], condition.text)
    return f"needs {named}"


def suggest_name(word: str, known: tuple[str, ...]) -> str:
    """Sentence that names the nearest known word; empty where none is near.

    Examples
    --------
    >>> suggest_name("treshold", ("seed", "threshold"))
    "Did you mean 'threshold'?"
    """
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return f"Did you mean '{lower[near[0]]}'?" if near else ""


def _write_ascii(text: str) -> str:
    """Signs of comparisons as Python has them."""
    return text.replace("≤", "<=").replace("≥", ">=").replace("≠", "!=")


def _parse_range(text: str) -> ast.expr | None:
    """Syntax tree of a range; ``None`` for any other text, such as a unit or a list."""
    try:
        tree = ast.parse(_write_ascii(text.strip()), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    is_range = all(_is_known(node) for node in ast.walk(tree)) and _VALUE in _list_names(tree)
    return tree if is_range and isinstance(tree, ast.Compare | ast.BoolOp) else None


def _is_known(node: ast.AST) -> bool:
    """Whether a part of a syntax tree may stand in a range: numbers, names, sums, comparisons."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    return isinstance(node, (*_KNOWN, ast.Name, *_COMPARE, *_COMPUTE))


def _list_names(tree: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    """Value of a syntax tree that :func:`_parse_range` let pass."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            return -_evaluate(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _COMPUTE[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.BoolOp(op=joint, values=parts):
            met = [bool(_evaluate(part, values)) for part in parts]
            return all(met) if isinstance(joint, ast.And) else any(met)
        case ast.Compare(left=left, ops=ops, comparators=others):
            terms = [_evaluate(part, values) for part in (left, *others)]
            return all(_COMPARE[type(op)](a, b) for op, a, b in zip(ops, terms[:-1], terms[1:], strict=True))
    raise TypeError(type(node).__name__)
