"""Notebooks as pages: executed without widgets, as `phasekit run` does it, and made ready for the site."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

_TIME_LIMIT_S = 1200
_NOTE = (
    "```{note}\nThis page is the notebook [`%s`](%s), executed without a screen: where JupyterLab shows sliders, a "
    "figure stands still here. Open it with `make lab` to move them.\n```"
)
_REPOSITORY = "https://github.com/phasekit/phasekit/blob/main/notebooks/"


def execute(notebook: Path, kept: Path) -> None:
    """Run a notebook with ``interactive=False`` on the bundled samples; result and files go to ``kept``."""
    import papermill

    from phasekit.batch import notebook_parameters

    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    known = notebook_parameters(notebook)
    wishes = {"interactive": False, "output_dir": str(kept / "files")}
    papermill.execute_notebook(
        str(notebook),
        str(kept / notebook.name),
        parameters={name: value for name, value in wishes.items() if name in known},
        kernel_name=_kernel(),
        language="python",
        cwd=str(notebook.parent),
        progress_bar=False,
        execution_timeout=_TIME_LIMIT_S,
        start_timeout=180,
    )


def prepare(shown: Path, source: Path) -> str:
    """Notebook text for the site: no machine paths, no progress bars, alt text where the site looks for it."""
    notebook = json.loads(shown.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if "injected-parameters" not in cell["metadata"].get("tags", [])]
    for cell in cells:
        _clean(cell)
    note = {"cell_type": "markdown", "id": "site-note", "metadata": {}}
    note["source"] = _NOTE % (source.name, _REPOSITORY + source.name)
    notebook["cells"] = [cells[0], note, *cells[1:]] if shown != source else cells
    language = {"name": "python", "pygments_lexer": "ipython3", "file_extension": ".py"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook["metadata"] = {"language_info": language, "kernelspec": kernel}
    return json.dumps(notebook, indent=1, ensure_ascii=False)


def _clean(cell: dict[str, Any]) -> None:
    tags = cell["metadata"].get("tags", [])
    cell["metadata"] = {"tags": tags} if tags else {}
    if cell["cell_type"] != "code":
        return
    cell["outputs"] = [output for output in cell["outputs"] if _is_shown(output)]
    for output in cell["outputs"]:
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if alt:
            cell["metadata"]["mystnb"] = {"image": {"alt": alt.replace("\n", " ")}}


def _is_shown(output: dict[str, Any]) -> bool:
    """Whether an output belongs on a page: progress bars and widgets do not."""
    widget = any("widget" in kind for kind in output.get("data", {}))
    return not widget and output.get("name") != "stderr"


def _kernel() -> str:
    """Name of a kernel of this very Python, registered beside it if there is none."""
    from ipykernel.kernelspec import install
    from jupyter_client.kernelspec import KernelSpecManager

    if "python3" not in KernelSpecManager().find_kernel_specs():
        install(prefix=sys.prefix)
    return "python3"
