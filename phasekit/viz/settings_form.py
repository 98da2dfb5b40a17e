"""A form for the parameters of a workflow, which writes them as a list of jobs for ``phasekit batch``."""

import os
from pathlib import Path
from typing import Any

from phasekit.batch import Parameter, find_notebook, notebook_parameters
from phasekit.batch.paths import make_absolute
from phasekit.batch.settings import check_names, check_values
from phasekit.errors import SchemaError

from .setup import is_interactive

# A batch has no screen, and gives each row a folder of its own.
_SET_BY_A_RUN = ("interactive", "output_dir")


class SettingsForm:
    """Fields for the parameters of a workflow, with the help text of each; without a screen a plain list.

    Parameters
    ----------
    workflow
        Name of a workflow, or the path of a notebook.
    given
        Values to begin with, such as ``input_path="scan.hspy"``; the others are those of the notebook.

    Attributes
    ----------
    values
        All parameters, checked.

    Raises
    ------
    SchemaError
        There is no such workflow or parameter, or a value has another type.

    See Also
    --------
    phasekit.batch.run_manifest : Runs the file that is written.

    Examples
    --------
    >>> import phasekit as pk
    >>> pk.viz.setup(interactive=False)
    >>> form = SettingsForm("virtual", input_path="scan.hspy", bright_field=0.1)
    >>> print(form.as_yaml(), end="")
    - workflow: virtual
      input_path: scan.hspy
      bright_field: 0.1
    """

    def __init__(self, workflow: str, **given: Any) -> None:
        declared = notebook_parameters(find_notebook(workflow))
        self.workflow = workflow
        self._declared = {name: one for name, one in declared.items() if name not in _SET_BY_A_RUN}
        check_names(self._declared, list(given))
        check_values(self._declared, given)
        self._start = {name: one.default for name, one in self._declared.items()} | given
        self._fields: dict[str, Any] = {}
        if is_interactive():
            self._fields = {name: _make_field(one, self._start[name]) for name, one in self._declared.items()}

    @property
    def values(self) -> dict[str, Any]:
        """All parameters, as plain values; a field with a wrong entry is refused with what it needs."""
        values = {name: _read_field(self._declared[name], field) for name, field in self._fields.items()}
        check_values(self._declared, values)
        return values or dict(self._start)

    def as_yaml(self, *, absolute: bool = False) -> str:
        """List of one job: the parameters that differ from those of the notebook, as ``phasekit batch`` reads them.

        ``absolute``: paths are those of this machine, counted from the current directory.
        """
        import yaml

        changed = {name: value for name, value in self.values.items() if value != self._declared[name].default}
        changed = make_absolute(self._declared, changed) if absolute else changed
        return str(yaml.safe_dump([{"workflow": self.workflow, **changed}], sort_keys=False, allow_unicode=True))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write :meth:`as_yaml` with absolute paths to a file, which appears when it is complete."""
        target = Path(path)
        if target.suffix not in (".yaml", ".yml"):
            raise SchemaError(f"SettingsForm.save: '{target.name}' does not end in .yaml. Give such a name.")
        text = self.as_yaml(absolute=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed at the end, so that no batch reads half a file.
        partial = target.with_name(f".{target.name}.part")
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, target)
        return target

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if not self._fields:
            display(HTML(self._list_values()))  # type: ignore[no-untyped-call]
            return
        import ipywidgets  # type: ignore[import-untyped]

        rows = [
            ipywidgets.HBox([field, ipywidgets.Label(self._declared[name].help)])
            for name, field in self._fields.items()
        ]
        display(ipywidgets.VBox(rows))  # type: ignore[no-untyped-call]

    def _list_values(self) -> str:
        from html import escape

        rows = (
            f"<tr><td>{escape(name)}</td><td>{escape(repr(value))}</td><td>{escape(self._declared[name].help)}</td></tr>"
            for name, value in self.values.items()
        )
        return "<table><tr><th>parameter</th><th>value</th><th>meaning</th></tr>" + "".join(rows) + "</table>"


def _make_field(parameter: Parameter, value: Any) -> Any:
    """Field that suits the type; lists and dicts are written as YAML in a line."""
    import ipywidgets
    import yaml

    look = {"description": parameter.name, "style": {"description_width": "11em"}, "tooltip": parameter.help}
    # Before the whole numbers: a bool is an int, too.
    if isinstance(value, bool):
        return ipywidgets.Checkbox(value=value, indent=True, **look)
    if isinstance(value, int):
        return ipywidgets.IntText(value=value, **look)
    if isinstance(value, float):
        return ipywidgets.FloatText(value=value, **look)
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    return ipywidgets.Text(value=text, continuous_update=False, **look)


def _read_field(parameter: Parameter, field: Any) -> Any:
    """Value of a field; a text is YAML where the parameter is a list or a dict."""
    import yaml

    if not isinstance(field.value, str):
        return field.value
    text = field.value.strip()
    # YAML would read a text such as `no` or `1` as another type.
    if not text.startswith(("[", "{")):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise SchemaError(
            f"SettingsForm: '{parameter.name}' is {text!r}, needs a list like [a, b] or pairs like {{name: value}}."
        ) from None
