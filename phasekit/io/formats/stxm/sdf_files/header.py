"""Parser of the text header of SDF scans: nested structures and arrays as Python dicts and lists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .....errors import ReadError

# Quoted text, one of the marks, or a word up to the next mark.
_TOKEN = re.compile(r'"(?P<text>[^"]*)"|(?P<mark>[{}()=;,])|(?P<word>[^\s"{}()=;,][^"{}()=;,]*)')
# A damaged header could nest without end and exhaust Python's stack.
_DEEPEST = 24


def read_header(path: Path) -> dict[str, Any]:
    """Header as nested dicts and lists.

    SDF text is a sequence of ``name = value;``. A value is a number, a word, ``"text"``, a structure ``{...}`` or an
    array ``(n, item, ...)``.
    """
    # Latin-1 decodes any byte; names of users hold such letters.
    text = path.read_text(encoding="latin-1")
    if not text.strip():
        raise ReadError(path, found="an empty file", cure="copy it again")
    tokens = _iterate_tokens(text)
    try:
        return _parse_structure(tokens, 0, closed=False)
    except (StopIteration, ValueError) as error:
        ended = isinstance(error, StopIteration) or "not closed" in str(error)
        raise ReadError(
            path,
            found=f"text that is not an SDF header, or breaks off ({get_first_line(error) or 'end of file'})",
            cure="copy the .hdr file again"
            if ended
            else "give the .hdr of an STXM image or stack, or correct it there",
        ) from error


def _iterate_tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        yield kind, match.group(kind).strip() if kind == "word" else match.group(kind)


def _parse_structure(tokens: Iterator[tuple[str, str]], depth: int, *, closed: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for kind, token in tokens:
        if (kind, token) == ("mark", "}") and closed:
            return out
        if (kind, token) == ("mark", ";"):
            continue
        # Every statement is a name, "=" and a value.
        if kind != "word" or next(tokens) != ("mark", "="):
            raise ValueError(f"'{token[:20]}' where a name and '=' should be")
        out[token] = _parse_value(tokens, next(tokens), depth + 1)
    if closed:
        raise ValueError("a structure is not closed")
    return out


def _parse_value(tokens: Iterator[tuple[str, str]], token: tuple[str, str], depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"structures nested deeper than {_DEEPEST}")
    kind, text = token
    if kind == "text":
        return text
    if kind == "word":
        return _parse_number(text)
    if text == "{":
        return _parse_structure(tokens, depth, closed=True)
    if text == "(":
        return _parse_array(tokens, depth)
    if text == ";":  # an empty value, `AUX3 = ;`
        return ""
    raise ValueError(f"'{text}' where a value should be")


def _parse_array(tokens: Iterator[tuple[str, str]], depth: int) -> list[Any]:
    out: list[Any] = []
    for token in tokens:
        if token == ("mark", ")"):
            return out
        if token in (("mark", ","), ("mark", "}")):  # some converters leave a stray brace in arrays
            continue
        out.append(_parse_value(tokens, token, depth + 1))
    raise ValueError("an array is not closed")


def _parse_number(text: str) -> Any:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    # Anything that is no number or truth value is a word, such as the name of a motor.
    return {"true": True, "false": False}.get(text.lower(), text)


def get_first_line(error: BaseException) -> str:
    """First line of an error's message, for messages of one line."""
    return str(error).split("\n", maxsplit=1)[0]


def list_items(struct: dict[str, Any], name: str) -> list[Any]:
    """Items of an SDF array, whose first element is their number."""
    found = struct.get(name)
    return list(found[1:]) if isinstance(found, list) else []
