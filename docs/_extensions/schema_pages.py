"""Pages written from the package itself: kinds of datasets, status words, errors. Nothing here names one of them."""

import inspect
import re
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from api_tables import summarise

from phasekit import errors, schema
from phasekit.io.formats import list_formats
from phasekit.io.formats.table_dialects import DIALECTS
from phasekit.io.writers import list_writers
from phasekit.workflows import list_workflows

_ROLE = re.compile(r"pk\.([\w.]+)")


def make_pages(meanings: dict[str, str]) -> dict[str, str]:
    """Text of the pages made from the package, by name; ``meanings`` explains the status words."""
    return {
        "kinds": _kinds_page(),
        "status_words": _status_page(meanings),
        "formats": _formats_page(),
        "error_classes": _errors_page(),
    }


def _as_code(endings: str) -> str:
    """Each ending as code, so that a long list can wrap."""
    return " ".join(f"`{ending}`" for ending in endings.split())


def _formats_page() -> str:
    lines = [
        "# File formats",
        "",
        "The page is written from the modules of the formats. The content of a file decides, then its ending.",
        "",
        "## Read",
        "",
        "| data | format | endings | what is kept beside the counts | dialects | function |",
        "|---|---|---|---|---|---|",
    ]
    for row in list_formats():
        endings = _as_code(row.endings) + (f" with {_as_code(row.beside)}" if row.beside else "")
        function = f"{{func}}`phasekit.io.{row.function}`"
        lines.append(f"| {row.instrument} | {row.name} | {endings} | {row.keeps} | {row.dialects} | {function} |")
    lines += ["", "## Tables of spectra", ""]
    lines += ["Read by {func}`phasekit.io.open_references` and {func}`phasekit.io.open_i0`.", ""]
    lines += ["| dialect | endings | known by | source |", "|---|---|---|---|"]
    lines += [f"| {d.name} | {_as_code(d.endings)} | {d.known_by} | {d.source} |" for d in DIALECTS]
    lines += ["", "## Written", "", "| format | endings | what is kept | functions |", "|---|---|---|---|"]
    for writer in list_writers():
        functions = ", ".join(f"{{func}}`phasekit.io.{name}`" for name in writer.functions.split(", "))
        lines.append(f"| {writer.name} | {_as_code(writer.endings)} | {writer.keeps} | {functions} |")
    return "\n".join(lines)


def status_words() -> dict[str, list[str]]:
    """Status words by the name of their enumeration."""
    found = {name: thing for name, thing in vars(errors).items() if inspect.isclass(thing)}
    codes = {name: thing for name, thing in found.items() if issubclass(thing, IntEnum) and thing is not IntEnum}
    return {name: [word.name.lower() for word in thing] for name, thing in codes.items()}


def read_meanings(path: Path) -> dict[str, str]:
    """Explanations of status words: one ``EnumName.word = sentence`` a line; a word without one is an error."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    meanings = dict(map(str.strip, line.split("=", 1)) for line in lines)
    expected = {f"{enum}.{word}" for enum, words in status_words().items() for word in words}
    if missing := expected - set(meanings):
        raise SystemExit(f"{path}: no explanation of {', '.join(sorted(missing))}; add a line for each.")
    if stale := set(meanings) - expected:
        raise SystemExit(f"{path}: explains {', '.join(sorted(stale))}, which phasekit.errors does not have.")
    return meanings


def list_kinds() -> list[schema.Schema]:
    """Kinds of ``phasekit.schema``, and those that a workflow keeps in its own folder."""
    names = [f"phasekit.{workflow.name}.schema" for workflow in list_workflows()]
    modules = [schema, *(import_module(name) for name in names if find_spec(name))]
    return [kind for module in modules for kind in vars(module).values() if isinstance(kind, schema.Schema)]


def _kinds_page() -> str:
    kinds = list_kinds()
    lines = [
        "# Kinds of datasets",
        "",
        "A public step takes and returns an `xarray.Dataset` of one of these kinds. The page is written from",
        "`phasekit.schema` and the `schema` modules of the workflows, which the steps check their input against.",
        "Dimensions are in the order they must have.",
        "A unit written as *any* is the one that the data carry.",
        "",
    ]
    for kind in sorted(kinds, key=lambda one: one.name):
        lines += [f"(kind-{kind.name.lower()})=", f"## {kind.name}", "", f"Made by {_roles(kind.made_by)}.", ""]
        lines += ["| variable | dimensions | unit | meaning | |", "|---|---|---|---|---|"]
        lines += [_kind_row(variable) for variable in kind.variables]
        lines.append("")
    return "\n".join(lines)


def _kind_row(variable: schema.Variable) -> str:
    dims = ", ".join(variable.dims) or "none (a number)"
    units = "*any*" if variable.units == schema.ANY else variable.units
    optional = "optional" if variable.optional else ""
    return f"| `{variable.name}` | {dims} | {units} | {variable.long_name} | {optional} |"


def _roles(text: str) -> str:
    """Names such as ``pk.stxm.align`` as links."""
    return _ROLE.sub(r"{func}`phasekit.\1`", text)


def _status_page(meanings: dict[str, str]) -> str:
    lines = [
        "(status-words)=",
        "# Read the status words",
        "",
        "Phase and orientation maps carry a `status`: one whole number for each pixel. So does each aligned frame.",
        "0 always means `ok`. The words",
        "stand in the attribute `flag_meanings` of the variable, in the order of the numbers in `flag_values`. The",
        "tables are written from {mod}`phasekit.errors`.",
        "",
        "```python",
        'status = phases["status"]',
        'words = dict(zip(status.attrs["flag_values"].tolist(), status.attrs["flag_meanings"].split(), strict=True))',
        'sure = phases["phase"].where(status == 0)  # only the pixels that carry no flag',
        "```",
        "",
        "A pixel gets one status: the first that holds. A weak pixel is never an exception and never an invented",
        "value: what means nothing is NaN or -1, and the second-best answer stays beside an ambiguous one.",
        "",
    ]
    for enum in status_words():
        lines += [f"## {enum}", "", getattr(errors, enum).__doc__.split("\n")[0], ""]
        lines += ["| number | word | what it says, and what to do |", "|---|---|---|"]
        lines += [f"| {number} | `{word}` | {meanings[f'{enum}.{word}']} |" for number, word in _numbered(enum)]
        lines.append("")
    return "\n".join(lines)


def _numbered(enum: str) -> list[tuple[int, str]]:
    return [(code.value, code.name.lower()) for code in getattr(errors, enum)]


def _errors_page() -> str:
    found = [
        thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, errors.PhasekitError)
    ]
    lines = [
        "# Errors",
        "",
        "An exception is for something that the caller can mend. Each says where it arose, what was found, what was",
        "needed, and a cure. Weak data are no exception: they get a [status](status_words.md).",
        "",
        "| error | when |",
        "|---|---|",
    ]
    lines += [f"| {{class}}`phasekit.errors.{one.__name__}` | {summarise(one).replace('``', '`')} |" for one in found]
    return "\n".join([*lines, ""])
