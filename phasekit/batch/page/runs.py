"""One HTML page over many runs: maps, key numbers, links, versions and times.

The page needs no server and no network.
"""

import base64
import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phasekit.errors import ReadError

from ..record import RECORD, read_record

# Inside the page, so that it is one file; colours follow the reader's light or dark setting.
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: .2rem; } h2 { margin: 0; } a { color: #0072B2; }
article { border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem; margin: 1.4rem 0; }
header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; }
.ok, .failed, .running, .interrupted { border-radius: 99px; padding: .05rem .7rem; font-size: .85rem; color: white; }
.ok { background: #00745a; } .failed, .interrupted { background: #b04a00; } .running { background: #595959; }
img { max-width: 100%; height: auto; background: white; border-radius: 6px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .8rem 0; }
dt { color: color-mix(in srgb, currentColor 70%, transparent); } dd { margin: 0; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; } td { padding: .1rem .9rem .1rem 0; vertical-align: top; font-size: .9rem; }
pre { white-space: pre-wrap; background: var(--soft); padding: .6rem; border-radius: 6px; }
nav a { margin-right: 1.2rem; }
@media (prefers-color-scheme: dark) { a { color: #56B4E9; } }
"""


def write_index(
    folder: str | os.PathLike[str], *, title: str = "phasekit runs", names: Sequence[str] | None = None
) -> Path:
    """Write ``index.html`` over every run below a folder.

    The first figure of each run is embedded. Its other files are linked relative to the page, so the folder can be
    moved as a whole. No network is needed.

    Parameters
    ----------
    folder
        Folder below which :func:`run_notebook` wrote runs (each has a ``run.json``).
    title
        Heading of the page.
    names
        Folders below ``folder`` to show, in this order. ``None`` shows every run there, sorted by title.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    ReadError
        There is no run below ``folder``.

    See Also
    --------
    run_manifest : Runs the jobs and writes this page.

    Examples
    --------
    >>> import tempfile
    >>> from phasekit.batch.record import write_record
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "stxm").mkdir()
    ...     write_record(Path(folder) / "stxm", {"workflow": "stxm", "status": "ok"})
    ...     write_index(folder).name
    'index.html'
    """
    base = Path(folder)
    runs = sorted(path.parent for path in base.rglob(RECORD)) if names is None else [base / name for name in names]
    if not runs:
        raise ReadError(base, found=f"no {RECORD} in any folder below it", cure="run a notebook with `phasekit run`")
    records = [(run, read_record(run)) for run in runs]
    # Given names keep their order: that of the workflows on the demo page.
    if names is None:
        records.sort(key=lambda pair: str(pair[1].get("title", "")))
    articles = "\n".join(_write_article(base, run, record) for run, record in records)
    done = sum(record.get("status") == "ok" for _, record in records)
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{html.escape(title)}</h1><p>{done} of {len(records)} runs ended well.</p>\n{articles}\n</body></html>\n"
    )
    # Renamed when complete, so that a browser never reads half a page.
    target, partial = base / "index.html", base / ".index.html.part"
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, target)
    return target


def _write_article(base: Path, run: Path, record: dict[str, Any]) -> str:
    """One run: its map, its numbers, its files, and the details that unfold on a click."""
    name = run.relative_to(base).as_posix()
    # Everything from a record is escaped: names of files and error messages may hold any character.
    status = html.escape(str(record.get("status", "running")))
    # A run that was stopped has neither title nor time.
    parts = [
        f'<header><h2>{html.escape(str(record.get("title") or name))}</h2><span class="{status}">{status}</span>'
        f"<span>{record.get('seconds', '?')} s</span></header>"
    ]
    if record.get("error"):
        parts.append(f"<pre>{html.escape(str(record['error']))}</pre>")
    figures = record.get("figures", [])
    # A figure may have been deleted since the run.
    if figures and (run / figures[0]["file"]).is_file():
        parts.append(_embed_figure(run / figures[0]["file"], figures[0]["alt"]))
    numbers = record.get("numbers", {})
    if numbers:
        rows = "".join(
            f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(value))}</dd>" for key, value in numbers.items()
        )
        parts.append(f"<dl>{rows}</dl>")
    parts.append(_make_links(run, name, figures))
    parts.append(_make_details(record))
    return f"<article>{''.join(parts)}</article>"


def _embed_figure(path: Path, alt: str) -> str:
    """Image element that holds the PNG itself."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<p><img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}"></p>'


def _make_links(run: Path, name: str, figures: Sequence[dict[str, str]]) -> str:
    """Links to those files of a run that exist."""
    files = [("whole result in one page", "page.html")]
    files += [("notebook with all figures", "notebook.html"), ("notebook (.ipynb)", "notebook.ipynb")]
    files += [("result (netCDF)", "result.nc"), ("record (JSON)", RECORD)]
    files += [(figure["file"].removesuffix(".png").replace("_", " "), figure["file"]) for figure in figures[1:]]
    # The page may lie in the folder of the run itself.
    prefix = "" if name == "." else f"{name}/"
    existing = [(text, file) for text, file in files if (run / file).is_file()]
    return "<nav>" + "".join(f'<a href="{html.escape(prefix + file)}">{text}</a>' for text, file in existing) + "</nav>"


def _make_details(record: dict[str, Any]) -> str:
    """Parameters, times of the cells and versions."""
    versions = ", ".join(f"{package} {number}" for package, number in record.get("versions", {}).items())
    # A cell that did not run has no time.
    cells = "".join(
        f"<tr><td><code>{html.escape(cell['first_line'])}</code></td><td>{cell['seconds'] or 0:.1f} s</td></tr>"
        for cell in record.get("cells", [])
    )
    values = "".join(
        f"<tr><td>{html.escape(key)}</td><td><code>{html.escape(repr(value))}</code></td></tr>"
        for key, value in record.get("parameters", {}).items()
    )
    return (
        f"<details><summary>Parameters, times, versions</summary><p>Started {record.get('started', '?')} (UTC).</p>"
        f"<table>{values}</table><table>{cells}</table><p>{html.escape(versions)}</p></details>"
    )
