"""The HTML document of a result: data, style and scripts in one file that asks for nothing from outside."""

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from phasekit.schema.checks import package_version

from .packing import Section
from .reduction import Reduced

_FOLDER = Path(__file__).parent
#: In this order: each uses what stands before it.
_SCRIPTS = (
    "decode.js",
    "canvas.js",
    "keys.js",
    "plots.js",
    "diffraction.js",
    "stxm.js",
    "nmf.js",
    "acom.js",
    "page.js",
)
_NO_SCRIPT = "This page draws with JavaScript, which is switched off here."
_OLD_BROWSER = (
    "This browser cannot unpack the data (it has no DecompressionStream). Use Chrome or Edge from 80, Firefox from 113 "
    "or Safari from 16.4 on."
)


def write_document(path: str | os.PathLike[str], content: Mapping[str, Any], reduced: Reduced) -> Path:
    """Write the page under its final name when it is complete.

    ``content`` is plain data; ``title`` and ``heading`` are texts. Everything in it may hold any character.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.write_text(make_document(content, reduced), encoding="utf-8", newline="\n")
    os.replace(partial, target)
    return target


def make_document(content: Mapping[str, Any], reduced: Reduced) -> str:
    """HTML of the page."""
    style, script = _read_files(("page.css",)), _read_files(_SCRIPTS)
    tables = {"maps": reduced.maps.table, "details": reduced.details.table}
    data = {**content, "tables": tables, "version": package_version("phasekit"), "oldBrowser": _OLD_BROWSER}
    # Nothing may be loaded or sent, and no other script than this one may run. Pictures are part of the data.
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash_text(script)}'; style-src 'sha256-{_hash_text(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    title = html.escape(str(content["title"]))
    # The maps and the script stand before the details, so that the map is drawn while the rest is still read.
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{style}</style></head><body><noscript>{_NO_SCRIPT}</noscript>"
        f'<main id="page"><h1>{title}</h1><p id="message" role="status">Reading the data ...</p></main>\n'
        f'<script type="application/json" id="content">{_write_json(data)}</script>\n'
        f"{_write_section('maps', reduced.maps)}\n<script>{script}</script>\n"
        f"{_write_section('details', reduced.details)}\n</body></html>\n"
    )


def measure_frame(content: Mapping[str, Any]) -> int:
    """Bytes of the page without its data."""
    empty = Section("", [])
    return len(make_document(content, Reduced(empty, empty, 1, 1)).encode("utf-8"))


@cache
def _read_files(names: tuple[str, ...]) -> str:
    parts = [(_FOLDER / name).read_text(encoding="utf-8") for name in names]
    return '"use strict";\n' + "\n".join(parts) if names[0].endswith(".js") else "\n".join(parts)


def _hash_text(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _write_json(data: Mapping[str, Any]) -> str:
    """JSON in which no tag can begin or end."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _write_section(name: str, section: Section) -> str:
    return f'<script type="application/octet-stream" id="{name}">{section.text}</script>'
