"""Notebooks of the workflows, their parameters, and values for these with the types of the notebook."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasekit.deprecation import renamed_arguments
from phasekit.errors import ReadError, SchemaError
from phasekit.samples import root
from phasekit.workflows import list_workflows

#: Notebook of every workflow, and the start page.
WORKFLOWS: dict[str, str] = {
    "start": "00_start_here.ipynb",
    **{workflow.name: workflow.notebook for workflow in list_workflows()},
}

#: Texts for a boolean; bool("false") would be True.
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook."""

    name: str
    kind: str  # annotation in the notebook, or the type of the default
    default: Any
    help: str  # comment beside it


def find_notebook(workflow: str) -> Path:
    """Find the notebook of a workflow, or take the path of any notebook.

    Parameters
    ----------
    workflow
        ``start``, the name of a workflow, or the path of an ``.ipynb`` file.

    Returns
    -------
    pathlib.Path
        The notebook of the source tree when phasekit runs from one, else the installed copy.

    Raises
    ------
    SchemaError
        There is no such workflow.
    ReadError
        The notebook is not there.

    See Also
    --------
    notebook_parameters : Its parameters.

    Examples
    --------
    >>> find_notebook("nmf").name
    '02_nmf_components.ipynb'
    """
    if workflow.endswith(".ipynb"):
        path = Path(workflow)
    elif workflow in WORKFLOWS:
        path = root() / "notebooks" / WORKFLOWS[workflow]
    else:
        raise SchemaError(
            f"find_notebook: there is no workflow '{workflow}', needs one of {', '.join(WORKFLOWS)} or an .ipynb file. "
            "For example: phasekit run stxm --out runs/stxm."
        )
    if not path.is_file():
        raise ReadError(path, found="no file", cure="check the path, or install phasekit again")
    return path


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Parameters of a notebook, read from its cell tagged ``parameters`` without running it.

    Parameters
    ----------
    notebook
        An ``.ipynb`` file whose parameters are assignments of literals, ``threshold: float = 0.75  # help``.

    Returns
    -------
    dict of str to Parameter
        In the order of the cell.

    Raises
    ------
    ReadError
        The file is not a notebook, has no such cell, or a value there is not a literal.

    See Also
    --------
    parse_settings : Values for them from texts.

    Examples
    --------
    >>> notebook_parameters(find_notebook("start"))["interactive"].default
    True
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(notebook, found="a file that is no notebook", cure="give an .ipynb file") from error
    # The tag is papermill's: it puts the values of a run behind this cell.
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        raise ReadError(notebook, found="no cell tagged 'parameters'", cure="tag the cell that holds the parameters")
    source = "".join(tagged[0]["source"])
    try:
        return {parameter.name: parameter for parameter in _read_assignments(source)}
    except (ValueError, SyntaxError) as error:
        cure = "assign one literal per line in that cell"
        raise ReadError(notebook, found=f"a parameters cell that cannot be read ({error})", cure=cure) from error


@renamed_arguments(known="parameters")
def parse_settings(parameters: Mapping[str, Parameter], settings: Sequence[str]) -> dict[str, Any]:
    """Convert ``name=value`` texts to values with the types of the notebook.

    Parameters
    ----------
    parameters
        Parameters of the notebook, by name.
    settings
        ``name=value`` each. Lists are written as JSON or with commas, ``k=2,3,4``; booleans as true or false.

    Returns
    -------
    dict
        Value by name.

    Raises
    ------
    SchemaError
        A text is not of that form, a name is unknown, or a value has another type. The message lists the known names.

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
    values: dict[str, Any] = {}
    for text in settings:
        name, separator, value = text.partition("=")
        if not separator:
            raise SchemaError(f"parameters: got '{text}', needs name=value. Write for example threshold=0.8.")
        check_names(parameters, [name])
        values[name] = _convert_setting(parameters[name], value)
    return values


def check_names(parameters: Mapping[str, Parameter], names: Sequence[str]) -> None:
    """Refuse names that the notebook does not have; papermill would only warn and run with the default."""
    for name in names:
        if name not in parameters:
            listed = ", ".join(parameters)
            raise SchemaError(f"parameters: '{name}' is unknown, needs one of {listed}. Check the spelling.")


def _read_assignments(source: str) -> list[Parameter]:
    """Parameters of a cell's source, which is parsed and never run."""
    lines, parameters = source.splitlines(), []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        default = ast.literal_eval(node.value)
        # The syntax tree has no comments: the rest of the line after the value is read as text.
        comment = re.search(r"\s#\s*(.*)$", lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :])
        text = comment.group(1) if comment else ""
        parameters.append(Parameter(ast.unparse(target), kind or type(default).__name__, default, text))
    return parameters


def _convert_setting(parameter: Parameter, text: str) -> Any:
    """Value of a parameter; of a union such as ``int | None`` the first type that is not None."""
    choices = [choice.strip() for choice in parameter.kind.split("|")]
    if "None" in choices and text.lower() in ("none", "null"):
        return None
    kind = next(choice for choice in choices if choice != "None")
    try:
        return _convert_text(kind, text)
    except ValueError:
        raise SchemaError(
            f"parameters: got {parameter.name}={text}, needs a value of type {parameter.kind} "
            f"(the default is {parameter.default!r}), as in {parameter.name}={parameter.default}."
        ) from None


def _convert_text(kind: str, text: str) -> Any:
    """Value of a type written as text; ``ValueError`` where it cannot be one."""
    # Texts stay as they are: a file name may look like a number.
    if kind == "str":
        return text
    if kind == "bool":
        if text.lower() not in _BOOLEANS:
            raise ValueError(text)
        return _BOOLEANS[text.lower()]
    if kind in ("int", "float"):
        return int(text) if kind == "int" else float(text)
    base, _, inner = kind.partition("[")
    # Any other annotation takes a Python literal, never code.
    if base not in ("list", "tuple"):
        return ast.literal_eval(text)
    # Commas are short to type in a shell, JSON can hold a comma inside an item.
    items = json.loads(text) if text.lstrip().startswith("[") else [part for part in text.split(",") if part]
    inner = inner.rstrip("]").split(",")[0]
    return [_convert_text(inner, item) if inner and isinstance(item, str) else item for item in items]
