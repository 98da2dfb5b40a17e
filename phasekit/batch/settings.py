"""Values of a notebook's parameters: from texts and from manifests, checked before a kernel starts."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from phasekit.deprecation import renamed_arguments
from phasekit.errors import ReadError, SchemaError

from .conditions import is_met, suggest_name, write_need
from .kinds import convert_text, is_of_kind, takes_list, takes_mapping, write_example
from .parameters import Parameter, ParameterError, find_notebook, notebook_parameters
from .paths import is_path_list


@renamed_arguments(known="parameters")
def parse_settings(
    parameters: Mapping[str, Parameter], settings: Sequence[str], *, folder: str | os.PathLike[str] = "."
) -> dict[str, Any]:
    """Convert ``name=value`` texts to values with the types of the notebook.

    Parameters
    ----------
    parameters
        Parameters of the notebook, by name.
    settings
        ``name=value`` each. Lists are written as JSON, with commas (``k=2,3,4``) or by giving the name several times;
        booleans as true or false. ``reader.region=1`` sets one argument in the dict ``reader``.
    folder
        Folder from which relative paths count. A file there whose name holds a comma is one item of a list.

    Returns
    -------
    dict
        Value by name.

    Raises
    ------
    SchemaError
        A text is not of that form, a name is unknown, a value has another type, or does not meet its range or choices.
        The message lists the known names. A name that takes one value is given twice.

    See Also
    --------
    notebook_parameters : The parameters.

    Examples
    --------
    >>> parameters = {"threshold": Parameter("threshold", "float", 0.75, "")}
    >>> parse_settings(parameters, ["threshold=0.8"])
    {'threshold': 0.8}
    >>> parse_settings(parameters, ["treshold=0.8"])
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: parameters: 'treshold' is unknown, needs one of threshold. Did you mean 'threshold'?
    """
    return convert_settings(parameters, split_settings(settings), folder=folder)


def split_settings(settings: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of name and value from texts ``name=value``."""
    pairs = []
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise SchemaError(f"parameters: got '{text}', needs name=value. Write for example threshold=0.8.")
        pairs.append((name.strip(), value))
    return pairs


def convert_settings(
    parameters: Mapping[str, Parameter], pairs: Iterable[tuple[str, Any]], *, folder: str | os.PathLike[str] = "."
) -> dict[str, Any]:
    """Convert pairs of name and value; texts get the notebook's type, other values are checked against it."""
    values, errors = collect_settings(parameters, pairs, folder=folder)
    for error in errors:
        raise SchemaError(str(error))
    check_values(parameters, values)
    return values


