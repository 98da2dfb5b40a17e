"""Sizes of functions: lines, parameters, nesting, branches; and compiled functions without types."""

import ast
import re

from .source import Function, Module, Package

_BLOCKS = ast.If | ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try | ast.Match
_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
COMPILERS = {"njit", "jit", "guvectorize", "vectorize", "stencil", "cfunc"}


def function_lines(module: Module, node: Function) -> int:
    """Lines from ``def`` to the end without the docstring and decorators; blank lines and comments count."""
    lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines - module.docstring_lines)


def parameters(node: Function) -> list[ast.arg]:
    """Parameters without ``self`` and ``cls``, with ``*args`` and ``**kwargs``."""
    usual = [*node.args.posonlyargs, *node.args.args]
    if usual and usual[0].arg in ("self", "cls"):
        usual = usual[1:]
    stars = [arg for arg in (node.args.vararg, node.args.kwarg) if arg is not None]
    return [*usual, *node.args.kwonlyargs, *stars]


def nesting(node: Function) -> int:
    """Depth of if, for, while, with, try and match inside a function; ``elif`` and inner functions add nothing."""
    return max((_depth(child, 0) for child in node.body), default=0)


def _depth(node: ast.AST, depth: int) -> int:
    if isinstance(node, _SCOPES):
        return depth
    if isinstance(node, _BLOCKS):
        depth += 1
    deepest = depth
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        is_elif = isinstance(node, ast.If) and field == "orelse" and len(children) == 1
        for child in children:
            if isinstance(child, ast.AST):
                flat = is_elif and isinstance(child, ast.If)
                deepest = max(deepest, _depth(child, depth - 1 if flat else depth))
    return deepest


def complexity(node: Function) -> int:
    """Cyclomatic complexity of a function, as radon counts it, inner functions apart.

    One, plus one for each if, conditional expression, loop, ``else`` of a loop or try, handler, case, comprehension,
    condition in a comprehension, assert, and each further operand of ``and`` and ``or``.
    """
    return 1 + sum(_branches(child) for child in node.body)


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return 0
    return _own_branches(node) + sum(_branches(child) for child in ast.iter_child_nodes(node))


def _own_branches(node: ast.AST) -> int:
    match node:
        case ast.If() | ast.IfExp() | ast.Assert() | ast.Lambda() | ast.match_case():
            return 1
        case ast.For() | ast.AsyncFor() | ast.While():
            return 1 + bool(node.orelse)
        case ast.Try():
            return len(node.handlers) + bool(node.orelse)
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.BoolOp():
            return len(node.values) - 1
    return 0


def is_compiled(node: Function) -> bool:
    """Decorated by numba: ``@njit``, ``@numba.njit(...)``, ``@guvectorize(...)``, ..."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in COMPILERS:
            return True
    return False


def is_untyped(module: Module, node: Function) -> bool:
    """A parameter or the result has no annotation, or the signature carries ``type: ignore[no-untyped-def]``."""
    if node.returns is None or any(arg.annotation is None for arg in parameters(node)):
        return True
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    signature = module.text.splitlines()[first - 1 : node.body[0].lineno]
    return any(re.search(r"type:\s*ignore\[[^]]*no-untyped-def", line) for line in signature)


def compiled(package: Package) -> list[tuple[Module, Function]]:
    return [(module, node) for module, node in package.functions() if is_compiled(node)]


def untyped_compiled(package: Package) -> list[str]:
    """Places of compiled functions without types."""
    return [module.where(node) for module, node in compiled(package) if is_untyped(module, node)]


def bare_excepts(package: Package) -> list[str]:
    nodes = ((module, node) for module in package.modules for node in ast.walk(module.tree))
    return [
        f"{module.name}:{node.lineno}"
        for module, node in nodes
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def to_dos(package: Package) -> list[str]:
    """Comments that hold the words TODO, FIXME or XXX."""
    return [
        f"{module.name}:{line}"
        for module in package.modules
        for line, words in module.comments.items()
        if re.search(r"\b(TODO|FIXME|XXX)\b", words)
    ]
