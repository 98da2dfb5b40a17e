"""Sphinx extension: relative links to files that are no pages lead to the repository; outside links are listed."""

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

REPOSITORY = "https://github.com/phasekit/phasekit"
_LINK = re.compile(r"(?<!!)(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
_ROOT = Path(__file__).resolve().parents[2]
_PAGES = (".md", ".ipynb", ".png", ".svg")


def lead_to_repository(app: "Sphinx", docname: str, source: list[str]) -> None:
    """Rewrite links to files outside the site (source files, folders) of one page."""
    if app.env.doc2path(docname).suffix == ".ipynb":
        return
    source[0] = rewrite(source[0], docname, Path(app.srcdir))


def rewrite(text: str, docname: str, root: Path) -> str:
    """Text of a page with such links replaced; ``root`` is the folder of all pages."""

    def place(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(docname), match[2]))
        if (path.endswith(_PAGES) and (root / path).is_file()) or not (_ROOT / path).exists():
            return match[0]  # a page of the site, or nothing at all, which MyST then names
        return f"{match[1]}{REPOSITORY}/blob/main/{path}{match[3] or ''}{match[4]}"

    return _LINK.sub(place, text)


def list_outside_links(app: "Sphinx", problem: Exception | None) -> None:
    """Write every address outside the site, with the pages that name it, to ``external_links.txt``."""
    if problem is not None or app.builder.format != "html":
        return
    found: dict[str, set[str]] = {}
    for docname in app.env.found_docs:
        for node in app.env.get_doctree(docname).findall():
            address = node.get("refuri", "") if hasattr(node, "get") else ""
            if address.startswith(("http:", "https:")):
                found.setdefault(address, set()).add(docname)
    lines = [f"{address}\t{' '.join(sorted(pages))}" for address, pages in sorted(found.items())]
    (Path(app.outdir) / "external_links.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register both hooks."""
    app.connect("source-read", lead_to_repository)
    app.connect("build-finished", list_outside_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
