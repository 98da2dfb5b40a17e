"""Values of a notebook's parameters: from texts and from manifests, checked before a kernel starts."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phasekit.deprecation import renamed_arguments
from phasekit.errors import SchemaError

from .kinds import convert_text, is_of_kind, takes_list, takes_mapping, write_example
from .parameters import Parameter
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
        A text is not of that form, a name is unknown, or a value has another type. The message lists the known names.
        A name that takes one value is given twice.

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
    phasekit.errors.SchemaError: parameters: 'treshold' is unknown, needs one of threshold. Check the spelling.
    """
    pairs = []
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise SchemaError(f"parameters: got '{text}', needs name=value. Write for example threshold=0.8.")
        pairs.append((name.strip(), value))
    return convert_settings(parameters, pairs, folder=folder)


def convert_settings(
    parameters: Mapping[str, Parameter], pairs: Iterable[tuple[str, Any]], *, folder: str | os.PathLike[str] = "."
) -> dict[str, Any]:
    """Convert pairs of name and value; texts get the notebook's type, other values are checked against it."""
    given: dict[str, list[Any]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    check_names(parameters, list(given))
    values: dict[str, Any] = {}
    # Whole dicts first: `reader.region` then goes into `reader`, whatever the order on the command line.
    for name, items in sorted(given.items(), key=lambda pair: "." in pair[0]):
        base, _, key = name.partition(".")
        if not key:
            values[name] = _convert_setting(parameters[name], items, folder)
            continue
        whole = values.setdefault(base, dict(parameters[base].default or {}))
        if base in given and key in whole:
            raise SchemaError(f"parameters: '{name}' is given twice, in {base} too. Give it once.")
        whole[key] = _convert_setting(_find_argument(parameters[base], key), items, folder)
    check_values(parameters, values)
    return values


def check_names(parameters: Mapping[str, Parameter], names: Sequence[str]) -> None:
    """Refuse names that the notebook does not have; papermill would only warn and run with the default."""
    for name in names:
        base, _, key = name.partition(".")
        if name in parameters:
            continue
        if not key or base not in parameters:
            listed = ", ".join(parameters)
            raise SchemaError(f"parameters: '{name}' is unknown, needs one of {listed}. Check the spelling.")
        if not takes_mapping(parameters[base].kind):
            raise SchemaError(
                f"parameters: '{name}' is unknown; {base} is of type {parameters[base].kind} and holds no arguments. "
                f"Write {base}=VALUE."
            )
        _find_argument(parameters[base], key)


def check_values(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    """Refuse values that are not of the notebook's type, and arguments that its function does not take."""
    for name, value in values.items():
        _check_value(parameters[name], value)
        if isinstance(value, dict) and parameters[name].arguments is not None:
            for key, item in value.items():
                _check_value(_find_argument(parameters[name], key), item)


def _find_argument(parameter: Parameter, key: str) -> Parameter:
    """Argument of the function that takes a dict; any where the function is not known."""
    name = f"{parameter.name}.{key}"
    if parameter.arguments is None:
        return Parameter(name, "Any", None, "")
    if key not in parameter.arguments:
        listed = ", ".join(parameter.arguments)
        cure = f"needs one of {listed}. Check the spelling." if listed else "and no other. Leave it out."
        raise SchemaError(
            f"parameters: '{name}' is unknown: {parameter.function} takes no argument '{key}' here, {cure}"
        )
    argument = parameter.arguments[key]
    return Parameter(name, argument.kind, argument.default, argument.help)


def _convert_setting(parameter: Parameter, items: Sequence[Any], folder: str | os.PathLike[str]) -> Any:
    """Value of a parameter; several items make a list where one is allowed."""
    if len(items) > 1 and not takes_list(parameter.kind):
        listed = ", ".join(map(str, items))
        raise SchemaError(f"parameters: '{parameter.name}' is given {len(items)} times ({listed}). Give it once.")
    values = [_convert_item(parameter, item, folder) if isinstance(item, str) else item for item in items]
    if len(values) > 1:
        return [part for value in values for part in (value if isinstance(value, list) else [value])]
    return _convert_arguments(parameter, values[0]) if isinstance(values[0], dict) else values[0]


def _convert_item(parameter: Parameter, text: str, folder: str | os.PathLike[str]) -> Any:
    """Value of one text."""
    if not text and "." in parameter.name:
        raise SchemaError(f"parameters: '{parameter.name}' is empty. Leave it out, or give it a value.")
    # A file whose name holds a comma or brackets is one file.
    is_file = is_path_list(parameter.name) and text and os.path.exists(os.path.join(folder, os.path.expanduser(text)))
    if is_file and takes_list(parameter.kind):
        return text if is_of_kind(parameter.kind, text) else [text]
    try:
        return convert_text(parameter.kind, text)
    except ValueError:
        raise SchemaError(f"parameters: got {parameter.name}={text}, {_write_need(parameter)}") from None


def _convert_arguments(parameter: Parameter, value: dict[str, Any]) -> dict[str, Any]:
    """Dict whose texts are converted to the kinds of the function's arguments."""
    if parameter.arguments is None:
        return value
    converted = dict(value)
    for key, item in value.items():
        argument = _find_argument(parameter, key)
        if isinstance(item, str) and not is_of_kind(argument.kind, item):
            converted[key] = _convert_item(argument, item, ".")
    return converted


def _check_value(parameter: Parameter, value: Any) -> None:
    if is_of_kind(parameter.kind, value):
        return
    quotes = " Put a text into quotes." if is_of_kind(parameter.kind, "") else ""
    kind = type(value).__name__
    raise SchemaError(f"parameters: got {parameter.name}={value!r} of type {kind}, {_write_need(parameter)}{quotes}")


def _write_need(parameter: Parameter) -> str:
    """What a parameter needs, for a message."""
    default = parameter.default
    plain = isinstance(default, str | int | float) and default != ""
    example = f"{parameter.name}={default if plain else write_example(parameter.kind)}"
    if takes_mapping(parameter.kind) and parameter.arguments:
        name, argument = next(iter(parameter.arguments.items()))
        example = f"{parameter.name}.{name}={write_example(argument.kind)}"
    return f"needs a value of type {parameter.kind} (the default is {default!r}), as in {example}."
