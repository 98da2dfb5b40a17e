"""Manifests as a list of mappings, and shared parameters as one mapping: YAML and JSON."""

import json
import re
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError

from .entries import Entry

#: Numbers as JSON and YAML 1.2 have them. YAML 1.1 reads 010 as 8, 1:30 as 90 and 1e-3 as a text.
_WHOLE = re.compile(r"^[-+]?[0-9]+$")
_DECIMAL = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


def read_list(file: Path, text: str) -> list[Entry]:
    """Entries of a list; a value ``null`` is not given, all others keep their type."""
    rows = _parse(file, text)
    if not isinstance(rows, list):
        found = "no row" if rows is None else f"a {type(rows).__name__}"
        raise ReadError(file, found=found, cure="write a list of jobs, each starting with '- '")
    if not rows:
        raise ReadError(file, found="a list without a row", cure="write an entry for each run")
    return [_make_entry(number, row) for number, row in enumerate(rows, start=1)]


def read_mapping(file: Path, text: str) -> dict[str, Any]:
    """Parameters that all rows share, ``name: value``."""
    values = _parse(file, text)
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        cure = "write one 'name: value' a line"
        raise ReadError(file, found=f"a {type(values).__name__} and no mapping of names", cure=cure)
    return {name: value for name, value in values.items() if value is not None}


def _make_entry(number: int, row: Any) -> Entry:
    if not isinstance(row, dict):
        needed = "Needs 'name: value' for the workflow and its parameters."
        return Entry(number, {}, 0, (f"{row!r}, no mapping", needed))
    wrong = [name for name in row if not isinstance(name, str)]
    if wrong:
        return Entry(number, {}, 0, (f"the name {wrong[0]!r}", "Needs names that are texts: put it into quotes."))
    return Entry(number, {name.strip(): value for name, value in row.items() if value is not None})


def _parse(file: Path, text: str) -> Any:
    """Value of a text in JSON, else in YAML."""
    try:
        if file.suffix.lower() == ".json":
            try:
                return json.loads(text, object_pairs_hook=_make_dict)
            except json.JSONDecodeError:
                pass  # with trailing commas or single quotes it is YAML
        return _parse_yaml(file, text)
    except _TwiceError as error:
        raise ReadError(file, found=f"the name '{error}' twice in one entry", cure="give each value once") from error
    except RecursionError as error:
        raise ReadError(file, found="lists inside lists, too deep", cure="write one mapping for each run") from error
    except ValueError as error:  # a number of more digits than Python reads
        raise ReadError(file, found=f"a value that cannot be read ({error})", cure="shorten the number") from error


def _parse_yaml(file: Path, text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, Loader=_make_loader())  # made from the safe loader
    except yaml.YAMLError as error:
        raise ReadError(
            file,
            found=f"text that is not YAML ({' '.join(str(error).split())})",
            cure="indent with spaces, two per level, and quote texts that hold a colon",
        ) from error


class _TwiceError(Exception):
    """A name that stands twice in one mapping; the later value would win in silence."""


def _make_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Mapping from JSON's pairs."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise _TwiceError(name)
        made[name] = value
    return made


def _make_loader() -> Any:
    """YAML's safe loader with the numbers of YAML 1.2, which refuses a name that stands twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise _TwiceError(twice)
            return super().construct_mapping(node, deep=deep)

    numbers = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in numbers]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(numbers[0], _WHOLE, list("-+0123456789"))
    Loader.add_implicit_resolver(numbers[1], _DECIMAL, list("-+.0123456789"))
    Loader.add_constructor(numbers[0], lambda loader, node: int(loader.construct_scalar(node)))
    return Loader
