"""Pages of the API reference, written from the package's own tables of contents while the site is built.

A folder's ``__init__.pyi`` names what is public, in the order of the work; a module says it in ``__all__`` or has it in
names without an underscore. Nothing here names a function, so that one that is renamed or moved appears by itself.
"""

import ast
import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "phasekit"


class Stage(NamedTuple):
    """Public names that one stage of a workflow offers, and what the stage's module says of itself."""

    title: str
    summary: str
    names: tuple[str, ...]


def list_modules() -> list[str]:
    """Dotted names of everything the package offers (``phasekit.stxm``, ...); those with a table of contents first."""
    table = ast.parse((ROOT / PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in table.body if isinstance(node, ast.ImportFrom)]
    names = [f"{PACKAGE}.{alias.name}" for node in imports if node.module is None for alias in node.names]
    return sorted(names, key=lambda name: not _source(name).with_name("__init__.pyi").exists() or not _is_folder(name))


def read_stages(module: str) -> list[Stage]:
    """Stages of a module, in the order of its table of contents."""
    table = _source(module).with_name("__init__.pyi")
    if not _is_folder(module) or not table.exists():
        return [Stage("", "", tuple(_own_names(module)))]
    stages: dict[str, list[str]] = {}
    for node in ast.parse(table.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            stages.setdefault(node.module.split(".")[0], []).extend(alias.asname or alias.name for alias in node.names)
    return [_stage(module, part, names) for part, names in stages.items()]


def list_submodules(module: str) -> list[str]:
    """Modules that a table of contents offers as such (``from . import style``)."""
    table = _source(module).with_name("__init__.pyi")
    if not _is_folder(module) or not table.exists():
        return []
    imports = [node for node in ast.parse(table.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    return [f"{module}.{alias.name}" for node in imports if node.module is None for alias in node.names]


def list_names() -> list[str]:
    """Every public name, dotted from the package on."""
    modules = _all_modules()
    return [f"{module}.{name}" for module in modules for stage in read_stages(module) for name in stage.names]


@cache
def public_names() -> dict[str, str]:
    """Public name of every object by the place where it is defined."""
    places = {}
    for module in _all_modules():
        for stage in read_stages(module):
            for name in stage.names:
                thing = getattr(import_module(module), name)
                place = f"{getattr(thing, '__module__', module)}.{getattr(thing, '__qualname__', name)}"
                places.setdefault(place, f"{module}.{name}")
    return places


def make_pages() -> dict[str, str]:
    """Text of ``index``, of a page for every module and of a page for every name, by place in the folder."""
    modules = _all_modules()
    pages = {"index": _index_page(modules)} | {_short(module): _module_page(module) for module in modules}
    for module in modules:
        names = [name for stage in read_stages(module) for name in stage.names]
        pages |= {f"names/{_short(module)}.{name}": _name_page(module, name) for name in names}
    return pages


def summarise(thing: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("|", r"\|")


def _all_modules() -> list[str]:
    return [name for module in list_modules() for name in (module, *list_submodules(module))]


def _short(module: str) -> str:
    return module.removeprefix(PACKAGE + ".")


def _source(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _is_folder(module: str) -> bool:
    return _source(module).name == "__init__.py"


def _own_names(module: str) -> list[str]:
    """Public names of a module without a table of contents, in the order of the file."""
    tree = ast.parse(_source(module).read_text(encoding="utf-8"))
    listed = getattr(import_module(module), "__all__", None)
    made = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    names = list(listed) if listed is not None else [name for name in made if not name.startswith("_")]
    return [name for name in names if callable(getattr(import_module(module), name))]


def _stage(module: str, part: str, names: list[str]) -> Stage:
    source = _source(f"{module}.{part}")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    title = part.strip("_").replace("_", " ").capitalize()
    return Stage(title, text.split("\n\n")[0].replace("\n", " "), tuple(names))


def _index_page(modules: list[str]) -> str:
    entries = [_short(module) for module in modules]
    about = [_as_markdown(summarise(import_module(module))) for module in modules]
    rows = [f"| [{PACKAGE}.{entry}]({entry}.md) | {text} |" for entry, text in zip(entries, about, strict=True)]
    return "\n".join(
        [
            "# API reference",
            "",
            "Every public function, by workflow and stage. The pages are written from the package's tables of contents",
            "when the site is built. `import phasekit as pk` makes all of it available; nothing heavy is loaded before",
            "it is used.",
            "",
            "| module | what it holds |",
            "|---|---|",
            *rows,
            "",
            *_toctree(entries),
        ]
    )


def _module_page(module: str) -> str:
    lines = [f"# {module}", "", _as_markdown(inspect.getdoc(import_module(module)) or ""), ""]
    for stage in read_stages(module):
        if stage.title:
            lines += [f"## {stage.title}", "", _as_markdown(stage.summary), ""]
        if stage.names:
            lines += ["| name | what it does |", "|---|---|", *(_row(module, name) for name in stage.names), ""]
    names = [f"names/{_short(module)}.{name}" for stage in read_stages(module) for name in stage.names]
    return "\n".join(lines + (_toctree(names) if names else []))


def _row(module: str, name: str) -> str:
    thing = getattr(import_module(module), name)
    return f"| [`{name}`](names/{_short(module)}.{name}.md) | {_as_markdown(_line(thing))} |"


def _line(thing: object) -> str:
    return summarise(thing) if inspect.isroutine(thing) or inspect.isclass(thing) else "constant"


def _name_page(module: str, name: str) -> str:
    thing = getattr(import_module(module), name)
    lines = [f"# {name}", "", "```{eval-rst}", f".. currentmodule:: {module}", ""]
    if inspect.isclass(thing):
        lines += [f".. autoclass:: {module}.{name}", "   :members:", "   :show-inheritance:"]
    elif inspect.isroutine(thing):
        lines.append(f".. autofunction:: {module}.{name}")
    else:
        value = repr(thing)
        lines += [f".. py:data:: {module}.{name}", "   :no-index-entry:"]
        lines += [f"   :value: {value}"] if len(value) < 100 else []
    return "\n".join([*lines, "```", ""])


def _toctree(entries: list[str]) -> list[str]:
    return [":::{toctree}", ":hidden:", "", *entries, ":::", ""]


def _as_markdown(text: str) -> str:
    """Docstring text (reStructuredText) as MyST: roles and literals."""
    text = re.sub(r":(func|class|mod|attr|meth):`([^`]*)`", r"``\2``", text)
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    return re.sub(r"``([^`]*)``", r"`\1`", text)