def collect_settings(
    parameters: Mapping[str, Parameter], pairs: Iterable[tuple[str, Any]], *, folder: str | os.PathLike[str] = "."
) -> tuple[dict[str, Any], list[ParameterError]]:
    """Values that could be converted, and an error for each other pair; types and ranges are not checked here."""
    given: dict[str, list[Any]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    errors = list(find_unknown_names(parameters, given))
    unknown = {error.name for error in errors}
    values: dict[str, Any] = {}
    # Whole dicts first: `reader.region` then goes into `reader`, whatever the order on the command line.
    for name, items in sorted(given.items(), key=lambda pair: "." in pair[0]):
        if name in unknown:
            continue
        try:
            if "." in name:
                _add_argument(parameters, values, given, name, folder)
            else:
                values[name] = _convert_setting(parameters[name], items, folder)
        except ParameterError as error:
            errors.append(error)
    return values, errors


def _add_argument(
    parameters: Mapping[str, Parameter], values: dict[str, Any], given: Mapping[str, list[Any]], name: str, folder: Any
) -> None:
    """Put a converted argument, ``reader.region``, into its dict among the values."""
    base, _, key = name.partition(".")
    whole = values.get(base, parameters[base].default or {})
    if not isinstance(whole, dict):
        raise ParameterError(name, f"'{name}' is given beside {base}={whole!r}", "Give one of the two.")
    if base in given and key in whole:
        raise ParameterError(name, f"'{name}' is given twice, in {base} too", "Give it once.")
    values[base] = {**whole, key: _convert_setting(_find_argument(parameters[base], key), given[name], folder)}


def check_names(parameters: Mapping[str, Parameter], names: Sequence[str]) -> None:
    """Refuse names that the notebook does not have; papermill would only warn and run with the default."""
    for error in find_unknown_names(parameters, names):
        raise SchemaError(str(error))


def find_unknown_names(parameters: Mapping[str, Parameter], names: Iterable[str]) -> Iterator[ParameterError]:
    """Error of each name that the notebook does not have."""
    for name in names:
        base, _, key = name.partition(".")
        if name in parameters:
            continue
        if not key or base not in parameters:
            cure = suggest_name(base, tuple(parameters)) or "Check the spelling."
            yield ParameterError(name, f"'{name}' is unknown", f"needs one of {', '.join(parameters)}. {cure}")
        elif not takes_mapping(parameters[base].kind):
            found = f"'{name}' is unknown; {base} is of type {parameters[base].kind} and holds no arguments"
            yield ParameterError(name, found, f"Write {base}=VALUE.")
        else:
            yield from _find_unknown_argument(parameters[base], key)


def _find_unknown_argument(parameter: Parameter, key: str) -> Iterator[ParameterError]:
    try:
        _find_argument(parameter, key)
    except ParameterError as error:
        yield error


def check_values(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    """Refuse values that are not of the notebook's type, out of their range, or no argument of its function."""
    for error in (*find_wrong_types(parameters, values), *find_unmet_conditions(parameters, values)):
        raise SchemaError(str(error))


def find_wrong_types(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> Iterator[ParameterError]:
    """Error of each value that has another type than the notebook states, also inside the dicts."""
    for name, value in values.items():
        yield from _check_type(parameters[name], value)


def find_unmet_conditions(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> Iterator[ParameterError]:
    """Error of each value that is out of its range or none of its choices."""
    everything = {name: parameter.default for name, parameter in parameters.items()} | dict(values)
    for name, parameter in parameters.items():
        condition = parameter.condition
        # A range may name other parameters: when one of these is given, it is asked as well.
        if condition is None or not ({name} | condition.names) & values.keys():
            continue
        if not is_met(condition, everything[name], everything):
            others = "".join(f", {other}={everything[other]!r}" for other in sorted(condition.names))
            near = suggest_name(str(everything[name]), condition.choices)
            found = f"got {name}={everything[name]!r}{others}"
            yield ParameterError(name, found, f"{write_need(condition, name)}. {near}".rstrip())


def check_parameters(workflow: str, values: Mapping[str, Any]) -> None:
    """Check the parameters of a running notebook: types, ranges and choices as its parameters cell states them.

    Parameters
    ----------
    workflow
        Name of a workflow, or the path of a notebook.
    values
        Value by name. Names that are no parameters of the notebook are passed over: ``globals()`` will do. Without an
        installed notebook nothing is checked.

    Raises
    ------
    SchemaError
        A value has another type, is out of its range or none of the choices.

    See Also
    --------
    notebook_parameters : What is stated beside the parameters.

    Examples
    --------
    >>> check_parameters("stxm", {"min_confidence": 7})
    Traceback (most recent call last):
    ...
    phasekit.errors.SchemaError: parameters: got min_confidence=7, needs 0 <= min_confidence <= 1.
    """
    try:
        parameters = notebook_parameters(find_notebook(workflow))
    except ReadError:  # the notebooks were not installed
        return
    given = {name: value for name, value in values.items() if name in parameters}
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in given.items()}
    check_values(parameters, plain)


def _find_argument(parameter: Parameter, key: str) -> Parameter:
    """Argument of the function that takes a dict; any where the function is not known."""
    name = f"{parameter.name}.{key}"
    if parameter.arguments is None:
        return Parameter(name, "Any", None, "")
    if key not in parameter.arguments:
        cure = suggest_name(key, tuple(parameter.arguments)) or "Check the spelling."
        needed = f"needs one of {', '.join(parameter.arguments)}. {cure}" if parameter.arguments else ""
        found = f"'{name}' is unknown: {parameter.function} takes no argument '{key}' here"
        raise ParameterError(name, found, needed or "and no other. Leave it out.")
    argument = parameter.arguments[key]
    return Parameter(name, argument.kind, argument.default, argument.help)


def _convert_setting(parameter: Parameter, items: Sequence[Any], folder: str | os.PathLike[str]) -> Any:
    """Value of a parameter; several items make a list where one is allowed."""
    if len(items) > 1 and not takes_list(parameter.kind):
        found = f"'{parameter.name}' is given {len(items)} times ({', '.join(map(str, items))})"
        raise ParameterError(parameter.name, found, "Give it once.")
    values = [_convert_item(parameter, item, folder) if isinstance(item, str) else item for item in items]
    if len(values) > 1:
        return [part for value in values for part in (value if isinstance(value, list) else [value])]
    return _convert_arguments(parameter, values[0]) if isinstance(values[0], dict) else values[0]


def _convert_item(parameter: Parameter, text: str, folder: str | os.PathLike[str]) -> Any:
    """Value of one text."""
    if not text and "." in parameter.name:
        raise ParameterError(parameter.name, f"'{parameter.name}' is empty", "Leave it out, or give it a value.")
    # A file whose name holds a comma or brackets is one file.
    is_file = is_path_list(parameter.name) and text and os.path.exists(os.path.join(folder, os.path.expanduser(text)))
    if is_file and takes_list(parameter.kind):
        return text if is_of_kind(parameter.kind, text) else [text]
    try:
        return convert_text(parameter.kind, text)
    except ValueError:
        raise ParameterError(parameter.name, f"got {parameter.name}={text}", _write_type(parameter)) from None


def _convert_arguments(parameter: Parameter, value: dict[str, Any]) -> dict[str, Any]:
    """Dict whose texts are converted to the kinds of the function's arguments; what cannot be is left for the check."""
    converted = dict(value)
    for key, argument in (parameter.arguments or {}).items():
        item = value.get(key)
        if isinstance(item, str) and not is_of_kind(argument.kind, item):
            with contextlib.suppress(ValueError):
                converted[key] = convert_text(argument.kind, item)
    return converted


def _check_type(parameter: Parameter, value: Any) -> Iterator[ParameterError]:
    """Errors of a value of another type, and of the arguments in a dict."""
    if not is_of_kind(parameter.kind, value):
        is_text = is_of_kind(parameter.kind, "") and not isinstance(value, list | dict)
        quotes = " Put a text into quotes." if is_text else ""
        found = f"got {parameter.name}={value!r} of type {type(value).__name__}"
        yield ParameterError(parameter.name, found, f"{_write_type(parameter)}{quotes}")
    elif isinstance(value, dict) and parameter.arguments is not None:
        for key, item in value.items():
            try:
                yield from _check_type(_find_argument(parameter, key), item)
            except ParameterError as error:
                yield error


def _write_type(parameter: Parameter) -> str:
    """Type that a parameter needs, for a message."""
    default = parameter.default
    plain = isinstance(default, str | int | float) and default != ""
    example = f"{parameter.name}={default if plain else write_example(parameter.kind)}"
    if takes_mapping(parameter.kind) and parameter.arguments:
        name, argument = next(iter(parameter.arguments.items()))
        example = f"{parameter.name}.{name}={write_example(argument.kind)}"
    return f"needs a value of type {parameter.kind} (the default is {default!r}), as in {example}."
