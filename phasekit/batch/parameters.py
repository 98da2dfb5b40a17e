"""Notebooks of the workflows, their parameters, and values for these with the types of the notebook."""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError, SchemaError
from phasekit.samples import root
from phasekit.workflows import list_workflows

from .arguments import Argument, find_calls, list_arguments
from .conditions import Condition, find_bracket, read_condition, suggest_name
from .kinds import takes_mapping

#: Notebook of every workflow, and the start page.
WORKFLOWS: dict[str, str] = {
    "start": "00_start_here.ipynb",
    **{workflow.name: workflow.notebook for workflow in list_workflows()},
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook."""

    name: str
    kind: str  # annotation in the notebook, or the type of the default
    default: Any
    help: str  # comment beside it, with its condition in brackets
    function: str = ""  # takes this dict as arguments, "pk.io.open_stxm"
    arguments: Mapping[str, Argument] | None = None  # that the function takes; None where any are allowed

    @property
    def condition(self) -> Condition | None:
        """Range or choices of the value; ``None`` where any value of its kind will do."""
        found = read_condition(self.help)
        # Words in braces that leave out the default are an example in a text, not the choices.
        is_example = found is not None and found.choices and str(self.default) not in found.choices
        return None if is_example else found


class ParameterError(SchemaError):
    """The value of one parameter that cannot be used: its name, what was found and what is needed."""

    def __init__(self, name: str, found: str, needed: str) -> None:
        self.name, self.found, self.needed = name, found, needed
        separator = ". " if needed[:1].isupper() else ", "
        super().__init__(f"parameters: {found}{separator}{needed}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Parts from which another process rebuilds the error."""
        return type(self), (self.name, self.found, self.needed)


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
        cure = suggest_name(workflow, tuple(WORKFLOWS)) or "For example: phasekit run stxm --out runs/stxm."
        raise SchemaError(
            f"find_notebook: there is no workflow '{workflow}', needs one of {', '.join(WORKFLOWS)} or an .ipynb file. "
            f"{cure}"
        )
    if not path.is_file():
        raise ReadError(path, found="no file", cure="check the path, or install phasekit again")
    return path


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Parameters of a notebook, read from its cell tagged ``parameters`` without running it.

    Parameters
    ----------
    notebook
        An ``.ipynb`` file whose parameters are assignments of literals, ``threshold: float = 0.75  # help``. At its
        end the help may state a range, ``[0 ≤ x ≤ 1]``, or choices, ``{poisson, none}``; also in a line of their own.

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
    sources = ["".join(cell["source"]) for cell in cells if cell.get("cell_type") == "code"]
    try:
        parameters = _read_assignments("".join(tagged[0]["source"]))
        return {parameter.name: _add_arguments(parameter, sources) for parameter in parameters}
    except (ValueError, SyntaxError) as error:
        cure = "assign one literal per line in that cell"
        raise ReadError(notebook, found=f"a parameters cell that cannot be read ({error})", cure=cure) from error


def _add_arguments(parameter: Parameter, sources: Sequence[str]) -> Parameter:
    """Parameter with the arguments of the function that the notebook passes it to as ``**name``."""
    if not takes_mapping(parameter.kind):
        return parameter
    calls = [call for call in find_calls(sources) if call.name == parameter.name]
    listed = [(call.function, found) for call in calls if (found := list_arguments(call)) is not None]
    if not listed:
        return parameter
    # Of several functions each must take the argument.
    function, arguments = listed[0]
    shared = {name: argument for name, argument in arguments.items() if all(name in found for _, found in listed)}
    return replace(parameter, function=function, arguments=shared)


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
        end = node.end_lineno or 1
        comment = re.search(r"\s#\s*(.*)$", lines[end - 1][node.end_col_offset or 0 :])
        text = comment.group(1).strip() if comment else ""
        # Long lists of choices have a line of their own.
        below = lines[end].lstrip("# ").strip() if end < len(lines) and lines[end].startswith("#") else ""
        if below and find_bracket(below) == below:
            text = f"{text} {below}".lstrip()
        parameters.append(Parameter(ast.unparse(target), kind or type(default).__name__, default, text))
    return parameters
