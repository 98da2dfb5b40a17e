"""Docstrings: who has one, equations, "See Also", and how long the sentences are."""

import ast
import re

from .source import Function, Package, is_dunder, is_private

_HEADING = re.compile(r"^\s*([-=~^])\1{2,}\s*$")
_ENTRY = re.compile(r"^\s*\*{0,2}[\w.*`, ]{1,60}( :.*)?$")
_SHORTENED = re.compile(
    r"\b(e\.g|i\.e|cf|Fig|Figs|Eq|Eqs|Ref|Refs|al|vs|No|Sec|approx|resp|ca|Phys|Rev|Lett|J|[A-Z])\."
)
_SEE_ALSO = re.compile(r"^\s*(See Also\s*\n\s*-{3,}|\.\. seealso::)", re.MULTILINE | re.IGNORECASE)
#: Sections whose text is a list of names or citations, not sentences.
_LISTS = {"examples", "references", "see also"}


def docstrings(package: Package) -> list[tuple[str, str]]:
    """(place, text) of all docstrings of modules, classes and functions."""
    found = []
    for module in package.modules:
        for node in ast.walk(module.tree):
            text = ast.get_docstring(node) if isinstance(node, ast.Module | ast.ClassDef | Function) else None
            if text:
                found.append((f"{module.name}:{getattr(node, 'name', '')}", text))
    return found


def share_documented(package: Package, *, private: bool) -> float:
    """Share of functions with a docstring; dunders are neither public nor private."""
    nodes = [node for _, node in package.functions() if not is_dunder(node.name) and is_private(node.name) == private]
    return sum(ast.get_docstring(node) is not None for node in nodes) / max(len(nodes), 1)


def share_typed_returns(package: Package) -> float:
    """Share of public functions whose result is annotated."""
    nodes = [node for _, node in package.functions() if not node.name.startswith("_")]
    return sum(node.returns is not None for node in nodes) / max(len(nodes), 1)


def count_see_also(package: Package) -> int:
    """Docstrings with a section "See Also" (or the directive ``seealso``)."""
    return sum(bool(_SEE_ALSO.search(text)) for _, text in docstrings(package))


def count_maths_lines(package: Package) -> int:
    r"""Lines of docstrings with ``:math:``, in a block ``.. math::``, or with TeX (``$...$``, ``\frac``)."""
    return sum(_maths_lines(text) for _, text in docstrings(package))


def _maths_lines(text: str) -> int:
    count, block = 0, -1  # indentation of the open block, -1 for none
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if block >= 0 and line.strip() and indent <= block:
            block = -1
        if line.lstrip().startswith(".. math::"):
            block, count = indent, count + 1
        elif line.strip() and (block >= 0 or re.search(r":math:|\$[^$]+\$|\\frac\b|\\sum\b", line)):
            count += 1
    return count


def sentences(text: str) -> list[str]:
    """Sentences of a docstring's prose.

    Left out: doctests, headings, heads of numpydoc entries, directives with their blocks, literal blocks, tables, and
    the sections Examples, References and See Also. A blank line and a list item end a sentence,
    and so do ". ", "! ", "? ".
    """
    paragraphs = "\n".join(_prose(text)).split("\n\n")
    found = []
    for paragraph in paragraphs:
        kept = _SHORTENED.sub(lambda match: match[1] + "\0", " ".join(paragraph.split()))
        found += [part.replace("\0", ".") for part in re.split(r"(?<=[.!?])[)\"']?\s+", kept)]
    return [sentence for sentence in found if count_words(sentence) > 1]


def count_words(sentence: str) -> int:
    """Pieces between spaces that hold a letter or a digit."""
    return sum(bool(re.search(r"\w", piece)) for piece in sentence.split())


def _prose(text: str) -> list[str]:
    """Lines of prose; a blank line stands where a sentence ends for sure."""
    lines, kept = text.splitlines(), []
    section, block = "", -1
    for i, line in enumerate(lines):
        bare, indent = line.strip(), len(line) - len(line.lstrip())
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if block >= 0 and (not bare or indent > block):
            continue
        block = -1
        if bare and _HEADING.match(following):
            section = bare.lower()
        elif bare.startswith(".. ") or bare.endswith("::"):
            block = indent
        elif section not in _LISTS and not _HEADING.match(line) and not _is_entry(line, following, section):
            kept.append(re.sub(r"^\s*([-*+]|\d+[.)])\s+", "\n", line))
            continue
        kept.append("")
    return kept


def _is_entry(line: str, following: str, section: str) -> bool:
    """The head of a parameter or result, a line of a doctest, or a row of a table."""
    if line.lstrip().startswith((">>>", "|", "+-", "==")):
        return True
    deeper = len(following) - len(following.lstrip()) > len(line) - len(line.lstrip())
    return bool(section) and deeper and bool(_ENTRY.match(line))


def without_see_also(package: Package) -> list[str]:
    """Functions named in a table of contents (``__init__.pyi``) whose docstring has no section "See Also"."""
    contents = [ast.parse(path.read_text(encoding="utf-8")) for path in package.root.rglob("__init__.pyi")]
    imported = [node for tree in contents for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    public = {alias.name for node in imported for alias in node.names}
    return [
        module.where(node)
        for module in package.modules
        for node in module.tree.body
        if isinstance(node, Function) and node.name in public and not _SEE_ALSO.search(ast.get_docstring(node) or "")
    ]


def long_sentences(package: Package, limit: int = 20) -> list[str]:
    """Sentences of more words than ``limit``, longest first, with their place."""
    found = [(count_words(one), place, one) for place, text in docstrings(package) for one in sentences(text)]
    return [f"{place} ({count}): {one}" for count, place, one in sorted(found, reverse=True) if count > limit]
