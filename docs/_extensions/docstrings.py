"""Sphinx extension: docstrings written for ``help()`` read well in the site, and link to public names."""

import pkgutil
import re
from typing import Any

from api_tables import public_names
from docutils import nodes
from sphinx.application import Sphinx

_BARS = re.compile(r"(?<![`\w|])\|(?=[^|`\s])([^|`\n]*)(?<=\S)\|(?!_|\|)")


def escape_bars(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Keep ``|g|`` a length: reStructuredText would take it for a substitution."""
    for number, line in enumerate(lines):
        pieces = line.split("``")
        pieces[::2] = [_BARS.sub(r"\|\1\|", piece) for piece in pieces[::2]]
        lines[number] = "``".join(pieces)


def resolve_place(app: Sphinx, env: Any, node: nodes.Element, content: nodes.Element) -> nodes.Node | None:
    """Lead a reference to where an object is defined (``phasekit.x.module.Name``) to its public name.

    What exists but has no page (a module, a class that is not public) stays plain text; what does not is an error.
    """
    target = node.get("reftarget", "").replace("pk.", "phasekit.", 1) if node.get("refdomain") == "py" else ""
    if not target.startswith("phasekit."):
        return None
    public = public_names().get(target)
    if public is None:
        return content if _exists(target) else None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, content)


def _exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both hooks."""
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("missing-reference", resolve_place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
