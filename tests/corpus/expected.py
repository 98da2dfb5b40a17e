"""What is right for an input: numbers, or a refusal whose cure opens it."""

from typing import Any, NamedTuple

import pytest

from phasekit.errors import ReadError, SchemaError


class Opens(NamedTuple):
    """Spectra by name, and their energies in eV."""

    spectra: dict[str, list[float]]
    energy: list[float]


class Refused(NamedTuple):
    """Words of the message, and the arguments that it must name and that open the input."""

    words: tuple[str, ...]
    cure: dict[str, Any] | None = None
    then: Any = None


def refused_with_cure(open_input, right: Refused, check, given):
    """The message says the words and names every argument of the cure; the cure then gives what is right."""
    with pytest.raises((ReadError, SchemaError)) as error:
        open_input(**given)
    text = str(error.value)
    for word in right.words:
        assert word.lower() in text.lower(), f"the message lacks {word!r}: {text}"
    if "copy the file again" in text.lower():
        assert "copy the file again" in right.words, f"no bytes are missing: {text}"
    if right.cure is None:
        return
    for argument in right.cure:
        assert argument in text, f"the message does not name {argument!r}: {text}"
    check(open_input(**{**given, **right.cure}), right.then)
