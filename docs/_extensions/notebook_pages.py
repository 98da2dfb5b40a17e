"""Notebooks as pages: executed without widgets, as `phasekit run` does it, and made ready for the site."""

import json
import shutil
from pathlib import Path
from typing import Any

_TIME_LIMIT_S = 1200
_NOTE = (
    "```{note}\nThis page is the notebook [`%s`](%s), executed without a screen: where JupyterLab shows sliders, a "
    "figure stands still here. Open it with `make lab` to move them.\n```"
)
_REPOSITORY = "https://github.com/phasekit/phasekit/blob/main/notebooks/"


def execute(notebook: Path, kept: Path) -> None:
    """Run a notebook without a screen on the bundled samples; it and the files it writes go to ``kept``."""
    from phasekit.batch import run_notebook

    shutil.rmtree(kept, ignore_errors=True)
    record = run_notebook(str(notebook), kept, cell_timeout_s=_TIME_LIMIT_S)
    if record["status"] != "ok":
        raise SystemExit(f"{notebook.name}: {record['error']}")
    shutil.copy(kept / "notebook.ipynb", kept / notebook.name)


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
