"""Sphinx extension: formulas become MathML while the site is built, so that no script is needed to read them."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

_LOG = logging.getLogger(__name__)
_PLAIN = {r"\tfrac": r"\frac", r"\dfrac": r"\frac"}  # what the converter does not know


def _mathml(latex: str, display: str, node: nodes.Node) -> str:
    for old, new in _PLAIN.items():
        latex = latex.replace(old, new)
    try:
        return convert(latex, display=display)
    except Exception as problem:  # any formula it cannot read is a fault of the page, named with its line
        _LOG.warning("this formula cannot be read (%r): %s", problem, latex, location=node)
        return f"<code>{latex}</code>"


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula inside a line."""
    translator.body.append(_mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, with its number where it has one."""
    attributes = {"CLASS": "math-block", "ids": node.get("ids", [])}
    translator.body.append(translator.starttag(node, "div", **attributes))
    translator.body.append(_mathml(node.astext(), "block", node))
    if node.get("number"):
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})</span>')
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; ``html_math_renderer = "mathml"`` chooses it."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit_inline, None), block_renderers=(visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
